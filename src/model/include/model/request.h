/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change asked of one VM: plain data, as it is written into the VM's own metadata, so that another process can
 * finish it. A request has one step per device it changes; a step's states and transitions are one table (request.c).
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/config.h"
#include "model/guest.h"
#include "words/note.h"

typedef enum {
  DM_ACTION_SET,    /* to a memory size */
  DM_ACTION_UNPLUG, /* chosen devices */
  DM_ACTION_PLUG,   /* a new device, or several */
  DM_ACTION_ENABLE, /* set up hot plug: changes the next run only */
  DM_ACTION_SETTLE, /* requests again what an earlier request left unanswered */
#define DM_ACTIONS (DM_ACTION_SETTLE + 1)
} DmAction;

/* Risks the user accepts. */
typedef enum {
  DM_PLAN_TRY_UNMOVABLE = 1 << 0, /* also try devices known to have memory in a kernel zone */
  DM_PLAN_FORCE = 1 << 1,         /* release more than the guest can spare */
  DM_PLAN_BALLOON = 1 << 2,       /* the balloon takes what no memory device can give */
} DmPlanFlags;

typedef enum {
  DM_OP_UNPLUG,  /* remove the device */
  DM_OP_RESIZE,  /* change the requested size of a virtio-mem device */
  DM_OP_PLUG,    /* add a device; a virtio-mem device: until its guest holds what is requested */
  DM_OP_BALLOON, /* inflate or deflate the balloon: of boot memory and DIMMs, it leaves the guest from, and is to leave
                  * it to */
#define DM_OPS (DM_OP_BALLOON + 1)
} DmOp;

typedef enum {
  DM_STEP_PLANNED, /* not requested yet */
  DM_STEP_ASKED,   /* recorded before the request is sent: after a crash in between, it may never have been sent */
  DM_STEP_DONE,    /* removed, resized or added, seen in the VM itself */
  DM_STEP_REFUSED, /* the guest, or the host for a plug, said no */
  DM_STEP_OVERDUE, /* no answer in time: may still come */
#define DM_STEP_STATES (DM_STEP_OVERDUE + 1)
} DmStepState;

/* The earlier request of a step that a later one carries over. */
typedef struct {
  char *id; /* a UUID */
  DmAction action;
  char *user;        /* NULL: not known */
  int64_t started_s; /* since 1970 */
  uint64_t memory;   /* requested; 0: chosen devices */
} DmOrigin;

/* What only this process knows of a step; not stored in the VM. */
typedef struct {
  uint64_t address;          /* guest-physical address for a new device; 0: chosen by QEMU */
  int slot;                  /* slot for a new DIMM, if address is not 0 */
  gboolean dynamic_memslots; /* as in DmMemoryDevice */
  DmNote *reason;            /* why it was refused */
  gboolean by_host;          /* refused: by the host; the guest was not involved */
  uint64_t size_before;      /* what the device counted for when the step was planned */
  uint64_t reached;          /* virtio-mem: what the device counts for so far */
  gboolean prepared;         /* unplug: dimmer-guest has done what it can for it */
  DmUse use;                 /* plug: how the guest uses the device, as asked after it */
  int64_t asked_at_us;       /* monotonic; 0: not requested */
  double answer_s;           /* from request to answer; < 0: no answer yet */
} DmStepRun;

/* One device of a request, as in the VM's record. */
typedef struct {
  DmOp op;
  DmStepState state;
  char *alias;
  char *id;
  DmDeviceKind kind;
  uint64_t size;  /* of the device */
  uint64_t from;  /* what the device counted for in memory at the last accounting */
  uint64_t to;    /* target: 0 for an unplug */
  uint64_t block; /* of a new virtio-mem device */
  int node;
  char *place;         /* dm_memory_device_place() of an existing device; NULL: not known */
  char *backing;       /* of such a device */
  gboolean has_period; /* balloon: how often its driver reported before it was moved is to be restored, */
  guint period_s;      /* to this; 0: never */
  gboolean withdrawn;  /* a later request wants to keep the memory: it is watched, not requested again */
  DmOrigin *origin;    /* the earlier request that left it unfinished, if this one did not request it; or NULL */
  DmStepRun run;
} DmStep;

/* Values a request sets in the next-run configuration; 0: unchanged. Sizes in bytes. */
typedef struct {
  uint64_t memory;
  uint64_t guaranteed;
  uint64_t maximum;
  guint slots;
  GArray *floors; /* as in DmConfig; length 0: remove the floors; NULL: unchanged. Owned by the holder of this */
  DmDeviceKind floor_kind;
  gboolean free_page_reporting, autodeflate; /* to be switched on */
  gboolean has_balloon_use;                  /* what the balloon may do is to change, */
  DmBalloonUse balloon_use;                  /* to this */
  guint one_node;                            /* 1 + the NUMA node that alone gives or takes memory; 0: any */
  gboolean no_virtio_mem;                    /* the guest will use none of it, by its own report */
} DmValues;

/* Takes references on what it owns. */
DmValues dm_values_copy(const DmValues *values) G_GNUC_WARN_UNUSED_RESULT;
void dm_values_clear(DmValues *values);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DmValues, dm_values_clear)

typedef struct {
  char *id; /* a UUID */
  DmAction action;
  gboolean asked;           /* the next-run configuration is written; from here on devices may have been requested */
  char *user;               /* the user who requested it from dimmerd; NULL: not known */
  char *correlation_id;     /* of its events; NULL: none */
  char *host;               /* where the dimmer that owns it runs, */
  int64_t pid;              /* and its process */
  int64_t started_s;        /* since 1970 */
  int64_t deadline_s;       /* since 1970: end of the wait for an answer */
  uint64_t memory;          /* requested; 0: chosen devices */
  uint64_t guaranteed;      /* requested for the running VM; 0: not given */
  guint one_node;           /* as in DmValues, for the running VM */
  DmValues next_run;        /* to be written; all 0: nothing */
  DmPlanFlags flags;        /* flags it was made with */
  DmValues next_run_before; /* memory and guaranteed before the request */
  GPtrArray *steps;         /* DmStep, owned: one for each device */
  DmStep *balloon;          /* of the balloon, carried out after them; NULL: none. Owned */
} DmRequest;

DmOrigin *dm_origin_copy(const DmOrigin *origin) G_GNUC_WARN_UNUSED_RESULT;
void dm_origin_free(DmOrigin *origin);

DmStep *dm_step_new(DmOp op, const DmMemoryDevice *device) G_GNUC_WARN_UNUSED_RESULT;
/* For a balloon that leaves the guest @from of @size, boot memory and DIMMs, and is to leave it @to. */
DmStep *dm_step_new_balloon(uint64_t size, uint64_t from, uint64_t to) G_GNUC_WARN_UNUSED_RESULT;
DmStep *dm_step_copy(const DmStep *step) G_GNUC_WARN_UNUSED_RESULT;
void dm_step_free(DmStep *step);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmStep, dm_step_free)

/*
 * Moves the step to that state. FALSE, with nothing changed, if the table has no such transition (a late or duplicate
 * answer).
 */
gboolean dm_step_advance(DmStep *step, DmStepState to);

/* "planned", "asked", "removed" (or "added", "resized"), "refused", "overdue": stable, in JSON and metadata. */
const char *dm_step_state_name(const DmStep *step);
const char *dm_op_name(DmOp op);
const char *dm_action_name(DmAction action);
gboolean dm_op_from_name(const char *name, DmOp *op);
gboolean dm_action_from_name(const char *name, DmAction *action);
gboolean dm_step_state_from_name(const char *name, DmStepState *state);

/*
 * It adds a DIMM, which succeeds at once or fails; a virtio-mem device, once added, waits for its guest to accept
 * memory.
 */
static inline gboolean dm_step_is_at_once(const DmStep *step) {
  return step->op == DM_OP_PLUG && step->kind != DM_DEVICE_VIRTIO_MEM;
}

/* Its guest gets more memory of a device, whether new or larger than it was. */
static inline gboolean dm_step_adds(const DmStep *step) {
  return step->op == DM_OP_PLUG || (step->op == DM_OP_RESIZE && step->to > step->run.size_before);
}

/* Why it was refused, in words; NULL: it was not. Owned by the step. */
static inline const char *dm_step_reason(const DmStep *step) {
  return step->run.reason != NULL ? step->run.reason->text : NULL;
}

/* It is refused, or about to be, for that reason (takes ownership). */
void dm_step_take_reason(DmStep *step, DmNote *reason);

/* It was requested and the answer is outstanding. */
static inline gboolean dm_step_is_pending(const DmStep *step) {
  return step->state == DM_STEP_ASKED || step->state == DM_STEP_OVERDUE;
}

DmRequest *dm_request_new(DmAction action) G_GNUC_WARN_UNUSED_RESULT;
DmRequest *dm_request_copy(const DmRequest *request) G_GNUC_WARN_UNUSED_RESULT;
void dm_request_free(DmRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmRequest, dm_request_free)

/* The newest step for the device of that alias, or NULL. Owned by the request. */
DmStep *dm_request_find_step(const DmRequest *request, const char *alias);

/* Whether settling it requests anything again: a step is outstanding that was not withdrawn. */
gboolean dm_request_asks_again(const DmRequest *request);
