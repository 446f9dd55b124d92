/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/next_run.h"

#include "base/error.h"
#include "base/size.h"
#include "floor.h"
#include "layout.h"
#include "plan/machine.h"
#include "plan/unplug.h"
#include "twin.h"
#include "words/rules.h"

static gboolean too_small(const char *vm_name, const DmConfig *config, uint64_t wanted, GError **error) {
  g_autofree char *wanted_text = dm_size_format(wanted);
  uint64_t steps = 0;
  for (guint i = 0; i < config->cells->len; i++)
    steps += layout_step(config, i);
  g_autofree char *least = dm_size_format(steps);
  g_set_error(
    error, DM_ERROR, DM_ERROR_SIZE_ZERO, DM_RULE_CELLS_NEED_MEMORY, vm_name, wanted_text, config->cells->len, least);
  return FALSE;
}

static guint node_of(const DmConfig *config, const DmStep *step) {
  return step->node >= 0 && (guint)step->node < config->cells->len ? (guint)step->node : 0;
}

/*
 * More memory goes to existing virtio-mem devices, which can release it again after the start, then to boot memory; for
 * a guest without a driver, to boot memory only while that fits below the maximum.
 */
static void add_memory(DmConfig *config, uint64_t more, gboolean virtio) {
  uint64_t boot = virtio ? 0 : MIN(more, layout_room(config));
  boot -= boot % layout_step(config, layout_finest(config));
  layout_spread(config, boot + layout_grow_virtio(config, -1, more - boot));
}

/* All or nothing: do not split a device between two places. */
static gboolean take_from_cell(DmConfig *config, guint node, uint64_t less) {
  if (layout_cell_spare(config, node) < less || less % layout_step(config, node) != 0)
    return FALSE;
  *layout_cell(config, node) -= less;
  return TRUE;
}

/* Takes what the device of @step gave from its twin, else from its node's devices or cell, as far as possible. */
static void release_along(DmConfig *config, const DmStep *step, const DmTrail *trail, gboolean *doubt) {
  uint64_t less = step->from - step->to;
  DmMemoryDevice *twin = twin_find(config, step, trail->live, doubt);
  if (twin != NULL) {
    g_autoptr(GPtrArray) only = g_ptr_array_new();
    g_ptr_array_add(only, twin);
    g_autoptr(GArray) releases = dm_plan_unplug(only, less);
    uint64_t released = dm_plan_released(releases);
    if (released > 0)
      layout_release(config, twin, released);
    less -= released;
  }
  guint node = node_of(config, step);
  if (step->kind == DM_DEVICE_VIRTIO_MEM || config->floors->len > 0)
    less = layout_shrink_virtio(config, (int)node, less);
  take_from_cell(config, node, less);
}

/* A new DIMM stays a DIMM if the definition has DIMMs above its floor. */
static gboolean gain_dimm(DmConfig *config, const DmStep *step) {
  if (config->floors->len == 0 || config->floor_kind != DM_DEVICE_DIMM || step->kind != DM_DEVICE_DIMM ||
    step->to > layout_room(config) || dm_config_free_slots(config) == 0)
    return FALSE;
  DmMemoryDevice *device = dm_memory_device_new(DM_DEVICE_DIMM);
  device->index = DM_DEVICE_NEW;
  device->alias = g_strdup(step->alias);
  device->id = g_strdup(step->id);
  device->size = step->to;
  device->node = (int)node_of(config, step);
  g_ptr_array_add(config->devices, device);
  return TRUE;
}

static void gain_along(DmConfig *config, const DmStep *step) {
  guint node = node_of(config, step);
  if (gain_dimm(config, step))
    return;
  uint64_t more = step->to - step->from;
  if (step->kind == DM_DEVICE_VIRTIO_MEM || config->floors->len > 0)
    more = layout_grow_virtio(config, (int)node, more);
  more = MIN(more, layout_room(config));
  *layout_cell(config, node) += more - more % layout_step(config, node);
}

/* Follows the steps that lead towards @wanted, not beyond it. Returns whether one left a doubt. */
static gboolean go_along(DmConfig *config, uint64_t wanted, const DmTrail *trail) {
  gboolean doubt = FALSE;
  for (guint i = 0; i < trail->steps->len; i++) {
    const DmStep *step = trail->steps->pdata[i];
    uint64_t memory = dm_config_memory(config);
    if (step->from > step->to && step->from - step->to <= dm_size_minus(memory, wanted))
      release_along(config, step, trail, &doubt);
    else if (step->to > step->from && step->to - step->from <= dm_size_minus(wanted, memory))
      gain_along(config, step);
  }
  return doubt;
}

static gboolean fail_in_doubt(const char *vm_name, GError **error) {
  g_set_error(error, DM_ERROR, DM_ERROR_AMBIGUOUS, DM_RULE_IN_DOUBT, vm_name);
  return FALSE;
}

static void note_doubt(const DmTrail *trail, const char *vm_name) {
  if (trail->notes != NULL)
    dm_notes_add(trail->notes, DM_NOTE_DEVICES_KEPT, vm_name);
}

/* ---- one node alone ---- */

/* The cell takes or gives whole pages. @least, @most: what the VM can have instead. */
static gboolean fail_to_step(
  const DmConfig *config, guint node, uint64_t by, uint64_t least, const char *vm_name, GError **error) {
  uint64_t step = layout_step(config, node), most = dm_size_plus(least, step);
  g_autofree char *step_text = dm_size_format(step);
  g_autofree char *by_text = dm_size_format(by);
  g_autofree char *least_text = dm_size_format(least);
  g_autofree char *most_text = dm_size_format(most);
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE, DM_RULE_CELL_STEPS, vm_name, node, step_text, by_text,
    least_text, most_text);
  return FALSE;
}

/* What of @values->memory is more: what no devices take is boot memory. */
static gboolean add_to_node(DmConfig *config, const DmValues *values, const char *vm_name, GError **error) {
  guint node = values->one_node - 1;
  uint64_t more = values->memory - dm_config_memory(config);
  uint64_t boot = values->no_virtio_mem ? more : layout_grow_virtio(config, (int)node, more);
  uint64_t odd = boot % layout_step(config, node);
  if (odd != 0)
    return fail_to_step(config, node, boot, values->memory - odd, vm_name, error);
  *layout_cell(config, node) += boot;
  return TRUE;
}

/* Takes @less from the node: from boot memory if on a trail, as devices left are not among those that went. The rest.
 */
static uint64_t take_from_node(DmConfig *config, guint node, uint64_t less, gboolean on_trail) {
  uint64_t cell = on_trail ? MIN(layout_cell_spare(config, node), less) : 0, step = layout_step(config, node);
  cell -= cell % step;
  *layout_cell(config, node) -= cell;
  less = layout_take_from_devices(config, (int)node, less - cell);
  if (less == 0 || take_from_cell(config, node, less))
    return 0;
  return layout_trade_dimm(config, (int)node, less);
}

static gboolean change_node(
  DmConfig *config, const DmValues *values, gboolean on_trail, const char *vm_name, GError **error) {
  guint node = values->one_node - 1;
  uint64_t memory = dm_config_memory(config), wanted = values->memory, less = dm_size_minus(memory, wanted);
  uint64_t spare = layout_cell_spare(config, node) + layout_held(config, node);
  if (wanted >= memory)
    return add_to_node(config, values, vm_name, error);
  uint64_t left = take_from_node(config, node, less, on_trail), step = layout_step(config, node);
  if (left == 0)
    return TRUE;
  if (left % step != 0 && less <= spare)
    return fail_to_step(config, node, left, wanted + left % step - step, vm_name, error);
  g_autofree char *less_text = dm_size_format(less);
  g_autofree char *spare_text = dm_size_format(spare);
  g_set_error(error, DM_ERROR, DM_ERROR_SIZE_ZERO, DM_RULE_CELL_GIVES, vm_name, less_text, node, spare_text);
  return FALSE;
}

/* With floors, its devices take and give. */
static gboolean change_node_above_floor(
  DmConfig *config, const DmValues *values, const DmTrail *trail, const char *vm_name, GError **error) {
  guint node = values->one_node - 1;
  uint64_t memory = dm_config_memory(config), had = *layout_cell(config, node) + layout_held(config, node);
  uint64_t by = MAX(values->memory, memory) - MIN(values->memory, memory);
  FloorNode left;
  if (trail != NULL && go_along(config, values->memory, trail) && trail->follows)
    return fail_in_doubt(vm_name, error);
  if (floor_lay_out_node(config, node, values->memory, had, &left))
    return TRUE;
  g_autofree char *by_text = dm_size_format(by);
  g_autofree char *can_text = dm_size_format(dm_size_minus(by, left.missing));
  if (left.odd != 0)
    return fail_to_step(config, node, left.boot, values->memory - left.odd, vm_name, error);
  if (values->memory < memory)
    g_set_error(error, DM_ERROR, DM_ERROR_SIZE_ZERO, DM_RULE_FLOOR_GIVES, vm_name, by_text, node, can_text);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM, DM_RULE_FLOOR_TAKES, vm_name, by_text, node, can_text);
  return FALSE;
}

/* With a trail, the remaining devices are not among those that went. */
static gboolean lower_memory(DmConfig *config, uint64_t less, gboolean on_trail, gboolean kept) {
  if (on_trail && layout_spare(config) >= less)
    less = layout_take_from_cells(config, less);
  if (less == 0 || kept)
    return less == 0;
  less = layout_take_from_devices(config, -1, less);
  if (less > layout_spare(config))
    less = layout_trade_dimm(config, -1, less);
  return layout_take_from_cells(config, less) == 0;
}

static gboolean set_memory(
  DmConfig *config, const DmValues *values, const DmTrail *trail, const char *vm_name, GError **error) {
  uint64_t wanted = values->memory;
  if (config->floors->len > 0 && values->one_node != 0)
    return change_node_above_floor(config, values, trail, vm_name, error);
  gboolean on_trail = trail != NULL && trail->steps->len > 0;
  gboolean doubt = on_trail && go_along(config, wanted, trail);
  if (config->floors->len > 0) {
    if (doubt && trail->follows)
      return fail_in_doubt(vm_name, error);
    return floor_lay_out(config, wanted) || too_small(vm_name, config, wanted, error);
  }
  if (values->one_node != 0 && !change_node(config, values, on_trail, vm_name, error))
    return FALSE;
  uint64_t memory = dm_config_memory(config);
  if (wanted > memory)
    add_memory(config, wanted - memory, !values->no_virtio_mem);
  else if (wanted < memory && !lower_memory(config, memory - wanted, on_trail, doubt && trail->follows))
    return doubt && trail->follows ? fail_in_doubt(vm_name, error) : too_small(vm_name, config, wanted, error);
  if (doubt)
    note_doubt(trail, vm_name);
  return TRUE;
}

/* The granularity of all cells together. */
static gboolean has_whole_pages(const DmConfig *config, const char *vm_name, uint64_t wanted, GError **error) {
  uint64_t step = dm_config_page(config, (int)layout_finest(config));
  if (step == 0 || wanted % step == 0)
    return TRUE;
  g_autofree char *wanted_text = dm_size_format(wanted);
  g_autofree char *page = dm_size_format(step);
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE, DM_RULE_HUGE_PAGES, vm_name, page, wanted_text, page);
  return FALSE;
}

/* Saves the maximum while it equals boot memory, and restores it when there is room again. */
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
  uint64_t maximum = dm_config_maximum(config), memory = dm_config_memory(config), taken = layout_taken(config);
  if ((config->maximum == 0 && config->hidden_maximum == 0) || taken <= maximum)
    return TRUE;
  g_autofree char *maximum_text = dm_size_format(maximum);
  g_autofree char *memory_text = dm_size_format(memory);
  g_autofree char *full = dm_size_format(taken - memory);
  if (taken > memory)
    g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM, DM_RULE_NEXT_RUN_ABOVE_MAXIMUM_WITH_ROOM, vm_name,
      memory_text, full, maximum_text);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM, DM_RULE_NEXT_RUN_ABOVE_MAXIMUM, vm_name, memory_text,
      maximum_text);
  return FALSE;
}

DmConfig *dm_plan_next_run(
  const DmConfig *persistent, const DmValues *values, const DmTrail *trail, const char *vm_name, GError **error) {
  g_autoptr(DmConfig) config = dm_config_copy(persistent);
  if (values->maximum != 0) {
    config->maximum = values->maximum;
    config->slots = values->slots != 0 ? values->slots : MAX(config->slots, config->hidden_slots);
    config->hidden_maximum = 0;
  }
  if (values->slots != 0) /* 'enable': QEMU hot plugs into a NUMA cell only */
    config->has_numa = TRUE;
  if (values->floors != NULL)
    floor_set(config, values->floors, values->floor_kind);
  config->free_page_reporting |= values->free_page_reporting;
  config->autodeflate |= values->autodeflate;
  if (values->memory != 0) {
    if (!has_whole_pages(config, vm_name, values->memory, error) || !set_memory(config, values, trail, vm_name, error))
      return NULL;
  } else if (config->floors->len > 0 && (values->floors != NULL || values->maximum != 0)) {
    floor_lay_out(config, dm_config_memory(persistent));
  }
  if (values->guaranteed != 0)
    config->guaranteed = values->guaranteed;
  if (values->has_balloon_use)
    config->balloon_use = values->balloon_use;
  if (!fits_maximum(config, vm_name, error))
    return NULL;
  /*
   * Requested memory is meant for the guest. Otherwise a balloon set on purpose stays; but one that was to hold what
   * is virtio-mem from now on could not: QEMU's balloon takes from boot memory and DIMMs only.
   */
  gboolean named = values->memory != 0 && (trail == NULL || !trail->follows);
  gboolean useless = values->floors != NULL || dm_config_ballooned(config) == 0;
  if ((named || useless) && dm_config_ballooned(persistent) > 0)
    config->balloon = layout_taken(config);
  settle_maximum(config);
  if (!dm_machine_check(persistent, config, vm_name, error))
    return NULL;
  return g_steal_pointer(&config);
}
