/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules a change must keep, each a check with an error that names the VM and the remedy. Pure functions. They are
 * oVirt's (UpdateVmCommand, HotSetAmountOfMemoryCommand) and the specification's, as far as the host can check them
 * without the guest.
 */
#pragma once

#include <glib.h>

#include "model/vm.h"

/* @bytes floored to MiB in @floored; DM_ERROR_SIZE_ZERO below one MiB, naming @what ("memory"). */
gboolean dm_rule_size(const char *what, uint64_t bytes, uint64_t *floored, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @maximum is within the platform's limit (0: not given). */
gboolean dm_rule_platform(const DmVm *vm, uint64_t maximum, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The guest can answer: the VM is running, not paused or shutting down. */
gboolean dm_rule_running(const DmVm *vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* No libvirt job on the VM as a whole blocks changes: see vm->job. */
gboolean dm_rule_idle(const DmVm *vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Its guest can be prepared for hot unplug: it runs, and is not Windows. */
gboolean dm_rule_preparable(const DmVm *vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* No other program on the host uses dimmer-guest's port. */
gboolean dm_rule_agent_free(const DmVm *vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What a change needs a next run for. */
typedef enum {
  DM_NEEDS_ENABLE,   /* to set it up for hot plug */
  DM_NEEDS_NEXT_RUN, /* to change that alone */
  DM_NEEDS_MAXIMUM,  /* a new maximum, which takes effect at the next start */
} DmNeed;

/* There is a next-run configuration to change: the VM is not transient. */
gboolean dm_rule_persistent(const DmVm *vm, DmNeed need, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* guaranteed <= memory <= maximum. @next_run: these are the values of the next run of a running VM. */
gboolean dm_rule_order(const DmVm *vm, gboolean next_run, uint64_t guaranteed, uint64_t memory, uint64_t maximum,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What hot plug needs and the running VM was started without, in words; NULL: nothing. */
const char *dm_rule_lacks(const DmVm *vm);

/* The remedy for a VM that lacks something, as an imperative. A static text. */
const char *dm_rule_enabling(const DmVm *vm);

/* The remedy is 'dimmer enable': there is a next run, and it lacks something too. */
gboolean dm_rule_can_enable(const DmVm *vm);

/* The running VM's machine can hot plug devices of @kind. */
gboolean dm_rule_kind(const DmVm *vm, DmDeviceKind kind, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The running VM was started with what hot plug needs: maxMemory, slots, a NUMA cell. */
gboolean dm_rule_enabled(const DmVm *vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * @added is a multiple of @step: dm_vm_plug_step(), or a virtio-mem device's block. @nearest, if not NULL, gets the
 * nearest multiple on error, for the caller's command; it fits if any does.
 */
gboolean dm_rule_step(
  const DmVm *vm, uint64_t added, uint64_t step, uint64_t *nearest, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "1400MiB", as sizes are typed. The caller frees. */
char *dm_rule_typed(uint64_t bytes) G_GNUC_WARN_UNUSED_RESULT;

/* @added fits below maximum. */
gboolean dm_rule_room(const DmVm *vm, uint64_t added, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * @memory of guest and QEMU stays within the host's limit for it (libvirt's hard_limit, its cgroup's limit): above that
 * the kernel kills QEMU, and the guest with it, once the guest uses its memory.
 */
gboolean dm_rule_hard_limit(const DmVm *vm, uint64_t memory, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * DIMMs that bring the VM to @memory can be pinned for its host devices. If the kernel refuses to lock that memory,
 * QEMU cannot undo the plug and aborts (hw/vfio, "unable to continue"), and the guest with it.
 */
gboolean dm_rule_pinned(const DmVm *vm, uint64_t memory, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The guest can spare the page descriptors of @added, which Linux allocates from its own memory before any of it is
 * online: otherwise it runs out, kills processes and reboots. Without a report from the guest, half of boot memory may
 * be used.
 */
gboolean dm_rule_descriptors(const DmVm *vm, uint64_t added, uint64_t given, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @config has the memory that the client has @seen (0: not given), so no other change came first. */
gboolean dm_rule_seen(const DmVm *vm, const DmConfig *config, uint64_t seen, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A slot is free. */
gboolean dm_rule_slot(const DmVm *vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @config of the VM has NUMA node @node. */
gboolean dm_rule_node(const DmVm *vm, const DmConfig *config, int node, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The device is of a kind that dimmer can hot unplug. */
gboolean dm_rule_removable(const DmVm *vm, const DmMemoryDevice *device, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The guest is not known to have memory of that DIMM in a kernel zone, or to be Windows. A virtio-mem device can
 * release part.
 */
gboolean dm_rule_movable(const DmVm *vm, const DmMemoryDevice *device, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What the guest can spare now: available memory minus a reserve. Bytes. FALSE: not known. */
gboolean dm_plan_spare(const DmVm *vm, uint64_t *spare, uint64_t *reserve);

/*
 * The guest can spare @asked on top of @out for earlier requests; no error if not known. @least is the memory that the
 * VM can be lowered to now, for the remedy.
 */
gboolean dm_rule_spare(
  const DmVm *vm, uint64_t asked, uint64_t out, uint64_t least, GError **error) G_GNUC_WARN_UNUSED_RESULT;
