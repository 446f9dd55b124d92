/* SPDX-License-Identifier: Apache-2.0 */
/* A change to a memory size. lower.c shrinks, this grows. */
#include "base/error.h"
#include "base/size.h"
#include "change.h"
#include "plan/rules.h"
#include "words/rules.h"

/* Rounds down the given values and replaces 0 by those of the next run. */
static gboolean read_values(const DmSetWish *wish, DmValues *values, GError **error) {
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
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED, DM_RULE_NO_MAXIMUM, vm->name);
    dm_error_add_command(error, "dimmer", "enable", "--", dm_vm_handle(vm), "--maximum", "SIZE", NULL);
    return FALSE;
  }
  /* A VM not enabled for hot plug has no maximum of its own: any memory size is allowed. */
  gboolean bounded = next->maximum != 0 || next->hidden_maximum != 0;
  uint64_t memory = or_else(values->memory, dm_config_memory(next));
  uint64_t guaranteed = or_else(values->guaranteed, next->guaranteed);
  uint64_t maximum = or_else(values->maximum, bounded ? dm_config_maximum(next) : UINT64_MAX);
  return dm_rule_order(vm, vm->live != NULL, guaranteed, memory, maximum, error);
}

static gboolean check_live(const DmVm *vm, const DmValues *values, GError **error) {
  const DmConfig *live = vm->live;
  uint64_t memory = or_else(values->memory, dm_config_memory(live));
  uint64_t guaranteed = or_else(values->guaranteed, live->guaranteed);
  if (memory > dm_config_memory(live) && (!dm_rule_running(vm, error) || !dm_rule_enabled(vm, error)))
    return FALSE;
  if (memory < dm_config_memory(live) && !dm_rule_running(vm, error))
    return FALSE;
  return dm_rule_order(vm, FALSE, guaranteed, memory, dm_config_maximum(live), error);
}

/* POWER counts memory in whole hot plug steps (oVirt: MEMORY_SIZE_NOT_MULTIPLE_OF_256_ON_PPC). */
static gboolean check_power(const DmVm *vm, const DmValues *values, GError **error) {
  uint64_t factor = dm_vm_factor(vm);
  if (vm->arch == NULL || !g_str_has_prefix(vm->arch, "ppc") || values->memory % factor == 0)
    return TRUE;
  g_autofree char *memory = dm_size_format(values->memory);
  g_autofree char *factor_text = dm_size_format(factor);
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE, DM_RULE_POWER, vm->name, factor_text, memory);
  return FALSE;
}

static int by_block_largest_first(gconstpointer a, gconstpointer b) {
  const DmMemoryDevice *left = *(const DmMemoryDevice *const *)a, *right = *(const DmMemoryDevice *const *)b;
  return (left->block < right->block) - (left->block > right->block);
}

/* The virtio-mem devices that can grow (borrowed), largest block first. */
static GPtrArray *growing_devices(const DmVm *vm, guint one_node) {
  GPtrArray *devices = g_ptr_array_new();
  for (guint i = 0; !plan_takes_nothing(vm) && i < vm->live->devices->len; i++) {
    DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind == DM_DEVICE_VIRTIO_MEM && device->block > 0 && plan_is_on(device, one_node) &&
      dm_memory_device_memory(device) < plan_usable_size(vm, device))
      g_ptr_array_add(devices, device);
  }
  g_ptr_array_sort(devices, by_block_largest_first);
  return devices;
}

/*
 * How much of @wanted the devices can take; blocks are powers of two, so largest first is exact. Adds the steps to
 * @plan if it is not NULL.
 */
static uint64_t grow_virtio(DmPlan *plan, const DmVm *vm, const GPtrArray *devices, uint64_t wanted) {
  uint64_t sum = 0;
  for (guint i = 0; i < devices->len; i++) {
    const DmMemoryDevice *device = devices->pdata[i];
    uint64_t memory = dm_memory_device_memory(device), grow = MIN(wanted - sum, plan_usable_size(vm, device) - memory);
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

/* The most of @added that virtio-mem devices can take so that the rest is whole DIMMs; 0 if impossible. */
static uint64_t virtio_part(const DmVm *vm, const GPtrArray *devices, uint64_t added, uint64_t step) {
  uint64_t most = grow_virtio(NULL, vm, devices, added), odd = added % step;
  if (most < odd)
    return 0;
  uint64_t part = odd + (most - odd) / step * step;
  while (part > odd && grow_virtio(NULL, vm, devices, part) != part)
    part -= step;
  return grow_virtio(NULL, vm, devices, part) == part ? part : 0;
}

/* What a raise adds, by what is there and by new devices of @kind. */
typedef struct {
  const GPtrArray *growing;
  DmDeviceKind kind;
  uint64_t added;
} Raise;

/* What new devices would have to add on a node, besides what those that are there take, is whole steps. */
static gboolean takes_raise(const DmVm *vm, int node, gconstpointer wanted) {
  const Raise *raise = wanted;
  uint64_t step = dm_vm_plug_step(vm, node), block = plan_virtio_mem_block(vm, node);
  if (raise->kind == DM_DEVICE_DIMM)
    return (raise->added - virtio_part(vm, raise->growing, raise->added, step)) % step == 0;
  return (raise->added - grow_virtio(NULL, vm, raise->growing, raise->added)) % block == 0;
}

/* The finest step by which anything here can grow. */
static uint64_t smallest_block(const GPtrArray *devices, uint64_t step) {
  for (guint i = 0; i < devices->len; i++)
    step = MIN(step, ((const DmMemoryDevice *)devices->pdata[i])->block);
  return step;
}

/*
 * @dimms, what is to be added besides @grown, is whole DIMMs; existing virtio-mem devices, which take @grown, grow in
 * steps of @block.
 */
static gboolean check_step(
  const DmVm *vm, uint64_t dimms, uint64_t grown, uint64_t step, uint64_t block, GError **error) {
  uint64_t nearest;
  if (dm_rule_step(vm, dimms, dimms % block == 0 ? step : block, &nearest, error))
    return TRUE;
  g_autofree char *typed = dm_rule_typed(dm_config_memory(vm->live) + grown + nearest);
  dm_error_add_command(error, "dimmer", "set", "--", dm_vm_handle(vm), "--memory", typed, NULL);
  return FALSE;
}

/* They could hold more, but are left unchanged. */
static void note_passed_over(DmPlan *plan, const DmVm *vm) {
  for (guint i = 0; plan_takes_nothing(vm) && i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind != DM_DEVICE_VIRTIO_MEM || dm_memory_device_memory(device) >= plan_usable_size(vm, device))
      continue;
    g_autofree char *text = plan_describe_device(vm, device);
    plan_note(plan, DM_NOTE_NOT_GROWN, text, plan_explain_not_taken(vm));
  }
}

/* The specification's way: existing virtio-mem devices take what leaves whole DIMMs. */
static gboolean raise_by_dimms(DmPlan *plan, const DmVm *vm, uint64_t added, const DmSetWish *set, GError **error) {
  g_autoptr(GPtrArray) devices = growing_devices(vm, set->one_node);
  const Raise raise = {devices, DM_DEVICE_DIMM, added};
  int node = plan_choose_node(plan, vm, set->one_node, takes_raise, &raise);
  uint64_t step = dm_vm_plug_step(vm, node);
  uint64_t dimms = added - grow_virtio(plan, vm, devices, virtio_part(vm, devices, added, step));
  if (dimms == 0)
    return TRUE;
  if (!dm_rule_kind(vm, DM_DEVICE_DIMM, error) ||
    !check_step(vm, dimms, added - dimms, step, smallest_block(devices, step), error) ||
    !dm_rule_room(vm, dimms, error) || !dm_rule_pinned(vm, dm_size_plus(dm_config_memory(vm->live), added), error) ||
    !dm_rule_slot(vm, error))
    return FALSE;
  plan_add_dimms(plan, vm, set->policy, dimms, node);
  return TRUE;
}

/* Existing virtio-mem devices take all they can, and a new one the rest. */
static gboolean raise_by_virtio_mem(
  DmPlan *plan, const DmVm *vm, uint64_t added, const DmSetWish *set, GError **error) {
  g_autoptr(GPtrArray) devices = growing_devices(vm, set->one_node);
  const Raise raise = {devices, DM_DEVICE_VIRTIO_MEM, added};
  int node = plan_choose_node(plan, vm, set->one_node, takes_raise, &raise);
  uint64_t block = plan_virtio_mem_block(vm, node), rest = added - grow_virtio(plan, vm, devices, added);
  if (rest == 0)
    return TRUE;
  uint64_t full = dm_size_round_up(rest, dm_vm_plug_step(vm, node));
  if (!dm_rule_kind(vm, DM_DEVICE_VIRTIO_MEM, error) || !check_step(vm, rest, added - rest, block, block, error) ||
    !dm_rule_room(vm, full, error) || (!vm->live->slotless_virtio && !dm_rule_slot(vm, error)))
    return FALSE;
  plan_add_plug(plan, vm->live, DM_DEVICE_VIRTIO_MEM, rest, full, block, node);
  plan_place_devices(plan, vm);
  return TRUE;
}

/* A choice is only noted where there is one to make. */
static DmDeviceKind kind_to_raise(DmPlan *plan, const DmVm *vm, uint64_t added, const DmSetWish *set) {
  g_autoptr(GPtrArray) devices = growing_devices(vm, set->one_node);
  if (!set->choose_kind)
    return set->kind;
  return grow_virtio(NULL, vm, devices, added) == added ? DM_DEVICE_VIRTIO_MEM : plan_choose_kind(plan, vm);
}

static gboolean plan_raise(DmPlan *plan, const DmVm *vm, const DmValues *values, const DmSetWish *set, GError **error) {
  uint64_t added = values->memory - dm_config_memory(vm->live);
  gboolean dimms = kind_to_raise(plan, vm, added, set) == DM_DEVICE_DIMM;
  if (!(dimms ? raise_by_dimms(plan, vm, added, set, error) : raise_by_virtio_mem(plan, vm, added, set, error))) {
    plan_explain_kind(plan, error);
    return FALSE;
  }
  note_passed_over(plan, vm);
  if (!plan_check_hard_limit(plan, vm, error) || !plan_check_descriptors(plan, vm, error))
    return FALSE;
  plan_note_prospects(plan, vm);
  plan_keep_pending(plan, vm);
  return TRUE;
}

/* With guaranteed alone, the balloon gives back at least that. */
static uint64_t balloon_memory(const DmVm *vm, const DmValues *values) {
  uint64_t usable = dm_config_memory(vm->live) - plan_held_by_balloon(vm);
  return values->memory == 0 && values->guaranteed > usable ? values->guaranteed : values->memory;
}

/* It is guaranteed more than its guest can use, as another program holds that in the balloon. */
static void note_guaranteed(DmPlan *plan, const DmVm *vm, const DmValues *values) {
  uint64_t usable = dm_size_minus(plan->memory_after, plan->ballooned_after);
  uint64_t stored = MIN(vm->live->guaranteed, plan->memory_after);
  uint64_t guaranteed = or_else(values->guaranteed, stored);
  if (guaranteed <= usable || plan->ballooned_after == 0)
    return;
  g_autofree char *held = dm_size_format(dm_size_floor_mib(plan->ballooned_after));
  g_autofree char *usable_text = dm_size_format(dm_size_floor_mib(usable));
  g_autofree char *guaranteed_text = dm_size_format(guaranteed);
  plan_note(plan, DM_NOTE_GUARANTEED_BALLOONED, vm->name, held, usable_text, guaranteed_text);
}

static gboolean plan_live(DmPlan *plan, const DmVm *vm, const DmValues *values, const DmSetWish *set, GError **error) {
  if (!check_live(vm, values, error))
    return FALSE;
  uint64_t memory = dm_config_memory(vm->live);
  plan->memory = values->memory;
  plan->guaranteed = values->guaranteed;
  if (values->memory != 0 && !plan_balloon_check(plan, vm, error))
    return FALSE;
  if (values->memory != 0 && values->memory < memory && !plan_lower(plan, vm, values->memory, error))
    return FALSE;
  if (values->memory == memory)
    plan_keep_pending(plan, vm);
  if (values->memory > memory && !plan_raise(plan, vm, values, set, error))
    return FALSE;
  plan_balloon(plan, vm, balloon_memory(vm, values));
  if (values->memory >= memory && plan->balloon == NULL)
    plan_note_balloon_stays(plan, vm);
  note_guaranteed(plan, vm, values);
  plan_predict_guaranteed(plan, vm);
  return TRUE;
}

/* New title and description, if changed. */
static void plan_words(DmPlan *plan, const DmVm *vm, const DmSetWish *wish) {
  if (wish->title != NULL && g_strcmp0(wish->title, vm->title != NULL ? vm->title : "") != 0)
    plan->title = g_strdup(wish->title);
  if (wish->description != NULL && g_strcmp0(wish->description, vm->description != NULL ? vm->description : "") != 0)
    plan->description = g_strdup(wish->description);
}

/* Leaves the next run alone. */
static DmPlan *plan_live_only(DmPlan *plan, const DmVm *vm) {
  g_autofree char *memory = vm->next_run != NULL ? dm_size_format(dm_config_memory(vm->next_run)) : NULL;
  if (memory != NULL)
    plan_note(plan, DM_NOTE_LIVE_ONLY, vm->name, memory);
  return plan;
}

/* It has to be there now and at the next start, as far as each is to change. */
static gboolean check_node(const DmVm *vm, const DmSetWish *set, GError **error) {
  int node = (int)set->one_node - 1;
  if (set->one_node == 0)
    return TRUE;
  return (vm->live == NULL || set->next_run_only || dm_rule_node(vm, vm->live, node, error)) &&
    (vm->next_run == NULL || set->live_only || dm_rule_node(vm, vm->next_run, node, error));
}

DmPlan *plan_set(const DmVm *vm, const DmWish *wish, GError **error) {
  const DmSetWish *set = &wish->set;
  DmValues values = {0};
  if (!read_values(set, &values, error) || !check_power(vm, &values, error) || !check_node(vm, set, error) ||
    !dm_rule_platform(vm, values.maximum, error) ||
    !dm_rule_seen(vm, set->next_run_only ? vm->next_run : dm_vm_current(vm), wish->seen, error))
    return NULL;
  if ((set->next_run_only || values.maximum != 0) &&
    !dm_rule_persistent(vm, set->next_run_only ? DM_NEEDS_NEXT_RUN : DM_NEEDS_MAXIMUM, error))
    return NULL;
  if (set->live_only && !dm_rule_running(vm, error))
    return NULL;
  g_autoptr(DmPlan) plan = plan_new(vm, DM_ACTION_SET);
  plan->flags = wish->flags;
  plan->balloon_asked = (wish->flags & DM_PLAN_BALLOON) != 0;
  plan->one_node = values.one_node = set->one_node;
  plan_words(plan, vm, set);
  gboolean words = set->title != NULL || set->description != NULL;
  if (words && values.memory == 0 && values.guaranteed == 0 && values.maximum == 0) /* and nothing about memory */
    return g_steal_pointer(&plan);
  if (vm->live != NULL && !set->next_run_only && !plan_live(plan, vm, &values, set, error))
    return NULL;
  if (set->live_only)
    return plan_live_only(g_steal_pointer(&plan), vm);
  if (!check_next_run(vm, &values, error))
    return NULL;
  if (vm->next_run != NULL && !plan_set_next_run(plan, vm, &values, error))
    return NULL;
  if (vm->live == NULL) {
    plan->memory_after = dm_config_memory(plan->next_run_config);
    plan->guaranteed_after = dm_config_guaranteed(plan->next_run_config);
  } else if (vm->next_run == NULL) {
    plan_note(plan, DM_NOTE_TRANSIENT, vm->name);
  } else if (values.maximum != 0 && values.maximum != dm_config_maximum(vm->live)) {
    plan_note(plan, DM_NOTE_MAXIMUM_LATER);
  }
  return g_steal_pointer(&plan);
}
