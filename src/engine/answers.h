/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies the answers of a guest or its host, from events and the VM itself, to the steps of a request. Uses nothing
 * but that request; notifying about steps that moved is up to the caller. Not for other layers.
 */
#pragma once

#include "hypervisor/connection.h"
#include "model/vm.h"

/* An event, queued until its request may be changed. */
typedef struct {
  DmEventKind kind;
  char *alias;
  uint64_t size;
  gint64 at_us; /* monotonic, as all times here */
} Answer;

Answer *answer_new(const DmEvent *event) G_GNUC_WARN_UNUSED_RESULT;
void answer_free(gpointer answer);

/* The step that it moved, even partially; NULL: none. @request may be NULL. */
DmStep *answer_take(const Answer *answer, const DmRequest *request) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The device is not requested, for that reason: refused; but overdue if @before, NULL or an earlier request, requests
 * it too.
 */
gboolean answers_leave(DmStep *step, const DmRequest *before, const DmNote *reason, gint64 now_us);

/* It has requested the device and the answer is outstanding. FALSE for NULL. */
gboolean answers_asked_before(const DmRequest *before, const char *alias);

/*
 * These return the steps that moved, borrowed; the caller unrefs. By what @live itself shows: for an answer that came
 * before the request was sent, or without an event. By the end of the wait: steps without an answer become overdue.
 */
GPtrArray *answers_look(const DmRequest *request, const DmConfig *live, gint64 now_us) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *answers_expire(const DmRequest *request) G_GNUC_WARN_UNUSED_RESULT;

/* A step requested by this request has no answer yet. */
gboolean answers_missing(const DmRequest *request);
/*
 * All that are missing are virtio-mem devices that are where a guest stops which has them in pieces of 4 MiB: Linux
 * before 5.19, whatever the device's own block is. It never comes nearer.
 */
gboolean answers_between_pieces(const DmRequest *request);
/* What such devices have reached is what is wanted of them: to be requested anew, so that nothing stays pending. */
void answers_take_pieces(const DmRequest *request);
guint answers_count_refused(const DmRequest *request);
/* Steps with outstanding answers, including overdue ones and those of earlier requests. @request may be NULL. */
guint answers_count_pending(const DmRequest *request);
/* Some steps are still to be requested. */
gboolean answers_has_planned(const DmRequest *request);
