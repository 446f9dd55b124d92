/* SPDX-License-Identifier: Apache-2.0 */
/* What comes late: answers of devices that a job waits for, and requests that an earlier process left. See jobs.c. */
#include "base/error.h"
#include "engine/lock.h"
#include "jobs_private.h"

static DmPlan *plan_account(const DmVm *vm, gpointer data, GError **error) {
  return dm_plan_account_only(vm);
}

void jobs_account(DmJobs *jobs, const DmEntry *entry, const char *refused) {
  Work *work = work_new(jobs, entry->vm->uuid, entry->vm->name, DM_ACTION_SETTLE);
  work->hidden = TRUE;
  work->plan = plan_account;
  work->refused = g_strdup(refused);
  jobs_enqueue(jobs, work);
}

/* The first open job of that VM that waits for an answer of that device (NULL: of any). */
static Work *find_waiting(const DmJobs *jobs, const char *vm_id, const char *alias) {
  for (guint i = 0; i < jobs->list->len; i++) {
    Work *work = jobs->list->pdata[i];
    if (!work_is_open(work) || work->job.driven || !g_str_equal(work->job.vm_id, vm_id))
      continue;
    DmStep *step = alias != NULL ? work_find_step(work, alias) : NULL;
    if (alias == NULL ? work_has_pending(work) : step != NULL && dm_step_is_pending(step))
      return work;
  }
  return NULL;
}

void account_on_device(DmEntry *entry, const DmEvent *event, gpointer data) {
  DmJobs *jobs = data;
  Queue *queue = g_hash_table_lookup(jobs->queues, entry->vm->uuid);
  if ((queue != NULL && queue->driven != NULL) || find_waiting(jobs, entry->vm->uuid, event->alias) == NULL)
    return;
  if (event->kind == DM_EVENT_DEVICE_REMOVED || event->kind == DM_EVENT_DEVICE_RESIZED)
    jobs_account(jobs, entry, NULL);
  else if (event->kind == DM_EVENT_DEVICE_REFUSED)
    jobs_account(jobs, entry, event->alias);
}

static GError *make_end(const char *name, DmLife life) {
  if (life == DM_LIFE_MOVED)
    return g_error_new(DM_ERROR, DM_ERROR_VM_MOVED,
      "%s has moved to a host that dimmerd does not know, and took the request along, to be settled there", name);
  return g_error_new(
    DM_ERROR, DM_ERROR_VM_STOPPED, "%s stopped before its guest had answered; nothing more can be asked of it", name);
}

/*
 * With the VM the devices have gone, and nothing more can be asked; or both are where nobody here sees them. A driven
 * job sees to it by itself.
 */
void account_on_life(DmEntry *entry, DmLife life, gpointer data) {
  DmJobs *jobs = data;
  gboolean moved = life == DM_LIFE_MOVED && dm_inventory_hosts(jobs->inventory)->len == 1;
  if (life != DM_LIFE_STOPPED && life != DM_LIFE_CRASHED && !moved)
    return;
  for (Work *work; (work = find_waiting(jobs, entry->vm->uuid, NULL)) != NULL;) {
    g_clear_error(&work->job.error);
    work->job.error = make_end(entry->vm->name, life);
    work_end_if_answered(work);
  }
}

static gboolean is_job(const DmJobs *jobs, const char *id) {
  return id == NULL || g_hash_table_contains(jobs->by_id, id);
}

/* Whether the VM carries it for its own sake, and not just for what earlier ones left. */
static gboolean is_open(const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    if (((const DmStep *)request->steps->pdata[i])->origin == NULL)
      return TRUE;
  }
  return request->pid != 0 || request->steps->len == 0;
}

/* An earlier request that the VM carries a step of, and that is no job of ours; NULL: none. */
static const DmOrigin *find_unknown(const DmJobs *jobs, const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->origin != NULL && !is_job(jobs, step->origin->id))
      return step->origin;
  }
  return NULL;
}

/* The request of the VM, or an earlier one that it carries steps of, becomes a job again. */
static void recover_one(DmJobs *jobs, DmEntry *entry, const DmOrigin *origin) {
  const DmRequest *request = entry->vm->request;
  Work *work = work_new(jobs, entry->vm->uuid, entry->vm->name, origin != NULL ? origin->action : request->action);
  work->job.id = g_strdup(origin != NULL ? origin->id : request->id);
  work->job.user = g_strdup(origin != NULL ? origin->user : request->user);
  work->job.recovered = TRUE;
  work->job.outcome = DM_OUTCOME_OVERDUE;
  work->job.started = (origin != NULL ? origin->started : request->started) * 1000;
  work->job.wanted = origin != NULL ? origin->memory : request->memory;
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (origin == NULL ? step->origin == NULL : step->origin != NULL && g_str_equal(step->origin->id, origin->id))
      g_ptr_array_add(work->job.steps, dm_step_copy(step));
  }
  work->job.status = DM_JOB_STARTED;
  work_note_values(work);
  work->job.memory_before = work->job.memory_after;
  work->job.guaranteed_before = work->job.guaranteed_after;
  jobs_keep(jobs, work);
  work_tell(work, DM_JOB_EVENT_PLANNED, NULL);
}

/* Requests in the VM that are no jobs of ours: of an earlier dimmerd, or of a dimmer that is gone. */
static void recover(DmJobs *jobs, DmEntry *entry) {
  const DmRequest *request = entry->vm->request;
  for (const DmOrigin *origin; (origin = find_unknown(jobs, request)) != NULL;)
    recover_one(jobs, entry, origin);
  if (is_open(request) && !is_job(jobs, request->id))
    recover_one(jobs, entry, NULL);
  jobs_account(jobs, entry, NULL);
}

/* A device that a job waits for is not in the VM any more, and no event told it: the host was away. */
static gboolean missed_something(const DmJobs *jobs, const DmEntry *entry) {
  const Work *work = find_waiting(jobs, entry->vm->uuid, NULL);
  for (guint i = 0; work != NULL && entry->vm->live != NULL && i < work->job.steps->len; i++) {
    const DmStep *step = work->job.steps->pdata[i];
    if (step->op == DM_OP_UNPLUG && dm_step_is_pending(step) &&
      dm_config_find_alias(entry->vm->live, step->alias) == NULL)
      return TRUE;
  }
  return FALSE;
}

/* Its process was in the middle of it, and was not ours: we drive nothing here. An account takes the process out. */
static gboolean was_interrupted(const DmRequest *request) {
  return request != NULL && request->pid != 0;
}

void account_on_changed(DmEntry *entry, gpointer data) {
  DmJobs *jobs = data;
  const char *vm_id = entry->vm->uuid;
  if (entry->host->connection == NULL || g_hash_table_contains(jobs->queues, vm_id) || jobs->stopping ||
    later_has(jobs->later, vm_id))
    return;
  const DmRequest *request = entry->vm->live != NULL ? entry->vm->request : NULL;
  gboolean is_new =
    request != NULL && (find_unknown(jobs, request) != NULL || (is_open(request) && !is_job(jobs, request->id)));
  if (!is_new && !was_interrupted(request) && !missed_something(jobs, entry))
    return;
  if (dm_lock_owner(vm_id) != 0)
    later_add(jobs->later, vm_id);
  else if (is_new)
    recover(jobs, entry);
  else
    jobs_account(jobs, entry, NULL);
}

/* The VM is read once more: what is known of it may be older than what the other process did. */
void account_on_later(const char *vm_id, gpointer data) {
  DmJobs *jobs = data;
  DmEntry *entry = dm_inventory_find(jobs->inventory, vm_id);
  if (entry == NULL || entry->host->connection == NULL || jobs->stopping)
    return;
  if (find_waiting(jobs, vm_id, NULL) != NULL)
    jobs_account(jobs, entry, NULL);
  dm_inventory_refresh(jobs->inventory, entry);
}
