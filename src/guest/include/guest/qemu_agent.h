/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu-guest-agent: what it tells, and what it lets us do inside. Guests often forbid it to run programs or to touch
 * files (RHEL does by default): then less is known.
 *
 * All of it blocks, and is for a worker thread.
 */
#pragma once

#include <glib.h>

#include "hypervisor/channel.h"
#include "model/guest.h"
#include "model/vm.h"

/*
 * Adds to @guest what the agent tells; what stays unknown and why goes into its notes. FALSE with an error where the
 * agent does not answer at all.
 */
gboolean dm_qemu_agent_look(DmConnection *connection, const DmVm *vm, DmGuest *guest, GError **error);

/*
 * Runs a shell script inside, and gives its standard output; the caller g_frees. @timeout: seconds. Fails as well where
 * the script's status is not 0, with what it said on standard error. @started: it runs or has run, be it a failure.
 */
char *dm_qemu_agent_run(
  DmConnection *connection, const DmVm *vm, const char *script, int timeout, gboolean *started, GError **error);

/* The beginning of a file, 64 KiB at most; the caller g_frees. */
char *dm_qemu_agent_read_file(DmConnection *connection, const DmVm *vm, const char *path, GError **error);

/* Replaces a file's content, in its place: on a failure it may be lost. */
gboolean dm_qemu_agent_write_file(
  DmConnection *connection, const DmVm *vm, const char *path, const char *content, GError **error);
