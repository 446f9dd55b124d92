/* SPDX-License-Identifier: Apache-2.0 */
#include "twin.h"

/* libvirt's prefix of user aliases; it keeps them in both definitions. */
#define USER_ALIAS "ua-"

/* Same size and node, without an alias to decide. */
static gboolean is_candidate(const DmMemoryDevice *device, const DmStep *step) {
  return device->alias == NULL && device->kind == step->kind && device->size == step->size &&
    device->node == step->node;
}

/* They are indistinguishable. */
static gboolean is_same(const DmMemoryDevice *device, const DmMemoryDevice *live) {
  g_autofree char *place = dm_memory_device_place(device);
  g_autofree char *live_place = dm_memory_device_place(live);
  return place != NULL && g_strcmp0(place, live_place) == 0 && device->kind == live->kind &&
    device->size == live->size && device->node == live->node && g_strcmp0(device->backing, live->backing) == 0;
}

/* It is the twin of another device that the running VM still has. */
static gboolean belongs_to_other(const DmMemoryDevice *device, const DmStep *step, const DmConfig *live) {
  for (guint i = 0; live != NULL && i < live->devices->len; i++) {
    const DmMemoryDevice *other = live->devices->pdata[i];
    if (g_strcmp0(other->alias, step->alias) != 0 && is_same(device, other))
      return TRUE;
  }
  return FALSE;
}

DmMemoryDevice *twin_find(const DmConfig *config, const DmStep *step, const DmConfig *live, gboolean *doubt) {
  DmMemoryDevice *likely = NULL;
  guint candidates = 0;
  for (guint i = 0; step->alias != NULL && i < config->devices->len; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    if (g_strcmp0(device->alias, step->alias) == 0)
      return device;
  }
  if (step->alias != NULL && g_str_has_prefix(step->alias, USER_ALIAS))
    return NULL;
  for (guint i = 0; i < config->devices->len; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    if (!is_candidate(device, step) || belongs_to_other(device, step, live))
      continue;
    g_autofree char *place = dm_memory_device_place(device);
    gboolean same_backing = step->backing == NULL || g_strcmp0(device->backing, step->backing) == 0;
    gboolean placeless = step->place == NULL || place == NULL;
    candidates++;
    if (same_backing && !placeless && g_str_equal(place, step->place))
      return device;
    if (same_backing && placeless)
      likely = device;
  }
  if (candidates == 1 && likely != NULL)
    return likely;
  *doubt |= candidates > 0;
  return NULL;
}
