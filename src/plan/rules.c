/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/rules.h"

#include "base/error.h"
#include "base/size.h"
#include "change.h"
#include "plan/machine.h"
#include "words/rules.h"

/* oVirt's VM64BitMaxMemorySizeInMB since 4.8. */
#define PLATFORM_LIMIT (64 * (DM_GIB << 10))

gboolean dm_rule_size(const char *what, uint64_t bytes, uint64_t *floored, GError **error) {
  if (bytes < DM_MIB) {
    g_set_error(error, DM_ERROR, DM_ERROR_SIZE_ZERO, DM_RULE_SIZE_ZERO, what, bytes);
    return FALSE;
  }
  *floored = dm_size_floor_mib(bytes);
  return TRUE;
}

gboolean dm_rule_platform(const DmVm *vm, uint64_t maximum, GError **error) {
  if (maximum <= PLATFORM_LIMIT)
    return TRUE;
  g_autofree char *text = dm_size_format(maximum);
  g_set_error(error, DM_ERROR, DM_ERROR_ABOVE_PLATFORM, DM_RULE_PLATFORM, text, vm->name);
  return FALSE;
}

gboolean dm_rule_running(const DmVm *vm, GError **error) {
  gboolean resumable = vm->state == DM_VM_PAUSED || vm->state == DM_VM_SUSPENDED;
  if (vm->state == DM_VM_RUNNING)
    return TRUE;
  if (vm->state == DM_VM_SHUT_OFF) {
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING, DM_RULE_SHUT_OFF, vm->name);
    dm_error_add_command(error, "dimmer", "set", "--", dm_vm_handle(vm), "--memory", "SIZE", NULL);
    return FALSE;
  }
  const char *state = dm_vm_state_name(vm->state);
  gboolean transient = vm->next_run == NULL; /* no next run to change instead */
  if (resumable && transient)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING, DM_RULE_CANNOT_ANSWER_RESUME, vm->name, state);
  else if (resumable)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING, DM_RULE_CANNOT_ANSWER_RESUME_OR_NEXT_RUN, vm->name, state);
  else if (transient)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING, DM_RULE_CANNOT_ANSWER, vm->name, state);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING, DM_RULE_CANNOT_ANSWER_NEXT_RUN, vm->name, state);
  if (vm->next_run != NULL)
    dm_error_add_command(error, "dimmer", "set", "--", dm_vm_handle(vm), "--next-run", "--memory", "SIZE", NULL);
  return FALSE;
}

gboolean dm_rule_idle(const DmVm *vm, GError **error) {
  if (vm->job == NULL)
    return TRUE;
  if (vm->state != DM_VM_RUNNING) {
    g_set_error(error, DM_ERROR, DM_ERROR_BUSY, DM_RULE_BUSY_ELSEWHERE, vm->name, vm->job);
    return FALSE;
  }
  g_set_error(error, DM_ERROR, DM_ERROR_BUSY, DM_RULE_BUSY, vm->name, vm->job);
  dm_error_add_command(error, "virsh", "domjobabort", "--", dm_vm_virsh_handle(vm), NULL);
  return FALSE;
}

gboolean dm_rule_preparable(const DmVm *vm, GError **error) {
  const char *state = dm_vm_state_name(vm->state);
  if (vm->state != DM_VM_RUNNING && vm->live != NULL)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING, DM_RULE_NOT_PREPARABLE_RESUME, vm->name, state);
  else if (vm->state != DM_VM_RUNNING)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING, DM_RULE_NOT_PREPARABLE_START, vm->name, state);
  else if (!dm_vm_is_windows(vm))
    return TRUE;
  else if (vm->guest != NULL && vm->guest->windows == DM_FACT_YES)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_REMOVABLE, DM_RULE_NOT_PREPARABLE_WINDOWS, vm->name);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_REMOVABLE, DM_RULE_NOT_PREPARABLE_WINDOWS_BY_DEFINITION, vm->name);
  return FALSE;
}

gboolean dm_rule_agent_free(const DmVm *vm, GError **error) {
  if (vm->guest == NULL || !vm->guest->busy)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BUSY, DM_RULE_AGENT_BUSY, vm->name);
  return FALSE;
}

gboolean dm_rule_persistent(const DmVm *vm, DmNeed need, GError **error) {
  if (vm->next_run != NULL)
    return TRUE;
  switch (need) {
    case DM_NEEDS_ENABLE:
      g_set_error(error, DM_ERROR, DM_ERROR_NO_NEXT_RUN, DM_RULE_TRANSIENT_ENABLE, vm->name);
      break;
    case DM_NEEDS_NEXT_RUN:
      g_set_error(error, DM_ERROR, DM_ERROR_NO_NEXT_RUN, DM_RULE_TRANSIENT_NEXT_RUN, vm->name);
      break;
    case DM_NEEDS_MAXIMUM:
      g_set_error(error, DM_ERROR, DM_ERROR_NO_NEXT_RUN, DM_RULE_TRANSIENT_MAXIMUM, vm->name);
      break;
  }
  dm_error_add_command(error, "virsh", "define", "FILE", NULL);
  return FALSE;
}

char *dm_rule_typed(uint64_t bytes) {
  g_autofree char *size = dm_size_format(bytes);
  g_auto(GStrv) words = g_strsplit(size, " ", -1);
  return g_strjoinv("", words);
}

gboolean dm_rule_order(
  const DmVm *vm, gboolean next_run, uint64_t guaranteed, uint64_t memory, uint64_t maximum, GError **error) {
  g_autofree char *memory_text = dm_size_format(memory);
  if (guaranteed > memory) {
    g_autofree char *guaranteed_text = dm_size_format(guaranteed);
    g_set_error(error, DM_ERROR, DM_ERROR_GUARANTEED_ABOVE_MEMORY,
      next_run ? DM_RULE_GUARANTEED_ABOVE_MEMORY_NEXT_RUN : DM_RULE_GUARANTEED_ABOVE_MEMORY, vm->name, guaranteed_text,
      memory_text);
    return FALSE;
  }
  if (memory > maximum) {
    g_autofree char *maximum_text = dm_size_format(maximum);
    g_autofree char *compact = dm_rule_typed(memory);
    g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM,
      next_run ? DM_RULE_MEMORY_ABOVE_MAXIMUM_NEXT_RUN : DM_RULE_MEMORY_ABOVE_MAXIMUM, vm->name, memory_text,
      maximum_text);
    dm_error_add_command(
      error, "dimmer", "set", "--", dm_vm_handle(vm), "--next-run", "--memory", compact, "--maximum", "SIZE", NULL);
    return FALSE;
  }
  return TRUE;
}

/* Without any, virtio-mem devices may still be plugged. */
static gboolean lacks_slots(const DmConfig *config) {
  return config->slots == 0 && !config->slotless_virtio;
}

const char *dm_rule_lacks(const DmVm *vm) {
  if (vm->live->maximum == 0)
    return vm->live->hidden_maximum != 0 || (vm->next_run != NULL && vm->next_run->hidden_maximum != 0)
      ? DM_LACK_MAXIMUM_IS_BOOT
      : DM_LACK_NO_MAXIMUM;
  if (!vm->live->has_numa)
    return DM_LACK_NO_CELL;
  return lacks_slots(vm->live) ? DM_LACK_NO_SLOTS : NULL;
}

static gboolean is_enabled(const DmConfig *config) {
  return config->maximum != 0 && config->has_numa && !lacks_slots(config);
}

gboolean dm_rule_can_enable(const DmVm *vm) {
  DmLack lack;
  return vm->next_run != NULL && !is_enabled(vm->next_run) && !dm_machine_lacks_cells(vm->next_run, &lack);
}

const char *dm_rule_enabling(const DmVm *vm) {
  DmLack lack;
  if (vm->next_run == NULL)
    return DM_CURE_NEW_DEFINITION;
  if (dm_machine_lacks_cells(vm->next_run, &lack))
    return DM_CURE_RISCV_CELL;
  return dm_rule_can_enable(vm) ? DM_CURE_ENABLE : DM_CURE_POWER_CYCLE;
}

gboolean dm_rule_kind(const DmVm *vm, DmDeviceKind kind, GError **error) {
  DmLack lack;
  if (!dm_machine_lacks(&vm->live->machine, kind, &lack))
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED,
    kind == DM_DEVICE_DIMM ? DM_RULE_CANNOT_PLUG_DIMM : DM_RULE_CANNOT_PLUG_VIRTIO_MEM, vm->name, lack.what,
    lack.remedy);
  return FALSE;
}

gboolean dm_rule_enabled(const DmVm *vm, GError **error) {
  DmLack lack;
  if (dm_machine_lacks_all(&vm->live->machine, &lack)) {
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED, DM_RULE_CANNOT_PLUG, vm->name, lack.what, lack.remedy);
    return FALSE;
  }
  const char *lacks = dm_rule_lacks(vm);
  if (lacks == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED, DM_RULE_CANNOT_PLUG, vm->name, lacks, dm_rule_enabling(vm));
  if (dm_rule_can_enable(vm))
    dm_error_add_command(error, "dimmer", "enable", "--", dm_vm_handle(vm), "--maximum", "SIZE", NULL);
  return FALSE;
}

/* Memory grows in steps of @step because of the guest. */
static gboolean is_guests_step(const DmVm *vm, uint64_t step) {
  return vm->guest != NULL && vm->guest->block == step &&
    step > MAX(dm_vm_factor(vm), dm_config_largest_page(vm->live));
}

gboolean dm_rule_step(const DmVm *vm, uint64_t added, uint64_t step, uint64_t *nearest, GError **error) {
  if (added % step == 0)
    return TRUE;
  if (nearest != NULL)
    *nearest = added > step ? added - added % step : step;
  g_autofree char *added_text = dm_size_format(added);
  g_autofree char *step_text = dm_size_format(step);
  g_autofree char *lower = dm_size_format(added - added % step);
  g_autofree char *upper = dm_size_format(dm_size_plus(added - added % step, step));
  gboolean guests = is_guests_step(vm, step);
  const char *source = guests ? dm_source_name(vm->guest->block_source) : NULL;
  if (guests && added > step)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE, DM_RULE_STEPS_OF_BLOCKS, vm->name, step_text, source,
      added_text, lower, upper);
  else if (guests)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE, DM_RULE_STEPS_OF_BLOCKS_LEAST, vm->name, step_text, source,
      added_text, upper);
  else if (added > step)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE, DM_RULE_STEPS, vm->name, step_text, added_text, lower, upper);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE, DM_RULE_STEPS_LEAST, vm->name, step_text, added_text, upper);
  return FALSE;
}

/* The most memory that it can be set to without a slot and room below the maximum: virtio-mem devices have both. NULL:
 * nothing. The caller g_frees. */
static char *most_by_growth(const DmVm *vm) {
  uint64_t room = plan_room_to_grow(vm);
  return room > 0 ? dm_size_format(dm_size_plus(dm_config_memory(vm->live), room)) : NULL;
}

gboolean dm_rule_room(const DmVm *vm, uint64_t added, GError **error) {
  uint64_t room = dm_config_plug_room(vm->live);
  if (added <= room)
    return TRUE;
  g_autofree char *added_text = dm_size_format(added);
  g_autofree char *room_text = dm_size_format(room);
  g_autofree char *maximum = dm_size_format(vm->live->maximum);
  g_autofree char *most = most_by_growth(vm);
  if (most != NULL)
    g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM, DM_RULE_NO_ROOM_BUT_GROWTH, vm->name, room_text,
      maximum, added_text, most);
  else
    g_set_error(
      error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM, DM_RULE_NO_ROOM, vm->name, room_text, maximum, added_text);
  dm_error_add_command(error, "dimmer", "set", "--", dm_vm_handle(vm), "--maximum", "SIZE", NULL);
  return FALSE;
}

gboolean dm_rule_pinned(const DmVm *vm, uint64_t memory, GError **error) {
  if (!vm->vfio || vm->hard_limit == 0 || memory <= vm->hard_limit)
    return TRUE;
  g_autofree char *memory_text = dm_size_format(memory);
  g_autofree char *limit = dm_size_format(vm->hard_limit);
  g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM, DM_RULE_PINNED, vm->name, memory_text, limit);
  return FALSE;
}

gboolean dm_rule_hard_limit(const DmVm *vm, uint64_t memory, GError **error) {
  if (vm->hard_limit == 0 || memory <= vm->hard_limit)
    return TRUE;
  g_autofree char *memory_text = dm_size_format(memory);
  g_autofree char *limit = dm_size_format(vm->hard_limit);
  g_autofree char *kib = g_strdup_printf("%" G_GUINT64_FORMAT, dm_size_plus(memory, memory / 8) / DM_KIB);
  g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM, DM_RULE_HARD_LIMIT, vm->name, memory_text, limit);
  dm_error_add_command(error, "virsh", "memtune", "--", dm_vm_virsh_handle(vm), "--hard-limit", kib, "--live", NULL);
  return FALSE;
}

gboolean dm_rule_slot(const DmVm *vm, GError **error) {
  if (dm_config_free_slots(vm->live) > 0)
    return TRUE;
  g_autofree char *most = most_by_growth(vm);
  if (most != NULL)
    g_set_error(error, DM_ERROR, DM_ERROR_NO_FREE_SLOT, DM_RULE_NO_SLOT_BUT_GROWTH, vm->live->slots, vm->name, most);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_NO_FREE_SLOT, DM_RULE_NO_SLOT, vm->live->slots, vm->name);
  dm_error_add_command(error, "dimmer", "enable", "--", dm_vm_handle(vm), "--maximum", "SIZE", "--slots", "N", NULL);
  return FALSE;
}

gboolean dm_rule_seen(const DmVm *vm, const DmConfig *config, uint64_t seen, GError **error) {
  if (seen == 0 || config == NULL || dm_config_memory(config) == seen)
    return TRUE;
  g_autofree char *is = dm_size_format(dm_config_memory(config));
  g_autofree char *was = dm_size_format(seen);
  g_set_error(error, DM_ERROR, DM_ERROR_CHANGED, DM_RULE_CHANGED, vm->name, is, was);
  return FALSE;
}

gboolean dm_rule_node(const DmVm *vm, const DmConfig *config, int node, GError **error) {
  guint nodes = config->cells->len;
  if (node >= 0 && (guint)node < nodes)
    return TRUE;
  if (nodes == 1)
    g_set_error(error, DM_ERROR, DM_ERROR_NO_SUCH_NODE, DM_RULE_ONE_NODE, vm->name, node);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_NO_SUCH_NODE, DM_RULE_NO_NODE, vm->name, node, nodes - 1);
  return FALSE;
}

gboolean dm_rule_removable(const DmVm *vm, const DmMemoryDevice *device, GError **error) {
  if (device->kind != DM_DEVICE_OTHER)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_REMOVABLE, DM_RULE_NOT_REMOVABLE, device->alias, vm->name,
    dm_memory_device_kind_name(device));
  return FALSE;
}

gboolean dm_rule_movable(const DmVm *vm, const DmMemoryDevice *device, GError **error) {
  if (device->kind != DM_DEVICE_DIMM || device->movable != DM_MOVABLE_NO)
    return TRUE;
  DmRangeState blocks = {.kernel = device->size};
  dm_vm_device_blocks(vm, device, &blocks);
  g_autofree char *size = dm_size_format(device->size);
  if (dm_vm_is_windows(vm)) {
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_MOVABLE, DM_RULE_WINDOWS_KEEPS, device->alias, size, vm->name);
    dm_error_add_command(error, "dimmer", "set", "--", dm_vm_handle(vm), "--next-run", "--memory", "SIZE", NULL);
    return FALSE;
  }
  g_autofree char *kernel = dm_size_format(blocks.kernel);
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_MOVABLE, DM_RULE_KERNEL_ZONE, device->alias, size, vm->name, kernel);
  dm_error_add_command(error, "dimmer", "guest", "prepare", "--", dm_vm_handle(vm), NULL);
  return FALSE;
}

gboolean dm_rule_spare(const DmVm *vm, uint64_t asked, uint64_t out, uint64_t least, GError **error) {
  uint64_t spare, reserve;
  if (!dm_plan_spare(vm, &spare, &reserve) || dm_size_plus(asked, out) <= spare)
    return TRUE;
  g_autofree char *asked_text = dm_size_format(asked);
  g_autofree char *out_text = dm_size_format(out);
  g_autofree char *spare_text = dm_size_format(dm_size_floor_mib(spare));
  g_autofree char *reserve_text = dm_size_format(dm_size_floor_mib(reserve));
  g_autofree char *available = dm_size_format(dm_size_floor_mib(vm->guest->available));
  uint64_t rounded = dm_size_floor_mib(dm_size_plus(least, DM_MIB - 1));
  g_autofree char *least_text = dm_size_format(rounded);
  g_autofree char *typed = dm_rule_typed(rounded);
  const char *source = dm_source_name(vm->guest->memory_source);
  gboolean fits = least < dm_config_memory(vm->live);
  if (out == 0 && fits)
    g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY, DM_RULE_SPARE, vm->name, spare_text, source, available,
      reserve_text, asked_text, least_text);
  else if (out == 0)
    g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY, DM_RULE_SPARE_NO_DEVICE, vm->name, spare_text, source,
      available, reserve_text, asked_text);
  else if (fits)
    g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY, DM_RULE_SPARE_BESIDES, vm->name, spare_text, source,
      available, reserve_text, asked_text, out_text, least_text);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY, DM_RULE_SPARE_BESIDES_NO_DEVICE, vm->name, spare_text,
      source, available, reserve_text, asked_text, out_text);
  if (fits)
    dm_error_add_command(error, "dimmer", "set", "--", dm_vm_handle(vm), "--memory", typed, NULL);
  return FALSE;
}
