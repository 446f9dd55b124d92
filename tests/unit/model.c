/* SPDX-License-Identifier: Apache-2.0 */
/* The model's own arithmetic: what a configuration comes to, and what a VM is. */
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "notation.h"

/* A configuration, and its boot, memory, guaranteed, maximum, free slots and room to plug, in MiB. */
static const struct {
  const char *name, *config, *expected;
} cases[] = {
  {"plain", "1024", "1024 1024 1024 1024 0 0"},
  {"cells", "512+1024 max=4096/16", "1536 1536 1536 4096 16 2560"},
  {"dimms", "1024 max=4096/16 d256 d128", "1024 1408 1408 4096 14 2688"},
  {"virtio-mem", "1024 max=4096/16 v1024:512/512:2", "1024 1536 1536 4096 15 2048"},
  /* Memory never falls before the guest gave it back, and counts at once what it was promised. */
  {"virtio-mem-shrinking", "1024 max=4096/16 v1024:256/512:2", "1024 1536 1536 4096 15 2048"},
  {"virtio-mem-growing", "1024 max=4096/16 v1024:512/256:2", "1024 1280 1280 4096 15 2048"},
  {"nvdimm", "1024 max=4096/16 n512", "1024 1024 1024 4096 15 2560"},
  {"guaranteed", "1024 g=900", "1024 1024 900 1024 0 0"},
  {"guaranteed-above", "1024 g=2000", "1024 1024 1024 1024 0 0"},
  {"kept-aside", "4096 aside=4096/16", "4096 4096 4096 4096 0 0"},
  {"more-devices-than-slots", "1024 max=4096/1 d128 d128", "1024 1280 1280 4096 0 2816"},
  {"above-maximum", "1024 max=512/16", "1024 1024 1024 512 16 0"},
  {"all", "1024+512 max=8192/16 g=100 d256 v1024:100/50:2 n128 d512", "1536 2354 100 8192 12 4736"},
};

static void test_config(gconstpointer data) {
  const typeof(cases[0]) *c = data;
  g_autoptr(DmConfig) config = config_from(c->config, TRUE);
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                                          " %" G_GUINT64_FORMAT " %u %" G_GUINT64_FORMAT,
    dm_config_boot(config) / DM_MIB, dm_config_memory(config) / DM_MIB, dm_config_guaranteed(config) / DM_MIB,
    dm_config_maximum(config) / DM_MIB, dm_config_free_slots(config), dm_config_plug_room(config) / DM_MIB);
  g_assert_cmpstr(text, ==, c->expected);
}

/* Sums of absurd numbers stay at the end of the range, above every maximum. */
static void test_no_overflow(void) {
  g_autoptr(DmConfig) config = config_from("1024 max=4096/16 d1 v1:1/1:2", TRUE);
  DmMemoryDevice *dimm = config->devices->pdata[0], *virtio = config->devices->pdata[1];
  dimm->size = UINT64_MAX - 5;
  virtio->size = virtio->requested = UINT64_MAX;
  g_assert_cmpuint(dm_config_memory(config), ==, UINT64_MAX);
  g_assert_cmpuint(dm_config_plug_room(config), ==, 0);
}

static void test_copy(void) {
  const char *text = "1024+512 max=8192/16 g=100 page=2 balloon=77 ua-1=d256@1 v1024:100/50:2 n128";
  DmConfig *config = config_from(text, FALSE);
  g_autoptr(DmConfig) copy = dm_config_copy(config);
  g_array_index(config->cells, uint64_t, 0) = 1;
  g_free(((DmMemoryDevice *)config->devices->pdata[0])->alias);
  ((DmMemoryDevice *)config->devices->pdata[0])->alias = g_strdup("other");
  dm_config_free(config);
  g_autofree char *again = config_text(copy);
  g_assert_cmpstr(again, ==, text);
  g_assert_nonnull(dm_config_find_alias(copy, "ua-1"));
  g_assert_null(dm_config_find_alias(copy, "ua-2"));
  dm_config_free(NULL);
  dm_memory_device_free(NULL);
}

static void test_vm_copy(void) {
  DmVm *vm = vm_from("paused ppc64: 1024 d256 | 512 | set=512 -dimm0(256):overdue");
  g_autoptr(DmVm) copy = dm_vm_copy(vm);
  dm_vm_free(vm);
  g_autofree char *live = config_text(copy->live), *next = config_text(copy->next_run);
  g_autofree char *steps = steps_text(copy->request->steps);
  g_assert_cmpstr(live, ==, "1024 dimm0=d256");
  g_assert_cmpstr(next, ==, "512");
  g_assert_cmpstr(steps, ==, "-dimm0(256):overdue");
  g_assert_cmpstr(copy->name, ==, "web1");
  g_assert_cmpint(copy->state, ==, DM_VM_PAUSED);
  dm_vm_free(NULL);
}

static void test_next_run_is_there_while_it_differs(void) {
  static const struct {
    const char *vm;
    gboolean has;
  } vms[] = {
    {"running: 1024 max=4096/16 d256 | 1280 max=4096/16", FALSE},
    {"running: 1024 max=4096/16 d256 | 1024 max=4096/16", TRUE},
    {"running: 1024 max=4096/16 | 1024 max=4096/16 g=900", TRUE},
    {"running: 1024 max=4096/16 g=1024 | 1024 max=4096/16", FALSE},
    {"running: 1024 max=4096/16 | 1024 max=8192/16", TRUE},
    {"running: 4096 aside=4096/16 | 4096 aside=4096/16", FALSE},
    {"paused: 1024 | 2048", TRUE},
    {"running: 1024 | -", FALSE},
    {"shut-off: - | 1024", FALSE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(vms); i++) {
    g_autoptr(DmVm) vm = vm_from(vms[i].vm);
    g_assert_cmpint(dm_vm_has_next_run(vm), ==, vms[i].has);
    g_assert_true(dm_vm_current(vm) == (vm->live != NULL ? vm->live : vm->next_run));
  }
}

static void test_factor(void) {
  static const struct {
    const char *arch;
    uint64_t mib;
  } archs[] = {{"x86_64", 128}, {"i686", 128}, {"aarch64", 128}, {"ppc64", 256}, {"ppc64le", 256}, {NULL, 128}};
  for (gsize i = 0; i < G_N_ELEMENTS(archs); i++) {
    g_autoptr(DmVm) vm = dm_vm_new();
    vm->arch = g_strdup(archs[i].arch);
    g_assert_cmpuint(dm_vm_factor(vm), ==, archs[i].mib * DM_MIB);
  }
}

static void test_short_ids(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 d128 d128 d128 | -");
  static const char *const ids[] = {"12345678-9abc-4000-8000-00000000000a", "12345678-9abd-4000-8000-00000000000b",
    "ffffffff-9abc-4000-8000-0000000000ff"};
  for (guint i = 0; i < 3; i++) {
    DmMemoryDevice *device = vm->live->devices->pdata[i];
    g_free(device->id);
    device->id = g_strdup(ids[i]);
  }
  guint length = dm_vm_short_id_length(vm);
  g_assert_cmpuint(length, ==, strlen("12345678-9abc"));
  for (guint i = 0; i < 3; i++) {
    g_autofree char *shortened = g_strndup(ids[i], length);
    g_assert_true(dm_vm_find_device(vm, shortened, NULL) == vm->live->devices->pdata[i]);
  }
  g_autoptr(DmVm) none = vm_from("shut-off: - | 1024");
  g_assert_cmpuint(dm_vm_short_id_length(none), ==, 8);
}

/* A definition of 500001 and 400001 KiB has currentMemory of that, and starts with 489 and 391 MiB: nobody asked for
 * it. */
static void test_ballooned(void) {
  static const struct {
    const char *config;
    uint64_t current_kib, expected_kib;
  } table[] = {
    {"489+391", 900002, 0},
    {"880", 900002, 1118},
    {"977", 1000000, 0},
    {"1024", 1024 << 10, 0},
    {"1024", 1023 << 10, 1024},
    {"512+512", 1022 << 10, 2048},
    {"977 d130 d256", 1000000 + 131073 + 262143, 0},
    {"977 v128:0:2", 976 << 10, 1024},
    {"1024", 0, 0},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autoptr(DmConfig) config = config_from(table[i].config, FALSE);
    config->balloon = table[i].current_kib * DM_KIB;
    g_assert_cmpuint(dm_config_ballooned(config), ==, table[i].expected_kib * DM_KIB);
  }
}

static void test_adds(void) {
  g_autoptr(DmMemoryDevice) device = dm_memory_device_new(DM_DEVICE_VIRTIO_MEM);
  g_autoptr(DmStep) grown = dm_step_new(DM_OP_RESIZE, device), plugged = dm_step_new(DM_OP_PLUG, device);
  grown->run.size_before = 128 * DM_MIB;
  grown->from = grown->to = 256 * DM_MIB; /* from: what was accounted for last */
  g_assert_true(dm_step_adds(grown));
  g_assert_true(dm_step_adds(plugged));
  grown->to = 64 * DM_MIB;
  g_assert_false(dm_step_adds(grown));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/model/config/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_config);
  }
  g_test_add_func("/model/no-overflow", test_no_overflow);
  g_test_add_func("/model/copy", test_copy);
  g_test_add_func("/model/vm-copy", test_vm_copy);
  g_test_add_func("/model/next-run-is-there-while-it-differs", test_next_run_is_there_while_it_differs);
  g_test_add_func("/model/ballooned", test_ballooned);
  g_test_add_func("/model/adds", test_adds);
  g_test_add_func("/model/factor", test_factor);
  g_test_add_func("/model/short-ids", test_short_ids);
  return g_test_run();
}
