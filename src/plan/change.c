/* SPDX-License-Identifier: Apache-2.0 */
#include "change.h"

#include "base/error.h"
#include "base/size.h"
#include "plan/account.h"
#include "plan/machine.h"
#include "plan/next_run.h"

static void free_step(gpointer step) {
  dm_step_free(step);
}

DmPlan *plan_new(const DmVm *vm, DmAction action) {
  DmPlan *plan = g_new0(DmPlan, 1);
  const DmConfig *current = dm_vm_current(vm);
  plan->action = action;
  plan->steps = g_ptr_array_new_with_free_func(free_step);
  plan->notes = dm_notes_new();
  plan->emptied = g_ptr_array_new_with_free_func(g_free);
  plan->memory_before = plan->memory_after = dm_config_memory(current);
  plan->guaranteed_after = dm_config_guaranteed(current);
  plan->ballooned_before = plan->ballooned_after = plan_held_by_balloon(vm);
  return plan;
}

void dm_plan_free(DmPlan *plan) {
  if (plan == NULL)
    return;
  g_ptr_array_unref(plan->steps);
  dm_step_free(plan->balloon);
  g_ptr_array_unref(plan->notes);
  g_ptr_array_unref(plan->emptied);
  dm_config_free(plan->next_run_config);
  dm_values_clear(&plan->next_run);
  g_free(plan->title);
  g_free(plan->description);
  g_free(plan);
}

char *plan_describe_device(const DmVm *vm, const DmMemoryDevice *device) {
  return dm_device_describe(
    dm_memory_device_kind_name(device), device->id, dm_vm_short_id_length(vm), dm_memory_device_memory(device));
}

static void note_maximum_kept_aside(DmPlan *plan, const DmVm *vm) {
  const DmConfig *config = plan->next_run_config;
  if (config->hidden_maximum == 0 || vm->next_run->hidden_maximum != 0)
    return;
  g_autofree char *maximum = dm_size_format(config->hidden_maximum);
  plan_note(plan, DM_NOTE_MAXIMUM_AS_BOOT, maximum);
}

/* Errors about the next run have no command, as they know the VM only by name. */
static gboolean advise(const DmPlan *plan, const DmVm *vm, GError **error) {
  if (plan->next_run_config == NULL && error != NULL &&
    g_error_matches(*error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM))
    dm_error_add_command(error, "dimmer", "set", "--", dm_vm_handle(vm), "--maximum", "SIZE", NULL);
  return plan->next_run_config != NULL;
}

static gboolean has_index(const DmConfig *config, guint index) {
  for (guint i = 0; i < config->devices->len; i++) {
    if (((DmMemoryDevice *)config->devices->pdata[i])->index == index)
      return TRUE;
  }
  return FALSE;
}

/* By 'enable': which of them there are goes by what there is above the floor. */
static gboolean is_of_floor(const DmConfig *config, const DmMemoryDevice *device) {
  return config->floors->len > 0 && device->kind == config->floor_kind && device->alias != NULL &&
    g_str_has_prefix(device->alias, "ua-");
}

/* It was set there on purpose. */
static void note_dropped_devices(DmPlan *plan, const DmVm *vm) {
  for (guint i = 0; i < vm->next_run->devices->len; i++) {
    const DmMemoryDevice *device = vm->next_run->devices->pdata[i];
    if (has_index(plan->next_run_config, device->index) || is_of_floor(vm->next_run, device))
      continue;
    g_autofree char *size = dm_size_format(device->size);
    const char *kind = dm_memory_device_kind_name(device);
    if (device->alias != NULL)
      plan_note(plan, DM_NOTE_DEVICE_DROPPED_ALIAS, kind, size, device->alias, vm->name);
    else
      plan_note(plan, DM_NOTE_DEVICE_DROPPED, kind, size, vm->name);
  }
}

/* What cannot be known before the VM starts. */
static void note_doubts(DmPlan *plan, const DmVm *vm) {
  const DmConfig *next = plan->next_run_config;
  DmNote *doubt = dm_machine_doubt(vm->next_run, next, vm->name);
  uint64_t memory = dm_config_memory(next);
  if (doubt != NULL)
    g_ptr_array_add(plan->notes, doubt);
  if (vm->host_memory == 0 || memory <= vm->host_memory || memory <= dm_config_memory(vm->next_run))
    return;
  g_autofree char *text = dm_size_format(memory);
  g_autofree char *host = dm_size_format(dm_size_floor_mib(vm->host_memory));
  plan_note(plan, DM_NOTE_ABOVE_HOST, vm->name, text, host);
}

static void note_balloon(DmPlan *plan, const DmVm *vm) {
  uint64_t before = dm_config_ballooned(vm->next_run), after = dm_config_ballooned(plan->next_run_config);
  g_autofree char *size = dm_size_format(dm_size_floor_mib(before));
  if (vm->balloon && before > 0 && after == 0)
    plan_note(plan, DM_NOTE_BALLOON_DEFLATED, vm->name, size);
}

/* What is above a floor stays in devices, for a guest that may have the driver by then. */
static void note_floor_driver(DmPlan *plan, const DmVm *vm) {
  const DmConfig *next = plan->next_run_config;
  if (!plan_takes_nothing(vm) || next->floors->len == 0 || next->floor_kind != DM_DEVICE_VIRTIO_MEM ||
    dm_config_memory(next) == dm_config_boot(next))
    return;
  g_autofree char *boot = dm_size_format(dm_config_boot(next));
  plan_note(plan, DM_NOTE_FLOOR_NO_DRIVER, vm->name, plan_explain_not_taken(vm), boot);
}

gboolean plan_set_next_run(DmPlan *plan, const DmVm *vm, const DmValues *values, GError **error) {
  DmTrail trail = {.steps = plan->steps, .live = vm->live, .notes = plan->notes};
  plan->next_run = dm_values_copy(values);
  plan->next_run.no_virtio_mem = plan_takes_nothing(vm) || dm_vm_is_windows(vm);
  plan->next_run_config = dm_plan_next_run(vm->next_run, &plan->next_run, &trail, vm->name, error);
  if (!advise(plan, vm, error))
    return FALSE;
  note_maximum_kept_aside(plan, vm);
  note_dropped_devices(plan, vm);
  note_doubts(plan, vm);
  note_balloon(plan, vm);
  note_floor_driver(plan, vm);
  if (vm->saved)
    plan_note(plan, DM_NOTE_SAVED_IMAGE, vm->name);
  return TRUE;
}

void plan_predict_guaranteed(DmPlan *plan, const DmVm *vm) {
  uint64_t wanted = plan->guaranteed != 0 ? plan->guaranteed : dm_vm_current(vm)->guaranteed;
  plan->guaranteed_after = wanted != 0 ? MIN(wanted, plan->memory_after) : plan->memory_after;
}

gboolean plan_predict_next_run(DmPlan *plan, const DmVm *vm, GError **error) {
  if (vm->next_run == NULL || plan->steps->len == 0 ||
    dm_config_memory(vm->next_run) != plan_accounted_memory(vm, vm->request))
    return TRUE;
  g_autoptr(DmAccount) account = g_new0(DmAccount, 1);
  account->differences = g_ptr_array_ref(plan->steps);
  account->live = vm->live;
  plan->next_run_config = dm_plan_follow(vm->next_run, account, vm->name, plan->notes, error);
  return advise(plan, vm, error);
}

uint64_t plan_held_by_balloon(const DmVm *vm) {
  uint64_t held = 0;
  return dm_vm_ballooned(vm, &held) ? held : 0;
}

void plan_note_obstacles(DmPlan *plan, const DmVm *vm) {
  uint64_t held = plan_held_by_balloon(vm);
  if (held == 0)
    return;
  g_autofree char *text = dm_size_format(dm_size_floor_mib(held));
  plan_note(plan, DM_NOTE_BALLOON_INFLATED, vm->name, text);
}

void plan_add_plug(
  DmPlan *plan, const DmConfig *config, DmDeviceKind kind, uint64_t memory, uint64_t size, uint64_t block, int node) {
  g_autoptr(DmMemoryDevice) device = dm_memory_device_new(kind);
  device->id = g_uuid_string_random();
  device->alias = g_strconcat("ua-", device->id, NULL);
  device->size = size;
  device->requested = memory;
  device->block = block;
  device->node = node;
  DmStep *step = dm_step_new(DM_OP_PLUG, device);
  step->run.dynamic_memslots = kind == DM_DEVICE_VIRTIO_MEM && dm_machine_divides(config);
  g_ptr_array_add(plan->steps, step);
  plan->memory_after += memory;
}

uint64_t plan_added(const DmPlan *plan) {
  uint64_t sum = 0;
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    sum = dm_size_plus(sum, dm_size_minus(step->to, step->from));
  }
  return sum;
}

/* Sort key of a step, highest last. Devices that only shrink delay no other step. */
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
  return step != NULL && !dm_step_is_at_once(step) && dm_step_is_pending(step) ? step : NULL;
}
