/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which memory devices to give back for a decrement: exact, not greedy.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/config.h"

/* More devices than this are not looked at; QEMU allows 256 slots (ACPI_MAX_RAM_SLOTS). */
#define DM_PLAN_MAX_DEVICES 1000

typedef struct {
  const DmMemoryDevice *device; /* borrowed from the candidates */
  uint64_t release;             /* bytes: a DIMM's size, or by how much a virtio-mem device shrinks */
} DmRelease;

/*
 * Chooses among @candidates (const DmMemoryDevice, borrowed) what to give back: the largest sum that is not above
 * @decrement. DIMMs go whole; virtio-mem devices take what whole DIMMs cannot, in steps of their block. Of equal sums,
 * the one with most of it in DIMMs; then with the fewest DIMMs that the guest says are not movable, then the fewest of
 * which it is not known, then the fewest DIMMs, then the higher addresses. Of virtio-mem devices those with the largest
 * block give first, and of these those that have most to give.
 *
 * The time is (devices × sum / greatest common divisor of the sizes); see bench/planner.c. The sum is exact while that
 * product is at most 2^24 (256 DIMMs of 8 TiB in multiples of 128 MiB); above it sizes are rounded up to a coarser
 * unit: still never above @decrement, but perhaps not the largest sum.
 *
 * Returns an array of DmRelease, DIMMs first, higher addresses first. The caller unrefs.
 */
GArray *dm_plan_unplug(const GPtrArray *candidates, uint64_t decrement);

/* The sum of what is released, in bytes. */
uint64_t dm_plan_released(const GArray *releases);
