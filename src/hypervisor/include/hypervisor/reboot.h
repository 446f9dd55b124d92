/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libvirt calls of a reboot that applies the next run. Each blocks and may be made from any thread; @uuid is the
 * VM's. engine/reboot.c decides their order and what is saved meanwhile.
 */
#pragma once

#include <glib.h>

#include "hypervisor/connection.h"

/*
 * Starts a copy of the persistent definition beside the VM, paused and without anything that only one VM can use, and
 * destroys it at once. FALSE with QEMU's message if QEMU rejects it. TRUE too if that cannot be tried.
 */
gboolean dm_reboot_try(DmConnection *connection, const char *uuid, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The VM's live configuration as a definition, with its secrets. The caller g_frees. */
char *dm_reboot_present(DmConnection *connection, const char *uuid, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Asks the guest to shut down, and has libvirt terminate QEMU when it does. */
gboolean dm_reboot_ask(DmConnection *connection, const char *uuid, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Undoes dm_reboot_ask(): a reset by the guest does again what @present says. */
gboolean dm_reboot_call_off(
  DmConnection *connection, const char *uuid, const char *present, GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef enum {
  DM_REBOOT_WAITS,     /* the VM still runs */
  DM_REBOOT_WENT_DOWN, /* its guest has shut down */
  DM_REBOOT_OVER,      /* it was restarted, destroyed or saved, or is gone */
} DmRebootStanding;

/* @present: as of the reboot request; NULL: not known. */
DmRebootStanding dm_reboot_look(DmConnection *connection, const char *uuid, const char *present);

/* Starts it with its persistent definition. */
gboolean dm_reboot_start(DmConnection *connection, const char *uuid, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The persistent definition, with its secrets (the caller g_frees); and sets another one in its place. */
char *dm_reboot_definition(DmConnection *connection, const char *uuid, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean dm_reboot_define(DmConnection *connection, const char *definition, GError **error) G_GNUC_WARN_UNUSED_RESULT;
