/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "body_private.h"
#include "cite.h"
#include "node_private.h"

static const DmNode *find_node(const DmNode *first, const char *name) {
  while (first != NULL && strcmp(first->name, name) != 0)
    first = first->next;
  return first;
}

static const DmBody *find_body(const DmBody *first, const char *name) {
  while (first != NULL && strcmp(first->name, name) != 0)
    first = first->next;
  return first;
}

/* Where it is from, which says nothing of what it is to be. */
static gboolean is_href(const DmBody *body) {
  return strcmp(body->name, "href") == 0;
}

/* It is empty: no text anywhere in it. A link that clients write as they read it, <nics href="..."/>, is. */
static gboolean is_empty(const DmBody *body) {
  for (const DmBody *child = body->first; child != NULL; child = child->next) {
    if (!is_href(child) && !is_empty(child))
      return FALSE;
  }
  return body->text == NULL || body->text[strspn(body->text, " \t\r\n")] == '\0';
}

/* oVirt's BooleanParser; NULL: not a boolean. */
static const char *boolean_of(const char *text) {
  if (g_ascii_strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0)
    return "true";
  return g_ascii_strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0 ? "false" : NULL;
}

static gboolean is_same_text(const char *sent, const DmNode *node) {
  g_autofree char *text = g_strstrip(g_strdup(sent));
  if (node->kind == NODE_NUMBER || node->kind == NODE_PLAIN_NUMBER) {
    gint64 number;
    return g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &number, NULL) && number == node->number;
  }
  if (node->kind != NODE_TEXT)
    return FALSE;
  gboolean is_boolean = strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0;
  if (is_boolean || strcmp(node->name, "name") == 0)
    return strcmp(is_boolean && boolean_of(text) != NULL ? boolean_of(text) : text, node->text) == 0;
  return g_ascii_strcasecmp(text, node->text) == 0; /* of an enumeration: oVirt's clients write those in capitals too */
}

/* Maximum of reported differences; finding all could take long in a malicious body. */
#define MOST 32

static void compare(
  const DmBody *body, const DmNode *node, const char *path, const char *const *skipped, GPtrArray *found);

static void add_path(GPtrArray *found, const char *path) {
  if (found->len < MOST && !g_ptr_array_find_with_equal_func(found, path, g_str_equal, NULL))
    g_ptr_array_add(found, cite(path)); /* in JSON a name can be anything */
}

/* Compares @child with @is, the one of the same name and index; NULL: none. */
static void compare_child(
  const DmBody *child, const DmNode *is, const char *path, const char *const *skipped, GPtrArray *found) {
  gboolean well = is_empty(child);
  if (is != NULL && is->kind == NODE_OBJECT && child->first != NULL) {
    compare(child, is, path, skipped, found);
    return;
  }
  if (is != NULL && is->kind != NODE_OBJECT && child->first == NULL && child->text != NULL)
    well = is_same_text(child->text, is);
  if (!well)
    add_path(found, path);
}

/* A list of one name, such as <device>, is equal if each element is. */
static void compare_row(
  const DmBody *first, const DmNode *is, const char *path, const char *const *skipped, GPtrArray *found) {
  for (const DmBody *each = first; each != NULL && found->len < MOST; each = find_body(each->next, first->name)) {
    compare_child(each, is, path, skipped, found);
    is = is != NULL && is->is_item ? find_node(is->next, first->name) : NULL;
  }
  if (is != NULL) /* there are more than were sent */
    add_path(found, path);
}

static void compare(
  const DmBody *body, const DmNode *node, const char *path, const char *const *skipped, GPtrArray *found) {
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
  for (const DmBody *child = body->first; child != NULL && found->len < MOST; child = child->next) {
    if (is_empty(child) || is_href(child) || !g_hash_table_add(seen, (gpointer)child->name))
      continue;
    g_autofree char *name = *path != '\0' ? g_strconcat(path, ".", child->name, NULL) : g_strdup(child->name);
    if (g_strv_contains(skipped, name))
      continue;
    const DmNode *is = find_node(node->attributes, child->name);
    compare_row(child, is != NULL ? is : find_node(node->first, child->name), name, skipped, found);
  }
}

GPtrArray *dm_body_differences(const DmBody *body, const DmNode *node, const char *const *skipped) {
  GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
  compare(body, node, "", skipped, found);
  return found;
}
