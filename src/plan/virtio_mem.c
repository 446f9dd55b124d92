/* SPDX-License-Identifier: Apache-2.0 */
/* What of virtio-mem a guest accepts, by its report. */
#include "base/size.h"
#include "change.h"

const char *plan_explain_not_taken(const DmVm *vm) {
  if (dm_vm_is_windows(vm))
    return DM_PHRASE_NEEDS_VIOMEM;
  if (vm->guest != NULL && dm_guest_is_before(vm->guest, 5, 8))
    return DM_PHRASE_OLD_KERNEL;
  if (vm->guest != NULL && vm->guest->virtio_mem == DM_FACT_NO)
    return DM_PHRASE_NO_DRIVER;
  return NULL;
}

gboolean plan_takes_nothing(const DmVm *vm) {
  return vm->guest != NULL && !dm_vm_is_windows(vm) &&
    (vm->guest->virtio_mem == DM_FACT_NO || dm_guest_is_before(vm->guest, 5, 8));
}

/* A transparent huge page of x86 and POWER. */
#define USUAL_BLOCK (2 * DM_MIB)

uint64_t plan_virtio_mem_block(const DmVm *vm, int node) {
  return MAX(USUAL_BLOCK, dm_config_page(vm->live, node));
}

uint64_t plan_usable_size(const DmVm *vm, const DmMemoryDevice *device) {
  return device->size - device->size % MAX(dm_vm_factor(vm), dm_vm_block(vm));
}

uint64_t plan_room_to_grow(const DmVm *vm) {
  uint64_t room = 0;
  for (guint i = 0; !plan_takes_nothing(vm) && i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind == DM_DEVICE_VIRTIO_MEM)
      room = dm_size_plus(room, dm_size_minus(plan_usable_size(vm, device), dm_memory_device_promised(device)));
  }
  return room;
}
