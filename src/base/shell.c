/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shell.h"

#include <string.h>

/* To any shell, and in any place of a command; bytes that are not ASCII included. */
static gboolean is_plain(const char *word) {
  for (const char *p = word; *p != '\0'; p++) {
    if (!g_ascii_isalnum(*p) && strchr("-_./:@%+,", *p) == NULL && (guchar)*p < 0x80)
      return FALSE;
  }
  return *word != '\0';
}

static void append_word(GString *command, const char *word) {
  g_autofree char *quoted = is_plain(word) ? NULL : g_shell_quote(word);
  g_string_append_printf(command, "%s%s", command->len > 0 ? " " : "", quoted != NULL ? quoted : word);
}

char *dm_shell_command_va(const char *first, va_list words) {
  GString *command = g_string_new(NULL);
  for (const char *word = first; word != NULL; word = va_arg(words, const char *))
    append_word(command, word);
  return g_string_free(command, FALSE);
}

char *dm_shell_command(const char *first, ...) {
  va_list words;
  va_start(words, first);
  char *command = dm_shell_command_va(first, words);
  va_end(words);
  return command;
}
