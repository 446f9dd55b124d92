/* SPDX-License-Identifier: Apache-2.0 */
/* Moves a change's steps by their answers and notifies the listener. answers.c interprets the answers. */
#include "change_private.h"
#include "record.h"

static void tell_moved(DmChange *change, const DmStep *step) {
  if (change->listener.moved != NULL)
    change->listener.moved(change, step, change->listener_data);
}

static void tell_all(DmChange *change, const GPtrArray *moved) {
  for (guint i = 0; i < moved->len; i++)
    tell_moved(change, moved->pdata[i]);
}

void change_queue(DmChange *change, const DmEvent *event) {
  g_ptr_array_add(change->events, answer_new(event));
}

static void note_vm(DmChange *change, DmEventKind kind, uint64_t size) {
  if (kind == DM_EVENT_VM_STOPPED || kind == DM_EVENT_VM_CRASHED)
    change->vm_stopped = TRUE;
  else if (kind == DM_EVENT_VM_MOVED)
    change->vm_moved = TRUE;
  else if (kind == DM_EVENT_VM_PAUSED || kind == DM_EVENT_VM_RESUMED)
    change->vm_paused = kind == DM_EVENT_VM_PAUSED;
  else if (kind == DM_EVENT_CONNECTION_LOST)
    change->connection_lost = TRUE;
  else if (kind == DM_EVENT_VM_BALLOONED)
    change->balloon_told = size;
}

void change_take_answers(DmChange *change) {
  for (guint i = 0; i < change->events->len; i++) {
    const Answer *answer = change->events->pdata[i];
    const DmStep *step = answer_take(answer, change->request);
    note_vm(change, answer->kind, answer->size);
    if (answer->kind == DM_EVENT_DEVICE_REFUSED && step != NULL)
      record_remember(change->refusals, change->vm, step->alias);
    if (step != NULL)
      tell_moved(change, step);
  }
  g_ptr_array_set_size(change->events, 0);
}

void change_look_for_answers(DmChange *change) {
  if (change->vm->live == NULL)
    return;
  g_autoptr(GPtrArray) moved = answers_look(change->request, change->vm->live, g_get_monotonic_time());
  tell_all(change, moved);
}

/* QEMU itself tells that the guest holds nothing of a virtio-mem device. */
static void note_untaken(const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    if (step->op == DM_OP_PLUG && step->state == DM_STEP_OVERDUE && step->run.reached == 0)
      step->run.use = DM_USE_NONE;
  }
}

void change_expire(DmChange *change) {
  g_autoptr(GPtrArray) moved = answers_expire(change->request);
  note_untaken(change->request);
  tell_all(change, moved);
}

void change_leave(DmChange *change, DmStep *step, const DmNote *reason) {
  if (answers_leave(step, change->vm_before->request, reason, g_get_monotonic_time()))
    tell_moved(change, step);
}
