/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice of DIMMs is a 0/1 knapsack whose weights are sizes in units of their greatest common divisor. row[i][s]
 * holds the least cost of a sum of exactly s made of the first i DIMMs, where a cost packs the tie breakers into one
 * integer: the number not movable, the number unknown, the total. All rows are kept to read the choice back, last DIMM
 * first: with DIMMs in ascending order of address, that prefers higher ones.
 */
#include "plan/unplug.h"

#include "base/size.h"

#define MAX_CELLS ((uint64_t)1 << 24)
#define UNREACHABLE ((int32_t)1 << 30)
#define COST_DEVICE 1
#define COST_UNKNOWN (1 << 10)
#define COST_NOT_MOVABLE (1 << 20)

typedef struct {
  GPtrArray *dimms;  /* const DmMemoryDevice, ascending address */
  GPtrArray *virtio; /* const DmMemoryDevice, largest block first */
  uint64_t unit;
  uint64_t *weights; /* in units, of dimms */
  int32_t *costs;    /* of dimms */
  gsize width;       /* cells of a row */
  int32_t *rows;     /* (dimms + 1) × width */
} Search;

static uint64_t gcd(uint64_t a, uint64_t b) {
  while (b != 0) {
    uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static int by_address(gconstpointer a, gconstpointer b) {
  const DmMemoryDevice *left = *(const DmMemoryDevice *const *)a, *right = *(const DmMemoryDevice *const *)b;
  if (left->address != right->address)
    return left->address < right->address ? -1 : 1;
  return (left->slot > right->slot) - (left->slot < right->slot);
}

static int by_block_largest_first(gconstpointer a, gconstpointer b) {
  const DmMemoryDevice *left = *(const DmMemoryDevice *const *)a, *right = *(const DmMemoryDevice *const *)b;
  if (left->block != right->block)
    return left->block > right->block ? -1 : 1;
  uint64_t left_memory = dm_memory_device_memory(left), right_memory = dm_memory_device_memory(right);
  if (left_memory != right_memory) /* so that few devices are requested */
    return left_memory > right_memory ? -1 : 1;
  return -by_address(a, b);
}

static int32_t cost_of(const DmMemoryDevice *device) {
  switch (device->movable) {
    case DM_MOVABLE_YES:
      return COST_DEVICE;
    case DM_MOVABLE_NO:
      return COST_NOT_MOVABLE + COST_DEVICE;
    case DM_MOVABLE_UNKNOWN:
      break;
  }
  return COST_UNKNOWN + COST_DEVICE;
}

static void sort_candidates(Search *search, const GPtrArray *candidates, uint64_t decrement) {
  search->dimms = g_ptr_array_new();
  search->virtio = g_ptr_array_new();
  for (guint i = 0; i < candidates->len; i++) {
    const DmMemoryDevice *device = candidates->pdata[i];
    if (device->kind == DM_DEVICE_DIMM && device->size > 0 && device->size <= decrement &&
      search->dimms->len < DM_PLAN_MAX_DEVICES)
      g_ptr_array_add(search->dimms, (gpointer)device);
    else if (device->kind == DM_DEVICE_VIRTIO_MEM && device->block > 0)
      g_ptr_array_add(search->virtio, (gpointer)device);
  }
  g_ptr_array_sort(search->dimms, by_address);
  g_ptr_array_sort(search->virtio, by_block_largest_first);
}

static void weigh(Search *search, uint64_t decrement) {
  guint count = search->dimms->len;
  uint64_t total = 0;
  search->unit = 0;
  for (guint i = 0; i < count; i++) {
    const DmMemoryDevice *dimm = search->dimms->pdata[i];
    search->unit = gcd(search->unit, dimm->size);
    total = dm_size_plus(total, dimm->size);
  }
  uint64_t sum = MIN(total, decrement);
  if (search->unit == 0)
    search->unit = 1;
  uint64_t most = MAX_CELLS / MAX(count, 1);
  if (sum / search->unit > most)
    search->unit = sum / most + 1;

  search->weights = g_new(uint64_t, count);
  search->costs = g_new(int32_t, count);
  for (guint i = 0; i < count; i++) {
    const DmMemoryDevice *dimm = search->dimms->pdata[i];
    search->weights[i] = dimm->size / search->unit + (dimm->size % search->unit != 0);
    search->costs[i] = cost_of(dimm);
  }
  search->width = (gsize)(sum / search->unit) + 1;
}

/* next[s] = min(row[s], row[s - weight] + cost). Its own function, with restrict, so that it is vectorized. */
static void add_dimm(const int32_t *restrict row, int32_t *restrict next, gsize width, gsize weight, int32_t cost) {
  gsize first = MIN(weight, width);
  for (gsize s = 0; s < first; s++)
    next[s] = row[s];
  for (gsize s = first; s < width; s++) {
    int32_t with = row[s - weight] + cost;
    next[s] = with < row[s] ? with : row[s];
  }
}

static void fill_rows(Search *search) {
  guint count = search->dimms->len;
  search->rows = g_new(int32_t, (count + 1) * search->width);
  search->rows[0] = 0;
  for (gsize s = 1; s < search->width; s++)
    search->rows[s] = UNREACHABLE;
  for (guint i = 0; i < count; i++) {
    int32_t *row = search->rows + i * search->width;
    add_dimm(row, row + search->width, search->width, search->weights[i], search->costs[i]);
  }
}

/*
 * How much the virtio-mem devices can give of @wanted. Blocks are powers of two, so largest first is exact. Appends to
 * @releases if it is not NULL.
 */
static uint64_t release_virtio(const GPtrArray *virtio, uint64_t wanted, GArray *releases) {
  uint64_t sum = 0;
  for (guint i = 0; i < virtio->len; i++) {
    const DmMemoryDevice *device = virtio->pdata[i];
    uint64_t release = MIN(dm_memory_device_memory(device), wanted - sum);
    release -= release % device->block;
    sum += release;
    if (releases != NULL && release > 0)
      g_array_append_val(releases, ((DmRelease){device, release}));
  }
  return sum;
}

/* The cell of the last row to take. */
static gsize best_cell(const Search *search, uint64_t decrement) {
  const int32_t *last = search->rows + search->dimms->len * search->width;
  uint64_t best_sum = 0;
  gsize best = 0;
  gboolean found = FALSE;
  for (gsize s = search->width; s-- > 0;) {
    uint64_t dimms = s * search->unit;
    if (last[s] >= UNREACHABLE)
      continue;
    uint64_t sum = dimms + release_virtio(search->virtio, decrement - dimms, NULL);
    if (!found || sum > best_sum) {
      found = TRUE;
      best = s;
      best_sum = sum;
    }
    if (search->virtio->len == 0)
      break;
  }
  return best;
}

static void read_back(const Search *search, gsize cell, GArray *releases) {
  for (guint i = search->dimms->len; i > 0; i--) {
    const int32_t *row = search->rows + i * search->width, *before = row - search->width;
    uint64_t weight = search->weights[i - 1];
    if (weight <= cell && before[cell - weight] + search->costs[i - 1] == row[cell]) {
      const DmMemoryDevice *dimm = search->dimms->pdata[i - 1];
      g_array_append_val(releases, ((DmRelease){dimm, dimm->size}));
      cell -= weight;
    }
  }
}

GArray *dm_plan_unplug(const GPtrArray *candidates, uint64_t decrement) {
  Search search = {0};
  sort_candidates(&search, candidates, decrement);
  weigh(&search, decrement);
  fill_rows(&search);

  GArray *releases = g_array_new(FALSE, FALSE, sizeof(DmRelease));
  read_back(&search, best_cell(&search, decrement), releases);
  release_virtio(search.virtio, decrement - dm_plan_released(releases), releases);

  g_free(search.rows);
  g_free(search.costs);
  g_free(search.weights);
  g_ptr_array_unref(search.virtio);
  g_ptr_array_unref(search.dimms);
  return releases;
}

uint64_t dm_plan_released(const GArray *releases) {
  uint64_t sum = 0;
  for (guint i = 0; i < releases->len; i++)
    sum += g_array_index(releases, DmRelease, i).release;
  return sum;
}
