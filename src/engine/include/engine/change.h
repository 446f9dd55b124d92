/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change of one VM, driven from the first look to the last account. See change.c for how it goes.
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
  DM_OUTCOME_DONE,       /* everything that was planned, or as much by other devices */
  DM_OUTCOME_PARTLY,     /* some of it: the rest was refused or is overdue */
  DM_OUTCOME_REFUSED,    /* nothing: the guest refused */
  DM_OUTCOME_OVERDUE,    /* nothing yet: the guest has not answered */
  DM_OUTCOME_CALLED_OFF, /* nothing: it was stopped before any device was asked */
  DM_OUTCOME_FAILED,     /* an error: dm_change_error() */
} DmOutcome;

typedef struct {
  gboolean dry_run;    /* plan only: nothing is touched */
  gboolean no_retry;   /* after a refusal, no other device is tried */
  double timeout;      /* seconds to wait for the guest's answers after each asking; 0: does not wait */
  gboolean no_look;    /* the guest is not asked what it can tell */
  const char *id;      /* of the request; NULL: a new one */
  const char *title;   /* the VM's name, where it is given by its UUID: then it need not be found first; else NULL */
  const char *user;    /* who asked, for the record; NULL: nobody that can be told */
  const char *refused; /* alias of a device of the recorded request that its guest has refused by now; NULL: none */
} DmChangeOptions;

/* What is wanted of the VM as it is now, from plan/change.h; NULL with an error of the rules. */
typedef DmPlan *(*DmPlanFunc)(const DmVm *vm, gpointer data, GError **error);

typedef struct {
  void (*planned)(DmChange *change, gpointer data);                   /* checked; nothing was touched yet */
  void (*asked)(DmChange *change, const DmStep *step, gpointer data); /* was just asked */
  void (*moved)(DmChange *change, const DmStep *step, gpointer data); /* answered, overdue, or some way on */
  /* @done of @of blocks of its memory are offline in the guest, which so makes ready for the asking. */
  void (*freeing)(DmChange *change, const DmStep *step, uint64_t done, uint64_t of, gpointer data);
  void (*ended)(DmChange *change, gpointer data);
} DmChangeListener;

/* @plan_data must outlive the change. */
DmChange *dm_change_new(DmConnection *connection, const char *vm_name, DmPlanFunc plan, gpointer plan_data,
  const DmChangeOptions *options, const DmChangeListener *listener, gpointer listener_data);
/* Only before the start or after the end. */
void dm_change_free(DmChange *change);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmChange, dm_change_free)

/* From here on the listener is called, last of all with ended(). */
void dm_change_start(DmChange *change);

/* Waits no longer for the guest: what is out becomes overdue, is recorded, and the change ends. */
void dm_change_stop_waiting(DmChange *change);

/* All below are kept by the change. */
const DmPlan *dm_change_plan(const DmChange *change);         /* NULL before planned() */
const DmRequest *dm_change_request(const DmChange *change);   /* the steps as they are; NULL if none was needed */
const DmRequest *dm_change_recovered(const DmChange *change); /* of an earlier dimmer, settled; NULL: there was none */
const DmVm *dm_change_vm(const DmChange *change);             /* as last read; NULL before */
const DmVm *dm_change_vm_before(const DmChange *change);      /* as it was when the plan was made */
DmOutcome dm_change_outcome(const DmChange *change);
const char *dm_outcome_name(DmOutcome outcome);
/*
 * Seconds until the last answer came: since the plan was made in @request, since the first device was asked in @guest.
 * FALSE, and nothing written, where nobody has answered.
 */
gboolean dm_change_timing(const DmChange *change, double *request, double *guest);
const GError *dm_change_error(const DmChange *change);  /* NULL unless it failed */
gboolean dm_change_was_stopped(const DmChange *change); /* by dm_change_stop_waiting() */
