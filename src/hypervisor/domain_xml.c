/* SPDX-License-Identifier: Apache-2.0 */
#include "domain_xml.h"

#include "base/size.h"
#include "hypervisor/channel.h"
#include "metadata.h"

/* The huge page size of a <hugepages/> without <page>: the kernel's default one on x86 and POWER with radix. */
#define DEFAULT_HUGE_PAGE (2 * DM_MIB)

static void read_cells(DmConfig *config, const xmlNode *domain) {
  const xmlNode *numa = xml_child(xml_child(domain, "cpu"), "numa");
  for (const xmlNode *cell = xml_child(numa, "cell"); cell != NULL; cell = xml_next(cell)) {
    g_autofree char *unit = xml_attribute(cell, "unit");
    uint64_t memory = xml_attribute_number(cell, "memory", 0) * (g_strcmp0(unit, "b") == 0 ? 1 : DM_KIB);
    g_array_append_val(config->cells, memory);
  }
  config->has_numa = config->cells->len > 0;
}

/* Without a NUMA topology, boot memory is what <memory> has beyond the devices. */
static void read_plain_boot(DmConfig *config, const xmlNode *domain) {
  uint64_t boot = xml_bytes(xml_child(domain, "memory"));
  for (guint i = 0; i < config->devices->len; i++)
    boot = dm_size_minus(boot, ((DmMemoryDevice *)config->devices->pdata[i])->size);
  g_array_append_val(config->cells, boot);
}

static void read_devices(DmConfig *config, const xmlNode *domain, const char *vm_uuid) {
  const xmlNode *devices = xml_child(domain, "devices");
  guint index = 0;
  for (const xmlNode *memory = xml_child(devices, "memory"); memory != NULL; memory = xml_next(memory))
    g_ptr_array_add(config->devices, device_xml_read(memory, vm_uuid, index++));
}

static void read_pages(DmConfig *config, const xmlNode *domain) {
  const xmlNode *hugepages = xml_child(xml_child(domain, "memoryBacking"), "hugepages");
  if (hugepages == NULL)
    return;
  config->page = DEFAULT_HUGE_PAGE;
  for (const xmlNode *page = xml_child(hugepages, "page"); page != NULL; page = xml_next(page)) {
    g_autofree char *unit = xml_attribute(page, "unit");
    uint64_t scale = g_strcmp0(unit, "G") == 0 || g_strcmp0(unit, "GiB") == 0 ? DM_GIB
      : g_strcmp0(unit, "M") == 0 || g_strcmp0(unit, "MiB") == 0              ? DM_MIB
                                                                              : DM_KIB;
    config->page = MAX(config->page, xml_attribute_number(page, "size", 0) * scale);
  }
}

static const char *interned_attribute(const xmlNode *node, const char *name) {
  g_autofree char *text = xml_attribute(node, name);
  return g_intern_string(text);
}

#define LIBOSINFO_NAMESPACE "http://libosinfo.org/xmlns/libvirt/domain/1.0"

static void read_cpus(DmVmFacts *facts, const xmlNode *domain) {
  const xmlNode *topology = xml_child(xml_child(domain, "cpu"), "topology");
  facts->sockets = MAX((guint)xml_number(xml_child(domain, "vcpu"), 1), 1);
  facts->cores = facts->threads = 1;
  if (topology == NULL)
    return;
  guint dies = (guint)xml_attribute_number(topology, "dies", 1);
  facts->sockets = MAX((guint)xml_attribute_number(topology, "sockets", 1) * dies, 1);
  facts->cores = (guint)xml_attribute_number(topology, "cores", 1);
  facts->threads = (guint)xml_attribute_number(topology, "threads", 1);
}

static void read_facts(DmVmFacts *facts, const xmlNode *domain) {
  const xmlNode *os = xml_child(domain, "os");
  const xmlNode *osinfo = xml_child_ns(xml_child(domain, "metadata"), "libosinfo", LIBOSINFO_NAMESPACE);
  g_autofree char *firmware = xml_attribute(os, "firmware");
  g_autofree char *loader = xml_attribute(xml_child(os, "loader"), "type");
  read_cpus(facts, domain);
  facts->machine = interned_attribute(xml_child(os, "type"), "machine");
  facts->boot = interned_attribute(xml_child(os, "boot"), "dev");
  facts->uefi = g_strcmp0(firmware, "efi") == 0 || g_strcmp0(loader, "pflash") == 0;
  facts->os = interned_attribute(xml_child_ns(osinfo, "os", LIBOSINFO_NAMESPACE), "id");
  facts->display = interned_attribute(xml_child(xml_child(domain, "devices"), "graphics"), "type");
}

static DmPort state_of_port(const xmlNode *target) {
  g_autofree char *state = xml_attribute(target, "state");
  return g_strcmp0(state, "connected") == 0 ? DM_PORT_OPEN : DM_PORT_CLOSED;
}

/* libvirt gives PCI devices of the host to VFIO, whatever <driver> says, and in whichever element they stand. */
static gboolean has_device(const xmlNode *devices, const char *element, const char *type) {
  for (const xmlNode *device = xml_child(devices, element); device != NULL; device = xml_next(device)) {
    g_autofree char *is = xml_attribute(device, "type");
    if (g_strcmp0(is, type) == 0)
      return TRUE;
  }
  return FALSE;
}

/* What tells how to speak to its inside, and what holds its memory. */
static void read_surroundings(DmVm *vm, const xmlNode *domain) {
  const xmlNode *devices = xml_child(domain, "devices");
  for (const xmlNode *channel = xml_child(devices, "channel"); channel != NULL; channel = xml_next(channel)) {
    const xmlNode *target = xml_child(channel, "target");
    g_autofree char *name = xml_attribute(target, "name");
    if (g_strcmp0(name, DM_AGENT_PORT) == 0)
      vm->agent_port = state_of_port(target);
    else if (g_strcmp0(name, DM_QEMU_AGENT_PORT) == 0)
      vm->qemu_agent_port = state_of_port(target);
  }
  vm->vfio = has_device(devices, "hostdev", "pci") || has_device(devices, "hostdev", "mdev") ||
    has_device(devices, "interface", "hostdev") || has_device(devices, "disk", "nvme");
  vm->hard_limit = xml_bytes(xml_child(xml_child(domain, "memtune"), "hard_limit"));
  const xmlNode *memballoon = xml_child(devices, "memballoon");
  g_autofree char *balloon = xml_attribute(memballoon, "model");
  vm->balloon = balloon != NULL && g_strcmp0(balloon, "none") != 0;
  vm->balloon_period = (guint)xml_attribute_number(xml_child(memballoon, "stats"), "period", 0);
}

static void read_identity(DmVm *vm, const xmlNode *domain) {
  if (vm->uuid == NULL)
    vm->uuid = xml_text(xml_child(domain, "uuid"));
  if (vm->name == NULL)
    vm->name = xml_text(xml_child(domain, "name"));
  if (vm->arch == NULL)
    vm->arch = xml_attribute(xml_child(xml_child(domain, "os"), "type"), "arch");
  if (vm->facts.sockets != 0) /* the live definition came first, and is the one in force */
    return;
  vm->description = xml_text(xml_child(domain, "description"));
  read_facts(&vm->facts, domain);
  read_surroundings(vm, domain);
}

DmConfig *domain_xml_read(const char *xml, DmVm *vm, DmRequest **request, GError **error) {
  g_autoptr(xmlDoc) doc = xml_parse(xml, error);
  if (doc == NULL)
    return NULL;
  const xmlNode *domain = xmlDocGetRootElement(doc);
  read_identity(vm, domain);

  DmConfig *config = dm_config_new();
  read_devices(config, domain, vm->uuid != NULL ? vm->uuid : "");
  read_cells(config, domain);
  if (!config->has_numa)
    read_plain_boot(config, domain);
  read_pages(config, domain);
  const xmlNode *maximum = xml_child(domain, "maxMemory");
  config->maximum = xml_bytes(maximum);
  config->slots = (guint)xml_attribute_number(maximum, "slots", 0);
  config->balloon = xml_bytes(xml_child(domain, "currentMemory"));

  g_autoptr(DmRequest) read = metadata_read(xml_child(domain, "metadata"), config);
  if (request != NULL) { /* only the live definition has one */
    metadata_read_refusals(xml_child(domain, "metadata"), vm->refusals);
    *request = g_steal_pointer(&read);
  }
  return config;
}
