/* SPDX-License-Identifier: Apache-2.0 */
/* What QEMU's machines can do with memory. Each row was tried with QEMU 7.2, of arm64, POWER, IBM Z and RISC-V too. */
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "notation.h"
#include "plan/machine.h"

#define X86(type_) \
  { .arch = "x86_64", .type = type_, .emulated = TRUE, .acpi = TRUE }
#define ARM(type_, acpi_) \
  { .arch = "aarch64", .type = type_, .emulated = TRUE, .acpi = acpi_ }
#define OTHER(arch_, type_) \
  { .arch = arch_, .type = type_, .emulated = TRUE, .acpi = TRUE }

static const struct {
  const char *name;
  DmMachine machine;
  const char *dimm, *virtio; /* a word of what is missing; NULL: nothing */
} kinds[] = {
  {"unknown", {0}, NULL, NULL},
  {"q35", X86("pc-q35-7.2"), NULL, NULL},
  {"alias", X86("pc"), NULL, NULL},
  {"two-digits", X86("pc-i440fx-2.12"), NULL, NULL},
  {"first", X86("pc-i440fx-2.1"), NULL, NULL},
  {"before-hot-plug", X86("pc-i440fx-2.0"), "older", "older"},
  {"old", X86("pc-i440fx-1.7"), "older", "older"},
  {"oldest", X86("pc-0.15"), "older", "older"},
  {"rhel6", X86("rhel6.6.0"), "older", "older"},
  {"rhel", X86("pc-q35-rhel8.6.0"), NULL, NULL},
  {"isa", X86("isapc"), "machine type", "machine type"},
  {"microvm", X86("microvm"), "machine type", "machine type"},
  {"no-acpi", {.arch = "x86_64", .type = "pc-q35-7.2"}, "ACPI", "ACPI"},
  {"arm", ARM("virt-7.2", TRUE), NULL, NULL},
  {"arm-without-acpi", ARM("virt-7.2", FALSE), "UEFI", NULL},
  {"arm-before-ged", ARM("virt-4.1", TRUE), "older", NULL},
  {"arm-board", ARM("raspi3b", FALSE), "machine type", "machine type"},
  {"power", OTHER("ppc64le", "pseries-7.2"), NULL, "no virtio-mem"},
  {"power-rhel", OTHER("ppc64le", "pseries-rhel8.6.0"), NULL, "no virtio-mem"},
  {"power-old", OTHER("ppc64", "pseries-2.4"), "older", "older"},
  {"power-bare", OTHER("ppc64", "powernv9"), "machine type", "machine type"},
  {"ibm-z", OTHER("s390x", "s390-ccw-virtio-7.2"), "IBM Z", "IBM Z"},
  {"risc-v", OTHER("riscv64", "virt"), "RISC-V", NULL},
  {"loongarch", OTHER("loongarch64", "virt"), NULL, NULL},
  {"alpha", OTHER("alpha", "clipper"), "machine type", "machine type"},
};

static void check_kind(const DmMachine *machine, DmDeviceKind kind, const char *word) {
  DmLack lack = {0};
  g_assert_cmpint(dm_machine_lacks(machine, kind, &lack), ==, word != NULL);
  if (word == NULL)
    return;
  g_assert_nonnull(strstr(lack.what, word));
  g_assert_nonnull(lack.remedy);
}

static void test_kind(gconstpointer data) {
  const typeof(kinds[0]) *c = data;
  DmLack lack;
  check_kind(&c->machine, DM_DEVICE_DIMM, c->dimm);
  check_kind(&c->machine, DM_DEVICE_VIRTIO_MEM, c->virtio);
  g_assert_cmpint(dm_machine_lacks_all(&c->machine, &lack), ==, c->dimm != NULL && c->virtio != NULL);
}

/* The most that QEMU starts with, found by trying: maximum, or boot memory where @config has none. */
static const struct {
  const char *name;
  DmMachine machine;
  const char *config;
  guint most; /* GiB; 0: not known, or not bounded */
} reaches[] = {
  {"q35", X86("pc-q35-7.2"), "1024 max=2097152/16", 961},
  {"q35-larger", X86("pc-q35-7.2"), "4096 max=2097152/16", 962},
  {"q35-slots", X86("pc-q35-7.2"), "1024 max=2097152/256", 721},
  {"q35-before-7.1", X86("pc-q35-7.0"), "1024 max=2097152/16", 973},
  {"pc", X86("pc-i440fx-7.2"), "1024 max=2097152/16", 991},
  {"pc-larger", X86("pc-i440fx-7.2"), "4096 max=2097152/16", 993},
  {"intel", {.arch = "x86_64", .type = "pc-q35-7.2", .emulated = TRUE, .acpi = TRUE, .cpu_model = "Skylake-Server"},
    "1024 max=2097152/16", 973},
  {"epyc", {.arch = "x86_64", .type = "pc-q35-7.2", .emulated = TRUE, .acpi = TRUE, .cpu_model = "EPYC"},
    "1024 max=2097152/16", 961},
  {"kvm", {.arch = "x86_64", .type = "pc-q35-7.2", .acpi = TRUE, .cpu_mode = "custom", .cpu_model = "Skylake-Server"},
    "1024 max=2097152/16", 973},
  {"bits", {.arch = "x86_64", .type = "pc-q35-7.2", .acpi = TRUE, .cpu_model = "Skylake-Server", .address_bits = 46},
    "1024 max=2097152/16", 0},
  {"bits-beyond", {.arch = "x86_64", .type = "pc-q35-7.2", .acpi = TRUE, .cpu_model = "Skylake", .address_bits = 39},
    "1024 max=2097152/16", 461},
  {"passthrough", {.arch = "x86_64", .type = "pc-q35-7.2", .acpi = TRUE, .cpu_mode = "host-passthrough"},
    "1024 max=2097152/16", 0},
  {"arguments", {.arch = "x86_64", .type = "pc-q35-7.2", .acpi = TRUE, .has_other_args = TRUE}, "1024 max=2097152/16",
    0},
  {"pae", {.arch = "i686", .type = "pc-q35-7.2", .emulated = TRUE, .acpi = TRUE}, "1024 max=131072/2", 59},
  {"pae-model", {.arch = "x86_64", .type = "pc-q35-7.2", .emulated = TRUE, .acpi = TRUE, .cpu_model = "n270"},
    "1024 max=131072/16", 45},
  {"pse36", {.arch = "x86_64", .type = "pc-q35-7.2", .emulated = TRUE, .acpi = TRUE, .cpu_model = "kvm32"},
    "1024 max=131072/16", 13},
  {"no-long-mode", {.arch = "x86_64", .type = "pc-q35-7.2", .emulated = TRUE, .acpi = TRUE, .no_long_mode = TRUE},
    "1024 max=131072/16", 13},
  {"boot", X86("pc-q35-7.2"), "~2097152", 978},
  {"hole", {.arch = "x86_64", .type = "pc-q35-7.2", .emulated = TRUE, .acpi = TRUE, .hole64 = 100 * DM_GIB},
    "1024 max=2097152/16", 893},
  {"arm", {.arch = "aarch64", .type = "virt", .emulated = TRUE, .acpi = TRUE, .cpu_model = "cortex-a53"},
    "1024 max=2097152/16", 1007},
  {"arm-wide", {.arch = "aarch64", .type = "virt", .emulated = TRUE, .acpi = TRUE, .cpu_model = "cortex-a57"},
    "1024 max=2097152/16", 0},
  {"power", OTHER("ppc64le", "pseries"), "1024 max=2097152/16", 0},
};

static void test_reach(gconstpointer data) {
  const typeof(reaches[0]) *c = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(DmConfig) config = config_from(c->config, FALSE), before = config_from("~512", FALSE);
  g_autofree char *room = g_strdup_printf("room for %u MiB", c->most * 1024);
  config->machine = before->machine = c->machine;
  g_assert_cmpint(dm_machine_check(before, config, "vm", &error), ==, c->most == 0);
  if (c->most == 0)
    return;
  g_assert_error(error, DM_ERROR, DM_ERROR_ABOVE_PLATFORM);
  g_assert_nonnull(strstr(error->message, room));
  /* What is there already is not questioned. */
  g_assert_true(dm_machine_check(config, config, "vm", NULL));
}

static void test_no_reach(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmConfig) config = config_from("1024 max=4096/16", FALSE), before = config_from("~1024", FALSE);
  config->machine = before->machine = (DmMachine)X86("pc-q35-7.2");
  config->machine.cpu_model = "pentium";
  g_assert_false(dm_machine_check(before, config, "vm", &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_ABOVE_PLATFORM);
  g_assert_nonnull(strstr(error->message, "32 address bits, which leave no room"));
}

/* Only new virtio-mem devices of hosts and machines that have them. */
static void test_divides(void) {
  static const struct {
    DmMachine machine;
    gboolean host, expected;
  } rows[] = {
    {X86("pc-q35-10.0"), TRUE, TRUE},
    {X86("pc-i440fx-8.2"), TRUE, TRUE},
    {X86("pc-q35-8.1"), TRUE, FALSE},
    {X86("pc-q35-10.0"), FALSE, FALSE},
    {X86("q35"), TRUE, FALSE},
    {ARM("virt-10.0", TRUE), TRUE, FALSE},
    {{0}, TRUE, FALSE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 | -");
    vm->live->machine = rows[i].machine;
    vm->live->dynamic_memslots = rows[i].host;
    g_assert_cmpint(dm_machine_divides(vm->live), ==, rows[i].expected);
    const DmPlugWish virtio = {.kind = DM_DEVICE_VIRTIO_MEM, .size = 128 * DM_MIB};
    const DmPlugWish dimm = {.size = 128 * DM_MIB};
    g_autoptr(DmPlan) plan = plug_plan(vm, &virtio, NULL);
    g_autoptr(DmPlan) whole = plug_plan(vm, &dimm, NULL);
    g_assert_cmpint(((DmStep *)plan->steps->pdata[0])->run.dynamic_memslots, ==, rows[i].expected);
    g_assert_false(((DmStep *)whole->steps->pdata[0])->run.dynamic_memslots);
  }
}

static void test_slots(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmConfig) config = config_from("1024 max=4096/33", FALSE), before = config_from("~1024", FALSE);
  config->machine = before->machine = (DmMachine)OTHER("ppc64le", "pseries");
  g_assert_false(dm_machine_check(before, config, "vm", &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_ABOVE_PLATFORM);
  config->machine = before->machine = (DmMachine)X86("pc-q35-7.2");
  g_assert_true(dm_machine_check(before, config, "vm", NULL));
}

static void test_doubt(void) {
  g_autoptr(DmConfig) config = config_from("1024 max=102400/16", FALSE), before = config_from("~1024", FALSE);
  config->machine = (DmMachine){.arch = "x86_64", .type = "pc-q35-7.2", .acpi = TRUE, .cpu_mode = "host-passthrough"};
  g_autoptr(DmNote) doubt = dm_machine_doubt(before, config, "vm");
  g_assert_nonnull(strstr(doubt->text, "a maximum of 102400 MiB"));
  config->maximum = 16 * DM_GIB;
  config->slots = 2;
  g_assert_null(dm_machine_doubt(before, config, "vm")); /* any host's processors reach that */
  g_assert_null(dm_machine_doubt(config, config, "vm"));
}

static gboolean plans_enable(const DmMachine *machine, const char *note) {
  g_autoptr(DmVm) vm = vm_from("shut-off: - | ~1024");
  vm->next_run->machine = *machine;
  g_autoptr(DmPlan) plan = enable_plan(vm, 4096 * DM_MIB, 0, NULL);
  g_assert_true(plan == NULL || (note == NULL) == (plan->notes->len == 0));
  g_assert_true(plan == NULL || note == NULL || strstr(((const DmNote *)plan->notes->pdata[0])->text, note) != NULL);
  return plan != NULL;
}

static void test_enable(void) {
  g_assert_false(plans_enable(&(DmMachine)OTHER("s390x", "s390-ccw-virtio-7.2"), NULL));
  g_assert_true(plans_enable(&(DmMachine)ARM("virt-7.2", FALSE), "will not be able to hot plug DIMMs"));
  g_assert_true(plans_enable(&(DmMachine)ARM("virt-7.2", TRUE), NULL));
  g_assert_false(plans_enable(&(DmMachine)OTHER("riscv64", "virt"), NULL));
}

static void test_plug(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 | 1024 max=4096/16");
  vm->live->machine = (DmMachine)OTHER("ppc64le", "pseries-7.2");
  const DmPlugWish wish = {.kind = DM_DEVICE_VIRTIO_MEM, .size = 256 * DM_MIB};
  g_assert_null(plug_plan(vm, &wish, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED);
  g_assert_nonnull(strstr(error->message, "no virtio-mem for POWER; plug a DIMM"));
}

/* On a host with less memory than the next run has. */
static void test_host_memory(void) {
  g_autoptr(DmVm) vm = vm_from("shut-off: - | ~1024");
  vm->host_memory = 8 * DM_GIB;
  DmWish wish = wish_from("memory=16384");
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
  g_assert_cmpuint(plan->notes->len, ==, 1);
  g_assert_nonnull(strstr(((const DmNote *)plan->notes->pdata[0])->text, "its host has 8192 MiB"));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
    g_autofree char *path = g_strdup_printf("/machine/kind/%s", kinds[i].name);
    g_test_add_data_func(path, &kinds[i], test_kind);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(reaches); i++) {
    g_autofree char *path = g_strdup_printf("/machine/reach/%s", reaches[i].name);
    g_test_add_data_func(path, &reaches[i], test_reach);
  }
  g_test_add_func("/machine/no-reach", test_no_reach);
  g_test_add_func("/machine/divides", test_divides);
  g_test_add_func("/machine/slots", test_slots);
  g_test_add_func("/machine/doubt", test_doubt);
  g_test_add_func("/machine/enable", test_enable);
  g_test_add_func("/machine/plug", test_plug);
  g_test_add_func("/machine/host-memory", test_host_memory);
  return g_test_run();
}
