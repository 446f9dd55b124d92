/* SPDX-License-Identifier: Apache-2.0 */
/* Which kind of device is plugged where that is left open: by the VM, and by the configuration of its connection. */
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "guest_notation.h"
#include "notation.h"
#include "plan/plug.h"

#define PLAIN "running: 1024 max=4096/16 | -"
#define DRIVES "agent virtio-mem 4096+128:m"

typedef enum {
  VFIO = 1,
  LOCKED = 2,
  KEEPS = 4,
  NO_DIMMS = 8,
  NO_VIRTIO_MEM = 16,
  PCI_FULL = 32
} Traits;

typedef struct {
  const char *name, *vm, *guest; /* NULL: it was not asked */
  Traits traits;
  gboolean virtio;
  const char *why;
} Case;

static const Case cases[] = {
  {"driven", PLAIN, DRIVES, 0, TRUE, "its guest has the driver virtio_mem"},
  {"not-asked", PLAIN, NULL, 0, FALSE, "not known whether"},
  {"not-known", PLAIN, "agent", 0, FALSE, "not known whether"},
  {"not-loaded", PLAIN, "agent no-virtio-mem", 0, FALSE, "is not loaded"},
  {"old-kernel", PLAIN, "agent kernel=5.4.0 virtio-mem", 0, FALSE, "older than Linux 5.8"},
  {"windows", PLAIN, "qga windows virtio-mem", 0, FALSE, "viomem"},
  {"vfio", PLAIN, DRIVES, VFIO, FALSE, "(VFIO)"},
  {"locked", PLAIN, DRIVES, LOCKED, FALSE, "<locked/>"},
  {"machine", PLAIN, DRIVES, NO_VIRTIO_MEM, FALSE, "POWER"},
  {"no-slot", "running: 1024 max=4096/1 slotless d128 | -", DRIVES, 0, TRUE, "all its memory slots are taken"},
  {"pci-full", PLAIN, DRIVES, PCI_FULL, FALSE, "PCI ports"},
  {"no-slot-for-either", "running: 1024 max=4096/2 d128 | -", "agent no-virtio-mem", 0, FALSE, "is not loaded"},
  {"no-dimms", PLAIN, "agent no-virtio-mem", NO_DIMMS, TRUE, "its machine has no DIMMs"},
  {"beside-others", "running: 1024 max=4096/16 d128 | -", DRIVES, 0, FALSE, "does not keep the address"},
  {"beside-others-kept", "running: 1024 max=4096/16 d128 | -", DRIVES, KEEPS, TRUE, "has the driver"},
};

static DmVm *make_vm(const Case *row) {
  DmVm *vm = vm_from(row->vm);
  vm->vfio = (row->traits & VFIO) != 0;
  vm->locked = (row->traits & LOCKED) != 0;
  vm->live->keeps_addresses = (row->traits & KEEPS) != 0;
  if ((row->traits & NO_VIRTIO_MEM) != 0)
    vm->live->machine = (DmMachine){.arch = "ppc64le", .type = "pseries-7.2"};
  vm->live->machine.pci_full = (row->traits & PCI_FULL) != 0;
  if ((row->traits & NO_DIMMS) != 0)
    vm->live->machine = (DmMachine){.arch = "riscv64", .type = "virt"};
  if (row->guest != NULL)
    dm_vm_take_guest(vm, guest_from(row->guest));
  return vm;
}

static void check_why(const DmPlan *plan, const char *why) {
  const DmNote *note = plan->notes->pdata[0];
  g_assert_cmpstr(dm_note_name(note), ==, "kind-chosen");
  if (strstr(note->text, why) == NULL)
    g_error("'%s' is not in '%s'", why, note->text);
}

static void test_plug(gconstpointer data) {
  const Case *row = data;
  g_autoptr(DmVm) vm = make_vm(row);
  g_autoptr(GError) error = NULL;
  const DmPlugWish wish = {.choose_kind = TRUE, .size = 256 * DM_MIB};
  g_autoptr(DmPlan) plan = plug_plan(vm, &wish, &error);
  g_assert_no_error(error);
  g_assert_cmpint(((DmStep *)plan->steps->pdata[0])->kind, ==, row->virtio ? DM_DEVICE_VIRTIO_MEM : DM_DEVICE_DIMM);
  g_assert_cmpuint(plan->memory_after - plan->memory_before, ==, 256 * DM_MIB);
  check_why(plan, row->why);
}

static DmPlan *raise_to(const DmVm *vm, const char *memory, gboolean choose, DmDeviceKind kind, GError **error) {
  DmWish wish = wish_from(memory);
  wish.set.choose_kind = choose;
  wish.set.kind = kind;
  return dm_plan(vm, &wish, error);
}

static char *raised(const char *spelled, const char *guest, const char *memory, gboolean choose, DmDeviceKind kind) {
  g_autoptr(DmVm) vm = vm_from(spelled);
  GError *error = NULL;
  if (guest != NULL)
    dm_vm_take_guest(vm, guest_from(guest));
  DmPlan *plan = raise_to(vm, memory, choose, kind, &error);
  char *text = plan != NULL ? steps_text(plan->steps) : NULL;
  dm_plan_free(plan);
  return text_or_error_take(text, error);
}

/* What has room grows; the rest is one device, whose full size is whole memory blocks. */
static void test_raise(void) {
  static const struct {
    const char *vm, *guest, *memory;
    gboolean choose;
    DmDeviceKind kind;
    const char *expected;
  } rows[] = {
    {PLAIN, DRIVES, "memory=1400", TRUE, DM_DEVICE_DIMM, "+v384:376@0"},
    {PLAIN, NULL, "memory=1400", FALSE, DM_DEVICE_VIRTIO_MEM, "+v384:376@0"},
    {PLAIN, NULL, "memory=1401", FALSE, DM_DEVICE_VIRTIO_MEM, "error not-a-multiple"},
    {PLAIN, NULL, "memory=1408", TRUE, DM_DEVICE_DIMM, "+d128@0 +d256@0"},
    {"running: 1024 max=4096/16 v512:128/128:2 | -", DRIVES, "memory=1500", TRUE, DM_DEVICE_DIMM,
      "virtiomem0(128>476)"},
    {"running: 1024 max=4096/16 v512:128/128:2 | -", NULL, "memory=1600", FALSE, DM_DEVICE_VIRTIO_MEM,
      "virtiomem0(128>512) +v128:64@0"},
    {"running: 1024 max=4096/1 d128 | -", NULL, "memory=1280", FALSE, DM_DEVICE_VIRTIO_MEM, "error no-free-slot"},
    {"running: 1024 max=4096/1 slotless d128 | -", NULL, "memory=1280", FALSE, DM_DEVICE_VIRTIO_MEM, "+v128:128@0"},
    {"running: 1024 max=1300/4 | -", NULL, "memory=1300", FALSE, DM_DEVICE_VIRTIO_MEM, "error memory-above-maximum"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *text = raised(rows[i].vm, rows[i].guest, rows[i].memory, rows[i].choose, rows[i].kind);
    g_assert_cmpstr(text, ==, rows[i].expected);
  }
}

/* What grows counts in the command that would do. */
static void test_nearest(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 v512:0/0:2 | -");
  g_autoptr(GError) error = NULL;
  g_assert_null(raise_to(vm, "memory=1539", FALSE, DM_DEVICE_VIRTIO_MEM, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE);
  g_assert_cmpstr(dm_error_get_command(error), ==, "dimmer set web1 --memory 1538MiB");
}

/* Of a request that fails, too, it is told why that kind was chosen. */
static void test_why_in_error(void) {
  g_autoptr(DmVm) vm = vm_from(PLAIN);
  g_autoptr(GError) plug_error = NULL;
  g_autoptr(GError) set_error = NULL;
  const DmPlugWish wish = {.choose_kind = TRUE, .size = 100 * DM_MIB};
  g_assert_null(plug_plan(vm, &wish, &plug_error));
  g_assert_error(plug_error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE);
  g_assert_nonnull(strstr(plug_error->message, "not known whether its guest has the driver"));
  g_assert_null(raise_to(vm, "memory=1124", TRUE, DM_DEVICE_DIMM, &set_error));
  g_assert_nonnull(strstr(set_error->message, "not known whether its guest has the driver"));
}

/* What is asked for may be any multiple of 2 MiB; the device then holds whole memory blocks. */
static void test_odd_size(void) {
  g_autoptr(DmVm) vm = vm_from(PLAIN);
  dm_vm_take_guest(vm, guest_from(DRIVES));
  const DmPlugWish wish = {.choose_kind = TRUE, .size = 100 * DM_MIB};
  g_autoptr(DmPlan) plan = plug_plan(vm, &wish, NULL);
  g_assert_nonnull(plan);
  g_assert_cmpuint(((DmStep *)plan->steps->pdata[0])->size, ==, 128 * DM_MIB);
}

static void test_defaults(void) {
  static const struct {
    const char *kinds, *policies, *uri, *expected;
  } rows[] = {
    {"", "", NULL, "dimm ovirt"},
    {"auto", "fine", NULL, "auto fine"},
    {"auto qemu:///system=dimm", "", "qemu:///system", "dimm ovirt"},
    {"qemu:///system=dimm auto", "", "qemu:///system", "dimm ovirt"},
    {"auto qemu:///system=dimm", "", "qemu:///session", "auto ovirt"},
    {"qemu:///embed?root=/a=virtio-mem", "qemu:///embed?root=/a=whole", "qemu:///embed?root=/a", "virtio-mem whole"},
    {"qemu:///embed?root=/a=virtio-mem", "", "qemu:///embed?root=/", "dimm ovirt"},
    {"dimms", "", NULL, "wrong dimms"},
    {"auto qemu:///system", "", NULL, "wrong qemu:///system"},
    {"auto", "fine qemu:///system=fin", NULL, "wrong qemu:///system=fin"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(GStrv) kinds = g_strsplit(rows[i].kinds, " ", -1);
    g_auto(GStrv) policies = g_strsplit(rows[i].policies, " ", -1);
    DmPlugDefaults read = {0};
    const char *wrong;
    dm_plug_defaults_read((const char *const *)kinds, (const char *const *)policies, rows[i].uri, &read, &wrong);
    g_autofree char *text = wrong != NULL
      ? g_strconcat("wrong ", wrong, NULL)
      : g_strdup_printf(
          "%s %s", read.choose_kind ? "auto" : dm_device_kind_name(read.kind), dm_plug_policy_name(read.policy));
    g_assert_cmpstr(text, ==, rows[i].expected);
  }
}

/* One rule for all that names a kind or a policy. */
static void test_named(void) {
  static const struct {
    DmPlugDefaults defaults;
    const char *kind, *policy;
    DmPlugFault fault;
    DmPlugDefaults expected;
  } rows[] = {
    {{FALSE, DM_DEVICE_VIRTIO_MEM, DM_POLICY_OVIRT}, NULL, NULL, DM_PLUG_WELL,
      {FALSE, DM_DEVICE_VIRTIO_MEM, DM_POLICY_OVIRT}},
    {{FALSE, DM_DEVICE_VIRTIO_MEM, DM_POLICY_OVIRT}, NULL, "fine", DM_PLUG_WELL,
      {FALSE, DM_DEVICE_DIMM, DM_POLICY_FINE}},
    {{FALSE, DM_DEVICE_DIMM, DM_POLICY_OVIRT}, "virtio-mem", "fine", DM_PLUG_NOT_SPLIT, {0}},
    {{TRUE, DM_DEVICE_DIMM, DM_POLICY_OVIRT}, NULL, "fine", DM_PLUG_WELL, {TRUE, DM_DEVICE_DIMM, DM_POLICY_FINE}},
    {{TRUE, DM_DEVICE_DIMM, DM_POLICY_WHOLE}, "virtio-mem", NULL, DM_PLUG_WELL,
      {FALSE, DM_DEVICE_VIRTIO_MEM, DM_POLICY_WHOLE}},
    {{FALSE, DM_DEVICE_DIMM, DM_POLICY_OVIRT}, "nvdimm", NULL, DM_PLUG_BAD_KIND, {0}},
    {{FALSE, DM_DEVICE_DIMM, DM_POLICY_OVIRT}, "auto", "most", DM_PLUG_BAD_POLICY, {0}},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    DmPlugDefaults plugs = rows[i].defaults;
    const DmPlugDefaults *expected = rows[i].fault == DM_PLUG_WELL ? &rows[i].expected : &rows[i].defaults;
    g_assert_cmpint(dm_plug_defaults_name(&plugs, rows[i].kind, rows[i].policy), ==, rows[i].fault);
    g_assert_cmpint(plugs.choose_kind, ==, expected->choose_kind);
    g_assert_cmpint(plugs.kind, ==, expected->kind);
    g_assert_cmpint(plugs.policy, ==, expected->policy);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/plug-kind/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_plug);
  }
  g_test_add_func("/plug-kind/raise", test_raise);
  g_test_add_func("/plug-kind/named", test_named);
  g_test_add_func("/plug-kind/nearest", test_nearest);
  g_test_add_func("/plug-kind/odd-size", test_odd_size);
  g_test_add_func("/plug-kind/why-in-error", test_why_in_error);
  g_test_add_func("/plug-kind/defaults", test_defaults);
  return g_test_run();
}
