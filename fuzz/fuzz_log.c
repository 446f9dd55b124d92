/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's own log: names of clients, VMs and guests stand in its lines. The input is fields, a byte 0xff between
 * them. */
#include <string.h>

#include "fuzz.h"
#include "log.h"

#define MOST_FIELDS 8

static void check_line(const char *line, gboolean for_journal) {
  gsize length = strlen(line);
  g_assert(length > 0 && strchr(line, '\n') == line + length - 1);
  g_assert(!for_journal || line[0] == '<');
  g_assert(g_utf8_validate(line, -1, NULL));
  for (const char *at = line; at < line + length - 1; at = g_utf8_next_char(at)) {
    gunichar character = g_utf8_get_char(at);
    g_assert(!g_unichar_iscntrl(character) && g_unichar_type(character) != G_UNICODE_FORMAT);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const keys[MOST_FIELDS] = {
    "MESSAGE", "VM", "VM_NAME", "REQUEST", "HOST", "USER", "GLIB_DOMAIN", "OTHER"};
  GLogField fields[MOST_FIELDS];
  gsize count = 0;
  const uint8_t *end = data + size;
  for (const uint8_t *at = data; at <= end && count < MOST_FIELDS; count++) {
    const uint8_t *next = memchr(at, 0xff, (gsize)(end - at));
    fields[count] = (GLogField){keys[count], at, (gssize)((next != NULL ? next : end) - at)};
    at = next != NULL ? next + 1 : end + 1;
  }
  for (int for_journal = 0; for_journal < 2; for_journal++) {
    g_autofree char *line = log_format(G_LOG_LEVEL_WARNING, fields, count, for_journal);
    check_line(line, for_journal);
  }
  return 0;
}
