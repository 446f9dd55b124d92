/* SPDX-License-Identifier: Apache-2.0 */
#include "answers.h"

#include "base/size.h"

Answer *answer_new(const DmEvent *event) {
  Answer *answer = g_new0(Answer, 1);
  answer->kind = event->kind;
  answer->alias = g_strdup(event->alias);
  answer->size = event->size;
  answer->at_us = g_get_monotonic_time();
  return answer;
}

void answer_free(gpointer data) {
  Answer *answer = data;
  g_free(answer->alias);
  g_free(answer);
}

static gboolean move(DmStep *step, DmStepState state, gint64 at_us) {
  if (!dm_step_advance(step, state))
    return FALSE;
  if (step->run.asked_at_us != 0 && state != DM_STEP_OVERDUE)
    step->run.answer_s = (double)(at_us - step->run.asked_at_us) / G_USEC_PER_SEC;
  return TRUE;
}

/* Takes ownership of @reason. */
static gboolean refuse(DmStep *step, DmNote *reason, gint64 at_us) {
  dm_step_take_reason(step, reason);
  return move(step, DM_STEP_REFUSED, at_us);
}

/* Partial progress counts as a move too. */
static gboolean resize(DmStep *step, uint64_t reached, gint64 at_us) {
  step->run.reached = reached;
  return reached != step->to || move(step, DM_STEP_DONE, at_us);
}

DmStep *answer_take(const Answer *answer, const DmRequest *request) {
  DmStep *step = request != NULL && answer->alias != NULL ? dm_request_find_step(request, answer->alias) : NULL;
  gboolean moved = FALSE;
  if (step == NULL)
    return NULL;
  if (answer->kind == DM_EVENT_DEVICE_REMOVED && step->op != DM_OP_PLUG)
    moved = move(step, DM_STEP_DONE, answer->at_us);
  else if (answer->kind == DM_EVENT_DEVICE_REFUSED && step->op == DM_OP_UNPLUG)
    moved = refuse(step, dm_note_new(DM_NOTE_GUEST_REFUSED), answer->at_us);
  else if (answer->kind == DM_EVENT_DEVICE_RESIZED && step->op != DM_OP_UNPLUG)
    moved = resize(step, answer->size, answer->at_us);
  return moved ? step : NULL;
}

gboolean answers_asked_before(const DmRequest *before, const char *alias) {
  const DmStep *step = before != NULL ? dm_request_find_step(before, alias) : NULL;
  return step != NULL && dm_step_is_pending(step);
}

gboolean answers_leave(DmStep *step, const DmRequest *before, const DmNote *reason, gint64 now_us) {
  if (!answers_asked_before(before, step->alias))
    return refuse(step, dm_note_copy(reason), now_us);
  dm_step_take_reason(step, dm_note_new(DM_NOTE_ASKED_EARLIER, reason->text));
  return move(step, DM_STEP_OVERDUE, now_us);
}

static gboolean look(DmStep *step, const DmMemoryDevice *device, gint64 now_us) {
  if (device == NULL ? step->op != DM_OP_PLUG : dm_step_is_at_once(step))
    return move(step, DM_STEP_DONE, now_us);
  if (device == NULL || device->kind != DM_DEVICE_VIRTIO_MEM)
    return FALSE;
  if (step->run.reached == step->run.size_before) /* else from an event, which may be newer than the VM as read */
    step->run.reached = device->current;
  return step->run.reached == step->to && move(step, DM_STEP_DONE, now_us);
}

GPtrArray *answers_look(const DmRequest *request, const DmConfig *live, gint64 now_us) {
  GPtrArray *moved = g_ptr_array_new();
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    if (look(step, dm_config_find_alias(live, step->alias), now_us))
      g_ptr_array_add(moved, step);
  }
  return moved;
}

GPtrArray *answers_expire(const DmRequest *request) {
  GPtrArray *moved = g_ptr_array_new();
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    if (step->state == DM_STEP_ASKED && dm_step_advance(step, DM_STEP_OVERDUE))
      g_ptr_array_add(moved, step);
  }
  return moved;
}

static gboolean is_missing(const DmStep *step) {
  return step->state == DM_STEP_ASKED && step->origin == NULL;
}

gboolean answers_missing(const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (is_missing(step))
      return TRUE;
  }
  return FALSE;
}

/* virtio_mem_init() of drivers/virtio/virtio_mem.c: MAX_ORDER - 1 (alloc_contig_range()); later pageblock_order. */
#define PIECE (4 * DM_MIB)

static gboolean is_between_pieces(const DmStep *step) {
  uint64_t reached = step->run.reached, rest = reached > step->to ? reached - step->to : step->to - reached;
  gboolean moved = step->op == DM_OP_RESIZE || (step->op == DM_OP_PLUG && reached > 0);
  return step->kind == DM_DEVICE_VIRTIO_MEM && moved && reached % PIECE == 0 && rest < PIECE;
}

gboolean answers_between_pieces(const DmRequest *request) {
  gboolean between = FALSE;
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (is_missing(step) && !is_between_pieces(step))
      return FALSE;
    between |= is_missing(step);
  }
  return between;
}

void answers_take_pieces(const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    if (!is_missing(step))
      continue;
    step->to = step->run.reached;
    step->state = DM_STEP_PLANNED;
  }
}

guint answers_count_refused(const DmRequest *request) {
  guint refused = 0;
  for (guint i = 0; i < request->steps->len; i++)
    refused += ((DmStep *)request->steps->pdata[i])->state == DM_STEP_REFUSED;
  return refused;
}

guint answers_count_pending(const DmRequest *request) {
  guint pending = 0;
  for (guint i = 0; request != NULL && i < request->steps->len; i++)
    pending += dm_step_is_pending(request->steps->pdata[i]);
  return pending;
}

gboolean answers_has_planned(const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    if (((const DmStep *)request->steps->pdata[i])->state == DM_STEP_PLANNED)
      return TRUE;
  }
  return FALSE;
}
