/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Definitions for a reboot that applies the next run: a copy of the next one that can be started beside the VM, to test
 * whether QEMU accepts it, and the present one in a form that can be defined again.
 *
 * The copy has what matters for memory: machine, processors, NUMA cells, memory devices, PCI controllers. It has
 * nothing that only one VM can use or that takes host resources: no disk, network, host device, channel or file, no
 * firmware, huge pages, preallocation, pinning or limit.
 */
#include "base/size.h"
#include "domain_xml.h"
#include "metadata.h"

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

static const char *const kept_of_domain[] = {"memory", "currentMemory", "maxMemory", "vcpu", "vcpus", "os", "features",
  "cpu", "clock", "devices", "commandline", NULL};
static const char *const kept_of_devices[] = {"emulator", "controller", "memory", "iommu", NULL};
static const char *const kept_of_os[] = {"type", NULL};
static const char *const kept_of_memory[] = {"target", "address", NULL};

/* Drops the child elements not in @kept. */
static void keep_children(xmlNode *node, const char *const *kept) {
  for (xmlNode *child = node != NULL ? xmlFirstElementChild(node) : NULL, *next; child != NULL; child = next) {
    next = xmlNextElementSibling(child);
    if (!g_strv_contains(kept, (const char *)child->name))
      xml_remove(child);
  }
}

static void drop_attributes(xmlNode *node, const char *const *names) {
  for (; node != NULL && *names != NULL; names++)
    xmlUnsetProp(node, (const xmlChar *)*names);
}

/* Only options that define the machine: others name sockets and files. */
static void keep_arguments(xmlNode *domain) {
  xmlNode *line = xml_child_ns(domain, "commandline", QEMU_NAMESPACE);
  gboolean value_too = FALSE;
  for (xmlNode *arg = line != NULL ? xmlFirstElementChild(line) : NULL, *next; arg != NULL; arg = next) {
    g_autofree char *value = xml_attribute(arg, "value");
    gboolean keeps = value_too || machine_xml_is_option(value);
    next = xmlNextElementSibling(arg);
    value_too = keeps && !value_too;
    if (!keeps)
      xml_remove(arg);
  }
}

static gboolean is_of(const xmlNode *node, const char *attribute, const char *value) {
  g_autofree char *is = xml_attribute(node, attribute);
  return g_strcmp0(is, value) == 0;
}

static void keep_memory_devices(xmlNode *devices, gboolean dimms) {
  static const char *const backing[] = {"access", "discard", NULL};
  for (xmlNode *node = xml_child(devices, "memory"), *next; node != NULL; node = next) {
    next = xml_next(node);
    if (!is_of(node, "model", "virtio-mem") && !(dimms && is_of(node, "model", "dimm"))) {
      xml_remove(node);
      continue;
    }
    drop_attributes(node, backing);
    keep_children(node, kept_of_memory);
  }
}

static void keep_devices(xmlNode *devices, gboolean dimms) {
  keep_children(devices, kept_of_devices);
  for (xmlNode *node = xml_child(devices, "controller"), *next; node != NULL; node = next) {
    next = xml_next(node);
    if (!is_of(node, "type", "pci"))
      xml_remove(node);
  }
  keep_memory_devices(devices, dimms);
  xmlNode *usb = xmlNewChild(devices, NULL, (const xmlChar *)"controller", NULL);
  xmlSetProp(usb, (const xmlChar *)"type", (const xmlChar *)"usb");
  xmlSetProp(usb, (const xmlChar *)"model", (const xmlChar *)"none");
  xmlNode *balloon = xmlNewChild(devices, NULL, (const xmlChar *)"memballoon", NULL);
  xmlSetProp(balloon, (const xmlChar *)"model", (const xmlChar *)"none");
}

/* Without its firmware an arm64 machine has no ACPI and so no DIMMs. */
static gboolean drop_firmware(xmlNode *domain) {
  static const char *const firmware[] = {"firmware", NULL};
  xmlNode *os = xml_child(domain, "os"), *features = xml_child(domain, "features");
  xmlNode *acpi = xml_child(features, "acpi");
  gboolean x86 = is_of(xml_child(os, "type"), "arch", "x86_64") || is_of(xml_child(os, "type"), "arch", "i686");
  drop_attributes(os, firmware);
  keep_children(os, kept_of_os);
  if (!x86 && acpi != NULL)
    xml_remove(acpi);
  return x86 || acpi == NULL;
}

char *trial_xml_copy(const char *definition, const char *name, GError **error) {
  static const char *const own[] = {"id", NULL}, *const pinning[] = {"cpuset", "placement", NULL},
                           *const backing[] = {"memAccess", "discard", NULL};
  g_autoptr(xmlDoc) doc = xml_parse(definition, error);
  if (doc == NULL)
    return NULL;
  xmlNode *domain = xmlDocGetRootElement(doc);
  drop_attributes(domain, own);
  keep_children(domain, kept_of_domain);
  keep_arguments(domain);
  drop_attributes(xml_child(domain, "vcpu"), pinning);
  xmlNode *cell = xml_child(xml_child(xml_child(domain, "cpu"), "numa"), "cell");
  for (; cell != NULL; cell = xml_next(cell))
    drop_attributes(cell, backing);
  gboolean dimms = drop_firmware(domain);
  keep_devices(xml_need_child(domain, "devices"), dimms);
  xmlNewTextChild(domain, NULL, (const xmlChar *)"name", (const xmlChar *)name);
  metadata_mark_trial(domain);
  return xml_format(doc);
}

static xmlNode *find_disk(const xmlNode *domain, const char *target) {
  xmlNode *disk = xml_child(xml_child(domain, "devices"), "disk");
  while (disk != NULL && !is_of(xml_child(disk, "target"), "dev", target))
    disk = xml_next(disk);
  return disk;
}

/* libvirt creates a separate file per run for a transient disk, gone by the next. */
static void restore_transient_disks(xmlNode *domain, const xmlNode *next) {
  xmlNode *disk = xml_child(xml_child(domain, "devices"), "disk");
  for (xmlNode *after; disk != NULL; disk = after) {
    after = xml_next(disk);
    g_autofree char *target = xml_attribute(xml_child(disk, "target"), "dev");
    const xmlNode *same = target != NULL ? find_disk(next, target) : NULL;
    if (xml_child(disk, "transient") == NULL || same == NULL)
      continue;
    xmlAddNextSibling(disk, xmlDocCopyNode((xmlNode *)same, domain->doc, 1));
    xml_remove(disk);
  }
}

char *trial_xml_present(const char *live, const char *definition, guint run, GError **error) {
  g_autoptr(xmlDoc) doc = xml_parse(live, error);
  g_autoptr(xmlDoc) next = doc != NULL ? xml_parse(definition, error) : NULL;
  if (next == NULL)
    return NULL;
  xmlNode *domain = xmlDocGetRootElement(doc);
  restore_transient_disks(domain, xmlDocGetRootElement(next));
  metadata_drop_request(domain);
  xml_set_attribute_number(domain, "id", run);
  return xml_format(doc);
}
