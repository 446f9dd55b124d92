/* SPDX-License-Identifier: Apache-2.0 */
#include "model/config.h"

#include "base/size.h"

DmMemoryDevice *dm_memory_device_new(DmDeviceKind kind) {
  DmMemoryDevice *device = g_new0(DmMemoryDevice, 1);
  device->kind = kind;
  device->slot = -1;
  return device;
}

DmMemoryDevice *dm_memory_device_copy(const DmMemoryDevice *device) {
  DmMemoryDevice *copy = g_memdup2(device, sizeof *device);
  copy->id = g_strdup(device->id);
  copy->alias = g_strdup(device->alias);
  copy->model = g_strdup(device->model);
  copy->bus_address = g_strdup(device->bus_address);
  return copy;
}

void dm_memory_device_free(DmMemoryDevice *device) {
  if (device == NULL)
    return;
  g_free(device->id);
  g_free(device->alias);
  g_free(device->model);
  g_free(device->bus_address);
  g_free(device);
}

uint64_t dm_memory_device_memory(const DmMemoryDevice *device) {
  switch (device->kind) {
    case DM_DEVICE_DIMM:
      return device->size;
    case DM_DEVICE_VIRTIO_MEM:
      return MAX(device->requested, device->current);
    case DM_DEVICE_OTHER:
      break;
  }
  return 0;
}

const char *dm_memory_device_kind_name(const DmMemoryDevice *device) {
  switch (device->kind) {
    case DM_DEVICE_DIMM:
      return "dimm";
    case DM_DEVICE_VIRTIO_MEM:
      return "virtio-mem";
    case DM_DEVICE_OTHER:
      break;
  }
  return device->model != NULL ? device->model : "other";
}

static void free_device(gpointer device) {
  dm_memory_device_free(device);
}

static gpointer copy_device(gconstpointer device, gpointer unused) {
  return dm_memory_device_copy(device);
}

DmConfig *dm_config_new(void) {
  DmConfig *config = g_new0(DmConfig, 1);
  config->cells = g_array_new(FALSE, TRUE, sizeof(uint64_t));
  config->devices = g_ptr_array_new_with_free_func(free_device);
  return config;
}

DmConfig *dm_config_copy(const DmConfig *config) {
  DmConfig *copy = g_memdup2(config, sizeof *config);
  copy->cells = g_array_copy(config->cells);
  copy->devices = g_ptr_array_copy(config->devices, copy_device, NULL);
  return copy;
}

void dm_config_free(DmConfig *config) {
  if (config == NULL)
    return;
  g_array_unref(config->cells);
  g_ptr_array_unref(config->devices);
  g_free(config);
}

uint64_t dm_config_boot(const DmConfig *config) {
  uint64_t sum = 0;
  for (guint i = 0; i < config->cells->len; i++)
    sum = dm_size_plus(sum, g_array_index(config->cells, uint64_t, i));
  return sum;
}

uint64_t dm_config_memory(const DmConfig *config) {
  uint64_t sum = dm_config_boot(config);
  for (guint i = 0; i < config->devices->len; i++)
    sum = dm_size_plus(sum, dm_memory_device_memory(config->devices->pdata[i]));
  return sum;
}

uint64_t dm_config_guaranteed(const DmConfig *config) {
  uint64_t memory = dm_config_memory(config);
  return config->guaranteed == 0 ? memory : MIN(config->guaranteed, memory);
}

uint64_t dm_config_maximum(const DmConfig *config) {
  if (config->maximum != 0)
    return config->maximum;
  return config->hidden_maximum != 0 ? config->hidden_maximum : dm_config_memory(config);
}

guint dm_config_free_slots(const DmConfig *config) {
  return config->slots > config->devices->len ? config->slots - config->devices->len : 0;
}

uint64_t dm_config_plug_room(const DmConfig *config) {
  uint64_t taken = dm_config_boot(config);
  for (guint i = 0; i < config->devices->len; i++)
    taken = dm_size_plus(taken, ((DmMemoryDevice *)config->devices->pdata[i])->size);
  return dm_size_minus(config->maximum, taken);
}

DmMemoryDevice *dm_config_find_alias(const DmConfig *config, const char *alias) {
  for (guint i = 0; i < config->devices->len; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    if (g_strcmp0(device->alias, alias) == 0)
      return device;
  }
  return NULL;
}

gboolean dm_config_equal_values(const DmConfig *a, const DmConfig *b) {
  return dm_config_memory(a) == dm_config_memory(b) && dm_config_guaranteed(a) == dm_config_guaranteed(b) &&
    dm_config_maximum(a) == dm_config_maximum(b) && a->maximum == b->maximum && a->slots == b->slots;
}
