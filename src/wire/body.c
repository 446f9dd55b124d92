/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "body_private.h"
#include "cite.h"

/* In a whole body, with every other sign of equality; a VM as oVirt writes it has some two hundred. */
#define MOST_ATTRIBUTES 4096

static DmBody *new_body(Arena *arena, const char *name) {
  DmBody *body = arena_alloc(arena, sizeof *body);
  body->name = arena_copy(arena, name, strlen(name));
  body->arena = arena;
  return body;
}

DmBody *body_new(const char *root) {
  return new_body(arena_new(), root);
}

DmBody *body_add(DmBody *parent, const char *name) {
  DmBody *child = new_body(parent->arena, name);
  if (parent->last == NULL)
    parent->first = child;
  else
    parent->last->next = child;
  parent->last = child;
  return child;
}

void body_set_text(DmBody *body, const char *text, gsize length) {
  body->text = arena_copy(body->arena, text, length);
}

static gboolean is_blank(const char *data, gsize size) {
  for (gsize i = 0; i < size; i++) {
    if (!g_ascii_isspace(data[i]))
      return FALSE;
  }
  return TRUE;
}

/* libxml2 compares each attribute of an element with all before it, before it tells of any. */
static gboolean has_too_many_attributes(const char *data, gsize size) {
  guint count = 0;
  for (gsize i = 0; i < size; i++)
    count += data[i] == '=';
  return count > MOST_ATTRIBUTES;
}

DmBody *dm_body_parse(GBytes *bytes, DmFormat format, const char *root, GError **error) {
  gsize size = 0;
  const char *data = g_bytes_get_data(bytes, &size);
  g_autoptr(DmBody) body = body_new(root);
  if (is_blank(data, size))
    return g_steal_pointer(&body);
  if (size > G_MAXINT) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST, "the body is too large; send less than 2 GiB");
    return NULL;
  }
  if (format == DM_FORMAT_XML && has_too_many_attributes(data, size)) {
    g_set_error(
      error, DM_ERROR, DM_ERROR_BAD_REQUEST, "the body has more attributes than any request needs; send less");
    return NULL;
  }
  gboolean well =
    format == DM_FORMAT_XML ? body_xml_read(body, data, size, error) : body_json_read(body, data, size, error);
  return well ? g_steal_pointer(&body) : NULL;
}

void dm_body_free(DmBody *body) {
  if (body != NULL)
    arena_free(body->arena);
}

static const DmBody *find(const DmBody *first, const char *name) {
  for (; first != NULL; first = first->next) {
    if (strcmp(first->name, name) == 0)
      return first;
  }
  return NULL;
}

const DmBody *dm_body_child(const DmBody *body, const char *name) {
  return body != NULL ? find(body->first, name) : NULL;
}

gboolean dm_body_has(const DmBody *body, const char *name) {
  return dm_body_child(body, name) != NULL;
}

const char *dm_body_other(const DmBody *body, const char *const *known) {
  for (const DmBody *child = body != NULL ? body->first : NULL; child != NULL; child = child->next) {
    gboolean empty = child->first == NULL && (child->text == NULL || *child->text == '\0');
    if (!empty && !g_strv_contains(known, child->name))
      return child->name;
  }
  return NULL;
}

const char *dm_body_text(const DmBody *body, const char *name) {
  const DmBody *child = dm_body_child(body, name);
  return child != NULL ? child->text : NULL;
}

/*
 * The one child of that name, NULL in @child: none. One that is there twice is refused: oVirt takes one of the two
 * memories, and the client that sent them may have meant the other.
 */
static gboolean find_single(const DmBody *body, const char *name, const DmBody **child, GError **error) {
  const DmBody *found = dm_body_child(body, name);
  if (found != NULL && find(found->next, name) != NULL) {
    g_set_error(
      error, DM_ERROR, DM_ERROR_BAD_REQUEST, "'%s' stands more than once in '%s'; send one", name, body->name);
    return FALSE;
  }
  if (found != NULL && found->text == NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST, "'%s' holds other elements; send a plain value in it", name);
    return FALSE;
  }
  *child = found;
  return TRUE;
}

static char *stripped(const DmBody *body) {
  return g_strstrip(g_strdup(body->text));
}

static gboolean is_decimal(const char *text) {
  if (*text == '-' || *text == '+')
    text++;
  return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

gboolean dm_body_number(const DmBody *body, const char *name, gboolean *present, gint64 *value, GError **error) {
  const DmBody *child;
  if (!find_single(body, name, &child, error))
    return FALSE;
  if (child == NULL) {
    *present = FALSE;
    return TRUE;
  }
  g_autofree char *text = stripped(child);
  gint64 number = 0;
  if (*text != '\0') { /* oVirt's IntegerParser: an empty text is 0 */
    if (!is_decimal(text)) {
      g_autofree char *cited = cite(text);
      g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST,
        "'%s' is '%s', which is not a whole number; write it in decimal digits, without a unit", name, cited);
      return FALSE;
    }
    errno = 0;
    number = g_ascii_strtoll(text, NULL, 10);
    if (errno != 0) {
      g_autofree char *cited = cite(text);
      g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
        "'%s' is %s, which does not fit 64 bits; send a number up to %" G_GINT64_FORMAT, name, cited, G_MAXINT64);
      return FALSE;
    }
  }
  *present = TRUE;
  *value = number;
  return TRUE;
}

gboolean dm_body_boolean(const DmBody *body, const char *name, gboolean *present, gboolean *value, GError **error) {
  const DmBody *child;
  if (!find_single(body, name, &child, error))
    return FALSE;
  if (child == NULL) {
    *present = FALSE;
    return TRUE;
  }
  g_autofree char *text = stripped(child);
  gboolean is_true = g_ascii_strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;
  if (!is_true && g_ascii_strcasecmp(text, "false") != 0 && strcmp(text, "0") != 0) {
    g_autofree char *cited = cite(text);
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "'%s' is '%s'; write true or false", name, cited);
    return FALSE;
  }
  *present = TRUE;
  *value = is_true;
  return TRUE;
}
