/* SPDX-License-Identifier: Apache-2.0 */
#include "change_private.h"

void answers_free(gpointer data) {
  Answer *answer = data;
  g_free(answer->alias);
  g_free(answer);
}

static void tell_moved(DmChange *change, const DmStep *step) {
  if (change->listener.moved != NULL)
    change->listener.moved(change, step, change->listener_data);
}

static void answer_step(DmChange *change, DmStep *step, DmStepState state, gint64 at) {
  if (!dm_step_advance(step, state))
    return;
  if (step->asked_at != 0 && state != DM_STEP_OVERDUE)
    step->seconds = (double)(at - step->asked_at) / G_USEC_PER_SEC;
  tell_moved(change, step);
}

static void refuse(DmChange *change, DmStep *step, const char *reason, gint64 at) {
  g_free(step->reason);
  step->reason = g_strdup(reason);
  answer_step(change, step, DM_STEP_REFUSED, at);
}

static void take_answer(DmChange *change, const Answer *answer) {
  DmStep *step = change->request != NULL ? dm_request_find_step(change->request, answer->alias) : NULL;
  if (answer->kind == DM_EVENT_VM_STOPPED || answer->kind == DM_EVENT_VM_CRASHED)
    change->vm_stopped = TRUE;
  else if (answer->kind == DM_EVENT_VM_MOVED)
    change->vm_moved = TRUE;
  else if (answer->kind == DM_EVENT_VM_PAUSED || answer->kind == DM_EVENT_VM_RESUMED)
    change->vm_paused = answer->kind == DM_EVENT_VM_PAUSED;
  else if (answer->kind == DM_EVENT_CONNECTION_LOST)
    change->connection_lost = TRUE;
  if (step == NULL || answer->alias == NULL)
    return;
  if (answer->kind == DM_EVENT_DEVICE_REMOVED && step->op != DM_OP_PLUG) {
    answer_step(change, step, DM_STEP_DONE, answer->at);
  } else if (answer->kind == DM_EVENT_DEVICE_REFUSED && step->op == DM_OP_UNPLUG) {
    inside_remember(change, step->alias);
    refuse(change, step, "the guest refused", answer->at);
  } else if (answer->kind == DM_EVENT_DEVICE_RESIZED && step->op == DM_OP_RESIZE) {
    step->reached = answer->size;
    if (step->reached == step->to)
      answer_step(change, step, DM_STEP_DONE, answer->at);
    else
      tell_moved(change, step);
  }
}

void answers_take(DmChange *change) {
  for (guint i = 0; i < change->events->len; i++)
    take_answer(change, change->events->pdata[i]);
  g_ptr_array_set_size(change->events, 0);
}

void answers_look(DmChange *change) {
  gint64 now = g_get_monotonic_time();
  for (guint i = 0; change->vm->live != NULL && i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    const DmMemoryDevice *device = dm_config_find_alias(change->vm->live, step->alias);
    if (device == NULL ? step->op != DM_OP_PLUG : step->op == DM_OP_PLUG)
      answer_step(change, step, DM_STEP_DONE, now);
    if (device == NULL || step->op != DM_OP_RESIZE)
      continue;
    step->reached = device->current;
    if (step->reached == step->to)
      answer_step(change, step, DM_STEP_DONE, now);
  }
}

gboolean answers_missing(const DmChange *change) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_ASKED && step->origin == NULL)
      return TRUE;
  }
  return FALSE;
}

void answers_expire(DmChange *change) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_ASKED)
      answer_step(change, step, DM_STEP_OVERDUE, 0);
  }
}

guint answers_count_refused(const DmChange *change) {
  guint refused = 0;
  for (guint i = 0; i < change->request->steps->len; i++)
    refused += ((DmStep *)change->request->steps->pdata[i])->state == DM_STEP_REFUSED;
  return refused;
}

guint answers_count_pending(const DmChange *change) {
  guint pending = 0;
  for (guint i = 0; change->request != NULL && i < change->request->steps->len; i++)
    pending += dm_step_is_pending(change->request->steps->pdata[i]);
  return pending;
}

void answers_refuse(DmChange *change, DmStep *step, const char *reason) {
  refuse(change, step, reason, g_get_monotonic_time());
}

static gboolean was_asked_before(const DmChange *change, const char *alias) {
  const DmRequest *before = change->vm_before->request;
  const DmStep *step = before != NULL ? dm_request_find_step(before, alias) : NULL;
  return step != NULL && dm_step_is_pending(step);
}

void answers_leave(DmChange *change, DmStep *step, const char *reason) {
  if (!was_asked_before(change, step->alias)) {
    answers_refuse(change, step, reason);
    return;
  }
  g_free(step->reason);
  step->reason = g_strdup_printf("%s; an earlier request asked for it, so it can still go", reason);
  answer_step(change, step, DM_STEP_OVERDUE, g_get_monotonic_time());
}

void answers_add(DmChange *change, const DmEvent *event) {
  Answer *answer = g_new0(Answer, 1);
  answer->kind = event->kind;
  answer->alias = g_strdup(event->alias);
  answer->size = event->size;
  answer->at = g_get_monotonic_time();
  g_ptr_array_add(change->events, answer);
}
