/* SPDX-License-Identifier: Apache-2.0 */
/* Matches a device of the running VM to one of the definition. Not for other layers. */
#pragma once

#include "plan/next_run.h"

/*
 * The device of @config, a persistent configuration, that the device of @step is in the running VM: by a user alias, or
 * by kind, size, node, place and backing. NULL: none. *@doubt becomes TRUE if there are candidates but none is certain.
 */
DmMemoryDevice *twin_find(const DmConfig *config, const DmStep *step, const DmConfig *live, gboolean *doubt);
