/* SPDX-License-Identifier: Apache-2.0 */
#include "floor.h"

#include "base/size.h"
#include "layout.h"
#include "plan/machine.h"
#include "plan/plug.h"

/* virtio-mem's usual step: a transparent huge page (QEMU's default for the device). */
#define BLOCK (2 * DM_MIB)

#define USUAL_UNIT (128 * DM_MIB)

/* Linux on x86: MEM_SIZE_FOR_LARGE_BLOCK, less the hole below 4 GiB, and MAX_BLOCK_SIZE (arch/x86/mm/init_64.c). */
#define MUCH_MEMORY (60 * DM_GIB)
#define LARGE_UNIT (2 * DM_GIB)

/* Linux on arm64, with pages of 64 KiB. */
#define ARM_UNIT (512 * DM_MIB)

uint64_t floor_unit(const DmConfig *config, guint node) {
  uint64_t unit = g_strcmp0(config->machine.arch, "aarch64") == 0 ? ARM_UNIT : USUAL_UNIT;
  if (dm_config_floor(config) >= MUCH_MEMORY)
    unit = LARGE_UNIT;
  return MAX(unit, layout_step(config, node));
}

static uint64_t floor_of(const DmConfig *config, guint node) {
  return g_array_index(config->floors, uint64_t, node);
}

/* That node's part of @sum, in proportion to its floor, in whole @unit. */
static uint64_t share_of(const DmConfig *config, guint node, uint64_t sum, uint64_t unit) {
  uint64_t share = (uint64_t)((double)sum * ((double)floor_of(config, node) / (double)dm_config_floor(config)));
  return share - share % unit;
}

/* One created here, among all of that kind. */
static gboolean is_own(const DmMemoryDevice *device, DmDeviceKind kind) {
  return device->kind == kind && device->alias != NULL && g_str_has_prefix(device->alias, "ua-");
}

static DmMemoryDevice *add_device(DmConfig *config, DmDeviceKind kind, guint node, uint64_t size) {
  DmMemoryDevice *device = dm_memory_device_new(kind);
  device->index = DM_DEVICE_NEW;
  device->id = g_uuid_string_random();
  device->alias = g_strconcat("ua-", device->id, NULL);
  device->node = (int)node;
  device->size = size;
  if (kind == DM_DEVICE_VIRTIO_MEM)
    device->block = MAX(BLOCK, dm_config_page(config, (int)node));
  device->dynamic_memslots = kind == DM_DEVICE_VIRTIO_MEM && dm_machine_divides(config);
  g_ptr_array_add(config->devices, device);
  return device;
}

static DmMemoryDevice *virtio_of(const DmConfig *config, guint node) {
  for (guint i = 0; i < config->devices->len; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    if (device->kind == DM_DEVICE_VIRTIO_MEM && device->node == (int)node && device->block != 0)
      return device;
  }
  return NULL;
}

/* Size of other devices in the definition: the first virtio-mem device of each node belongs to the floors. */
static uint64_t taken_by_others(const DmConfig *config) {
  uint64_t taken = layout_taken(config) - dm_config_boot(config);
  for (guint i = 0; i < config->cells->len; i++) {
    const DmMemoryDevice *own = virtio_of(config, i);
    taken -= own != NULL ? own->size : 0;
  }
  return taken;
}

/* Each node gets a virtio-mem device; together they fill what is above the floors, except @kept. */
static void fit_virtio(DmConfig *config, uint64_t kept) {
  uint64_t above = dm_size_minus(config->maximum, dm_config_floor(config));
  above = dm_size_minus(dm_size_minus(above, taken_by_others(config)), kept);
  for (guint i = 0; i < config->cells->len; i++) {
    DmMemoryDevice *own = virtio_of(config, i);
    uint64_t unit = MAX(floor_unit(config, i), own != NULL ? own->block : 0), size = share_of(config, i, above, unit);
    if (own == NULL && size > 0)
      own = add_device(config, DM_DEVICE_VIRTIO_MEM, i, size);
    if (own == NULL)
      continue;
    own->size = MAX(size, unit);
    own->requested = MIN(own->requested, own->size);
    if (size == 0 && is_own(own, DM_DEVICE_VIRTIO_MEM)) /* the maximum leaves no room for it */
      g_ptr_array_remove(config->devices, own);
  }
}

/* Adds DIMMs on that node for as much of @more as possible, while there are slots; returns the sum. */
static uint64_t add_dimms(DmConfig *config, guint node, uint64_t more) {
  uint64_t unit = floor_unit(config, node), added = 0;
  guint slots = dm_config_free_slots(config);
  more -= more % unit;
  if (more == 0 || slots == 0)
    return 0;
  g_autoptr(GArray) sizes = dm_plan_plug(DM_POLICY_FINE, more, unit, config, slots);
  for (guint i = 0; i < sizes->len; i++) {
    add_device(config, DM_DEVICE_DIMM, node, g_array_index(sizes, uint64_t, i));
    added += g_array_index(sizes, uint64_t, i);
  }
  return added;
}

/* What of @more devices cannot take. */
static uint64_t grow(DmConfig *config, uint64_t more) {
  if (config->floor_kind == DM_DEVICE_VIRTIO_MEM)
    return layout_grow_virtio(config, -1, more);
  uint64_t left = more, whole = MIN(left, layout_room(config));
  for (guint i = 0; i < config->cells->len; i++)
    left -= add_dimms(config, i, MIN(share_of(config, i, whole, floor_unit(config, i)), left));
  for (guint i = 0; i < config->cells->len; i++)
    left -= add_dimms(config, i, MIN(left, layout_room(config)));
  return left;
}

/* Devices of @node (-1: all) give @less, rounded up to a whole block or DIMM. */
static void shrink(DmConfig *config, int node, uint64_t less) {
  DmMemoryDevice *smallest = NULL;
  less = layout_take_from_devices(config, node, less);
  for (guint i = 0; less > 0 && i < config->devices->len; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    uint64_t unit = device->kind == DM_DEVICE_VIRTIO_MEM ? device->block : device->size;
    uint64_t least = smallest == NULL          ? UINT64_MAX
      : smallest->kind == DM_DEVICE_VIRTIO_MEM ? smallest->block
                                               : smallest->size;
    if ((node < 0 || device->node == node) && dm_memory_device_memory(device) >= unit && unit > 0 && unit < least)
      smallest = device;
  }
  if (smallest != NULL)
    layout_release(config, smallest, smallest->kind == DM_DEVICE_VIRTIO_MEM ? smallest->block : smallest->size);
}

/* Cells get their floors, devices the rest; returns what of @wanted neither can take. */
static uint64_t fill(DmConfig *config, uint64_t wanted) {
  for (guint i = 0; i < config->cells->len; i++)
    *layout_cell(config, i) = floor_of(config, i);
  uint64_t floor = dm_config_floor(config), above = dm_size_minus(wanted, floor);
  uint64_t held = dm_config_memory(config) - floor;
  if (held > above)
    shrink(config, -1, held - above);
  return grow(config, above - (dm_config_memory(config) - floor));
}

gboolean floor_lay_out(DmConfig *config, uint64_t wanted) {
  uint64_t floor = dm_config_floor(config), rest;
  gboolean virtio = config->floor_kind == DM_DEVICE_VIRTIO_MEM;
  if (virtio)
    fit_virtio(config, 0);
  rest = fill(config, wanted);
  /* What is less than a block must fit below the maximum, too. */
  if (virtio && rest > layout_room(config)) {
    fit_virtio(config, floor_unit(config, 0) * config->cells->len);
    rest = fill(config, wanted);
  }
  layout_spread(config, rest);
  return wanted >= floor || layout_take_from_cells(config, floor - wanted) == 0;
}

/* What a node has, boot memory and devices. */
static uint64_t sum_of(DmConfig *config, guint node) {
  return dm_size_plus(*layout_cell(config, node), layout_held(config, node));
}

static void fill_nodes(DmConfig *config, const GArray *sums) {
  for (guint i = 0; i < config->cells->len; i++) {
    uint64_t sum = g_array_index(sums, uint64_t, i), above = dm_size_minus(sum, floor_of(config, i));
    *layout_cell(config, i) = sum - above;
    if (layout_held(config, i) > above)
      shrink(config, (int)i, layout_held(config, i) - above);
  }
  for (guint i = 0; i < config->cells->len; i++) {
    uint64_t rest = g_array_index(sums, uint64_t, i) - sum_of(config, i);
    if (config->floor_kind == DM_DEVICE_VIRTIO_MEM)
      rest = layout_grow_virtio(config, (int)i, rest);
    else
      rest -= add_dimms(config, i, MIN(rest, layout_room(config)));
    *layout_cell(config, i) += rest;
  }
}

gboolean floor_lay_out_node(DmConfig *config, guint node, uint64_t wanted, uint64_t had, FloorNode *left) {
  uint64_t memory = dm_config_memory(config), less = dm_size_minus(memory, wanted);
  uint64_t sum = sum_of(config, node), least = MIN(floor_of(config, node), had);
  g_autoptr(GArray) sums = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  *left = (FloorNode){.missing = dm_size_minus(dm_size_plus(least, less), sum)};
  if (left->missing > 0)
    return FALSE;
  for (guint i = 0; i < config->cells->len; i++) {
    uint64_t its = i == node ? sum - less + dm_size_minus(wanted, memory) : sum_of(config, i);
    g_array_append_val(sums, its);
  }
  gboolean virtio = config->floor_kind == DM_DEVICE_VIRTIO_MEM;
  if (virtio)
    fit_virtio(config, 0);
  fill_nodes(config, sums);
  if (virtio && layout_taken(config) > config->maximum) {
    fit_virtio(config, floor_unit(config, 0) * config->cells->len);
    fill_nodes(config, sums);
  }
  left->missing = dm_size_minus(layout_taken(config), dm_config_maximum(config));
  left->boot = dm_size_minus(*layout_cell(config, node), floor_of(config, node));
  left->odd = left->boot % layout_step(config, node);
  return left->missing == 0 && left->odd == 0;
}

/* Turns the memory of the floors' own devices into boot memory of their nodes. */
static void drop_own(DmConfig *config) {
  for (guint i = config->devices->len; i > 0; i--) {
    DmMemoryDevice *device = config->devices->pdata[i - 1];
    if (!is_own(device, config->floor_kind))
      continue;
    guint node = (guint)MAX(device->node, 0);
    *layout_cell(config, node < config->cells->len ? node : 0) += dm_memory_device_memory(device);
    g_ptr_array_remove_index(config->devices, i - 1);
  }
}

void floor_set(DmConfig *config, const GArray *floors, DmDeviceKind kind) {
  if (config->floors->len > 0 && (floors->len == 0 || kind != config->floor_kind))
    drop_own(config);
  g_array_unref(config->floors);
  config->floors = g_array_copy((GArray *)floors);
  config->floor_kind = floors->len > 0 ? kind : DM_DEVICE_VIRTIO_MEM;
}
