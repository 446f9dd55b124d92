/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lowering a running VM: which devices go or shrink for a memory size, and the notes about those that stay. Candidates
 * are copies of the VM's devices as they will be when outstanding steps are done, with their cost: one that refused
 * before costs as much as one that is not movable.
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

gboolean plan_is_on(const DmMemoryDevice *device, guint one_node) {
  return one_node == 0 || device->node == (int)one_node - 1;
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

/* @pending: its outstanding step, or NULL; a device may shrink further. */
static void offer(
  Choice *choice, const DmVm *vm, const DmMemoryDevice *device, const DmStep *pending, DmPlanFlags flags) {
  DmMemoryDevice *after = dm_memory_device_copy(device);
  if (pending != NULL)
    after->requested = after->current = MIN(pending->to, dm_memory_device_memory(device));
  g_ptr_array_add(plan_leaves_out(device, flags) ? choice->left_out : choice->candidates, after);
  if (dm_vm_was_refused(vm, device))
    after->movable = DM_MOVABLE_NO;
}

/* What is being removed, or still growing, for earlier requests. */
typedef struct {
  GPtrArray *devices; /* const DmMemoryDevice: DIMMs with an outstanding answer */
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

/* @memory: what the VM has when all but these are done. */
static void note_pending(DmPlan *plan, const DmVm *vm, const Pending *pending, uint64_t memory) {
  uint64_t left = dm_size_minus(memory, pending->sum);
  g_autofree char *sum = dm_size_format(pending->sum);
  g_autofree char *left_text = dm_size_format(left);
  plan_note(plan, DM_NOTE_EARLIER_REQUEST, sum, vm->name, left_text);
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

/*
 * A virtio-mem device that still shrinks or grows for an earlier request keeps its size, unless this one wants the
 * change too: else the VM would end up at another size.
 */
static void recall_resizing(const DmVm *vm, GPtrArray *steps) {
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind == DM_DEVICE_VIRTIO_MEM && device->requested != device->current && !is_in(steps, device))
      add_release(steps, device, 0);
  }
}

void plan_keep_pending(DmPlan *plan, const DmVm *vm) {
  Pending pending = find_pending(vm);
  recall_resizing(vm, plan->steps);
  if (pending.sum > 0)
    note_pending(plan, vm, &pending, plan->memory_after);
  g_ptr_array_unref(pending.devices);
}

/* Notes the left-out devices that would have helped: without them the choice released @released. */
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
    plan_note(plan, DM_NOTE_LEFT_OUT_WINDOWS, names->str);
  else if (count > 1)
    plan_note(plan, DM_NOTE_LEFT_OUT_SEVERAL, names->str);
  else
    plan_note(plan, DM_NOTE_LEFT_OUT, names->str);
}

/* @left: DmMemoryDevice of @vm that are left alone. */
static void choose_devices(DmPlan *plan, const DmVm *vm, uint64_t wanted, GHashTable *left) {
  uint64_t decrement = dm_config_memory(vm->live) - wanted;
  Pending pending = find_pending(vm);
  Choice choice = choice_new();
  gboolean all_pending_fit = pending.sum <= decrement;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    DmMemoryDevice *device = vm->live->devices->pdata[i];
    gboolean is_pending = g_ptr_array_find(pending.devices, device, NULL);
    if (is_pending && all_pending_fit)
      add_release(plan->steps, device, device->size);
    else if ((is_pending || all_pending_fit) && plan_is_on(device, plan->one_node) &&
      !g_hash_table_contains(left, device))
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
  recall_resizing(vm, plan->steps);
  plan_order_steps(plan->steps, vm);
  choice_clear(&choice);
  g_ptr_array_unref(pending.devices);
}

static void choose_anew(DmPlan *plan, const DmVm *vm, uint64_t wanted, GHashTable *left, guint notes) {
  g_ptr_array_set_size(plan->steps, 0);
  g_ptr_array_set_size(plan->notes, (int)notes);
  plan->memory_after = plan->memory_before;
  choose_devices(plan, vm, wanted, left);
}

/* The largest DIMM of that node that @plan asks for, and nothing asked before; NULL: none. */
static DmMemoryDevice *find_largest(const DmPlan *plan, const DmVm *vm, int node) {
  DmMemoryDevice *largest = NULL;
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
    if (step->op == DM_OP_UNPLUG && MAX(step->node, 0) == node && plan_pending_step(vm->request, device) == NULL &&
      (largest == NULL || device->size > largest->size))
      largest = device;
  }
  return largest;
}

/*
 * A node whose content finds no room elsewhere keeps DIMMs, unless nothing else could go: then all is refused, with the
 * reason.
 */
static void choose_within_nodes(DmPlan *plan, const DmVm *vm, uint64_t wanted) {
  g_autoptr(GHashTable) left = g_hash_table_new(NULL, NULL);
  guint notes = plan->notes->len;
  int first = -1, node;
  choose_devices(plan, vm, wanted, left);
  while ((plan->flags & DM_PLAN_FORCE) == 0 && (node = plan_find_tight_node(vm, plan->steps, vm->request, NULL)) >= 0) {
    DmMemoryDevice *device = find_largest(plan, vm, node);
    if (device == NULL)
      break;
    first = first < 0 ? node : first;
    g_hash_table_add(left, device);
    choose_anew(plan, vm, wanted, left, notes);
  }
  if (first < 0)
    return;
  if (plan->memory_after == plan->memory_before && (plan->flags & DM_PLAN_BALLOON) == 0) {
    g_hash_table_remove_all(left);
    choose_anew(plan, vm, wanted, left, notes);
  } else {
    plan_note(plan, DM_NOTE_NODE_LEFT_OUT, vm->name, first);
  }
}

/* oVirt's event 2051 has the same list: each device with the memory that would remain after its unplug. */
static void note_nothing_fits(DmPlan *plan, const DmVm *vm, uint64_t wanted) {
  g_autoptr(GString) options = g_string_new(NULL);
  uint64_t memory = dm_config_memory(vm->live);
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind != DM_DEVICE_DIMM || plan_leaves_out(device, plan->flags) || !plan_is_on(device, plan->one_node))
      continue;
    g_autofree char *text = plan_describe_device(vm, device);
    g_autofree char *left = dm_size_format(memory - device->size);
    if (options->len > 0)
      g_string_append(options, ", ");
    g_string_append_printf(options, DM_PHRASE_WOULD_LEAVE, text, left);
  }
  g_autofree char *now = dm_size_format(memory);
  g_autofree char *wanted_text = dm_size_format(wanted);
  guint node = plan->one_node - 1; /* where it is not 0 */
  if (options->len == 0 && plan->one_node != 0)
    plan_note(plan, DM_NOTE_NO_DEVICE_ON_NODE, node, vm->name, now);
  else if (options->len == 0)
    plan_note(plan, DM_NOTE_NO_DEVICE, vm->name, now);
  else if (plan->one_node != 0)
    plan_note(plan, DM_NOTE_NOTHING_FITS_ON_NODE, node, vm->name, now, wanted_text, options->str);
  else
    plan_note(plan, DM_NOTE_NOTHING_FITS, vm->name, now, wanted_text, options->str);
}

static gboolean leaves_any_out(const DmVm *vm, DmPlanFlags flags) {
  for (guint i = 0; i < vm->live->devices->len; i++) {
    if (plan_leaves_out(vm->live->devices->pdata[i], flags))
      return TRUE;
  }
  return FALSE;
}

static void note_difference(DmPlan *plan, const DmVm *vm, uint64_t wanted) {
  if ((plan->flags & DM_PLAN_BALLOON) != 0) /* which takes the difference */
    return;
  g_autofree char *left = dm_size_format(plan->memory_after);
  uint64_t boot = dm_config_boot(vm->live);
  if (wanted < boot) {
    g_autofree char *boot_text = dm_size_format(boot);
    if (vm->next_run != NULL)
      plan_note(plan, DM_NOTE_BOOT_MEMORY, boot_text, vm->name);
    else
      plan_note(plan, DM_NOTE_BOOT_MEMORY_TRANSIENT, boot_text, vm->name);
  } else if (plan->memory_after != wanted && plan->steps->len > 0) {
    g_autofree char *wanted_text = dm_size_format(wanted);
    if (leaves_any_out(vm, plan->flags))
      plan_note(plan, DM_NOTE_NOT_EXACT_OF_REMOVABLE, wanted_text, vm->name, left);
    else
      plan_note(plan, DM_NOTE_NOT_EXACT, wanted_text, vm->name, left);
  }
}

uint64_t plan_least_memory(const DmVm *vm, DmPlanFlags flags, guint one_node, uint64_t spare) {
  Choice choice = choice_new();
  uint64_t pending = 0, needed = 0, memory = dm_config_memory(vm->live);
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind == DM_DEVICE_DIMM && plan_pending_step(vm->request, device) != NULL) {
      pending += device->size;
      needed += plan_needs_of(vm, device, device->size);
    } else if (plan_is_on(device, one_node)) {
      offer(&choice, vm, device, NULL, flags);
    }
  }
  g_autoptr(GArray) releases = dm_plan_unplug(choice.candidates, dm_size_minus(spare, needed));
  choice_clear(&choice);
  return needed > spare ? memory : dm_size_minus(memory, dm_size_plus(pending, dm_plan_released(releases)));
}

/* Nothing goes, or the guest can spare it. */
static gboolean is_within_spare(const DmPlan *plan, const DmVm *vm, const PlanNeeds *needs, uint64_t given) {
  uint64_t spare, reserve;
  return !dm_plan_spare(vm, &spare, &reserve) || needs->asked == 0 ||
    dm_size_plus(needs->asked, needs->out) <= dm_size_plus(spare, dm_size_plus(plan_aside(plan, vm), given));
}

/* The least memory from @plan's on for which no node is short of room; 0: none. */
static uint64_t find_size_for_nodes(const DmPlan *plan, const DmVm *vm) {
  g_autoptr(DmPlan) trial = plan_new(vm, DM_ACTION_SET);
  trial->flags = plan->flags & ~DM_PLAN_BALLOON;
  trial->one_node = plan->one_node;
  choose_within_nodes(trial, vm, plan->memory_after);
  PlanNeeds needs = plan_needs(vm, trial->steps, vm->request);
  gboolean would_do = trial->memory_after < trial->memory_before &&
    plan_find_tight_node(vm, trial->steps, vm->request, NULL) < 0 && is_within_spare(trial, vm, &needs, 0);
  return would_do ? trial->memory_after : 0;
}

/* Of one node alone, as was asked for. */
static void advise_size(const DmPlan *plan, const DmVm *vm, uint64_t memory, GError **error) {
  g_autofree char *typed = dm_rule_typed(memory);
  g_autofree char *node = g_strdup_printf("%u", plan->one_node - 1);
  gboolean one = plan->one_node != 0;
  dm_error_add_command(
    error, "dimmer", "set", "--", dm_vm_handle(vm), "--memory", typed, one ? "--node" : NULL, node, NULL);
}

static gboolean check_nodes(DmPlan *plan, const DmVm *vm, GError **error) {
  gboolean tight = plan_find_tight_node(vm, plan->steps, vm->request, NULL) >= 0;
  uint64_t least = tight && (plan->flags & DM_PLAN_FORCE) == 0 ? find_size_for_nodes(plan, vm) : 0;
  if (plan_check_nodes(plan, vm, least, error))
    return TRUE;
  if (least != 0)
    advise_size(plan, vm, least, error);
  return FALSE;
}

gboolean plan_check_spare(DmPlan *plan, const DmVm *vm, uint64_t given, GError **error) {
  PlanNeeds needs = plan_needs(vm, plan->steps, vm->request);
  uint64_t spare, reserve;
  if (!dm_plan_spare(vm, &spare, &reserve) || needs.asked == 0)
    return TRUE;
  if (is_within_spare(plan, vm, &needs, given))
    return check_nodes(plan, vm, error);
  uint64_t least = plan_least_memory(vm, plan->flags, plan->one_node, spare);
  gboolean forced = (plan->flags & DM_PLAN_FORCE) != 0;
  if (!forced && !dm_rule_spare(vm, needs.asked, needs.out, least, error)) {
    if (plan->one_node != 0 && least < dm_config_memory(vm->live))
      advise_size(plan, vm, dm_size_round_up(least, DM_MIB), error);
    return FALSE;
  }
  g_autofree char *spare_text = dm_size_format(dm_size_floor_mib(spare));
  plan_note(plan, DM_NOTE_FORCED_SPARE, vm->name, spare_text, dm_source_name(vm->guest->memory_source));
  return TRUE;
}

gboolean plan_lower(DmPlan *plan, const DmVm *vm, uint64_t wanted, GError **error) {
  choose_within_nodes(plan, vm, wanted);
  if (plan->memory_after == plan->memory_before && (plan->flags & DM_PLAN_BALLOON) != 0)
    return TRUE;
  if (plan->memory_after == plan->memory_before) {
    note_nothing_fits(plan, vm, wanted);
    note_difference(plan, vm, wanted);
    if (plan->guaranteed != 0 && plan->guaranteed != vm->live->guaranteed)
      plan_note(plan, DM_NOTE_GUARANTEED_STAYS);
    plan->guaranteed = 0; /* the running VM keeps both of its values, as in oVirt */
    return TRUE;
  }
  if (!plan_check_spare(plan, vm, plan_given_first(plan, vm), error))
    return FALSE;
  note_difference(plan, vm, wanted);
  plan_note_unmovable(plan, vm);
  if (vm->live->balloon_use == DM_BALLOON_USE_NEVER)
    plan_note_obstacles(plan, vm);
  return TRUE;
}

/* What to release of @choice: the most, or if the guest cannot spare that, the most it can. */
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

/* Those of a node whose content finds no room elsewhere are left alone, unless forced. */
static void drop_tight(const DmVm *vm, const DmRequest *request, GPtrArray *steps) {
  for (int node;
       (request->flags & DM_PLAN_FORCE) == 0 && (node = plan_find_tight_node(vm, steps, request, NULL)) >= 0;) {
    for (guint i = steps->len; i > 0; i--) {
      if (MAX(((DmStep *)steps->pdata[i - 1])->node, 0) == node) /* without one it is in the first */
        dm_step_free(g_ptr_array_remove_index(steps, i - 1));
    }
  }
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
    if (!plan_is_on(device, request->one_node))
      continue;
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
  drop_tight(vm, request, steps);
  plan_order_steps(steps, vm);
  choice_clear(&choice);
  return steps;
}
