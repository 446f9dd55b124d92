/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Otherwise the journal gives this file as the source of every message. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/debug.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Names as in the configuration; PRIORITY as in syslog. */
static const struct {
  const char *name;
  GLogLevelFlags flags;
  const char *priority;
} levels[] = {
  {"error", G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL, "3"},
  {"warning", G_LOG_LEVEL_WARNING, "4"},
  {"info", G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO, "6"},
  {"debug", G_LOG_LEVEL_DEBUG, "7"},
};

static const struct {
  const char *field, *otherwise, *name;
} shown[] = {
  {"VM_NAME", "VM", "vm"},
  {"REQUEST", NULL, "request"},
  {"HOST", NULL, "host"},
  {"USER", NULL, "user"},
};

/* Written by the main loop's thread, read by any. */
static gint chosen_level = 2;
static gint to_journal;

static gint level_index(GLogLevelFlags level) {
  for (gint i = 0; i < (gint)G_N_ELEMENTS(levels); i++) {
    if (level & levels[i].flags)
      return i;
  }
  return G_N_ELEMENTS(levels) - 1;
}

/* systemd.exec(5): JOURNAL_STREAM holds device and inode of our stream to the journal. */
gboolean log_stderr_is_journal(void) {
  const char *stream = g_getenv("JOURNAL_STREAM");
  struct stat status;
  if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
    return FALSE;
  g_autofree char *own =
    g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, (guint64)status.st_dev, (guint64)status.st_ino);
  return strcmp(stream, own) == 0;
}

static char *field_text(const GLogField *fields, gsize count, const char *name) {
  for (gsize i = 0; i < count; i++) {
    if (strcmp(fields[i].key, name) == 0 && fields[i].value != NULL)
      return fields[i].length < 0 ? g_strdup(fields[i].value) : g_strndup(fields[i].value, (gsize)fields[i].length);
  }
  return NULL;
}

/* Control characters, Unicode line separators, and characters that change text direction. */
static gboolean is_hidden(gunichar character) {
  GUnicodeType type = g_unichar_type(character);
  return g_unichar_iscntrl(character) || type == G_UNICODE_FORMAT || type == G_UNICODE_LINE_SEPARATOR ||
    type == G_UNICODE_PARAGRAPH_SEPARATOR;
}

/* Names come from clients and guests: they must not start a new line or move a terminal's cursor. */
static void append_clean(GString *line, const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
    gunichar character = g_utf8_get_char(at);
    g_string_append_unichar(line, is_hidden(character) ? ' ' : character);
  }
}

static void append_value(GString *line, const char *text) {
  if (*text != '\0' && strpbrk(text, " \t\n\"\\") == NULL) {
    append_clean(line, text);
    return;
  }
  g_auto(GStrv) at_backslash = g_strsplit(text, "\\", -1);
  g_autofree char *backslashes = g_strjoinv("\\\\", at_backslash);
  g_auto(GStrv) at_quote = g_strsplit(backslashes, "\"", -1);
  g_autofree char *escaped = g_strjoinv("\\\"", at_quote);
  g_string_append_c(line, '"');
  append_clean(line, escaped);
  g_string_append_c(line, '"');
}

static void append_start(GString *line, GLogLevelFlags level, gboolean for_journal) {
  gint index = level_index(level);
  if (for_journal) {
    g_string_append_printf(line, "<%s>", levels[index].priority);
    return;
  }
  g_autoptr(GDateTime) now = g_date_time_new_now_local();
  g_autofree char *time = g_date_time_format(now, "%F %T");
  g_string_append_printf(line, "%s.%03d %-7s ", time, g_date_time_get_microsecond(now) / 1000, levels[index].name);
}

char *log_format(GLogLevelFlags level, const GLogField *fields, gsize count, gboolean for_journal) {
  g_autofree char *domain = field_text(fields, count, "GLIB_DOMAIN");
  g_autofree char *message = field_text(fields, count, "MESSAGE");
  GString *line = g_string_new(NULL);
  append_start(line, level, for_journal);
  if (g_strcmp0(domain, "dimmer") != 0) {
    append_clean(line, domain != NULL ? domain : "-");
    g_string_append(line, ": ");
  }
  append_clean(line, message != NULL ? message : "");
  for (gsize i = 0; i < G_N_ELEMENTS(shown); i++) {
    g_autofree char *text = field_text(fields, count, shown[i].field);
    if (text == NULL && shown[i].otherwise != NULL)
      text = field_text(fields, count, shown[i].otherwise);
    if (text == NULL)
      continue;
    g_string_append_printf(line, " %s=", shown[i].name);
    append_value(line, text);
  }
  g_string_append_c(line, '\n');
  return g_string_free(line, FALSE);
}

static void free_bytes(gpointer data) {
  g_byte_array_unref(data);
}

/* "KEY=value" of each field, in journald's format; the value may have any bytes. */
static gboolean send_to_journal(GLogLevelFlags level, const GLogField *fields, gsize count) {
  g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(free_bytes);
  g_autofree struct iovec *entries = g_new(struct iovec, count + 1);
  g_autofree char *priority = g_strconcat("PRIORITY=", levels[level_index(level)].priority, NULL);
  int used = 0;
  entries[used++] = (struct iovec){priority, strlen(priority)};
  for (gsize i = 0; i < count; i++) {
    if (strcmp(fields[i].key, "PRIORITY") == 0 || fields[i].value == NULL)
      continue;
    GByteArray *text = g_byte_array_new();
    gsize length = fields[i].length < 0 ? strlen(fields[i].value) : (gsize)fields[i].length;
    g_byte_array_append(text, (const guint8 *)fields[i].key, (guint)strlen(fields[i].key));
    g_byte_array_append(text, (const guint8 *)"=", 1);
    g_byte_array_append(text, fields[i].value, (guint)length);
    g_ptr_array_add(texts, text);
    entries[used++] = (struct iovec){text->data, text->len};
  }
  return sd_journal_sendv(entries, used) == 0;
}

/* A line is one write, so that lines of several threads do not mix. */
static void write_line(const char *line) {
  gsize length = strlen(line);
  while (length > 0) {
    gssize written = write(STDERR_FILENO, line, length);
    if (written <= 0)
      return; /* there is nowhere else to report it */
    line += written;
    length -= (gsize)written;
  }
}

static GLogWriterOutput write_log(GLogLevelFlags level, const GLogField *fields, gsize count, gpointer data) {
  gint index = level_index(level);
  gint most = g_atomic_int_get(&chosen_level);
  if (index > most)
    return G_LOG_WRITER_HANDLED;
  if (index == G_N_ELEMENTS(levels) - 1) {
    g_autofree char *domain = field_text(fields, count, "GLIB_DOMAIN");
    if (g_strcmp0(domain, "dimmer") != 0)
      return G_LOG_WRITER_HANDLED; /* GLib's own debugging messages */
  }
  if (g_atomic_int_get(&to_journal) && send_to_journal(level, fields, count))
    return G_LOG_WRITER_HANDLED;
  g_autofree char *line = log_format(level, fields, count, log_stderr_is_journal());
  write_line(line);
  return G_LOG_WRITER_HANDLED;
}

void log_start(void) {
  g_log_set_writer_func(write_log, NULL, NULL);
}

void log_set(const char *level, const char *target) {
  for (gint i = 0; i < (gint)G_N_ELEMENTS(levels); i++) {
    if (strcmp(levels[i].name, level) == 0)
      g_atomic_int_set(&chosen_level, i);
  }
  dm_debug_set(strcmp(level, "debug") == 0);
  gboolean wanted = strcmp(target, "journal") == 0 || (strcmp(target, "auto") == 0 && log_stderr_is_journal());
  /* Without journald, sd_journal_sendv() returns success. */
  gboolean there = access(JOURNAL_SOCKET, W_OK) == 0;
  g_atomic_int_set(&to_journal, wanted && there);
  if (strcmp(target, "journal") == 0 && !there)
    g_warning("there is no journal here (%s); the log goes to standard error", JOURNAL_SOCKET);
}
