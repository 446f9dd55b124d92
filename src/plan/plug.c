/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plug.h"

#include <string.h>

#include "base/size.h"

static const char *const policy_names[] = {
  [DM_POLICY_OVIRT] = "ovirt",
  [DM_POLICY_WHOLE] = "whole",
  [DM_POLICY_FINE] = "fine",
};
G_STATIC_ASSERT(G_N_ELEMENTS(policy_names) == DM_POLICIES);

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

gboolean dm_plug_kind_from_name(const char *name, gboolean *choose, DmDeviceKind *kind) {
  gboolean any = g_strcmp0(name, "auto") == 0, dimm = g_strcmp0(name, dm_device_kind_name(DM_DEVICE_DIMM)) == 0;
  if (!any && !dimm && g_strcmp0(name, dm_device_kind_name(DM_DEVICE_VIRTIO_MEM)) != 0)
    return FALSE;
  *choose = any;
  *kind = any || dimm ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM;
  return TRUE;
}

/* ---- defaults of a connection ---- */

/* Takes the value of one word. */
typedef gboolean (*TakeWord)(const char *value, DmPlugDefaults *defaults);

static gboolean take_kind(const char *value, DmPlugDefaults *defaults) {
  return dm_plug_kind_from_name(value, &defaults->choose_kind, &defaults->kind);
}

static gboolean take_policy(const char *value, DmPlugDefaults *defaults) {
  return dm_plug_policy_from_name(value, &defaults->policy);
}

/* A URI may have "=" itself, a value has none. Returns the first wrong word; NULL: none. */
static const char *take_words(const char *const *words, const char *uri, TakeWord take, DmPlugDefaults *defaults) {
  gboolean found = FALSE;
  for (; words != NULL && *words != NULL; words++) {
    if (**words == '\0')
      continue;
    const char *equals = strrchr(*words, '=');
    DmPlugDefaults read = *defaults;
    if (!take(equals != NULL ? equals + 1 : *words, &read))
      return *words;
    gsize length = equals != NULL ? (gsize)(equals - *words) : 0;
    gboolean its = equals != NULL && uri != NULL && strlen(uri) == length && strncmp(*words, uri, length) == 0;
    if (its || (equals == NULL && !found))
      *defaults = read;
    found |= its;
  }
  return NULL;
}

void dm_plug_defaults_read(const char *const *kinds, const char *const *policies, const char *uri,
  DmPlugDefaults *defaults, const char **wrong) {
  DmPlugDefaults read = {.kind = DM_DEVICE_DIMM, .policy = DM_POLICY_OVIRT};
  *wrong = take_words(kinds, uri, take_kind, &read);
  if (*wrong == NULL)
    *wrong = take_words(policies, uri, take_policy, &read);
  if (*wrong == NULL)
    *defaults = read;
}

DmPlugFault dm_plug_defaults_name(DmPlugDefaults *plugs, const char *kind, const char *policy) {
  DmPlugDefaults named = *plugs;
  if (kind != NULL && !take_kind(kind, &named))
    return DM_PLUG_BAD_KIND;
  if (policy != NULL && !take_policy(policy, &named))
    return DM_PLUG_BAD_POLICY;
  if (policy != NULL && kind == NULL && !named.choose_kind)
    named.kind = DM_DEVICE_DIMM;
  if (policy != NULL && !named.choose_kind && named.kind != DM_DEVICE_DIMM)
    return DM_PLUG_NOT_SPLIT;
  *plugs = named;
  return DM_PLUG_WELL;
}

/* ---- the split ---- */

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

/* The largest n such that each of 1..n units is a sum of existing DIMMs. */
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

/* Each DIMM is the largest power of two that leaves no gap in what can be released. */
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
