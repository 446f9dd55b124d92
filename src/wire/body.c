/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "body_private.h"
#include "cite.h"

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

const DmBody *dm_body_next(const DmBody *child) {
  return find(child->next, child->name);
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

static gboolean refuse(const DmBody *body, const char *wants, GError **error) {
  g_autofree char *name = cite(body->name), *value = cite(body->text != NULL ? body->text : "");
  if (body->listed && body->text == NULL)
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST, "'%s' is a list; send %s", name, wants);
  else if (body->listed)
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST, "'%s' is the list [%s]; send %s", name, value, wants);
  else if (body->text == NULL || body->first != NULL)
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST, "'%s' holds '%s'; send %s", name,
      body->first != NULL ? body->first->name : "{}", wants);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST, "'%s' is %s; send %s", name, value, wants);
  return FALSE;
}

/*
 * The only child of that name; NULL in @child: none. Duplicates are refused: oVirt uses the last of two, and the client
 * may have meant the other.
 */
static gboolean find_single(const DmBody *body, const char *name, const DmBody **child, GError **error) {
  const DmBody *found = dm_body_child(body, name);
  if (found != NULL && find(found->next, name) != NULL) {
    g_set_error(
      error, DM_ERROR, DM_ERROR_BAD_REQUEST, "'%s' stands more than once in '%s'; send one", name, body->name);
    return FALSE;
  }
  *child = found;
  return TRUE;
}

static gboolean find_value(const DmBody *body, const char *name, const DmBody **child, GError **error) {
  const DmBody *found;
  if (!find_single(body, name, &found, error))
    return FALSE;
  if (found != NULL && (found->text == NULL || found->listed || found->first != NULL))
    return refuse(found, "a plain value, without other elements, attributes or brackets", error);
  *child = found;
  return TRUE;
}

static gboolean is_blank_text(const char *text) {
  return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}

gboolean dm_body_object(const DmBody *body, const char *name, const DmBody **object, GError **error) {
  const DmBody *found;
  if (!find_single(body, name, &found, error))
    return FALSE;
  if (found != NULL && (found->listed || !is_blank_text(found->text)))
    return refuse(found, "its members inside it", error);
  *object = found;
  return TRUE;
}

gboolean dm_body_check_once(const DmBody *body, const char *const *lists, GError **error) {
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
  for (const DmBody *child = body != NULL ? body->first : NULL; child != NULL; child = child->next) {
    if (g_strv_contains(lists, child->name))
      continue;
    g_autofree char *name = cite(child->name);
    if (!g_hash_table_add(seen, (gpointer)child->name)) {
      g_set_error(
        error, DM_ERROR, DM_ERROR_BAD_REQUEST, "'%s' stands more than once in '%s'; send one", name, body->name);
      return FALSE;
    }
    if (child->listed)
      return refuse(child, "one, without brackets", error);
  }
  return TRUE;
}

gboolean dm_body_plain_text(
  const DmBody *body, const char *name, gboolean *present, const char **text, GError **error) {
  const DmBody *child;
  if (!find_value(body, name, &child, error))
    return FALSE;
  if (child != NULL && (child->type == BODY_REAL || child->type == BODY_BOOLEAN))
    return refuse(child, "a text, in quotes", error);
  for (const char *p = child != NULL ? child->text : ""; *p != '\0'; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (c == '\n' || c == '\t' || (c >= ' ' && c != 0x7f && c != 0xfffe && c != 0xffff))
      continue;
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "'%s' has a control character (0x%02x) in it; send text with line breaks and tabs at most", name, c);
    return FALSE;
  }
  *present = child != NULL;
  if (child != NULL)
    *text = child->text;
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
  if (!find_value(body, name, &child, error))
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
  if (!find_value(body, name, &child, error))
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
