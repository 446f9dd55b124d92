/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sizes. Inside dimmer every size is a uint64_t of bytes; KiB exists only at the interface to libvirt, MiB only at
 * those to oVirt and people.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#define DM_KIB ((uint64_t)1 << 10)
#define DM_MIB ((uint64_t)1 << 20)
#define DM_GIB ((uint64_t)1 << 30)

/*
 * Reads "1400MiB", "1.5GiB", "256M" or plain bytes ("1468006400"). Units are IEC (K, M, G, T, P, E, each also with "i"
 * or "iB"), upper or lower case, blanks allowed before the unit. "MB" and the like are refused as ambiguous: many read
 * them as 10^6. Fractions are rounded down to whole bytes.
 *
 * FALSE, with @bytes untouched, and DM_ERROR_BAD_SIZE, _SIZE_NEGATIVE, _SIZE_ZERO or _SIZE_OVERFLOW.
 */
gboolean dm_size_parse(const char *text, uint64_t *bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "1408 MiB", "300 KiB" or "17 B": the largest unit up to MiB that is exact. The caller frees. */
char *dm_size_format(uint64_t bytes) G_GNUC_WARN_UNUSED_RESULT;

/* @bytes rounded down to whole MiB, in bytes: how oVirt reads every memory value (BackendVmResource: bytes / 2^20). */
uint64_t dm_size_floor_mib(uint64_t bytes);

/* a - b, or 0 if b is larger. */
static inline uint64_t dm_size_minus(uint64_t a, uint64_t b) {
  return a > b ? a - b : 0;
}

/* @bytes rounded up to whole @step, or down if that overflows. */
static inline uint64_t dm_size_round_up(uint64_t bytes, uint64_t step) {
  uint64_t over = bytes % step;
  return over == 0 || bytes > UINT64_MAX - step ? bytes - over : bytes - over + step;
}

/* The sum, or UINT64_MAX on overflow: above any maximum, so the rules refuse it. */
static inline uint64_t dm_size_plus(uint64_t a, uint64_t b) {
  uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}
