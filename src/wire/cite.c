/* SPDX-License-Identifier: Apache-2.0 */
#include "cite.h"

#include <string.h>

#define MAX_CHARACTERS 200

char *cite_length(const char *text, gsize length) {
  g_autofree char *valid = g_utf8_make_valid(text, (gssize)MIN(length, 4 * MAX_CHARACTERS + 4));
  GString *cited = g_string_new(NULL);
  glong count = 0;
  const char *p = valid;
  for (; *p != '\0' && count < MAX_CHARACTERS; p = g_utf8_next_char(p), count++) {
    gunichar c = g_utf8_get_char(p);
    g_string_append_unichar(cited, g_unichar_iscntrl(c) ? ' ' : c);
  }
  if (*p != '\0')
    g_string_append(cited, "...");
  return g_string_free(cited, FALSE);
}

char *cite(const char *text) {
  return cite_length(text, strlen(text));
}
