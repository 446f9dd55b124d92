/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that a definition describes. plan/machine.h interprets it. */
#include "base/size.h"
#include "domain_xml.h"

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

static const char *interned_attribute(const xmlNode *node, const char *name) {
  g_autofree char *text = xml_attribute(node, name);
  return g_intern_string(text);
}

static const char *interned_text(const xmlNode *node) {
  g_autofree char *text = xml_text(node);
  return g_intern_string(text);
}

/* The CPU feature is switched off. */
static gboolean lacks_feature(const xmlNode *cpu, const char *feature) {
  for (const xmlNode *node = xml_child(cpu, "feature"); node != NULL; node = xml_next(node)) {
    g_autofree char *name = xml_attribute(node, "name");
    g_autofree char *policy = xml_attribute(node, "policy");
    if (g_strcmp0(name, feature) == 0)
      return g_strcmp0(policy, "disable") == 0 || g_strcmp0(policy, "forbid") == 0;
  }
  return FALSE;
}

static void read_cpu(DmMachine *machine, const xmlNode *cpu) {
  const xmlNode *width = xml_child(cpu, "maxphysaddr");
  g_autofree char *mode = xml_attribute(width, "mode");
  machine->cpu_mode = interned_attribute(cpu, "mode");
  machine->cpu_model = interned_text(xml_child(cpu, "model"));
  machine->no_long_mode = lacks_feature(cpu, "lm");
  machine->host_bits = g_strcmp0(mode, "passthrough") == 0;
  machine->address_bits = machine->host_bits ? 0 : (guint)xml_attribute_number(width, "bits", 0);
}

/* The size of the 64-bit window of the root bus, in KiB without a unit. */
static uint64_t read_hole64(const xmlNode *devices) {
  for (const xmlNode *node = xml_child(devices, "controller"); node != NULL; node = xml_next(node)) {
    g_autofree char *model = xml_attribute(node, "model");
    if (g_strcmp0(model, "pci-root") == 0 || g_strcmp0(model, "pcie-root") == 0)
      return xml_bytes(xml_child(node, "pcihole64"));
  }
  return 0;
}

gboolean machine_xml_is_option(const char *argument) {
  static const char *const options[] = {"-cpu", "-global", "-machine", "-M", "-m", NULL};
  gboolean doubled = argument != NULL && g_str_has_prefix(argument, "--");
  return argument != NULL && g_strv_contains(options, argument + (doubled ? 1 : 0));
}

static gboolean has_other_args(const xmlNode *domain) {
  const xmlNode *line = xml_child_ns(domain, "commandline", QEMU_NAMESPACE);
  for (const xmlNode *arg = xml_child_ns(line, "arg", QEMU_NAMESPACE); arg != NULL; arg = xml_next(arg)) {
    g_autofree char *value = xml_attribute(arg, "value");
    if (machine_xml_is_option(value))
      return TRUE;
  }
  return FALSE;
}

/* By number of a bus: a device is on it. */
static void find_taken(const xmlNode *devices, gboolean taken[256]) {
  for (const xmlNode *device = devices != NULL ? devices->children : NULL; device != NULL; device = device->next) {
    const xmlNode *address = device->type == XML_ELEMENT_NODE ? xml_child(device, "address") : NULL;
    g_autofree char *type = xml_attribute(address, "type");
    if (g_strcmp0(type, "pci") == 0)
      taken[xml_attribute_number(address, "bus", 0) & 0xff] = TRUE;
  }
}

/*
 * A device that comes while the machine runs fits nowhere else on a PCI Express machine; a controller's index is the
 * number of its bus. Other machines: FALSE, as their one bus has many places.
 */
static gboolean is_pci_full(const xmlNode *devices) {
  gboolean taken[256] = {FALSE}, express = FALSE;
  find_taken(devices, taken);
  for (const xmlNode *node = xml_child(devices, "controller"); node != NULL; node = xml_next(node)) {
    g_autofree char *model = xml_attribute(node, "model");
    g_autofree char *hotplug = xml_attribute(xml_child(node, "target"), "hotplug");
    express |= g_strcmp0(model, "pcie-root") == 0;
    gboolean port = g_strcmp0(model, "pcie-root-port") == 0 || g_strcmp0(model, "pcie-switch-downstream-port") == 0;
    if (port && g_strcmp0(hotplug, "off") != 0 && !taken[xml_attribute_number(node, "index", 0) & 0xff])
      return FALSE;
  }
  return express;
}

DmMachine machine_xml_read(const xmlNode *domain) {
  DmMachine machine = {0};
  const xmlNode *type = xml_child(xml_child(domain, "os"), "type");
  g_autofree char *kind = xml_attribute(domain, "type");
  if (g_strcmp0(kind, "qemu") != 0 && g_strcmp0(kind, "kvm") != 0)
    return machine;
  machine.arch = interned_attribute(type, "arch");
  machine.type = interned_attribute(type, "machine");
  machine.emulator = interned_text(xml_child(xml_child(domain, "devices"), "emulator"));
  machine.emulated = g_str_equal(kind, "qemu");
  machine.acpi = xml_child(xml_child(domain, "features"), "acpi") != NULL;
  machine.hole64 = read_hole64(xml_child(domain, "devices"));
  machine.pci_full = is_pci_full(xml_child(domain, "devices"));
  machine.has_other_args = has_other_args(domain);
  read_cpu(&machine, xml_child(domain, "cpu"));
  return machine;
}
