/* SPDX-License-Identifier: Apache-2.0 */
#include "xml.h"

#include <libxml/parser.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"

xmlDoc *xml_parse(const char *text, GError **error) {
  g_autoptr(xmlParserCtxt) context = xmlNewParserCtxt();
  xmlDoc *doc = xmlCtxtReadMemory(
    context, text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
  if (doc == NULL || xmlDocGetRootElement(doc) == NULL) {
    const xmlError *last = xmlCtxtGetLastError(context); /* the thread's own error is not set any more since libxml2
                                                          * 2.13 */
    g_autofree char *why = g_strdup(last != NULL && last->message != NULL ? last->message : "it is empty");
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "the hypervisor's XML cannot be read: line %d: %s",
      last != NULL ? last->line : 1, g_strchomp(why));
    xmlFreeDoc(doc);
    return NULL;
  }
  return doc;
}

static char *take_xml_string(xmlChar *text) {
  char *copy = g_strdup((const char *)text);
  xmlFree(text);
  return copy;
}

char *xml_format(xmlDoc *doc) {
  xmlChar *text = NULL;
  int size = 0;
  xmlDocDumpMemory(doc, &text, &size);
  return take_xml_string(text);
}

char *xml_format_node(xmlNode *node) {
  xmlBuffer *buffer = xmlBufferCreate();
  xmlNodeDump(buffer, node->doc, node, 0, 0);
  char *copy = g_strdup((const char *)xmlBufferContent(buffer));
  xmlBufferFree(buffer);
  return copy;
}

static gboolean is_element(const xmlNode *node, const char *name, const char *ns) {
  if (node->type != XML_ELEMENT_NODE || !xmlStrEqual(node->name, (const xmlChar *)name))
    return FALSE;
  const char *has = node->ns != NULL ? (const char *)node->ns->href : NULL;
  return g_strcmp0(has, ns) == 0;
}

xmlNode *xml_child_ns(const xmlNode *node, const char *name, const char *ns) {
  for (xmlNode *child = node != NULL ? node->children : NULL; child != NULL; child = child->next) {
    if (is_element(child, name, ns))
      return child;
  }
  return NULL;
}

xmlNode *xml_child(const xmlNode *node, const char *name) {
  return xml_child_ns(node, name, NULL);
}

xmlNode *xml_next(const xmlNode *node) {
  for (xmlNode *next = node->next; next != NULL; next = next->next) {
    if (is_element(next, (const char *)node->name, node->ns != NULL ? (const char *)node->ns->href : NULL))
      return next;
  }
  return NULL;
}

xmlNode *xml_need_child(xmlNode *node, const char *name) {
  xmlNode *child = xml_child(node, name);
  return child != NULL ? child : xmlNewChild(node, NULL, (const xmlChar *)name, NULL);
}

char *xml_text(const xmlNode *node) {
  return node != NULL ? take_xml_string(xmlNodeGetContent(node)) : NULL;
}

char *xml_attribute(const xmlNode *node, const char *name) {
  return node != NULL ? take_xml_string(xmlGetNoNsProp(node, (const xmlChar *)name)) : NULL;
}

static uint64_t number_of(const char *text, uint64_t otherwise) {
  if (text == NULL)
    return otherwise;
  g_autofree char *stripped = g_strstrip(g_strdup(text));
  guint64 number = 0;
  gboolean hex = g_str_has_prefix(stripped, "0x");
  return g_ascii_string_to_unsigned(hex ? stripped + 2 : stripped, hex ? 16 : 10, 0, G_MAXUINT64, &number, NULL)
    ? number
    : otherwise;
}

uint64_t xml_number(const xmlNode *node, uint64_t otherwise) {
  g_autofree char *text = xml_text(node);
  return number_of(text, otherwise);
}

uint64_t xml_attribute_number(const xmlNode *node, const char *name, uint64_t otherwise) {
  g_autofree char *text = xml_attribute(node, name);
  return number_of(text, otherwise);
}

/* The units of libvirt's virScaleInteger(), as far as its output uses them: KiB nearly always. */
static uint64_t unit_bytes(const char *unit) {
  static const struct {
    const char *name;
    uint64_t bytes;
  } units[] = {
    {"b", 1},
    {"bytes", 1},
    {"k", DM_KIB},
    {"KiB", DM_KIB},
    {"M", DM_MIB},
    {"MiB", DM_MIB},
    {"G", DM_GIB},
    {"GiB", DM_GIB},
    {"T", DM_GIB * 1024},
    {"TiB", DM_GIB * 1024},
  };
  for (gsize i = 0; unit != NULL && i < G_N_ELEMENTS(units); i++) {
    if (g_strcmp0(units[i].name, unit) == 0)
      return units[i].bytes;
  }
  return DM_KIB;
}

static uint64_t scaled(const xmlNode *node, uint64_t number) {
  g_autofree char *unit = xml_attribute(node, "unit");
  uint64_t bytes;
  return __builtin_mul_overflow(number, unit_bytes(unit), &bytes) ? UINT64_MAX : bytes;
}

uint64_t xml_bytes(const xmlNode *node) {
  return scaled(node, xml_number(node, 0));
}

uint64_t xml_attribute_bytes(const xmlNode *node, const char *name) {
  return scaled(node, xml_attribute_number(node, name, 0));
}

void xml_set_attribute_number(xmlNode *node, const char *name, uint64_t number) {
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, number);
  xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)text);
}

void xml_set_bytes(xmlNode *node, uint64_t bytes) {
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, bytes / DM_KIB);
  xmlNodeSetContent(node, (const xmlChar *)text);
  xmlSetProp(node, (const xmlChar *)"unit", (const xmlChar *)"KiB");
}

void xml_remove(xmlNode *node) {
  xmlUnlinkNode(node);
  xmlFreeNode(node);
}
