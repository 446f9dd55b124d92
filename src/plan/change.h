/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this layer share while they lay out a plan. Not for other layers. */
#pragma once

#include "plan/change.h"

/* A plan for @vm without steps, its values as they are. */
DmPlan *plan_new(const DmVm *vm, DmAction action);

void plan_note(DmPlan *plan, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* "dimm 3f2a91c0 (256 MiB)". The caller frees. */
char *plan_describe_device(const DmVm *vm, const DmMemoryDevice *device);

/* Sets the values for the next run, as dm_plan_next_run() checks them. */
gboolean plan_set_next_run(DmPlan *plan, const DmVm *vm, const DmValues *values, GError **error);

/* What guaranteed comes to after the plan: as asked, or as stored, and never above memory. */
void plan_predict_guaranteed(DmPlan *plan, const DmVm *vm);

/* Where the next run will follow the steps of @plan, what it comes to. FALSE with an error where it cannot follow. */
gboolean plan_predict_next_run(DmPlan *plan, const DmVm *vm, GError **error);

/* How much of the memory the balloon holds, as far as that can be told. */
uint64_t plan_held_by_balloon(const DmVm *vm);

/* Notes what is in the way of a hot unplug as far as the host can see it: an inflated balloon. */
void plan_note_obstacles(DmPlan *plan, const DmVm *vm);

/* Appends a step to add a device that counts for @memory; @size is a virtio-mem device's full size, else @memory. */
void plan_add_plug(DmPlan *plan, DmDeviceKind kind, uint64_t memory, uint64_t size, uint64_t block, int node);

/* Appends the DIMMs that @size becomes under @policy; with a note where the guest could never release them. */
void plan_add_dimms(DmPlan *plan, const DmVm *vm, DmPlugPolicy policy, uint64_t size, int node);

/*
 * Puts first what is most likely to go, as dimmer-guest frees one device after the other, and one that is stuck leaves
 * less time to those after it: DIMMs that are movable, of which it is not known, that refused before, that have memory
 * in a kernel zone; then virtio-mem. Among equals the order stays.
 */
void plan_order_steps(GPtrArray *steps, const DmVm *vm);

/* Asks for an address for each new DIMM of @plan where QEMU would put it so that the guest could not use it. */
void plan_place_dimms(DmPlan *plan, const DmVm *vm);

/* The step of the recorded request for @device if its answer is still out, else NULL. */
const DmStep *plan_pending_step(const DmRequest *request, const DmMemoryDevice *device);

/* It is left out: the guest has memory of that DIMM in a kernel zone, or is Windows, and nobody said to try. */
gboolean plan_leaves_out(const DmMemoryDevice *device, DmPlanFlags flags);

/* Chooses what goes so that the running VM has @wanted, which is less than it has. */
gboolean plan_lower(DmPlan *plan, const DmVm *vm, uint64_t wanted, GError **error);

/* @plan wants kept what earlier requests asked to go. */
void plan_keep_pending(DmPlan *plan, const DmVm *vm);

/* The least memory that dm_plan_set() can lower the running VM to, where its guest can spare @spare. */
uint64_t plan_least_memory(const DmVm *vm, DmPlanFlags flags, uint64_t spare);

/* What the guest has to do without if @device releases that much: offline blocks hold nothing. */
uint64_t plan_needs_of(const DmVm *vm, const DmMemoryDevice *device, uint64_t release);

/* The same for @steps (NULL: none), and for what @request (NULL: none) has out besides them. */
typedef struct {
  uint64_t asked, out;
} PlanNeeds;

PlanNeeds plan_needs(const DmVm *vm, const GPtrArray *steps, const DmRequest *request);

/* The guest can spare what @plan releases; where that is forced, a note. */
gboolean plan_check_spare(DmPlan *plan, const DmVm *vm, GError **error);

/* Notes which devices @plan asks for may stay, or partly stay, as far as the guest told. */
void plan_note_unmovable(DmPlan *plan, const DmVm *vm);
