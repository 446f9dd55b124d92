/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change asked of one VM: plain data, as it is written into the VM's own metadata, so that whoever looks next can
 * finish it. A request has one step for each device it touches; a step's states and transitions are one table
 * (request.c).
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/config.h"

typedef enum {
  DM_ACTION_SET,    /* to a memory size */
  DM_ACTION_UNPLUG, /* chosen devices */
  DM_ACTION_PLUG,   /* a new device, or several */
  DM_ACTION_ENABLE, /* for hot plug: only the next run changes */
  DM_ACTION_SETTLE, /* asks again for what an earlier request left unanswered */
} DmAction;

/* What the user takes upon himself. */
typedef enum {
  DM_PLAN_TRY_UNMOVABLE = 1 << 0, /* ask for devices that are known to have memory in a kernel zone as well */
  DM_PLAN_FORCE = 1 << 1,         /* release more than the guest can spare */
} DmPlanFlags;

typedef enum {
  DM_OP_UNPLUG, /* remove the device */
  DM_OP_RESIZE, /* change what a virtio-mem device is asked to hold */
  DM_OP_PLUG,   /* add a device */
} DmOp;

typedef enum {
  DM_STEP_PLANNED, /* nobody was asked yet */
  DM_STEP_ASKED,   /* written before the asking: a crash in between leaves a device that was perhaps never asked */
  DM_STEP_DONE,    /* removed, resized or added, seen in the VM itself */
  DM_STEP_REFUSED, /* the guest, or the host for a plug, said no */
  DM_STEP_OVERDUE, /* no answer in time: it can still come */
} DmStepState;

#define DM_STEP_STATES (DM_STEP_OVERDUE + 1)

/* The earlier request that asked for a step which a later one carries. */
typedef struct {
  char *id; /* a UUID */
  DmAction action;
  char *user;      /* NULL: not told */
  int64_t started; /* seconds since 1970 */
  uint64_t memory; /* that was asked for; 0: chosen devices */
} DmOrigin;

typedef struct {
  DmOp op;
  DmStepState state;
  char *alias;
  char *id;
  DmDeviceKind kind;
  uint64_t size;    /* of the device */
  uint64_t from;    /* what the device counted for in memory when it was last accounted for */
  uint64_t to;      /* what it shall count for: 0 for an unplug */
  uint64_t block;   /* of a new virtio-mem device */
  uint64_t address; /* where a new DIMM is to be, guest-physical; 0: where QEMU puts it. Not kept in the VM */
  int slot;         /* that it is to have, where the address is not 0. Not kept in the VM */
  int node;
  char *reason;         /* why it was refused, in words; not kept in the VM */
  uint64_t size_before; /* what the device counted for when the step was made. Not kept in the VM */
  uint64_t reached;     /* resize: what the device counts for so far. Not kept in the VM */
  gboolean prepared;    /* unplug: dimmer-guest has done for it what it can. Not kept in the VM */
  gboolean withdrawn;   /* a later request wants the memory kept: it is watched, and not asked for again */
  DmOrigin *origin; /* whose it is, where an earlier request left it over and this one did not ask for it; or NULL */
  int64_t asked_at; /* monotonic microseconds, 0: not asked. Not kept in the VM */
  double seconds;   /* from the asking to the answer; < 0: no answer yet. Not kept in the VM */
} DmStep;

/* Values a request wants of the next-run configuration; 0: leaves that one alone. Sizes in bytes. */
typedef struct {
  uint64_t memory;
  uint64_t guaranteed;
  uint64_t maximum;
  guint slots;
} DmValues;

typedef struct {
  char *id; /* a UUID */
  DmAction action;
  gboolean asked;           /* the next-run configuration is written; from here on devices may have been asked */
  char *user;               /* who asked dimmerd for it; NULL: not told */
  char *host;               /* where the dimmer that owns it runs, */
  int64_t pid;              /* and its process */
  int64_t started;          /* seconds since 1970 */
  int64_t deadline;         /* seconds since 1970: nobody waits for an answer after that */
  uint64_t memory;          /* that was asked for; 0: chosen devices */
  uint64_t guaranteed;      /* of the running VM, that was asked for; 0: not named */
  DmValues next_run;        /* to be written; all 0: nothing */
  DmPlanFlags flags;        /* it was made with */
  DmValues next_run_before; /* memory and guaranteed that were there before */
  GPtrArray *steps;         /* DmStep, owned */
} DmRequest;

DmOrigin *dm_origin_copy(const DmOrigin *origin);
void dm_origin_free(DmOrigin *origin);

DmStep *dm_step_new(DmOp op, const DmMemoryDevice *device);
DmStep *dm_step_copy(const DmStep *step);
void dm_step_free(DmStep *step);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmStep, dm_step_free)

/* Moves the step on. FALSE, and nothing changed, where the table does not lead there (a late or doubled answer). */
gboolean dm_step_advance(DmStep *step, DmStepState to);

/* "planned", "asked", "removed" (or "added", "resized"), "refused", "overdue": stable, in JSON and metadata. */
const char *dm_step_state_name(const DmStep *step);
const char *dm_op_name(DmOp op);
const char *dm_action_name(DmAction action);
gboolean dm_op_from_name(const char *name, DmOp *op);
gboolean dm_action_from_name(const char *name, DmAction *action);
gboolean dm_step_state_from_name(const char *name, DmStepState *state);

/* It was asked for and the answer is still out. */
static inline gboolean dm_step_is_pending(const DmStep *step) {
  return step->state == DM_STEP_ASKED || step->state == DM_STEP_OVERDUE;
}

DmRequest *dm_request_new(DmAction action);
DmRequest *dm_request_copy(const DmRequest *request);
void dm_request_free(DmRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmRequest, dm_request_free)

/* The newest step for the device of that alias, or NULL. The request keeps it. */
DmStep *dm_request_find_step(const DmRequest *request, const char *alias);

/* Whether settling it asks for anything again: something is out that was not withdrawn. */
gboolean dm_request_asks_again(const DmRequest *request);
