/* SPDX-License-Identifier: Apache-2.0 */
/* Late answers of devices that a job waits for, and requests left by an earlier process. See jobs.c. */
#include "base/error.h"
#include "engine/lock.h"
#include "jobs_private.h"

/* Settles the VM's recorded request; @refused: the device that its guest has just refused, or NULL. */
static void account(DmJobs *jobs, const DmEntry *entry, const char *refused) {
  const DmWish wish = {.action = DM_ACTION_SETTLE, .settle = {.account_only = TRUE}};
  Work *work = work_new(jobs, entry->vm->uuid, entry->vm->name, wish.action);
  work->hidden = TRUE;
  work->job.wish = dm_wish_copy(&wish);
  work->refused = g_strdup(refused);
  queue_add(jobs, work);
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
  if (queue_has_change(jobs, entry->vm->uuid) || find_waiting(jobs, entry->vm->uuid, event->alias) == NULL)
    return;
  if (event->kind == DM_EVENT_DEVICE_REMOVED || event->kind == DM_EVENT_DEVICE_RESIZED)
    account(jobs, entry, NULL);
  else if (event->kind == DM_EVENT_DEVICE_REFUSED)
    account(jobs, entry, event->alias);
}

static GError *make_end(const char *name, DmLife life) {
  if (life == DM_LIFE_MOVED)
    return g_error_new(DM_ERROR, DM_ERROR_VM_MOVED,
      "%s has moved to a host that dimmerd does not know, along with the request; settle it there", name);
  return g_error_new(
    DM_ERROR, DM_ERROR_VM_STOPPED, "%s stopped before its guest had answered; nothing more can be asked of it", name);
}

/*
 * The devices are gone with the VM, or both are where this process cannot see them; nothing more can be requested. A
 * driven job handles that itself.
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

/* Whether the VM carries it for its own steps, not just for those of earlier requests. */
static gboolean is_open(const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    if (((const DmStep *)request->steps->pdata[i])->origin == NULL)
      return TRUE;
  }
  if (request->balloon != NULL && request->steps->len == 0 && request->pid == 0)
    return request->balloon->state == DM_STEP_ASKED; /* else nothing is under way: it waits to be asked again */
  return request->pid != 0 || request->steps->len == 0;
}

/* An earlier request that the VM carries a step of, and that is not one of our jobs; NULL: none. */
static const DmOrigin *find_unknown(const DmJobs *jobs, const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->origin != NULL && !is_job(jobs, step->origin->id))
      return step->origin;
  }
  return NULL;
}

/* Before its steps did anything not yet accounted for. */
static uint64_t memory_before(const Work *work, const DmVm *vm) {
  uint64_t memory = work->job.memory_after;
  for (guint i = 0; i < work->job.steps->len; i++) {
    const DmStep *step = work->job.steps->pdata[i];
    const DmMemoryDevice *device = vm->live != NULL ? dm_config_find_alias(vm->live, step->alias) : NULL;
    memory = memory - (device != NULL ? dm_memory_device_memory(device) : 0) + step->from;
  }
  return memory;
}

/* The earlier process may have been killed before that was saved. */
static void tell_answered(Work *work) {
  for (guint i = 0; i < work->job.steps->len; i++) {
    const DmStep *step = work->job.steps->pdata[i];
    if (step->state == DM_STEP_DONE || step->state == DM_STEP_REFUSED)
      work_tell(work, DM_JOB_EVENT_STEP, step);
  }
}

/* Turns the VM's request, or an earlier one whose steps it carries, into a job again. */
static void recover_one(DmJobs *jobs, DmEntry *entry, const DmOrigin *origin) {
  const DmRequest *request = entry->vm->request;
  Work *work = work_new(jobs, entry->vm->uuid, entry->vm->name, origin != NULL ? origin->action : request->action);
  work->job.id = g_strdup(origin != NULL ? origin->id : request->id);
  work->job.user = g_strdup(origin != NULL ? origin->user : request->user);
  work->job.correlation_id = g_strdup(origin != NULL ? NULL : request->correlation_id);
  work->job.recovered = TRUE;
  work->job.outcome = DM_OUTCOME_OVERDUE;
  work->job.started_ms = (origin != NULL ? origin->started_s : request->started_s) * 1000;
  work->job.wanted = origin != NULL ? origin->memory : request->memory;
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (origin == NULL ? step->origin == NULL : step->origin != NULL && g_str_equal(step->origin->id, origin->id))
      g_ptr_array_add(work->job.steps, dm_step_copy(step));
  }
  if (origin == NULL && request->balloon != NULL && request->balloon->origin == NULL)
    work->job.balloon = dm_step_copy(request->balloon);
  work->job.status = DM_JOB_STARTED;
  work_note_values(work);
  work->job.memory_before = memory_before(work, entry->vm);
  work->job.guaranteed_before = work->job.guaranteed_after;
  jobs_keep(jobs, work);
  work_tell(work, DM_JOB_EVENT_PLANNED, NULL);
  tell_answered(work);
}

static void take_up(DmJobs *jobs, const DmEntry *entry) {
  Work *resumed = resume_take_up(jobs, entry);
  if (resumed != NULL)
    queue_add(jobs, resumed);
  else
    account(jobs, entry, NULL);
}

/* Requests in the VM that are not our jobs: of an earlier dimmerd, or of a dimmer that has exited. */
static void recover(DmJobs *jobs, DmEntry *entry) {
  const DmRequest *request = entry->vm->request;
  for (const DmOrigin *origin; (origin = find_unknown(jobs, request)) != NULL;)
    recover_one(jobs, entry, origin);
  if (is_open(request) && !is_job(jobs, request->id))
    recover_one(jobs, entry, NULL);
  take_up(jobs, entry);
}

/*
 * The host was unreachable during a job, which ends with an account even if the VM carries nothing any more; or all was
 * answered and the account failed.
 */
static gboolean owes_account(const DmJobs *jobs, const DmEntry *entry) {
  for (guint i = 0; i < jobs->list->len; i++) {
    const Work *work = jobs->list->pdata[i];
    if (work_is_open(work) && !work->job.driven && g_str_equal(work->job.vm_id, entry->vm->uuid) &&
      work->job.status != DM_JOB_WAITING &&
      (!work_has_pending(work) || g_error_matches(work->job.error, DM_ERROR, DM_ERROR_CONNECTION)))
      return TRUE;
  }
  return FALSE;
}

/* A device that a job waits for has completed without an event, as the host was unreachable. */
static gboolean missed_something(const DmJobs *jobs, const DmEntry *entry) {
  const Work *work = find_waiting(jobs, entry->vm->uuid, NULL);
  for (guint i = 0; work != NULL && entry->vm->live != NULL && i < work->job.steps->len; i++) {
    const DmStep *step = work->job.steps->pdata[i];
    if (dm_step_is_pending(step) && work_shows_done(step, entry->vm))
      return TRUE;
  }
  return FALSE;
}

/* It was being driven by another process, as we drive nothing here. An account removes that process from it. */
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
  if (!is_new && !was_interrupted(request) && !missed_something(jobs, entry) && !owes_account(jobs, entry))
    return;
  if (dm_lock_owner(vm_id) != 0)
    later_add(jobs->later, vm_id);
  else if (is_new)
    recover(jobs, entry);
  else
    take_up(jobs, entry);
}

/* Reads the VM again: our copy may be older than what the other process did. */
void account_on_later(const char *vm_id, gpointer data) {
  DmJobs *jobs = data;
  DmEntry *entry = dm_inventory_find(jobs->inventory, vm_id);
  if (entry == NULL || entry->host->connection == NULL || jobs->stopping)
    return;
  if (find_waiting(jobs, vm_id, NULL) != NULL || owes_account(jobs, entry))
    take_up(jobs, entry);
  dm_inventory_refresh(jobs->inventory, entry);
}
