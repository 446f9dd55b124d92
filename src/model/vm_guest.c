/* SPDX-License-Identifier: Apache-2.0 */
/* A VM together with its guest's report: which devices can go, which refused, and what can be plugged. */
#include "model/vm.h"

#include <string.h>

#include "base/size.h"

/* Every kernel's block size is a power of two: anything else is not from a kernel. */
uint64_t dm_vm_block(const DmVm *vm) {
  uint64_t block = vm->guest != NULL ? vm->guest->block : 0;
  return (block & (block - 1)) == 0 ? block : 0;
}

uint64_t dm_vm_plug_step(const DmVm *vm, int node) {
  return MAX(MAX(dm_vm_factor(vm), dm_config_page(dm_vm_current(vm), node)), dm_vm_block(vm));
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

/* What it does not hold of its full size is no memory of the guest. */
static DmRangeState held_range(const DmGuest *guest, const DmMemoryDevice *device) {
  DmRangeState state = dm_guest_range(guest, device->address, device->size);
  uint64_t empty = MIN(state.absent, dm_size_minus(device->size, device->current));
  state.absent -= empty;
  state.unknown -= empty;
  return state;
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
      if (device->address != 0 && vm->live->keeps_addresses) {
        *state = held_range(vm->guest, device);
        return TRUE;
      }
      if (!is_only_virtio_mem(vm, device) || !add_virtio_runs(vm->guest, &virtio))
        return FALSE;
      *state = virtio;
      return TRUE;
    case DM_DEVICE_OTHER:
      break;
  }
  return FALSE;
}

/* Offline blocks that are no DIMM's; 0 where a DIMM's place is not known. */
static uint64_t offline_beside_dimms(const DmVm *vm) {
  uint64_t offline = 0, of_dimms = 0;
  for (guint i = 0; i < vm->guest->runs->len; i++) {
    const DmBlockRun *run = &g_array_index(vm->guest->runs, DmBlockRun, i);
    offline += run->state == DM_BLOCK_OFFLINE ? run->size : 0;
  }
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->kind == DM_DEVICE_VIRTIO_MEM)
      continue;
    if (device->address == 0)
      return 0;
    of_dimms += dm_guest_range(vm->guest, device->address, device->size).offline;
  }
  return dm_size_minus(offline, of_dimms);
}

uint64_t dm_vm_device_idle(const DmVm *vm, const DmMemoryDevice *device) {
  DmRangeState state;
  if (dm_vm_device_blocks(vm, device, &state))
    return dm_size_plus(state.offline, state.absent);
  gboolean knows = vm->guest != NULL && vm->guest->runs != NULL && vm->live != NULL;
  if (!knows || device->kind != DM_DEVICE_VIRTIO_MEM || !is_only_virtio_mem(vm, device))
    return 0;
  return MIN(offline_beside_dimms(vm), device->current); /* its guest did not say whose they are */
}

DmUse dm_vm_device_use(const DmVm *vm, const DmMemoryDevice *device) {
  DmRangeState state;
  if (device->kind == DM_DEVICE_VIRTIO_MEM && dm_memory_device_memory(device) == 0)
    return device->requested > 0 ? DM_USE_NONE : DM_USE_UNKNOWN;
  return dm_vm_device_blocks(vm, device, &state) ? dm_range_use(&state) : DM_USE_UNKNOWN;
}

static DmFact reported_windows(const DmVm *vm) {
  return vm->guest != NULL ? vm->guest->windows : DM_FACT_UNKNOWN;
}

/* libosinfo's: "http://microsoft.com/win/2k22". */
gboolean dm_vm_is_windows(const DmVm *vm) {
  DmFact reported = reported_windows(vm);
  if (reported != DM_FACT_UNKNOWN)
    return reported == DM_FACT_YES;
  return vm->facts.os != NULL && strstr(vm->facts.os, "//microsoft.com/win") != NULL;
}

static DmMovable movable_of(const DmVm *vm, const DmMemoryDevice *device) {
  DmRangeState state;
  if (device->kind == DM_DEVICE_DIMM && reported_windows(vm) == DM_FACT_YES) /* a definition can be wrong */
    return DM_MOVABLE_NO;
  if (!dm_vm_device_blocks(vm, device, &state))
    return DM_MOVABLE_UNKNOWN;
  if (state.kernel > 0)
    return DM_MOVABLE_NO;
  /* Memory never accepted, or offline, holds no data. */
  return state.unknown > 0 && state.absent < device->size ? DM_MOVABLE_UNKNOWN : DM_MOVABLE_YES;
}

char *dm_vm_fingerprint(const DmVm *vm, const DmMemoryDevice *device) {
  if (vm->guest == NULL || device->address == 0)
    return NULL;
  return dm_guest_fingerprint(vm->guest, device->address, device->size);
}

/* If either is not known, nothing suggests that the guest would answer differently now. */
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
