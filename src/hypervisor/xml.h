/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers over libxml2's tree. Not for other layers. */
#pragma once

#include <glib.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdint.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)

/* The document in @text: no network, no external entities. NULL with DM_ERROR_FAILED. */
xmlDoc *xml_parse(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The text of a whole document, or of one element. The caller g_frees. */
char *xml_format(xmlDoc *doc) G_GNUC_WARN_UNUSED_RESULT;
char *xml_format_node(xmlNode *node) G_GNUC_WARN_UNUSED_RESULT;

/* The first child element of that name, in no namespace (or in @ns); NULL if @node is NULL or has none. */
xmlNode *xml_child(const xmlNode *node, const char *name);
xmlNode *xml_child_ns(const xmlNode *node, const char *name, const char *ns);

/* The next sibling element of the same name. */
xmlNode *xml_next(const xmlNode *node);

/* That child, appended if missing. */
xmlNode *xml_need_child(xmlNode *node, const char *name);

/* The text of the element, NULL if @node is NULL. The caller g_frees. */
char *xml_text(const xmlNode *node) G_GNUC_WARN_UNUSED_RESULT;

/* The attribute, NULL if it is not there. The caller g_frees. */
char *xml_attribute(const xmlNode *node, const char *name) G_GNUC_WARN_UNUSED_RESULT;

/* A whole number of the element or attribute; @otherwise if missing or no number. */
uint64_t xml_number(const xmlNode *node, uint64_t otherwise);
uint64_t xml_attribute_number(const xmlNode *node, const char *name, uint64_t otherwise);

/* A size with a unit attribute, KiB by default as in libvirt, in bytes; 0 if missing. */
uint64_t xml_bytes(const xmlNode *node);

/* The same for an attribute, with its unit attribute. */
uint64_t xml_attribute_bytes(const xmlNode *node, const char *name);

void xml_set_attribute_number(xmlNode *node, const char *name, uint64_t number);

/* Writes @bytes as libvirt does: in KiB, with the unit. */
void xml_set_bytes(xmlNode *node, uint64_t bytes);

void xml_remove(xmlNode *node);
