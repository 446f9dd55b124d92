/* SPDX-License-Identifier: Apache-2.0 */
#include "base/debug.h"

#include <string.h>

#define MOST_BYTES 600

static gint is_on;

void dm_debug_set(gboolean on) {
  g_atomic_int_set(&is_on, on);
}

gboolean dm_debug_is_on(void) {
  return g_atomic_int_get(&is_on) != 0;
}

double dm_debug_since(gint64 since) {
  return (double)(g_get_monotonic_time() - since) / 1000;
}

/* Guests and clients control part of the text. */
static char *clean(const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  gsize length = strlen(valid);
  GString *line = g_string_new(NULL);
  for (const char *at = valid; *at != '\0' && line->len < MOST_BYTES; at = g_utf8_next_char(at)) {
    gunichar character = g_utf8_get_char(at);
    g_string_append_unichar(line, g_unichar_isprint(character) ? character : ' ');
  }
  if (line->len < length)
    g_string_append_printf(line, "… (%" G_GSIZE_FORMAT " bytes)", length);
  return g_string_free(line, FALSE);
}

void dm_debug_write(const char *topic, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_autofree char *line = clean(g_strchomp(text));
  g_log_structured("dimmer", G_LOG_LEVEL_DEBUG, "MESSAGE", "%s: %s", topic, line);
}
