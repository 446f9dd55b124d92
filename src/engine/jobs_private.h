/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the jobs: work.c has one job, jobs.c the queues and what drives them, account.c what comes late. */
#pragma once

#include "engine/jobs.h"
#include "later.h"

typedef struct {
  DmJob job; /* first: a DmJob of ours is a Work */
  DmJobs *jobs;
  gboolean hidden;  /* an account: no job of its own */
  gboolean planned; /* the rules allowed it */
  DmPlanFunc plan;
  gpointer plan_data;
  GDestroyNotify destroy;
  gboolean no_retry;
  char *refused;    /* of an account: the device that its guest has just refused */
  DmChange *change; /* while it is driven */
  DmJobFunc func;
  gpointer func_data;
} Work;

typedef struct {
  Work *driven;   /* NULL: none */
  GQueue waiting; /* Work */
} Queue;

typedef struct {
  DmJobFunc func;
  gpointer data;
} Listener;

struct DmJobs {
  DmInventory *inventory;
  double timeout;
  gboolean stopping;
  GPtrArray *list;    /* Work that is not hidden, oldest first; owned */
  GHashTable *by_id;  /* job id → Work */
  GHashTable *queues; /* VM id → Queue */
  GArray *listeners;
  Later *later; /* VMs to be looked at again */
};

/* ---- work.c ---- */

/* Milliseconds since 1970. */
gint64 jobs_now(void);
Work *work_new(DmJobs *jobs, const char *vm_id, const char *vm_name, DmAction action);
void work_free(gpointer work);
/* What was to be planned is no longer needed. */
void work_drop_plan(Work *work);
void work_tell(Work *work, DmJobEvent event, const DmStep *step);
/* The newest step for that device; NULL: none. */
DmStep *work_find_step(const Work *work, const char *alias);
gboolean work_has_pending(const Work *work);
gboolean work_is_open(const Work *work);
/*
 * The VM carries the request: its devices may still go, and are seen when the host is back, or when the VM shows on the
 * host that it has moved to.
 */
gboolean work_lost_sight(const Work *work);
/* What the VM has now. */
void work_note_values(Work *work);
/*
 * Whoever hears that it is settled sees whether that was its end. What a rule forbade was never a job: it is forgotten
 * (and freed), unless nobody has heard of it yet.
 */
void work_tell_settled(Work *work);
void work_end_if_answered(Work *work);
/* Puts it into the list, which owns it from now on. */
void jobs_keep(DmJobs *jobs, Work *work);
/*
 * A device of a VM did something, perhaps for several jobs: the one that asked first, and those that asked again.
 * @told: it was told of one of them already.
 */
void jobs_move_steps(DmJobs *jobs, const char *vm_id, const DmStep *moved, gboolean told);

/* ---- jobs.c ---- */

void jobs_enqueue(DmJobs *jobs, Work *work);

/* ---- account.c ---- */

/* Settles what the VM carries; @refused: the device that its guest has just refused, or NULL. */
void jobs_account(DmJobs *jobs, const DmEntry *entry, const char *refused);
/* Of the inventory; @jobs is the DmJobs. */
void account_on_device(DmEntry *entry, const DmEvent *event, gpointer jobs);
void account_on_life(DmEntry *entry, DmLife life, gpointer jobs);
void account_on_changed(DmEntry *entry, gpointer jobs);
/* A VM is to be looked at again. */
void account_on_later(const char *vm_id, gpointer jobs);
