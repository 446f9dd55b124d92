/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/size.h"
#include "domain_xml.h"
#include "metadata.h"

/* The wanted device that stands at @index in the definition, or NULL: it goes. */
static const DmMemoryDevice *wanted_at(const DmConfig *wanted, guint index) {
  for (guint i = 0; i < wanted->devices->len; i++) {
    const DmMemoryDevice *device = wanted->devices->pdata[i];
    if (device->index == index)
      return device;
  }
  return NULL;
}

static void edit_devices(xmlNode *domain, const DmConfig *wanted) {
  xmlNode *devices = xml_child(domain, "devices");
  guint index = 0;
  for (xmlNode *memory = xml_child(devices, "memory"), *next; memory != NULL; memory = next, index++) {
    next = xml_next(memory);
    const DmMemoryDevice *device = wanted_at(wanted, index);
    if (device == NULL)
      xml_remove(memory);
    else if (device->kind == DM_DEVICE_VIRTIO_MEM)
      xml_set_bytes(xml_need_child(xml_need_child(memory, "target"), "requested"), device->requested);
  }
}

static void set_cell(xmlNode *cell, uint64_t bytes) {
  xml_set_attribute_number(cell, "memory", bytes / DM_KIB);
  xmlSetProp(cell, (const xmlChar *)"unit", (const xmlChar *)"KiB");
}

/* All processors into one cell: what QEMU wants before it hot plugs memory. */
static void add_cell(xmlNode *domain, uint64_t bytes) {
  uint64_t vcpus = MAX(xml_number(xml_child(domain, "vcpu"), 1), 1);
  xmlNode *numa = xml_need_child(xml_need_child(domain, "cpu"), "numa");
  xmlNode *cell = xmlNewChild(numa, NULL, (const xmlChar *)"cell", NULL);
  g_autofree char *cpus = g_strdup_printf("0-%" G_GUINT64_FORMAT, vcpus - 1);
  xmlSetProp(cell, (const xmlChar *)"id", (const xmlChar *)"0");
  xmlSetProp(cell, (const xmlChar *)"cpus", (const xmlChar *)(vcpus == 1 ? "0" : cpus));
  set_cell(cell, bytes);
}

static void edit_cells(xmlNode *domain, const DmConfig *wanted) {
  if (!wanted->has_numa)
    return;
  xmlNode *cell = xml_child(xml_child(xml_child(domain, "cpu"), "numa"), "cell");
  if (cell == NULL)
    add_cell(domain, dm_config_boot(wanted));
  for (guint i = 0; cell != NULL && i < wanted->cells->len; i++, cell = xml_next(cell))
    set_cell(cell, g_array_index(wanted->cells, uint64_t, i));
}

/*
 * <memory> as libvirt counts it, with the full size of each device; and <currentMemory>, the balloon's target, which
 * follows where it had everything, so that more memory is not ballooned away at once.
 */
static void edit_totals(xmlNode *domain, const DmConfig *wanted) {
  uint64_t total = dm_config_boot(wanted);
  for (guint i = 0; i < wanted->devices->len; i++)
    total = dm_size_plus(total, ((DmMemoryDevice *)wanted->devices->pdata[i])->size);
  xmlNode *memory = xml_need_child(domain, "memory"), *balloon = xml_child(domain, "currentMemory");
  uint64_t before = xml_bytes(memory);
  if (balloon != NULL && (xml_bytes(balloon) >= before || xml_bytes(balloon) > total))
    xml_set_bytes(balloon, total);
  xml_set_bytes(memory, total);
}

static void edit_maximum(xmlNode *domain, const DmConfig *wanted) {
  xmlNode *maximum = xml_child(domain, "maxMemory");
  if (wanted->maximum == 0) {
    if (maximum != NULL)
      xml_remove(maximum);
    return;
  }
  if (maximum == NULL) {
    /* libvirt writes it before <memory>; it reads it anywhere. */
    maximum = xmlNewNode(NULL, (const xmlChar *)"maxMemory");
    xmlAddPrevSibling(xml_need_child(domain, "memory"), maximum);
  }
  xml_set_bytes(maximum, wanted->maximum);
  if (wanted->slots != 0)
    xml_set_attribute_number(maximum, "slots", wanted->slots);
}

char *domain_xml_edit(const char *xml, const DmConfig *wanted, GError **error) {
  g_autoptr(xmlDoc) doc = xml_parse(xml, error);
  if (doc == NULL)
    return NULL;
  g_autofree char *before = xml_format(doc);
  xmlNode *domain = xmlDocGetRootElement(doc);
  edit_devices(domain, wanted);
  edit_cells(domain, wanted);
  edit_totals(domain, wanted);
  edit_maximum(domain, wanted);
  metadata_edit(domain, wanted);
  g_autofree char *after = xml_format(doc);
  return g_strcmp0(before, after) == 0 ? NULL : g_steal_pointer(&after);
}
