/* SPDX-License-Identifier: Apache-2.0 */
#include "change.h"

#include <stdarg.h>

#include "base/size.h"
#include "plan/account.h"
#include "plan/next_run.h"

static void free_step(gpointer step) {
  dm_step_free(step);
}

DmPlan *plan_new(const DmVm *vm, DmAction action) {
  DmPlan *plan = g_new0(DmPlan, 1);
  const DmConfig *current = dm_vm_current(vm);
  plan->action = action;
  plan->steps = g_ptr_array_new_with_free_func(free_step);
  plan->notes = g_ptr_array_new_with_free_func(g_free);
  plan->memory_before = plan->memory_after = dm_config_memory(current);
  plan->guaranteed_after = dm_config_guaranteed(current);
  return plan;
}

void dm_plan_free(DmPlan *plan) {
  if (plan == NULL)
    return;
  g_ptr_array_unref(plan->steps);
  g_ptr_array_unref(plan->notes);
  dm_config_free(plan->next_run_config);
  g_free(plan);
}

void plan_note(DmPlan *plan, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_ptr_array_add(plan->notes, g_strdup_vprintf(format, arguments));
  va_end(arguments);
}

char *plan_describe_device(const DmVm *vm, const DmMemoryDevice *device) {
  g_autofree char *size = dm_size_format(dm_memory_device_memory(device));
  return g_strdup_printf(
    "%s %.*s (%s)", dm_memory_device_kind_name(device), (int)dm_vm_short_id_length(vm), device->id, size);
}

static void note_maximum_kept_aside(DmPlan *plan, const DmVm *vm) {
  const DmConfig *config = plan->next_run_config;
  if (config->hidden_maximum == 0 || vm->next_run->hidden_maximum != 0)
    return;
  g_autofree char *maximum = dm_size_format(config->hidden_maximum);
  plan_note(plan,
    "the next run has its maximum of %s as boot memory, so it will not be able to hot plug or unplug; lower memory to "
    "get that back",
    maximum);
}

static gboolean has_index(const DmConfig *config, guint index) {
  for (guint i = 0; i < config->devices->len; i++) {
    if (((DmMemoryDevice *)config->devices->pdata[i])->index == index)
      return TRUE;
  }
  return FALSE;
}

/* Somebody wrote it there on purpose. */
static void note_dropped_devices(DmPlan *plan, const DmVm *vm) {
  for (guint i = 0; i < vm->next_run->devices->len; i++) {
    const DmMemoryDevice *device = vm->next_run->devices->pdata[i];
    if (has_index(plan->next_run_config, device->index))
      continue;
    g_autofree char *size = dm_size_format(device->size);
    plan_note(plan, "the %s of %s%s%s in the definition of %s goes, so that it starts with what was asked for",
      dm_memory_device_kind_name(device), size, device->alias != NULL ? ", " : "",
      device->alias != NULL ? device->alias : "", vm->name);
  }
}

gboolean plan_set_next_run(DmPlan *plan, const DmVm *vm, const DmValues *values, GError **error) {
  plan->next_run_config = dm_plan_next_run(vm->next_run, values, NULL, vm->name, error);
  if (plan->next_run_config == NULL)
    return FALSE;
  plan->next_run = *values;
  note_maximum_kept_aside(plan, vm);
  note_dropped_devices(plan, vm);
  if (vm->saved)
    plan_note(
      plan, "%s has a saved image, which its next start restores as it was, unless that is removed first", vm->name);
  return TRUE;
}

void plan_predict_guaranteed(DmPlan *plan, const DmVm *vm) {
  uint64_t wanted = plan->guaranteed != 0 ? plan->guaranteed : dm_vm_current(vm)->guaranteed;
  plan->guaranteed_after = wanted != 0 ? MIN(wanted, plan->memory_after) : plan->memory_after;
}

gboolean plan_predict_next_run(DmPlan *plan, const DmVm *vm, GError **error) {
  if (vm->next_run == NULL || plan->steps->len == 0 || dm_config_memory(vm->next_run) != plan->memory_before)
    return TRUE;
  g_autoptr(DmAccount) account = g_new0(DmAccount, 1);
  account->differences = g_ptr_array_ref(plan->steps);
  plan->next_run_config = dm_plan_follow(vm->next_run, account, vm->name, error);
  return plan->next_run_config != NULL;
}

static gboolean has_virtio_mem(const DmConfig *config) {
  for (guint i = 0; i < config->devices->len; i++) {
    if (((DmMemoryDevice *)config->devices->pdata[i])->kind == DM_DEVICE_VIRTIO_MEM)
      return TRUE;
  }
  return FALSE;
}

/* Not with virtio-mem: libvirt's currentMemory then lags behind what the guest has taken, and would tell a lie. */
uint64_t plan_held_by_balloon(const DmVm *vm) {
  uint64_t held = dm_size_minus(dm_config_memory(vm->live), vm->live->balloon);
  return vm->live->balloon == 0 || held < DM_MIB || has_virtio_mem(vm->live) ? 0 : held;
}

void plan_note_obstacles(DmPlan *plan, const DmVm *vm) {
  uint64_t held = plan_held_by_balloon(vm);
  if (held == 0)
    return;
  g_autofree char *text = dm_size_format(dm_size_floor_mib(held));
  plan_note(
    plan, "the balloon of %s is inflated by %s, which can make its guest refuse; deflate it first", vm->name, text);
}

void plan_add_plug(DmPlan *plan, DmDeviceKind kind, uint64_t memory, uint64_t size, uint64_t block, int node) {
  g_autoptr(DmMemoryDevice) device = dm_memory_device_new(kind);
  device->id = g_uuid_string_random();
  device->alias = g_strconcat("ua-", device->id, NULL);
  device->size = size;
  device->requested = memory;
  device->block = block;
  device->node = node;
  g_ptr_array_add(plan->steps, dm_step_new(DM_OP_PLUG, device));
  plan->memory_after += memory;
}

void plan_add_dimms(DmPlan *plan, const DmVm *vm, DmPlugPolicy policy, uint64_t size, int node) {
  uint64_t minimal = dm_vm_plug_step(vm);
  g_autoptr(GArray) sizes = dm_plan_plug(policy, size, minimal, vm->live, dm_config_free_slots(vm->live));
  for (guint i = 0; i < sizes->len; i++) {
    uint64_t dimm = g_array_index(sizes, uint64_t, i);
    plan_add_plug(plan, DM_DEVICE_DIMM, dimm, dimm, 0, node);
  }
  plan_place_dimms(plan, vm);
  if (dm_vm_is_windows(vm))
    plan_note(plan,
      "the guest of %s is Windows, which cannot release memory devices while it runs: they stay until its "
      "next start",
      vm->name);
}

/* How late a step comes. What is not unplugged is shrunk, which nobody has to wait for. */
static int rank_of(const DmVm *vm, const DmStep *step) {
  const DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
  if (step->op != DM_OP_UNPLUG || device == NULL)
    return 5;
  gboolean refused = dm_vm_was_refused(vm, device);
  switch (device->movable) {
    case DM_MOVABLE_YES:
      return refused ? 2 : 0;
    case DM_MOVABLE_UNKNOWN:
      return refused ? 2 : 1;
    case DM_MOVABLE_NO:
      break;
  }
  return refused ? 4 : 3;
}

static int by_rank(gconstpointer a, gconstpointer b, gpointer vm) {
  return rank_of(vm, *(const DmStep *const *)a) - rank_of(vm, *(const DmStep *const *)b);
}

void plan_order_steps(GPtrArray *steps, const DmVm *vm) {
  g_ptr_array_sort_with_data(steps, by_rank, (gpointer)vm); /* stable */
}

const DmStep *plan_pending_step(const DmRequest *request, const DmMemoryDevice *device) {
  const DmStep *step = request != NULL ? dm_request_find_step(request, device->alias) : NULL;
  return step != NULL && step->op != DM_OP_PLUG && dm_step_is_pending(step) ? step : NULL;
}
