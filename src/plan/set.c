/* SPDX-License-Identifier: Apache-2.0 */
/* A change to a memory size. What goes for it is in lower.c, what grows or comes here. */
#include "base/error.h"
#include "base/size.h"
#include "change.h"
#include "plan/rules.h"

/* Floors the values named and puts those of the next run in place of 0. */
static gboolean read_wish(const DmWish *wish, DmValues *values, GError **error) {
  return (!wish->has_memory || dm_rule_size("memory", wish->memory, &values->memory, error)) &&
    (!wish->has_guaranteed || dm_rule_size("guaranteed memory", wish->guaranteed, &values->guaranteed, error)) &&
    (!wish->has_maximum || dm_rule_size("maximum", wish->maximum, &values->maximum, error));
}

static uint64_t or_else(uint64_t value, uint64_t other) {
  return value != 0 ? value : other;
}

static gboolean check_next_run(const DmVm *vm, const DmValues *values, GError **error) {
  const DmConfig *next = vm->next_run;
  gboolean named = values->memory != 0 || values->guaranteed != 0 || values->maximum != 0;
  if (next == NULL || !named)
    return TRUE;
  if (values->maximum != 0 && next->maximum == 0 && next->hidden_maximum == 0) {
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED,
      "%s has no maximum yet, as it is not set up for hot plug; set its next run up for it first", vm->name);
    dm_error_add_command(error, "dimmer", "enable", vm->name, "--max", "SIZE", NULL);
    return FALSE;
  }
  /* A VM that is not set up for hot plug has no maximum of its own: its memory can be anything. */
  gboolean bounded = next->maximum != 0 || next->hidden_maximum != 0;
  uint64_t memory = or_else(values->memory, dm_config_memory(next));
  uint64_t guaranteed = or_else(values->guaranteed, next->guaranteed);
  uint64_t maximum = or_else(values->maximum, bounded ? dm_config_maximum(next) : UINT64_MAX);
  return dm_rule_order(vm, vm->live != NULL ? "the next run of " : "", guaranteed, memory, maximum, error);
}

static gboolean check_live(const DmVm *vm, const DmValues *values, GError **error) {
  const DmConfig *live = vm->live;
  uint64_t memory = or_else(values->memory, dm_config_memory(live));
  uint64_t guaranteed = or_else(values->guaranteed, live->guaranteed);
  if (memory > dm_config_memory(live) && (!dm_rule_running(vm, "hot plug", error) || !dm_rule_enabled(vm, error)))
    return FALSE;
  if (memory < dm_config_memory(live) && !dm_rule_running(vm, "hot unplug", error))
    return FALSE;
  return dm_rule_order(vm, "", guaranteed, memory, dm_config_maximum(live), error);
}

/* POWER counts memory in whole hot plug steps (oVirt: MEMORY_SIZE_NOT_MULTIPLE_OF_256_ON_PPC). */
static gboolean check_power(const DmVm *vm, const DmValues *values, GError **error) {
  uint64_t factor = dm_vm_factor(vm);
  if (vm->arch == NULL || !g_str_has_prefix(vm->arch, "ppc") || values->memory % factor == 0)
    return TRUE;
  g_autofree char *memory = dm_size_format(values->memory);
  g_autofree char *factor_text = dm_size_format(factor);
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE,
    "memory of %s must be a multiple of %s, as it is a POWER machine; %s is none", vm->name, factor_text, memory);
  return FALSE;
}

static int by_block_largest_first(gconstpointer a, gconstpointer b) {
  const DmMemoryDevice *left = *(const DmMemoryDevice *const *)a, *right = *(const DmMemoryDevice *const *)b;
  return (left->block < right->block) - (left->block > right->block);
}

/* The virtio-mem devices that can grow (borrowed), largest block first. */
static GPtrArray *growing_devices(const DmVm *vm) {
  GPtrArray *devices = g_ptr_array_new();
  for (guint i = 0; i < vm->live->devices->len; i++) {
    DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind == DM_DEVICE_VIRTIO_MEM && device->block > 0 && dm_memory_device_memory(device) < device->size)
      g_ptr_array_add(devices, device);
  }
  g_ptr_array_sort(devices, by_block_largest_first);
  return devices;
}

/*
 * How much of @wanted the devices can take; blocks are powers of two, so that taking the largest first is exact. Adds
 * the steps to @plan if it is not NULL.
 */
static uint64_t grow_virtio(DmPlan *plan, const GPtrArray *devices, uint64_t wanted) {
  uint64_t sum = 0;
  for (guint i = 0; i < devices->len; i++) {
    const DmMemoryDevice *device = devices->pdata[i];
    uint64_t memory = dm_memory_device_memory(device), grow = MIN(wanted - sum, device->size - memory);
    grow -= grow % device->block;
    if (grow == 0)
      continue;
    sum += grow;
    if (plan == NULL)
      continue;
    DmStep *step = dm_step_new(DM_OP_RESIZE, device);
    step->to = memory + grow;
    g_ptr_array_add(plan->steps, step);
    plan->memory_after += grow;
  }
  return sum;
}

/* The most of @added that virtio-mem devices can take so that the rest is whole DIMMs; 0 where there is no way. */
static uint64_t virtio_part(const GPtrArray *devices, uint64_t added, uint64_t step) {
  uint64_t most = grow_virtio(NULL, devices, added), odd = added % step;
  if (most < odd)
    return 0;
  uint64_t part = odd + (most - odd) / step * step;
  while (part > odd && grow_virtio(NULL, devices, part) != part)
    part -= step;
  return grow_virtio(NULL, devices, part) == part ? part : 0;
}

/* The finest step in which anything here can grow. */
static uint64_t smallest_block(const GPtrArray *devices, uint64_t step) {
  for (guint i = 0; i < devices->len; i++)
    step = MIN(step, ((const DmMemoryDevice *)devices->pdata[i])->block);
  return step;
}

static gboolean plan_raise(DmPlan *plan, const DmVm *vm, const DmValues *values, DmPlugPolicy policy, GError **error) {
  uint64_t added = values->memory - dm_config_memory(vm->live), step = dm_vm_plug_step(vm);
  g_autoptr(GPtrArray) devices = growing_devices(vm);
  uint64_t dimms = added - grow_virtio(plan, devices, virtio_part(devices, added, step));
  if (dimms > 0) {
    uint64_t block = smallest_block(devices, step);
    if (!dm_rule_step(vm, dimms, dimms % block == 0 ? step : block, error) || !dm_rule_room(vm, dimms, error) ||
      !dm_rule_pinned(vm, values->memory, error) || !dm_rule_slot(vm, error))
      return FALSE;
    plan_add_dimms(plan, vm, policy, dimms, 0); /* oVirt: always node 0 */
  }
  plan_keep_pending(plan, vm);
  return TRUE;
}

static gboolean plan_live(DmPlan *plan, const DmVm *vm, const DmValues *values, DmPlugPolicy policy, GError **error) {
  if (!check_live(vm, values, error))
    return FALSE;
  uint64_t memory = dm_config_memory(vm->live);
  plan->memory = values->memory;
  plan->guaranteed = values->guaranteed;
  if (values->memory != 0 && values->memory < memory && !plan_lower(plan, vm, values->memory, error))
    return FALSE;
  if (values->memory == memory)
    plan_keep_pending(plan, vm);
  if (values->memory > memory && !plan_raise(plan, vm, values, policy, error))
    return FALSE;
  plan_predict_guaranteed(plan, vm);
  return TRUE;
}

DmPlan *dm_plan_set(const DmVm *vm, const DmWish *wish, GError **error) {
  DmValues values = {0};
  if (!read_wish(wish, &values, error) || !check_power(vm, &values, error) ||
    !dm_rule_platform(vm, values.maximum, error) ||
    !dm_rule_seen(vm, wish->next_run_only ? vm->next_run : dm_vm_current(vm), wish->seen, error))
    return NULL;
  if ((wish->next_run_only || values.maximum != 0) &&
    !dm_rule_persistent(
      vm, wish->next_run_only ? "there is nothing to set" : "a maximum could never take effect", error))
    return NULL;
  g_autoptr(DmPlan) plan = plan_new(vm, DM_ACTION_SET);
  plan->flags = wish->flags;
  if (vm->live != NULL && !wish->next_run_only && !plan_live(plan, vm, &values, wish->policy, error))
    return NULL;
  if (!check_next_run(vm, &values, error))
    return NULL;
  if (vm->next_run != NULL && !plan_set_next_run(plan, vm, &values, error))
    return NULL;
  if (vm->live == NULL) {
    plan->memory_after = dm_config_memory(plan->next_run_config);
    plan->guaranteed_after = dm_config_guaranteed(plan->next_run_config);
  } else if (vm->next_run == NULL) {
    plan_note(plan, "%s is a transient VM: only the running VM changes, there is no next run", vm->name);
  } else if (values.maximum != 0) {
    plan_note(plan, "a maximum takes effect with the next start: QEMU cannot change it while the VM runs");
  }
  return g_steal_pointer(&plan);
}
