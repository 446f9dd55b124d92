/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plug.h"

#include "base/size.h"
#include "notation.h"

#define UNIT (128 * DM_MIB)

/* DIMMs that are there, what is plugged (MiB), free slots: the new DIMMs in MiB, in order. */
static const struct {
  const char *name;
  DmPlugPolicy policy;
  const char *devices;
  uint64_t size;
  guint free_slots;
  const char *expected;
} examples[] = {
  {"ovirt/specification-1", DM_POLICY_OVIRT, "", 256, 16, "128 128"},
  {"ovirt/specification-2", DM_POLICY_OVIRT, "d128 d128", 256, 14, "256"},
  {"ovirt/specification-3", DM_POLICY_OVIRT, "d128 d128 d256", 256, 13, "256"},
  {"ovirt/minimal", DM_POLICY_OVIRT, "", 128, 16, "128"},
  {"ovirt/large", DM_POLICY_OVIRT, "", 4096, 16, "128 3968"},
  {"ovirt/only-larger-ones-there", DM_POLICY_OVIRT, "d256 d512", 1024, 14, "128 896"},
  {"ovirt/one-slot", DM_POLICY_OVIRT, "", 1024, 1, "1024"},
  {"ovirt/virtio-mem-is-no-dimm", DM_POLICY_OVIRT, "v128:128/128:2", 256, 16, "128 128"},
  {"ovirt/nvdimm-is-no-dimm", DM_POLICY_OVIRT, "n128", 256, 16, "128 128"},
  {"whole/any", DM_POLICY_WHOLE, "", 1024, 16, "1024"},
  {"whole/one-slot", DM_POLICY_WHOLE, "d128", 1024, 1, "1024"},
  {"fine/minimal", DM_POLICY_FINE, "", 128, 16, "128"},
  {"fine/two", DM_POLICY_FINE, "", 256, 16, "128 128"},
  {"fine/three", DM_POLICY_FINE, "", 384, 16, "128 256"},
  {"fine/seven", DM_POLICY_FINE, "", 896, 16, "128 256 512"},
  {"fine/sixteen", DM_POLICY_FINE, "", 2048, 16, "128 256 512 1024 128"},
  {"fine/on-top", DM_POLICY_FINE, "d128 d256", 1024, 14, "512 512"},
  {"fine/one-slot", DM_POLICY_FINE, "", 1024, 1, "1024"},
  {"fine/two-slots", DM_POLICY_FINE, "", 1024, 2, "128 896"},
  {"fine/three-slots", DM_POLICY_FINE, "", 1024, 3, "128 256 640"},
};

static char *sizes_text(const GArray *sizes) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < sizes->len; i++)
    g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "", g_array_index(sizes, uint64_t, i) / DM_MIB);
  return g_string_free(text, FALSE);
}

static void test_example(gconstpointer data) {
  const typeof(examples[0]) *example = data;
  g_autofree char *spelled = g_strstrip(g_strconcat("1024 ", example->devices, NULL));
  g_autoptr(DmConfig) config = config_from(spelled, TRUE);
  g_autoptr(GArray) sizes = dm_plan_plug(example->policy, example->size * DM_MIB, UNIT, config, example->free_slots);
  g_autofree char *text = sizes_text(sizes);
  g_assert_cmpstr(text, ==, example->expected);
}

/* The specification: three plugs of 256 MiB give devices of 256, 256, 128 and 128 MiB. */
static void test_worked_example(void) {
  g_autoptr(DmConfig) config = config_from("1024", TRUE);
  for (guint plug = 0; plug < 3; plug++) {
    g_autoptr(GArray) sizes = dm_plan_plug(DM_POLICY_OVIRT, 256 * DM_MIB, UNIT, config, 16 - config->devices->len);
    for (guint i = 0; i < sizes->len; i++) {
      DmMemoryDevice *dimm = dm_memory_device_new(DM_DEVICE_DIMM);
      dimm->size = g_array_index(sizes, uint64_t, i);
      g_ptr_array_add(config->devices, dimm);
    }
  }
  g_autofree char *text = config_text(config);
  g_assert_cmpstr(text, ==, "1024 d128 d128 d256 d256");
  g_assert_cmpuint(dm_config_memory(config), ==, 1792 * DM_MIB);
}

/* ---- properties ---- */

static DmConfig *random_config(GRand *rand, uint64_t minimal) {
  DmConfig *config = dm_config_new();
  uint64_t boot = DM_GIB;
  g_array_append_val(config->cells, boot);
  for (int i = g_rand_int_range(rand, 0, 6); i > 0; i--) {
    DmMemoryDevice *device = dm_memory_device_new((DmDeviceKind)g_rand_int_range(rand, 0, 3));
    device->size = minimal * (uint64_t)g_rand_int_range(rand, 1, 12) + (uint64_t)g_rand_int_range(rand, 0, 2) * DM_MIB;
    g_ptr_array_add(config->devices, device);
  }
  return config;
}

static uint64_t sum_of(const GArray *sizes) {
  uint64_t sum = 0;
  for (guint i = 0; i < sizes->len; i++)
    sum += g_array_index(sizes, uint64_t, i);
  return sum;
}

/* Whatever the policy: the sum is right, the slots suffice, and each DIMM is a multiple of the minimal size. */
static void test_sums(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(4711);
  for (guint round = 0; round < 20000; round++) {
    uint64_t minimal = g_rand_boolean(rand) ? UNIT : 2 * UNIT;
    uint64_t size = minimal * (uint64_t)g_rand_int_range(rand, 1, 3000);
    guint free_slots = (guint)g_rand_int_range(rand, 1, 20);
    g_autoptr(DmConfig) config = random_config(rand, minimal);
    for (DmPlugPolicy policy = DM_POLICY_OVIRT; policy <= DM_POLICY_FINE; policy++) {
      g_autoptr(GArray) sizes = dm_plan_plug(policy, size, minimal, config, free_slots);
      g_assert_cmpuint(sum_of(sizes), ==, size);
      g_assert_cmpuint(sizes->len, >=, 1);
      g_assert_cmpuint(sizes->len, <=, policy == DM_POLICY_WHOLE ? 1 : policy == DM_POLICY_OVIRT ? 2 : free_slots);
      for (guint i = 0; i < sizes->len; i++) {
        g_assert_cmpuint(g_array_index(sizes, uint64_t, i), >, 0);
        g_assert_cmpuint(g_array_index(sizes, uint64_t, i) % minimal, ==, 0);
      }
    }
  }
}

/* Which multiples of UNIT are sums of some of the DIMMs. The caller frees. */
static guint8 *reachable_units(const DmConfig *config, const GArray *sizes, guint units) {
  guint8 *reachable = g_malloc0(units + 1);
  guint devices = config != NULL ? config->devices->len : 0;
  reachable[0] = 1;
  for (guint i = 0; i < devices + sizes->len; i++) {
    const DmMemoryDevice *device = i < devices ? config->devices->pdata[i] : NULL;
    uint64_t size = device != NULL ? device->size : g_array_index(sizes, uint64_t, i - devices);
    if ((device != NULL && device->kind != DM_DEVICE_DIMM) || size % UNIT != 0)
      continue;
    for (guint s = units; s >= size / UNIT; s--)
      reachable[s] |= reachable[s - size / UNIT];
  }
  return reachable;
}

/* 'fine' into an empty VM: only powers of two, few of them, and each multiple can be given back exactly. */
static void test_fine_gives_everything_back(void) {
  g_autoptr(DmConfig) config = config_from("1024", TRUE);
  for (guint units = 1; units <= 2048; units++) {
    g_autoptr(GArray) sizes = dm_plan_plug(DM_POLICY_FINE, units * UNIT, UNIT, config, 256);
    guint log2 = 31 - (guint)__builtin_clz(units);
    g_assert_cmpuint(sizes->len, <=, 2 * log2 + 1);
    for (guint i = 0; i < sizes->len; i++) {
      uint64_t size = g_array_index(sizes, uint64_t, i) / UNIT;
      g_assert_cmpuint(size & (size - 1), ==, 0);
    }
    g_autofree guint8 *reachable = reachable_units(NULL, sizes, units);
    for (guint s = 0; s <= units; s++)
      g_assert_true(reachable[s]);
  }
}

/* The same beside DIMMs that are there: each multiple up to what was plugged can be given back. */
static void test_fine_beside_others(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(4712);
  for (guint round = 0; round < 3000; round++) {
    guint units = (guint)g_rand_int_range(rand, 1, 600);
    g_autoptr(DmConfig) config = random_config(rand, UNIT);
    g_autoptr(GArray) sizes = dm_plan_plug(DM_POLICY_FINE, units * UNIT, UNIT, config, 256);
    g_autofree guint8 *reachable = reachable_units(config, sizes, units);
    for (guint s = 0; s <= units; s++)
      g_assert_true(reachable[s]);
  }
}

/* Plugged in parts: the DIMMs of all plugs together still give back each multiple. */
static void test_fine_in_parts(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(4713);
  for (guint round = 0; round < 500; round++) {
    guint total = 0;
    g_autoptr(DmConfig) config = config_from("1024", TRUE);
    for (guint plug = 0; plug < 5; plug++) {
      guint units = (guint)g_rand_int_range(rand, 1, 100);
      g_autoptr(GArray) sizes = dm_plan_plug(DM_POLICY_FINE, units * UNIT, UNIT, config, 256);
      for (guint i = 0; i < sizes->len; i++) {
        DmMemoryDevice *dimm = dm_memory_device_new(DM_DEVICE_DIMM);
        dimm->size = g_array_index(sizes, uint64_t, i);
        g_ptr_array_add(config->devices, dimm);
      }
      total += units;
    }
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_autofree guint8 *reachable = reachable_units(config, none, total);
    for (guint s = 0; s <= total; s++)
      g_assert_true(reachable[s]);
  }
}

/* Too few slots: all of them are used, and small decrements stay possible for as long as they can. */
static void test_fine_with_few_slots(void) {
  g_autoptr(DmConfig) config = config_from("1024", TRUE);
  for (guint slots = 2; slots <= 8; slots++) {
    g_autoptr(GArray) sizes = dm_plan_plug(DM_POLICY_FINE, 4096 * UNIT, UNIT, config, slots);
    guint below = (1u << (slots - 1)) - 1;
    g_assert_cmpuint(sizes->len, ==, slots);
    g_autofree guint8 *reachable = reachable_units(NULL, sizes, below);
    for (guint s = 0; s <= below; s++)
      g_assert_true(reachable[s]);
  }
}

static void test_names(void) {
  static const char *const names[] = {"ovirt", "whole", "fine"};
  for (DmPlugPolicy policy = DM_POLICY_OVIRT; policy <= DM_POLICY_FINE; policy++) {
    DmPlugPolicy read = 99;
    g_assert_cmpstr(dm_plug_policy_name(policy), ==, names[policy]);
    g_assert_true(dm_plug_policy_from_name(names[policy], &read));
    g_assert_cmpint(read, ==, policy);
  }
  DmPlugPolicy untouched = 99;
  g_assert_false(dm_plug_policy_from_name("Fine", &untouched));
  g_assert_false(dm_plug_policy_from_name("", &untouched));
  g_assert_false(dm_plug_policy_from_name(NULL, &untouched));
  g_assert_cmpint(untouched, ==, 99);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(examples); i++) {
    g_autofree char *path = g_strconcat("/plug/", examples[i].name, NULL);
    g_test_add_data_func(path, &examples[i], test_example);
  }
  g_test_add_func("/plug/worked-example", test_worked_example);
  g_test_add_func("/plug/sums", test_sums);
  g_test_add_func("/plug/fine/gives-everything-back", test_fine_gives_everything_back);
  g_test_add_func("/plug/fine/beside-others", test_fine_beside_others);
  g_test_add_func("/plug/fine/in-parts", test_fine_in_parts);
  g_test_add_func("/plug/fine/with-few-slots", test_fine_with_few_slots);
  g_test_add_func("/plug/names", test_names);
  return g_test_run();
}
