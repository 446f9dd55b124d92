/* SPDX-License-Identifier: Apache-2.0 */
/* A VM together with what its guest told: which device can go, which refused, and what can be plugged. */
#include "model/vm.h"

#include <string.h>

#include "base/size.h"

/* Blocks of every kernel are powers of two: anything else is no kernel's word. */
uint64_t dm_vm_block(const DmVm *vm) {
  uint64_t block = vm->guest != NULL ? vm->guest->block : 0;
  return (block & (block - 1)) == 0 ? block : 0;
}

uint64_t dm_vm_plug_step(const DmVm *vm) {
  return MAX(MAX(dm_vm_factor(vm), dm_vm_current(vm)->page), dm_vm_block(vm));
}

static gboolean is_only_virtio_mem(const DmVm *vm, const DmMemoryDevice *device) {
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *other = vm->live->devices->pdata[i];
    if (other->kind == DM_DEVICE_VIRTIO_MEM && other != device)
      return FALSE;
  }
  return TRUE;
}

static gboolean add_virtio_runs(const DmGuest *guest, DmRangeState *state) {
  gboolean found = FALSE;
  for (guint i = 0; i < guest->runs->len; i++) {
    const DmBlockRun *run = &g_array_index(guest->runs, DmBlockRun, i);
    if (run->virtio)
      dm_range_add(state, run, run->size);
    found |= run->virtio;
  }
  return found;
}

gboolean dm_vm_device_blocks(const DmVm *vm, const DmMemoryDevice *device, DmRangeState *state) {
  DmRangeState virtio = {0};
  if (vm->guest == NULL || vm->guest->runs == NULL || vm->live == NULL)
    return FALSE;
  switch (device->kind) {
    case DM_DEVICE_DIMM:
      if (device->address == 0)
        return FALSE;
      *state = dm_guest_range(vm->guest, device->address, device->size);
      return TRUE;
    case DM_DEVICE_VIRTIO_MEM:
      if (!is_only_virtio_mem(vm, device) || !add_virtio_runs(vm->guest, &virtio))
        return FALSE;
      *state = virtio;
      return TRUE;
    case DM_DEVICE_OTHER:
      break;
  }
  return FALSE;
}

static DmFact told_windows(const DmVm *vm) {
  return vm->guest != NULL ? vm->guest->windows : DM_FACT_UNKNOWN;
}

/* libosinfo's: "http://microsoft.com/win/2k22". */
gboolean dm_vm_is_windows(const DmVm *vm) {
  DmFact told = told_windows(vm);
  if (told != DM_FACT_UNKNOWN)
    return told == DM_FACT_YES;
  return vm->facts.os != NULL && strstr(vm->facts.os, "//microsoft.com/win") != NULL;
}

static DmMovable movable_of(const DmVm *vm, const DmMemoryDevice *device) {
  DmRangeState state;
  if (device->kind == DM_DEVICE_DIMM && told_windows(vm) == DM_FACT_YES) /* a definition can be wrong */
    return DM_MOVABLE_NO;
  if (!dm_vm_device_blocks(vm, device, &state))
    return DM_MOVABLE_UNKNOWN;
  if (state.kernel > 0)
    return DM_MOVABLE_NO;
  return state.unknown > 0 ? DM_MOVABLE_UNKNOWN : DM_MOVABLE_YES;
}

char *dm_vm_fingerprint(const DmVm *vm, const DmMemoryDevice *device) {
  if (vm->guest == NULL || device->address == 0)
    return NULL;
  return dm_guest_fingerprint(vm->guest, device->address, device->size);
}

/* Where either side is not known, nothing tells that the guest would answer otherwise now. */
static gboolean still_holds(const DmVm *vm, const DmRefusal *refusal, const DmMemoryDevice *device) {
  g_autofree char *now = dm_vm_fingerprint(vm, device);
  return refusal->guest == NULL || now == NULL || g_str_equal(refusal->guest, now);
}

void dm_vm_take_guest(DmVm *vm, DmGuest *guest) {
  dm_guest_free(vm->guest);
  vm->guest = guest;
  if (vm->live == NULL)
    return;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    DmMemoryDevice *device = vm->live->devices->pdata[i];
    device->movable = movable_of(vm, device);
  }
  for (guint i = vm->refusals->len; i > 0; i--) {
    const DmRefusal *refusal = vm->refusals->pdata[i - 1];
    const DmMemoryDevice *device = dm_config_find_alias(vm->live, refusal->alias);
    if (device == NULL || !still_holds(vm, refusal, device))
      g_ptr_array_remove_index(vm->refusals, i - 1);
  }
}

const DmRefusal *dm_vm_find_refusal(const DmVm *vm, const DmMemoryDevice *device) {
  for (guint i = vm->refusals->len; i > 0; i--) {
    const DmRefusal *refusal = vm->refusals->pdata[i - 1];
    if (g_strcmp0(refusal->alias, device->alias) == 0 && still_holds(vm, refusal, device))
      return refusal;
  }
  return NULL;
}

gboolean dm_vm_was_refused(const DmVm *vm, const DmMemoryDevice *device) {
  return dm_vm_find_refusal(vm, device) != NULL;
}
