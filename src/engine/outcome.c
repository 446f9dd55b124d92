/* SPDX-License-Identifier: Apache-2.0 */
#include "outcome.h"

#include "base/size.h"

const char *dm_outcome_name(DmOutcome outcome) {
  static const char *const names[] = {
    [DM_OUTCOME_DONE] = "done",
    [DM_OUTCOME_PARTLY] = "partly",
    [DM_OUTCOME_REFUSED] = "refused",
    [DM_OUTCOME_OVERDUE] = "overdue",
    [DM_OUTCOME_CALLED_OFF] = "called-off",
    [DM_OUTCOME_FAILED] = "failed",
  };
  return names[outcome];
}

typedef struct {
  guint done, refused, overdue;
  uint64_t released;
} Tally;

static uint64_t released_by(const DmStep *step) {
  if (step->op == DM_OP_PLUG)
    return 0;
  return step->state == DM_STEP_DONE ? dm_size_minus(step->size_before, step->to)
                                     : dm_size_minus(step->size_before, step->reached);
}

/* A virtio-mem device that changed in the right direction, if not all the way. */
static gboolean went_some_way(const DmStep *step) {
  if (step->op != DM_OP_RESIZE)
    return FALSE;
  return step->to < step->size_before ? step->reached < step->size_before : step->reached > step->size_before;
}

static Tally count(const DmRequest *request) {
  Tally tally = {0};
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

DmOutcome outcome_of(const DmPlan *plan, const DmRequest *request) {
  Tally tally = count(request);
  if (tally.refused == 0 && tally.overdue == 0)
    return DM_OUTCOME_DONE;
  /* Other devices made up for those that were refused. */
  if (plan->memory_after < plan->memory_before && tally.released >= plan->memory_before - plan->memory_after)
    return DM_OUTCOME_DONE;
  if (tally.done > 0)
    return DM_OUTCOME_PARTLY;
  return tally.overdue > 0 ? DM_OUTCOME_OVERDUE : DM_OUTCOME_REFUSED;
}
