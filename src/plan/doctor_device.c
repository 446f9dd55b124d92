/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a device can be unplugged, and why not. */
#include "base/size.h"
#include "change.h"
#include "doctor_private.h"

/* Before 4.13 nothing becomes movable below kernel memory: see guest/online.c. */
static gboolean is_below_kernel_memory(const DmVm *vm, const DmMemoryDevice *device) {
  uint64_t end = device->address + device->size;
  return device->kind == DM_DEVICE_DIMM && dm_guest_is_before(vm->guest, 4, 13) &&
    dm_guest_range(vm->guest, end, UINT64_MAX - end).kernel > 0;
}

/* If its blocks are known: by their bytes in each state. */
static void check_blocks(
  GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device, const DmRangeState *blocks) {
  const char *source = dm_source_name(vm->guest->run_source);
  uint64_t all = blocks->movable + blocks->kernel + blocks->offline + blocks->unknown;
  g_autofree char *whole = dm_size_format(all);
  g_autofree char *kernel = dm_size_format(blocks->kernel);
  g_autofree char *offline = dm_size_format(blocks->offline);
  g_autofree char *unknown = dm_size_format(blocks->unknown);
  g_autofree char *going = dm_size_format(blocks->going);
  if (blocks->kernel > 0) {
    if (device->kind == DM_DEVICE_DIMM)
      doctor_add(
        findings, DM_FINDING_KERNEL_ZONE, device, DM_VERDICT_BAD, source, DM_REMEDY_PREPARE_MOVABLE, kernel, whole);
    else
      doctor_add(findings, DM_FINDING_PARTLY_KERNEL_ZONE, device, DM_VERDICT_WARNING, source, DM_REMEDY_PREPARE_MOVABLE,
        kernel, whole);
    doctor_add_command(findings, "dimmer", "guest", "prepare", "--", dm_vm_handle(vm), NULL);
  } else if (blocks->absent == all) {
    doctor_add(findings, DM_FINDING_NOT_USED, device, DM_VERDICT_WARNING, source, DM_REMEDY_LOOK_AGAIN);
    doctor_add_command(findings, "dimmer", "unplug", "--", dm_vm_handle(vm), "--", device->alias, NULL);
  } else if (blocks->unknown > 0) {
    doctor_add(findings, DM_FINDING_ZONE_UNKNOWN, device, DM_VERDICT_UNKNOWN, source, NULL, unknown, whole);
  } else if (blocks->going > 0) {
    doctor_add(
      findings, DM_FINDING_GOING_OFFLINE, device, DM_VERDICT_WARNING, source, DM_REMEDY_WAIT_OFFLINE, going, whole);
  } else if (blocks->offline > 0 && is_below_kernel_memory(vm, device)) {
    doctor_add(
      findings, DM_FINDING_BELOW_KERNEL, device, DM_VERDICT_WARNING, source, DM_REMEDY_UNPLUG_BELOW, offline, whole);
    doctor_add_command(findings, "dimmer", "unplug", "--", dm_vm_handle(vm), "--", device->alias, NULL);
  } else if (blocks->offline > 0) {
    doctor_add(
      findings, DM_FINDING_OFFLINE, device, DM_VERDICT_WARNING, source, DM_REMEDY_PREPARE_ONLINE, offline, whole);
    doctor_add_command(findings, "dimmer", "guest", "prepare", "--", dm_vm_handle(vm), NULL);
  } else {
    doctor_add(findings, DM_FINDING_MOVABLE, device, DM_VERDICT_GOOD, source, NULL, whole);
  }
}

/* How to get a report of its memory. */
static const char *advise_teller(const DmVm *vm) {
  return vm->guest != NULL && vm->guest->busy ? DM_REMEDY_AGENT_BUSY : DM_REMEDY_RUN_AGENT;
}

static void check_movable(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device) {
  DmRangeState blocks;
  if (device->kind == DM_DEVICE_OTHER)
    doctor_add(
      findings, DM_FINDING_OTHER_KIND, device, DM_VERDICT_WARNING, HOST, NULL, dm_memory_device_kind_name(device));
  else if (device->kind == DM_DEVICE_VIRTIO_MEM && dm_memory_device_memory(device) == 0)
    doctor_add(findings, DM_FINDING_EMPTY, device, DM_VERDICT_GOOD, HOST, NULL);
  else if (dm_vm_is_windows(vm) && device->kind == DM_DEVICE_VIRTIO_MEM)
    doctor_add(findings, DM_FINDING_WINDOWS_VIRTIO_MEM, device, DM_VERDICT_WARNING, NULL, NULL);
  else if (dm_vm_is_windows(vm))
    doctor_add(findings, DM_FINDING_WINDOWS_KEEPS, device, DM_VERDICT_BAD, NULL, NULL);
  else if (dm_vm_device_blocks(vm, device, &blocks))
    check_blocks(findings, vm, device, &blocks);
  else if (vm->guest != NULL && vm->guest->runs != NULL)
    doctor_add(findings, DM_FINDING_BLOCKS_UNKNOWN, device, DM_VERDICT_UNKNOWN, HOST, NULL);
  else
    doctor_add(findings, DM_FINDING_MOVABLE_UNKNOWN, device, DM_VERDICT_UNKNOWN, NULL, advise_teller(vm));
}

/* A further new device gets an address of its own: see plan_place_devices(). */
static void advise_place(
  GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device, uint64_t block, const char *block_text) {
  if (device->address % block == 0)
    doctor_advise(findings, DM_REMEDY_PLUG_BLOCKS, block_text);
  else if (!plan_knows_places(vm))
    doctor_advise(findings, DM_REMEDY_PLUG_LATER);
  else
    doctor_advise(findings, DM_REMEDY_PLUG_BESIDE, block_text);
}

/*
 * The block size is not known. On x86 Linux uses a section, 128 MiB, or larger blocks with much memory
 * (arch/x86/mm/init_64.c: probe_memory_block_size()).
 */
static void check_usual_block(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device) {
  g_autofree char *size = dm_size_format(device->size);
  g_autofree char *factor = dm_size_format(dm_vm_factor(vm));
  doctor_add(findings, DM_FINDING_NOT_A_BLOCK_USUALLY, device, DM_VERDICT_WARNING, HOST, NULL, size, factor);
  doctor_advise(findings, DM_REMEDY_PLUG_BLOCKS, factor);
}

/*
 * Linux does not add a device that does not begin and end at a block boundary (kernel: check_hotplug_memory_range()).
 */
static void check_alignment(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device) {
  uint64_t block = dm_vm_block(vm);
  if (device->kind == DM_DEVICE_DIMM && block == 0 && !dm_vm_is_windows(vm) && device->size % dm_vm_factor(vm) != 0) {
    check_usual_block(findings, vm, device);
    return;
  }
  if (device->kind != DM_DEVICE_DIMM || block == 0 || (device->size % block == 0 && device->address % block == 0))
    return;
  g_autofree char *size = dm_size_format(device->size);
  g_autofree char *block_text = dm_size_format(block);
  g_autofree char *address = g_strdup_printf("%#" G_GINT64_MODIFIER "x", device->address);
  doctor_add(findings, DM_FINDING_NOT_A_BLOCK, device, DM_VERDICT_BAD, dm_source_name(vm->guest->block_source), NULL,
    block_text, size, address);
  advise_place(findings, vm, device, block, block_text);
}

/* The guest kernel uses memory of it for itself, which no exiting process frees. */
static gboolean is_kernels(const DmVm *vm, const DmMemoryDevice *device) {
  return device->movable == DM_MOVABLE_NO && !dm_vm_is_windows(vm);
}

/* NULL: no remedy. Old kernels give up on a block at once if a page of it is briefly in use. */
static const char *advise_refused(const DmVm *vm, const DmMemoryDevice *device) {
  if (dm_vm_is_windows(vm))
    return NULL;
  if (vm->guest != NULL && dm_guest_is_before(vm->guest, 4, 13) && !is_kernels(vm, device))
    return DM_REMEDY_ASK_OLD_KERNEL;
  return is_kernels(vm, device) ? DM_REMEDY_PREPARE_RESTART : DM_REMEDY_END_PROGRAMS;
}

static void check_refused(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device) {
  const DmRefusal *refusal = dm_vm_find_refusal(vm, device);
  if (refusal == NULL)
    return;
  g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(refusal->at_s);
  g_autofree char *text = at != NULL ? g_date_time_format(at, "%Y-%m-%d %H:%M UTC") : g_strdup("some time");
  doctor_add(findings, DM_FINDING_REFUSED, device, DM_VERDICT_WARNING, HOST, advise_refused(vm, device), text);
  if (is_kernels(vm, device))
    doctor_add_command(findings, "dimmer", "guest", "prepare", "--", dm_vm_handle(vm), NULL);
}

/* Memory requested of a virtio-mem device but not accepted does not count as the VM's. */
static void check_taken(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device) {
  if (device->kind != DM_DEVICE_VIRTIO_MEM || device->current >= device->requested)
    return;
  g_autofree char *current = dm_size_format(device->current);
  g_autofree char *requested = dm_size_format(device->requested);
  const char *why = plan_explain_not_taken(vm);
  if (why != NULL)
    doctor_add(findings, DM_FINDING_CANNOT_TAKE, device, DM_VERDICT_WARNING, HOST, DM_REMEDY_LOAD_VIRTIO_MEM, current,
      requested, why);
  else
    doctor_add(findings, DM_FINDING_NOT_TAKEN, device, DM_VERDICT_WARNING, HOST,
      device->current > 0 ? DM_REMEDY_FREE_BLOCKS : DM_REMEDY_LOAD_VIRTIO_MEM, current, requested);
}

void doctor_check_device(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device) {
  check_movable(findings, vm, device);
  check_taken(findings, vm, device);
  check_alignment(findings, vm, device);
  check_refused(findings, vm, device);
}
