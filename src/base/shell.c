/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shell.h"

#include <string.h>

/* For any shell, anywhere in a command; including non-ASCII bytes. */
static gboolean is_plain(const char *word) {
  for (const char *p = word; *p != '\0'; p++) {
    gboolean is_inner = p != word && *p == '='; /* at the front some shells expand it */
    if (!g_ascii_isalnum(*p) && !is_inner && strchr("-_./:@%+,", *p) == NULL && (guchar)*p < 0x80)
      return FALSE;
  }
  return *word != '\0';
}

static void append_word(GString *command, const char *word) {
  g_autofree char *quoted = is_plain(word) ? NULL : g_shell_quote(word);
  g_string_append_printf(command, "%s%s", command->len > 0 ? " " : "", quoted != NULL ? quoted : word);
}

/* A leading dash is no option after "--": then all operands go there. */
char *dm_shell_command_strv(const char *const *words) {
  GString *command = g_string_new(NULL);
  g_autoptr(GPtrArray) all = g_ptr_array_new(), operands = g_ptr_array_new();
  gboolean dashed = FALSE;
  for (; *words != NULL; words++) {
    if (strcmp(*words, "--") == 0) {
      words++;
      dashed |= **words == '-';
      g_ptr_array_add(operands, (gpointer)*words);
    }
    g_ptr_array_add(all, (gpointer)*words);
  }
  for (guint i = 0; i < all->len; i++) {
    if (!dashed || !g_ptr_array_find(operands, all->pdata[i], NULL))
      append_word(command, all->pdata[i]);
  }
  if (dashed)
    append_word(command, "--");
  for (guint i = 0; dashed && i < operands->len; i++)
    append_word(command, operands->pdata[i]);
  return g_string_free(command, FALSE);
}

char *dm_shell_command_va(const char *first, va_list words) {
  g_autoptr(GPtrArray) all = g_ptr_array_new();
  for (const char *word = first; word != NULL; word = va_arg(words, const char *))
    g_ptr_array_add(all, (gpointer)word);
  g_ptr_array_add(all, NULL);
  return dm_shell_command_strv((const char *const *)all->pdata);
}

char *dm_shell_command(const char *first, ...) {
  va_list words;
  va_start(words, first);
  char *command = dm_shell_command_va(first, words);
  va_end(words);
  return command;
}

char *dm_shell_connected(const char *command, const char *uri) {
  static const char *const programs[] = {"dimmer ", "virsh "};
  for (gsize i = 0; command != NULL && uri != NULL && *uri != '\0' && i < G_N_ELEMENTS(programs); i++) {
    if (!g_str_has_prefix(command, programs[i]))
      continue;
    GString *connected = g_string_new(programs[i]);
    g_string_append(connected, "-c");
    append_word(connected, uri);
    g_string_append_printf(connected, " %s", command + strlen(programs[i]));
    return g_string_free(connected, FALSE);
  }
  return g_strdup(command);
}
