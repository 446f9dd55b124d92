/* SPDX-License-Identifier: Apache-2.0 */
/* The one tree that bodies in XML and JSON become. Not for other layers. */
#pragma once

#include "arena.h"
#include "wire/node.h"

/* Objects within objects; oVirt's deepest needs about ten. */
#define BODY_DEPTH 32

struct DmBody {
  const char *name;
  const char *text; /* NULL: it has children, or is an object of JSON */
  DmBody *next;
  DmBody *first; /* attributes, then children */
  DmBody *last;
  Arena *arena; /* of the whole tree */
};

DmBody *body_new(const char *root);
DmBody *body_add(DmBody *parent, const char *name);
void body_set_text(DmBody *body, const char *text, gsize length);

/* They fill @body, which is empty. FALSE with DM_ERROR_BAD_REQUEST, or DM_ERROR_BAD_VALUE as body_json_read() says. */
gboolean body_xml_read(DmBody *body, const char *data, gsize size, GError **error);

/* DM_ERROR_BAD_VALUE where a number does not fit: jansson has no value for it that could be kept. */
gboolean body_json_read(DmBody *body, const char *data, gsize size, GError **error);
