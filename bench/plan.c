/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: bench-plan
 *
 * How good and how fast the planner is, and what the plug policies leave possible. Prints JSON. The same seed gives the
 * same device sets, so all ways are asked the same questions.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/size.h"
#include "plan/plug.h"
#include "plan/unplug.h"

#define SEED 20261123
#define REQUESTS 20000
#define UNIT (128 * DM_MIB)

typedef uint64_t (*Way)(GPtrArray *devices, uint64_t decrement);

static uint64_t exact(GPtrArray *devices, uint64_t decrement) {
  g_autoptr(GArray) releases = dm_plan_unplug(devices, decrement);
  return dm_plan_released(releases);
}

static uint64_t greedy(GPtrArray *devices, uint64_t decrement) {
  uint64_t sum = 0;
  for (guint i = 0; i < devices->len; i++) {
    const DmMemoryDevice *device = devices->pdata[i];
    if (sum + device->size <= decrement)
      sum += device->size;
  }
  return sum;
}

static int largest_first(gconstpointer a, gconstpointer b) {
  const DmMemoryDevice *left = *(const DmMemoryDevice *const *)a, *right = *(const DmMemoryDevice *const *)b;
  return (left->size < right->size) - (left->size > right->size);
}

static int highest_slot_first(gconstpointer a, gconstpointer b) {
  const DmMemoryDevice *left = *(const DmMemoryDevice *const *)a, *right = *(const DmMemoryDevice *const *)b;
  return right->slot - left->slot;
}

/* oVirt's way. */
static uint64_t greedy_largest_first(GPtrArray *devices, uint64_t decrement) {
  g_ptr_array_sort(devices, largest_first);
  return greedy(devices, decrement);
}

/* Proxmox VE's order. */
static uint64_t greedy_highest_slot_first(GPtrArray *devices, uint64_t decrement) {
  g_ptr_array_sort(devices, highest_slot_first);
  return greedy(devices, decrement);
}

static void add_dimm(DmConfig *config, uint64_t size) {
  DmMemoryDevice *device = dm_memory_device_new(DM_DEVICE_DIMM);
  device->size = size;
  device->slot = (int)config->devices->len;
  device->address = 4 * DM_GIB + (uint64_t)device->slot * 64 * DM_GIB;
  g_ptr_array_add(config->devices, device);
}

/* @count DIMMs of 1 to @most units. */
static DmConfig *random_config(GRand *random, guint count, int most) {
  DmConfig *config = dm_config_new();
  for (guint i = 0; i < count; i++)
    add_dimm(config, (uint64_t)g_rand_int_range(random, 1, most + 1) * UNIT);
  return config;
}

static uint64_t sum_of(const DmConfig *config) {
  return dm_config_memory(config);
}

static uint64_t random_decrement(GRand *random, uint64_t most) {
  return (uint64_t)(g_rand_double(random) * (double)most) / DM_MIB * DM_MIB;
}

/* MiB missed per request, on the same random device sets for each way. */
static json_t *missed_by_way(Way way, const char *name) {
  g_autoptr(GRand) random = g_rand_new_with_seed(SEED);
  double missed = 0;
  guint short_of_best = 0;
  for (int i = 0; i < REQUESTS; i++) {
    g_autoptr(DmConfig) config = random_config(random, (guint)g_rand_int_range(random, 2, 17), 32);
    g_autoptr(GPtrArray) copy = g_ptr_array_copy(config->devices, NULL, NULL);
    g_ptr_array_set_free_func(copy, NULL);
    uint64_t decrement = random_decrement(random, sum_of(config));
    uint64_t best = exact(config->devices, decrement), released = way(copy, decrement);
    missed += (double)(decrement - released) / DM_MIB;
    short_of_best += released < best;
  }
  json_t *object = json_object();
  json_object_set_new(object, "way", json_string(name));
  json_object_set_new(object, "missed_mib_mean", json_real(missed / REQUESTS));
  json_object_set_new(object, "requests_short_of_best_percent", json_real(100.0 * short_of_best / REQUESTS));
  return object;
}

static int by_double(gconstpointer a, gconstpointer b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

/* Microseconds per plan for @count DIMMs, median and 99th percentile over many requests. */
static json_t *time_planner(guint count, int most) {
  g_autoptr(GRand) random = g_rand_new_with_seed(SEED);
  g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(double));
  for (int i = 0; i < 1000; i++) {
    g_autoptr(DmConfig) config = random_config(random, count, most);
    uint64_t decrement = random_decrement(random, sum_of(config));
    gint64 start = g_get_monotonic_time();
    for (int k = 0; k < 5; k++)
      exact(config->devices, decrement);
    double each = (double)(g_get_monotonic_time() - start) / 5;
    g_array_append_val(times, each);
  }
  g_array_sort(times, by_double);
  json_t *object = json_object();
  json_object_set_new(object, "devices", json_integer(count));
  json_object_set_new(object, "largest_mib", json_integer(most * 128));
  json_object_set_new(object, "microseconds_median", json_real(g_array_index(times, double, times->len / 2)));
  json_object_set_new(object, "microseconds_p99", json_real(g_array_index(times, double, times->len * 99 / 100)));
  return object;
}

/*
 * A VM of 32 slots is given one to four plugs of up to 8 GiB under the policy, then asked for a random decrement of
 * whole units: MiB missed, and slots used.
 */
static json_t *missed_by_policy(DmPlugPolicy policy) {
  g_autoptr(GRand) random = g_rand_new_with_seed(SEED);
  double missed = 0, slots = 0;
  for (int i = 0; i < REQUESTS; i++) {
    g_autoptr(DmConfig) config = dm_config_new();
    int plugs = g_rand_int_range(random, 1, 5);
    for (int k = 0; k < plugs; k++) {
      uint64_t size = (uint64_t)g_rand_int_range(random, 1, 65) * UNIT;
      g_autoptr(GArray) sizes = dm_plan_plug(policy, size, UNIT, config, 32 - config->devices->len);
      for (guint n = 0; n < sizes->len; n++)
        add_dimm(config, g_array_index(sizes, uint64_t, n));
    }
    uint64_t decrement = (uint64_t)g_rand_int_range(random, 1, (gint32)(sum_of(config) / UNIT) + 1) * UNIT;
    missed += (double)(decrement - exact(config->devices, decrement)) / DM_MIB;
    slots += config->devices->len;
  }
  json_t *object = json_object();
  json_object_set_new(object, "policy", json_string(dm_plug_policy_name(policy)));
  json_object_set_new(object, "missed_mib_mean", json_real(missed / REQUESTS));
  json_object_set_new(object, "slots_mean", json_real(slots / REQUESTS));
  return object;
}

int main(void) {
  json_t *root = json_object(), *ways = json_array(), *times = json_array(), *policies = json_array();
  json_array_append_new(ways, missed_by_way(exact, "exact"));
  json_array_append_new(ways, missed_by_way(greedy_largest_first, "greedy, largest first"));
  json_array_append_new(ways, missed_by_way(greedy_highest_slot_first, "greedy, highest slot first"));
  json_array_append_new(times, time_planner(16, 32));
  json_array_append_new(times, time_planner(64, 32));
  json_array_append_new(times, time_planner(256, 8));
  json_array_append_new(times, time_planner(256, 32));
  json_array_append_new(times, time_planner(256, 64));
  for (DmPlugPolicy policy = DM_POLICY_OVIRT; policy <= DM_POLICY_FINE; policy++)
    json_array_append_new(policies, missed_by_policy(policy));
  json_object_set_new(root, "requests", json_integer(REQUESTS));
  json_object_set_new(root, "ways", ways);
  json_object_set_new(root, "times", times);
  json_object_set_new(root, "policies", policies);
  json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
  putchar('\n');
  json_decref(root);
  return 0;
}
