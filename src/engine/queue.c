/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jobs of one VM, one after another; and a job driven by its change. Preparing its guest is work like theirs, but
 * no job. See jobs.c for how jobs work.
 */
#include "base/error.h"
#include "jobs_private.h"
#include "plan/wish.h"

static void start_next(DmJobs *jobs, const char *vm_id);
static void schedule(DmJobs *jobs, const char *vm_id);

/* ---- callbacks of the change ---- */

/* Those added since the last call. */
static void take_notes(Work *work, const GPtrArray *notes) {
  for (guint i = work->job.notes->len; i < notes->len; i++)
    g_ptr_array_add(work->job.notes, dm_note_copy(notes->pdata[i]));
}

/* The change's step replaces ours, or is new after a refusal. */
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

/* Not one that its request carries for an earlier one. */
static void take_balloon(Work *work, const DmStep *step) {
  dm_step_free(work->job.balloon);
  work->job.balloon = step != NULL && step->origin == NULL ? dm_step_copy(step) : NULL;
}

static void on_planned(DmChange *change, gpointer data) {
  Work *work = data;
  const DmPlan *plan = dm_change_plan(change);
  work->planned = TRUE;
  const DmConfig *before = dm_vm_current(dm_change_vm_before(change));
  take_notes(work, plan->notes);
  for (guint i = 0; i < plan->steps->len; i++)
    adopt(work, plan->steps->pdata[i]);
  take_balloon(work, plan->balloon);
  if (work->resumed) {
    resume_planned(work, plan);
    return;
  }
  work->job.wanted = plan->memory;
  work->job.memory_before = work->job.memory_after = dm_config_memory(before);
  work->job.guaranteed_before = work->job.guaranteed_after = dm_config_guaranteed(before);
  work_tell(work, DM_JOB_EVENT_PLANNED, NULL);
}

static void on_moved(DmChange *change, const DmStep *step, gpointer data) {
  Work *work = data;
  schedule(work->jobs, work->job.vm_id);
  if (step->origin != NULL) {
    jobs_move_steps(work->jobs, work->job.vm_id, step, FALSE);
    jobs_end_if_answered(work->jobs, work->job.vm_id);
    return;
  }
  const DmStep *ours = adopt(work, step);
  work_tell(work, DM_JOB_EVENT_STEP, ours);
  jobs_move_steps(work->jobs, work->job.vm_id, step, TRUE); /* an earlier job may have requested the same device */
  jobs_end_if_answered(work->jobs, work->job.vm_id);
}

static void on_ballooned(DmChange *change, const DmStep *step, gpointer data) {
  Work *work = data;
  take_balloon(work, step);
  if (work->job.balloon != NULL)
    work_tell(work, DM_JOB_EVENT_BALLOON, work->job.balloon);
}

static gboolean free_change(gpointer data) {
  dm_change_free(data);
  return G_SOURCE_REMOVE;
}

/* A device comes at once or never: what an interrupted request did not plug will not come. */
static gboolean was_not_plugged(const DmStep *step, const DmVm *vm) {
  gboolean there = vm->live != NULL && dm_config_find_alias(vm->live, step->alias) != NULL;
  return step->op == DM_OP_PLUG && (!there || dm_step_is_at_once(step));
}

/* The connection was lost before the request was sent, and the VM's record has no such step: no answer will come. */
static gboolean was_never_asked(const Work *work, const DmStep *step, const DmRequest *carried) {
  return !work->job.recovered && step->op != DM_OP_PLUG && step->run.asked_at_us == 0 &&
    (carried == NULL || dm_request_find_step(carried, step->alias) == NULL);
}

static void refuse_interrupted(Work *work, const DmVm *vm, const DmRequest *carried) {
  for (guint i = 0; i < work->job.steps->len; i++) {
    DmStep *step = work->job.steps->pdata[i];
    if (!dm_step_is_pending(step) || (!was_not_plugged(step, vm) && !was_never_asked(work, step, carried)))
      continue;
    work_refuse(
      work, step, step->op == DM_OP_PLUG ? dm_note_new(DM_NOTE_INTERRUPTED_PLUG) : dm_note_new(DM_NOTE_INTERRUPTED));
  }
}

/* The host is back, so the outcome of these jobs is known now, or will be reported. */
static void forget_losses(DmJobs *jobs, const char *vm_id) {
  for (guint i = 0; i < jobs->list->len; i++) {
    Work *work = jobs->list->pdata[i];
    if (work_is_open(work) && !work->job.driven && work_lost_sight(work) && g_str_equal(work->job.vm_id, vm_id))
      g_clear_error(&work->job.error);
  }
}

/* What an account found in @vm about outstanding steps. */
static void take_recovered(Work *work, const DmVm *vm, const DmRequest *recovered) {
  for (guint i = 0; recovered != NULL && i < recovered->steps->len; i++) {
    const DmStep *step = recovered->steps->pdata[i];
    gboolean goes_on = work->resumed && step->origin == NULL && dm_step_is_pending(step);
    if (!goes_on)
      jobs_move_steps(work->jobs, work->job.vm_id, step, FALSE);
  }
  for (guint i = 0; i < work->jobs->list->len; i++) {
    Work *open = work->jobs->list->pdata[i];
    if (!work_is_open(open) || open->job.driven || open->job.status == DM_JOB_WAITING ||
      !g_str_equal(open->job.vm_id, work->job.vm_id))
      continue;
    for (guint s = 0; s < open->job.steps->len; s++) {
      DmStep *step = open->job.steps->pdata[s];
      if (dm_step_is_pending(step) && work_shows_done(step, vm)) {
        dm_step_advance(step, DM_STEP_DONE); /* another process accounted for it */
        work_tell(open, DM_JOB_EVENT_STEP, step);
        jobs_move_steps(work->jobs, work->job.vm_id, step, TRUE);
      }
    }
    refuse_interrupted(open, vm, recovered);
  }
}

/* No longer waited for. */
static void expire_steps(Work *work) {
  for (guint i = 0; i < work->job.steps->len; i++) {
    DmStep *step = work->job.steps->pdata[i];
    if (step->state == DM_STEP_ASKED)
      dm_step_advance(step, DM_STEP_OVERDUE);
  }
}

/* Reports what accounting found about a step: it may have come before its event. */
static void take_steps(Work *work, DmChange *change) {
  const DmRequest *request = dm_change_request(change);
  for (guint i = 0; request != NULL && i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i], *ours = work_find_step(work, step->alias);
    if (step->state == DM_STEP_DONE && (step->origin != NULL || ours == NULL || ours->state != DM_STEP_DONE))
      on_moved(change, step, work);
    else if (step->origin == NULL)
      adopt(work, step);
  }
  expire_steps(work);
}

static DmOutcome outcome_of(const Work *work, const DmChange *change) {
  gboolean resumed = work->resumed && dm_change_error(change) == NULL;
  return resumed ? resume_outcome(work, dm_change_vm(change)) : dm_change_outcome(change);
}

static void take_error(Work *work, const DmChange *change) {
  const GError *error = dm_change_error(change);
  g_clear_error(&work->job.error);
  work->job.error = error != NULL ? g_error_copy(error) : NULL;
  if (error == NULL && work->resumed && dm_change_vm(change)->live == NULL && work_has_pending(work))
    work->job.error = g_error_new(DM_ERROR, DM_ERROR_VM_STOPPED,
      "%s stopped before its guest had answered; nothing more can be asked of it", work->job.vm_name);
}

/* Once, however many answers come meanwhile. */
static void tell_closing(Work *work, DmChange *change) {
  const DmConfig *after = dm_vm_current(dm_change_vm(change));
  take_steps(work, change);
  if (dm_change_request(change) != NULL)
    take_balloon(work, dm_change_request(change)->balloon);
  if (work->closing)
    return;
  work->closing = TRUE;
  take_error(work, change);
  work->job.failing = work->job.error != NULL;
  work->job.unheard = work->func == NULL;
  work->job.outcome = outcome_of(work, change);
  work->job.memory_after = dm_config_memory(after);
  work_tell(work, DM_JOB_EVENT_CLOSING, NULL);
}

static void go_on(gpointer change) {
  dm_change_go_on(change);
}

static void on_settling(DmChange *change, gpointer data) {
  Work *work = data;
  DmJobs *jobs = work->jobs;
  if (work->resumed && dm_change_plan(change) == NULL)
    resume_found(work, dm_change_vm(change), dm_change_recovered(change));
  if (dm_change_plan(change) == NULL)
    take_recovered(work, dm_change_vm(change), dm_change_recovered(change));
  else
    tell_closing(work, change);
  if (jobs->keep != NULL)
    jobs->keep(go_on, change, jobs->keep_data);
  else
    dm_change_go_on(change);
}

static void take_result(Work *work, DmChange *change) {
  DmEntry *entry = dm_inventory_find(work->jobs->inventory, work->job.vm_id);
  const GError *error = dm_change_error(change);
  take_steps(work, change);
  const DmPlan *plan = dm_change_plan(change);
  take_notes(work, plan != NULL ? plan->notes : dm_change_found(change));
  take_error(work, change);
  work->job.outcome = outcome_of(work, change);
  if (entry != NULL && error == NULL)
    dm_inventory_put(work->jobs->inventory, entry, dm_vm_copy(dm_change_vm(change)));
  if (entry != NULL && error == NULL && dm_change_seen(change) != NULL)
    dm_inventory_put_guest(work->jobs->inventory, entry, dm_change_seen(change));
  if (entry != NULL && error != NULL)
    dm_inventory_refresh(work->jobs->inventory, entry);
}

static void settle(Work *work) {
  DmJobs *jobs = work->jobs;
  g_autofree char *vm_id = g_strdup(work->job.vm_id);
  Queue *queue = g_hash_table_lookup(jobs->queues, vm_id);
  DmEntry *entry = dm_inventory_find(jobs->inventory, vm_id);
  queue->driven = NULL;
  work->job.driven = FALSE;
  if (entry != NULL)
    dm_inventory_release(jobs->inventory, entry);
  work_note_values(work);
  work_tell_settled(work);
}

/* One of our jobs that could not even be resumed: the VM still carries it, so retry. */
static void put_off(Work *work) {
  DmEntry *entry = dm_inventory_find(work->jobs->inventory, work->job.vm_id);
  Queue *queue = g_hash_table_lookup(work->jobs->queues, work->job.vm_id);
  queue->driven = NULL;
  work->job.driven = FALSE;
  if (entry != NULL)
    dm_inventory_release(work->jobs->inventory, entry);
  later_add(work->jobs->later, work->job.vm_id);
}

static void on_ended(DmChange *change, gpointer data) {
  Work *work = data;
  DmJobs *jobs = work->jobs;
  g_autofree char *vm_id = g_strdup(work->job.vm_id);
  gboolean hidden = work->hidden;
  work->change = NULL;
  gboolean gone = g_error_matches(dm_change_error(change), DM_ERROR, DM_ERROR_NO_SUCH_VM);
  if (work->resumed && dm_change_plan(change) == NULL && !gone) {
    put_off(work);
    g_idle_add(free_change, change);
    start_next(jobs, vm_id);
    return;
  }
  take_result(work, change);
  settle(work); /* with an error, this may have been its end */
  if (dm_change_error(change) == NULL) {
    forget_losses(jobs, vm_id);
    take_recovered(work, dm_change_vm(change), dm_change_recovered(change));
    jobs_end_if_answered(jobs, vm_id);
  } else if (hidden)
    later_add(jobs->later, vm_id);
  g_idle_add(free_change, change); /* it is still calling us */
  if (hidden)
    work_free(work);
  start_next(jobs, vm_id);
}

/* ---- beside the driven job ---- */

/*
 * A request for another title or description, queued behind one whose guest does not answer: it does not need the
 * guest, so it should not wait. The driven change does it while waiting, so that only one writes to the VM's definition
 * at a time.
 */
static gboolean names_words(const Work *work) {
  const DmWish *wish = work->job.wish;
  return !work->hidden && wish != NULL && wish->action == DM_ACTION_SET &&
    (wish->set.title != NULL || wish->set.description != NULL);
}

static gboolean is_words_only(const Work *work) {
  return names_words(work) && !dm_wish_concerns_guest(work->job.wish);
}

/* The inventory does not read the VM while a change of it is driven. */
static void show_words(Work *work, DmEntry *entry) {
  DmVm *vm = dm_vm_copy(entry->vm);
  const DmSetWish *set = &work->job.wish->set;
  if (set->title != NULL) {
    g_free(vm->title);
    vm->title = *set->title != '\0' ? g_strdup(set->title) : NULL;
  }
  if (set->description != NULL) {
    g_free(vm->description);
    vm->description = *set->description != '\0' ? g_strdup(set->description) : NULL;
  }
  dm_inventory_put(work->jobs->inventory, entry, vm);
}

static void settle_beside(Work *work, GError *error) {
  DmJobs *jobs = work->jobs;
  g_autofree char *vm_id = g_strdup(work->job.vm_id);
  work->job.error = error;
  work->job.outcome = error != NULL ? DM_OUTCOME_FAILED : DM_OUTCOME_DONE;
  work->job.driven = FALSE;
  work_note_values(work);
  work_tell_settled(work);
  schedule(jobs, vm_id);
}

static void on_described(const GError *error, gpointer data) {
  Work *work = data;
  DmEntry *entry = dm_inventory_find(work->jobs->inventory, work->job.vm_id);
  if (error == NULL && entry != NULL)
    show_words(work, entry);
  if (error == NULL) {
    work->job.outcome = DM_OUTCOME_DONE;
    work_tell(work, DM_JOB_EVENT_CLOSING, NULL);
  }
  settle_beside(work, error != NULL ? g_error_copy(error) : NULL);
}

/* The last request wins: it must not overtake one that also sets title or description. */
static Work *find_first(const Queue *queue) {
  for (GList *link = queue->waiting.head; link != NULL; link = link->next) {
    if (is_words_only(link->data))
      return link->data;
    if (names_words(link->data))
      return NULL;
  }
  return NULL;
}

/* The first queued one that needs no guest. */
static void start_beside(Queue *queue) {
  Work *work = find_first(queue);
  DmEntry *entry = work != NULL ? dm_inventory_find(queue->jobs->inventory, queue->vm_id) : NULL;
  if (entry == NULL || queue->driven == NULL || queue->driven->change == NULL || queue->jobs->stopping)
    return;
  const DmSetWish *set = &work->job.wish->set;
  g_autoptr(GError) error = NULL;
  g_autoptr(DmPlan) plan = dm_plan(entry->vm, work->job.wish, &error);
  if (plan == NULL) {
    g_queue_remove(&queue->waiting, work);
    settle_beside(work, g_steal_pointer(&error));
    return;
  }
  if (!dm_change_describe(queue->driven->change, set->title, set->description, on_described, work))
    return;
  g_queue_remove(&queue->waiting, work);
  const DmConfig *config = dm_vm_current(entry->vm);
  work->planned = TRUE;
  work->job.driven = TRUE;
  work->job.status = DM_JOB_STARTED;
  work->job.memory_before = work->job.memory_after = dm_config_memory(config);
  work->job.guaranteed_before = work->job.guaranteed_after = dm_config_guaranteed(config);
  for (guint i = 0; i < plan->notes->len; i++)
    g_ptr_array_add(work->job.notes, dm_note_copy(plan->notes->pdata[i]));
  work_tell(work, DM_JOB_EVENT_PLANNED, NULL);
}

/* ---- the queue ---- */

static void tell_unprepared(Work *work, GError *error) {
  g_autoptr(DmPrepared) nothing = dm_prepared_new(NULL);
  const DmPreparation end = {.prepared = nothing, .error = error};
  work->prepared(&end, work->func_data);
  g_error_free(error);
  work_free(work);
}

static void fail_unstarted(Work *work, GError *error) {
  if (work->prepared != NULL) {
    tell_unprepared(work, error);
    return;
  }
  if (work->resumed && g_error_matches(error, DM_ERROR, DM_ERROR_CONNECTION)) { /* its VM carries it: retry later */
    g_error_free(error);
    return;
  }
  work->job.error = error;
  work->job.outcome = DM_OUTCOME_FAILED;
  gboolean hidden = work->hidden;
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

static void on_guest_prepared(const DmPreparation *end, gpointer data) {
  Work *work = data;
  DmJobs *jobs = work->jobs;
  g_autofree char *vm_id = g_strdup(work->job.vm_id);
  Queue *queue = g_hash_table_lookup(jobs->queues, vm_id);
  queue->driven = NULL;
  work->prepared(end, work->func_data);
  work_free(work);
  start_next(jobs, vm_id);
}

static void prepare(Work *work, Queue *queue, const DmEntry *entry) {
  g_autofree char *uri = dm_connection_local_uri(entry->host->uri);
  queue->driven = work;
  dm_prepare_guest(entry->host->connection, work->job.vm_id, uri, on_guest_prepared, work);
}

static void drive(Work *work, Queue *queue, DmEntry *entry) {
  static const DmChangeListener listener = {.planned = on_planned,
    .asked = on_moved,
    .moved = on_moved,
    .ballooned = on_ballooned,
    .settling = on_settling,
    .ended = on_ended};
  const DmChangeOptions options = {.title = work->job.vm_name,
    .no_retry = work->no_retry,
    .timeout_s = work->jobs->timeout_s,
    .id = work->job.id,
    .user = work->job.user,
    .correlation_id = work->job.correlation_id,
    .refused = work->refused};
  queue->driven = work;
  work->job.driven = TRUE;
  work->job.status = DM_JOB_STARTED;
  dm_inventory_hold(work->jobs->inventory, entry);
  work->change = dm_change_new(entry->host->connection, work->job.vm_id,
    work->resumed ? work->going_on : work->job.wish, &options, &listener, work);
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
    if (work->resumed && !work_is_open(work))
      continue; /* its VM has stopped */
    GError *error = why_not(jobs, entry, work);
    if (error != NULL)
      fail_unstarted(work, error);
    else if (work->prepared != NULL)
      prepare(work, queue, entry);
    else
      drive(work, queue, entry);
    queue = g_hash_table_lookup(jobs->queues, vm_id);
  }
}

static gboolean on_start(gpointer data) {
  Queue *queue = data;
  g_autofree char *vm_id = g_strdup(queue->vm_id); /* the queue may be freed meanwhile */
  queue->start = 0;
  if (queue->driven != NULL)
    start_beside(queue);
  else
    start_next(queue->jobs, vm_id);
  return G_SOURCE_REMOVE;
}

void queue_free(gpointer data) {
  Queue *queue = data;
  g_clear_handle_id(&queue->start, g_source_remove);
  for (Work *work; (work = g_queue_pop_head(&queue->waiting)) != NULL;) {
    if (work->hidden)
      work_free(work);
  }
  g_free(queue->vm_id);
  g_free(queue);
}

void queue_add(DmJobs *jobs, Work *work) {
  Queue *queue = g_hash_table_lookup(jobs->queues, work->job.vm_id);
  if (queue == NULL) {
    queue = g_new0(Queue, 1);
    queue->jobs = jobs;
    queue->vm_id = g_strdup(work->job.vm_id);
    g_queue_init(&queue->waiting);
    g_hash_table_insert(jobs->queues, queue->vm_id, queue);
  }
  g_queue_push_tail(&queue->waiting, work);
  schedule(jobs, work->job.vm_id);
}

gboolean queue_has_change(const DmJobs *jobs, const char *vm_id) {
  const Queue *queue = g_hash_table_lookup(jobs->queues, vm_id);
  return queue != NULL && queue->driven != NULL && queue->driven->prepared == NULL;
}

/* Queued ones may have become possible. */
static void schedule(DmJobs *jobs, const char *vm_id) {
  Queue *queue = g_hash_table_lookup(jobs->queues, vm_id);
  if (queue != NULL && queue->start == 0 && queue->waiting.length > 0)
    queue->start = g_idle_add_full(G_PRIORITY_DEFAULT, on_start, queue, NULL);
}

void queue_stop(Queue *queue) {
  for (Work *work; (work = g_queue_pop_head(&queue->waiting)) != NULL;)
    fail_unstarted(work, why_not(queue->jobs, NULL, work));
  if (queue->driven != NULL && queue->driven->change != NULL)
    dm_change_stop_waiting(queue->driven->change);
}
