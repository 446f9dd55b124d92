/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <unistd.h>

#include "base/size.h"
#include "plan/account.h"
#include "plan/next_run.h"

/* After its deadline plus this, a request of another host counts as left behind. */
#define GRACE_SECONDS 60

static int64_t now_seconds(void) {
  return g_get_real_time() / G_USEC_PER_SEC;
}

static gboolean plan_has_step(const DmPlan *plan, const char *alias) {
  for (guint i = 0; i < plan->steps->len; i++) {
    if (g_strcmp0(((DmStep *)plan->steps->pdata[i])->alias, alias) == 0)
      return TRUE;
  }
  return FALSE;
}

static DmOrigin *origin_of(const DmRequest *request) {
  DmOrigin *origin = g_new0(DmOrigin, 1);
  origin->id = request->id != NULL ? g_strdup(request->id) : g_uuid_string_random();
  origin->action = request->action;
  origin->user = g_strdup(request->user);
  origin->started_s = request->started_s;
  origin->memory = request->memory;
  return origin;
}

static void carry_over(DmRequest *request, const DmVm *vm, const DmPlan *plan) {
  for (guint i = 0; vm->request != NULL && i < vm->request->steps->len; i++) {
    const DmStep *old = vm->request->steps->pdata[i];
    if (!dm_step_is_pending(old) || plan_has_step(plan, old->alias))
      continue;
    DmStep *step = dm_step_copy(old);
    step->state = DM_STEP_OVERDUE;
    gboolean goes_on = step->origin == NULL && g_strcmp0(vm->request->id, request->id) == 0;
    if (step->origin == NULL && !goes_on)
      step->origin = origin_of(vm->request);
    /* it wants another memory size */
    step->withdrawn |= plan->action == DM_ACTION_SET && plan->memory != 0 && !goes_on;
    g_ptr_array_add(request->steps, step);
  }
}

/* One that only has to be taken back (asked) is carried by a request, too, that wants another memory size. */
static void carry_balloon(DmRequest *request, const DmVm *vm, const DmPlan *plan) {
  const DmStep *old = vm->request != NULL ? vm->request->balloon : NULL;
  if (old == NULL || !dm_step_is_pending(old) || request->balloon != NULL)
    return;
  gboolean goes_on = old->origin == NULL && g_strcmp0(vm->request->id, request->id) == 0;
  gboolean replaced = plan->action == DM_ACTION_SET && plan->memory != 0 && !goes_on;
  if (replaced && old->state != DM_STEP_ASKED)
    return;
  request->balloon = dm_step_copy(old);
  request->balloon->withdrawn |= replaced;
  request->flags |= vm->request->flags & DM_PLAN_BALLOON; /* so what it takes is dimmer's, for raising */
  if (old->origin == NULL && !goes_on)
    request->balloon->origin = origin_of(vm->request);
}

void record_extend(DmRequest *request, double timeout_s) {
  request->deadline_s = now_seconds() + (int64_t)timeout_s + GRACE_SECONDS;
}

DmRequest *record_new(const DmVm *vm, const DmPlan *plan, const char *id, double timeout_s) {
  DmRequest *request = dm_request_new(plan->action);
  if (id != NULL) {
    g_free(request->id);
    request->id = g_strdup(id);
  }
  request->host = g_strdup(g_get_host_name());
  request->pid = getpid();
  request->started_s = now_seconds();
  record_extend(request, timeout_s);
  request->memory = plan->memory;
  request->guaranteed = plan->guaranteed;
  request->one_node = plan->one_node;
  request->flags = plan->flags;
  request->next_run = dm_values_copy(&plan->next_run);
  if (vm->next_run != NULL) {
    request->next_run_before.memory = dm_config_memory(vm->next_run);
    request->next_run_before.guaranteed = dm_config_guaranteed(vm->next_run);
  }
  for (guint i = 0; i < plan->steps->len; i++)
    g_ptr_array_add(request->steps, dm_step_copy(plan->steps->pdata[i]));
  request->balloon = plan->balloon != NULL ? dm_step_copy(plan->balloon) : NULL;
  if (plan->balloon_aim != 0)
    request->balloon->to = plan->balloon_aim;
  carry_over(request, vm, plan);
  carry_balloon(request, vm, plan);
  return request;
}

typedef struct {
  const char *vm_name;
  const DmValues *values;
  const DmTrail *trail;
  const DmAccount *account;
  gboolean forbidden; /* forbidden by a rule */
} ConfigChange;

static DmConfig *to_values(const DmConfig *persistent, gpointer data, GError **error) {
  const ConfigChange *change = data;
  return dm_plan_next_run(persistent, change->values, change->trail, change->vm_name, error);
}

static DmConfig *to_follow(const DmConfig *persistent, gpointer data, GError **error) {
  ConfigChange *change = data;
  DmConfig *wanted = dm_plan_follow(persistent, change->account, change->vm_name, NULL, error);
  change->forbidden = wanted == NULL;
  return wanted;
}

gboolean record_changes_next_run(const DmRequest *request) {
  const DmValues *values = &request->next_run;
  return values->memory != 0 || values->guaranteed != 0 || values->maximum != 0 || values->slots != 0 ||
    values->floors != NULL || values->has_balloon_use;
}

gboolean record_configure(
  DmConnection *connection, const DmVm *vm, const DmRequest *request, DmRewrite *rewrite, GError **error) {
  const DmValues *values = &request->next_run;
  if (!record_changes_next_run(request))
    return TRUE;
  g_autoptr(GPtrArray) own = g_ptr_array_new(); /* those of the plan, not leftovers of earlier requests */
  for (guint i = 0; i < request->steps->len; i++) {
    if (((DmStep *)request->steps->pdata[i])->origin == NULL)
      g_ptr_array_add(own, request->steps->pdata[i]);
  }
  DmTrail trail = {.steps = own, .live = vm->live};
  ConfigChange change = {.vm_name = vm->name, .values = values, .trail = &trail};
  return dm_domain_rewrite_next_run(connection, vm, to_values, &change, rewrite, error);
}

gboolean record_configure_again(DmConnection *connection, const DmVm *vm, const DmRequest *request, const DmPlan *plan,
  const DmRewrite *rewrite, GError **error) {
  g_autoptr(GPtrArray) gone = g_ptr_array_new(); /* or still requested to go */
  gboolean others = FALSE;
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    if (step->origin != NULL || step->state == DM_STEP_REFUSED)
      continue;
    g_ptr_array_add(gone, step);
    others |= !plan_has_step(plan, step->alias);
  }
  if (!others || rewrite->before == NULL || vm->next_run == NULL)
    return TRUE;
  DmTrail trail = {.steps = gone, .live = vm->live};
  ConfigChange change = {.vm_name = vm->name, .values = &request->next_run, .trail = &trail};
  return dm_domain_rewrite_again(connection, vm, rewrite, to_values, &change, error);
}

/* A device that QEMU does not have now will not come any more. */
static gboolean was_not_plugged(const DmStep *step, const DmVm *vm) {
  return step->op == DM_OP_PLUG && dm_config_find_alias(vm->live, step->alias) == NULL;
}

/* What the VM's record keeps of @request: devices with outstanding answers. NULL: nothing. */
static DmRequest *remains_of(const DmRequest *request, const DmVm *vm) {
  g_autoptr(DmRequest) remains = dm_request_copy(request);
  for (guint i = remains->steps->len; i > 0; i--) {
    DmStep *step = remains->steps->pdata[i - 1];
    if (!dm_step_is_pending(step) || was_not_plugged(step, vm))
      g_ptr_array_remove_index(remains->steps, i - 1);
    else
      step->state = DM_STEP_OVERDUE;
  }
  if (remains->balloon != NULL && !dm_step_is_pending(remains->balloon))
    g_clear_pointer(&remains->balloon, dm_step_free);
  if (remains->steps->len == 0 && remains->balloon == NULL)
    return NULL;
  /* A balloon that is still asked stays so: its target has to be taken back. */
  remains->pid = 0; /* no longer waited for */
  remains->deadline_s = 0;
  remains->asked = TRUE;
  return g_steal_pointer(&remains);
}

/* If a rule forbids the next run to follow, it stays unchanged: that must not keep the request open forever. */
static gboolean follow(
  DmConnection *connection, const DmVm *vm, const DmAccount *account, GPtrArray *notes, GError **error) {
  ConfigChange change = {.vm_name = vm->name, .account = account};
  g_autoptr(GError) failed = NULL;
  if (dm_domain_change_next_run(connection, vm, to_follow, &change, &failed))
    return TRUE;
  if (!change.forbidden) {
    g_propagate_error(error, g_steal_pointer(&failed));
    return FALSE;
  }
  if (notes != NULL)
    dm_notes_add(notes, DM_NOTE_NEXT_RUN_STAYS, failed->message);
  return TRUE;
}

gboolean record_account(
  DmConnection *connection, const DmVm *vm, DmRequest *request, GPtrArray *notes, GError **error) {
  g_autoptr(DmAccount) account = dm_plan_account(vm, request);
  return !account->follows || follow(connection, vm, account, notes, error);
}

gboolean record_clear(DmConnection *connection, const DmVm *vm, DmRequest *request, GError **error) {
  if (vm->state == DM_VM_SHUT_OFF)
    return TRUE;
  g_autoptr(DmAccount) account = dm_plan_account(vm, request); /* the same once more */
  g_autoptr(DmRequest) remains = remains_of(request, vm);
  uint64_t guaranteed = account->guaranteed != 0 ? account->guaranteed : vm->live->guaranteed;
  return dm_domain_store(connection, vm, guaranteed, remains, error);
}

/* The outcome of a step whose dimmer is gone; NULL if outstanding, which is reported elsewhere. The caller owns it. */
static DmNote *describe_fate(const DmStep *step, const DmVm *vm) {
  uint64_t size = step->run.size_before > step->to ? step->run.size_before - step->to : step->to;
  g_autofree char *what =
    dm_device_describe(dm_device_kind_name(step->kind), step->id != NULL ? step->id : step->alias, 8, size);
  if (step->state == DM_STEP_DONE && step->op == DM_OP_UNPLUG)
    return dm_note_new(DM_NOTE_EARLIER_REMOVED, what);
  if (step->state == DM_STEP_DONE && step->op == DM_OP_PLUG)
    return dm_note_new(DM_NOTE_EARLIER_ADDED, what);
  if (step->state == DM_STEP_DONE)
    return dm_note_new(DM_NOTE_EARLIER_RESIZED, what);
  if (was_not_plugged(step, vm))
    return dm_note_new(DM_NOTE_NOT_PLUGGED, what);
  if (step->state == DM_STEP_REFUSED)
    return dm_note_new(DM_NOTE_EARLIER_REFUSED, what);
  if (step->state == DM_STEP_PLANNED)
    return dm_note_new(DM_NOTE_NEVER_ASKED, what, vm->name);
  return dm_note_new(DM_NOTE_EARLIER_UNANSWERED, what);
}

static void describe_fates(const DmRequest *request, const DmVm *vm, GPtrArray *notes) {
  if (request->balloon != NULL && request->balloon->state == DM_STEP_PLANNED && !request->asked)
    dm_notes_add(notes, DM_NOTE_NEVER_ASKED_BALLOON, vm->name);
  for (guint i = 0; i < request->steps->len; i++) {
    DmNote *fate = describe_fate(request->steps->pdata[i], vm);
    if (fate != NULL)
      g_ptr_array_add(notes, fate);
  }
}

/* No longer waited for, as in remains_of(). */
static void expire(DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    if (!dm_step_is_at_once(step) && step->state == DM_STEP_ASKED)
      dm_step_advance(step, DM_STEP_OVERDUE);
  }
}

gboolean record_recover(
  DmConnection *connection, const DmVm *vm, DmRequest *request, GPtrArray *notes, GError **error) {
  gboolean unchanged = vm->next_run != NULL && dm_config_memory(vm->next_run) == request->next_run_before.memory &&
    dm_config_guaranteed(vm->next_run) == request->next_run_before.guaranteed;
  if (!request->asked && unchanged && !record_configure(connection, vm, request, NULL, error))
    return FALSE;
  if (!record_account(connection, vm, request, notes, error))
    return FALSE;
  expire(request);
  describe_fates(request, vm, notes);
  return TRUE;
}

void record_preview(DmVm *vm, GPtrArray *notes) {
  g_autoptr(DmAccount) account = dm_plan_account(vm, vm->request);
  DmConfig *next_run = account->follows ? dm_plan_follow(vm->next_run, account, vm->name, notes, NULL) : NULL;
  describe_fates(vm->request, vm, notes);
  if (vm->request->balloon != NULL && vm->request->balloon->state == DM_STEP_PLANNED && vm->request->asked)
    vm->request->balloon->state = DM_STEP_OVERDUE; /* as change_balloon_recover() has it */
  if (next_run != NULL) {
    dm_config_free(vm->next_run);
    vm->next_run = next_run;
  }
}

/* ---- refusals ---- */

void record_remember(GPtrArray *refusals, const DmVm *vm, const char *alias) {
  const DmMemoryDevice *device = vm->live != NULL ? dm_config_find_alias(vm->live, alias) : NULL;
  if (device == NULL)
    return;
  DmRefusal *refusal = g_new0(DmRefusal, 1);
  refusal->alias = g_strdup(alias);
  refusal->at_s = now_seconds();
  refusal->guest = dm_vm_fingerprint(vm, device);
  g_ptr_array_add(refusals, refusal);
}

static void drop_refusal(DmVm *vm, const char *alias) {
  for (guint i = vm->refusals->len; i > 0; i--) {
    if (g_strcmp0(((DmRefusal *)vm->refusals->pdata[i - 1])->alias, alias) == 0)
      g_ptr_array_remove_index(vm->refusals, i - 1);
  }
}

void record_merge_refusals(DmVm *vm, const GPtrArray *refusals) {
  for (guint i = 0; i < refusals->len; i++) {
    const DmRefusal *refusal = refusals->pdata[i];
    drop_refusal(vm, refusal->alias);
    g_ptr_array_add(vm->refusals, dm_refusal_copy(refusal));
  }
  for (guint i = vm->refusals->len; i > 0; i--) {
    const DmRefusal *refusal = vm->refusals->pdata[i - 1];
    if (vm->live == NULL || dm_config_find_alias(vm->live, refusal->alias) == NULL)
      g_ptr_array_remove_index(vm->refusals, i - 1);
  }
}
