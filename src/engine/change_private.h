/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internals of a change, each file using those before it: change_steps.c its steps and their answers, change_guest.c
 * the guest's part, change_vm.c the VM itself, change_balloon.c the balloon's part, change_close.c the end, change.c
 * the phases. Not for other layers.
 */
#pragma once

#include "agents/look.h"
#include "answers.h"
#include "ballooning.h"
#include "engine/change.h"
#include "engine/lock.h"
#include "freeing.h"
#include "hypervisor/balloon.h"
#include "hypervisor/domain.h"

typedef enum {
  PHASE_FIND,
  PHASE_READ,
  PHASE_LOOK, /* no work: continues on the guest's answers */
  PHASE_RECORD,
  PHASE_CONFIGURE,
  PHASE_DEFLATE, /* no work: continues on the balloon's end */
  PHASE_FREE,    /* no work: continues on dimmer-guest's answers */
  PHASE_ASK,
  PHASE_AGAIN,
  PHASE_DESCRIBE,
  PHASE_RESCUE,  /* no work: continues on the balloon's end */
  PHASE_INFLATE, /* no work: continues on the balloon's end */
  PHASE_SEE,     /* no work: continues on the guest's answers */
  PHASE_CLOSE,
  PHASE_KEEP, /* no work: continued by the listener */
  PHASE_CLEAR,
  PHASE_UNDO,
  PHASE_WAIT, /* no work: continues on events or the timer */
  PHASE_END,
#define PHASES (PHASE_END + 1)
} Phase;

struct DmChange {
  DmConnection *connection;
  char *name, *title, *id, *user, *correlation_id, *refused;
  DmWish *wish;
  DmChangeOptions options;
  DmChangeListener listener;
  gpointer listener_data;

  Phase phase;
  gint64 entered_at_us; /* start of the phase, monotonic; 0: none entered yet */
  const char *why;      /* reason for leaving the phase, for the debugging log; NULL: its work is done */
  gboolean working;     /* a worker thread owns the change: the main loop may only add to events */
  GPtrArray *events;    /* Answer */
  guint watch, timer;
  DmLock *lock;
  DmVm *vm_before, *vm;
  DmGuest *guest;                  /* its guest's report; NULL: not queried */
  Freeing *freeing;                /* dimmer-guest's help; NULL: none */
  Ballooning *ballooning;          /* the balloon, moved; NULL: not yet */
  gboolean redeflated;             /* DEFLATE came again, as another program had inflated it meanwhile */
  gboolean waited;                 /* the time of WAIT was over once */
  gboolean rescues;                /* RESCUE has the balloon give back; it comes no more */
  guint rescue_looks;              /* RESCUE's so far, one a second */
  int64_t rescue_report_s;         /* the guest's report at the first of them */
  gint64 rescued_at_us;            /* RESCUE's end, monotonic; 0: it gave nothing */
  gboolean deflated, inflated;     /* DEFLATE and INFLATE are over, or need not come */
  gboolean ballooned;              /* it was moved, by this change or the one before */
  gboolean balloon_owned;          /* what it holds is dimmer's doing; see change_balloon_keep() */
  gboolean balloon_pending;        /* QEMU may still pursue a target that could not be taken back */
  uint64_t balloon_goal;           /* where it is going */
  uint64_t balloon_left;           /* what it held when the devices were asked */
  uint64_t balloon_meanwhile;      /* what another program took since, and keeps; a note is due */
  uint64_t balloon_told;           /* what it leaves the guest, by libvirt's last event; 0: none, or it is looked at */
  DmBalloonStats balloon_stats;    /* as a worker thread read it; actual 0: the host did not answer */
  void (*go_on)(DmChange *change); /* the phase after LOOK, DEFLATE, FREE, RESCUE, INFLATE and SEE */
  GPtrArray *refusals;             /* DmRefusal: of this change, to be recorded in the VM */
  GPtrArray *found;                /* char: the outcome of an earlier request, and why the guest does not help */
  DmPlan *plan;
  DmRequest *request;
  DmRequest *shown;                  /* a copy of it, for the main loop while a worker thread has the change */
  DmRewrite rewrite;                 /* CONFIGURE's change of the definition */
  DmRequest *recovered;              /* request of an earlier dimmer, as settled; NULL: none */
  gint64 planned_at_us, asked_at_us; /* of the last request, monotonic */
  gboolean stopped;                  /* by dm_change_stop_waiting() */
  guint refused_seen;                /* steps whose refusal AGAIN has handled */
  DmVm *seen;                        /* with its guest's report after the plug, by SEE; NULL: none */
  gint64 see_until_us;               /* start of SEE, monotonic; 0: not begun */
  gboolean recorded;                 /* the VM carries the request */
  gboolean accounted;                /* by CLOSE: it can be removed from the VM */
  gboolean look;                     /* the VM is read after the request, as there may be no event */
  gboolean vm_stopped, vm_moved, vm_paused, connection_lost;
  char *new_title, *new_description; /* for DESCRIBE: from another request; NULL: unchanged */
  GError *undescribed;               /* why that failed */
  DmDescribed described;
  gpointer described_data;
  GError *failed; /* of the work just done by a thread; NULL: none */
  GError *error;  /* the first one */
};

/* The VM or the connection to it is gone: no further answers. */
static inline gboolean change_is_final(const DmChange *change) {
  return change->vm_stopped || change->vm_moved || change->connection_lost;
}

/* ---- change_steps.c ---- */

/* Queues an event. change_take_answers() applies all of them: steps move on, or the VM's end is noted. */
void change_queue(DmChange *change, const DmEvent *event);
void change_take_answers(DmChange *change);

/* What the VM itself shows. */
void change_look_for_answers(DmChange *change);

/* Steps without an answer are overdue from now on. */
void change_expire(DmChange *change);

/* As answers_leave(). */
void change_leave(DmChange *change, DmStep *step, const DmNote *reason);

/* ---- change_vm.c ---- */

/*
 * Has a worker thread do @work; then @worked is called in the main loop, and is to reset change->working. Until then
 * the main loop sees the request as it is now.
 */
void change_run(DmChange *change, void (*work)(gpointer data), void (*worked)(gpointer data));

/* ---- change_vm.c: in a worker thread ---- */

/* The name for messages; the VM may have been given by UUID. Any thread. */
const char *change_name(const DmChange *change);

/* The VM's UUID; until the VM was read, what the caller calls it. Any thread. */
const char *change_uuid(const DmChange *change);

/* Reads the VM anew. */
gboolean change_read_vm(DmChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes the request into the VM's metadata, with its guaranteed memory as far as that can be set now. */
gboolean change_store(DmChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* As that, with @request in place of the change's own. */
gboolean change_store_request(DmChange *change, const DmRequest *request, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- change_balloon.c: callbacks are called after the function returns ---- */

/* What a recorded request that no process drives left in QEMU: its target becomes what was reached. In a worker thread.
 */
gboolean change_balloon_recover(DmChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* DEFLATE: TRUE if the balloon has to give back memory before devices are requested. */
gboolean change_balloon_deflates(const DmChange *change);
/* AGAIN: other DIMMs are to go than planned, so it may have to give back more. change->vm is current. */
void change_balloon_reckon(DmChange *change);
/* ASK, in a worker thread: TRUE, once, if it was inflated since DEFLATE; then that is to come again. */
gboolean change_balloon_rose(DmChange *change);
void change_balloon_deflate(DmChange *change, void (*go_on)(DmChange *change));

/*
 * RESCUE, out of WAIT: TRUE if it may have to come; and if libvirt has told that the balloon was inflated since the
 * devices were asked. If the guest then reports no room for them, or nothing, the balloon gives back what it holds, up
 * to their size, once: change->rescued_at_us is set, and the devices may answer yet.
 */
gboolean change_balloon_may_rescue(const DmChange *change);
gboolean change_balloon_was_inflated(const DmChange *change);
void change_balloon_rescue(DmChange *change, void (*go_on)(DmChange *change));
/* An event came meanwhile, in DEFLATE and INFLATE too. */
void change_balloon_heed(DmChange *change);

/* INFLATE: TRUE if it is to move now. FALSE: not, and never in this change. */
gboolean change_balloon_inflates(DmChange *change);
void change_balloon_inflate(DmChange *change, void (*go_on)(DmChange *change));

/* What it holds by dimmer's doing, for the VM's metadata: into the VM as read. */
void change_balloon_keep(const DmChange *change);

/* ---- change_close.c: the work in a worker thread ---- */

/* The running VM is changed, so its record is written. */
gboolean change_touches_live(const DmChange *change);
gboolean change_goes_on(const DmChange *change);
/* A libvirt job blocks all writes: the record stays with the VM. */
gboolean change_stays_with_vm(const DmChange *change);
gboolean change_tell_lost(const DmChange *change, GError **error);
gboolean change_work_undo(DmChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean change_work_close(DmChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean change_work_clear(DmChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- change_guest.c: callbacks are called after the function returns ---- */

/* LOOK: queries the guest. */
void change_guest_look(DmChange *change, void (*go_on)(DmChange *change));

/* Stores the guest's report in the VM just read. */
void change_guest_take(const DmChange *change, DmVm *vm);

/* FALSE if devices are to be unplugged, but dimmer-guest is busy with another program. */
gboolean change_guest_is_free(const DmChange *change, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* FREE: TRUE if dimmer-guest can help with a device to be requested; starts it. */
gboolean change_guest_frees(const DmChange *change);
void change_guest_free(DmChange *change, void (*freed)(DmChange *change));

/*
 * SEE: TRUE if the guest can report how it onlined plugged memory; queries it until all is online, or for some seconds.
 */
gboolean change_guest_sees(const DmChange *change);
void change_guest_see(DmChange *change, void (*seen)(DmChange *change));
