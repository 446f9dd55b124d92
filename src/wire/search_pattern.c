/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "search_private.h"

static char *fold_enum(const char *text) {
  char *folded = g_ascii_strdown(text, -1);
  char *to = folded;
  for (const char *from = folded; *from != '\0'; from++) {
    if (*from != '_' && !g_ascii_isspace(*from))
      *to++ = *from;
  }
  *to = '\0';
  return folded;
}

char *fold_text(const char *text, Fold fold) {
  if (fold == FOLD_NONE)
    return g_strdup(text);
  if (fold == FOLD_ENUM)
    return fold_enum(text);
  if (g_str_is_ascii(text))
    return g_ascii_strdown(text, -1);
  g_autofree char *valid = g_utf8_make_valid(text, -1); /* casefold reads beyond the end of a truncated character */
  return g_utf8_casefold(valid, -1);
}

static void add_piece(GPtrArray *pieces, GString *piece, Fold fold) {
  g_ptr_array_add(pieces, fold_text(piece->str, fold));
  g_string_truncate(piece, 0);
}

Pattern pattern_new(const char *start, const char *end, gboolean quoted, gboolean anywhere, Fold fold) {
  GPtrArray *pieces = g_ptr_array_new();
  g_autoptr(GString) piece = g_string_new(NULL);
  if (anywhere)
    add_piece(pieces, piece, fold);
  for (const char *p = start; p < end; p++) {
    gboolean escaped = quoted && *p == '\\' && p + 1 < end && strchr("\"*\\", p[1]) != NULL;
    if (escaped)
      p++;
    if (*p == '*' && !escaped)
      add_piece(pieces, piece, fold);
    else
      g_string_append_c(piece, *p);
  }
  add_piece(pieces, piece, fold);
  if (anywhere)
    add_piece(pieces, piece, fold);
  g_ptr_array_add(pieces, NULL);
  return (Pattern)g_ptr_array_free(pieces, FALSE);
}

/* The leftmost match of each piece is as good as any other, so there is no backtracking and no explosion. */
gboolean pattern_matches(Pattern pattern, const char *text) {
  if (pattern[1] == NULL)
    return strcmp(text != NULL ? text : "", pattern[0]) == 0;
  if (text == NULL || !g_str_has_prefix(text, pattern[0]))
    return FALSE;
  text += strlen(pattern[0]);
  char **piece = pattern + 1;
  for (; piece[1] != NULL; piece++) {
    text = strstr(text, *piece);
    if (text == NULL)
      return FALSE;
    text += strlen(*piece);
  }
  return g_str_has_suffix(text, *piece);
}
