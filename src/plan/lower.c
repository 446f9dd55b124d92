/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lowering a running VM: which devices go or shrink for a memory size, and what to tell of those that stay. Candidates
 * are copies of the VM's devices, as they will be when what is out for them is done, and as dear as they are known to
 * be: one that refused before costs as much as one that is not movable.
 */
#include "base/error.h"
#include "base/size.h"
#include "change.h"
#include "plan/rules.h"
#include "plan/unplug.h"

static void free_device(gpointer device) {
  dm_memory_device_free(device);
}

static GPtrArray *new_devices(void) {
  return g_ptr_array_new_with_free_func(free_device);
}

gboolean plan_leaves_out(const DmMemoryDevice *device, DmPlanFlags flags) {
  return device->kind == DM_DEVICE_DIMM && device->movable == DM_MOVABLE_NO && (flags & DM_PLAN_TRY_UNMOVABLE) == 0;
}

/* What may go, and what is left out. DmMemoryDevice, owned. */
typedef struct {
  GPtrArray *candidates, *left_out;
} Choice;

static Choice choice_new(void) {
  return (Choice){new_devices(), new_devices()};
}

static void choice_clear(Choice *choice) {
  g_ptr_array_unref(choice->candidates);
  g_ptr_array_unref(choice->left_out);
}

/* @pending: its step whose answer is out, or NULL; a device may shrink further. */
static void offer(
  Choice *choice, const DmVm *vm, const DmMemoryDevice *device, const DmStep *pending, DmPlanFlags flags) {
  DmMemoryDevice *after = dm_memory_device_copy(device);
  if (pending != NULL)
    after->requested = after->current = MIN(pending->to, dm_memory_device_memory(device));
  g_ptr_array_add(plan_leaves_out(device, flags) ? choice->left_out : choice->candidates, after);
  if (dm_vm_was_refused(vm, device))
    after->movable = DM_MOVABLE_NO;
}

/* What is on its way out, or still growing, for requests before this one. */
typedef struct {
  GPtrArray *devices; /* const DmMemoryDevice: DIMMs whose answer is out */
  uint64_t sum;
} Pending;

static Pending find_pending(const DmVm *vm) {
  Pending pending = {.devices = g_ptr_array_new()};
  for (guint i = 0; i < vm->live->devices->len; i++) {
    DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind == DM_DEVICE_DIMM && plan_pending_step(vm->request, device) != NULL) {
      g_ptr_array_add(pending.devices, device);
      pending.sum = dm_size_plus(pending.sum, device->size);
    }
  }
  return pending;
}

/* @memory: what the VM has when everything but them is done. */
static void note_pending(DmPlan *plan, const DmVm *vm, const Pending *pending, uint64_t memory) {
  uint64_t left = dm_size_minus(memory, pending->sum);
  g_autofree char *sum = dm_size_format(pending->sum);
  g_autofree char *left_text = dm_size_format(left);
  plan_note(plan,
    "an earlier request asked for %s to go, and the guest has not answered yet; if it still does, %s will have %s", sum,
    vm->name, left_text);
}

static DmStep *add_release(GPtrArray *steps, const DmMemoryDevice *device, uint64_t release) {
  DmStep *step = dm_step_new(device->kind == DM_DEVICE_DIMM ? DM_OP_UNPLUG : DM_OP_RESIZE, device);
  step->to = step->from - release;
  g_ptr_array_add(steps, step);
  return step;
}

static gboolean is_in(const GPtrArray *steps, const DmMemoryDevice *device) {
  for (guint i = 0; i < steps->len; i++) {
    if (g_strcmp0(((DmStep *)steps->pdata[i])->alias, device->alias) == 0)
      return TRUE;
  }
  return FALSE;
}

/* A virtio-mem device that still shrinks for an earlier request keeps what it has, unless this one wants it too. */
static void recall_shrinking(const DmVm *vm, GPtrArray *steps) {
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind == DM_DEVICE_VIRTIO_MEM && device->requested < device->current && !is_in(steps, device))
      add_release(steps, device, 0);
  }
}

void plan_keep_pending(DmPlan *plan, const DmVm *vm) {
  Pending pending = find_pending(vm);
  recall_shrinking(vm, plan->steps);
  if (pending.sum > 0)
    note_pending(plan, vm, &pending, plan->memory_after);
  g_ptr_array_unref(pending.devices);
}

/* Names those devices that are left out and would have helped: without them the choice released @released. */
static void note_left_out(DmPlan *plan, const DmVm *vm, const Choice *choice, uint64_t decrement, uint64_t released) {
  g_autoptr(GPtrArray) all = g_ptr_array_new();
  g_autoptr(GString) names = g_string_new(NULL);
  guint count = 0;
  if (choice->left_out->len == 0 || released == decrement)
    return;
  g_ptr_array_extend(all, choice->candidates, NULL, NULL);
  g_ptr_array_extend(all, choice->left_out, NULL, NULL);
  g_autoptr(GArray) better = dm_plan_unplug(all, decrement);
  if (dm_plan_released(better) == released)
    return;
  for (guint i = 0; i < better->len; i++) {
    const DmMemoryDevice *device = g_array_index(better, DmRelease, i).device;
    if (!g_ptr_array_find(choice->left_out, device, NULL))
      continue;
    g_autofree char *text = plan_describe_device(vm, device);
    g_string_append_printf(names, "%s%s", count++ > 0 ? ", " : "", text);
  }
  if (dm_vm_is_windows(vm))
    plan_note(plan, "left out, as Windows cannot release memory devices while it runs: %s", names->str);
  else
    plan_note(plan, "left out, as the guest has memory of %s in a kernel zone, from where it can seldom be moved: %s",
      count > 1 ? "them" : "it", names->str);
}

static void choose_devices(DmPlan *plan, const DmVm *vm, uint64_t wanted) {
  uint64_t decrement = dm_config_memory(vm->live) - wanted;
  Pending pending = find_pending(vm);
  Choice choice = choice_new();
  gboolean all_pending_fit = pending.sum <= decrement;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    DmMemoryDevice *device = vm->live->devices->pdata[i];
    gboolean is_pending = g_ptr_array_find(pending.devices, device, NULL);
    if (is_pending && all_pending_fit)
      add_release(plan->steps, device, device->size);
    else if (is_pending || all_pending_fit)
      offer(&choice, vm, device, NULL, plan->flags);
  }
  if (all_pending_fit)
    decrement -= pending.sum;
  else
    note_pending(plan, vm, &pending, dm_config_memory(vm->live));

  g_autoptr(GArray) releases = dm_plan_unplug(choice.candidates, decrement);
  for (guint i = 0; i < releases->len; i++) {
    const DmRelease *release = &g_array_index(releases, DmRelease, i);
    add_release(plan->steps, release->device, release->release);
  }
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    plan->memory_after -= step->from - step->to;
  }
  note_left_out(plan, vm, &choice, decrement, dm_plan_released(releases));
  recall_shrinking(vm, plan->steps);
  plan_order_steps(plan->steps, vm);
  choice_clear(&choice);
  g_ptr_array_unref(pending.devices);
}

/* oVirt's event 2051 has the same list: each device with the memory that would remain without it. */
static void note_nothing_fits(DmPlan *plan, const DmVm *vm, uint64_t wanted) {
  g_autoptr(GString) options = g_string_new(NULL);
  uint64_t memory = dm_config_memory(vm->live);
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind != DM_DEVICE_DIMM || plan_leaves_out(device, plan->flags))
      continue;
    g_autofree char *text = plan_describe_device(vm, device);
    g_autofree char *left = dm_size_format(memory - device->size);
    g_string_append_printf(options, "%s%s would leave %s", options->len > 0 ? ", " : "", text, left);
  }
  g_autofree char *now = dm_size_format(memory);
  g_autofree char *wanted_text = dm_size_format(wanted);
  if (options->len == 0)
    plan_note(
      plan, "%s has no hot plugged memory device that could go, so it keeps its %s while it runs", vm->name, now);
  else
    plan_note(plan, "no memory device of %s fits from %s down to %s, so it keeps what it has while it runs: %s",
      vm->name, now, wanted_text, options->str);
}

static gboolean leaves_any_out(const DmVm *vm, DmPlanFlags flags) {
  for (guint i = 0; i < vm->live->devices->len; i++) {
    if (plan_leaves_out(vm->live->devices->pdata[i], flags))
      return TRUE;
  }
  return FALSE;
}

static void note_difference(DmPlan *plan, const DmVm *vm, uint64_t wanted) {
  g_autofree char *left = dm_size_format(plan->memory_after);
  uint64_t boot = dm_config_boot(vm->live);
  if (wanted < boot) {
    g_autofree char *boot_text = dm_size_format(boot);
    plan_note(plan, "boot memory (%s) cannot be hot unplugged: %s keeps it %s", boot_text, vm->name,
      vm->next_run != NULL ? "until its next start" : "while it runs");
  } else if (plan->memory_after != wanted && plan->steps->len > 0) {
    g_autofree char *wanted_text = dm_size_format(wanted);
    plan_note(plan, "no set of devices%s gives exactly %s: %s runs on with %s",
      leaves_any_out(vm, plan->flags) ? " that can go" : "", wanted_text, vm->name, left);
  }
}

gboolean plan_lower(DmPlan *plan, const DmVm *vm, uint64_t wanted, GError **error) {
  choose_devices(plan, vm, wanted);
  if (plan->memory_after == plan->memory_before) {
    note_nothing_fits(plan, vm, wanted);
    note_difference(plan, vm, wanted);
    if (plan->guaranteed != 0 && plan->guaranteed != vm->live->guaranteed)
      plan_note(plan, "as nothing goes, guaranteed memory of the running VM stays as well");
    plan->guaranteed = 0; /* the running VM keeps both of its values, as in oVirt */
    return TRUE;
  }
  if (!plan_check_spare(plan, vm, error))
    return FALSE;
  note_difference(plan, vm, wanted);
  plan_note_unmovable(plan, vm);
  plan_note_obstacles(plan, vm);
  return TRUE;
}

uint64_t plan_least_memory(const DmVm *vm, DmPlanFlags flags, uint64_t spare) {
  Choice choice = choice_new();
  uint64_t pending = 0, needed = 0, memory = dm_config_memory(vm->live);
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind == DM_DEVICE_DIMM && plan_pending_step(vm->request, device) != NULL) {
      pending += device->size;
      needed += plan_needs_of(vm, device, device->size);
    } else {
      offer(&choice, vm, device, NULL, flags);
    }
  }
  g_autoptr(GArray) releases = dm_plan_unplug(choice.candidates, dm_size_minus(spare, needed));
  choice_clear(&choice);
  return needed > spare ? memory : dm_size_minus(memory, dm_size_plus(pending, dm_plan_released(releases)));
}

/* What to release of @choice: the most, or, where the guest cannot spare that, the most within what it can. */
static GArray *releases_within(const DmVm *vm, const DmRequest *request, const Choice *choice, uint64_t decrement) {
  GArray *releases = dm_plan_unplug(choice->candidates, decrement);
  uint64_t needed = 0, spare, reserve;
  if ((request->flags & DM_PLAN_FORCE) != 0 || !dm_plan_spare(vm, &spare, &reserve))
    return releases;
  for (guint i = 0; i < releases->len; i++) {
    const DmRelease *release = &g_array_index(releases, DmRelease, i);
    needed += plan_needs_of(vm, release->device, release->release);
  }
  uint64_t out = plan_needs(vm, NULL, request).out;
  if (dm_size_plus(needed, out) <= spare)
    return releases;
  g_array_unref(releases);
  return dm_plan_unplug(choice->candidates, MIN(decrement, dm_size_minus(spare, out)));
}

GPtrArray *dm_plan_again(const DmVm *vm, const DmRequest *request) {
  Choice choice = choice_new();
  GPtrArray *steps = g_ptr_array_new();
  uint64_t pending_sum = 0;
  gboolean goes_on = request->action == DM_ACTION_SET && request->memory != 0 && vm->live != NULL;
  for (guint i = 0; goes_on && i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    const DmStep *step = dm_request_find_step(request, device->alias);
    const DmStep *pending = plan_pending_step(request, device);
    if (pending != NULL)
      pending_sum += dm_size_minus(dm_memory_device_memory(device), pending->to);
    gboolean shrinkable = device->kind == DM_DEVICE_VIRTIO_MEM && (step == NULL || step->state != DM_STEP_REFUSED);
    if (shrinkable || step == NULL)
      offer(&choice, vm, device, pending, request->flags);
  }
  if (choice.candidates->len > 0) {
    uint64_t decrement = dm_size_minus(dm_config_memory(vm->live), dm_size_plus(request->memory, pending_sum));
    g_autoptr(GArray) releases = releases_within(vm, request, &choice, decrement);
    for (guint i = 0; i < releases->len; i++) {
      const DmRelease *release = &g_array_index(releases, DmRelease, i);
      DmStep *step = add_release(steps, release->device, release->release);
      /* What it counted for is what the VM has now, not what it will have after the pending step. */
      step->from = dm_memory_device_memory(dm_config_find_alias(vm->live, step->alias));
    }
  }
  plan_order_steps(steps, vm);
  choice_clear(&choice);
  return steps;
}
