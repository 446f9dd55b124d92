/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where new DIMMs go. QEMU puts each into the first gap that holds it, aligned to its pages alone, and Linux adds
 * nothing of one that begins within a memory block (kernel: check_hotplug_memory_range()). That happens behind a device
 * that does not end with a block itself; behind such a one, the address is asked for.
 */
#include "base/size.h"
#include "change.h"

/* As far as libvirt tells where devices are. */
typedef struct {
  uint64_t end;       /* of the highest one */
  gboolean odd;       /* one of them begins or ends within a block */
  gboolean placeless; /* it is not known where one of them is */
} Places;

static Places find_places(const DmVm *vm, uint64_t block) {
  Places places = {0};
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    uint64_t end = dm_size_plus(device->address, device->size);
    if (device->address == 0) {
      places.placeless = TRUE;
      continue;
    }
    places.odd |= device->address % block != 0 || end % block != 0;
    places.end = MAX(places.end, end);
  }
  return places;
}

static gboolean is_taken(const DmVm *vm, const DmPlan *plan, int slot) {
  for (guint i = 0; i < vm->live->devices->len; i++) {
    if (((DmMemoryDevice *)vm->live->devices->pdata[i])->slot == slot)
      return TRUE;
  }
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    if (step->address != 0 && step->slot == slot)
      return TRUE;
  }
  return FALSE;
}

void plan_place_dimms(DmPlan *plan, const DmVm *vm) {
  uint64_t block = dm_vm_block(vm);
  Places places = block != 0 ? find_places(vm, block) : (Places){0};
  if (!places.odd)
    return;
  if (places.placeless) {
    g_autofree char *text = dm_size_format(block);
    plan_note(plan,
      "the guest of %s may not be able to use what is plugged: its memory blocks are %s, and QEMU can let it begin within "
      "one",
      vm->name, text);
    return;
  }
  for (guint i = 0; i < plan->steps->len; i++) {
    DmStep *step = plan->steps->pdata[i];
    if (step->op != DM_OP_PLUG || step->kind != DM_DEVICE_DIMM)
      continue;
    uint64_t address = dm_size_plus(places.end, block - 1) / block * block;
    int slot = 0;
    while (is_taken(vm, plan, slot))
      slot++;
    step->address = address;
    step->slot = slot;
    places.end = dm_size_plus(address, step->size);
  }
}
