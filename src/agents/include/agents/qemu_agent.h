/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu-guest-agent: what it reports and what it allows. Guests often forbid it to run programs or access files (RHEL by
 * default); less is known then.
 *
 * All functions block: call them in a worker thread.
 */
#pragma once

#include <glib.h>

#include "hypervisor/channel.h"
#include "model/guest.h"
#include "model/vm.h"

/*
 * Adds what the agent reports to @guest; what stays unknown, and why, goes into its notes. FALSE with an error if the
 * agent does not answer at all.
 */
gboolean dm_qemu_agent_look(
  DmConnection *connection, const DmVm *vm, DmGuest *guest, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Runs a shell script inside and returns its standard output; the caller g_frees. @timeout: seconds. A non-zero exit
 * status is an error too, with the script's standard error. @started: the script was started, even if it failed.
 */
char *dm_qemu_agent_run(DmConnection *connection, const DmVm *vm, const char *script, int timeout, gboolean *started,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The beginning of a file, 64 KiB at most; the caller g_frees. */
char *dm_qemu_agent_read_file(
  DmConnection *connection, const DmVm *vm, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Overwrites a file in place: a failure may lose its content. */
gboolean dm_qemu_agent_write_file(DmConnection *connection, const DmVm *vm, const char *path, const char *content,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;
