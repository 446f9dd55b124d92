/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How jobs go
 * ===========
 *
 * Each VM has a queue. At its head is the work that is driven: a DmChange of engine/change.h. While that is so, the
 * inventory does not read the VM, and events reach the job's steps by way of the change.
 *
 * When the change has ended, devices may still owe an answer: they are overdue, the VM carries them, and the job stays
 * open. Their answers come as events of the inventory, and each is followed by an account: a change that plans nothing
 * and so only settles what the VM carries. The same account takes up what an earlier process left: a request that a VM
 * carries, and that is nobody's, becomes a job again. While another process holds the VM's lock, its request is its
 * own; once that process has let go, or has been killed, the VM is looked at again. An account that failed is made
 * again.
 */
#include "base/error.h"
#include "jobs_private.h"

static void start_next(DmJobs *jobs, const char *vm_id);

/* ---- what the change tells ---- */

/* Those that came since the last time. */
static void take_notes(Work *work, const DmPlan *plan) {
  for (guint i = work->job.notes->len; i < plan->notes->len; i++)
    g_ptr_array_add(work->job.notes, g_strdup(plan->notes->pdata[i]));
}

static void on_planned(DmChange *change, gpointer data) {
  Work *work = data;
  const DmPlan *plan = dm_change_plan(change);
  work->planned = TRUE;
  const DmConfig *before = dm_vm_current(dm_change_vm_before(change));
  take_notes(work, plan);
  for (guint i = 0; i < plan->steps->len; i++)
    g_ptr_array_add(work->job.steps, dm_step_copy(plan->steps->pdata[i]));
  work->job.wanted = plan->memory;
  work->job.memory_before = work->job.memory_after = dm_config_memory(before);
  work->job.guaranteed_before = work->job.guaranteed_after = dm_config_guaranteed(before);
  work_tell(work, DM_JOB_EVENT_PLANNED, NULL);
}

/* The step as the change has it takes the place of ours, or comes new after a refusal. */
static DmStep *adopt(Work *work, const DmStep *step) {
  DmStep *copy = dm_step_copy(step), *old = work_find_step(work, step->alias);
  guint at = work->job.steps->len;
  if (old != NULL) {
    g_ptr_array_find(work->job.steps, old, &at);
    g_ptr_array_remove_index(work->job.steps, at);
  }
  g_ptr_array_insert(work->job.steps, (int)at, copy);
  return copy;
}

static void on_moved(DmChange *change, const DmStep *step, gpointer data) {
  Work *work = data;
  if (step->origin != NULL) {
    jobs_move_steps(work->jobs, work->job.vm_id, step, FALSE);
    return;
  }
  const DmStep *ours = adopt(work, step);
  work_tell(work, DM_JOB_EVENT_STEP, ours);
  jobs_move_steps(work->jobs, work->job.vm_id, step, TRUE); /* an earlier job may have asked for the same device */
}

static gboolean free_change(gpointer data) {
  dm_change_free(data);
  return G_SOURCE_REMOVE;
}

/* A plug comes at once or never: what an interrupted request did not plug does not come any more. */
static void refuse_plugs(Work *work) {
  for (guint i = 0; i < work->job.steps->len; i++) {
    DmStep *step = work->job.steps->pdata[i];
    if (step->op != DM_OP_PLUG || !dm_step_is_pending(step))
      continue;
    dm_step_advance(step, DM_STEP_REFUSED);
    g_free(step->reason);
    step->reason = g_strdup("the request was interrupted before it was plugged");
    work_tell(work, DM_JOB_EVENT_STEP, step);
  }
}

/* The host is back, so what became of these jobs is known now, or will be told. */
static void forget_losses(DmJobs *jobs, const char *vm_id) {
  for (guint i = 0; i < jobs->list->len; i++) {
    Work *work = jobs->list->pdata[i];
    if (work_is_open(work) && !work->job.driven && work_lost_sight(work) && g_str_equal(work->job.vm_id, vm_id))
      g_clear_error(&work->job.error);
  }
}

/* What an account found out about steps that were out. */
static void take_recovered(Work *work, const DmRequest *recovered) {
  DmEntry *entry = dm_inventory_find(work->jobs->inventory, work->job.vm_id);
  forget_losses(work->jobs, work->job.vm_id);
  for (guint i = 0; recovered != NULL && i < recovered->steps->len; i++)
    jobs_move_steps(work->jobs, work->job.vm_id, recovered->steps->pdata[i], FALSE);
  for (guint i = 0; i < work->jobs->list->len; i++) {
    Work *open = work->jobs->list->pdata[i];
    if (!work_is_open(open) || open->job.driven || open->job.status == DM_JOB_WAITING ||
      !g_str_equal(open->job.vm_id, work->job.vm_id))
      continue;
    for (guint s = 0; s < open->job.steps->len; s++) {
      DmStep *step = open->job.steps->pdata[s];
      gboolean there =
        entry != NULL && entry->vm->live != NULL && dm_config_find_alias(entry->vm->live, step->alias) != NULL;
      if (dm_step_is_pending(step) && step->op == DM_OP_UNPLUG && !there) {
        dm_step_advance(step, DM_STEP_DONE); /* somebody else accounted for it */
        work_tell(open, DM_JOB_EVENT_STEP, step);
        jobs_move_steps(work->jobs, work->job.vm_id, step, TRUE);
      }
    }
    refuse_plugs(open);
    work_end_if_answered(open);
  }
}

/* Nobody waits for them any more. */
static void expire_steps(Work *work) {
  for (guint i = 0; i < work->job.steps->len; i++) {
    DmStep *step = work->job.steps->pdata[i];
    if (step->state == DM_STEP_ASKED)
      dm_step_advance(step, DM_STEP_OVERDUE);
  }
}

static void take_result(Work *work, DmChange *change) {
  DmEntry *entry = dm_inventory_find(work->jobs->inventory, work->job.vm_id);
  const DmRequest *request = dm_change_request(change);
  const GError *error = dm_change_error(change);
  for (guint i = 0; request != NULL && i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->origin == NULL)
      adopt(work, step);
  }
  expire_steps(work);
  if (dm_change_plan(change) != NULL)
    take_notes(work, dm_change_plan(change));
  work->job.error = error != NULL ? g_error_copy(error) : NULL;
  work->job.outcome = dm_change_outcome(change);
  if (entry != NULL && error == NULL)
    dm_inventory_put(work->jobs->inventory, entry, dm_vm_copy(dm_change_vm(change)));
  else if (entry != NULL)
    dm_inventory_refresh(work->jobs->inventory, entry);
}

static void settle(Work *work) {
  DmJobs *jobs = work->jobs;
  g_autofree char *vm_id = g_strdup(work->job.vm_id);
  Queue *queue = g_hash_table_lookup(jobs->queues, vm_id);
  DmEntry *entry = dm_inventory_find(jobs->inventory, vm_id);
  queue->driven = NULL;
  work->job.driven = FALSE;
  work_drop_plan(work);
  if (entry != NULL)
    dm_inventory_release(jobs->inventory, entry);
  work_note_values(work);
  work_tell_settled(work);
}

static void on_ended(DmChange *change, gpointer data) {
  Work *work = data;
  DmJobs *jobs = work->jobs;
  g_autofree char *vm_id = g_strdup(work->job.vm_id);
  gboolean hidden = work->hidden;
  work->change = NULL;
  take_result(work, change);
  settle(work); /* with an error, this may have been its end altogether */
  if (dm_change_error(change) == NULL)
    take_recovered(work, dm_change_recovered(change));
  else if (hidden)
    later_add(jobs->later, vm_id);
  g_idle_add(free_change, change); /* it is still in the middle of telling us */
  if (hidden)
    work_free(work);
  start_next(jobs, vm_id);
}

/* ---- the queue ---- */

static void fail_unstarted(Work *work, GError *error) {
  work->job.error = error;
  work->job.outcome = DM_OUTCOME_FAILED;
  gboolean hidden = work->hidden;
  work_drop_plan(work);
  work_tell_settled(work);
  if (hidden)
    work_free(work);
}

static GError *why_not(const DmJobs *jobs, const DmEntry *entry, const Work *work) {
  if (jobs->stopping)
    return g_error_new(
      DM_ERROR, DM_ERROR_CONNECTION, "dimmerd is stopping; nothing was asked of %s", work->job.vm_name);
  if (entry == NULL)
    return g_error_new(DM_ERROR, DM_ERROR_NO_SUCH_VM, "%s is gone", work->job.vm_name);
  if (entry->host->connection == NULL)
    return g_error_new(DM_ERROR, DM_ERROR_CONNECTION, "nothing can be asked of %s: %s", work->job.vm_name,
      entry->host->problem != NULL ? entry->host->problem : "its host is not connected yet");
  return NULL;
}

static void drive(Work *work, Queue *queue, DmEntry *entry) {
  static const DmChangeListener listener = {
    .planned = on_planned, .asked = on_moved, .moved = on_moved, .ended = on_ended};
  const DmChangeOptions options = {.title = work->job.vm_name,
    .no_retry = work->no_retry,
    .no_look = work->hidden,
    .timeout = work->jobs->timeout,
    .id = work->job.id,
    .user = work->job.user,
    .refused = work->refused};
  queue->driven = work;
  work->job.driven = TRUE;
  work->job.status = DM_JOB_STARTED;
  dm_inventory_hold(work->jobs->inventory, entry);
  work->change =
    dm_change_new(entry->host->connection, work->job.vm_id, work->plan, work->plan_data, &options, &listener, work);
  dm_change_start(work->change);
}

static void start_next(DmJobs *jobs, const char *vm_id) {
  Queue *queue = g_hash_table_lookup(jobs->queues, vm_id);
  while (queue != NULL && queue->driven == NULL) {
    Work *work = g_queue_pop_head(&queue->waiting);
    if (work == NULL) {
      g_hash_table_remove(jobs->queues, vm_id);
      return;
    }
    DmEntry *entry = dm_inventory_find(jobs->inventory, vm_id);
    GError *error = why_not(jobs, entry, work);
    if (error != NULL)
      fail_unstarted(work, error);
    else
      drive(work, queue, entry);
    queue = g_hash_table_lookup(jobs->queues, vm_id);
  }
}

typedef struct {
  DmJobs *jobs;
  char *vm_id;
} Start;

static gboolean on_start(gpointer data) {
  Start *start = data;
  start_next(start->jobs, start->vm_id);
  g_free(start->vm_id);
  g_free(start);
  return G_SOURCE_REMOVE;
}

void jobs_enqueue(DmJobs *jobs, Work *work) {
  Queue *queue = g_hash_table_lookup(jobs->queues, work->job.vm_id);
  if (queue == NULL) {
    queue = g_new0(Queue, 1);
    g_queue_init(&queue->waiting);
    g_hash_table_insert(jobs->queues, g_strdup(work->job.vm_id), queue);
  }
  g_queue_push_tail(&queue->waiting, work);
  Start *start = g_new(Start, 1);
  *start = (Start){jobs, g_strdup(work->job.vm_id)};
  g_idle_add_full(G_PRIORITY_DEFAULT, on_start, start, NULL);
}
/* ---- for callers ---- */

DmJobs *dm_jobs_new(DmInventory *inventory, double timeout) {
  static const DmInventoryListener listener = {
    .changed = account_on_changed, .life = account_on_life, .device = account_on_device};
  DmJobs *jobs = g_new0(DmJobs, 1);
  jobs->inventory = inventory;
  jobs->timeout = timeout;
  jobs->list = g_ptr_array_new_with_free_func(work_free);
  jobs->by_id = g_hash_table_new(g_str_hash, g_str_equal);
  jobs->queues = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  jobs->listeners = g_array_new(FALSE, FALSE, sizeof(Listener));
  jobs->later = later_new(account_on_later, jobs);
  dm_inventory_listen(inventory, &listener, jobs);
  return jobs;
}

void dm_jobs_free(DmJobs *jobs) {
  if (jobs == NULL)
    return;
  later_free(jobs->later);
  g_hash_table_unref(jobs->by_id);
  g_hash_table_unref(jobs->queues);
  g_ptr_array_unref(jobs->list);
  g_array_unref(jobs->listeners);
  g_free(jobs);
}

void dm_jobs_listen(DmJobs *jobs, DmJobFunc func, gpointer data) {
  Listener listener = {func, data};
  g_array_append_val(jobs->listeners, listener);
}

DmJob *dm_jobs_submit(DmJobs *jobs, DmEntry *entry, const DmJobRequest *request, DmJobFunc func, gpointer data) {
  Work *work = work_new(jobs, entry->vm->uuid, entry->vm->name, request->action);
  work->job.id = g_uuid_string_random();
  work->job.user = g_strdup(request->user);
  work->job.correlation_id = g_strdup(request->correlation_id);
  work->job.started = jobs_now();
  work->plan = request->plan;
  work->plan_data = request->plan_data;
  work->destroy = request->destroy;
  work->no_retry = request->no_retry;
  work->func = func;
  work->func_data = data;
  jobs_keep(jobs, work);
  jobs_enqueue(jobs, work);
  return &work->job;
}

gboolean dm_jobs_cancel(DmJobs *jobs, DmJob *job) {
  Queue *queue = g_hash_table_lookup(jobs->queues, job->vm_id);
  if (queue == NULL || !g_queue_remove(&queue->waiting, job))
    return FALSE;
  g_hash_table_remove(jobs->by_id, job->id);
  g_ptr_array_remove(jobs->list, job);
  return TRUE;
}

void dm_jobs_forget(DmJobs *jobs, DmJob *job) {
  ((Work *)job)->func = NULL;
}

const GPtrArray *dm_jobs_list(const DmJobs *jobs) {
  return jobs->list;
}

DmJob *dm_jobs_find(const DmJobs *jobs, const char *id) {
  Work *work = g_hash_table_lookup(jobs->by_id, id);
  return work != NULL ? &work->job : NULL;
}

guint dm_jobs_busy(const DmJobs *jobs) {
  return g_hash_table_size(jobs->queues);
}

void dm_jobs_stop_waiting(DmJobs *jobs) {
  jobs->stopping = TRUE;
  g_autoptr(GList) queues = g_hash_table_get_values(jobs->queues);
  for (GList *link = queues; link != NULL; link = link->next) {
    Queue *queue = link->data;
    for (Work *work; (work = g_queue_pop_head(&queue->waiting)) != NULL;)
      fail_unstarted(work, why_not(jobs, NULL, work));
    if (queue->driven != NULL && queue->driven->change != NULL)
      dm_change_stop_waiting(queue->driven->change);
  }
}
