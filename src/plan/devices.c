/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of named devices: unplug, plug, settle. */
#include "base/error.h"
#include "base/size.h"
#include "change.h"
#include "plan/rules.h"
#include "words/rules.h"

static void add_unplug(DmPlan *plan, const DmMemoryDevice *device) {
  DmOp op = device->kind == DM_DEVICE_VIRTIO_MEM ? DM_OP_RESIZE : DM_OP_UNPLUG;
  DmStep *step = dm_step_new(op, device);
  g_ptr_array_add(plan->steps, step);
  plan->memory_after -= step->from;
}

/* Each request is new for the guest, and an earlier one cannot be recalled. */
static void note_asked_already(DmPlan *plan, const DmVm *vm, const DmMemoryDevice *device, const char *text) {
  const DmStep *pending = plan_pending_step(vm->request, device);
  if (pending != NULL && pending->to == 0)
    plan_note(plan, DM_NOTE_ASKED_BEFORE, text);
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
    if (device->kind == DM_DEVICE_VIRTIO_MEM) {
      gboolean empty = dm_memory_device_promised(device) == 0;
      g_ptr_array_add(plan->emptied, g_strdup(device->alias));
      if (empty) {
        plan_note(plan, DM_NOTE_EMPTY, text);
        continue;
      }
      plan_note(plan, DM_NOTE_EMPTIED, text);
    }
    note_asked_already(plan, vm, device, text);
    add_unplug(plan, device);
  }
  return TRUE;
}

/* What will go does, whether the next run can follow or not. */
static void predict_next_run(DmPlan *plan, const DmVm *vm) {
  g_autoptr(GError) cannot_follow = NULL;
  if (!plan_predict_next_run(plan, vm, &cannot_follow))
    plan_note(plan, DM_NOTE_NEXT_RUN_STAYS, cannot_follow->message);
}

DmPlan *plan_unplug(const DmVm *vm, const DmWish *wish, GError **error) {
  if (!dm_rule_running(vm, error))
    return NULL;
  g_autoptr(DmPlan) plan = plan_new(vm, DM_ACTION_UNPLUG);
  plan->flags = wish->flags;
  if (!add_unplugs(plan, vm, (const char *const *)wish->unplug.devices, error) || !plan_check_spare(plan, vm, 0, error))
    return NULL;
  plan_order_steps(plan->steps, vm);
  plan_note_unmovable(plan, vm);
  plan_predict_guaranteed(plan, vm);
  predict_next_run(plan, vm);
  plan_balloon(plan, vm, 0);
  if (plan->steps->len > 0 && vm->live->balloon_use == DM_BALLOON_USE_NEVER)
    plan_note_obstacles(plan, vm);
  return g_steal_pointer(&plan);
}

/* Linux adds whole memory blocks, so less than one would have no effect. */
static gboolean check_most(const DmVm *vm, uint64_t full, uint64_t step, GError **error) {
  uint64_t over = full % step;
  if (over == 0)
    return TRUE;
  g_autofree char *full_text = dm_size_format(full);
  g_autofree char *step_text = dm_size_format(step);
  g_autofree char *upper = dm_size_format(dm_size_plus(full - over, step));
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE, DM_RULE_VIRTIO_MEM_SIZE, vm->name, step_text, full_text, upper);
  return FALSE;
}

/* The same wish with other sizes; @full: maximum size of a virtio-mem device; 0: unchanged. */
static void advise_plug(const DmVm *vm, const DmPlugWish *wish, uint64_t size, uint64_t full, GError **error) {
  gboolean virtio = wish->kind == DM_DEVICE_VIRTIO_MEM;
  g_autofree char *size_text = dm_rule_typed(size);
  g_autofree char *full_text = dm_rule_typed(full);
  g_autofree char *node = g_strdup_printf("%u", wish->one_node - 1);
  const char *words[8] = {NULL};
  guint count = 0;
  if (wish->one_node != 0) {
    words[count++] = "--node";
    words[count++] = node;
  }
  if (virtio) {
    words[count++] = "--kind";
    words[count++] = "virtio-mem";
  }
  if (virtio && full != 0) {
    words[count++] = "--max-size";
    words[count++] = full_text;
  }
  dm_error_add_command(error, "dimmer", "plug", "--", dm_vm_handle(vm), "--", size_text, words[0], words[1], words[2],
    words[3], words[4], words[5], NULL);
}

static gboolean check_plug_step(const DmVm *vm, const DmPlugWish *wish, uint64_t step, GError **error) {
  uint64_t nearest;
  if (dm_rule_step(vm, wish->size, step, &nearest, error))
    return TRUE;
  advise_plug(vm, wish, nearest, wish->max_size, error);
  return FALSE;
}

/*
 * What a virtio-mem device on that node is to hold at most: by default what the guest is asked to take, in whole steps
 * where its kind was not named either.
 */
static uint64_t full_of(const DmVm *vm, const DmPlugWish *wish, int node) {
  if (wish->max_size != 0)
    return wish->max_size;
  return wish->choose_kind ? dm_size_round_up(wish->size, dm_vm_plug_step(vm, node)) : wish->size;
}

static gboolean takes_plug(const DmVm *vm, int node, gconstpointer wanted) {
  const DmPlugWish *wish = wanted;
  uint64_t step = dm_vm_plug_step(vm, node);
  if (wish->kind == DM_DEVICE_DIMM)
    return wish->size % step == 0;
  return wish->size % plan_virtio_mem_block(vm, node) == 0 && full_of(vm, wish, node) % step == 0;
}

static gboolean check_virtio_mem(
  const DmVm *vm, const DmPlugWish *wish, int node, uint64_t full, uint64_t block, GError **error) {
  if (wish->size > full) {
    g_autofree char *size_text = dm_size_format(wish->size);
    g_autofree char *full_text = dm_size_format(full);
    g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM, DM_RULE_VIRTIO_MEM_FULL, full_text, size_text);
    advise_plug(vm, wish, full, wish->max_size, error);
    return FALSE;
  }
  if (!check_plug_step(vm, wish, block, error))
    return FALSE;
  uint64_t step = dm_vm_plug_step(vm, node);
  if (!check_most(vm, full, step, error)) {
    advise_plug(vm, wish, wish->size, dm_size_round_up(full, step), error);
    return FALSE;
  }
  return dm_rule_room(vm, full, error) && (vm->live->slotless_virtio || dm_rule_slot(vm, error));
}

static gboolean add_plug(DmPlan *plan, const DmVm *vm, const DmPlugWish *plug, GError **error) {
  int node = plan_choose_node(plan, vm, plug->one_node, takes_plug, plug);
  if (!dm_rule_kind(vm, plug->kind, error))
    return FALSE;
  if (plug->kind == DM_DEVICE_DIMM) {
    if (!check_plug_step(vm, plug, dm_vm_plug_step(vm, node), error) || !dm_rule_room(vm, plug->size, error) ||
      !dm_rule_pinned(vm, dm_size_plus(dm_config_memory(vm->live), plug->size), error) || !dm_rule_slot(vm, error))
      return FALSE;
    plan_add_dimms(plan, vm, plug->policy, plug->size, node);
    return TRUE;
  }
  uint64_t full = full_of(vm, plug, node), block = plan_virtio_mem_block(vm, node);
  if (!check_virtio_mem(vm, plug, node, full, block, error))
    return FALSE;
  plan_add_plug(plan, vm->live, DM_DEVICE_VIRTIO_MEM, plug->size, full, block, node);
  plan_place_devices(plan, vm);
  return TRUE;
}

/* A DIMM has one size: the most that it holds is not looked at. */
static gboolean read_full(DmPlugWish *plug, GError **error) {
  return plug->kind == DM_DEVICE_DIMM || plug->max_size == 0 ||
    dm_rule_size("max-size", plug->max_size, &plug->max_size, error);
}

DmPlan *plan_plug(const DmVm *vm, const DmWish *wish, GError **error) {
  DmPlugWish plug = wish->plug;
  if (!dm_rule_size("size", plug.size, &plug.size, error) || !dm_rule_running(vm, error) ||
    !dm_rule_seen(vm, vm->live, wish->seen, error) || !dm_rule_enabled(vm, error) ||
    (plug.one_node != 0 && !dm_rule_node(vm, vm->live, (int)plug.one_node - 1, error)))
    return NULL;

  g_autoptr(DmPlan) plan = plan_new(vm, DM_ACTION_PLUG);
  plan->flags = wish->flags;
  if (plug.choose_kind)
    plug.kind = plan_choose_kind(plan, vm);
  if (!read_full(&plug, error) || !add_plug(plan, vm, &plug, error)) {
    plan_explain_kind(plan, error);
    return NULL;
  }
  if (!plan_check_hard_limit(plan, vm, error) || !plan_check_descriptors(plan, vm, error))
    return NULL;
  plan_note_balloon_stays(plan, vm);
  plan_note_prospects(plan, vm);
  plan_predict_guaranteed(plan, vm);
  if (!plan_predict_next_run(plan, vm, error))
    return NULL;
  return g_steal_pointer(&plan);
}

/*
 * Requested devices can go at any time, whether requested again or not: so if they are too much together, none is
 * requested again, as leaving out some would not help the guest.
 */
static void keep_within_spare(DmPlan *plan, const DmVm *vm) {
  g_autoptr(GError) too_much = NULL;
  if (plan_check_spare(plan, vm, 0, &too_much))
    return;
  plan_note(plan, DM_NOTE_NOT_ASKED_AGAIN, too_much->message);
  for (guint i = plan->steps->len; i > 0; i--) {
    const DmStep *step = plan->steps->pdata[i - 1];
    if (step->to < step->from)
      g_ptr_array_remove_index(plan->steps, i - 1);
  }
}

/* A step's from is as of the last accounting, and may lag behind what its device holds now. */
static void predict_memory(DmPlan *plan, const DmVm *vm) {
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    const DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
    plan->memory_after = plan->memory_after - dm_memory_device_memory(device) + step->to;
  }
}

/* Requests it again, unless withdrawn or known to stay. */
static void ask_again(DmPlan *plan, const DmVm *vm, const DmMemoryDevice *device, const DmStep *pending) {
  if (pending->withdrawn) {
    plan_note(plan, DM_NOTE_WITHDRAWN, device->id != NULL ? device->id : device->alias, vm->name);
    return;
  }
  g_autoptr(GError) stays = NULL;
  if (plan_leaves_out(device, plan->flags) && !dm_rule_movable(vm, device, &stays)) {
    plan_note(plan, DM_NOTE_NOT_ASKED_AGAIN, stays->message);
    return;
  }
  DmStep *step = dm_step_new(pending->op == DM_OP_UNPLUG ? DM_OP_UNPLUG : DM_OP_RESIZE, device);
  step->from = pending->from;
  step->to = step->op == DM_OP_UNPLUG ? 0 : MIN(pending->to, device->size);
  g_ptr_array_add(plan->steps, step);
}

/* A plug is left alone: the guest has the device and needs no further request. */
static gboolean is_own(const DmStep *pending) {
  return pending->origin == NULL && pending->op != DM_OP_PLUG;
}

/* For a plan that continues the recorded request. */
static void take_over(DmPlan *plan, const DmRequest *request) {
  plan->action = request->action;
  plan->flags = request->flags;
  plan->memory = request->memory;
  plan->guaranteed = request->guaranteed;
  plan->one_node = request->one_node;
}

DmPlan *plan_settle(const DmVm *vm, const DmWish *wish) {
  DmPlan *plan = plan_new(vm, DM_ACTION_SETTLE);
  gboolean goes_on = wish->settle.goes_on != NULL;
  if (goes_on && (vm->request == NULL || g_strcmp0(vm->request->id, wish->settle.goes_on) != 0))
    return plan;
  if (goes_on)
    take_over(plan, vm->request);
  if (wish->settle.account_only)
    return plan;
  if (vm->saved_request) {
    plan_note(plan, DM_NOTE_SAVED_REQUEST, vm->name);
    return plan;
  }
  if (vm->request == NULL || vm->live == NULL) {
    plan_note(plan, DM_NOTE_NOTHING_OPEN, vm->name);
    return plan;
  }
  if (vm->state != DM_VM_RUNNING) {
    plan_note(plan, DM_NOTE_CANNOT_ANSWER, vm->name, dm_vm_state_name(vm->state));
    return plan;
  }
  plan->flags = vm->request->flags | wish->flags;
  plan->memory = vm->request->memory;
  plan->guaranteed = vm->request->guaranteed;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    const DmStep *pending = plan_pending_step(vm->request, device);
    if (pending != NULL && (!goes_on || is_own(pending)))
      ask_again(plan, vm, device, pending);
  }
  plan_order_steps(plan->steps, vm);
  keep_within_spare(plan, vm);
  predict_memory(plan, vm);
  plan_balloon_again(plan, vm);
  plan_predict_guaranteed(plan, vm);
  if (plan->memory == 0)
    predict_next_run(plan, vm);
  return plan;
}
