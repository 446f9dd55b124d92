/* SPDX-License-Identifier: Apache-2.0 */
/* One job: its steps, its end, and who is told. */
#include "base/error.h"
#include "jobs_private.h"

/* So many jobs that have ended are kept. */
#define KEPT 1000

gint64 jobs_now(void) {
  return g_get_real_time() / 1000;
}

static void free_step(gpointer step) {
  dm_step_free(step);
}

void work_drop_plan(Work *work) {
  if (work->destroy != NULL)
    work->destroy(work->plan_data);
  work->destroy = NULL;
  work->plan_data = NULL;
}

void work_free(gpointer data) {
  Work *work = data;
  work_drop_plan(work);
  dm_change_free(work->change);
  g_free(work->refused);
  g_free(work->job.id);
  g_free(work->job.vm_id);
  g_free(work->job.vm_name);
  g_free(work->job.user);
  g_free(work->job.correlation_id);
  g_ptr_array_unref(work->job.steps);
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
  work->job.notes = g_ptr_array_new_with_free_func(g_free);
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

gboolean work_is_open(const Work *work) {
  return work->job.ended == 0;
}

/* Every device did what was asked of it, or others made up for it. */
static gboolean is_success(const Work *work) {
  if (work->job.error != NULL)
    return FALSE;
  gboolean all = TRUE;
  for (guint i = 0; i < work->job.steps->len; i++)
    all &= ((DmStep *)work->job.steps->pdata[i])->state == DM_STEP_DONE;
  return all || work->job.outcome == DM_OUTCOME_DONE;
}

static void forget(DmJobs *jobs, Work *work) {
  g_hash_table_remove(jobs->by_id, work->job.id);
  g_ptr_array_remove(jobs->list, work);
}

/* Drops the oldest of those that have ended and that nobody holds on to. */
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

static void take_end(Work *work) {
  if (!work_is_open(work) || work->job.driven)
    return;
  if (work_has_pending(work) && (work->job.error == NULL || work_lost_sight(work)))
    return;
  work_note_values(work);
  work->job.ended = jobs_now();
  work->job.status = is_success(work) ? DM_JOB_FINISHED : DM_JOB_FAILED;
}

/*
 * Whoever hears that it is settled sees whether that was its end. What a rule forbade was never a job: it is forgotten,
 * unless nobody has heard of it yet.
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

void jobs_move_steps(DmJobs *jobs, const char *vm_id, const DmStep *moved, gboolean told) {
  for (guint i = 0; i < jobs->list->len; i++) {
    Work *work = jobs->list->pdata[i];
    DmStep *step =
      work_is_open(work) && g_str_equal(work->job.vm_id, vm_id) ? work_find_step(work, moved->alias) : NULL;
    if (step == NULL || !dm_step_is_pending(step) || step->op != moved->op || step->state == moved->state)
      continue;
    step->state = moved->state;
    step->reached = moved->reached;
    step->seconds = moved->seconds;
    g_free(step->reason);
    step->reason = g_strdup(moved->reason);
    work_tell(work, told ? DM_JOB_EVENT_STEP_TOO : DM_JOB_EVENT_STEP, step);
    told = TRUE;
    work_end_if_answered(work);
  }
}
