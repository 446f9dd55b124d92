/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/size.h"
#include "domain_xml.h"
#include "metadata.h"

/* The device of @config with @index in the definition, or NULL. */
static const DmMemoryDevice *device_at(const DmConfig *config, guint index) {
  for (guint i = 0; i < config->devices->len; i++) {
    const DmMemoryDevice *device = config->devices->pdata[i];
    if (device->index == index)
      return device;
  }
  return NULL;
}

/* The size stays as written if that rounds up to it: see domain_xml_read(). */
static void edit_virtio(xmlNode *memory, const DmMemoryDevice *is, const DmMemoryDevice *wanted) {
  xmlNode *target = xml_need_child(memory, "target");
  xml_set_bytes(xml_need_child(target, "requested"), wanted->requested);
  if (is == NULL || is->size != wanted->size)
    xml_set_bytes(xml_need_child(target, "size"), wanted->size);
}

static void edit_devices(xmlNode *domain, const DmConfig *is, const DmConfig *wanted) {
  xmlNode *devices = xml_child(domain, "devices");
  guint index = 0;
  for (xmlNode *memory = xml_child(devices, "memory"), *next; memory != NULL; memory = next, index++) {
    next = xml_next(memory);
    const DmMemoryDevice *device = device_at(wanted, index);
    if (device == NULL)
      xml_remove(memory);
    else if (device->kind == DM_DEVICE_VIRTIO_MEM)
      edit_virtio(memory, device_at(is, index), device);
  }
  for (guint i = 0; i < wanted->devices->len; i++) {
    const DmMemoryDevice *device = wanted->devices->pdata[i];
    if (device->index == DM_DEVICE_NEW)
      device_xml_add(xml_need_child(domain, "devices"), device);
  }
}

static void set_cell(xmlNode *cell, uint64_t bytes) {
  xml_set_attribute_number(cell, "memory", bytes / DM_KIB);
  xmlSetProp(cell, (const xmlChar *)"unit", (const xmlChar *)"KiB");
}

/* Puts all processors into one cell, which QEMU requires for memory hot plug. */
static void add_cell(xmlNode *domain, uint64_t bytes) {
  uint64_t vcpus = MAX(xml_number(xml_child(domain, "vcpu"), 1), 1);
  xmlNode *numa = xml_need_child(xml_need_child(domain, "cpu"), "numa");
  xmlNode *cell = xmlNewChild(numa, NULL, (const xmlChar *)"cell", NULL);
  g_autofree char *cpus = g_strdup_printf("0-%" G_GUINT64_FORMAT, vcpus - 1);
  xmlSetProp(cell, (const xmlChar *)"id", (const xmlChar *)"0");
  xmlSetProp(cell, (const xmlChar *)"cpus", (const xmlChar *)(vcpus == 1 ? "0" : cpus));
  set_cell(cell, bytes);
}

/* A value stays as written if libvirt rounds it to the same: see domain_xml_read(). */
static void edit_cells(xmlNode *domain, const DmConfig *is, const DmConfig *wanted) {
  if (!wanted->has_numa)
    return;
  if (!is->has_numa) {
    add_cell(domain, dm_config_boot(wanted));
    return;
  }
  xmlNode *cell = xml_child(xml_child(xml_child(domain, "cpu"), "numa"), "cell");
  for (guint i = 0; cell != NULL && i < wanted->cells->len; i++, cell = xml_next(cell)) {
    uint64_t bytes = g_array_index(wanted->cells, uint64_t, i);
    if (g_array_index(is->cells, uint64_t, i) != bytes)
      set_cell(cell, bytes);
  }
}

/* <memory> as in libvirt: including the full size of each device. */
static uint64_t total_of(const DmConfig *config) {
  uint64_t total = dm_config_boot(config);
  for (guint i = 0; i < config->devices->len; i++)
    total = dm_size_plus(total, ((DmMemoryDevice *)config->devices->pdata[i])->size);
  return total;
}

/*
 * <memory>, and <currentMemory>, the balloon's target. The latter follows if it was all of memory, so that added memory
 * is not ballooned away at once, and if a new one is requested.
 */
static void edit_totals(xmlNode *domain, const DmConfig *is, const DmConfig *wanted) {
  uint64_t total = total_of(wanted);
  gboolean retargets = wanted->balloon != is->balloon;
  if (total == total_of(is) && !retargets)
    return;
  xmlNode *memory = xml_need_child(domain, "memory"), *balloon = xml_child(domain, "currentMemory");
  uint64_t before = xml_bytes(memory);
  /* A gap left by libvirt's rounding up of <memory> was not requested. */
  gboolean whole = balloon != NULL && dm_size_plus(xml_bytes(balloon), DM_MIB - 1) >= before;
  if (balloon != NULL && (retargets || whole || xml_bytes(balloon) > total))
    xml_set_bytes(balloon, total);
  xml_set_bytes(memory, total);
}

static void edit_maximum(xmlNode *domain, const DmConfig *is, const DmConfig *wanted) {
  xmlNode *maximum = xml_child(domain, "maxMemory");
  if (wanted->maximum == 0) {
    if (maximum != NULL)
      xml_remove(maximum);
    return;
  }
  if (maximum == NULL) {
    /* libvirt writes it before <memory>, and reads it anywhere. */
    maximum = xmlNewNode(NULL, (const xmlChar *)"maxMemory");
    xmlAddPrevSibling(xml_need_child(domain, "memory"), maximum);
  }
  if (wanted->maximum != is->maximum)
    xml_set_bytes(maximum, wanted->maximum);
  if (wanted->slots != 0 && wanted->slots != is->slots)
    xml_set_attribute_number(maximum, "slots", wanted->slots);
}

/* If the VM has one: libvirt adds one by default. */
static void edit_balloon(xmlNode *domain, const DmConfig *is, const DmConfig *wanted) {
  if (is->free_page_reporting == wanted->free_page_reporting && is->autodeflate == wanted->autodeflate)
    return;
  xmlNode *devices = xml_need_child(domain, "devices"), *balloon = xml_child(devices, "memballoon");
  if (balloon == NULL) {
    balloon = xmlNewChild(devices, NULL, (const xmlChar *)"memballoon", NULL);
    xmlSetProp(balloon, (const xmlChar *)"model", (const xmlChar *)"virtio");
  }
  if (wanted->free_page_reporting)
    xmlSetProp(balloon, (const xmlChar *)"freePageReporting", (const xmlChar *)"on");
  if (wanted->autodeflate)
    xmlSetProp(balloon, (const xmlChar *)"autodeflate", (const xmlChar *)"on");
}

char *domain_xml_edit(const char *xml, const DmConfig *wanted, GError **error) {
  g_autoptr(DmVm) scratch = dm_vm_new();
  g_autoptr(DmConfig) is = domain_xml_read(xml, scratch, NULL, error);
  g_autoptr(xmlDoc) doc = is != NULL ? xml_parse(xml, error) : NULL;
  if (doc == NULL)
    return NULL;
  g_autofree char *before = xml_format(doc);
  xmlNode *domain = xmlDocGetRootElement(doc);
  edit_devices(domain, is, wanted);
  edit_cells(domain, is, wanted);
  edit_totals(domain, is, wanted);
  edit_maximum(domain, is, wanted);
  edit_balloon(domain, is, wanted);
  metadata_edit(domain, wanted);
  g_autofree char *after = xml_format(doc);
  return g_strcmp0(before, after) == 0 ? NULL : g_steal_pointer(&after);
}

static void set_words(xmlNode *domain, const char *name, const char *words) {
  xmlNode *node = xml_child(domain, name);
  if (words == NULL)
    return;
  if (*words == '\0') {
    if (node != NULL)
      xml_remove(node);
    return;
  }
  node = xml_need_child(domain, name);
  xmlNodeSetContent(node, NULL);
  xmlNodeAddContent(node, (const xmlChar *)words); /* escapes, unlike xmlNodeSetContent() */
}

char *domain_xml_describe(const char *xml, const char *title, const char *description, GError **error) {
  g_autoptr(xmlDoc) doc = xml_parse(xml, error);
  if (doc == NULL)
    return NULL;
  g_autofree char *before = xml_format(doc);
  set_words(xmlDocGetRootElement(doc), "title", title);
  set_words(xmlDocGetRootElement(doc), "description", description);
  g_autofree char *after = xml_format(doc);
  return g_strcmp0(before, after) == 0 ? NULL : g_steal_pointer(&after);
}
