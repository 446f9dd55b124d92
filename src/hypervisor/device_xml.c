/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/error.h"
#include "domain_xml.h"

#define USER_ALIAS "ua-"
#define ID_SPACE "urn:dimmer:memory:1/device/"

/* A UUID (in the form of version 5), for a device without a user alias; as stable as its alias. */
static char *id_from_alias(const char *vm_uuid, const char *alias) {
  g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA1);
  guint8 digest[20];
  gsize size = sizeof digest;
  g_checksum_update(checksum, (const guchar *)ID_SPACE, -1);
  g_checksum_update(checksum, (const guchar *)vm_uuid, -1);
  g_checksum_update(checksum, (const guchar *)alias, -1);
  g_checksum_get_digest(checksum, digest, &size);
  digest[6] = (digest[6] & 0x0f) | 0x50;
  digest[8] = (digest[8] & 0x3f) | 0x80;
  g_autoptr(GString) id = g_string_new(NULL);
  for (guint i = 0; i < 16; i++)
    g_string_append_printf(id, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", digest[i]);
  return g_string_free(g_steal_pointer(&id), FALSE);
}

static char *id_of(const char *vm_uuid, const char *alias) {
  if (alias == NULL)
    return NULL;
  if (g_str_has_prefix(alias, USER_ALIAS) && g_uuid_string_is_valid(alias + strlen(USER_ALIAS)))
    return g_strdup(alias + strlen(USER_ALIAS));
  return id_from_alias(vm_uuid, alias);
}

static DmDeviceKind kind_of(const char *model) {
  if (g_strcmp0(model, "dimm") == 0)
    return DM_DEVICE_DIMM;
  return g_strcmp0(model, "virtio-mem") == 0 ? DM_DEVICE_VIRTIO_MEM : DM_DEVICE_OTHER;
}

static void read_address(DmMemoryDevice *device, const xmlNode *node) {
  const xmlNode *address = xml_child(node, "address");
  g_autofree char *type = xml_attribute(address, "type");
  if (g_strcmp0(type, "dimm") == 0) {
    device->slot = (int)xml_attribute_number(address, "slot", 0);
    device->address = xml_attribute_number(address, "base", 0);
  } else if (g_strcmp0(type, "pci") == 0) {
    device->bus_address = g_strdup_printf("%04x:%02x:%02x.%x", (guint)xml_attribute_number(address, "domain", 0),
      (guint)xml_attribute_number(address, "bus", 0), (guint)xml_attribute_number(address, "slot", 0),
      (guint)xml_attribute_number(address, "function", 0));
  }
  /* libvirt since 9.4 reports the address of a virtio-mem device: <target><address base='0x…'/>. */
  const xmlNode *base = xml_child(xml_child(node, "target"), "address");
  if (base != NULL)
    device->address = xml_attribute_number(base, "base", 0);
}

/* What is compared elsewhere, or differs between a live device and its definition. */
static const char *const not_backing[] = {"model", "alias", "address", "target/size", "target/node", "target/block",
  "target/requested", "target/current", "target/address", "target@dynamicMemslots", NULL};

static void add_backing(GPtrArray *words, const xmlNode *node, const char *path) {
  for (const xmlAttr *attribute = node->properties; attribute != NULL; attribute = attribute->next) {
    g_autofree char *name = g_strconcat(path, *path != '\0' ? "@" : "", attribute->name, NULL);
    g_autofree char *value = xml_attribute(node, (const char *)attribute->name);
    if (!g_strv_contains(not_backing, name) && strcmp((const char *)attribute->name, "unit") != 0)
      g_ptr_array_add(words, g_strconcat(name, "=", value, NULL));
  }
  for (const xmlNode *child = node->children; child != NULL; child = child->next) {
    g_autofree char *name = g_strconcat(path, *path != '\0' ? "/" : "", child->name, NULL);
    if (child->type != XML_ELEMENT_NODE || g_strv_contains(not_backing, name))
      continue;
    if (xmlFirstElementChild((xmlNode *)child) == NULL) {
      g_autofree char *text = xml_text(child);
      g_ptr_array_add(words, g_strconcat(name, "=", g_strstrip(text), NULL));
    }
    add_backing(words, child, name);
  }
}

static int by_text(gconstpointer a, gconstpointer b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "access=shared source/pagesize=2048": libvirt writes sizes in KiB only. */
static char *backing_of(const xmlNode *node) {
  g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
  add_backing(words, node, "");
  g_ptr_array_sort(words, by_text);
  g_ptr_array_add(words, NULL);
  return g_strjoinv(" ", (char **)words->pdata);
}

DmMemoryDevice *device_xml_read(const xmlNode *node, const char *vm_uuid, guint index) {
  g_autofree char *model = xml_attribute(node, "model");
  const xmlNode *target = xml_child(node, "target");
  DmMemoryDevice *device = dm_memory_device_new(kind_of(model));
  device->model = g_steal_pointer(&model);
  device->alias = xml_attribute(xml_child(node, "alias"), "name");
  device->id = id_of(vm_uuid, device->alias);
  device->size = xml_bytes(xml_child(target, "size"));
  device->node = (int)xml_number(xml_child(target, "node"), 0);
  device->index = index;
  if (device->kind == DM_DEVICE_VIRTIO_MEM) {
    device->block = xml_bytes(xml_child(target, "block"));
    device->requested = xml_bytes(xml_child(target, "requested"));
    const xmlNode *current = xml_child(target, "current"); /* libvirt writes it for running VMs only */
    device->live = current != NULL;
    device->current = xml_bytes(current);
  }
  read_address(device, node);
  device->backing = backing_of(node);
  return device;
}

static void add_bytes(xmlNode *parent, const char *name, uint64_t bytes) {
  xml_set_bytes(xmlNewChild(parent, NULL, (const xmlChar *)name, NULL), bytes);
}

/* For virtio-mem, libvirt before 9.4 ignores it. */
static void add_address(xmlNode *parent, const DmStep *step) {
  g_autofree char *slot = g_strdup_printf("%d", step->run.slot);
  g_autofree char *base = g_strdup_printf("%#" G_GINT64_MODIFIER "x", step->run.address);
  xmlNode *address = xmlNewChild(parent, NULL, (const xmlChar *)"address", NULL);
  if (step->kind == DM_DEVICE_DIMM) {
    xmlSetProp(address, (const xmlChar *)"type", (const xmlChar *)"dimm");
    xmlSetProp(address, (const xmlChar *)"slot", (const xmlChar *)slot);
  }
  xmlSetProp(address, (const xmlChar *)"base", (const xmlChar *)base);
}

static xmlNode *fill_memory(xmlNode *memory, const DmMemoryDevice *device) {
  gboolean virtio = device->kind == DM_DEVICE_VIRTIO_MEM;
  xmlSetProp(memory, (const xmlChar *)"model", (const xmlChar *)(virtio ? "virtio-mem" : "dimm"));
  xmlNode *target = xmlNewChild(memory, NULL, (const xmlChar *)"target", NULL);
  add_bytes(target, "size", device->size);
  xml_need_child(target, "node");
  g_autofree char *node = g_strdup_printf("%d", device->node);
  xmlNodeSetContent(xml_child(target, "node"), (const xmlChar *)node);
  if (virtio) {
    add_bytes(target, "block", device->block);
    add_bytes(target, "requested", device->requested);
  }
  if (device->dynamic_memslots)
    xmlSetProp(target, (const xmlChar *)"dynamicMemslots", (const xmlChar *)"yes");
  xmlNode *alias = xmlNewChild(memory, NULL, (const xmlChar *)"alias", NULL);
  xmlSetProp(alias, (const xmlChar *)"name", (const xmlChar *)device->alias);
  return target;
}

char *device_xml_format(const DmStep *step) {
  const DmMemoryDevice device = {.kind = step->kind,
    .size = step->size,
    .node = step->node,
    .block = step->block,
    .requested = step->to,
    .dynamic_memslots = step->run.dynamic_memslots,
    .alias = step->alias};
  g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
  xmlNode *memory = xmlNewNode(NULL, (const xmlChar *)"memory");
  xmlDocSetRootElement(doc, memory);
  xmlNode *target = fill_memory(memory, &device);
  if (step->run.address != 0)
    add_address(step->kind == DM_DEVICE_VIRTIO_MEM ? target : memory, step);
  return xml_format_node(memory);
}

void device_xml_add(xmlNode *devices, const DmMemoryDevice *device) {
  fill_memory(xmlNewChild(devices, NULL, (const xmlChar *)"memory", NULL), device);
}

char *device_xml_resized(const char *domain_xml, const char *alias, uint64_t requested, GError **error) {
  g_autoptr(xmlDoc) doc = xml_parse(domain_xml, error);
  if (doc == NULL)
    return NULL;
  const xmlNode *devices = xml_child(xmlDocGetRootElement(doc), "devices");
  for (xmlNode *memory = xml_child(devices, "memory"); memory != NULL; memory = xml_next(memory)) {
    g_autofree char *name = xml_attribute(xml_child(memory, "alias"), "name");
    if (g_strcmp0(name, alias) != 0)
      continue;
    xml_set_bytes(xml_need_child(xml_need_child(memory, "target"), "requested"), requested);
    return xml_format_node(memory);
  }
  g_set_error(error, DM_ERROR, DM_ERROR_NO_SUCH_DEVICE, "the memory device '%s' is no longer there", alias);
  return NULL;
}
