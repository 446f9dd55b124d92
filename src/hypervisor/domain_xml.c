/* SPDX-License-Identifier: Apache-2.0 */
#include "domain_xml.h"

#include <string.h>

#include "base/size.h"
#include "hypervisor/channel.h"
#include "metadata.h"

/* The huge page size of a <hugepages/> without <page>: the kernel's default one on x86 and POWER with radix. */
#define DEFAULT_HUGE_PAGE (2 * DM_MIB)

/* Of any kernel: a <page> of that size is not a huge one. */
#define LARGEST_ORDINARY_PAGE (64 * DM_KIB)

/* The first virtual CPU of a cell, as "0-3,8"; -1: none, or not known. */
static int64_t first_cpu(const xmlNode *cell) {
  g_autofree char *cpus = xml_attribute(cell, "cpus");
  int64_t first = -1;
  if (cpus == NULL || strchr(cpus, '^') != NULL)
    return -1;
  g_auto(GStrv) ranges = g_strsplit(cpus, ",", -1);
  for (guint i = 0; ranges[i] != NULL; i++) {
    int64_t start = g_ascii_strtoll(ranges[i], NULL, 10);
    first = first < 0 ? start : MIN(first, start);
  }
  return first;
}

/* Cells come in the order of their first CPU, and those without one last. Where none has one, all are of cell 0. */
static gboolean are_in_order(const xmlNode *numa) {
  int64_t before = -1;
  gboolean lacks = FALSE;
  for (const xmlNode *cell = xml_child(numa, "cell"); cell != NULL; cell = xml_next(cell)) {
    int64_t cpu = first_cpu(cell);
    if (cpu >= 0 && (lacks || cpu < before))
      return FALSE;
    lacks |= cpu < 0;
    before = cpu;
  }
  return TRUE;
}

static void read_cells(DmConfig *config, const xmlNode *domain) {
  const xmlNode *numa = xml_child(xml_child(domain, "cpu"), "numa");
  for (const xmlNode *cell = xml_child(numa, "cell"); cell != NULL; cell = xml_next(cell)) {
    uint64_t memory = xml_attribute_bytes(cell, "memory");
    g_array_append_val(config->cells, memory);
  }
  config->has_numa = config->cells->len > 0;
  config->renumbers = config->cells->len > 1 && !are_in_order(numa);
}

/* Without a NUMA topology, boot memory is <memory> minus the devices. */
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

/* "0-1,3", as libvirt writes it. */
static gboolean has_node(const char *nodes, guint node) {
  g_auto(GStrv) ranges = g_strsplit(nodes, ",", -1);
  for (guint i = 0; ranges[i] != NULL; i++) {
    char *end = NULL;
    guint64 first = g_ascii_strtoull(ranges[i], &end, 10), last = first;
    if (*end == '-')
      last = g_ascii_strtoull(end + 1, NULL, 10);
    if (node >= first && node <= last)
      return TRUE;
  }
  return FALSE;
}

/* A <page> for the node takes precedence over one without nodes. */
static uint64_t page_of(const xmlNode *hugepages, guint node) {
  const xmlNode *page = xml_child(hugepages, "page");
  uint64_t found = page == NULL ? DEFAULT_HUGE_PAGE : 0;
  for (; page != NULL; page = xml_next(page)) {
    g_autofree char *nodes = xml_attribute(page, "nodeset");
    uint64_t size = xml_attribute_bytes(page, "size");
    if (nodes != NULL && has_node(nodes, node))
      return size > LARGEST_ORDINARY_PAGE ? size : 0;
    if (nodes == NULL)
      found = size > LARGEST_ORDINARY_PAGE ? size : 0;
  }
  return found;
}

static void read_pages(DmConfig *config, const xmlNode *domain) {
  const xmlNode *hugepages = xml_child(xml_child(domain, "memoryBacking"), "hugepages");
  for (guint i = 0; hugepages != NULL && i < config->cells->len; i++) {
    uint64_t page = page_of(hugepages, i);
    g_array_append_val(config->pages, page);
  }
}

/* libvirt requires DIMMs to be multiples of 2 MiB, boot memory of 1 MiB (qemuDomainGetMemoryModuleSizeAlignment()). */
#define DIMM_STEP (2 * DM_MIB)
#define POWER_STEP (256 * DM_MIB)

/*
 * A definition keeps sizes as written; a start rounds them up (qemuDomainAlignMemorySizes()). So a definition is read
 * as it will start, like the live one.
 */
static void round_up(DmConfig *config, const char *arch) {
  if (arch != NULL && g_str_has_prefix(arch, "ppc64"))
    config->step = POWER_STEP;
  for (guint i = 0; i < config->cells->len; i++) {
    uint64_t *cell = &g_array_index(config->cells, uint64_t, i);
    *cell = dm_size_round_up(*cell, config->step);
  }
  for (guint i = 0; i < config->devices->len; i++) {
    DmMemoryDevice *device = config->devices->pdata[i];
    if (device->kind != DM_DEVICE_OTHER)
      device->size = dm_size_round_up(device->size, MAX(config->step, DIMM_STEP));
  }
  config->maximum = dm_size_round_up(config->maximum, config->step);
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
  facts->console = xml_child(xml_child(domain, "devices"), "console") != NULL;
  facts->display = interned_attribute(xml_child(xml_child(domain, "devices"), "graphics"), "type");
}

static DmPort state_of_port(const xmlNode *target) {
  g_autofree char *state = xml_attribute(target, "state");
  return g_strcmp0(state, "connected") == 0 ? DM_PORT_OPEN : DM_PORT_CLOSED;
}

/* libvirt uses VFIO for PCI devices of the host, whatever <driver> and element they have. */
static gboolean has_device(const xmlNode *devices, const char *element, const char *type) {
  for (const xmlNode *device = xml_child(devices, element); device != NULL; device = xml_next(device)) {
    g_autofree char *is = xml_attribute(device, "type");
    if (g_strcmp0(is, type) == 0)
      return TRUE;
  }
  return FALSE;
}

/* Network cards served by QEMU itself say so; others on a tap device use vhost, if the host has it. */
static gboolean has_vhost(const xmlNode *devices) {
  gboolean found = xml_child(devices, "vsock") != NULL || has_device(devices, "hostdev", "scsi_host");
  for (const xmlNode *card = xml_child(devices, "interface"); card != NULL && !found; card = xml_next(card)) {
    g_autofree char *type = xml_attribute(card, "type");
    g_autofree char *model = xml_attribute(xml_child(card, "model"), "type");
    g_autofree char *driver = xml_attribute(xml_child(card, "driver"), "name");
    gboolean tap = g_strcmp0(type, "network") == 0 || g_strcmp0(type, "bridge") == 0 ||
      g_strcmp0(type, "direct") == 0 || g_strcmp0(type, "ethernet") == 0;
    found = tap && model != NULL && g_str_has_prefix(model, "virtio") && g_strcmp0(driver, "qemu") != 0;
  }
  return found;
}

/* Devices served by another program on the host, which maps the VM's memory. */
static gboolean has_vhost_user(const xmlNode *devices) {
  gboolean found = has_device(devices, "disk", "vhostuser") || has_device(devices, "interface", "vhostuser");
  for (const xmlNode *shared = xml_child(devices, "filesystem"); shared != NULL && !found; shared = xml_next(shared)) {
    g_autofree char *driver = xml_attribute(xml_child(shared, "driver"), "type");
    found = g_strcmp0(driver, "virtiofs") == 0;
  }
  for (const xmlNode *video = xml_child(devices, "video"); video != NULL && !found; video = xml_next(video)) {
    g_autofree char *driver = xml_attribute(xml_child(video, "driver"), "name");
    found = g_strcmp0(driver, "vhostuser") == 0;
  }
  return found;
}

/* Ports of agents inside, and what holds its memory. */
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
  vm->vhost = has_vhost(devices);
  vm->vhost_user = has_vhost_user(devices);
  vm->locked =
    xml_child(xml_child(domain, "memoryBacking"), "locked") != NULL || xml_child(domain, "launchSecurity") != NULL;
  vm->hard_limit = xml_bytes(xml_child(xml_child(domain, "memtune"), "hard_limit"));
  const xmlNode *memballoon = xml_child(devices, "memballoon");
  g_autofree char *balloon = xml_attribute(memballoon, "model");
  vm->balloon = balloon != NULL && g_strcmp0(balloon, "none") != 0;
  vm->balloon_period_s = (guint)xml_attribute_number(xml_child(memballoon, "stats"), "period", 0);
}

static void read_identity(DmVm *vm, const xmlNode *domain) {
  if (vm->uuid == NULL)
    vm->uuid = xml_text(xml_child(domain, "uuid"));
  if (vm->name == NULL)
    vm->name = xml_text(xml_child(domain, "name"));
  if (vm->arch == NULL)
    vm->arch = xml_attribute(xml_child(xml_child(domain, "os"), "type"), "arch");
  if (vm->facts.sockets != 0) /* the live definition came first and takes precedence */
    return;
  vm->title = xml_text(xml_child(domain, "title"));
  vm->description = xml_text(xml_child(domain, "description"));
  read_facts(&vm->facts, domain);
  read_surroundings(vm, domain);
}

static gboolean is_on(const xmlNode *node, const char *name) {
  g_autofree char *value = xml_attribute(node, name);
  return g_strcmp0(value, "on") == 0;
}

static void read_balloon(DmConfig *config, const xmlNode *domain) {
  const xmlNode *balloon = xml_child(xml_child(domain, "devices"), "memballoon");
  config->free_page_reporting = is_on(balloon, "freePageReporting");
  config->autodeflate = is_on(balloon, "autodeflate");
}

DmConfig *domain_xml_read(const char *xml, DmVm *vm, DmRequest **request, GError **error) {
  g_autoptr(xmlDoc) doc = xml_parse(xml, error);
  if (doc == NULL)
    return NULL;
  const xmlNode *domain = xmlDocGetRootElement(doc);
  read_identity(vm, domain);
  vm->trial |= metadata_is_trial(domain);

  DmConfig *config = dm_config_new();
  read_devices(config, domain, vm->uuid != NULL ? vm->uuid : "");
  read_cells(config, domain);
  if (!config->has_numa)
    read_plain_boot(config, domain);
  read_pages(config, domain);
  config->machine = machine_xml_read(domain);
  const xmlNode *maximum = xml_child(domain, "maxMemory");
  config->maximum = xml_bytes(maximum);
  config->slots = (guint)xml_attribute_number(maximum, "slots", 0);
  config->balloon = xml_bytes(xml_child(domain, "currentMemory"));
  read_balloon(config, domain);
  round_up(config, vm->arch);

  g_autoptr(DmRequest) read = metadata_read(xml_child(domain, "metadata"), config);
  if (request != NULL) { /* only the live definition has one */
    metadata_read_refusals(xml_child(domain, "metadata"), vm->refusals);
    *request = g_steal_pointer(&read);
  }
  return config;
}
