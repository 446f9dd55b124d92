/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon of a running VM, asked and moved through libvirt. Each call blocks on the hypervisor, also on a QEMU that
 * hangs, and may be made from any thread.
 */
#pragma once

#include <glib.h>

#include "hypervisor/connection.h"
#include "model/vm.h"

/*
 * What the balloon of @vm and its driver report now. Without a driver, and before its first report, what that reports
 * is 0; a driver that has gone silent leaves its last report, and updated_s as it was.
 */
gboolean dm_balloon_read(
  DmConnection *connection, const DmVm *vm, DmBalloonStats *stats, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Asks QEMU what it holds, for dm_vm_ballooned(), where libvirt's numbers leave that open and no job of libvirt's bars
 * it. */
void dm_balloon_find_out(DmConnection *connection, DmVm *vm);

/* Asks, for balloon_mute, where statistics are on and no job of libvirt's bars it. */
void dm_balloon_find_driver(DmConnection *connection, DmVm *vm);

/*
 * Sets what it is to leave the guest of boot memory and DIMMs, in whole KiB. QEMU takes any target, and the driver
 * pursues it without end: nothing is known of the outcome yet.
 */
gboolean dm_balloon_set(
  DmConnection *connection, const DmVm *vm, uint64_t actual, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Sets how often its driver is asked for a report, in seconds; 0: never. */
gboolean dm_balloon_set_period(
  DmConnection *connection, const DmVm *vm, guint period_s, GError **error) G_GNUC_WARN_UNUSED_RESULT;
