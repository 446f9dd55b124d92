/* SPDX-License-Identifier: Apache-2.0 */
/* What one VM could give of a total: its devices and its balloon, and why nothing. */
#include "base/size.h"
#include "change.h"
#include "plan/balloon.h"
#include "plan/reclaim.h"
#include "plan/rules.h"
#include "plan/unplug.h"

void dm_reclaim_offer_free(DmReclaimOffer *offer) {
  if (offer == NULL)
    return;
  g_array_unref(offer->parts);
  g_free(offer);
}

/* What costs the guest nothing goes first, and what it refused before last. */
enum {
  RANK_IDLE,
  RANK_BLOCKS,
  RANK_DIMM,
  RANK_REFUSED
};

static void add_part(DmReclaimOffer *offer, uint64_t size, uint64_t needs, uint64_t block, guint rank) {
  DmReclaimPart part = {size, needs, block, rank};
  if (size > 0)
    g_array_append_val(offer->parts, part);
}

static void add_release(DmReclaimOffer *offer, const DmVm *vm, const DmRelease *release) {
  const DmMemoryDevice *device = release->device;
  uint64_t size = release->release, needs = plan_needs_of(vm, device, size);
  gboolean refused = dm_vm_was_refused(vm, device);
  if (device->kind == DM_DEVICE_DIMM) {
    add_part(offer, size, needs, 0, refused ? RANK_REFUSED : needs == 0 ? RANK_IDLE : RANK_DIMM);
    return;
  }
  uint64_t idle = (size - needs) - (size - needs) % device->block;
  add_part(offer, idle, 0, device->block, RANK_IDLE);
  add_part(offer, size - idle, size - idle, device->block, refused ? RANK_REFUSED : RANK_BLOCKS);
}

/* The devices that give most of @most. */
static void add_devices(DmReclaimOffer *offer, const DmVm *vm, uint64_t most) {
  g_autoptr(GPtrArray) candidates = g_ptr_array_new();
  for (guint i = 0; i < vm->live->devices->len; i++) {
    DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (!plan_leaves_out(device, 0))
      g_ptr_array_add(candidates, device);
  }
  g_autoptr(GArray) releases = dm_plan_unplug(candidates, most);
  for (guint i = 0; i < releases->len; i++)
    add_release(offer, vm, &g_array_index(releases, DmRelease, i));
}

static int by_rank_smallest_first(gconstpointer a, gconstpointer b) {
  const DmReclaimPart *left = a, *right = b;
  if (left->rank != right->rank)
    return left->rank < right->rank ? -1 : 1;
  return (left->size > right->size) - (left->size < right->size);
}

/* What its devices hold that the guest does not use at all. */
static uint64_t idle_of(const DmVm *vm) {
  uint64_t idle = 0;
  for (guint i = 0; i < vm->live->devices->len; i++)
    idle = dm_size_plus(idle, dm_vm_device_idle(vm, vm->live->devices->pdata[i]));
  return idle;
}

static void offer_balloon(DmReclaimOffer *offer, const DmVm *vm, gboolean balloon, uint64_t held, uint64_t out) {
  DmLack lack;
  uint64_t spare, reserve;
  gboolean allowed = balloon || vm->live->balloon_use == DM_BALLOON_USE_ALLOW;
  if (!allowed || plan_lacks_balloon(vm, &lack) || !plan_balloon_spare(vm, &spare, &reserve))
    return;
  offer->balloon = MIN(dm_size_minus(spare, out), dm_size_minus(dm_config_fixed(vm->live), held + DM_MIB));
}

static void fill(DmReclaimOffer *offer, const DmVm *vm, gboolean balloon, uint64_t held) {
  uint64_t spare, reserve, out = plan_needs(vm, NULL, vm->request).out;
  if (!dm_plan_spare(vm, &spare, &reserve))
    return;
  offer->usable = dm_size_minus(dm_config_memory(vm->live), held);
  offer->unused = MIN(dm_size_plus(vm->guest->available, idle_of(vm)), offer->usable);
  offer->room = dm_size_minus(offer->usable, vm->live->guaranteed);
  offer->spare = dm_size_minus(spare, out);
  add_devices(offer, vm, MIN(offer->room, dm_size_plus(offer->spare, idle_of(vm))));
  g_array_sort(offer->parts, by_rank_smallest_first);
  offer_balloon(offer, vm, balloon, held, out);
}

/*
 * What its balloon holds by dimmer's doing: a request for less memory has it give that back first, and devices take its
 * place. FALSE: another program has it hold a part as well, and what would come of both is not foreseen.
 */
static gboolean find_own(const DmVm *vm, uint64_t held, uint64_t *own) {
  uint64_t others = dm_balloon_of_others(vm->live, held);
  *own = vm->live->balloon_use == DM_BALLOON_USE_NEVER ? 0 : held - others;
  return *own == 0 || others == 0;
}

static gboolean is_known(const DmVm *vm, uint64_t *held) {
  gboolean tells =
    vm->guest != NULL && vm->guest->memory_source != DM_SOURCE_NONE && vm->guest->memory_source != DM_SOURCE_HYPERVISOR;
  return tells && dm_vm_ballooned(vm, held);
}

/* Why it is not to be asked at all; NULL: it may be. */
static DmNote *why_not(const DmVm *vm, uint64_t *held) {
  if (vm->state != DM_VM_RUNNING || vm->live == NULL)
    return dm_note_new(DM_NOTE_OFFER_NOT_RUNNING, vm->name, dm_vm_state_name(vm->state));
  if (vm->job != NULL)
    return dm_note_new(DM_NOTE_OFFER_BUSY, vm->name, vm->job);
  if (vm->request != NULL)
    return dm_note_new(DM_NOTE_OFFER_REQUEST, vm->name);
  uint64_t own;
  if (!is_known(vm, held))
    return dm_note_new(DM_NOTE_OFFER_UNKNOWN, vm->name);
  return find_own(vm, *held, &own) ? NULL : dm_note_new(DM_NOTE_OFFER_OTHERS, vm->name);
}

/* It has a device that could go. */
static gboolean has_any(const DmVm *vm) {
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (!plan_leaves_out(device, 0) && dm_memory_device_memory(device) > 0)
      return TRUE;
  }
  return FALSE;
}

/* Why it has nothing to give; NULL: it has. */
static DmNote *why_nothing(const DmReclaimOffer *offer, const DmVm *vm) {
  DmReclaimShare most;
  dm_reclaim_share_out(&offer, 1, offer->usable, &most);
  if (dm_reclaim_share_sum(&most) > 0)
    return NULL;
  g_autofree char *guaranteed = dm_size_format(vm->live->guaranteed);
  g_autofree char *spare = dm_size_format(dm_size_floor_mib(offer->spare));
  if (!has_any(vm) && offer->balloon == 0)
    return dm_note_new(DM_NOTE_OFFER_NO_DEVICE, vm->name);
  if (offer->spare < DM_MIB)
    return dm_note_new(DM_NOTE_OFFER_NO_SPARE, vm->name);
  if (offer->room < offer->spare)
    return dm_note_new(DM_NOTE_OFFER_GUARANTEED, vm->name, guaranteed);
  return dm_note_new(DM_NOTE_OFFER_SPARE, vm->name, spare);
}

DmReclaimOffer *dm_reclaim_offer(const DmVm *vm, gboolean balloon, DmNote **reason) {
  DmReclaimOffer *offer = g_new0(DmReclaimOffer, 1);
  uint64_t held = 0;
  offer->parts = g_array_new(FALSE, FALSE, sizeof(DmReclaimPart));
  *reason = why_not(vm, &held);
  if (*reason != NULL)
    return offer;
  fill(offer, vm, balloon, held);
  *reason = why_nothing(offer, vm);
  return offer;
}

uint64_t dm_reclaim_memory(const DmVm *vm, const DmReclaimShare *share) {
  uint64_t held = 0, own = 0;
  if (!dm_vm_ballooned(vm, &held) || !find_own(vm, held, &own))
    return dm_config_memory(vm->live);
  return dm_config_memory(vm->live) - (share->balloon > 0 ? held : own) - dm_reclaim_share_sum(share);
}
