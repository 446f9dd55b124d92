/* SPDX-License-Identifier: Apache-2.0 */
/* Whether one device can go, and why not. */
#include "base/size.h"
#include "doctor_private.h"

/* Before 4.13 nothing becomes movable below memory of the kernel's own: see guest/online.c. */
static gboolean is_below_kernel_memory(const DmVm *vm, const DmMemoryDevice *device) {
  uint64_t end = device->address + device->size;
  return device->kind == DM_DEVICE_DIMM && dm_guest_is_before(vm->guest, 4, 13) &&
    dm_guest_range(vm->guest, end, UINT64_MAX - end).kernel > 0;
}

/* Blocks are known: by how many bytes are what. */
static void check_blocks(
  GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device, const DmRangeState *blocks) {
  const char *source = dm_source_name(vm->guest->run_source);
  uint64_t all = blocks->movable + blocks->kernel + blocks->offline + blocks->unknown;
  gboolean dimm = device->kind == DM_DEVICE_DIMM;
  g_autofree char *whole = dm_size_format(all);
  g_autofree char *kernel = dm_size_format(blocks->kernel);
  g_autofree char *offline = dm_size_format(blocks->offline);
  g_autofree char *unknown = dm_size_format(blocks->unknown);
  g_autofree char *going = dm_size_format(blocks->going);
  if (blocks->kernel > 0) {
    doctor_add(findings, "movable", device, dimm ? DM_VERDICT_BAD : DM_VERDICT_WARNING, source,
      g_strdup_printf("%s of its %s are online in a kernel zone%s", kernel, whole,
        dimm ? ", from where memory can seldom be moved, so it would stay" : ", of which the guest may keep some"),
      g_strdup("prepare the guest, which makes movable what can still be made so"));
    doctor_add_command(findings, "dimmer", "guest", "prepare", vm->name, NULL);
  } else if (blocks->absent == all) {
    doctor_add(findings, "movable", device, DM_VERDICT_UNKNOWN, source,
      g_strdup("the guest does not have it among its memory blocks, or not yet"), NULL);
  } else if (blocks->unknown > 0) {
    doctor_add(findings, "movable", device, DM_VERDICT_UNKNOWN, source,
      g_strdup_printf("for %s of its %s nobody told whether they are movable", unknown, whole), NULL);
  } else if (blocks->going > 0) {
    doctor_add(findings, "movable", device, DM_VERDICT_WARNING, source,
      g_strdup_printf(
        "%s of its %s are going offline, which has no end while something there cannot be moved", going, whole),
      g_strdup("wait for its end, or end programs in the guest that keep memory in its place"));
  } else if (blocks->offline > 0 && is_below_kernel_memory(vm, device)) {
    doctor_add(findings, "movable", device, DM_VERDICT_WARNING, source,
      g_strdup_printf("%s of its %s are offline, and stay so: above them lies memory that this kernel uses for itself, "
                      "and below that it makes none movable",
        offline, whole),
      g_strdup("unplug it; what is plugged above that memory can be used"));
    doctor_add_command(findings, "dimmer", "unplug", vm->name, device->alias, NULL);
  } else if (blocks->offline > 0) {
    doctor_add(findings, "movable", device, DM_VERDICT_WARNING, source,
      g_strdup_printf("it can go, but the guest does not use all of it: %s of its %s are offline", offline, whole),
      g_strdup("prepare the guest, which brings them online as movable"));
    doctor_add_command(findings, "dimmer", "guest", "prepare", vm->name, NULL);
  } else {
    doctor_add(findings, "movable", device, DM_VERDICT_GOOD, source,
      g_strdup_printf("all of its %s are online as movable", whole), NULL);
  }
}

/* Who would tell of its memory. */
static char *advise_teller(const DmVm *vm) {
  return g_strdup(vm->guest != NULL && vm->guest->busy
      ? "ask again when no other program speaks to dimmer-guest"
      : "run dimmer-guest in the guest, or let qemu-guest-agent read files");
}

static void check_movable(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device) {
  DmRangeState blocks;
  if (device->kind == DM_DEVICE_OTHER)
    doctor_add(findings, "movable", device, DM_VERDICT_WARNING, HOST,
      g_strdup_printf("it is of kind %s, which cannot be hot unplugged", dm_memory_device_kind_name(device)), NULL);
  else if (device->kind == DM_DEVICE_VIRTIO_MEM && dm_memory_device_memory(device) == 0)
    doctor_add(findings, "movable", device, DM_VERDICT_GOOD, HOST, g_strdup("it is empty"), NULL);
  else if (dm_vm_is_windows(vm) && device->kind == DM_DEVICE_VIRTIO_MEM)
    doctor_add(findings, "movable", device, DM_VERDICT_WARNING, NULL,
      g_strdup("Windows gives memory of it back only by the driver viomem of virtio-win, a technology preview"), NULL);
  else if (dm_vm_is_windows(vm))
    doctor_add(findings, "movable", device, DM_VERDICT_BAD, NULL,
      g_strdup("Windows cannot release memory devices while it runs"), NULL);
  else if (dm_vm_device_blocks(vm, device, &blocks))
    check_blocks(findings, vm, device, &blocks);
  else if (vm->guest != NULL && vm->guest->runs != NULL)
    doctor_add(findings, "movable", device, DM_VERDICT_UNKNOWN, HOST,
      g_strdup("it is not known which of the guest's memory blocks are its own"), NULL);
  else
    doctor_add(findings, "movable", device, DM_VERDICT_UNKNOWN, NULL,
      g_strdup("nobody told whether its memory is movable"), advise_teller(vm));
}

/* A new device that is plugged beside it gets a place of its own: see plan_place_dimms(). */
static char *advise_place(const DmMemoryDevice *device, uint64_t block) {
  g_autofree char *text = dm_size_format(block);
  if (device->address % block == 0)
    return g_strdup_printf("unplug it, and plug a multiple of %s in its place", text);
  return g_strdup_printf("plug a multiple of %s beside it, which will begin with a block, and then unplug it", text);
}

/* Linux adds nothing of a device that does not begin and end with a block (kernel: check_hotplug_memory_range()). */
static void check_alignment(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device) {
  uint64_t block = dm_vm_block(vm);
  if (device->kind != DM_DEVICE_DIMM || block == 0 || (device->size % block == 0 && device->address % block == 0))
    return;
  g_autofree char *size = dm_size_format(device->size);
  g_autofree char *block_text = dm_size_format(block);
  doctor_add(findings, "block-size", device, DM_VERDICT_BAD, dm_source_name(vm->guest->block_source),
    g_strdup_printf("it is no whole number of memory blocks of %s (%s from %#" G_GINT64_MODIFIER
                    "x), so the guest cannot use it",
      block_text, size, device->address),
    advise_place(device, block));
}

/* The guest's kernel has memory of it for itself, which ends with no program. */
static gboolean is_kernels(const DmVm *vm, const DmMemoryDevice *device) {
  return device->movable == DM_MOVABLE_NO && !dm_vm_is_windows(vm);
}

/* NULL: nothing helps. Old kernels give a block up at once where a page of it is in use for a moment. */
static char *advise_refused(const DmVm *vm, const DmMemoryDevice *device) {
  if (dm_vm_is_windows(vm))
    return NULL;
  if (vm->guest != NULL && dm_guest_is_before(vm->guest, 4, 13) && !is_kernels(vm, device))
    return g_strdup(
      "ask again, as this kernel refuses in passing too, or run dimmer-guest in the guest, which repeats "
      "what it refuses");
  return g_strdup(is_kernels(vm, device)
      ? "prepare the guest, so that it comes online as movable when the guest starts anew: what its kernel has there "
        "stays until then"
      : "end programs in the guest that hold memory, then ask again");
}

static void check_refused(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device) {
  const DmRefusal *refusal = dm_vm_find_refusal(vm, device);
  if (refusal == NULL)
    return;
  g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(refusal->at);
  g_autofree char *text = at != NULL ? g_date_time_format(at, "%Y-%m-%d %H:%M UTC") : g_strdup("some time");
  doctor_add(findings, "refused", device, DM_VERDICT_WARNING, HOST,
    g_strdup_printf("the guest refused to release it (%s), and nothing is known to have changed there since", text),
    advise_refused(vm, device));
  if (is_kernels(vm, device))
    doctor_add_command(findings, "dimmer", "guest", "prepare", vm->name, NULL);
}

void doctor_check_device(GPtrArray *findings, const DmVm *vm, const DmMemoryDevice *device) {
  check_movable(findings, vm, device);
  check_alignment(findings, vm, device);
  check_refused(findings, vm, device);
}
