/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change of one VM, driven from the first look to the final accounting. See change.c for how it works.
 *
 * Everything here belongs to the thread that runs the default GLib main loop, and the listener is called there; the
 * calls to the hypervisor run in worker threads, so nothing here blocks.
 */
#pragma once

#include <glib.h>

#include "hypervisor/connection.h"
#include "plan/change.h"

typedef struct DmChange DmChange;

typedef enum {
  DM_OUTCOME_DONE,       /* everything that was planned, or as much from other devices */
  DM_OUTCOME_PARTLY,     /* some of it: the rest was refused or is overdue */
  DM_OUTCOME_REFUSED,    /* nothing: the guest refused */
  DM_OUTCOME_OVERDUE,    /* nothing yet: the guest has not answered */
  DM_OUTCOME_KEPT,       /* nothing: less memory was requested, and the running VM has no device that could be
                          * unplugged */
  DM_OUTCOME_CALLED_OFF, /* nothing: it was stopped before any device was asked */
  DM_OUTCOME_FAILED,     /* an error: dm_change_error() */
#define DM_OUTCOMES (DM_OUTCOME_FAILED + 1)
} DmOutcome;

typedef struct {
  gboolean dry_run;           /* plan only: nothing is touched */
  gboolean no_retry;          /* after a refusal, no other device is tried */
  double timeout_s;           /* how long to wait for the guest's answers after each request; 0: does not wait */
  const char *id;             /* of the request; NULL: a new one */
  const char *title;          /* the VM's name, if it is given by UUID: saves looking it up; else NULL */
  const char *user;           /* who asked, for the record; NULL: unknown */
  const char *correlation_id; /* for the record; NULL: none */
  const char *refused; /* alias of a device of the recorded request that the guest has refused since; NULL: none */
} DmChangeOptions;

typedef struct {
  void (*planned)(DmChange *change, gpointer data);                   /* checked; nothing changed yet */
  void (*asked)(DmChange *change, const DmStep *step, gpointer data); /* was just requested */
  void (*moved)(DmChange *change, const DmStep *step, gpointer data); /* answered, overdue, or progressed */
  /* The balloon is about to move, moved, or ended: as its step says. */
  void (*ballooned)(DmChange *change, const DmStep *step, gpointer data);
  /* @done of @of blocks of its memory are offline in the guest, in preparation for the unplug. */
  void (*freeing)(DmChange *change, const DmStep *step, uint64_t done, uint64_t of, gpointer data);
  /*
   * The outcome of the request is known, or of an earlier one (then dm_change_plan() is NULL), and its record is
   * removed from the VM next: listeners must have saved what they need by then. The change waits for dm_change_go_on(),
   * which may be called at once. NULL: it does not wait.
   */
  void (*settling)(DmChange *change, gpointer data);
  void (*ended)(DmChange *change, gpointer data);
} DmChangeListener;

/* The guest is queried only if @wish concerns it. */
DmChange *dm_change_new(DmConnection *connection, const char *vm_name, const DmWish *wish,
  const DmChangeOptions *options, const DmChangeListener *listener, gpointer listener_data) G_GNUC_WARN_UNUSED_RESULT;
/* Only before the start or after the end. */
void dm_change_free(DmChange *change);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmChange, dm_change_free)

/* From now on the listener is called; ended() is the last call. */
void dm_change_start(DmChange *change);

/*
 * Sets the VM's title and description (NULL: unchanged) on behalf of another request while the change waits for its
 * guest; then calls @done. FALSE: it is not waiting now, and nothing is done.
 */
typedef void (*DmDescribed)(const GError *error, gpointer data);
gboolean dm_change_describe(
  DmChange *change, const char *title, const char *description, DmDescribed done, gpointer data);

/* Stops waiting for the guest: pending steps become overdue and are recorded, and the change ends. */
void dm_change_stop_waiting(DmChange *change);

/* Once after each settling(). */
void dm_change_go_on(DmChange *change);

/* All results below are owned by the change. */
const DmPlan *dm_change_plan(const DmChange *change);         /* NULL before planned() */
const DmRequest *dm_change_request(const DmChange *change);   /* the steps as they stand; NULL if none was needed */
const DmRequest *dm_change_recovered(const DmChange *change); /* of an earlier dimmer process, settled; NULL: there was
                                                               * none */
const GPtrArray *dm_change_found(const DmChange *change);     /* DmNote: what became of that; a plan has them too */
const DmVm *dm_change_vm(const DmChange *change);             /* as last read; NULL before */
const DmVm *dm_change_seen(
  const DmChange *change); /* with its guest's report after a plug; NULL: no agent reported it */
const DmVm *dm_change_vm_before(const DmChange *change); /* as of the plan */
DmOutcome dm_change_outcome(const DmChange *change);
const char *dm_outcome_name(DmOutcome outcome);
/*
 * Seconds until the last answer came: since the plan was made in @request, since the first device was asked in @guest.
 * FALSE, with nothing written, if there was no answer.
 */
gboolean dm_change_timing(const DmChange *change, double *request, double *guest);
const GError *dm_change_error(const DmChange *change);  /* NULL unless it failed */
gboolean dm_change_was_stopped(const DmChange *change); /* by dm_change_stop_waiting() */
