/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/machine.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "words/rules.h"

/* Where memory above 4 GiB goes instead on AMD processors if it would overlap HyperTransport (QEMU's hw/i386/pc.c). */
#define AMD_HYPERTRANSPORT (1012 * DM_GIB)
#define AMD_ABOVE (1024 * DM_GIB)

/* Any 64-bit host processor has at least this. */
#define LEAST_HOST_BITS 36

/* QEMU: TCG_PHYS_ADDR_BITS, also the default with KVM, unless host-phys-bits is set. */
#define USUAL_BITS 40

static gboolean is_arch(const DmMachine *machine, const char *prefix) {
  return machine->arch != NULL && g_str_has_prefix(machine->arch, prefix);
}

static gboolean is_x86(const DmMachine *machine) {
  return is_arch(machine, "x86_64") || is_arch(machine, "i686");
}

static gboolean is_arm(const DmMachine *machine) {
  return is_arch(machine, "aarch64") || is_arch(machine, "arm");
}

/* The machine type belongs to that family: "virt" or "virt-7.2". */
static gboolean is_type(const DmMachine *machine, const char *family) {
  gsize length = strlen(family);
  return machine->type != NULL && strncmp(machine->type, family, length) == 0 &&
    (machine->type[length] == '\0' || machine->type[length] == '-');
}

/* The machine type ends with a version, "pc-q35-2.12", older than @major.@minor. */
static gboolean is_before(const DmMachine *machine, int major, int minor) {
  const char *last = machine->type != NULL ? strrchr(machine->type, '-') : NULL;
  int has_major = 0, has_minor = 0;
  if (last == NULL || sscanf(last, "-%d.%d", &has_major, &has_minor) != 2)
    return FALSE;
  return has_major < major || (has_major == major && has_minor < minor);
}

/* ---- what it can hot plug ---- */

static const char *x86_lacks(const DmMachine *machine, const char **remedy) {
  *remedy = DM_CURE_NEWER_X86;
  if (is_type(machine, "isapc") || is_type(machine, "microvm") || is_type(machine, "none"))
    return DM_LACK_UNSUITED;
  if (is_before(machine, 2, 1) || (machine->type != NULL && g_str_has_prefix(machine->type, "rhel")))
    return DM_LACK_OLD_X86;
  *remedy = DM_CURE_ADD_ACPI;
  return machine->acpi ? NULL : DM_LACK_NO_ACPI;
}

/* DIMMs need ACPI's generic event device, virtio-mem does not. */
static const char *arm_lacks(const DmMachine *machine, DmDeviceKind kind, const char **remedy) {
  *remedy = DM_CURE_VIRT;
  if (!is_type(machine, "virt"))
    return DM_LACK_UNSUITED;
  if (kind == DM_DEVICE_VIRTIO_MEM)
    return NULL;
  *remedy = DM_CURE_NEWER_OR_VIRTIO_MEM;
  if (is_before(machine, 4, 2))
    return DM_LACK_OLD_ARM;
  *remedy = DM_CURE_UEFI_OR_VIRTIO_MEM;
  return machine->acpi ? NULL : DM_LACK_ARM_NO_ACPI;
}

static const char *power_lacks(const DmMachine *machine, DmDeviceKind kind, const char **remedy) {
  *remedy = DM_CURE_PSERIES;
  if (!is_type(machine, "pseries"))
    return DM_LACK_UNSUITED;
  *remedy = DM_CURE_NEWER;
  if (is_before(machine, 2, 5))
    return DM_LACK_OLD_POWER;
  *remedy = DM_CURE_PLUG_DIMM;
  return kind == DM_DEVICE_VIRTIO_MEM ? DM_LACK_POWER_NO_VIRTIO_MEM : NULL;
}

gboolean dm_machine_lacks(const DmMachine *machine, DmDeviceKind kind, DmLack *lack) {
  const char *what = NULL, *remedy = NULL;
  if (machine->arch == NULL)
    return FALSE;
  if (is_x86(machine)) {
    what = x86_lacks(machine, &remedy);
  } else if (is_arm(machine)) {
    what = arm_lacks(machine, kind, &remedy);
  } else if (is_arch(machine, "ppc")) {
    what = power_lacks(machine, kind, &remedy);
  } else if (is_arch(machine, "s390")) {
    what = DM_LACK_IBM_Z;
    remedy = DM_CURE_BOOT_MEMORY;
  } else if (!is_type(machine, "virt")) {
    what = DM_LACK_UNSUITED;
    remedy = DM_CURE_BOOT_MEMORY;
  } else if (is_arch(machine, "riscv") && kind == DM_DEVICE_DIMM) {
    what = DM_LACK_RISCV_NO_DIMMS;
    remedy = DM_CURE_PLUG_VIRTIO_MEM;
  }
  if (what == NULL)
    return FALSE;
  *lack = (DmLack){what, remedy};
  return TRUE;
}

gboolean dm_machine_lacks_all(const DmMachine *machine, DmLack *lack) {
  DmLack of_virtio;
  return dm_machine_lacks(machine, DM_DEVICE_VIRTIO_MEM, &of_virtio) && dm_machine_lacks(machine, DM_DEVICE_DIMM, lack);
}

/* QEMU: SPAPR_MAX_RAM_SLOTS, ACPI_MAX_RAM_SLOTS. */
guint dm_machine_slots(const DmMachine *machine) {
  return is_arch(machine, "ppc") ? 32 : 256;
}

gboolean dm_machine_divides(const DmConfig *config) {
  const DmMachine *machine = &config->machine;
  gboolean dated = machine->type != NULL && strrchr(machine->type, '-') != NULL;
  return config->dynamic_memslots && is_x86(machine) && dated && !is_before(machine, 8, 2);
}

/* ---- what it can address ---- */

static gboolean is_one_of(const char *model, const char *const *models) {
  return model != NULL && g_strv_contains(models, model);
}

static gboolean asks_host(const DmMachine *machine) {
  return machine->has_other_args || machine->host_bits ||
    (!machine->emulated &&
      (g_strcmp0(machine->cpu_mode, "host-passthrough") == 0 || g_strcmp0(machine->cpu_mode, "maximum") == 0 ||
        g_strcmp0(machine->cpu_mode, "host-model") == 0));
}

/*
 * 32-bit processors, most of which have 36 address bits (QEMU's x86_cpu_realizefn()): before QEMU 8.2 those with PSE36,
 * and the others could be given any maximum. The 64-bit PCI window counted for the former by then. So each gets what no
 * QEMU refuses.
 */
static const char *const plain_models[] = {"486", "pentium", NULL};
static const char *const pae_models[] = {"qemu32", "coreduo", "n270", NULL};
static const char *const pse36_models[] = {"pentium2", "pentium3", "kvm32", "athlon", NULL};

static gboolean is_pae(const DmMachine *machine) {
  return is_one_of(machine->cpu_model, pae_models) ||
    (machine->cpu_model == NULL && machine->cpu_mode == NULL && is_arch(machine, "i686"));
}

static guint narrow_bits(const DmMachine *machine) {
  if (is_one_of(machine->cpu_model, plain_models))
    return 32;
  return machine->no_long_mode || is_pae(machine) || is_one_of(machine->cpu_model, pse36_models) ? 36 : 0;
}

/* Machine types of distributions use the host's width. */
static guint x86_bits(const DmMachine *machine) {
  guint narrow = narrow_bits(machine);
  if (narrow != 0)
    return narrow;
  if (machine->address_bits != 0)
    return machine->address_bits;
  if (machine->emulated)
    return USUAL_BITS;
  gboolean by_type =
    machine->type != NULL && (strstr(machine->type, "rhel") != NULL || strstr(machine->type, "hpb") != NULL);
  return by_type ? 0 : USUAL_BITS;
}

static guint arm_bits(const DmMachine *machine) {
  static const char *const usual[] = {"cortex-a7", "cortex-a15", "cortex-a35", "cortex-a53", "cortex-a55", NULL};
  static const char *const wide[] = {"cortex-a57", "cortex-a72", NULL};
  return is_one_of(machine->cpu_model, usual) ? 40 : is_one_of(machine->cpu_model, wide) ? 44 : 0;
}

guint dm_machine_address_bits(const DmMachine *machine) {
  if (machine->arch == NULL || asks_host(machine))
    return 0;
  return is_x86(machine) ? x86_bits(machine) : is_arm(machine) ? arm_bits(machine) : 0;
}

/* Only machine types since 7.1 do this. KVM's default processor has the host's vendor. */
static gboolean may_be_amd(const DmMachine *machine) {
  static const char *const others[] = {"athlon", "phenom", "qemu64", "max", NULL};
  const char *model = machine->cpu_model;
  if (is_before(machine, 7, 1))
    return FALSE;
  return model == NULL || g_str_has_prefix(model, "EPYC") || g_str_has_prefix(model, "Opteron") ||
    is_one_of(model, others);
}

/* QEMU reserves 1 GiB for each slot, so that any DIMM can be aligned to such a page. */
static uint64_t room_of_devices(const DmConfig *config) {
  return config->maximum == 0
    ? 0
    : dm_size_plus(dm_size_minus(config->maximum, dm_config_boot(config)), config->slots * DM_GIB);
}

/* QEMU's pc_max_used_gpa(): RAM above 4 GiB, the devices, the 64-bit PCI window. */
static uint64_t x86_needs(const DmConfig *config) {
  const DmMachine *machine = &config->machine;
  gboolean q35 = machine->type != NULL && (strstr(machine->type, "q35") != NULL);
  uint64_t boot = dm_config_boot(config), hole = q35 ? 32 * DM_GIB : 2 * DM_GIB;
  uint64_t below = q35 ? (boot >= 2816 * DM_MIB ? 2 * DM_GIB : boot) : (boot >= 3584 * DM_MIB ? 3 * DM_GIB : boot);
  uint64_t needs = dm_size_plus(4 * DM_GIB, boot - below);
  if (config->maximum != 0)
    needs = dm_size_plus(dm_size_round_up(needs, DM_GIB), room_of_devices(config));
  if (narrow_bits(machine) == 32 || is_pae(machine))
    return needs;
  needs = dm_size_plus(dm_size_round_up(needs, DM_GIB), machine->hole64 != 0 ? machine->hole64 : hole);
  return needs > AMD_HYPERTRANSPORT && may_be_amd(machine) ? dm_size_plus(needs, AMD_ABOVE - 4 * DM_GIB) : needs;
}

/* RAM begins at 1 GiB; QEMU's virt omits other high regions that do not fit. */
static uint64_t arm_needs(const DmConfig *config) {
  uint64_t boot = dm_size_plus(DM_GIB, dm_config_boot(config));
  return config->maximum != 0 ? dm_size_plus(dm_size_round_up(boot, DM_GIB), room_of_devices(config)) : boot;
}

uint64_t dm_machine_needs(const DmConfig *config) {
  return is_x86(&config->machine) ? x86_needs(config) : is_arm(&config->machine) ? arm_needs(config) : 0;
}

/* ---- a definition ---- */

static gboolean is_in_reach(const DmConfig *config) {
  guint bits = dm_machine_address_bits(&config->machine);
  return bits == 0 || bits >= 64 || dm_machine_needs(config) <= UINT64_C(1) << bits;
}

/* The largest maximum (or, without one, boot memory) of @config, in whole GiB, that is addressable. */
static uint64_t most_in_reach(const DmConfig *config) {
  g_autoptr(DmConfig) tried = dm_config_copy(config);
  uint64_t *value = &tried->maximum, low = 0;
  if (tried->maximum == 0) {
    uint64_t boot = dm_config_boot(config);
    g_array_set_size(tried->cells, 0);
    g_array_append_val(tried->cells, boot);
    value = &g_array_index(tried->cells, uint64_t, 0);
  }
  for (uint64_t high = *value / DM_GIB + 1; high - low > 1;) {
    uint64_t middle = low + (high - low) / 2;
    *value = middle * DM_GIB;
    *(is_in_reach(tried) ? &low : &high) = middle;
  }
  return low * DM_GIB;
}

static gboolean check_reach(const DmConfig *config, const char *vm_name, GError **error) {
  if (is_in_reach(config))
    return TRUE;
  uint64_t reach = most_in_reach(config);
  g_autofree char *wanted = dm_size_format(config->maximum != 0 ? config->maximum : dm_config_boot(config));
  g_autofree char *most = dm_size_format(reach);
  guint bits = dm_machine_address_bits(&config->machine);
  if (config->maximum != 0 && reach <= dm_config_boot(config))
    g_set_error(error, DM_ERROR, DM_ERROR_ABOVE_PLATFORM, DM_RULE_NO_ADDRESS_BITS, vm_name, wanted, bits);
  else if (config->maximum != 0)
    g_set_error(error, DM_ERROR, DM_ERROR_ABOVE_PLATFORM, DM_RULE_ADDRESS_BITS_MAXIMUM, vm_name, wanted, bits, most,
      config->slots);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_ABOVE_PLATFORM, DM_RULE_ADDRESS_BITS, vm_name, wanted, bits, most);
  return FALSE;
}

static gboolean check_slots(const DmConfig *config, const char *vm_name, GError **error) {
  guint most = dm_machine_slots(&config->machine);
  if (config->machine.arch == NULL || config->slots <= most)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_ABOVE_PLATFORM, DM_RULE_MACHINE_SLOTS, vm_name, config->slots, most);
  return FALSE;
}

static gboolean raises_boot(const DmConfig *before, const DmConfig *config) {
  return dm_config_boot(config) > dm_config_boot(before);
}

/* Many devices of 256 MiB slow down the start of a POWER machine: 34 s for 4 TiB with QEMU 7.2, minutes for 16. */
#define SLOW_POWER (4096 * DM_GIB)

static gboolean changes_maximum(const DmConfig *before, const DmConfig *config) {
  return config->maximum != 0 &&
    (config->maximum != before->maximum || config->slots != before->slots || config->has_numa != before->has_numa);
}

/* libvirt 9.0 starts a RISC-V machine only without <cpu>, which contains the cells. */
gboolean dm_machine_lacks_cells(const DmConfig *config, DmLack *lack) {
  if (!is_arch(&config->machine, "riscv") || config->has_numa)
    return FALSE;
  *lack = (DmLack){DM_LACK_RISCV_CELL, DM_CURE_TRY_CELL};
  return TRUE;
}

gboolean dm_machine_check(const DmConfig *before, const DmConfig *config, const char *vm_name, GError **error) {
  DmLack lack;
  if (!changes_maximum(before, config))
    return !raises_boot(before, config) || check_reach(config, vm_name, error);
  if (dm_machine_lacks_all(&config->machine, &lack) || (config->has_numa && dm_machine_lacks_cells(before, &lack))) {
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED, DM_RULE_CANNOT_PLUG, vm_name, lack.what, lack.remedy);
    return FALSE;
  }
  return check_slots(config, vm_name, error) && check_reach(config, vm_name, error);
}

DmNote *dm_machine_doubt(const DmConfig *before, const DmConfig *config, const char *vm_name) {
  const DmMachine *machine = &config->machine;
  if (!changes_maximum(before, config) && !raises_boot(before, config))
    return NULL;
  if (is_arch(machine, "ppc") && config->maximum >= SLOW_POWER) {
    g_autofree char *maximum = dm_size_format(config->maximum);
    return dm_note_new(DM_NOTE_SLOW_START, maximum, vm_name);
  }
  if (machine->arch == NULL || dm_machine_address_bits(machine) != 0 ||
    dm_machine_needs(config) <= UINT64_C(1) << LEAST_HOST_BITS)
    return NULL;
  g_autofree char *wanted = dm_size_format(config->maximum != 0 ? config->maximum : dm_config_boot(config));
  if (config->maximum != 0)
    return dm_note_new(DM_NOTE_ADDRESS_BITS_MAXIMUM, vm_name, wanted);
  return dm_note_new(DM_NOTE_ADDRESS_BITS, vm_name, wanted);
}
