/* SPDX-License-Identifier: Apache-2.0 */
/* The common tree of XML and JSON bodies. Not for other layers. */
#pragma once

#include "arena.h"
#include "wire/node.h"

/* Maximum nesting; oVirt's deepest needs about ten. */
#define BODY_DEPTH 32

/* The type in JSON; XML has texts only. */
typedef enum {
  BODY_TEXT,
  BODY_WHOLE,
  BODY_REAL,
  BODY_BOOLEAN,
} BodyType;

struct DmBody {
  const char *name;
  const char *text; /* NULL: it has children, or is a JSON object */
  BodyType type;    /* of the text */
  gboolean listed;  /* it is in a JSON array; an empty array is one of these, without a text */
  DmBody *next;
  DmBody *first; /* attributes, then children */
  DmBody *last;
  Arena *arena; /* of the whole tree */
};

DmBody *body_new(const char *root);
DmBody *body_add(DmBody *parent, const char *name);
void body_set_text(DmBody *body, const char *text, gsize length);

/* They fill @body, which is empty. FALSE with DM_ERROR_BAD_REQUEST, or DM_ERROR_BAD_VALUE as body_json_read() says. */
gboolean body_xml_read(DmBody *body, const char *data, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* DM_ERROR_BAD_VALUE for a number out of range: jansson cannot represent it. */
gboolean body_json_read(DmBody *body, const char *data, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;
