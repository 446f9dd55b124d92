/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a change: checked against every rule, and laid out step by step, before anything is changed. Pure
 * functions: the same VM and wish give the same plan, so a dry run shows what would be done.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/vm.h"
#include "plan/wish.h"
#include "words/note.h"

typedef struct {
  DmAction action;
  DmPlanFlags flags;       /* flags it was made with; its request has the same */
  uint64_t memory;         /* requested; 0: chosen devices */
  uint64_t guaranteed;     /* requested for the running VM; 0: not given */
  guint one_node;          /* as in DmValues, for the running VM */
  DmValues next_run;       /* requested for the next run */
  GPtrArray *steps;        /* DmStep, planned */
  DmStep *balloon;         /* after the steps; NULL: it stays as it is */
  uint64_t balloon_aim;    /* what its record says in place of its to: where DIMMs stay, more; 0: the same */
  gboolean balloon_asked;  /* by the wish, not only allowed by the VM's setting */
  uint64_t balloon_others; /* what it holds by other programs' doing, and goes on to hold; where balloon is not NULL */
  uint64_t deflate_to;     /* before the steps, it is to leave the guest that much; 0: nothing to do before */
  uint64_t ballooned_before; /* what the balloon holds, as far as known */
  uint64_t ballooned_after;  /* if every step succeeds */
  gboolean has_balloon_use;  /* what the balloon may do changes, */
  DmBalloonUse balloon_use;  /* to this */
  GPtrArray *emptied;        /* char, aliases: virtio-mem devices to be removed once they are empty */
  DmConfig *next_run_config; /* new persistent configuration; NULL: unchanged */
  uint64_t memory_before;
  uint64_t memory_after; /* if every step succeeds */
  uint64_t guaranteed_after;
  char *title, *description; /* new values; "": none; NULL: unchanged */
  GPtrArray *notes;          /* DmNote: what the user should know */
} DmPlan;

void dm_plan_free(DmPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmPlan, dm_plan_free)

/*
 * Plans @wish on @vm; NULL with an error of the rules. By its action:
 *
 *   set     to these values: lowers or raises the running VM as far as its devices allow, and the next-run
 *           configuration takes exactly the asked values
 *   unplug  these devices away. One that is left out of a lowering is an error here
 *   plug    more memory by new devices
 *   enable  what the next run needs to hot plug at all: a maximum, slots, a NUMA cell
 *   settle  asks again for what the recorded request left without an answer, with the flags of that and of @wish: not
 *           for what is known to stay, and for nothing where all of it is more than the guest can spare. Notes say so;
 *           it never fails
 *
 * DIMMs that the guest is known to have in a kernel zone are left out without DM_PLAN_TRY_UNMOVABLE; where there is a
 * choice, they and those that it refused before are taken last. What goes is never more than the guest can spare
 * without DM_PLAN_FORCE. Steps stand in the order to carry them out: what is most likely to go comes first.
 */
DmPlan *dm_plan(const DmVm *vm, const DmWish *wish, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Notes how the guest onlined @device, which @plan added, unless it is all online as movable. @vm has its current
 * report.
 */
void dm_plan_note_made(DmPlan *plan, const DmVm *vm, const DmMemoryDevice *device);

/* The guest has not onlined all of @device yet, but is expected to. */
gboolean dm_plan_is_coming(const DmVm *vm, const DmMemoryDevice *device);

/*
 * After a refusal: further steps (DmStep) towards the memory that @request wants, from the present state of @vm.
 * Devices that @request already has a step for are left alone, except that a virtio-mem device may be asked to shrink
 * further: then the new step replaces its old one. Devices are left out as by dm_plan(), by the flags of @request, and
 * no more is requested than @vm's guest can spare. Empty when nothing is left to try. The caller unrefs
 * the array, and owns each step.
 */
GPtrArray *dm_plan_again(const DmVm *vm, const DmRequest *request) G_GNUC_WARN_UNUSED_RESULT;
