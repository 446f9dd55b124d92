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
  origin->started = request->started;
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
    if (step->origin == NULL)
      step->origin = origin_of(vm->request);
    step->withdrawn |= plan->action == DM_ACTION_SET && plan->memory != 0; /* which wants another memory than that */
    g_ptr_array_add(request->steps, step);
  }
}

void record_extend(DmRequest *request, double timeout) {
  request->deadline = now_seconds() + (int64_t)timeout + GRACE_SECONDS;
}

DmRequest *record_new(const DmVm *vm, const DmPlan *plan, const char *id, double timeout) {
  DmRequest *request = dm_request_new(plan->action);
  if (id != NULL) {
    g_free(request->id);
    request->id = g_strdup(id);
  }
  request->host = g_strdup(g_get_host_name());
  request->pid = getpid();
  request->started = now_seconds();
  record_extend(request, timeout);
  request->memory = plan->memory;
  request->guaranteed = plan->guaranteed;
  request->flags = plan->flags;
  request->next_run = plan->next_run;
  if (vm->next_run != NULL) {
    request->next_run_before.memory = dm_config_memory(vm->next_run);
    request->next_run_before.guaranteed = dm_config_guaranteed(vm->next_run);
  }
  for (guint i = 0; i < plan->steps->len; i++)
    g_ptr_array_add(request->steps, dm_step_copy(plan->steps->pdata[i]));
  carry_over(request, vm, plan);
  return request;
}

typedef struct {
  const char *vm_name;
  const DmValues *values;
  const DmAccount *account;
  gboolean forbidden; /* by a rule: out */
} ConfigChange;

static DmConfig *to_values(const DmConfig *persistent, gpointer data, GError **error) {
  const ConfigChange *change = data;
  return dm_plan_next_run(persistent, change->values, NULL, change->vm_name, error);
}

static DmConfig *to_follow(const DmConfig *persistent, gpointer data, GError **error) {
  ConfigChange *change = data;
  DmConfig *wanted = dm_plan_follow(persistent, change->account, change->vm_name, error);
  change->forbidden = wanted == NULL;
  return wanted;
}

gboolean record_changes_next_run(const DmRequest *request) {
  const DmValues *values = &request->next_run;
  return values->memory != 0 || values->guaranteed != 0 || values->maximum != 0 || values->slots != 0;
}

gboolean record_configure(DmConnection *connection, const DmVm *vm, const DmRequest *request, GError **error) {
  const DmValues *values = &request->next_run;
  if (!record_changes_next_run(request))
    return TRUE;
  ConfigChange change = {.vm_name = vm->name, .values = values};
  return dm_domain_change_next_run(connection, vm, to_values, &change, error);
}

/* What the VM has to remember of @request: the devices whose answers are out. NULL: nothing. */
static DmRequest *remains_of(const DmRequest *request) {
  g_autoptr(DmRequest) remains = dm_request_copy(request);
  for (guint i = remains->steps->len; i > 0; i--) {
    DmStep *step = remains->steps->pdata[i - 1];
    if (step->op == DM_OP_PLUG || !dm_step_is_pending(step))
      g_ptr_array_remove_index(remains->steps, i - 1);
    else
      step->state = DM_STEP_OVERDUE;
  }
  if (remains->steps->len == 0)
    return NULL;
  remains->pid = 0; /* nobody waits for them any more */
  remains->deadline = 0;
  remains->asked = TRUE;
  return g_steal_pointer(&remains);
}

/* A next run that a rule forbids to follow stays as it is: that must not keep the request open for ever. */
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
    g_ptr_array_add(notes, g_strdup_printf("the next run stays as it is: %s", failed->message));
  return TRUE;
}

gboolean record_settle(DmConnection *connection, const DmVm *vm, DmRequest *request, GPtrArray *notes, GError **error) {
  g_autoptr(DmAccount) account = dm_plan_account(vm, request);
  if (account->follows && !follow(connection, vm, account, notes, error))
    return FALSE;
  if (vm->state == DM_VM_SHUT_OFF)
    return TRUE;
  g_autoptr(DmRequest) remains = remains_of(request);
  uint64_t guaranteed = account->guaranteed != 0 ? account->guaranteed : vm->live->guaranteed;
  return dm_domain_store(connection, vm, guaranteed, remains, error);
}

/* What became of a step whose dimmer is gone; NULL if it is still out, which is told elsewhere. The caller frees. */
static char *describe_fate(const DmStep *step, const char *vm_name) {
  g_autofree char *size = dm_size_format(step->size_before > step->to ? step->size_before - step->to : step->to);
  const char *kind = step->kind == DM_DEVICE_VIRTIO_MEM ? "virtio-mem" : "dimm";
  g_autofree char *what = g_strdup_printf("%s %.8s (%s)", kind, step->id != NULL ? step->id : step->alias, size);
  if (step->state == DM_STEP_DONE)
    return g_strdup_printf("%s of an earlier request has been %s", what, dm_step_state_name(step));
  if (step->op == DM_OP_PLUG)
    return g_strdup_printf("%s of an interrupted request was not plugged", what);
  if (step->state == DM_STEP_REFUSED)
    return g_strdup_printf("%s of an earlier request has been refused by the guest", what);
  if (step->state == DM_STEP_PLANNED)
    return g_strdup_printf(
      "%s of an interrupted request was never asked to go; ask again if %s is still to shrink", what, vm_name);
  return g_strdup_printf("%s of an earlier request had not been answered for", what);
}

static void describe_fates(const DmRequest *request, const char *vm_name, GPtrArray *notes) {
  for (guint i = 0; i < request->steps->len; i++) {
    char *fate = describe_fate(request->steps->pdata[i], vm_name);
    if (fate != NULL)
      g_ptr_array_add(notes, fate);
  }
}

/* Nobody waits for them any more, as remains_of() has it too. */
static void expire(DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    if (step->op != DM_OP_PLUG && step->state == DM_STEP_ASKED)
      dm_step_advance(step, DM_STEP_OVERDUE);
  }
}

gboolean record_recover(
  DmConnection *connection, const DmVm *vm, DmRequest *request, GPtrArray *notes, GError **error) {
  gboolean unchanged = vm->next_run != NULL && dm_config_memory(vm->next_run) == request->next_run_before.memory &&
    dm_config_guaranteed(vm->next_run) == request->next_run_before.guaranteed;
  if (!request->asked && unchanged && !record_configure(connection, vm, request, error))
    return FALSE;
  if (!record_settle(connection, vm, request, notes, error))
    return FALSE;
  expire(request);
  describe_fates(request, vm->name, notes);
  return TRUE;
}

void record_preview(DmVm *vm, GPtrArray *notes) {
  g_autoptr(DmAccount) account = dm_plan_account(vm, vm->request);
  DmConfig *next_run = account->follows ? dm_plan_follow(vm->next_run, account, vm->name, NULL) : NULL;
  describe_fates(vm->request, vm->name, notes);
  if (next_run != NULL) {
    dm_config_free(vm->next_run);
    vm->next_run = next_run;
  }
}
