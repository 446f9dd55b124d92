/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a change asked of a VM comes to: checked against every rule, and laid out step by step, before anything is
 * touched. Pure functions: the same VM and wish give the same plan, so a dry run is the plan that would be carried out.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/vm.h"
#include "plan/plug.h"

/* Values asked for, in bytes; 0: not named. dm_plan_set() floors them to MiB, as oVirt does. */
typedef struct {
  gboolean has_memory, has_guaranteed, has_maximum;
  uint64_t memory, guaranteed, maximum;
  gboolean next_run_only; /* the running VM stays as it is */
  DmPlanFlags flags;
  DmPlugPolicy policy; /* where memory grows */
  uint64_t seen;       /* the memory that the wish was made for: with another one there is no plan; 0: with any */
} DmWish;

typedef struct {
  DmDeviceKind kind;
  uint64_t size;     /* virtio-mem: what the guest is asked to take at once */
  uint64_t max_size; /* virtio-mem: the most the device can hold; 0: size */
  int node;
  DmPlugPolicy policy;
  uint64_t seen; /* as above */
} DmPlugWish;

typedef struct {
  DmAction action;
  DmPlanFlags flags;         /* it was made with: its request has the same */
  uint64_t memory;           /* asked for; 0: chosen devices */
  uint64_t guaranteed;       /* asked for the running VM; 0: not named */
  DmValues next_run;         /* asked for the next run */
  GPtrArray *steps;          /* DmStep, planned */
  DmConfig *next_run_config; /* what the persistent configuration becomes; NULL: it stays */
  uint64_t memory_before;
  uint64_t memory_after; /* if every step is done */
  uint64_t guaranteed_after;
  GPtrArray *notes; /* char: what the user should know, one sentence each */
} DmPlan;

void dm_plan_free(DmPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmPlan, dm_plan_free)

/*
 * To these values: lowers or raises the running VM as far as its devices allow, and the next-run configuration takes
 * exactly the asked values. NULL with an error of the rules.
 *
 * DIMMs that the guest is known to have in a kernel zone are left out without DM_PLAN_TRY_UNMOVABLE; where there is a
 * choice, they and those that it refused before are taken last. What goes is never more than the guest can spare
 * without DM_PLAN_FORCE. Steps stand in the order to carry them out, here and below: what is most likely to go comes
 * first.
 */
DmPlan *dm_plan_set(const DmVm *vm, const DmWish *wish, GError **error);

/*
 * These devices away: @names as dm_vm_find_device() reads them, NULL-terminated. One that is left out of a lowering is
 * an error here.
 */
DmPlan *dm_plan_unplug_devices(const DmVm *vm, const char *const *names, DmPlanFlags flags, GError **error);

/* More memory by new devices. */
DmPlan *dm_plan_plug_devices(const DmVm *vm, const DmPlugWish *wish, GError **error);

/* What the next run needs to hot plug at all: a maximum, slots (0: as they are, or 16), a NUMA cell. */
DmPlan *dm_plan_enable(const DmVm *vm, uint64_t maximum, guint slots, GError **error);

/*
 * Asks again for what the recorded request left without an answer, with the flags of that and @flags: not for what is
 * known to stay, and for nothing where all of it is more than the guest can spare. A note says so.
 */
DmPlan *dm_plan_settle(const DmVm *vm, DmPlanFlags flags);

/* Nothing: the engine only accounts for what the recorded request has come to. */
DmPlan *dm_plan_account_only(const DmVm *vm);

/*
 * After a refusal: further steps (DmStep) towards the memory that @request asked for, now that @vm is as it is. Devices
 * that @request already has a step for are left alone, except that a virtio-mem device may be asked to shrink further:
 * then the new step takes the place of its old one. Devices are left out as by dm_plan_set(), by the flags of @request,
 * and no more is asked for than @vm's guest can spare. Empty when nothing is left to try. The caller unrefs.
 */
GPtrArray *dm_plan_again(const DmVm *vm, const DmRequest *request);
