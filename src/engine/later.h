/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs to be checked again: once the process that holds a VM's lock has released it in any way, or after a delay. Main
 * loop only. Not for other layers.
 */
#pragma once

#include <glib.h>

typedef struct Later Later;

typedef void (*LaterFunc)(const char *vm_uuid, gpointer data);

Later *later_new(LaterFunc func, gpointer data) G_GNUC_WARN_UNUSED_RESULT;
/* Without calling @func. NULL is allowed. */
void later_free(Later *later);

/* @func is called once for the VM, after this returns. Does nothing if that is due already. */
void later_add(Later *later, const char *vm_uuid);

/* @func is still to be called for it. */
gboolean later_has(const Later *later, const char *vm_uuid);
