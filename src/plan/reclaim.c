/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of a total. Each offer is cut into steps, a device or a hundredth of the VM's memory each; a step's key is the
 * unused share that the VM has before it. Walked from the highest key down, the VM that has most left always gives
 * next.
 */
#include "plan/reclaim.h"

#include "base/size.h"

#define STEPS_OF_MEMORY 100

typedef struct {
  guint offer;
  double key;
  uint64_t size, needs, block, taken;
} Step;

/* One sharing out, and what each VM gives so far. */
typedef struct {
  const DmReclaimOffer *const *offers;
  DmReclaimShare *shares;
  uint64_t *needs; /* of devices */
  uint64_t missing, beyond;
} Deal;

static double unused_share(const DmReclaimOffer *offer, uint64_t given) {
  uint64_t usable = dm_size_minus(offer->usable, given);
  return usable == 0 ? 0 : (double)dm_size_minus(offer->unused, given) / (double)usable;
}

/* A part of which @given comes before, in steps that level the shares. */
static void add_steps(GArray *steps, const DmReclaimOffer *offer, guint index, DmReclaimPart part, uint64_t given) {
  uint64_t most = part.size;
  if (part.block != 0)
    most = MIN(most, MAX(dm_size_round_up(offer->usable / STEPS_OF_MEMORY, part.block), part.block));
  for (uint64_t left = part.size; left > 0;) {
    uint64_t size = MIN(most, left);
    Step step = {.offer = index,
      .key = unused_share(offer, given),
      .size = size,
      .needs = part.needs == 0 || part.block == 0 ? part.needs : size,
      .block = part.block};
    g_array_append_val(steps, step);
    left -= size;
    given += size;
  }
}

static void cut(DmReclaimPart *part, uint64_t most) {
  part->size = MIN(part->size, most - most % part->block);
  part->needs = MIN(part->needs, part->size);
}

/* Its devices, within what the VM may give. */
static void add_devices(GArray *steps, const DmReclaimOffer *offer, guint index) {
  uint64_t given = 0, needs = 0;
  for (guint i = 0; i < offer->parts->len; i++) {
    DmReclaimPart part = g_array_index(offer->parts, DmReclaimPart, i);
    if (part.block != 0)
      cut(&part, MIN(dm_size_minus(offer->room, given), part.needs > 0 ? offer->spare - needs : UINT64_MAX));
    if (part.size == 0 || part.size > dm_size_minus(offer->room, given) || part.needs > offer->spare - needs)
      continue;
    add_steps(steps, offer, index, part, given);
    given += part.size;
    needs += part.needs;
  }
}

/* Its balloon, beside what its devices give in @deal. */
static void add_balloon(GArray *steps, const Deal *deal, guint index) {
  const DmReclaimOffer *offer = deal->offers[index];
  uint64_t given = deal->shares[index].devices;
  uint64_t most = MIN(dm_size_minus(offer->room, given), dm_size_minus(offer->balloon, deal->needs[index]));
  DmReclaimPart part = {.size = dm_size_floor_mib(most), .needs = most, .block = DM_MIB};
  add_steps(steps, offer, index, part, given);
}

static int by_key(gconstpointer a, gconstpointer b) {
  const Step *left = a, *right = b;
  return (left->key < right->key) - (left->key > right->key);
}

static void take(Deal *deal, Step *step, uint64_t size, gboolean balloon) {
  DmReclaimShare *share = &deal->shares[step->offer];
  step->taken = size;
  if (balloon)
    share->balloon += size;
  else
    share->devices += size;
  if (!balloon)
    deal->needs[step->offer] += step->block != 0 ? MIN(step->needs, size) : step->needs;
  deal->beyond = dm_size_minus(size, deal->missing);
  deal->missing = dm_size_minus(deal->missing, size);
}

/* What fits, from the VM that has most left. */
static void take_what_fits(Deal *deal, GArray *steps, gboolean balloon) {
  g_array_sort(steps, by_key); /* stable */
  for (guint i = 0; i < steps->len && deal->missing > 0; i++) {
    Step *step = &g_array_index(steps, Step, i);
    uint64_t size = step->block != 0 ? MIN(step->size, dm_size_round_up(deal->missing, step->block)) : step->size;
    if (step->block == 0 && size > deal->missing)
      continue;
    take(deal, step, size, balloon);
  }
}

/* The smallest device that was too large. NULL: none. */
static Step *take_one_beyond(Deal *deal, GArray *steps) {
  Step *smallest = NULL;
  for (guint i = 0; i < steps->len; i++) {
    Step *step = &g_array_index(steps, Step, i);
    if (step->taken == 0 && step->size > deal->missing && (smallest == NULL || step->size < smallest->size))
      smallest = step;
  }
  if (smallest == NULL)
    return NULL;
  take(deal, smallest, smallest->size, FALSE);
  return smallest;
}

/* What of the step is not needed. */
static uint64_t needless(const Step *step, uint64_t beyond) {
  if (step->block != 0)
    return MIN(step->taken, beyond - beyond % step->block);
  return step->taken <= beyond ? step->taken : 0;
}

/* The devices that are not needed beside @last, from the VM that has least left. */
static void leave_needless(Deal *deal, GArray *steps, const Step *last) {
  for (guint i = steps->len; i > 0; i--) {
    const Step *step = &g_array_index(steps, Step, i - 1);
    uint64_t size = step != last ? needless(step, deal->beyond) : 0;
    deal->shares[step->offer].devices -= size;
    deal->beyond -= size;
  }
}

static uint64_t sum_of(const GArray *steps) {
  uint64_t sum = 0;
  for (guint i = 0; i < steps->len; i++)
    sum += g_array_index(steps, Step, i).size;
  return sum;
}

void dm_reclaim_share_out(const DmReclaimOffer *const *offers, guint count, uint64_t total, DmReclaimShare *shares) {
  g_autoptr(GArray) devices = g_array_new(FALSE, FALSE, sizeof(Step));
  g_autoptr(GArray) balloons = g_array_new(FALSE, FALSE, sizeof(Step));
  g_autofree uint64_t *needs = g_new0(uint64_t, count);
  Deal deal = {.offers = offers, .shares = shares, .needs = needs, .missing = total};
  for (guint i = 0; i < count; i++) {
    shares[i] = (DmReclaimShare){0};
    add_devices(devices, offers[i], i);
  }
  take_what_fits(&deal, devices, FALSE);
  for (guint i = 0; i < count && deal.missing > 0; i++)
    add_balloon(balloons, &deal, i);
  if (sum_of(balloons) < deal.missing) {
    const Step *last = take_one_beyond(&deal, devices);
    if (last != NULL)
      leave_needless(&deal, devices, last);
  }
  take_what_fits(&deal, balloons, TRUE);
}
