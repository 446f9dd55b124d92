/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that name their devices: unplug these, plug that, prepare for hot plug, ask again. */
#include "base/error.h"
#include "base/size.h"
#include "change.h"
#include "plan/rules.h"

/* virtio-mem's usual step on x86 and POWER: a transparent huge page (QEMU's default for the device). */
#define VIRTIO_MEM_BLOCK (2 * DM_MIB)

/* oVirt's number (LibvirtVmXmlBuilder: MaxMemorySlots). */
#define DEFAULT_SLOTS 16

static void add_unplug(DmPlan *plan, const DmMemoryDevice *device) {
  DmOp op = device->kind == DM_DEVICE_VIRTIO_MEM ? DM_OP_RESIZE : DM_OP_UNPLUG;
  DmStep *step = dm_step_new(op, device);
  g_ptr_array_add(plan->steps, step);
  plan->memory_after -= step->from;
}

/* Each asking is a new one for the guest, and an earlier one is never recalled. */
static void note_asked_already(DmPlan *plan, const DmVm *vm, const DmMemoryDevice *device, const char *text) {
  const DmStep *pending = plan_pending_step(vm->request, device);
  if (pending != NULL && pending->to == 0)
    plan_note(plan, "the guest was asked for %s already and has not answered yet; this asks it once more", text);
}

static gboolean has_step(const DmPlan *plan, const DmMemoryDevice *device) {
  for (guint i = 0; i < plan->steps->len; i++) {
    if (g_strcmp0(((DmStep *)plan->steps->pdata[i])->alias, device->alias) == 0)
      return TRUE;
  }
  return FALSE;
}

static gboolean add_unplugs(DmPlan *plan, const DmVm *vm, const char *const *names, GError **error) {
  for (; *names != NULL; names++) {
    const DmMemoryDevice *device = dm_vm_find_device(vm, *names, error);
    if (device == NULL || !dm_rule_removable(vm, device, error) ||
      (plan_leaves_out(device, plan->flags) && !dm_rule_movable(vm, device, error)))
      return FALSE;
    if (has_step(plan, device))
      continue;
    g_autofree char *text = plan_describe_device(vm, device);
    if (device->kind == DM_DEVICE_VIRTIO_MEM && dm_memory_device_memory(device) == 0) {
      plan_note(plan, "%s is empty already; QEMU keeps the empty device until the VM stops", text);
      continue;
    }
    if (device->kind == DM_DEVICE_VIRTIO_MEM)
      plan_note(plan, "%s is shrunk to nothing; QEMU keeps the empty device until the VM stops", text);
    note_asked_already(plan, vm, device, text);
    add_unplug(plan, device);
  }
  return TRUE;
}

DmPlan *dm_plan_unplug_devices(const DmVm *vm, const char *const *names, DmPlanFlags flags, GError **error) {
  if (!dm_rule_running(vm, "hot unplug", error))
    return NULL;
  g_autoptr(DmPlan) plan = plan_new(vm, DM_ACTION_UNPLUG);
  plan->flags = flags;
  if (!add_unplugs(plan, vm, names, error) || !plan_check_spare(plan, vm, error))
    return NULL;
  plan_order_steps(plan->steps, vm);
  plan_note_unmovable(plan, vm);
  plan_predict_guaranteed(plan, vm);
  g_autoptr(GError) cannot_follow = NULL;
  if (!plan_predict_next_run(plan, vm, &cannot_follow))
    plan_note(plan, "the next run stays as it is: %s", cannot_follow->message);
  if (plan->steps->len > 0)
    plan_note_obstacles(plan, vm);
  return g_steal_pointer(&plan);
}

/* Linux adds it by whole memory blocks, so less than one of them would come to nothing. */
static gboolean check_most(const DmVm *vm, uint64_t full, GError **error) {
  uint64_t step = dm_vm_plug_step(vm), over = full % step;
  if (over == 0)
    return TRUE;
  g_autofree char *full_text = dm_size_format(full);
  g_autofree char *step_text = dm_size_format(step);
  g_autofree char *upper = dm_size_format(dm_size_plus(full - over, step));
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE,
    "the most that a virtio-mem device of %s can hold is a multiple of %s, and %s is none; let it hold up to %s",
    vm->name, step_text, full_text, upper);
  return FALSE;
}

static gboolean check_virtio_mem(
  const DmVm *vm, const DmPlugWish *wish, uint64_t size, uint64_t full, uint64_t block, GError **error) {
  if (size > full) {
    g_autofree char *size_text = dm_size_format(size);
    g_autofree char *full_text = dm_size_format(full);
    g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM,
      "a virtio-mem device of at most %s cannot hold %s; let it hold more, or ask for less", full_text, size_text);
    return FALSE;
  }
  return dm_rule_step(vm, size, block, error) && check_most(vm, full, error) && dm_rule_room(vm, full, error) &&
    dm_rule_slot(vm, error);
}

DmPlan *dm_plan_plug_devices(const DmVm *vm, const DmPlugWish *wish, GError **error) {
  gboolean dimm = wish->kind == DM_DEVICE_DIMM;
  uint64_t size, full;
  if (!dm_rule_size("size", wish->size, &size, error) ||
    !dm_rule_size("max-size", wish->max_size != 0 ? wish->max_size : wish->size, &full, error) ||
    !dm_rule_running(vm, "hot plug", error) || !dm_rule_seen(vm, vm->live, wish->seen, error) ||
    !dm_rule_enabled(vm, error) || !dm_rule_node(vm, wish->node, error))
    return NULL;

  g_autoptr(DmPlan) plan = plan_new(vm, DM_ACTION_PLUG);
  if (dimm) {
    if (!dm_rule_step(vm, size, dm_vm_plug_step(vm), error) || !dm_rule_room(vm, size, error) ||
      !dm_rule_pinned(vm, dm_size_plus(dm_config_memory(vm->live), size), error) || !dm_rule_slot(vm, error))
      return NULL;
    plan_add_dimms(plan, vm, wish->policy, size, wish->node);
  } else {
    uint64_t block = MAX(VIRTIO_MEM_BLOCK, vm->live->page);
    if (!check_virtio_mem(vm, wish, size, full, block, error))
      return NULL;
    plan_add_plug(plan, DM_DEVICE_VIRTIO_MEM, size, full, block, wish->node);
  }
  plan_predict_guaranteed(plan, vm);
  if (!plan_predict_next_run(plan, vm, error))
    return NULL;
  return g_steal_pointer(&plan);
}

/* Room for at least one device of the minimal size, or there is nothing to enable. */
static gboolean check_above_memory(const DmVm *vm, uint64_t maximum, GError **error) {
  uint64_t least = dm_size_plus(dm_config_memory(vm->next_run), dm_vm_factor(vm));
  if (maximum >= least)
    return TRUE;
  g_autofree char *maximum_text = dm_size_format(maximum);
  g_autofree char *memory = dm_size_format(dm_config_memory(vm->next_run));
  g_autofree char *least_text = dm_size_format(least);
  g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM,
    "a maximum of %s leaves no room to hot plug: %s starts with %s of memory; give %s or more", maximum_text, vm->name,
    memory, least_text);
  return FALSE;
}

DmPlan *dm_plan_enable(const DmVm *vm, uint64_t maximum, guint slots, GError **error) {
  DmValues values = {0};
  if (!dm_rule_size("maximum", maximum, &values.maximum, error) ||
    !dm_rule_persistent(vm, "it cannot be prepared for one", error))
    return NULL;
  if (!check_above_memory(vm, values.maximum, error) || !dm_rule_platform(vm, values.maximum, error))
    return NULL;
  guint has = MAX(vm->next_run->slots, vm->next_run->hidden_slots);
  values.slots = slots != 0 ? slots : (has != 0 ? has : DEFAULT_SLOTS);

  g_autoptr(DmPlan) plan = plan_new(vm, DM_ACTION_ENABLE);
  if (!plan_set_next_run(plan, vm, &values, error))
    return NULL;
  return g_steal_pointer(&plan);
}

DmPlan *dm_plan_account_only(const DmVm *vm) {
  return plan_new(vm, DM_ACTION_SETTLE);
}

/*
 * What was asked for can go at any time, asked again or not: so of what is too much together, nothing is asked again,
 * as leaving out a part would spare the guest nothing.
 */
static void keep_within_spare(DmPlan *plan, const DmVm *vm) {
  g_autoptr(GError) too_much = NULL;
  if (plan_check_spare(plan, vm, &too_much))
    return;
  plan_note(plan, "not asked again: %s", too_much->message);
  for (guint i = plan->steps->len; i > 0; i--) {
    const DmStep *step = plan->steps->pdata[i - 1];
    if (step->to < step->from)
      g_ptr_array_remove_index(plan->steps, i - 1);
  }
  plan->memory_after = plan->memory_before;
}

DmPlan *dm_plan_settle(const DmVm *vm, DmPlanFlags flags) {
  DmPlan *plan = plan_new(vm, DM_ACTION_SETTLE);
  if (vm->request == NULL || vm->live == NULL) {
    plan_note(plan, "nothing is open for %s any more", vm->name);
    return plan;
  }
  if (vm->state != DM_VM_RUNNING) {
    plan_note(
      plan, "%s is %s: its guest cannot answer, so it was not asked again", vm->name, dm_vm_state_name(vm->state));
    return plan;
  }
  plan->flags = vm->request->flags | flags;
  plan->memory = vm->request->memory;
  plan->guaranteed = vm->request->guaranteed;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    const DmStep *pending = plan_pending_step(vm->request, device);
    if (pending == NULL)
      continue;
    if (pending->withdrawn) {
      plan_note(plan, "not asked again: %s of %s can still go, but a later request wants its memory kept",
        device->id != NULL ? device->id : device->alias, vm->name);
      continue;
    }
    if (plan_leaves_out(device, plan->flags)) {
      g_autoptr(GError) stays = NULL;
      dm_rule_movable(vm, device, &stays);
      plan_note(plan, "not asked again: %s", stays->message);
      continue;
    }
    DmStep *step = dm_step_new(pending->op, device);
    step->from = pending->from;
    step->to = pending->to;
    g_ptr_array_add(plan->steps, step);
    plan->memory_after -= dm_size_minus(dm_memory_device_memory(device), step->to);
  }
  plan_order_steps(plan->steps, vm);
  keep_within_spare(plan, vm);
  plan_predict_guaranteed(plan, vm);
  if (plan->memory == 0)
    plan_predict_next_run(plan, vm, NULL);
  return plan;
}
