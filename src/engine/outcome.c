/* SPDX-License-Identifier: Apache-2.0 */
#include "outcome.h"

#include "base/size.h"
#include "change_private.h"

const char *dm_outcome_name(DmOutcome outcome) {
  static const char *const names[] = {
    [DM_OUTCOME_DONE] = "done",
    [DM_OUTCOME_PARTLY] = "partly",
    [DM_OUTCOME_REFUSED] = "refused",
    [DM_OUTCOME_OVERDUE] = "overdue",
    [DM_OUTCOME_KEPT] = "kept",
    [DM_OUTCOME_CALLED_OFF] = "called-off",
    [DM_OUTCOME_FAILED] = "failed",
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_OUTCOMES);
  return names[outcome];
}

typedef struct {
  guint done, refused, overdue;
  uint64_t released;
} Tally;

static uint64_t released_by(const DmStep *step) {
  if (step->op == DM_OP_PLUG)
    return 0;
  return step->state == DM_STEP_DONE ? dm_size_minus(step->run.size_before, step->to)
                                     : dm_size_minus(step->run.size_before, step->run.reached);
}

/* A virtio-mem device that changed in the right direction, even partially. */
static gboolean went_some_way(const DmStep *step) {
  if (step->op == DM_OP_UNPLUG)
    return FALSE;
  return step->to < step->run.size_before ? step->run.reached < step->run.size_before
                                          : step->run.reached > step->run.size_before;
}

static void count_balloon(Tally *tally, const DmStep *step) {
  tally->done += step->state == DM_STEP_DONE || (step->state != DM_STEP_PLANNED && went_some_way(step));
  tally->refused += step->state == DM_STEP_REFUSED;
  tally->overdue += dm_step_is_pending(step) || step->state == DM_STEP_PLANNED;
  tally->released += released_by(step);
}

static Tally count(const DmRequest *request) {
  Tally tally = {0};
  if (request->balloon != NULL && request->balloon->origin == NULL)
    count_balloon(&tally, request->balloon);
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    gboolean counts = step->origin == NULL || (request->action == DM_ACTION_SETTLE && !step->withdrawn);
    if (!counts)
      continue;
    tally.done += step->state == DM_STEP_DONE || went_some_way(step);
    tally.refused += step->state == DM_STEP_REFUSED;
    tally.overdue += dm_step_is_pending(step) || step->state == DM_STEP_PLANNED;
    tally.released += released_by(step);
  }
  return tally;
}

/* Less memory was requested for the running VM, and neither device nor balloon can give any. */
static gboolean keeps_all(const DmPlan *plan) {
  gboolean there = (plan->flags & DM_PLAN_BALLOON) != 0 && plan->memory_after - plan->ballooned_after <= plan->memory;
  return plan->action == DM_ACTION_SET && plan->memory != 0 && plan->memory < plan->memory_before &&
    plan->memory_after >= plan->memory_before && plan->balloon == NULL && !there;
}

/* What @plan was to give the host, by devices and the balloon. */
static uint64_t planned_release(const DmPlan *plan) {
  uint64_t balloon = plan->balloon != NULL ? dm_size_minus(plan->balloon->from, plan->balloon->to) : 0;
  return dm_size_plus(dm_size_minus(plan->memory_before, plan->memory_after), balloon);
}

DmOutcome outcome_of(const DmPlan *plan, const DmRequest *request) {
  Tally tally = request != NULL ? count(request) : (Tally){0};
  if (tally.refused == 0 && tally.overdue == 0)
    return keeps_all(plan) ? DM_OUTCOME_KEPT : DM_OUTCOME_DONE;
  /* Other devices made up for those that were refused. */
  if (planned_release(plan) > 0 && tally.released >= planned_release(plan))
    return DM_OUTCOME_DONE;
  if (tally.done > 0)
    return DM_OUTCOME_PARTLY;
  return tally.overdue > 0 ? DM_OUTCOME_OVERDUE : DM_OUTCOME_REFUSED;
}

/* In monotonic time, when the first device was requested and the last answer came. FALSE: no answer. */
static gboolean span_of(const DmRequest *request, gint64 *first_us, gint64 *last_us) {
  gint64 first = G_MAXINT64, last = 0;
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->run.asked_at_us != 0)
      first = MIN(first, step->run.asked_at_us);
    if (step->run.answer_s >= 0)
      last = MAX(last, step->run.asked_at_us + (gint64)(step->run.answer_s * G_USEC_PER_SEC));
  }
  if (last == 0)
    return FALSE;
  *first_us = first;
  *last_us = last;
  return TRUE;
}

/* ---- for callers ---- */

/* Stopped before anything was requested: so nothing was refused. */
static gboolean was_called_off(const DmChange *change) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    if (((const DmStep *)change->request->steps->pdata[i])->run.asked_at_us != 0)
      return FALSE;
  }
  return change->stopped;
}

DmOutcome dm_change_outcome(const DmChange *change) {
  if (change->error != NULL)
    return DM_OUTCOME_FAILED;
  if (change->request == NULL && change->stopped) /* during LOOK, so nothing was written or requested */
    return DM_OUTCOME_CALLED_OFF;
  DmOutcome outcome = change->plan != NULL ? outcome_of(change->plan, change->request) : DM_OUTCOME_DONE;
  return outcome == DM_OUTCOME_REFUSED && was_called_off(change) ? DM_OUTCOME_CALLED_OFF : outcome;
}

gboolean dm_change_timing(const DmChange *change, double *request, double *guest) {
  gint64 first, last;
  if (change->request == NULL || !span_of(change->request, &first, &last))
    return FALSE;
  *request = (double)(last - change->planned_at_us) / G_USEC_PER_SEC;
  *guest = (double)(last - first) / G_USEC_PER_SEC;
  return TRUE;
}

const GError *dm_change_error(const DmChange *change) {
  return change->error;
}

gboolean dm_change_was_stopped(const DmChange *change) {
  return change->stopped;
}

const DmVm *dm_change_seen(const DmChange *change) {
  return change->seen;
}

const DmRequest *dm_change_recovered(const DmChange *change) {
  return change->recovered;
}
