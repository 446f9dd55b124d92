/* SPDX-License-Identifier: Apache-2.0 */
/* A picture of a VM's memory, drawn to scale in text. */
#pragma once

#include <glib.h>

#include "model/vm.h"

/*
 * @config, one of @vm's, in lines of at most @width columns: labels, the bar (boot memory, each device, room up to the
 * maximum), below it what the balloon holds, if it does, and marks. @unicode: block elements, else ASCII. The caller
 * frees.
 */
char *picture_draw(const DmVm *vm, const DmConfig *config, guint width, gboolean unicode) G_GNUC_WARN_UNUSED_RESULT;
