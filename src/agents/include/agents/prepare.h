/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the inside of a VM ready for hot unplug: hot plugged memory comes online as movable. */
#pragma once

#include <glib.h>

#include "agents/dimmer_guest.h"
#include "model/vm.h"

/* DmNote: what was done, what is left to do and how. */
typedef struct {
  GPtrArray *did, *left;
  char *uri; /* the libvirt connection, for commands in them; NULL: the default */
} DmPrepared;

DmPrepared *dm_prepared_new(const char *uri) G_GNUC_WARN_UNUSED_RESULT;
void dm_prepared_free(DmPrepared *prepared);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmPrepared, dm_prepared_free)

/* The shell script to do it by hand, as root inside the VM. The caller g_frees. */
char *dm_prepare_script(const DmVm *vm) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Adds the agents' ports to @vm, a running VM as just read, and has the agents that answer prepare the guest. @agent:
 * the open conversation with dimmer-guest, or NULL; it and @prepared belong to the caller and must stay valid until
 * @done is called, in the main loop's thread, after this returns. @error (owned by the caller): not all could be done;
 * NULL: all done, or @prepared says what is left. Call it in that thread; does not block.
 */
typedef void (*DmPrepareFunc)(GError *error, gpointer data);
void dm_prepare(
  DmConnection *connection, const DmVm *vm, DmAgent *agent, DmPrepared *prepared, DmPrepareFunc done, gpointer data);
