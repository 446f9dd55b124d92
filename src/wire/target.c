/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/target.h"

#include <string.h>

#include "base/error.h"
#include "cite.h"

typedef struct {
  const char *name, *value;
} Parameter;

struct DmTarget {
  char *text;          /* the URI, split and decoded in place: all strings point into it */
  GPtrArray *segments; /* ends with NULL */
  GArray *matrix;      /* of the last segment */
  GArray *query;
};

void dm_target_free(DmTarget *target) {
  if (target == NULL)
    return;
  g_free(target->text);
  g_ptr_array_unref(target->segments);
  g_array_unref(target->matrix);
  g_array_unref(target->query);
  g_free(target);
}

static gboolean fail(GError **error, const char *part, const char *why) {
  g_autofree char *cited = cite(part);
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST, "the URI's part '%s' %s", cited, why);
  return FALSE;
}

/* Decodes in place: the result is never longer. */
static gboolean decode(char *part, gboolean plus_is_blank, GError **error) {
  char *to = part;
  for (const char *from = part; *from != '\0'; from++) {
    if (*from != '%') {
      *to++ = (char)(*from == '+' && plus_is_blank ? ' ' : *from);
      continue;
    }
    int high = g_ascii_xdigit_value(from[1]);
    int low = high >= 0 ? g_ascii_xdigit_value(from[2]) : -1;
    if (low < 0)
      return fail(error, from, "begins with a broken escape; write '%' itself as %25");
    if (high == 0 && low == 0)
      return fail(error, from, "begins with a NUL character; leave it out");
    *to++ = (char)(high * 16 + low);
    from += 2;
  }
  *to = '\0';
  return g_utf8_validate(part, -1, NULL) || fail(error, part, "is not UTF-8; encode it as UTF-8");
}

/* Cuts @text at the first @separator; returns the rest, or NULL. */
static char *cut(char *text, char separator) {
  char *found = strchr(text, separator);
  if (found == NULL)
    return NULL;
  *found = '\0';
  return found + 1;
}

static gboolean read_parameters(GArray *into, char *text, char separator, GError **error) {
  gboolean is_query = separator == '&';
  for (char *next; text != NULL; text = next) {
    next = cut(text, separator);
    char *value = cut(text, '=');
    if (!decode(text, is_query, error) || (value != NULL && !decode(value, is_query, error)))
      return FALSE;
    Parameter parameter = {text, value != NULL ? value : ""};
    if (*text != '\0')
      g_array_append_val(into, parameter);
  }
  return TRUE;
}

static gboolean read_segment(DmTarget *target, char *segment, GError **error) {
  char *matrix = cut(segment, ';');
  if (!decode(segment, FALSE, error))
    return FALSE;
  if (strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
    return fail(error, segment, "leads to another place; write the path itself");
  if (*segment != '\0') {
    g_ptr_array_add(target->segments, segment);
    g_array_set_size(target->matrix, 0);
  }
  return read_parameters(target->matrix, matrix, ';', error);
}

/* The absolute form, as proxies send it (RFC 9112, 3.2.2), without scheme and host. */
static const char *without_authority(const char *uri) {
  if (g_ascii_strncasecmp(uri, "http://", 7) != 0 && g_ascii_strncasecmp(uri, "https://", 8) != 0)
    return uri;
  const char *path = strchr(strstr(uri, "//") + 2, '/');
  return path != NULL ? path : "/";
}

DmTarget *dm_target_parse(const char *uri, GError **error) {
  g_autoptr(DmTarget) target = g_new0(DmTarget, 1);
  target->text = g_strdup(without_authority(uri));
  target->segments = g_ptr_array_new();
  target->matrix = g_array_new(FALSE, FALSE, sizeof(Parameter));
  target->query = g_array_new(FALSE, FALSE, sizeof(Parameter));
  char *query = cut(target->text, '?');
  for (char *segment = target->text, *next; segment != NULL; segment = next) {
    next = cut(segment, '/');
    if (!read_segment(target, segment, error))
      return NULL;
  }
  if (!read_parameters(target->query, query, '&', error))
    return NULL;
  g_ptr_array_add(target->segments, NULL);
  return g_steal_pointer(&target);
}

const char *const *dm_target_segments(const DmTarget *target) {
  return (const char *const *)target->segments->pdata;
}

static const char *find(const GArray *parameters, const char *name) {
  for (guint i = 0; i < parameters->len; i++) {
    const Parameter *parameter = &g_array_index(parameters, Parameter, i);
    if (strcmp(parameter->name, name) == 0)
      return parameter->value;
  }
  return NULL;
}

const char *dm_target_parameter(const DmTarget *target, const char *name) {
  const char *value = find(target->query, name);
  return value != NULL ? value : find(target->matrix, name);
}

gboolean dm_target_boolean(const DmTarget *target, const char *name, gboolean otherwise) {
  static const char *const no[] = {"f", "false", "n", "no", "0"};
  static const char *const yes[] = {"", "t", "true", "y", "yes", "1"};
  const char *value = dm_target_parameter(target, name);
  for (gsize i = 0; value != NULL && i < G_N_ELEMENTS(no); i++) {
    if (g_ascii_strcasecmp(value, no[i]) == 0)
      return FALSE;
  }
  for (gsize i = 0; value != NULL && i < G_N_ELEMENTS(yes); i++) {
    if (g_ascii_strcasecmp(value, yes[i]) == 0)
      return TRUE;
  }
  return otherwise;
}

gint64 dm_target_number(const DmTarget *target, const char *name, gint64 otherwise) {
  const char *value = dm_target_parameter(target, name);
  gint64 number = 0;
  if (value == NULL || !g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, &number, NULL))
    return otherwise;
  return number;
}
