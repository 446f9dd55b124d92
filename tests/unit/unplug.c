/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of devices: examples, limits, and what is promised at the edges. See unplug_brute.c for exactness. */
#include "plan/unplug.h"

#include "base/size.h"
#include "notation.h"

#define UNIT (128 * DM_MIB)

/* Devices as in notation.h, what to give back of them in MiB, and what is expected, in order. */
static const struct {
  const char *name, *devices;
  uint64_t decrement;
  const char *expected;
} examples[] = {
  {"specification", "d128 d128 d256 d256", 392, "dimm3=256 dimm1=128"},
  {"ovirt-wire-5.6", "d512 d256 d128 d128", 648, "dimm3=128 dimm0=512"},
  {"better-than-greedy", "d512 d384 d384", 768, "dimm2=384 dimm1=384"},
  {"zero", "d128 d256", 0, ""},
  {"below-the-smallest", "d128 d256", 127, ""},
  {"empty", "", 1024, ""},
  {"above-the-total", "d128 d256 d512", 4096, "dimm2=512 dimm1=256 dimm0=128"},
  {"exactly-the-total", "d128 d256 d512", 896, "dimm2=512 dimm1=256 dimm0=128"},
  {"one-too-large", "d1024", 1023, ""},
  {"other-kinds-stay", "n512 d256", 1024, "dimm1=256"},
  {"movable-first", "d256+ d256! d256", 256, "dimm0=256"},
  {"unknown-before-not-movable", "d256 d256! d256!", 256, "dimm0=256"},
  {"sum-before-movable", "d256! d128+", 300, "dimm0=256"},
  {"two-movable-before-one-unknown", "d128+ d128+ d256", 256, "dimm1=128 dimm0=128"},
  {"one-not-movable-is-worse-than-five-unknown", "d128 d128 d128 d128 d128 d640!", 640,
    "dimm4=128 dimm3=128 dimm2=128 dimm1=128 dimm0=128"},
  {"fewer-devices", "d128 d128 d128 d256 d128", 256, "dimm3=256"},
  {"fewer-devices-though-lower", "d256 d128 d128", 256, "dimm0=256"},
  {"higher-addresses", "d128 d128 d128", 256, "dimm2=128 dimm1=128"},
  {"highest-address-first", "d128 d256 d256 d128", 384, "dimm3=128 dimm2=256"},
  {"virtio-takes-what-dimms-cannot", "d256 v1024:512/512:2", 300, "dimm0=256 virtiomem0=44"},
  {"virtio-in-its-block", "v1024:512/512:128", 300, "virtiomem0=256"},
  {"virtio-not-below-a-block", "v1024:512/512:128", 127, ""},
  {"virtio-all-it-has", "v1024:512/512:2", 4096, "virtiomem0=512"},
  {"virtio-empty", "v1024:0:2", 512, ""},
  {"virtio-still-growing", "v1024:512/128:2", 4096, "virtiomem0=128"},
  {"virtio-still-shrinking", "v1024:128/512:2", 4096, "virtiomem0=512"},
  {"dimms-before-virtio", "v1024:512/512:2 d256", 256, "dimm0=256"},
  {"sum-before-dimms", "d256 v1024:512/512:128", 384, "dimm0=256 virtiomem0=128"},
  {"not-movable-dimm-before-virtio", "v1024:512/512:2 d256!", 256, "dimm0=256"},
  {"virtio-large-blocks-first", "v1024:2/2:2 v1024:256/256:128", 130, "virtiomem1=128 virtiomem0=2"},
};

static char *releases_text(const GArray *releases) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < releases->len; i++) {
    const DmRelease *release = &g_array_index(releases, DmRelease, i);
    g_assert_cmpuint(release->release % DM_MIB, ==, 0);
    g_string_append_printf(
      text, "%s%s=%" G_GUINT64_FORMAT, i > 0 ? " " : "", release->device->alias, release->release / DM_MIB);
  }
  return g_string_free(text, FALSE);
}

static void test_example(gconstpointer data) {
  const typeof(examples[0]) *example = data;
  g_autofree char *spelled = g_strconcat("1024 ", example->devices, NULL);
  g_autoptr(DmConfig) config = config_from(spelled, TRUE);
  g_autoptr(GArray) releases = dm_plan_unplug(config->devices, example->decrement * DM_MIB);
  g_autofree char *text = releases_text(releases);
  g_assert_cmpstr(text, ==, example->expected);
  g_assert_cmpuint(dm_plan_released(releases), <=, example->decrement * DM_MIB);
}

static GPtrArray *make_dimms(guint count, const uint64_t *sizes) {
  GPtrArray *dimms = g_ptr_array_new_with_free_func((GDestroyNotify)dm_memory_device_free);
  for (guint i = 0; i < count; i++) {
    DmMemoryDevice *dimm = dm_memory_device_new(DM_DEVICE_DIMM);
    dimm->size = sizes[i];
    dimm->slot = (int)i;
    dimm->address = (i + 1) * DM_GIB * 1024;
    g_ptr_array_add(dimms, dimm);
  }
  return dimms;
}

/* The largest reachable sum in units, by a bit per sum: nothing like the way of the planner. */
static uint64_t best_sum(guint count, const uint64_t *sizes, uint64_t unit, uint64_t decrement) {
  gsize width = decrement / unit + 1;
  g_autofree guint8 *reachable = g_malloc0(width);
  reachable[0] = 1;
  for (guint i = 0; i < count; i++) {
    uint64_t weight = sizes[i] / unit;
    for (gsize s = width; s-- > weight;)
      reachable[s] |= reachable[s - weight];
  }
  gsize best = width - 1;
  while (!reachable[best])
    best--;
  return best * unit;
}

static void check_sum(guint count, const uint64_t *sizes, uint64_t decrement) {
  g_autoptr(GPtrArray) dimms = make_dimms(count, sizes);
  g_autoptr(GArray) releases = dm_plan_unplug(dimms, decrement);
  g_assert_cmpuint(dm_plan_released(releases), ==, best_sum(count, sizes, UNIT, decrement));
}

static void test_256_devices(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(256);
  for (guint round = 0; round < 6; round++) {
    uint64_t sizes[256], total = 0;
    for (guint i = 0; i < 256; i++)
      total += sizes[i] = (uint64_t)g_rand_int_range(rand, 1, 200) * UNIT;
    check_sum(256, sizes, total);
    check_sum(256, sizes, (uint64_t)(g_rand_double(rand) * (double)total));
    check_sum(256, sizes, (uint64_t)(g_rand_double(rand) * (double)total / 50));
  }
}

/* The header's own limit: 256 DIMMs of 8 TiB in multiples of 128 MiB, devices × sum / unit = 2^24, are still exact. */
static void test_exact_up_to_the_limit(void) {
  const uint64_t all = (uint64_t)8 << 40;
  uint64_t sizes[256];
  for (guint i = 0; i < 256; i++)
    sizes[i] = all / 256 + (i % 2 == 0 ? UNIT : 0) - (i % 2 == 1 ? UNIT : 0);
  check_sum(256, sizes, all);
  check_sum(256, sizes, all - UNIT);
  check_sum(256, sizes, all / 2 + 37 * UNIT);
}

/* Above 2^24 cells: perhaps not the largest sum, but never above the decrement, and not far below it either. */
static void test_coarse(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(224);
  for (guint round = 0; round < 12; round++) {
    guint count = (guint)g_rand_int_range(rand, 100, 1001);
    g_autofree uint64_t *sizes = g_new(uint64_t, count);
    uint64_t total = 0;
    for (guint i = 0; i < count; i++)
      total += sizes[i] = 128 * DM_MIB + g_rand_int(rand);
    uint64_t decrement = (uint64_t)(g_rand_double_range(rand, 0.01, 1.1) * (double)total);
    g_autoptr(GPtrArray) dimms = make_dimms(count, sizes);
    g_autoptr(GArray) releases = dm_plan_unplug(dimms, decrement);
    uint64_t released = dm_plan_released(releases);
    g_assert_cmpuint(released, <=, decrement);
    g_assert_cmpfloat((double)released, >, 0.9 * (double)MIN(decrement, total));
  }
}

static void test_coarse_with_virtio(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(225);
  for (guint round = 0; round < 4; round++) {
    uint64_t sizes[300], total = 0;
    for (guint i = 0; i < 300; i++)
      total += sizes[i] = 128 * DM_MIB + g_rand_int(rand);
    g_autoptr(GPtrArray) devices = make_dimms(300, sizes);
    DmMemoryDevice *virtio = dm_memory_device_new(DM_DEVICE_VIRTIO_MEM);
    virtio->requested = virtio->current = virtio->size = 64 * DM_GIB;
    virtio->block = 2 * DM_MIB;
    g_ptr_array_add(devices, virtio);
    uint64_t decrement = (uint64_t)(g_rand_double_range(rand, 0.2, 0.8) * (double)total);
    g_autoptr(GArray) releases = dm_plan_unplug(devices, decrement);
    /* virtio-mem fills what coarse DIMMs leave, but for less than a block. */
    g_assert_cmpuint(dm_plan_released(releases), <=, decrement);
    g_assert_cmpuint(dm_plan_released(releases), >, decrement - virtio->block);
  }
}

/* More devices than are looked at, and sizes at the end of the range: no overflow, nothing above the decrement. */
static void test_absurd(void) {
  uint64_t small[DM_PLAN_MAX_DEVICES + 50], huge[3] = {UINT64_MAX, UINT64_MAX - 1, (uint64_t)1 << 63};
  for (guint i = 0; i < G_N_ELEMENTS(small); i++)
    small[i] = UNIT;
  g_autoptr(GPtrArray) many = make_dimms(G_N_ELEMENTS(small), small);
  g_autoptr(GArray) of_many = dm_plan_unplug(many, UINT64_MAX);
  g_assert_cmpuint(of_many->len, ==, DM_PLAN_MAX_DEVICES);

  g_autoptr(GPtrArray) large = make_dimms(3, huge);
  g_autoptr(GArray) of_large = dm_plan_unplug(large, ((uint64_t)1 << 63) + 5);
  g_assert_cmpuint(dm_plan_released(of_large), <=, ((uint64_t)1 << 63) + 5);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(examples); i++) {
    g_autofree char *path = g_strconcat("/unplug/example/", examples[i].name, NULL);
    g_test_add_data_func(path, &examples[i], test_example);
  }
  g_test_add_func("/unplug/256-devices", test_256_devices);
  g_test_add_func("/unplug/exact-up-to-the-limit", test_exact_up_to_the_limit);
  g_test_add_func("/unplug/coarse", test_coarse);
  g_test_add_func("/unplug/coarse-with-virtio", test_coarse_with_virtio);
  g_test_add_func("/unplug/absurd", test_absurd);
  return g_test_run();
}
