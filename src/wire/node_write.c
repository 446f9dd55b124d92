/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include "node_private.h"

/* The context of a text decides which bytes must be escaped. */
typedef enum {
  IN_TEXT = 1,
  IN_ATTRIBUTE = 2,
  IN_JSON = 4,
} Place;

#define ANYWHERE (IN_TEXT | IN_ATTRIBUTE | IN_JSON)

static const guint8 special[256] = {
  [0x00 ... 0x08] = ANYWHERE,
  ['\t' ... '\n'] = IN_ATTRIBUTE | IN_JSON, /* an XML reader turns them into blanks in attributes */
  [0x0b ... 0x1f] = ANYWHERE,               /* with '\r', which an XML reader would turn into '\n' */
  ['"'] = IN_ATTRIBUTE | IN_JSON,
  ['&'] = IN_TEXT | IN_ATTRIBUTE,
  ['<'] = IN_TEXT | IN_ATTRIBUTE,
  ['>'] = IN_TEXT | IN_ATTRIBUTE, /* for "]]>" */
  ['\\'] = IN_JSON,
  [0x80 ... 0xff] = ANYWHERE,
};

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

static const char *escape_xml(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\t':
      return "&#9;";
    case '\n':
      return "&#10;";
    case '\r':
      return "&#13;";
    default:
      return replacement;
  }
}

static const char *escape_json(char c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\t':
      return "\\t";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    default:
      return replacement;
  }
}

/* The length of the non-ASCII character at @p; 0: not UTF-8. @allowed: whether XML allows it. */
static gsize measure(const char *p, gboolean *allowed) {
  gunichar c = g_utf8_get_char_validated(p, -1);
  if (c == (gunichar)-1 || c == (gunichar)-2)
    return 0;
  *allowed = c != 0xfffe && c != 0xffff;
  return (gsize)(g_utf8_next_char(p) - p);
}

static void write_text(GString *out, const char *text, Place place) {
  const char *run = text; /* start of what is not written yet */
  for (const char *p = text;;) {
    while (!(special[(guchar)*p] & place))
      p++;
    gboolean allowed = FALSE;
    gsize length = (guchar)*p < 0x80 ? 1 : measure(p, &allowed);
    if (allowed) {
      p += length;
      continue;
    }
    g_string_append_len(out, run, p - run);
    if (*p == '\0')
      return;
    g_string_append(out, place == IN_JSON ? escape_json(*p) : escape_xml(*p));
    p += MAX(length, 1);
    run = p;
  }
}

/* At least @width digits, faster than printf, which uses the locale. */
static void write_number(GString *out, gint64 number, int width) {
  char digits[24];
  char *p = digits + sizeof digits;
  guint64 rest = number < 0 ? -(guint64)number : (guint64)number;
  for (; rest != 0 || width > 0; rest /= 10, width--)
    *--p = (char)('0' + rest % 10);
  if (number < 0)
    *--p = '-';
  g_string_append_len(out, p, digits + sizeof digits - p);
}

/* Never with an exponent, which xs:decimal does not have; six places are more than a percentage needs. */
static void write_decimal(GString *out, double value) {
  char text[400];
  g_ascii_formatd(text, sizeof text, "%.6f", value);
  char *end = text + strlen(text);
  while (end[-1] == '0')
    end--;
  if (end[-1] == '.')
    end--;
  *end = '\0';
  g_string_append(out, strcmp(text, "-0") == 0 ? "0" : text);
}

static void write_date(GString *out, gint64 milliseconds) {
  gint64 within = milliseconds % 1000;
  time_t seconds = (time_t)(milliseconds / 1000);
  if (within < 0) {
    within += 1000;
    seconds--;
  }
  struct tm tm = {0};
  gmtime_r(&seconds, &tm);
  write_number(out, tm.tm_year + (gint64)1900, 4);
  const struct {
    char before;
    int number;
  } parts[] = {{'-', tm.tm_mon + 1}, {'-', tm.tm_mday}, {'T', tm.tm_hour}, {':', tm.tm_min}, {':', tm.tm_sec}};
  for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
    g_string_append_c(out, parts[i].before);
    write_number(out, parts[i].number, 2);
  }
  g_string_append_c(out, '.');
  write_number(out, within, 3);
  g_string_append_c(out, 'Z');
}

static void write_xml(const DmNode *node, GString *out) {
  g_string_append_c(out, '<');
  g_string_append(out, node->name);
  for (const DmNode *attribute = node->attributes; attribute != NULL; attribute = attribute->next) {
    g_string_append_c(out, ' ');
    g_string_append(out, attribute->name);
    g_string_append_len(out, "=\"", 2);
    write_text(out, attribute->text, IN_ATTRIBUTE);
    g_string_append_c(out, '"');
  }
  if (node->kind == NODE_OBJECT && node->first == NULL) {
    g_string_append_len(out, "/>", 2);
    return;
  }
  g_string_append_c(out, '>');
  switch (node->kind) {
    case NODE_OBJECT:
      for (const DmNode *child = node->first; child != NULL; child = child->next)
        write_xml(child, out);
      break;
    case NODE_TEXT:
      write_text(out, node->text, IN_TEXT);
      break;
    case NODE_NUMBER:
    case NODE_PLAIN_NUMBER:
      write_number(out, node->number, 1);
      break;
    case NODE_DECIMAL:
      write_decimal(out, node->decimal);
      break;
    case NODE_DATE:
      write_date(out, node->number);
      break;
    case NODE_PLAIN_BOOLEAN:
      g_string_append(out, node->number != 0 ? "true" : "false");
      break;
  }
  g_string_append_len(out, "</", 2);
  g_string_append(out, node->name);
  g_string_append_c(out, '>');
}

static void write_json_object(const DmNode *node, GString *out);

static void write_json(const DmNode *node, GString *out) {
  switch (node->kind) {
    case NODE_OBJECT:
      write_json_object(node, out);
      break;
    case NODE_TEXT:
      g_string_append_c(out, '"');
      write_text(out, node->text, IN_JSON);
      g_string_append_c(out, '"');
      break;
    case NODE_NUMBER:
      g_string_append_c(out, '"');
      write_number(out, node->number, 1);
      g_string_append_c(out, '"');
      break;
    case NODE_PLAIN_NUMBER:
    case NODE_DATE:
      write_number(out, node->number, 1);
      break;
    case NODE_DECIMAL:
      write_decimal(out, node->decimal);
      break;
    case NODE_PLAIN_BOOLEAN:
      g_string_append(out, node->number != 0 ? "true" : "false");
      break;
  }
}

static void write_json_name(const char *name, gboolean *is_first, GString *out) {
  if (!*is_first)
    g_string_append_c(out, ',');
  *is_first = FALSE;
  g_string_append_c(out, '"');
  g_string_append(out, name);
  g_string_append_len(out, "\":", 2);
}

static gboolean is_item_named(const DmNode *node, const char *name) {
  return node->is_item && (node->name == name || strcmp(node->name, name) == 0);
}

/* The array of all items named as @first, which is the first of them. */
static void write_json_array(const DmNode *first, GString *out) {
  g_string_append_c(out, '[');
  for (const DmNode *item = first; item != NULL; item = item->next) {
    if (!is_item_named(item, first->name))
      continue;
    if (item != first)
      g_string_append_c(out, ',');
    write_json(item, out);
  }
  g_string_append_c(out, ']');
}

static void write_json_object(const DmNode *node, GString *out) {
  gboolean is_first = TRUE;
  g_string_append_c(out, '{');
  for (const DmNode *attribute = node->attributes; attribute != NULL; attribute = attribute->next) {
    write_json_name(attribute->name, &is_first, out);
    write_json(attribute, out);
  }
  for (const DmNode *child = node->first; child != NULL; child = child->next) {
    if (!child->is_item) {
      write_json_name(child->name, &is_first, out);
      write_json(child, out);
      continue;
    }
    const DmNode *earlier = node->first;
    while (!is_item_named(earlier, child->name))
      earlier = earlier->next;
    if (earlier != child)
      continue;
    write_json_name(child->name, &is_first, out);
    write_json_array(child, out);
  }
  g_string_append_c(out, '}');
}

void dm_node_write(const DmNode *node, DmFormat format, GString *out) {
  if (format == DM_FORMAT_XML)
    write_xml(node, out);
  else
    write_json(node, out);
}

const char *dm_format_content_type(DmFormat format) {
  return format == DM_FORMAT_XML ? "application/xml;charset=UTF-8" : "application/json;charset=UTF-8";
}

const char *dm_format_declaration(DmFormat format) {
  return format == DM_FORMAT_XML ? "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>" : "";
}
