/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner against brute force. Every subset of up to 12 DIMMs, each with the best that the virtio-mem devices can
 * add to it, is compared by the whole criterion of plan/unplug.h:
 *
 *   1. the largest sum that is not above the decrement     4. the fewest DIMMs of which it is not known
 *   2. most of it in DIMMs                                 5. the fewest DIMMs
 *   3. the fewest DIMMs that are not movable               6. the higher addresses
 *
 * "Higher addresses" of two sets of equally many DIMMs: sort both by address (by slot where addresses are equal or
 * unknown), highest first; at the first difference the higher one wins. With one bit for each DIMM, in that order, that
 * is the larger number.
 *
 * Of virtio-mem devices those with the largest block give first, and of these those that have most to give.
 *
 * DM_TEST_SEED=N DM_TEST_ROUNDS=N choose other cases.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "plan/unplug.h"

#define MAX_DIMMS 12
#define MAX_VIRTIO 3
#define MAX_BLOCKS 7
#define DEFAULT_SEED 20250315
#define DEFAULT_ROUNDS 12000

typedef struct {
  GPtrArray *candidates;                    /* in random order, owned */
  const DmMemoryDevice *dimms[MAX_DIMMS];   /* ascending address, slot */
  const DmMemoryDevice *virtio[MAX_VIRTIO]; /* as they come */
  guint dimm_count, virtio_count;
  uint64_t decrement;
} Case;

typedef struct {
  uint64_t sum, in_dimms;
  guint not_movable, unknown, count;
  guint mask;
} Choice;

/* < 0: a is better. */
static int compare_choices(const Choice *a, const Choice *b) {
  if (a->sum != b->sum)
    return a->sum > b->sum ? -1 : 1;
  if (a->in_dimms != b->in_dimms)
    return a->in_dimms > b->in_dimms ? -1 : 1;
  if (a->not_movable != b->not_movable)
    return a->not_movable < b->not_movable ? -1 : 1;
  if (a->unknown != b->unknown)
    return a->unknown < b->unknown ? -1 : 1;
  if (a->count != b->count)
    return a->count < b->count ? -1 : 1;
  return a->mask == b->mask ? 0 : (a->mask > b->mask ? -1 : 1);
}

/* ---- brute force ---- */

static int by_sum(gconstpointer a, gconstpointer b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

/* Every sum that the virtio-mem devices from number @from on can give, on top of @sum. */
static void add_virtio_sums(const Case *c, guint from, uint64_t sum, GArray *sums) {
  if (from == c->virtio_count) {
    g_array_append_val(sums, sum);
    return;
  }
  const DmMemoryDevice *device = c->virtio[from];
  for (uint64_t give = 0; give <= dm_memory_device_memory(device); give += device->block)
    add_virtio_sums(c, from + 1, sum + give, sums);
}

/* The largest of the ascending @sums that is not above @wanted. */
static uint64_t best_virtio(const GArray *sums, uint64_t wanted) {
  guint low = 0, high = sums->len; /* it lies in [low, high) */
  while (high - low > 1) {
    guint middle = (low + high) / 2;
    if (g_array_index(sums, uint64_t, middle) <= wanted)
      low = middle;
    else
      high = middle;
  }
  return g_array_index(sums, uint64_t, low);
}

static Choice weigh(const Case *c, guint mask) {
  Choice choice = {.mask = mask};
  for (guint i = 0; i < c->dimm_count; i++) {
    if ((mask >> i & 1) == 0)
      continue;
    choice.in_dimms += c->dimms[i]->size;
    choice.not_movable += c->dimms[i]->movable == DM_MOVABLE_NO;
    choice.unknown += c->dimms[i]->movable == DM_MOVABLE_UNKNOWN;
    choice.count++;
  }
  choice.sum = choice.in_dimms;
  return choice;
}

static Choice brute_force(const Case *c) {
  g_autoptr(GArray) sums = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  add_virtio_sums(c, 0, 0, sums);
  g_array_sort(sums, by_sum);
  Choice best = {0};
  gboolean found = FALSE;
  for (guint mask = 0; mask < 1u << c->dimm_count; mask++) {
    Choice choice = weigh(c, mask);
    if (choice.in_dimms > c->decrement)
      continue;
    choice.sum += best_virtio(sums, c->decrement - choice.in_dimms);
    if (!found || compare_choices(&choice, &best) < 0) {
      found = TRUE;
      best = choice;
    }
  }
  return best;
}

/* ---- what the planner chose ---- */

static int index_of(const Case *c, const DmMemoryDevice *device) {
  for (guint i = 0; i < c->dimm_count; i++) {
    if (c->dimms[i] == device)
      return (int)i;
  }
  return -1;
}

static int by_block_and_memory(gconstpointer a, gconstpointer b) {
  const DmMemoryDevice *left = *(const DmMemoryDevice *const *)a, *right = *(const DmMemoryDevice *const *)b;
  uint64_t left_memory = dm_memory_device_memory(left), right_memory = dm_memory_device_memory(right);
  if (left->block != right->block)
    return left->block > right->block ? -1 : 1;
  return (left_memory < right_memory) - (left_memory > right_memory);
}

/* Of virtio-mem devices the largest block gives first, and of equal ones the device that has most to give. */
static void check_virtio(const Case *c, const GArray *releases, guint from, uint64_t wanted) {
  const DmMemoryDevice *sorted[MAX_VIRTIO];
  memcpy(sorted, c->virtio, sizeof sorted);
  qsort(sorted, c->virtio_count, sizeof sorted[0], by_block_and_memory);
  for (guint i = 0; i < c->virtio_count; i++) {
    uint64_t release = MIN(dm_memory_device_memory(sorted[i]), wanted);
    release -= release % sorted[i]->block;
    if (release == 0)
      continue;
    g_assert_cmpuint(from, <, releases->len);
    const DmRelease *got = &g_array_index(releases, DmRelease, from);
    g_assert_cmpuint(got->device->block, ==, sorted[i]->block);
    g_assert_cmpuint(dm_memory_device_memory(got->device), ==, dm_memory_device_memory(sorted[i]));
    g_assert_cmpuint(got->release, ==, release);
    for (guint k = 0; k < from; k++)
      g_assert_true(g_array_index(releases, DmRelease, k).device != got->device);
    wanted -= release;
    from++;
  }
  g_assert_cmpuint(from, ==, releases->len);
}

/* Checks each release by itself, and the order: DIMMs first, higher addresses first. */
static Choice read_choice(const Case *c, const GArray *releases) {
  guint mask = 0, last = c->dimm_count, i = 0;
  for (; i < releases->len; i++) {
    const DmRelease *release = &g_array_index(releases, DmRelease, i);
    if (release->device->kind != DM_DEVICE_DIMM)
      break;
    int index = index_of(c, release->device);
    g_assert_cmpint(index, >=, 0);
    g_assert_cmpint(index, <, last);
    g_assert_cmpuint(release->release, ==, release->device->size);
    last = (guint)index;
    mask |= 1u << index;
  }
  Choice choice = weigh(c, mask);
  check_virtio(c, releases, i, c->decrement - choice.in_dimms);
  choice.sum = dm_plan_released(releases);
  return choice;
}

/* ---- random cases ---- */

typedef struct {
  const char *name;
  uint64_t unit;
  int least, most; /* units of a DIMM */
  gboolean powers; /* of two, with these as exponents */
} Regime;

static const Regime regimes[] = {
  {"one size", 128 * DM_MIB, 4, 5, FALSE},
  {"small multiples", 128 * DM_MIB, 1, 9, FALSE},
  {"powers of two", 128 * DM_MIB, 0, 7, TRUE},
  {"POWER", 256 * DM_MIB, 1, 33, FALSE},
  {"large", 2048 * DM_MIB, 1, 100, FALSE},
  {"any MiB", DM_MIB, 100, 2000, FALSE},
  {"any page", 4 * DM_KIB, 1, 20000, FALSE},
  {"bytes", 1, 1, 60, FALSE},
};

static uint64_t random_size(GRand *rand, const Regime *regime) {
  int number = g_rand_int_range(rand, regime->least, regime->most);
  return regime->unit * (regime->powers ? (uint64_t)1 << number : (uint64_t)number);
}

static DmMemoryDevice *random_dimm(GRand *rand, const Regime *regime, guint slot, guint addresses) {
  DmMemoryDevice *dimm = dm_memory_device_new(DM_DEVICE_DIMM);
  dimm->size = random_size(rand, regime);
  dimm->slot = (int)slot;
  dimm->movable = (DmMovable)g_rand_int_range(rand, DM_MOVABLE_UNKNOWN, DM_MOVABLE_NO + 1);
  if (addresses == 1) /* any order */
    dimm->address = 4 * DM_GIB + (uint64_t)g_rand_int(rand) * 16 + slot;
  else if (addresses == 2) /* with equal ones, the slot decides */
    dimm->address = (uint64_t)g_rand_int_range(rand, 0, 3) * DM_GIB;
  return dimm;
}

static DmMemoryDevice *random_virtio(GRand *rand, const Regime *regime) {
  DmMemoryDevice *device = dm_memory_device_new(DM_DEVICE_VIRTIO_MEM);
  uint64_t memory, other;
  device->block = regime->unit << g_rand_int_range(rand, 0, 5);
  if (regime->unit > DM_MIB && g_rand_boolean(rand))
    device->block = (2 * DM_MIB) << g_rand_int_range(rand, 0, 7);
  memory = device->block * (uint64_t)g_rand_int_range(rand, 0, MAX_BLOCKS + 1);
  other = g_rand_boolean(rand) ? memory : memory / device->block / 2 * device->block;
  device->size = memory + device->block;
  device->live = g_rand_boolean(rand);
  device->requested = g_rand_boolean(rand) ? memory : other;
  device->current = device->requested == memory ? other : memory;
  return device;
}

static int by_address(gconstpointer a, gconstpointer b) {
  const DmMemoryDevice *left = *(const DmMemoryDevice *const *)a, *right = *(const DmMemoryDevice *const *)b;
  if (left->address != right->address)
    return left->address < right->address ? -1 : 1;
  return left->slot - right->slot;
}

static uint64_t random_decrement(GRand *rand, const Case *c, uint64_t total) {
  guint mask = (guint)g_rand_int(rand) & ((1u << c->dimm_count) - 1);
  uint64_t sum = weigh(c, mask).in_dimms;
  switch (g_rand_int_range(rand, 0, 8)) {
    case 0:
      return sum; /* a sum that DIMMs have exactly, */
    case 1:
      return sum + 1;
    case 2:
      return dm_size_minus(sum, 1); /* or just not */
    case 3:
      return total + (uint64_t)g_rand_int_range(rand, 0, 3);
    default:
      return (uint64_t)(g_rand_double(rand) * 1.1 * (double)total);
  }
}

static void make_case(Case *c, GRand *rand, const Regime *regime) {
  uint64_t total = 0;
  guint addresses = (guint)g_rand_int_range(rand, 0, 3);
  *c = (Case){.candidates = g_ptr_array_new_with_free_func((GDestroyNotify)dm_memory_device_free)};
  c->dimm_count = (guint)g_rand_int_range(rand, 0, MAX_DIMMS + 1);
  c->virtio_count = g_rand_boolean(rand) ? 0 : (guint)g_rand_int_range(rand, 0, MAX_VIRTIO + 1);
  for (guint i = 0; i < c->dimm_count; i++)
    c->dimms[i] = random_dimm(rand, regime, i, addresses);
  for (guint i = 0; i < c->virtio_count; i++)
    c->virtio[i] = random_virtio(rand, regime);
  qsort(c->dimms, c->dimm_count, sizeof c->dimms[0], by_address);
  for (guint i = 0; i < c->dimm_count; i++) {
    total += c->dimms[i]->size;
    g_ptr_array_insert(c->candidates, g_rand_int_range(rand, 0, (int)i + 1), (gpointer)c->dimms[i]);
  }
  for (guint i = 0; i < c->virtio_count; i++) {
    total += dm_memory_device_memory(c->virtio[i]);
    g_ptr_array_insert(c->candidates, g_rand_int_range(rand, 0, (int)c->candidates->len + 1), (gpointer)c->virtio[i]);
  }
  c->decrement = random_decrement(rand, c, total);
}

static void print_case(const Case *c, const Regime *regime, guint round) {
  g_test_message("round %u, %s, decrement %" G_GUINT64_FORMAT, round, regime->name, c->decrement);
  for (guint i = 0; i < c->dimm_count; i++)
    g_test_message("  dimm size %" G_GUINT64_FORMAT " address %" G_GUINT64_FORMAT " slot %d movable %d",
      c->dimms[i]->size, c->dimms[i]->address, c->dimms[i]->slot, (int)c->dimms[i]->movable);
  for (guint i = 0; i < c->virtio_count; i++)
    g_test_message("  virtio-mem memory %" G_GUINT64_FORMAT " block %" G_GUINT64_FORMAT,
      dm_memory_device_memory(c->virtio[i]), c->virtio[i]->block);
}

static void print_choice(const char *who, const Choice *choice) {
  g_test_message("%s: sum %" G_GUINT64_FORMAT ", in DIMMs %" G_GUINT64_FORMAT
                 ", not movable %u, unknown %u, DIMMs %u (mask %x)",
    who, choice->sum, choice->in_dimms, choice->not_movable, choice->unknown, choice->count, choice->mask);
}

static uint32_t number_from_environment(const char *name, uint32_t otherwise) {
  const char *text = g_getenv(name);
  return text != NULL ? (uint32_t)strtoul(text, NULL, 0) : otherwise;
}

static void test_whole_criterion(void) {
  uint32_t seed = number_from_environment("DM_TEST_SEED", DEFAULT_SEED);
  uint32_t rounds = number_from_environment("DM_TEST_ROUNDS", DEFAULT_ROUNDS);
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  g_test_message("seed %u, %u rounds", seed, rounds);
  for (guint round = 0; round < rounds && !g_test_failed(); round++) {
    const Regime *regime = &regimes[round % G_N_ELEMENTS(regimes)];
    Case c;
    make_case(&c, rand, regime);
    g_autoptr(GArray) releases = dm_plan_unplug(c.candidates, c.decrement);
    Choice choice = read_choice(&c, releases), best = brute_force(&c);
    g_assert_cmpint(compare_choices(&choice, &best), ==, 0);
    if (g_test_failed()) {
      print_case(&c, regime, round);
      print_choice("brute force", &best);
      print_choice("planner", &choice);
    }
    g_ptr_array_unref(c.candidates);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/unplug-brute/whole-criterion", test_whole_criterion);
  return g_test_run();
}
