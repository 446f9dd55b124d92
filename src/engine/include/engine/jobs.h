/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests as jobs: each VM's changes one after the other, with one step per device, and what came of them for a while
 * after their end. A request that a VM carries when it is first seen becomes a job again, so jobs survive a restart.
 *
 * Everything here belongs to the thread that runs the default GLib main loop.
 */
#pragma once

#include <glib.h>

#include "engine/change.h"
#include "engine/inventory.h"

typedef struct DmJobs DmJobs;

typedef enum {
  DM_JOB_WAITING, /* for its turn */
  DM_JOB_STARTED, /* is under way, or a device has not answered yet */
  DM_JOB_FINISHED,
  DM_JOB_FAILED, /* refused or in error, wholly or in part */
} DmJobStatus;

typedef struct {
  char *id; /* of the request too */
  char *vm_id, *vm_name;
  DmAction action;
  char *user;           /* NULL: nobody's that is known */
  char *correlation_id; /* NULL: none */
  DmJobStatus status;
  gint64 started, ended; /* milliseconds since 1970; 0: not yet */
  GPtrArray *steps;      /* DmStep: as they are */
  GPtrArray *notes;      /* char: of the plan */
  DmOutcome outcome;     /* once driven is FALSE */
  GError *error;         /* NULL: none */
  gboolean driven;       /* a change is under way; afterwards only late answers move steps */
  gboolean recovered;
  gboolean unheard; /* whoever asked has had its answer before it was settled */
  uint64_t wanted;  /* memory asked for; 0: chosen devices */
  uint64_t memory_before, memory_after, guaranteed_before,
    guaranteed_after; /* of the VM; after: once it is not driven */
} DmJob;

typedef enum {
  DM_JOB_EVENT_PLANNED,  /* the rules allow it: notes and steps are there */
  DM_JOB_EVENT_STEP,     /* one step moved: @step */
  DM_JOB_EVENT_STEP_TOO, /* the same, by what was told of another job of the VM just before: one device moved once */
  DM_JOB_EVENT_SETTLED,  /* no longer driven; the inventory has the VM as it is now */
  DM_JOB_EVENT_ENDED,    /* status is final */
} DmJobEvent;

/* @step: of STEP, else NULL. It points into job->steps. */
typedef void (*DmJobFunc)(DmJob *job, DmJobEvent event, const DmStep *step, gpointer data);

typedef struct {
  DmPlanFunc plan;
  gpointer plan_data; /* freed with @destroy when the job is no longer driven */
  GDestroyNotify destroy;
  DmAction action;
  const char *user;
  const char *correlation_id;
  gboolean no_retry;
} DmJobRequest;

/* @timeout: seconds to wait for a guest's answers after each asking. @inventory must outlive it. */
DmJobs *dm_jobs_new(DmInventory *inventory, double timeout);
void dm_jobs_free(DmJobs *jobs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmJobs, dm_jobs_free)

void dm_jobs_listen(DmJobs *jobs, DmJobFunc func, gpointer data);

/*
 * Begins as soon as the VM's earlier jobs are no longer driven; never before this returns. @func (or NULL) is told of
 * this job alone, until dm_jobs_forget(). A rule that forbids it shows as SETTLED with an error, nothing touched.
 */
DmJob *dm_jobs_submit(DmJobs *jobs, DmEntry *entry, const DmJobRequest *request, DmJobFunc func, gpointer data);

/* Takes a job back that still waits for its turn: nothing of it was begun, and it is freed. FALSE: it has begun. */
gboolean dm_jobs_cancel(DmJobs *jobs, DmJob *job);

/* @func of that job is called no more. */
void dm_jobs_forget(DmJobs *jobs, DmJob *job);

/* DmJob, oldest first: all that have not ended, and the newest of those that have. */
const GPtrArray *dm_jobs_list(const DmJobs *jobs);
DmJob *dm_jobs_find(const DmJobs *jobs, const char *id);

/* The jobs that are driven or wait. */
guint dm_jobs_busy(const DmJobs *jobs);

/* Waits no longer for guests: what is out becomes overdue and stays recorded in its VM. For the daemon's end. */
void dm_jobs_stop_waiting(DmJobs *jobs);
