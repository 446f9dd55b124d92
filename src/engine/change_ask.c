/* SPDX-License-Identifier: Apache-2.0 */
/* A change's middle: RECORD, CONFIGURE, ASK and AGAIN. */
#include "change_private.h"
#include "hypervisor/domain.h"
#include "record.h"

/* The guaranteed memory that can be promised at once; the account at the end sees to the rest. */
static uint64_t guaranteed_at_once(const DmChange *change) {
  uint64_t asked = change->plan->guaranteed;
  return asked != 0 ? MIN(asked, dm_config_memory(change->vm->live)) : change->vm->live->guaranteed;
}

gboolean change_work_record(DmChange *change, GError **error) {
  change->recorded =
    dm_domain_store(change->connection, change->vm, guaranteed_at_once(change), change->request, error);
  return change->recorded;
}

Phase change_then_record(DmChange *change) {
  return change->error != NULL ? PHASE_END : PHASE_CONFIGURE;
}

gboolean change_work_configure(DmChange *change, GError **error) {
  return record_configure(change->connection, change->vm, change->request, error);
}

Phase change_then_configure(DmChange *change) {
  if (change->error != NULL)
    return change_touches_live(change) ? PHASE_UNDO : PHASE_END;
  return change_touches_live(change) ? inside_before_ask(change) : PHASE_CLOSE;
}

/* The steps to ask now (borrowed). The caller unrefs. */
static GPtrArray *mark_asked(DmChange *change) {
  GPtrArray *fresh = g_ptr_array_new();
  change->request->asked = TRUE;
  record_extend(change->request, change->options.timeout);
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_PLANNED && dm_step_advance(step, DM_STEP_ASKED))
      g_ptr_array_add(fresh, step);
  }
  return fresh;
}

/* Reading the VM right after the asking would hold up the guest's answers, so only where no event may be coming. */
gboolean change_work_ask(DmChange *change, GError **error) {
  g_autoptr(GPtrArray) fresh = mark_asked(change);
  change->look = FALSE;
  if (!change_work_record(change, error))
    return FALSE;
  change->asked_at = g_get_monotonic_time();
  return dm_domain_ask(change->connection, change->vm, fresh, &change->look, error) &&
    (!change->look || change_read_vm(change, error));
}

static void tell_asked(DmChange *change) {
  for (guint i = 0; change->listener.asked != NULL && i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->asked_at >= change->asked_at)
      change->listener.asked(change, step, change->listener_data);
  }
}

Phase change_then_ask(DmChange *change) {
  if (change->error != NULL)
    return PHASE_CLOSE;
  tell_asked(change);
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_ASKED && step->reason != NULL) {
      g_autofree char *reason = g_steal_pointer(&step->reason);
      answers_refuse(change, step, reason);
    }
  }
  answers_take(change);
  if (change->look)
    answers_look(change);
  return change_after_answers(change);
}

gboolean change_work_again(DmChange *change, GError **error) {
  return change_read_vm(change, error);
}

/* A further step of a virtio-mem device takes the place of its old one. */
static void adopt_step(DmChange *change, DmStep *step) {
  DmStep *old = dm_request_find_step(change->request, step->alias);
  if (old != NULL) {
    step->from = old->from;
    step->size_before = old->size_before;
    g_ptr_array_remove(change->request->steps, old);
  }
  g_ptr_array_add(change->request->steps, step);
}

Phase change_then_again(DmChange *change) {
  if (change->error != NULL)
    return PHASE_CLOSE;
  answers_take(change);
  if (change_is_final(change))
    return PHASE_CLOSE;
  g_autoptr(GPtrArray) steps = dm_plan_again(change->vm, change->request);
  for (guint i = 0; i < steps->len; i++)
    adopt_step(change, steps->pdata[i]);
  change->refused_seen = answers_count_refused(change);
  return steps->len > 0 ? inside_before_ask(change) : change_after_answers(change);
}
