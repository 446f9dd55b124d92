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
  copy->backing = g_strdup(device->backing);
  return copy;
}

void dm_memory_device_free(DmMemoryDevice *device) {
  if (device == NULL)
    return;
  g_free(device->id);
  g_free(device->alias);
  g_free(device->model);
  g_free(device->bus_address);
  g_free(device->backing);
  g_free(device);
}

uint64_t dm_memory_device_memory(const DmMemoryDevice *device) {
  switch (device->kind) {
    case DM_DEVICE_DIMM:
      return device->size;
    case DM_DEVICE_VIRTIO_MEM:
      return device->live ? device->current : device->requested;
    case DM_DEVICE_OTHER:
      break;
  }
  return 0;
}

uint64_t dm_memory_device_promised(const DmMemoryDevice *device) {
  gboolean virtio = device->kind == DM_DEVICE_VIRTIO_MEM;
  return virtio ? MAX(device->requested, device->current) : dm_memory_device_memory(device);
}

char *dm_memory_device_place(const DmMemoryDevice *device) {
  if (device->slot >= 0)
    return g_strdup_printf("slot %d", device->slot);
  return g_strdup(device->bus_address);
}

static const char *const use_names[] = {
  [DM_BALLOON_USE_ASK] = "ask",
  [DM_BALLOON_USE_NEVER] = "never",
  [DM_BALLOON_USE_ALLOW] = "allow",
};
G_STATIC_ASSERT(G_N_ELEMENTS(use_names) == DM_BALLOON_USES);

const char *dm_balloon_use_name(DmBalloonUse use) {
  return use_names[use];
}

gboolean dm_balloon_use_from_name(const char *name, DmBalloonUse *use) {
  for (gsize i = 0; i < DM_BALLOON_USES; i++) {
    if (g_strcmp0(use_names[i], name) == 0) {
      *use = (DmBalloonUse)i;
      return TRUE;
    }
  }
  return FALSE;
}

const char *dm_device_kind_name(DmDeviceKind kind) {
  static const char *const names[] = {
    [DM_DEVICE_DIMM] = "dimm",
    [DM_DEVICE_VIRTIO_MEM] = "virtio-mem",
    [DM_DEVICE_OTHER] = "other",
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_DEVICE_KINDS);
  return names[kind];
}

const char *dm_memory_device_kind_name(const DmMemoryDevice *device) {
  return device->kind == DM_DEVICE_OTHER && device->model != NULL ? device->model : dm_device_kind_name(device->kind);
}

char *dm_device_describe(const char *kind, const char *id, guint length, uint64_t size) {
  g_autofree char *text = dm_size_format(size);
  return g_strdup_printf("%s %.*s (%s)", kind, (int)length, id, text);
}

static void free_device(gpointer device) {
  dm_memory_device_free(device);
}

static gpointer copy_device(gconstpointer device, gpointer unused) {
  return dm_memory_device_copy(device);
}

const char *dm_memory_device_state_name(const DmMemoryDevice *device) {
  gboolean differs = device->kind == DM_DEVICE_VIRTIO_MEM && device->live && device->requested != device->current;
  return differs ? "resizing" : "present";
}

DmConfig *dm_config_new(void) {
  DmConfig *config = g_new0(DmConfig, 1);
  config->cells = g_array_new(FALSE, TRUE, sizeof(uint64_t));
  config->pages = g_array_new(FALSE, TRUE, sizeof(uint64_t));
  config->floors = g_array_new(FALSE, TRUE, sizeof(uint64_t));
  config->floor_kind = DM_DEVICE_VIRTIO_MEM;
  config->devices = g_ptr_array_new_with_free_func(free_device);
  config->step = DM_MIB;
  return config;
}

DmConfig *dm_config_copy(const DmConfig *config) {
  DmConfig *copy = g_memdup2(config, sizeof *config);
  copy->cells = g_array_copy(config->cells);
  copy->pages = g_array_copy(config->pages);
  copy->floors = g_array_copy(config->floors);
  copy->devices = g_ptr_array_copy(config->devices, copy_device, NULL);
  return copy;
}

void dm_config_free(DmConfig *config) {
  if (config == NULL)
    return;
  g_array_unref(config->cells);
  g_array_unref(config->pages);
  g_array_unref(config->floors);
  g_ptr_array_unref(config->devices);
  g_free(config);
}

static uint64_t sum_of(const GArray *sizes) {
  uint64_t sum = 0;
  for (guint i = 0; i < sizes->len; i++)
    sum = dm_size_plus(sum, g_array_index(sizes, uint64_t, i));
  return sum;
}

uint64_t dm_config_boot(const DmConfig *config) {
  return sum_of(config->cells);
}

uint64_t dm_config_floor(const DmConfig *config) {
  return sum_of(config->floors);
}

uint64_t dm_config_memory(const DmConfig *config) {
  uint64_t sum = dm_config_boot(config);
  for (guint i = 0; i < config->devices->len; i++)
    sum = dm_size_plus(sum, dm_memory_device_memory(config->devices->pdata[i]));
  return sum;
}

uint64_t dm_config_fixed(const DmConfig *config) {
  uint64_t sum = dm_config_boot(config);
  for (guint i = 0; i < config->devices->len; i++) {
    const DmMemoryDevice *device = config->devices->pdata[i];
    if (device->kind == DM_DEVICE_DIMM)
      sum = dm_size_plus(sum, device->size);
  }
  return sum;
}

uint64_t dm_config_promised(const DmConfig *config) {
  uint64_t sum = dm_config_boot(config);
  for (guint i = 0; i < config->devices->len; i++)
    sum = dm_size_plus(sum, dm_memory_device_promised(config->devices->pdata[i]));
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

gboolean dm_config_takes_slot(const DmConfig *config, const DmMemoryDevice *device) {
  gboolean virtio = device->kind == DM_DEVICE_VIRTIO_MEM || g_strcmp0(device->model, "virtio-pmem") == 0;
  return !virtio || !config->slotless_virtio;
}

guint dm_config_free_slots(const DmConfig *config) {
  guint taken = 0;
  for (guint i = 0; i < config->devices->len; i++)
    taken += dm_config_takes_slot(config, config->devices->pdata[i]);
  return config->slots > taken ? config->slots - taken : 0;
}

uint64_t dm_config_plug_room(const DmConfig *config) {
  uint64_t taken = dm_config_boot(config);
  for (guint i = 0; i < config->devices->len; i++)
    taken = dm_size_plus(taken, ((DmMemoryDevice *)config->devices->pdata[i])->size);
  return dm_size_minus(config->maximum, taken);
}

uint64_t dm_config_page(const DmConfig *config, int node) {
  return node >= 0 && (guint)node < config->pages->len ? g_array_index(config->pages, uint64_t, node) : 0;
}

uint64_t dm_config_largest_page(const DmConfig *config) {
  uint64_t largest = 0;
  for (guint i = 0; i < config->pages->len; i++)
    largest = MAX(largest, g_array_index(config->pages, uint64_t, i));
  return largest;
}

/* What rounding up may add at most: 1 MiB for each cell, 2 MiB for each DIMM (domain_xml.c). */
static uint64_t rounding_of(const DmConfig *config) {
  uint64_t most = MAX(config->cells->len, 1) * DM_MIB;
  for (guint i = 0; i < config->devices->len; i++) {
    if (((const DmMemoryDevice *)config->devices->pdata[i])->kind == DM_DEVICE_DIMM)
      most += 2 * DM_MIB;
  }
  return most;
}

uint64_t dm_config_ballooned(const DmConfig *config) {
  uint64_t ballooned = dm_size_minus(dm_config_fixed(config), config->balloon);
  return config->balloon == 0 || ballooned < rounding_of(config) ? 0 : ballooned;
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
    dm_config_maximum(a) == dm_config_maximum(b) && a->maximum == b->maximum && a->slots == b->slots &&
    dm_config_floor(a) == dm_config_floor(b);
}
