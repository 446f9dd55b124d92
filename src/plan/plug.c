/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plug.h"

static const char *const policy_names[] = {
  [DM_POLICY_OVIRT] = "ovirt",
  [DM_POLICY_WHOLE] = "whole",
  [DM_POLICY_FINE] = "fine",
};

gboolean dm_plug_policy_from_name(const char *name, DmPlugPolicy *policy) {
  for (gsize i = 0; i < G_N_ELEMENTS(policy_names); i++) {
    if (g_strcmp0(policy_names[i], name) == 0) {
      *policy = (DmPlugPolicy)i;
      return TRUE;
    }
  }
  return FALSE;
}

const char *dm_plug_policy_name(DmPlugPolicy policy) {
  return policy_names[policy];
}

static gboolean has_dimm_of(const DmConfig *config, uint64_t size) {
  for (guint i = 0; i < config->devices->len; i++) {
    const DmMemoryDevice *device = config->devices->pdata[i];
    if (device->kind == DM_DEVICE_DIMM && device->size == size)
      return TRUE;
  }
  return FALSE;
}

static int by_number(gconstpointer a, gconstpointer b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

/* Up to which n each of 1..n units is the sum of some of the DIMMs that are there. */
static uint64_t covered_units(const DmConfig *config, uint64_t minimal) {
  g_autoptr(GArray) units = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  for (guint i = 0; i < config->devices->len; i++) {
    const DmMemoryDevice *device = config->devices->pdata[i];
    if (device->kind == DM_DEVICE_DIMM && device->size % minimal == 0) {
      uint64_t count = device->size / minimal;
      g_array_append_val(units, count);
    }
  }
  g_array_sort(units, by_number);
  uint64_t covered = 0;
  for (guint i = 0; i < units->len && g_array_index(units, uint64_t, i) <= covered + 1; i++)
    covered += g_array_index(units, uint64_t, i);
  return covered;
}

static uint64_t power_of_two_up_to(uint64_t n) {
  return (uint64_t)1 << (63 - __builtin_clzll(n));
}

/* Each DIMM is the largest power of two that leaves no gap in what can be given back. */
static void split_fine(GArray *sizes, uint64_t size, uint64_t minimal, const DmConfig *config, guint free_slots) {
  uint64_t rest = size / minimal, covered = covered_units(config, minimal);
  while (rest > 0) {
    uint64_t units = power_of_two_up_to(MIN(covered + 1, rest));
    if (sizes->len + 1 == free_slots)
      units = rest;
    uint64_t bytes = units * minimal;
    g_array_append_val(sizes, bytes);
    covered += units;
    rest -= units;
  }
}

GArray *dm_plan_plug(DmPlugPolicy policy, uint64_t size, uint64_t minimal, const DmConfig *config, guint free_slots) {
  GArray *sizes = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  uint64_t rest = size;
  switch (policy) {
    case DM_POLICY_FINE:
      split_fine(sizes, size, minimal, config, free_slots);
      return sizes;
    case DM_POLICY_OVIRT:
      if (size > minimal && free_slots > 1 && !has_dimm_of(config, minimal)) {
        g_array_append_val(sizes, minimal);
        rest -= minimal;
      }
      break;
    case DM_POLICY_WHOLE:
      break;
  }
  g_array_append_val(sizes, rest);
  return sizes;
}
