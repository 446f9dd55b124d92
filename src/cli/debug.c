/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/debug.h"
#include "cli.h"

static const char *field_of(const GLogField *fields, gsize count, const char *name) {
  for (gsize i = 0; i < count; i++) {
    if (strcmp(fields[i].key, name) == 0 && fields[i].length < 0)
      return fields[i].value;
  }
  return NULL;
}

/* A line is one stdio call, which locks: lines of several threads do not mix. */
static GLogWriterOutput write_line(GLogLevelFlags level, const GLogField *fields, gsize count, gpointer data) {
  const char *message = field_of(fields, count, "MESSAGE");
  if ((level & G_LOG_LEVEL_DEBUG) == 0 || g_strcmp0(field_of(fields, count, "GLIB_DOMAIN"), "dimmer") != 0)
    return g_log_writer_default(level, fields, count, data);
  g_autoptr(GDateTime) now = g_date_time_new_now_local();
  g_autofree char *time = g_date_time_format(now, "%T");
  fprintf(stderr, "%s.%03d %s\n", time, g_date_time_get_microsecond(now) / 1000, message != NULL ? message : "");
  return G_LOG_WRITER_HANDLED;
}

void debug_start(void) {
  static gboolean started;
  if (!started)
    g_log_set_writer_func(write_line, NULL, NULL);
  started = TRUE;
  dm_debug_set(TRUE);
}

gboolean debug_is_wanted(void) {
  const char *value = g_getenv("DIMMER_DEBUG");
  return value != NULL && *value != '\0' && strcmp(value, "0") != 0;
}
