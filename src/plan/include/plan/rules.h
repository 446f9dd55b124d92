/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules a change must keep, each a check with an error that names the VM and the remedy. Pure functions.
 * They are oVirt's (UpdateVmCommand, HotSetAmountOfMemoryCommand) and the specification's, as far as a host can know
 * them before it asks the guest.
 */
#pragma once

#include <glib.h>

#include "model/vm.h"

/* @bytes floored to MiB in @floored; DM_ERROR_SIZE_ZERO below one MiB, for which @what ("memory") is named. */
gboolean dm_rule_size(const char *what, uint64_t bytes, uint64_t *floored, GError **error);

/* @maximum is not above what the platform can have (0: not named). */
gboolean dm_rule_platform(const DmVm *vm, uint64_t maximum, GError **error);

/* The guest can answer: the VM is running, not paused and not on its way down. @verb: "hot plug", "hot unplug", ... */
gboolean dm_rule_running(const DmVm *vm, const char *verb, GError **error);

/* Nothing is done to the VM as a whole that lets nothing else through: see vm->job. */
gboolean dm_rule_idle(const DmVm *vm, GError **error);

/* There is a next-run configuration to change: the VM is not transient. @what follows from that, in words. */
gboolean dm_rule_persistent(const DmVm *vm, const char *what, GError **error);

/* guaranteed <= memory <= maximum. @where: "" or "the next run of ". */
gboolean dm_rule_order(
  const DmVm *vm, const char *where, uint64_t guaranteed, uint64_t memory, uint64_t maximum, GError **error);

/* What the running VM was started without that hot plug needs, in words; NULL: nothing. */
const char *dm_rule_lacks(const DmVm *vm);

/* The running VM was started with what hot plug needs: maxMemory, slots, a NUMA cell. */
gboolean dm_rule_enabled(const DmVm *vm, GError **error);

/* @added is a multiple of @step: of dm_vm_plug_step(), or of a virtio-mem device's block. */
gboolean dm_rule_step(const DmVm *vm, uint64_t added, uint64_t step, GError **error);

/* @added fits between what is there and maximum. */
gboolean dm_rule_room(const DmVm *vm, uint64_t added, GError **error);

/*
 * DIMMs that bring the VM to @memory can be pinned for its host devices. QEMU cannot undo a plug of which the kernel
 * refuses to lock the memory: it ends (hw/vfio, "unable to continue"), and the guest with it.
 */
gboolean dm_rule_pinned(const DmVm *vm, uint64_t memory, GError **error);

/* @config has the memory that whoever asks has @seen (0: not told): nobody else was faster. */
gboolean dm_rule_seen(const DmVm *vm, const DmConfig *config, uint64_t seen, GError **error);

/* A slot is free. */
gboolean dm_rule_slot(const DmVm *vm, GError **error);

/* The running VM has NUMA node @node. */
gboolean dm_rule_node(const DmVm *vm, int node, GError **error);

/* The device is of a kind that dimmer can hot unplug. */
gboolean dm_rule_removable(const DmVm *vm, const DmMemoryDevice *device, GError **error);

/*
 * The guest is not known to have memory of that DIMM in a kernel zone, or to be Windows. A virtio-mem device can give
 * part of it.
 */
gboolean dm_rule_movable(const DmVm *vm, const DmMemoryDevice *device, GError **error);

/* What the guest can spare now: what is available to it, less a reserve. Bytes. FALSE: not known. */
gboolean dm_plan_spare(const DmVm *vm, uint64_t *spare, uint64_t *reserve);

/*
 * The guest can spare @asked, besides @out for earlier requests; no error where it is not known. @least is the memory
 * that the VM can be lowered to now, for the remedy.
 */
gboolean dm_rule_spare(const DmVm *vm, uint64_t asked, uint64_t out, uint64_t least, GError **error);
