/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/next_run.h"

#include "base/error.h"
#include "base/size.h"
#include "plan/unplug.h"

/* The step in which boot memory is cut: QEMU wants whole MiB on x86, and whole pages where huge pages back it. */
static uint64_t cell_step(const DmConfig *config) {
  return MAX(DM_MIB, config->page);
}

/* Boot memory and the full size of each device: what has to fit below the maximum. */
static uint64_t taken_by(const DmConfig *config) {
  uint64_t taken = dm_config_boot(config);
  for (guint i = 0; i < config->devices->len; i++)
    taken = dm_size_plus(taken, ((DmMemoryDevice *)config->devices->pdata[i])->size);
  return taken;
}

static uint64_t *cell(DmConfig *config, guint i) {
  return &g_array_index(config->cells, uint64_t, i);
}

static void drop_device(DmConfig *config, const DmMemoryDevice *device) {
  g_ptr_array_remove(config->devices, (gpointer)device);
}

/* The persistent twin of a live device: the same user alias, or else the same kind, size and node. */
static DmMemoryDevice *find_twin(const DmConfig *config, const DmMemoryDevice *device) {
  DmMemoryDevice *alike = NULL;
  for (guint i = 0; i < config->devices->len; i++) {
    DmMemoryDevice *candidate = config->devices->pdata[i];
    if (candidate->alias != NULL && g_strcmp0(candidate->alias, device->alias) == 0)
      return candidate;
    if (candidate->alias == NULL && candidate->kind == device->kind && candidate->size == device->size &&
      candidate->node == device->node)
      alike = candidate;
  }
  return alike;
}

/* Gives @release of @device back: a DIMM whole, a virtio-mem device in blocks. */
static void release_device(DmConfig *config, DmMemoryDevice *device, uint64_t release) {
  if (device->kind == DM_DEVICE_DIMM)
    drop_device(config, device);
  else
    device->requested -= release;
}

/* Takes as much of @less as the twin of @hint can give; returns what is left of it. */
static uint64_t take_from_twin(DmConfig *config, uint64_t less, const DmMemoryDevice *hint) {
  DmMemoryDevice *twin = find_twin(config, hint);
  if (twin == NULL)
    return less;
  g_autoptr(GPtrArray) only = g_ptr_array_new();
  g_ptr_array_add(only, twin);
  g_autoptr(GArray) releases = dm_plan_unplug(only, less);
  uint64_t released = dm_plan_released(releases);
  if (released > 0)
    release_device(config, twin, released);
  return less - released;
}

/* Takes as much of @less as devices can give; returns what is left of it. */
static uint64_t take_from_devices(DmConfig *config, uint64_t less) {
  g_autoptr(GArray) releases = dm_plan_unplug(config->devices, less);
  for (guint i = 0; i < releases->len; i++) {
    const DmRelease *release = &g_array_index(releases, DmRelease, i);
    less -= release->release;
    release_device(config, (DmMemoryDevice *)release->device, release->release);
  }
  return less;
}

/* What the cells can give, if each keeps a step. */
static uint64_t spare_of_cells(DmConfig *config) {
  uint64_t spare = 0;
  for (guint i = 0; i < config->cells->len; i++)
    spare += dm_size_minus(*cell(config, i), cell_step(config));
  return spare;
}

/* Where nothing else is left: the smallest DIMM of more than @less goes, and boot memory gets the rest of it. */
static uint64_t trade_dimm(DmConfig *config, uint64_t less) {
  DmMemoryDevice *smallest = NULL;
  for (guint i = 0; i < config->devices->len; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    if (device->kind == DM_DEVICE_DIMM && device->size > less && (smallest == NULL || device->size < smallest->size))
      smallest = device;
  }
  if (smallest == NULL)
    return less;
  *cell(config, 0) += smallest->size - less;
  drop_device(config, smallest);
  return 0;
}

static guint largest_cell(DmConfig *config) {
  guint largest = 0;
  for (guint i = 1; i < config->cells->len; i++) {
    if (*cell(config, i) > *cell(config, largest))
      largest = i;
  }
  return largest;
}

/* The largest memory of any cell but @except. */
static uint64_t second_largest(DmConfig *config, guint except) {
  uint64_t second = 0;
  for (guint i = 0; i < config->cells->len; i++) {
    if (i != except)
      second = MAX(second, *cell(config, i));
  }
  return second;
}

/* Lowers the largest cells to one level until @less is gone; each keeps at least one step. */
static uint64_t take_from_cells(DmConfig *config, uint64_t less) {
  uint64_t step = cell_step(config);
  while (less > 0) {
    guint largest = largest_cell(config);
    uint64_t *memory = cell(config, largest);
    if (*memory <= step)
      break;
    uint64_t down_to = MAX(second_largest(config, largest), step);
    uint64_t take = *memory > down_to ? *memory - down_to : step;
    take = MIN(MIN(take, less), *memory - step);
    *memory -= take;
    less -= take;
  }
  return less;
}

static gboolean too_small(const char *vm_name, const DmConfig *config, uint64_t wanted, GError **error) {
  g_autofree char *wanted_text = dm_size_format(wanted);
  g_autofree char *least = dm_size_format(config->cells->len * cell_step(config));
  g_set_error(error, DM_ERROR, DM_ERROR_SIZE_ZERO,
    "%s cannot start with %s: each of its %u NUMA cells needs memory; ask for %s at least", vm_name, wanted_text,
    config->cells->len, least);
  return FALSE;
}

/* What is below maximum; each device takes its full size. UINT64_MAX where there is none. */
static uint64_t room_of(const DmConfig *config) {
  uint64_t maximum = config->maximum != 0 ? config->maximum : config->hidden_maximum;
  return maximum != 0 ? dm_size_minus(maximum, taken_by(config)) : UINT64_MAX;
}

static guint node_of(const DmConfig *config, const DmMemoryDevice *hint) {
  return hint->node >= 0 && (guint)hint->node < config->cells->len ? (guint)hint->node : 0;
}

/* To each cell in proportion to what it has, in whole steps; the first takes the rest. */
static void spread_over_cells(DmConfig *config, uint64_t more) {
  uint64_t boot = dm_config_boot(config), step = cell_step(config), left = more;
  for (guint i = 1; i < config->cells->len && boot > 0; i++) {
    uint64_t share = (uint64_t)((double)more * ((double)*cell(config, i) / (double)boot));
    share = MIN(share - share % step, left);
    *cell(config, i) += share;
    left -= share;
  }
  *cell(config, 0) += left;
}

/* More memory is boot memory while that fits below the maximum, then what virtio-mem devices there can hold. */
static void add_memory(DmConfig *config, uint64_t more, const DmMemoryDevice *hint) {
  uint64_t boot = MIN(more, room_of(config));
  boot -= boot % cell_step(config);
  uint64_t rest = more - boot;
  for (guint i = 0; i < config->devices->len && rest > 0; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    if (device->kind != DM_DEVICE_VIRTIO_MEM || device->block == 0)
      continue;
    uint64_t grow = MIN(rest, dm_size_minus(device->size, device->requested));
    grow -= grow % device->block;
    device->requested += grow;
    rest -= grow;
  }
  if (hint != NULL)
    *cell(config, node_of(config, hint)) += boot + rest;
  else
    spread_over_cells(config, boot + rest);
}

static gboolean set_memory(
  DmConfig *config, uint64_t wanted, const DmMemoryDevice *hint, const char *vm_name, GError **error) {
  uint64_t memory = dm_config_memory(config);
  if (wanted > memory) {
    add_memory(config, wanted - memory, hint);
    return TRUE;
  }
  uint64_t less = memory - wanted;
  if (hint != NULL) {
    guint node = node_of(config, hint);
    less = take_from_twin(config, less, hint);
    uint64_t spare = dm_size_minus(*cell(config, node), cell_step(config)), take = MIN(spare, less);
    if (take == less) { /* all of it or nothing: half of a device in each place would be no one's picture */
      *cell(config, node) -= take;
      less = 0;
    }
  }
  less = take_from_devices(config, less);
  if (less > spare_of_cells(config))
    less = trade_dimm(config, less);
  less = take_from_cells(config, less);
  return less == 0 || too_small(vm_name, config, wanted, error);
}

static gboolean has_whole_pages(const DmConfig *config, const char *vm_name, uint64_t wanted, GError **error) {
  if (config->page == 0 || wanted % config->page == 0)
    return TRUE;
  g_autofree char *wanted_text = dm_size_format(wanted);
  g_autofree char *page = dm_size_format(config->page);
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE,
    "%s is backed by huge pages of %s and could not start with %s; ask for a multiple of %s", vm_name, page,
    wanted_text, page);
  return FALSE;
}

/* Keeps the maximum aside while it equals boot memory, and brings it back when there is room again. */
static void settle_maximum(DmConfig *config) {
  uint64_t maximum = config->maximum != 0 ? config->maximum : config->hidden_maximum;
  guint slots = config->maximum != 0 ? config->slots : config->hidden_slots;
  gboolean keep_aside = maximum != 0 && config->devices->len == 0 && dm_config_boot(config) >= maximum;
  config->maximum = keep_aside ? 0 : maximum;
  config->slots = keep_aside ? 0 : slots;
  config->hidden_maximum = keep_aside ? maximum : 0;
  config->hidden_slots = keep_aside ? slots : 0;
}

static gboolean fits_maximum(const DmConfig *config, const char *vm_name, GError **error) {
  uint64_t maximum = dm_config_maximum(config), memory = dm_config_memory(config), taken = taken_by(config);
  if ((config->maximum == 0 && config->hidden_maximum == 0) || taken <= maximum)
    return TRUE;
  g_autofree char *maximum_text = dm_size_format(maximum);
  g_autofree char *memory_text = dm_size_format(memory);
  g_autofree char *full = dm_size_format(taken - memory);
  g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM,
    "the next run of %s would have %s%s%s, above its maximum of %s; ask for less, or raise the maximum", vm_name,
    memory_text, taken > memory ? " and room kept for virtio-mem of " : "", taken > memory ? full : "", maximum_text);
  dm_error_add_command(error, "dimmer", "set", vm_name, "--max", "SIZE", NULL);
  return FALSE;
}

DmConfig *dm_plan_next_run(
  const DmConfig *persistent, const DmValues *values, const DmMemoryDevice *hint, const char *vm_name, GError **error) {
  g_autoptr(DmConfig) config = dm_config_copy(persistent);
  if (values->maximum != 0) {
    config->maximum = values->maximum;
    config->slots = values->slots != 0 ? values->slots : MAX(config->slots, config->hidden_slots);
    config->hidden_maximum = 0;
  }
  if (values->slots != 0) /* 'enable': QEMU hot plugs into a NUMA cell only */
    config->has_numa = TRUE;
  if (values->memory != 0) {
    if (!has_whole_pages(config, vm_name, values->memory, error) ||
      !set_memory(config, values->memory, hint, vm_name, error))
      return NULL;
  }
  if (values->guaranteed != 0)
    config->guaranteed = values->guaranteed;
  if (!fits_maximum(config, vm_name, error))
    return NULL;
  settle_maximum(config);
  return g_steal_pointer(&config);
}
