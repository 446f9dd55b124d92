/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the inside of a VM ready for hot unplug: hot plugged memory comes online as movable. */
#pragma once

#include <glib.h>

#include "guest/dimmer_guest.h"
#include "model/vm.h"

/* Sentences (char): what was done, and what is left to do and how. */
typedef struct {
  GPtrArray *did, *left;
} DmPrepared;

DmPrepared *dm_prepared_new(void);
void dm_prepared_free(DmPrepared *prepared);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmPrepared, dm_prepared_free)

/* The shell script that does it, for doing it by hand as root inside the VM. The caller g_frees. */
char *dm_prepare_script(const DmVm *vm);

/*
 * By way of qemu-guest-agent: with that script where it may run programs, else file by file. Blocks, for a worker
 * thread. FALSE with an error where nothing could be done.
 */
gboolean dm_prepare_by_qemu_agent(DmConnection *connection, const DmVm *vm, DmPrepared *prepared, GError **error);

/*
 * By way of dimmer-guest, which onlines new memory as movable by itself: makes what is there already movable. @prepared
 * is the caller's, and stays until @done was called, in the main loop's thread.
 */
void dm_prepare_by_agent(
  DmAgent *agent, const DmVm *vm, DmPrepared *prepared, void (*done)(gpointer data), gpointer data);
