/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internals of the jobs, each file using those before it: work.c one job, resume.c one begun by an earlier process,
 * queue.c the jobs of a VM and their driver, account.c late answers, jobs.c the public functions. Not for other layers.
 */
#pragma once

#include "engine/jobs.h"
#include "later.h"

typedef struct {
  DmJob job; /* first: a DmJob of ours is a Work */
  DmJobs *jobs;
  gboolean hidden;  /* an account: not a job of its own */
  gboolean planned; /* the rules allowed it */
  gboolean closing; /* that was reported */
  gboolean resumed; /* begun by an earlier process: see resume.c */
  DmWish *going_on; /* of a resumed one */
  gboolean no_retry;
  char *refused;    /* of an account: the device that its guest has just refused */
  DmChange *change; /* while it is driven; NULL for one done beside another */
  DmJobFunc func;
  DmPreparationFunc prepared; /* its guest is prepared, hidden and without a wish; NULL: it is a change */
  gpointer func_data;         /* of either */
} Work;

/* Of one VM. */
typedef struct {
  DmJobs *jobs;
  char *vm_id;
  Work *driven;   /* NULL: none */
  GQueue waiting; /* Work */
  guint start;    /* source: to drive the next one */
} Queue;

typedef struct {
  DmJobFunc func;
  gpointer data;
} Listener;

struct DmJobs {
  DmInventory *inventory;
  double timeout_s;
  gboolean stopping;
  GPtrArray *list;    /* Work that is not hidden, oldest first; owned */
  GHashTable *by_id;  /* job id → Work */
  GHashTable *queues; /* VM id → Queue */
  GArray *listeners;
  DmJobsKeepFunc keep; /* NULL: events are not saved */
  gpointer keep_data;
  Later *later; /* VMs to be checked again */
};

/* ---- work.c ---- */

/* Milliseconds since 1970. */
gint64 jobs_now(void);
Work *work_new(DmJobs *jobs, const char *vm_id, const char *vm_name, DmAction action) G_GNUC_WARN_UNUSED_RESULT;
void work_free(gpointer work);
void work_tell(Work *work, DmJobEvent event, const DmStep *step);
/* The newest step for that device; NULL: none. */
DmStep *work_find_step(const Work *work, const char *alias);
gboolean work_has_pending(const Work *work);
gboolean work_is_open(const Work *work);
/*
 * The VM carries the request: its devices may still go, as seen once the host is back, or the VM appears on the host it
 * has moved to.
 */
gboolean work_lost_sight(const Work *work);
/* The VM itself shows that the request was fulfilled. */
gboolean work_shows_done(const DmStep *step, const DmVm *vm);
/* What the VM has now. */
void work_note_values(Work *work);
/*
 * A listener of SETTLED sees whether that was its end. One forbidden by a rule was never a job: it is dropped (and
 * freed), unless no listener knows of it yet.
 */
void work_tell_settled(Work *work);
void work_end_if_answered(Work *work);
/* The step was refused, for that reason (takes ownership); notifies. */
void work_refuse(Work *work, DmStep *step, DmNote *reason);
/* All open jobs of that VM that are not driven. */
void jobs_end_if_answered(DmJobs *jobs, const char *vm_id);
/* Adds it to the list, which takes ownership. */
void jobs_keep(DmJobs *jobs, Work *work);
/*
 * A device of a VM answered, perhaps for several jobs: the first to request it, and later ones. @reported: already
 * reported for one of them. Does not end any of them yet.
 */
void jobs_move_steps(DmJobs *jobs, const char *vm_id, const DmStep *moved, gboolean reported);

/* ---- resume.c ---- */

/* Our job of the VM's request, prepared to continue where a kill interrupted it; NULL: none. */
Work *resume_take_up(DmJobs *jobs, const DmEntry *entry);
/* Its change has determined the outcome in @vm: @recovered, or NULL. Before any of that is reported. */
void resume_found(Work *work, const DmVm *vm, const DmRequest *recovered);
/* It requests again what is in @plan; the rest is overdue. */
void resume_planned(Work *work, const DmPlan *plan);
/* Of all its steps, not only those requested again. */
DmOutcome resume_outcome(const Work *work, const DmVm *vm);

/* ---- queue.c ---- */

void queue_add(DmJobs *jobs, Work *work);
/* A change of that VM is driven: it takes the events of its devices. */
gboolean queue_has_change(const DmJobs *jobs, const char *vm_id);
/* Starts nothing more, and what is driven stops waiting for its guest. */
void queue_stop(Queue *queue);
void queue_free(gpointer queue);

/* ---- account.c ---- */

/* Inventory listener; @jobs is the DmJobs. */
void account_on_device(DmEntry *entry, const DmEvent *event, gpointer jobs);
void account_on_life(DmEntry *entry, DmLife life, gpointer jobs);
void account_on_changed(DmEntry *entry, gpointer jobs);
/* A VM is to be checked again. */
void account_on_later(const char *vm_id, gpointer jobs);
