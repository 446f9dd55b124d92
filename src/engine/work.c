/* SPDX-License-Identifier: Apache-2.0 */
/* One job: its steps, its end, and its listeners. */
#include "base/error.h"
#include "jobs_private.h"

/* Number of ended jobs that are kept. */
#define KEPT 1000

gint64 jobs_now(void) {
  return g_get_real_time() / 1000;
}

static void free_step(gpointer step) {
  dm_step_free(step);
}

void work_free(gpointer data) {
  Work *work = data;
  dm_change_free(work->change);
  g_free(work->refused);
  dm_wish_free(work->job.wish);
  dm_wish_free(work->going_on);
  g_free(work->job.id);
  g_free(work->job.vm_id);
  g_free(work->job.vm_name);
  g_free(work->job.user);
  g_free(work->job.correlation_id);
  g_ptr_array_unref(work->job.steps);
  dm_step_free(work->job.balloon);
  g_ptr_array_unref(work->job.notes);
  g_clear_error(&work->job.error);
  g_free(work);
}

Work *work_new(DmJobs *jobs, const char *vm_id, const char *vm_name, DmAction action) {
  Work *work = g_new0(Work, 1);
  work->jobs = jobs;
  work->job.vm_id = g_strdup(vm_id);
  work->job.vm_name = g_strdup(vm_name);
  work->job.action = action;
  work->job.steps = g_ptr_array_new_with_free_func(free_step);
  work->job.notes = dm_notes_new();
  return work;
}

void work_tell(Work *work, DmJobEvent event, const DmStep *step) {
  if (work->hidden)
    return;
  for (guint i = 0; i < work->jobs->listeners->len; i++) {
    const Listener *listener = &g_array_index(work->jobs->listeners, Listener, i);
    listener->func(&work->job, event, step, listener->data);
  }
  if (work->func != NULL)
    work->func(&work->job, event, step, work->func_data);
}

DmStep *work_find_step(const Work *work, const char *alias) {
  for (guint i = work->job.steps->len; i > 0; i--) {
    DmStep *step = work->job.steps->pdata[i - 1];
    if (g_strcmp0(step->alias, alias) == 0)
      return step;
  }
  return NULL;
}

gboolean work_has_pending(const Work *work) {
  for (guint i = 0; i < work->job.steps->len; i++) {
    if (dm_step_is_pending(work->job.steps->pdata[i]))
      return TRUE;
  }
  return FALSE;
}

static void count_refusal(const DmStep *step, guint *refused, guint *by_host) {
  *refused += step->state == DM_STEP_REFUSED;
  *by_host += step->state == DM_STEP_REFUSED && step->run.by_host;
}

gboolean dm_job_failed_by_host(const DmJob *job) {
  guint refused = 0, by_host = 0;
  for (guint i = 0; i < job->steps->len; i++)
    count_refusal(job->steps->pdata[i], &refused, &by_host);
  if (job->balloon != NULL)
    count_refusal(job->balloon, &refused, &by_host);
  return refused > 0 && by_host == refused;
}

gboolean work_is_open(const Work *work) {
  return work->job.ended_ms == 0;
}

/* Every device and the balloon did as requested, or others made up for it. */
static gboolean is_success(const Work *work) {
  if (work->job.error != NULL)
    return FALSE;
  gboolean all = work->job.balloon == NULL || work->job.balloon->state == DM_STEP_DONE;
  for (guint i = 0; i < work->job.steps->len; i++)
    all &= ((DmStep *)work->job.steps->pdata[i])->state == DM_STEP_DONE;
  return all || work->job.outcome == DM_OUTCOME_DONE || work->job.outcome == DM_OUTCOME_KEPT;
}

static void forget(DmJobs *jobs, Work *work) {
  g_hash_table_remove(jobs->by_id, work->job.id);
  g_ptr_array_remove(jobs->list, work);
}

/* Drops the oldest ended ones that are not referenced. */
static void forget_old(DmJobs *jobs) {
  for (guint i = 0; i < jobs->list->len && jobs->list->len > KEPT;) {
    Work *work = jobs->list->pdata[i];
    if (work_is_open(work) || work->func != NULL) {
      i++;
      continue;
    }
    forget(jobs, work);
  }
}

void jobs_keep(DmJobs *jobs, Work *work) {
  g_ptr_array_add(jobs->list, work);
  g_hash_table_insert(jobs->by_id, work->job.id, work);
  forget_old(jobs);
}

gboolean work_shows_done(const DmStep *step, const DmVm *vm) {
  const DmMemoryDevice *device = vm->live != NULL ? dm_config_find_alias(vm->live, step->alias) : NULL;
  if (step->op == DM_OP_UNPLUG || device == NULL)
    return step->op == DM_OP_UNPLUG && device == NULL;
  return dm_memory_device_memory(device) == step->to;
}

void work_note_values(Work *work) {
  DmEntry *entry = dm_inventory_find(work->jobs->inventory, work->job.vm_id);
  if (entry == NULL)
    return;
  const DmConfig *config = dm_vm_current(entry->vm);
  work->job.memory_after = dm_config_memory(config);
  work->job.guaranteed_after = dm_config_guaranteed(config);
}

gboolean work_lost_sight(const Work *work) {
  if (g_error_matches(work->job.error, DM_ERROR, DM_ERROR_VM_MOVED))
    return dm_inventory_hosts(work->jobs->inventory)->len > 1;
  return g_error_matches(work->job.error, DM_ERROR, DM_ERROR_CONNECTION);
}

/* What was outstanding when its outcome was reported has been answered. */
static void take_late_outcome(Work *work) {
  DmOutcome before = work->job.outcome;
  guint done = 0;
  if (work->job.error != NULL || work->job.steps->len == 0 ||
    (before != DM_OUTCOME_OVERDUE && before != DM_OUTCOME_PARTLY && before != DM_OUTCOME_FAILED))
    return;
  for (guint i = 0; i < work->job.steps->len; i++)
    done += ((DmStep *)work->job.steps->pdata[i])->state == DM_STEP_DONE;
  /* Devices requested instead of others may have released all that was requested. */
  gboolean there = work->job.action == DM_ACTION_SET && work->job.wanted != 0 &&
    work->job.wanted < work->job.memory_before && work->job.memory_after <= work->job.wanted;
  gboolean short_of = work->job.balloon != NULL && work->job.balloon->state != DM_STEP_DONE;
  if (there || (done == work->job.steps->len && !short_of))
    work->job.outcome = DM_OUTCOME_DONE;
  else if (before != DM_OUTCOME_PARTLY)
    work->job.outcome = done > 0 ? DM_OUTCOME_PARTLY : DM_OUTCOME_REFUSED;
}

static void take_end(Work *work) {
  if (!work_is_open(work) || work->job.driven)
    return;
  if (work_has_pending(work) && (work->job.error == NULL || work_lost_sight(work)))
    return;
  work_note_values(work);
  take_late_outcome(work);
  work->job.ended_ms = jobs_now();
  work->job.status = is_success(work) ? DM_JOB_FINISHED : DM_JOB_FAILED;
}

/*
 * A listener of SETTLED sees whether that was its end. One forbidden by a rule was never a job: it is dropped, unless
 * no listener knows of it yet.
 */
void work_tell_settled(Work *work) {
  gboolean heard = work->func != NULL;
  work->job.unheard = !heard;
  take_end(work);
  work_tell(work, DM_JOB_EVENT_SETTLED, NULL);
  if (!work_is_open(work))
    work_tell(work, DM_JOB_EVENT_ENDED, NULL);
  if (!work->hidden && !work->planned && heard && work->func == NULL)
    forget(work->jobs, work);
}

void work_end_if_answered(Work *work) {
  if (!work_is_open(work))
    return;
  take_end(work);
  if (!work_is_open(work))
    work_tell(work, DM_JOB_EVENT_ENDED, NULL);
}

void jobs_end_if_answered(DmJobs *jobs, const char *vm_id) {
  for (guint i = 0; i < jobs->list->len; i++) {
    Work *work = jobs->list->pdata[i];
    if (work->job.status == DM_JOB_WAITING || !g_str_equal(work->job.vm_id, vm_id))
      continue;
    /* All of it was answered since its host was lost, so its outcome is known. */
    if (work_is_open(work) && work->job.steps->len > 0 && !work_has_pending(work) && work_lost_sight(work))
      g_clear_error(&work->job.error);
    work_end_if_answered(work);
  }
}

void work_refuse(Work *work, DmStep *step, DmNote *reason) {
  if (!dm_step_advance(step, DM_STEP_REFUSED)) {
    dm_note_free(reason);
    return;
  }
  dm_step_take_reason(step, reason);
  work_tell(work, DM_JOB_EVENT_STEP, step);
}

/* What a guest accepts of a virtio-mem device answers its plug, and every repeated request. */
static gboolean is_same_answer(const DmStep *step, const DmStep *moved) {
  return step->op == moved->op || (step->op != DM_OP_UNPLUG && moved->op != DM_OP_UNPLUG && step->to == moved->to);
}

void jobs_move_steps(DmJobs *jobs, const char *vm_id, const DmStep *moved, gboolean reported) {
  for (guint i = 0; i < jobs->list->len; i++) {
    Work *work = jobs->list->pdata[i];
    DmStep *step =
      work_is_open(work) && g_str_equal(work->job.vm_id, vm_id) ? work_find_step(work, moved->alias) : NULL;
    if (step == NULL || !dm_step_is_pending(step) || !is_same_answer(step, moved) || step->state == moved->state)
      continue;
    step->state = moved->state;
    step->run.reached = moved->run.reached;
    step->run.answer_s = moved->run.answer_s;
    dm_step_take_reason(step, moved->run.reason != NULL ? dm_note_copy(moved->run.reason) : NULL);
    step->run.by_host = moved->run.by_host;
    work_tell(work, reported ? DM_JOB_EVENT_STEP_TOO : DM_JOB_EVENT_STEP, step);
    reported = TRUE;
  }
}
