/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Derives the persistent configuration that gives the next run the wanted values.
 */
#pragma once

#include <glib.h>

#include "model/config.h"
#include "model/request.h"

/* What the running VM loses or gains, for the definition to follow device by device. */
typedef struct {
  const GPtrArray *steps; /* DmStep, in order: from and to: what a device counts for before and after */
  const DmConfig *live;   /* the running VM's devices, as far as it still has them; NULL: none */
  gboolean follows;       /* there is nothing else to change: if the steps leave a doubt, nothing is changed */
  GPtrArray *notes;       /* DmNote, owned: gets one if a doubt was left; may be NULL */
} DmTrail;

/*
 * @persistent with the values of @values (0: unchanged), memory exactly as requested, not rounded to device sizes:
 *
 * - Along @trail (or NULL), as far as it leads towards the memory that was asked for: the twin of each device goes, or,
 *   where it has none, its node's cell gives what the device gave; what comes is boot memory of its node. A twin is the
 *   same by its user alias, or by kind, size, node, place and backing. Where one is like it, but not surely the same,
 *   none is dropped. What is then left over comes off boot memory before other devices go.
 * - Less memory: the memory devices of the persistent configuration go as dm_plan_unplug() chooses, the rest comes off
 *   boot memory, from the largest NUMA cell first so that cells stay balanced. Where even that leaves something, a DIMM
 *   is traded for boot memory.
 * - More memory goes to virtio-mem devices that are there, unless the guest has no driver for them, and becomes boot
 *   memory else. Each NUMA cell gets its share in proportion.
 *
 * Where one node alone is to change (@values->one_node), what the trail leaves comes from its devices and its cell, or
 * goes there; if it cannot give or take it, in whole pages and with floors between its floor and the room of its
 * devices, that is an error.
 *
 * With floors, all above them is devices: see floor.h.
 *
 * Each cell is a multiple of its page size.
 *
 * Where boot memory reaches maximum, the maximum is saved in the metadata (QEMU does not start with both equal) and
 * restored when memory falls again.
 *
 * The caller owns the result. NULL with an error of the rules, @vm_name in its message.
 */
DmConfig *dm_plan_next_run(const DmConfig *persistent, const DmValues *values, const DmTrail *trail,
  const char *vm_name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
