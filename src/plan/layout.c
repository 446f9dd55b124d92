/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include "base/size.h"
#include "plan/unplug.h"

uint64_t layout_step(const DmConfig *config, guint i) {
  return MAX(config->step, dm_config_page(config, (int)i));
}

guint layout_finest(const DmConfig *config) {
  guint finest = 0;
  for (guint i = 1; i < config->cells->len; i++) {
    if (layout_step(config, i) < layout_step(config, finest))
      finest = i;
  }
  return finest;
}

uint64_t layout_taken(const DmConfig *config) {
  uint64_t taken = dm_config_boot(config);
  for (guint i = 0; i < config->devices->len; i++)
    taken = dm_size_plus(taken, ((DmMemoryDevice *)config->devices->pdata[i])->size);
  return taken;
}

uint64_t *layout_cell(DmConfig *config, guint i) {
  return &g_array_index(config->cells, uint64_t, i);
}

static void drop_device(DmConfig *config, const DmMemoryDevice *device) {
  g_ptr_array_remove(config->devices, (gpointer)device);
}

void layout_release(DmConfig *config, DmMemoryDevice *device, uint64_t release) {
  if (device->kind == DM_DEVICE_DIMM)
    drop_device(config, device);
  else
    device->requested -= release;
}

static gboolean is_of(const DmMemoryDevice *device, int node) {
  return node < 0 || device->node == node;
}

uint64_t layout_held(const DmConfig *config, guint node) {
  uint64_t sum = 0;
  for (guint i = 0; i < config->devices->len; i++) {
    const DmMemoryDevice *device = config->devices->pdata[i];
    sum = dm_size_plus(sum, is_of(device, (int)node) ? dm_memory_device_memory(device) : 0);
  }
  return sum;
}

uint64_t layout_take_from_devices(DmConfig *config, int node, uint64_t less) {
  g_autoptr(GPtrArray) devices = g_ptr_array_new(); /* borrowed */
  for (guint i = 0; i < config->devices->len; i++) {
    if (is_of(config->devices->pdata[i], node))
      g_ptr_array_add(devices, config->devices->pdata[i]);
  }
  g_autoptr(GArray) releases = dm_plan_unplug(devices, less);
  for (guint i = 0; i < releases->len; i++) {
    const DmRelease *release = &g_array_index(releases, DmRelease, i);
    less -= release->release;
    layout_release(config, (DmMemoryDevice *)release->device, release->release);
  }
  return less;
}

uint64_t layout_cell_spare(DmConfig *config, guint i) {
  uint64_t spare = dm_size_minus(*layout_cell(config, i), layout_step(config, i));
  return spare - spare % layout_step(config, i);
}

uint64_t layout_spare(DmConfig *config) {
  uint64_t spare = 0;
  for (guint i = 0; i < config->cells->len; i++)
    spare += layout_cell_spare(config, i);
  return spare;
}

uint64_t layout_trade_dimm(DmConfig *config, int node, uint64_t less) {
  guint cell = node < 0 ? layout_finest(config) : (guint)node;
  uint64_t step = node < 0 ? 1 : layout_step(config, cell);
  DmMemoryDevice *smallest = NULL;
  for (guint i = 0; i < config->devices->len; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    if (device->kind == DM_DEVICE_DIMM && device->size > less && is_of(device, node) &&
      (device->size - less) % step == 0 && (smallest == NULL || device->size < smallest->size))
      smallest = device;
  }
  if (smallest == NULL)
    return less;
  *layout_cell(config, cell) += smallest->size - less;
  drop_device(config, smallest);
  return 0;
}

/* The largest cell that can give a step of at most @less; cells->len if none. */
static guint largest_cell(DmConfig *config, uint64_t less) {
  guint largest = config->cells->len;
  for (guint i = 0; i < config->cells->len; i++) {
    if (layout_cell_spare(config, i) > 0 && layout_step(config, i) <= less &&
      (largest == config->cells->len || *layout_cell(config, i) > *layout_cell(config, largest)))
      largest = i;
  }
  return largest;
}

/* The largest memory of any cell but @except. */
static uint64_t second_largest(DmConfig *config, guint except) {
  uint64_t second = 0;
  for (guint i = 0; i < config->cells->len; i++) {
    if (i != except)
      second = MAX(second, *layout_cell(config, i));
  }
  return second;
}

/* For less than a page of the cells that can give one: one gives a page, and the finest cell takes the excess. */
static uint64_t take_one_page(DmConfig *config, uint64_t less) {
  for (guint i = 0; less > 0 && i < config->cells->len; i++) {
    if (layout_cell_spare(config, i) == 0 || layout_step(config, i) < less)
      continue;
    *layout_cell(config, i) -= layout_step(config, i);
    *layout_cell(config, layout_finest(config)) += layout_step(config, i) - less;
    return 0;
  }
  return less;
}

uint64_t layout_take_from_cells(DmConfig *config, uint64_t less) {
  for (guint largest; less > 0 && (largest = largest_cell(config, less)) < config->cells->len;) {
    uint64_t step = layout_step(config, largest), *memory = layout_cell(config, largest);
    uint64_t down_to = MAX(second_largest(config, largest), step);
    uint64_t take = MIN(*memory > down_to ? *memory - down_to : step, MIN(less, layout_cell_spare(config, largest)));
    take = MAX(take - take % step, step);
    *memory -= take;
    less -= take;
  }
  return take_one_page(config, less);
}

uint64_t layout_room(const DmConfig *config) {
  uint64_t maximum = config->maximum != 0 ? config->maximum : config->hidden_maximum;
  return maximum != 0 ? dm_size_minus(maximum, layout_taken(config)) : UINT64_MAX;
}

void layout_spread(DmConfig *config, uint64_t more) {
  uint64_t boot = dm_config_boot(config), left = more;
  guint finest = layout_finest(config);
  for (guint i = 0; i < config->cells->len && boot > 0; i++) {
    uint64_t share = (uint64_t)((double)more * ((double)*layout_cell(config, i) / (double)boot));
    share = i != finest ? MIN(share - share % layout_step(config, i), left) : 0;
    *layout_cell(config, i) += share;
    left -= share;
  }
  *layout_cell(config, finest) += left;
}

static gboolean is_virtio_of(const DmMemoryDevice *device, int node) {
  return device->kind == DM_DEVICE_VIRTIO_MEM && device->block != 0 && is_of(device, node);
}

/* Each in proportion to its room, so that nodes stay balanced; then what block rounding left. */
uint64_t layout_grow_virtio(DmConfig *config, int node, uint64_t more) {
  uint64_t room = 0, left = more;
  for (guint i = 0; i < config->devices->len; i++) {
    const DmMemoryDevice *device = config->devices->pdata[i];
    if (is_virtio_of(device, node))
      room = dm_size_plus(room, dm_size_minus(device->size, device->requested));
  }
  for (guint round = 0; round < 2; round++) {
    for (guint i = 0; i < config->devices->len && left > 0 && room > 0; i++) {
      DmMemoryDevice *device = config->devices->pdata[i];
      if (!is_virtio_of(device, node))
        continue;
      uint64_t free = dm_size_minus(device->size, device->requested);
      uint64_t share = round == 0 ? (uint64_t)((double)more * ((double)free / (double)room)) : left;
      uint64_t grow = MIN(MIN(share, left), free);
      grow -= grow % device->block;
      device->requested += grow;
      left -= grow;
    }
  }
  return left;
}

uint64_t layout_shrink_virtio(DmConfig *config, int node, uint64_t less) {
  for (guint i = 0; i < config->devices->len && less > 0; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    if (!is_virtio_of(device, node))
      continue;
    uint64_t shrink = MIN(less, device->requested);
    shrink -= shrink % device->block;
    device->requested -= shrink;
    less -= shrink;
  }
  return less;
}
