/* SPDX-License-Identifier: Apache-2.0 */
/* A change's inside: its state, and its steps with their answers. Not for other layers. */
#pragma once

#include "engine/change.h"
#include "engine/lock.h"
#include "guest/look.h"

typedef enum {
  PHASE_FIND,
  PHASE_READ,
  PHASE_LOOK, /* no work: the guest's answers lead on */
  PHASE_RECORD,
  PHASE_CONFIGURE,
  PHASE_FREE, /* no work: dimmer-guest's answers lead on */
  PHASE_ASK,
  PHASE_AGAIN,
  PHASE_CLOSE,
  PHASE_UNDO,
  PHASE_WAIT, /* no work: events and the timer lead on */
  PHASE_END,
} Phase;

struct DmChange {
  DmConnection *connection;
  char *name, *title, *id, *user, *refused;
  DmPlanFunc plan_func;
  gpointer plan_data;
  DmChangeOptions options;
  DmChangeListener listener;
  gpointer listener_data;

  Phase phase;
  gboolean working;  /* a worker thread has the change: the loop may only add to events */
  GPtrArray *events; /* Answer */
  guint watch, timer;
  DmLock *lock;
  DmVm *vm_before, *vm;
  DmGuest *guest;      /* what its guest told; NULL: it was not asked */
  DmAgent *agent;      /* the conversation with dimmer-guest; NULL: there is none */
  char *agent_lost;    /* why it fell silent in the middle of its work; NULL: it did not */
  DmStep *freeing;     /* whose memory it takes offline at this moment */
  double patience;     /* seconds that it has for that */
  GPtrArray *refusals; /* DmRefusal: of this change, to be remembered in the VM */
  GPtrArray *found;    /* char: what became of an earlier request, and why the guest does not help */
  DmPlan *plan;
  DmRequest *request;
  DmRequest *recovered;        /* what an earlier dimmer left, as it was settled; NULL: nothing */
  gint64 planned_at, asked_at; /* monotonic; of the last asking */
  gboolean stopped;            /* by dm_change_stop_waiting() */
  guint refused_seen;          /* steps whose refusal AGAIN has seen to */
  gboolean recorded;           /* the VM carries the request */
  gboolean look;               /* the VM was read after the asking, as no event may be coming */
  gboolean vm_stopped, vm_moved, vm_paused, connection_lost;
  GError *failed; /* of the work that a thread has just done; NULL: none */
  GError *error;  /* the first one */
};

/*
 * Each phase has work, which calls the hypervisor in a worker thread, and what follows it in the main loop: where to
 * go. A failure of the work is change->error by then, but for UNDO and CLOSE, which see to that of others.
 */

/* ---- change_begin.c ---- */

gboolean change_work_find(DmChange *change, GError **error);
Phase change_then_find(DmChange *change);
gboolean change_work_read(DmChange *change, GError **error);
Phase change_then_read(DmChange *change);
/* Where to go from READ and LOOK: the plan is made. */
Phase change_then_plan(DmChange *change);
/* The running VM is touched: there are devices to ask, guaranteed changes, or what it carries does. */
gboolean change_touches_live(const DmChange *change);

/* ---- change_ask.c ---- */

gboolean change_work_record(DmChange *change, GError **error);
Phase change_then_record(DmChange *change);
gboolean change_work_configure(DmChange *change, GError **error);
Phase change_then_configure(DmChange *change);
gboolean change_work_ask(DmChange *change, GError **error);
Phase change_then_ask(DmChange *change);
gboolean change_work_again(DmChange *change, GError **error);
Phase change_then_again(DmChange *change);

/* ---- change_close.c ---- */

gboolean change_work_undo(DmChange *change, GError **error);
Phase change_then_undo(DmChange *change);
gboolean change_work_close(DmChange *change, GError **error);
Phase change_then_close(DmChange *change);
/* FALSE, with what the loss of the connection means for this change. */
gboolean change_lost(const DmChange *change, GError **error);

/* ---- change.c ---- */

/* Goes on with that phase. */
void change_enter(DmChange *change, Phase phase);

/* The VM, or the connection to it, is gone: no answer can come any more. */
gboolean change_is_final(const DmChange *change);

/* Where to go from the answers there are. */
Phase change_after_answers(DmChange *change);

/* An event of the watch: kept while the work is under way, else it may lead on from WAIT. */
void change_on_event(const DmEvent *event, gpointer change);

/* As people know the VM; it may have been asked for by its UUID. The change keeps it. */
const char *change_name(const DmChange *change);

/* The VM as it is now takes the place of the one that was read before. Work's. */
gboolean change_read_vm(DmChange *change, GError **error);

/* ---- inside.c ---- */

/* LOOK: asks the guest what it can tell. */
void inside_look(DmChange *change);

/* What the guest told goes to the VM that was just read. */
void inside_take(const DmChange *change, DmVm *vm);

/* Where ASK is next: FREE first if dimmer-guest can help along. */
Phase inside_before_ask(const DmChange *change);

/* FREE: the memory of each device that is to be unplugged goes offline, one device after the other. */
void inside_free(DmChange *change);

/* FALSE where devices are to go, and dimmer-guest, who is there, speaks to another program. */
gboolean inside_is_free(const DmChange *change, GError **error);

/* FREE: an event has come, which may be the one that ended the conversation. */
void inside_on_event(DmChange *change);

/* Nobody waits any longer: what is being taken offline comes back. */
void inside_stop(DmChange *change);

/* The refusal of that device is to be remembered. */
void inside_remember(DmChange *change, const char *alias);

/* @vm, which is about to be stored, remembers the refusals of this change, and none of devices that are gone. */
void inside_merge_refusals(const DmChange *change, DmVm *vm);

/* ---- answers.c ---- */

/* An event, kept until the loop has the change again. */
typedef struct {
  DmEventKind kind;
  char *alias;
  uint64_t size;
  gint64 at;
} Answer;

/* Adds an event to the queue. */
void answers_add(DmChange *change, const DmEvent *event);
void answers_free(gpointer answer);

/* Takes all of the queue: steps move on, and the VM's end or the connection's is noted. */
void answers_take(DmChange *change);

/* What the VM itself shows: for an answer that came before its question was out, or never as an event. */
void answers_look(DmChange *change);

/* The step was refused, for that reason in words. */
void answers_refuse(DmChange *change, DmStep *step, const char *reason);

/* The device is not asked, for that reason: refused; but overdue if an earlier request has asked it already. */
void answers_leave(DmChange *change, DmStep *step, const char *reason);

/* Steps without an answer are overdue from now on. */
void answers_expire(DmChange *change);

/* Something that was asked for by this change has no answer yet. */
gboolean answers_missing(const DmChange *change);

guint answers_count_refused(const DmChange *change);

/* Steps whose answers are out, overdue and those of earlier requests included. */
guint answers_count_pending(const DmChange *change);
