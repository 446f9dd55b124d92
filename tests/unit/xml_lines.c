/* SPDX-License-Identifier: Apache-2.0 */
#include "xml_lines.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

char *sample(const char *name) {
  g_autoptr(GError) error = NULL;
  g_autofree char *file = g_strconcat(name, ".xml", NULL);
  g_autofree char *path = g_test_build_filename(G_TEST_DIST, "samples", file, NULL);
  char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, &error))
    g_error("%s", error->message);
  return text;
}

static void add_name(GString *line, const xmlNs *ns, const xmlChar *name) {
  if (ns != NULL && ns->href != NULL)
    g_string_append_printf(line, "{%s}", (const char *)ns->href);
  g_string_append(line, (const char *)name);
}

static void add_attributes(GString *line, const xmlNode *node) {
  for (const xmlAttr *attribute = node->properties; attribute != NULL; attribute = attribute->next) {
    xmlChar *value = xmlNodeListGetString(node->doc, attribute->children, 1);
    g_string_append_c(line, ' ');
    add_name(line, attribute->ns, attribute->name);
    g_string_append_printf(line, "=%s", value != NULL ? (const char *)value : "");
    xmlFree(value);
  }
}

static void add_text(GString *line, const xmlNode *node) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (const xmlNode *child = node->children; child != NULL; child = child->next) {
    if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE)
      g_string_append(text, (const char *)child->content);
  }
  g_strstrip(text->str);
  if (*text->str != '\0')
    g_string_append_printf(line, ": %s", text->str);
}

static void add_lines(GPtrArray *lines, const xmlNode *node, const char *parent) {
  g_autoptr(GString) path = g_string_new(parent);
  g_string_append_c(path, '/');
  add_name(path, node->ns, node->name);
  GString *line = g_string_new(path->str);
  add_attributes(line, node);
  add_text(line, node);
  g_ptr_array_add(lines, g_string_free(line, FALSE));
  for (const xmlNode *child = node->children; child != NULL; child = child->next) {
    if (child->type == XML_ELEMENT_NODE)
      add_lines(lines, child, path->str);
  }
}

static GPtrArray *lines_of(const char *text) {
  GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
  xmlDoc *doc = xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET);
  if (doc == NULL)
    g_error("no XML: %s", text);
  add_lines(lines, xmlDocGetRootElement(doc), "");
  xmlFreeDoc(doc);
  return lines;
}

static gboolean same(const GPtrArray *a, guint i, const GPtrArray *b, guint k) {
  return strcmp(a->pdata[i], b->pdata[k]) == 0;
}

/* By the longest common subsequence: common[i][k] is its length from lines i and k on. */
char *xml_difference(const char *before, const char *after) {
  g_autoptr(GPtrArray) a = lines_of(before), b = lines_of(after);
  guint width = b->len + 1;
  g_autofree guint *common = g_new0(guint, (gsize)(a->len + 1) * width);
  for (guint i = a->len; i-- > 0;) {
    for (guint k = b->len; k-- > 0;)
      common[i * width + k] = same(a, i, b, k) ? common[(i + 1) * width + k + 1] + 1
                                               : MAX(common[(i + 1) * width + k], common[i * width + k + 1]);
  }
  GString *text = g_string_new(NULL);
  for (guint i = 0, k = 0; i < a->len || k < b->len;) {
    if (i < a->len && k < b->len && same(a, i, b, k)) {
      i++;
      k++;
    } else if (i < a->len && (k == b->len || common[(i + 1) * width + k] >= common[i * width + k + 1])) {
      g_string_append_printf(text, "-%s\n", (char *)a->pdata[i++]);
    } else {
      g_string_append_printf(text, "+%s\n", (char *)b->pdata[k++]);
    }
  }
  return g_string_free(text, FALSE);
}
