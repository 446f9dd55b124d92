/* SPDX-License-Identifier: Apache-2.0 */
/* What the host knows of a VM without asking its guest. */
#include "base/size.h"
#include "change.h"
#include "doctor_private.h"

static guint count_devices(const DmVm *vm, DmDeviceKind kind, uint64_t *memory) {
  guint count = 0;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind != kind)
      continue;
    count++;
    *memory = dm_size_plus(*memory, dm_memory_device_memory(device));
  }
  return count;
}

static void check_hot_plugged(GPtrArray *findings, const DmVm *vm) {
  uint64_t memory = 0;
  guint count = count_devices(vm, DM_DEVICE_DIMM, &memory) + count_devices(vm, DM_DEVICE_VIRTIO_MEM, &memory);
  g_autofree char *text = dm_size_format(memory);
  if (count > 0) {
    doctor_add(findings, "hot-plugged", NULL, DM_VERDICT_GOOD, HOST,
      g_strdup_printf(
        "%u memory device%s with %s %s hot plugged", count, count > 1 ? "s" : "", text, count > 1 ? "are" : "is"),
      NULL);
    return;
  }
  gboolean can_go = !dm_vm_is_windows(vm);
  doctor_add(findings, "hot-plugged", NULL, DM_VERDICT_WARNING, HOST,
    g_strdup("no memory device is hot plugged, and boot memory cannot be hot unplugged"),
    can_go ? g_strdup("plug one, which can go again") : NULL);
  if (can_go)
    doctor_add_command(findings, "dimmer", "plug", vm->name, "SIZE", NULL);
}

static void check_slots(GPtrArray *findings, const DmVm *vm) {
  guint free_slots = dm_config_free_slots(vm->live);
  if (free_slots > 0) {
    doctor_add(findings, "slots", NULL, DM_VERDICT_GOOD, HOST,
      g_strdup_printf("%u of %u memory slots %s free", free_slots, vm->live->slots, free_slots > 1 ? "are" : "is"),
      NULL);
    return;
  }
  doctor_add(findings, "slots", NULL, DM_VERDICT_WARNING, HOST,
    g_strdup_printf("all %u memory slots are taken, so nothing more can be hot plugged", vm->live->slots),
    g_strdup("unplug a device, or get more slots at the next start"));
  doctor_add_command(findings, "dimmer", "enable", vm->name, "--max", "SIZE", "--slots", "N", NULL);
}

static void check_room(GPtrArray *findings, const DmVm *vm) {
  const char *lacks = dm_rule_lacks(vm);
  if (lacks != NULL) {
    doctor_add(findings, "room", NULL, DM_VERDICT_BAD, HOST,
      g_strdup_printf("the VM cannot hot plug memory: %s", lacks), g_strdup("set its next run up for it"));
    doctor_add_command(findings, "dimmer", "enable", vm->name, "--max", "SIZE", NULL);
    return;
  }
  uint64_t room = dm_config_plug_room(vm->live), step = dm_vm_plug_step(vm);
  g_autofree char *room_text = dm_size_format(room);
  g_autofree char *step_text = dm_size_format(step);
  g_autofree char *maximum = dm_size_format(vm->live->maximum);
  if (room >= step) {
    doctor_add(findings, "room", NULL, DM_VERDICT_GOOD, HOST,
      g_strdup_printf("%s more can be hot plugged below the maximum of %s", room_text, maximum), NULL);
    return;
  }
  doctor_add(findings, "room", NULL, DM_VERDICT_WARNING, HOST,
    g_strdup_printf(
      "%s are left below the maximum of %s, less than the smallest DIMM (%s)", room_text, maximum, step_text),
    g_strdup("get a larger maximum at the next start"));
  doctor_add_command(findings, "dimmer", "set", vm->name, "--max", "SIZE", NULL);
}

static void check_balloon(GPtrArray *findings, const DmVm *vm) {
  uint64_t held = plan_held_by_balloon(vm), memory = dm_config_memory(vm->live), unused = 0;
  if (held > 0) {
    g_autofree char *text = dm_size_format(dm_size_floor_mib(held));
    g_autofree char *kib = g_strdup_printf("%" G_GUINT64_FORMAT, memory / DM_KIB);
    doctor_add(findings, "balloon", NULL, DM_VERDICT_WARNING, HOST,
      g_strdup_printf("the balloon is inflated by %s, which can make the guest refuse to release devices", text),
      g_strdup("deflate it first"));
    doctor_add_command(findings, "virsh", "setmem", vm->name, kib, "--live", NULL);
  } else if (vm->balloon && count_devices(vm, DM_DEVICE_VIRTIO_MEM, &unused) > 0) {
    doctor_add(findings, "balloon", NULL, DM_VERDICT_UNKNOWN, HOST,
      g_strdup("whether the balloon is inflated cannot be told beside a virtio-mem device"), NULL);
  } else {
    doctor_add(findings, "balloon", NULL, DM_VERDICT_GOOD, HOST,
      g_strdup(vm->balloon ? "the balloon is not inflated" : "the VM has no balloon"), NULL);
  }
}

static void check_huge_pages(GPtrArray *findings, const DmVm *vm) {
  uint64_t page = vm->live->page;
  g_autofree char *text = dm_size_format(page);
  if (page == 0)
    doctor_add(
      findings, "huge-pages", NULL, DM_VERDICT_GOOD, HOST, g_strdup("the memory is backed by ordinary pages"), NULL);
  else if (page <= dm_vm_factor(vm))
    doctor_add(findings, "huge-pages", NULL, DM_VERDICT_GOOD, HOST,
      g_strdup_printf("the memory is backed by huge pages of %s, which any DIMM is a multiple of", text), NULL);
  else
    doctor_add(findings, "huge-pages", NULL, DM_VERDICT_WARNING, HOST,
      g_strdup_printf("the memory is backed by huge pages of %s, so DIMMs come and go in steps of that", text), NULL);
}

static void check_vfio(GPtrArray *findings, const DmVm *vm) {
  uint64_t unused = 0;
  gboolean virtio = count_devices(vm, DM_DEVICE_VIRTIO_MEM, &unused) > 0;
  if (!vm->vfio)
    doctor_add(findings, "vfio", NULL, DM_VERDICT_GOOD, HOST, g_strdup("no host device (VFIO) pins the memory"), NULL);
  else
    doctor_add(findings, "vfio", NULL, DM_VERDICT_WARNING, HOST,
      g_strdup_printf(
        "host devices (VFIO) pin the memory, so a DIMM takes its whole size on the host at once%s; where the "
        "host does not have that, QEMU may end",
        virtio ? ", and a virtio-mem device what the guest has of it" : ""),
      NULL);
}

static void check_migration(GPtrArray *findings, const DmVm *vm) {
  if (vm->job == NULL) {
    doctor_add(findings, "migration", NULL, DM_VERDICT_GOOD, HOST, g_strdup("no migration is under way"), NULL);
    return;
  }
  gboolean began_here = vm->state == DM_VM_RUNNING;
  doctor_add(findings, "migration", NULL, DM_VERDICT_BAD, HOST,
    g_strdup_printf("the VM is being %s, and until that is over nothing can be plugged or unplugged", vm->job),
    g_strdup(began_here ? "wait until that is over, or abort it" : "wait until that is over"));
  if (began_here)
    doctor_add_command(findings, "virsh", "domjobabort", vm->name, NULL);
}

static void check_request(GPtrArray *findings, const DmVm *vm) {
  guint count = 0;
  uint64_t sum = 0;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    const DmStep *step = plan_pending_step(vm->request, device);
    if (step == NULL || step->to >= dm_memory_device_memory(device))
      continue;
    count++;
    sum = dm_size_plus(sum, dm_memory_device_memory(device) - step->to);
  }
  g_autofree char *text = dm_size_format(sum);
  if (count == 0) {
    doctor_add(
      findings, "request", NULL, DM_VERDICT_GOOD, HOST, g_strdup("no earlier request waits for an answer"), NULL);
    return;
  }
  gboolean again = dm_request_asks_again(vm->request);
  doctor_add(findings, "request", NULL, DM_VERDICT_WARNING, HOST,
    g_strdup_printf(
      "the guest was asked to release %s of %u device%s, and has not answered yet", text, count, count > 1 ? "s" : ""),
    g_strdup(again ? "ask it again" : "wait for it, or start the VM anew: a later request wants that memory kept"));
  if (again)
    doctor_add_command(findings, "dimmer", "settle", vm->name, NULL);
}

void doctor_check_host(GPtrArray *findings, const DmVm *vm) {
  check_hot_plugged(findings, vm);
  check_room(findings, vm);
  if (dm_rule_lacks(vm) == NULL)
    check_slots(findings, vm);
  check_balloon(findings, vm);
  check_huge_pages(findings, vm);
  check_vfio(findings, vm);
  check_migration(findings, vm);
  check_request(findings, vm);
}
