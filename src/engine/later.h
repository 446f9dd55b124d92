/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs to be looked at again: when the process that holds the lock of one has let go of it, however that comes about, or
 * else after a pause. Main loop only. Not for other layers.
 */
#pragma once

#include <glib.h>

typedef struct Later Later;

typedef void (*LaterFunc)(const char *vm_uuid, gpointer data);

Later *later_new(LaterFunc func, gpointer data);
/* Without telling. NULL is allowed. */
void later_free(Later *later);

/* @func is told of the VM once; not before this returns. Does nothing where that is due already. */
void later_add(Later *later, const char *vm_uuid);

/* @func has yet to be told of it. */
gboolean later_has(const Later *later, const char *vm_uuid);
