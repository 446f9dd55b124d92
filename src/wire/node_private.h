/* SPDX-License-Identifier: Apache-2.0 */
/* The tree built by node.c and written by node_write.c. Not for other layers. */
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
  NODE_PLAIN_BOOLEAN, /* the word without quotes in JSON; number is 1 or 0 */
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
