/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree's nodes and texts lie in one arena, that of its root; each node points to it, so that children can be added
 * anywhere. An adopted tree keeps its arena, which then lives as long as the adopter's.
 */
#include <math.h>
#include <string.h>

#include "node_private.h"

static DmNode *new_node(Arena *arena, const char *name, NodeKind kind) {
  DmNode *node = arena_alloc(arena, sizeof *node);
  node->name = name;
  node->kind = kind;
  node->arena = arena;
  return node;
}

DmNode *dm_node_new(const char *name) {
  return new_node(arena_new(), name, NODE_OBJECT);
}

void dm_node_free(DmNode *node) {
  if (node != NULL)
    arena_free(node->arena);
}

static DmNode *append(DmNode *parent, DmNode *child) {
  if (parent->last == NULL)
    parent->first = child;
  else
    parent->last->next = child;
  parent->last = child;
  return child;
}

static DmNode *add(DmNode *parent, const char *name, NodeKind kind) {
  return append(parent, new_node(parent->arena, name, kind));
}

void dm_node_set_attribute(DmNode *node, const char *name, const char *value) {
  if (value == NULL)
    return;
  DmNode **place = &node->attributes;
  while (*place != NULL && strcmp((*place)->name, name) != 0)
    place = &(*place)->next;
  if (*place == NULL)
    *place = new_node(node->arena, name, NODE_TEXT);
  (*place)->text = arena_copy(node->arena, value, strlen(value));
}

void dm_node_add_text(DmNode *parent, const char *name, const char *text) {
  if (text != NULL)
    add(parent, name, NODE_TEXT)->text = arena_copy(parent->arena, text, strlen(text));
}

void dm_node_add_number(DmNode *parent, const char *name, gint64 number) {
  add(parent, name, NODE_NUMBER)->number = number;
}

void dm_node_add_boolean(DmNode *parent, const char *name, gboolean value) {
  add(parent, name, NODE_TEXT)->text = value ? "true" : "false";
}

void dm_node_add_decimal(DmNode *parent, const char *name, double value) {
  if (isfinite(value))
    add(parent, name, NODE_DECIMAL)->decimal = value;
}

void dm_node_add_date(DmNode *parent, const char *name, gint64 milliseconds) {
  add(parent, name, NODE_DATE)->number = milliseconds;
}

DmNode *dm_node_add_object(DmNode *parent, const char *name) {
  return add(parent, name, NODE_OBJECT);
}

DmNode *dm_node_add_item(DmNode *parent, const char *name) {
  DmNode *item = add(parent, name, NODE_OBJECT);
  item->is_item = TRUE;
  return item;
}

void dm_node_add_item_text(DmNode *parent, const char *name, const char *text) {
  if (text == NULL)
    return;
  dm_node_add_text(parent, name, text);
  parent->last->is_item = TRUE;
}

void dm_node_add_plain_number(DmNode *parent, const char *name, gint64 number) {
  add(parent, name, NODE_PLAIN_NUMBER)->number = number;
}

void dm_node_add_plain_boolean(DmNode *parent, const char *name, gboolean value) {
  add(parent, name, NODE_PLAIN_BOOLEAN)->number = value ? 1 : 0;
}

void dm_node_adopt(DmNode *parent, DmNode *node, gboolean as_item) {
  node->is_item = as_item;
  arena_adopt(parent->arena, node->arena);
  append(parent, node);
}

DmNode *dm_node_next(const DmNode *parent, const DmNode *after) {
  return after != NULL ? after->next : parent->kind == NODE_OBJECT ? parent->first : NULL;
}

const char *dm_node_name(const DmNode *node) {
  return node->name;
}

gboolean dm_node_is_item(const DmNode *node) {
  return node->is_item;
}

const char *dm_node_attribute(const DmNode *node, const char *name) {
  const DmNode *attribute = node->attributes;
  while (attribute != NULL && strcmp(attribute->name, name) != 0)
    attribute = attribute->next;
  return attribute != NULL ? attribute->text : NULL;
}

void dm_node_fill(DmNode *node, DmNode *from) {
  arena_adopt(node->arena, from->arena);
  node->attributes = from->attributes;
  node->first = from->first;
  node->last = from->last;
}
