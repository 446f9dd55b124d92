/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the memory devices to release for a decrement: exact, not greedy.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/config.h"

/* Further devices are ignored; QEMU allows 256 slots (ACPI_MAX_RAM_SLOTS). */
#define DM_PLAN_MAX_DEVICES 1000

typedef struct {
  const DmMemoryDevice *device; /* borrowed from the candidates */
  uint64_t release;             /* bytes: a DIMM's size, or the amount a virtio-mem device shrinks by */
} DmRelease;

/*
 * Chooses among @candidates (const DmMemoryDevice, borrowed) what to release: the largest sum not above @decrement.
 * DIMMs go whole; virtio-mem devices cover what whole DIMMs cannot, in steps of their block. Among equal sums: most of
 * it in DIMMs, then fewest DIMMs that the guest reports as not movable, then fewest unknown ones, then fewest DIMMs,
 * then higher addresses. Among virtio-mem devices those with the largest block come first, then those that can release
 * most.
 *
 * Time: O(devices × sum / greatest common divisor of the sizes); see bench/planner.c. The sum is exact while that
 * product is at most 2^24 (256 DIMMs of 8 TiB in multiples of 128 MiB); above that, sizes are rounded up to a coarser
 * unit: never above @decrement, but perhaps not the largest sum.
 *
 * Returns an array of DmRelease, DIMMs first, higher addresses first. The caller unrefs.
 */
GArray *dm_plan_unplug(const GPtrArray *candidates, uint64_t decrement) G_GNUC_WARN_UNUSED_RESULT;

/* The sum of what is released, in bytes. */
uint64_t dm_plan_released(const GArray *releases);
