/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of new devices. QEMU puts each into the first gap that fits, aligned only to its pages, and Linux does not
 * add a DIMM that begins within a memory block (kernel: check_hotplug_memory_range()). That happens behind a device
 * that does not end at a block boundary; then an explicit address is set. If the block size is not known, it is taken
 * to be the step of hot plug.
 *
 * libvirt reports the addresses of DIMMs, and since 9.4 of virtio-mem devices. Otherwise a device is assumed as high as
 * QEMU could have put it. If another device is there nevertheless, QEMU rejects the address and nothing changes.
 */
#include <string.h>

#include "base/size.h"
#include "change.h"

/* QEMU's device memory begins at a whole GiB (hw/i386/pc.c: pc_get_device_memory_range(), and other machines alike). */
#define BASE_STEP DM_GIB

/* As far as libvirt reports addresses. */
typedef struct {
  uint64_t lowest;    /* of devices with a known address; 0: none */
  uint64_t end;       /* of the highest one */
  uint64_t placeless; /* size of the others, in whole blocks */
  gboolean odd;       /* one begins or ends within a block */
} Places;

static uint64_t block_of(const DmVm *vm) {
  return MAX(dm_vm_factor(vm), dm_vm_block(vm));
}

static Places find_places(const DmVm *vm, uint64_t block) {
  Places places = {0};
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    uint64_t end = dm_size_plus(device->address, device->size);
    places.odd |= device->address % block != 0 || end % block != 0;
    if (device->address == 0) {
      places.placeless = dm_size_plus(places.placeless, dm_size_round_up(device->size, block));
      continue;
    }
    places.lowest = places.lowest == 0 ? device->address : MIN(places.lowest, device->address);
    places.end = MAX(places.end, end);
  }
  return places;
}

/*
 * Where device memory begins on a PC: above 4 GiB and the boot memory that does not fit below, which depends on its
 * total (hw/i386/pc_q35.c, pc_piix.c). 0: not known.
 */
static uint64_t base_of_pc(const DmVm *vm) {
  const char *machine = vm->facts.machine;
  uint64_t boot = dm_config_boot(vm->live), below;
  if (machine == NULL || strstr(machine, "microvm") != NULL)
    return 0;
  if (strstr(machine, "q35") != NULL)
    below = boot >= 2816 * DM_MIB ? 2 * DM_GIB : 2816 * DM_MIB;
  else if (g_str_has_prefix(machine, "pc"))
    below = boot >= 3584 * DM_MIB ? 3 * DM_GIB : 3584 * DM_MIB;
  else
    return 0;
  return dm_size_round_up(4 * DM_GIB + dm_size_minus(boot, below), BASE_STEP);
}

/* The address above all devices. FALSE: not known. */
static gboolean find_start(const DmVm *vm, const Places *places, uint64_t block, uint64_t *start) {
  uint64_t base = places->lowest != 0 ? places->lowest - places->lowest % BASE_STEP : base_of_pc(vm);
  if (places->placeless > 0 && base == 0)
    return FALSE;
  *start = dm_size_round_up(dm_size_plus(MAX(places->end, base), places->placeless), block);
  return TRUE;
}

gboolean plan_knows_places(const DmVm *vm) {
  uint64_t block = block_of(vm), start;
  Places places = find_places(vm, block);
  return find_start(vm, &places, block, &start);
}

static gboolean is_taken(const DmVm *vm, const DmPlan *plan, int slot) {
  for (guint i = 0; i < vm->live->devices->len; i++) {
    if (((DmMemoryDevice *)vm->live->devices->pdata[i])->slot == slot)
      return TRUE;
  }
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    if (step->run.address != 0 && step->run.slot == slot)
      return TRUE;
  }
  return FALSE;
}

static void place(DmPlan *plan, const DmVm *vm, DmStep *step, uint64_t address) {
  int slot = 0;
  while (step->kind == DM_DEVICE_DIMM && is_taken(vm, plan, slot))
    slot++;
  step->run.slot = step->kind == DM_DEVICE_DIMM ? slot : -1;
  step->run.address = address;
}

void plan_place_devices(DmPlan *plan, const DmVm *vm) {
  uint64_t block = block_of(vm), start;
  Places places = find_places(vm, block);
  if (!places.odd)
    return;
  if (!find_start(vm, &places, block, &start)) {
    g_autofree char *text = dm_size_format(block);
    plan_note(plan, DM_NOTE_PLACE, vm->name, text);
    return;
  }
  for (guint i = 0; i < plan->steps->len; i++) {
    DmStep *step = plan->steps->pdata[i];
    if (step->op != DM_OP_PLUG)
      continue;
    start = dm_size_round_up(start, dm_vm_plug_step(vm, step->node)); /* whole huge pages, too */
    place(plan, vm, step, start);
    start = dm_size_round_up(dm_size_plus(start, step->size), block);
  }
}

void plan_add_dimms(DmPlan *plan, const DmVm *vm, DmPlugPolicy policy, uint64_t size, int node) {
  uint64_t minimal = dm_vm_plug_step(vm, node);
  g_autoptr(GArray) sizes = dm_plan_plug(policy, size, minimal, vm->live, dm_config_free_slots(vm->live));
  for (guint i = 0; i < sizes->len; i++) {
    uint64_t dimm = g_array_index(sizes, uint64_t, i);
    plan_add_plug(plan, vm->live, DM_DEVICE_DIMM, dimm, dimm, 0, node);
  }
  plan_place_devices(plan, vm);
  if (dm_vm_is_windows(vm))
    plan_note(plan, DM_NOTE_WINDOWS, vm->name);
}
