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

/* Notes what is in the way of a hot unplug as far as the host can see it: an inflated balloon. */
void plan_note_obstacles(DmPlan *plan, const DmVm *vm);

/* Appends a step to add a device that counts for @memory; @size is a virtio-mem device's full size, else @memory. */
void plan_add_plug(DmPlan *plan, DmDeviceKind kind, uint64_t memory, uint64_t size, uint64_t block, int node);

/* Appends the DIMMs that @size becomes under @policy. */
void plan_add_dimms(DmPlan *plan, const DmVm *vm, DmPlugPolicy policy, uint64_t size, int node);

/* The step of the recorded request for @device if its answer is still out, else NULL. */
const DmStep *plan_pending_step(const DmRequest *request, const DmMemoryDevice *device);
