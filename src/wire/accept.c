/* SPDX-License-Identifier: Apache-2.0 */
/* The format of a body, and the format a client prefers (RFC 9110, 8.3 and 12.5.1). */
#include <string.h>

#include "wire/node.h"

typedef struct {
  double quality; /* 0: not accepted, or not mentioned */
  guint rank;     /* 0: not mentioned; 1: by a wildcard; 2: by name, which takes precedence */
  guint place;    /* in the list */
} Wish;

static double quality_of(char **parameters) {
  for (; *parameters != NULL; parameters++) {
    char *text = g_strstrip(*parameters);
    if (g_ascii_strncasecmp(text, "q=", 2) != 0)
      continue;
    char *end = NULL;
    double quality = g_ascii_strtod(text + 2, &end);
    return end != text + 2 && *end == '\0' && quality >= 0 && quality <= 1 ? quality : 1;
  }
  return 1;
}

/* "application/xml", "text/xml", "application/vnd.x+xml"; both in lower case. */
static gboolean is_type_of(const char *type, const char *format) {
  const char *slash = strchr(type, '/');
  if (slash == NULL || !(g_str_has_prefix(type, "application/") || g_str_has_prefix(type, "text/")))
    return FALSE;
  const char *plus = strrchr(slash, '+');
  return strcmp(plus != NULL ? plus + 1 : slash + 1, format) == 0;
}

static guint rank_of(const char *range, const char *format) {
  if (is_type_of(range, format))
    return 2;
  return g_str_equal(range, "*/*") || g_str_equal(range, "application/*") ? 1 : 0;
}

static void take(Wish *wish, guint rank, double quality, guint place) {
  if (rank > wish->rank || (rank > 0 && rank == wish->rank && quality > wish->quality))
    *wish = (Wish){quality, rank, place};
}

static gboolean is_preferred(const Wish *one, const Wish *other) {
  if (one->quality < other->quality || one->quality > other->quality)
    return one->quality > other->quality;
  return one->rank != other->rank ? one->rank > other->rank : one->place < other->place;
}

gboolean dm_format_of_type(const char *content_type, DmFormat *format) {
  g_autofree char *type = g_ascii_strdown(content_type, (gssize)strcspn(content_type, ";"));
  g_strstrip(type);
  gboolean json = is_type_of(type, "json");
  if (!json && !is_type_of(type, "xml"))
    return FALSE;
  *format = json ? DM_FORMAT_JSON : DM_FORMAT_XML;
  return TRUE;
}

gboolean dm_format_negotiate(const char *accept, DmFormat *format) {
  Wish xml = {0}, json = {0};
  g_autofree char *lower = g_ascii_strdown(accept, -1);
  g_auto(GStrv) ranges = g_strsplit(lower, ",", -1);
  gboolean any = FALSE;
  for (guint i = 0; ranges[i] != NULL; i++) {
    g_auto(GStrv) parts = g_strsplit(ranges[i], ";", -1);
    const char *range = parts[0] != NULL ? g_strstrip(parts[0]) : "";
    if (*range == '\0')
      continue;
    any = TRUE;
    double quality = quality_of(parts + 1);
    take(&xml, rank_of(range, "xml"), quality, i);
    take(&json, rank_of(range, "json"), quality, i);
  }
  if (any && xml.quality <= 0 && json.quality <= 0)
    return FALSE;
  *format = is_preferred(&json, &xml) ? DM_FORMAT_JSON : DM_FORMAT_XML;
  return TRUE;
}
