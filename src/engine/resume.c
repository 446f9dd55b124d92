/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an interrupted request is resumed
 * =====================================
 *
 * A killed dimmerd leaves its request in the VM, with its process id. The next one resumes it as a job of the same id
 * (account.c) and drives it again as if nothing had happened: what was done meanwhile is found and reported, and what
 * the record lists as requested is requested again.
 *
 * It cannot be known whether the request was sent: it is recorded before, and a device that is still there may have
 * been requested a moment ago, or never. It is what the user wanted, and a repeated request does a guest no harm: it
 * tries twice, or QEMU and libvirt know that it is still pending. Exceptions:
 *
 *   the record says "planned": the next run takes its values, and what is left is refused, as nothing was requested
 *   and the guest's part of the request is unknown
 *   the request's deadline has passed, so no client waits and things may have changed: its devices are overdue
 *   the VM was started again, and carries no request
 *   a later request wants to keep the memory (withdrawn)
 *   the request came from the command line: its user saw the kill, and can repeat it by 'dimmer settle'
 *
 * The VM carries the request, unchanged, until this has replaced it by its own record, so a kill during this is safe
 * too.
 */
#include "base/error.h"
#include "jobs_private.h"

static gboolean is_of_a_dimmerd_here(const DmRequest *request) {
  return request->pid != 0 && request->user != NULL && g_strcmp0(request->host, g_get_host_name()) == 0;
}

Work *resume_take_up(DmJobs *jobs, const DmEntry *entry) {
  const DmRequest *request = entry->vm->request;
  if (request == NULL || request->id == NULL || !is_of_a_dimmerd_here(request))
    return NULL;
  Work *work = g_hash_table_lookup(jobs->by_id, request->id);
  if (work == NULL || !work->job.recovered || !work_is_open(work) || work->job.driven)
    return NULL;
  gboolean asks = request->asked && g_get_real_time() / G_USEC_PER_SEC <= request->deadline_s;
  const DmWish wish = {.action = DM_ACTION_SETTLE, .settle = {.account_only = !asks, .goes_on = (char *)request->id}};
  dm_wish_free(work->going_on);
  work->going_on = dm_wish_copy(&wish);
  work->resumed = TRUE;
  work->closing = FALSE;
  return work;
}

void resume_found(Work *work, const DmVm *vm, const DmRequest *recovered) {
  for (guint i = 0; i < work->job.steps->len; i++) {
    DmStep *step = work->job.steps->pdata[i];
    const DmStep *found = recovered != NULL ? dm_request_find_step(recovered, step->alias) : NULL;
    gboolean done = found != NULL && found->state == DM_STEP_DONE;
    gboolean there = vm->live != NULL && dm_config_find_alias(vm->live, step->alias) != NULL;
    if (step->state == DM_STEP_PLANNED && !done)
      work_refuse(work, step, dm_note_new(DM_NOTE_INTERRUPTED));
    else if (dm_step_is_pending(step) && step->op == DM_OP_PLUG && !there)
      work_refuse(work, step, dm_note_new(DM_NOTE_INTERRUPTED_PLUG));
    else if (done && step->state <= DM_STEP_ASKED) {
      step->state = DM_STEP_ASKED;
      work_tell(work, DM_JOB_EVENT_STEP, step); /* which was perhaps never reported */
    }
  }
}

static gboolean is_asked_again(const DmPlan *plan, const DmStep *step) {
  for (guint i = 0; i < plan->steps->len; i++) {
    if (g_strcmp0(((const DmStep *)plan->steps->pdata[i])->alias, step->alias) == 0)
      return TRUE;
  }
  return FALSE;
}

void resume_planned(Work *work, const DmPlan *plan) {
  for (guint i = 0; i < work->job.steps->len; i++) {
    DmStep *step = work->job.steps->pdata[i];
    if (step->state == DM_STEP_ASKED && !is_asked_again(plan, step) && dm_step_advance(step, DM_STEP_OVERDUE))
      work_tell(work, DM_JOB_EVENT_STEP, step);
  }
}

DmOutcome resume_outcome(const Work *work, const DmVm *vm) {
  const DmJob *job = &work->job;
  guint done = 0, refused = 0, overdue = 0;
  for (guint i = 0; i < job->steps->len; i++) {
    const DmStep *step = job->steps->pdata[i];
    done += step->state == DM_STEP_DONE;
    refused += step->state == DM_STEP_REFUSED;
    overdue += dm_step_is_pending(step);
  }
  if (job->balloon != NULL) {
    done += job->balloon->state == DM_STEP_DONE;
    refused += job->balloon->state == DM_STEP_REFUSED;
    overdue += dm_step_is_pending(job->balloon);
  }
  uint64_t memory = dm_config_memory(dm_vm_current(vm));
  gboolean lowered = job->action == DM_ACTION_SET && job->wanted < job->memory_before && memory <= job->wanted;
  if (refused + overdue == 0 || lowered)
    return DM_OUTCOME_DONE;
  if (done > 0)
    return DM_OUTCOME_PARTLY;
  return overdue > 0 ? DM_OUTCOME_OVERDUE : DM_OUTCOME_REFUSED;
}
