/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the two formats a client would have: its Accept header (RFC 9110, 12.5.1). */
#include <string.h>

#include "wire/node.h"

typedef struct {
  double quality; /* 0: not taken, or not spoken of */
  guint rank;     /* 0: not spoken of; 1: by a wildcard, 2: by name, which goes before it */
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

/* text/xml and application/vnd.x+xml are XML too. */
static guint rank_of(const char *range, const char *format) {
  if (strstr(range, format) != NULL)
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
