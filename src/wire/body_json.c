/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "body_private.h"
#include "cite.h"

static gboolean read_object(DmBody *body, json_t *object, guint depth, GError **error);

static gboolean check_depth(guint depth, GError **error) {
  if (depth <= BODY_DEPTH)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST,
    "the JSON of the body has objects in objects deeper than %d; send it flatter", BODY_DEPTH);
  return FALSE;
}

/* A real number stays real ("1.0"), so that it is not taken for an integer it may only be close to. */
static void set_number(DmBody *body, json_t *value) {
  char text[G_ASCII_DTOSTR_BUF_SIZE + 2];
  if (json_is_integer(value)) {
    g_snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  } else {
    g_ascii_dtostr(text, G_ASCII_DTOSTR_BUF_SIZE, json_real_value(value));
    if (strpbrk(text, ".e") == NULL)
      g_strlcat(text, ".0", sizeof text);
  }
  body->type = json_is_integer(value) ? BODY_WHOLE : BODY_REAL;
  body_set_text(body, text, strlen(text));
}

static gboolean read_value(DmBody *parent, const char *name, json_t *value, guint depth, GError **error);

/* As children of the same name, as in XML; elements of a nested array are one level deeper. */
static gboolean read_array(DmBody *parent, const char *name, json_t *array, guint depth, GError **error) {
  if (!check_depth(depth, error))
    return FALSE;
  gboolean any = FALSE;
  for (gsize i = 0; i < json_array_size(array); i++) {
    json_t *item = json_array_get(array, i);
    if (json_is_null(item))
      continue;
    any = TRUE;
    DmBody *into = json_is_array(item) ? body_add(parent, name) : parent;
    if (!read_value(into, name, item, depth + 1, error))
      return FALSE;
    parent->last->listed = TRUE;
  }
  if (!any) /* a value was meant: not the same as nothing sent */
    body_add(parent, name)->listed = TRUE;
  return TRUE;
}

/* Adds @value under @parent; null is as absent. */
static gboolean read_value(DmBody *parent, const char *name, json_t *value, guint depth, GError **error) {
  if (json_is_null(value))
    return TRUE;
  if (json_is_array(value))
    return read_array(parent, name, value, depth, error);
  DmBody *child = body_add(parent, name);
  if (json_is_object(value))
    return read_object(child, value, depth, error);
  if (json_is_string(value)) {
    body_set_text(child, json_string_value(value), json_string_length(value));
  } else if (json_is_boolean(value)) {
    child->type = BODY_BOOLEAN;
    body_set_text(child, json_is_true(value) ? "true" : "false", json_is_true(value) ? 4 : 5);
  } else {
    set_number(child, value);
  }
  return TRUE;
}

static gboolean read_object(DmBody *body, json_t *object, guint depth, GError **error) {
  if (!check_depth(depth, error))
    return FALSE;
  const char *name;
  json_t *value;
  json_object_foreach(object, name, value) {
    if (!read_value(body, name, value, depth + 1, error))
      return FALSE;
  }
  return TRUE;
}

gboolean body_json_read(DmBody *body, const char *data, gsize size, GError **error) {
  json_error_t problem;
  json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &problem);
  if (root == NULL) {
    g_autofree char *why = cite(problem.text);
    gboolean overflow = json_error_code(&problem) == json_error_numeric_overflow;
    g_set_error(error, DM_ERROR, overflow ? DM_ERROR_BAD_VALUE : DM_ERROR_BAD_REQUEST,
      "the body cannot be read as JSON: line %d, column %d: %s; correct it there", problem.line, problem.column, why);
    return FALSE;
  }
  gboolean well = FALSE;
  if (json_is_object(root))
    well = read_object(body, root, 1, error);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST,
      "the body is a JSON array; send the object '%s' itself, like {\"name\": \"value\"}", body->name);
  json_decref(root);
  return well;
}
