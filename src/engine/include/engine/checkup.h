/* SPDX-License-Identifier: Apache-2.0 */
/* A VM together with what its guest reports, read once; plan/doctor.h derives findings from it. */
#pragma once

#include <glib.h>

#include "agents/look.h"
#include "hypervisor/connection.h"
#include "model/vm.h"

/*
 * @vm (owned by the caller) has guest set if it runs; NULL with @error (owned by the caller). @agent: the open
 * conversation with dimmer-guest (owned by the caller), NULL if there is none.
 */
typedef void (*DmCheckupFunc)(DmVm *vm, DmAgent *agent, GError *error, gpointer data);

/* In the main loop's thread; does not block. @done is called there, later than this returns. */
void dm_checkup(DmConnection *connection, const char *vm_name, DmLookDepth depth, DmCheckupFunc done, gpointer data);
