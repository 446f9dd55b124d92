/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A total to be taken back from many running VMs: what each of them could give, and the share of each. Pure functions:
 * the same VMs and total give the same shares. How a VM gives its share is planned by dm_plan(), as for any change.
 * Sizes are bytes.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/vm.h"
#include "words/note.h"

/* A DIMM, or what a virtio-mem device can release. */
typedef struct {
  uint64_t size;
  uint64_t needs; /* what its guest loses with it: all of it, or the part of a DIMM that is in use, or nothing */
  uint64_t block; /* it goes in whole blocks; 0: as a whole */
  guint rank;     /* those of a lower rank go first */
} DmReclaimPart;

/* What a VM could give, to the host, as of its guest's report. */
typedef struct {
  uint64_t usable;  /* its memory less what its balloon holds */
  uint64_t unused;  /* what of that its guest has available */
  uint64_t room;    /* the most it may give in all: what is above its guaranteed memory, where that was set */
  uint64_t spare;   /* the most that its guest may lose with devices */
  uint64_t balloon; /* the most that its guest may lose with devices and the balloon; 0: the balloon stays as it is */
  GArray *parts;    /* DmReclaimPart, in the order in which they go */
} DmReclaimOffer;

void dm_reclaim_offer_free(DmReclaimOffer *offer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmReclaimOffer, dm_reclaim_offer_free)

/*
 * What @vm, as just read and with its guest's report, could give; by the balloon only with @balloon or where the VM's
 * own setting allows it. Never NULL: a VM that has nothing to give offers no part, and no balloon. *@reason (the caller
 * owns it) says why; else it becomes NULL.
 */
DmReclaimOffer *dm_reclaim_offer(const DmVm *vm, gboolean balloon, DmNote **reason) G_GNUC_WARN_UNUSED_RESULT;

/* What one VM is to give. */
typedef struct {
  uint64_t devices, balloon;
} DmReclaimShare;

static inline uint64_t dm_reclaim_share_sum(const DmReclaimShare *share) {
  return share->devices + share->balloon;
}

/*
 * Writes the share of each of @count @offers in @total into @shares, which has as many elements. The VM with the
 * largest unused share of its memory gives first, until these are level, within a hundredth of a VM's memory or a
 * device; equals in their order. Devices first: the balloon takes only what they leave. If that is not
 * enough, one device more goes, the smallest that reaches @total; what is not needed any more beside it stays. So the
 * sum is below @total and the size of one device, and at least @total if all together can give that.
 *
 * Time: O(n log n).
 */
void dm_reclaim_share_out(const DmReclaimOffer *const *offers, guint count, uint64_t total, DmReclaimShare *shares);

/*
 * The memory to set @vm to, live, so that it gives @share; with DM_PLAN_BALLOON where that has a part of the balloon's.
 * @vm is as it was offered.
 */
uint64_t dm_reclaim_memory(const DmVm *vm, const DmReclaimShare *share);
