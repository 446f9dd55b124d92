/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <stdio.h>

#include "base/size.h"

struct Table {
  const char *const *headings;
  guint columns;
  GPtrArray *cells;
};

Table *table_new(const char *const *headings) {
  Table *table = g_new0(Table, 1);
  table->headings = headings;
  table->columns = g_strv_length((char **)headings);
  table->cells = g_ptr_array_new_with_free_func(g_free);
  return table;
}

void table_free(Table *table) {
  if (table == NULL)
    return;
  g_ptr_array_unref(table->cells);
  g_free(table);
}

/* Characters that a terminal interprets: control characters and those that change text direction. */
static gboolean is_shown(gunichar c) {
  GUnicodeType type = g_unichar_type(c);
  return type != G_UNICODE_CONTROL && type != G_UNICODE_FORMAT && type != G_UNICODE_LINE_SEPARATOR &&
    type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

void table_add(Table *table, char *cell) {
  GString *shown = g_string_new(NULL);
  for (const char *p = cell; *p != '\0'; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    g_string_append_unichar(shown, is_shown(c) ? c : '?');
  }
  g_free(cell);
  g_ptr_array_add(table->cells, g_string_free(shown, FALSE));
}

/* In terminal columns. */
static long width_of(const char *text) {
  long width = 0;
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    width += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
  }
  return width;
}

static long column_width(const Table *table, guint column) {
  long width = width_of(table->headings[column]);
  for (guint i = column; i < table->cells->len; i += table->columns)
    width = MAX(width, width_of(table->cells->pdata[i]));
  return width;
}

static void print_cell(const Table *table, guint column, const char *text) {
  fputs(text, stdout);
  if (column + 1 < table->columns)
    printf("%*s", (int)(column_width(table, column) - width_of(text) + 2), "");
  else
    putchar('\n');
}

void table_print(const Table *table, const char *indent) {
  fputs(indent, stdout);
  for (guint column = 0; column < table->columns; column++)
    print_cell(table, column, table->headings[column]);
  for (guint i = 0; i < table->cells->len; i++) {
    if (i % table->columns == 0)
      fputs(indent, stdout);
    print_cell(table, i % table->columns, table->cells->pdata[i]);
  }
}

char *table_size(uint64_t bytes) {
  return bytes > 0 ? dm_size_format(dm_size_floor_mib(bytes)) : g_strdup("-");
}
