/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests as jobs: each VM's changes run one after another, one step per device; their results are kept for a while
 * after the end. A request found in a VM's record when it is first seen becomes a job again, so jobs survive a restart.
 *
 * Everything here belongs to the thread that runs the default GLib main loop.
 */
#pragma once

#include <glib.h>

#include "engine/change.h"
#include "engine/inventory.h"
#include "engine/prepare.h"

typedef struct DmJobs DmJobs;

typedef enum {
  DM_JOB_WAITING, /* queued */
  DM_JOB_STARTED, /* is under way, or a device has not answered yet */
  DM_JOB_FINISHED,
  DM_JOB_FAILED, /* refused or in error, wholly or in part */
} DmJobStatus;

typedef struct {
  char *id; /* the request's id too */
  char *vm_id, *vm_name;
  DmAction action;
  DmWish *wish;         /* NULL: begun by an earlier process, not known any more */
  char *user;           /* NULL: unknown */
  char *correlation_id; /* NULL: none */
  DmJobStatus status;
  gint64 started_ms, ended_ms; /* since 1970; 0: not yet */
  GPtrArray *steps;            /* DmStep: as they stand */
  DmStep *balloon;             /* the balloon's, as it stands; NULL: it was not moved */
  GPtrArray *notes;            /* DmNote: of the plan */
  DmOutcome outcome;           /* set once driven is FALSE */
  GError *error;               /* NULL: none */
  gboolean driven;             /* a change is under way; after that only late answers move steps */
  gboolean recovered;
  gboolean unheard; /* the client was answered before it was settled */
  gboolean failing; /* its failure was reported at CLOSING */
  uint64_t wanted;  /* memory requested; 0: chosen devices */
  uint64_t memory_before, memory_after, guaranteed_before,
    guaranteed_after; /* of the VM; after: once it is not driven */
} DmJob;

/* What was refused was not refused by the guest: its host could not do it. */
gboolean dm_job_failed_by_host(const DmJob *job);

typedef enum {
  DM_JOB_EVENT_PLANNED,  /* the rules allow it: notes and steps are set */
  DM_JOB_EVENT_STEP,     /* one step moved: @step */
  DM_JOB_EVENT_STEP_TOO, /* the same move, just reported for another job of the VM */
  DM_JOB_EVENT_BALLOON,  /* the balloon moved: @step */
  DM_JOB_EVENT_CLOSING,  /* outcome, error and memory_after are known; the VM forgets the request next */
  DM_JOB_EVENT_SETTLED,  /* no longer driven; the inventory is up to date. May come without CLOSING if it failed */
  DM_JOB_EVENT_ENDED,    /* status is final */
} DmJobEvent;

/* @step: for STEP, else NULL. It points into job->steps. */
typedef void (*DmJobFunc)(DmJob *job, DmJobEvent event, const DmStep *step, gpointer data);

typedef struct {
  const DmWish *wish;
  const char *user;
  const char *correlation_id;
  gboolean no_retry;
} DmJobRequest;

/* @timeout_s: seconds to wait for a guest's answers after each asking. @inventory must outlive it. */
DmJobs *dm_jobs_new(DmInventory *inventory, double timeout_s) G_GNUC_WARN_UNUSED_RESULT;
void dm_jobs_free(DmJobs *jobs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmJobs, dm_jobs_free)

void dm_jobs_listen(DmJobs *jobs, DmJobFunc func, gpointer data);

/*
 * A VM forgets its request only when @keep has called @kept: until then a process that is killed leaves it there, to be
 * taken up again by the next. So what listeners were given before is to be stored by then, or it is given up soon: the
 * job waits. @kept may be called at once. Without this, jobs do not wait.
 */
typedef void (*DmJobsKeptFunc)(gpointer kept_data);
typedef void (*DmJobsKeepFunc)(DmJobsKeptFunc kept, gpointer kept_data, gpointer data);
void dm_jobs_keep_reported(DmJobs *jobs, DmJobsKeepFunc keep, gpointer data);

/*
 * Begins as soon as the VM's earlier jobs are no longer driven; never before this returns. @func (or NULL) is called
 * for this job alone, until dm_jobs_forget(). A rule that forbids it shows as SETTLED with an error, nothing touched.
 */
DmJob *dm_jobs_submit(DmJobs *jobs, DmEntry *entry, const DmJobRequest *request, DmJobFunc func, gpointer data);

/* Takes a job back that still waits queued: nothing of it was begun, and it is freed. FALSE: it has begun. */
gboolean dm_jobs_cancel(DmJobs *jobs, DmJob *job);

/*
 * Prepares the VM's guest when its earlier jobs are no longer driven; later ones wait for the end of that. It is no job
 * itself: dm_jobs_list() does not have it. @done: as of dm_prepare_guest(); also where it could not even begin.
 */
void dm_jobs_prepare_guest(DmJobs *jobs, const DmEntry *entry, DmPreparationFunc done, gpointer data);

/* @func of that job is not called any more. */
void dm_jobs_forget(DmJobs *jobs, DmJob *job);

/* DmJob, oldest first: all that have not ended, and the newest of those that have. */
const GPtrArray *dm_jobs_list(const DmJobs *jobs);
DmJob *dm_jobs_find(const DmJobs *jobs, const char *id);

/* How many VMs have jobs that are driven or wait. */
guint dm_jobs_busy(const DmJobs *jobs);

/* Waits no longer for guests: what is out becomes overdue and stays recorded in its VM. For the daemon's end. */
void dm_jobs_stop_waiting(DmJobs *jobs);
