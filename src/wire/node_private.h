/* SPDX-License-Identifier: Apache-2.0 */
/* What node.c builds and node_write.c writes. Not for other layers. */
#pragma once

#include "arena.h"
#include "wire/node.h"

typedef enum {
  NODE_OBJECT,
  NODE_TEXT,
  NODE_NUMBER,       /* a string in JSON */
  NODE_PLAIN_NUMBER, /* a number in JSON */
  NODE_DECIMAL,
  NODE_DATE,
} NodeKind;

/* An attribute is a node of NODE_TEXT in a list of its own. */
struct DmNode {
  const char *name;
  DmNode *next;
  DmNode *attributes;
  DmNode *first; /* child */
  DmNode *last;
  Arena *arena;
  union {
    const char *text;
    gint64 number;
    double decimal;
  };
  NodeKind kind;
  gboolean is_item;
};
