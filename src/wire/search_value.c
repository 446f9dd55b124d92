/* SPDX-License-Identifier: Apache-2.0 */
/* Dates and time spans of oVirt's search language, and of ISO 8601. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "search_private.h"

/* Java's DateFormat in US English, as used by oVirt's engine, and ISO 8601; a time of day may follow. */
static const char *const dates[] = {"%Y-%m-%d", "%m/%d/%Y", "%b %d, %Y", "%A, %b %d, %Y", NULL};
static const char *const times[] = {"%I:%M:%S %p", "%I:%M %p", "%H:%M:%S", "%H:%M", NULL};

/* Monday is 1, as in GDateTime. */
static int weekday_of(const char *text) {
  static const char *const days[] = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};
  for (int i = 0; i < (int)G_N_ELEMENTS(days); i++) {
    if (g_ascii_strcasecmp(text, days[i]) == 0)
      return i + 1;
  }
  return 0;
}

static GDateTime *midnight(GDateTime *when, int days_before) {
  g_autoptr(GDateTime) day = g_date_time_add_days(when, -days_before);
  return g_date_time_new_local(
    g_date_time_get_year(day), g_date_time_get_month(day), g_date_time_get_day_of_month(day), 0, 0, 0);
}

/* today, yesterday, or a day's name: the last such day before today. */
static GDateTime *named_day(const char *text) {
  g_autoptr(GDateTime) now = g_date_time_new_now_local();
  int weekday = weekday_of(text);
  if (weekday != 0)
    return midnight(now, (g_date_time_get_day_of_week(now) - weekday + 6) % 7 + 1);
  if (g_ascii_strcasecmp(text, "today") == 0)
    return midnight(now, 0);
  return g_ascii_strcasecmp(text, "yesterday") == 0 ? midnight(now, 1) : NULL;
}

static GDateTime *written_date(const char *text) {
  for (const char *const *date = dates; *date != NULL; date++) {
    struct tm tm = {0};
    const char *rest = strptime(text, *date, &tm);
    if (rest == NULL)
      continue;
    if (tm.tm_year < 0 && g_str_equal(*date, "%m/%d/%Y")) /* 11/29/26 */
      tm.tm_year += tm.tm_year + 1900 < 70 ? 2000 : tm.tm_year + 1900 < 100 ? 1900 : 0;
    while (*rest == ' ' || *rest == ',' || (*rest == 'T' && g_ascii_isdigit(rest[1])))
      rest++;
    for (const char *const *of_day = times; *rest != '\0'; of_day++) {
      if (*of_day == NULL)
        return NULL;
      const char *end = strptime(rest, *of_day, &tm);
      if (end != NULL && *end == '\0')
        rest = end;
    }
    return g_date_time_new_local(
      tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, MIN(tm.tm_sec, 59));
  }
  return NULL;
}

/* 2026-11-29T20:06:23.5Z, with a zone. */
static GDateTime *written_moment(const char *text) {
  return strchr(text, 'T') != NULL ? g_date_time_new_from_iso8601(text, NULL) : NULL;
}

static gint64 milliseconds_of(GDateTime *when) {
  return g_date_time_to_unix(when) * 1000 + g_date_time_get_microsecond(when) / G_TIME_SPAN_MILLISECOND;
}

gboolean value_of_date(const char *text, gint64 *start, gint64 *end) {
  gint64 moment = 0;
  if (g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64 - 1, &moment, NULL)) {
    *start = moment;
    *end = moment + 1;
    return TRUE;
  }
  g_autoptr(GDateTime) when = named_day(text);
  if (when == NULL)
    when = written_date(text);
  if (when == NULL)
    when = written_moment(text);
  g_autoptr(GDateTime) next = when != NULL ? g_date_time_add_days(when, 1) : NULL;
  if (next == NULL)
    return FALSE;
  *start = milliseconds_of(when);
  *end = milliseconds_of(next);
  return TRUE;
}

gboolean value_of_span(const char *text, gint64 *milliseconds) {
  g_autoptr(GRegex) regex =
    g_regex_new("^(-?)(?:(\\d{1,6})|(?:(\\d{1,6})[.])?(\\d{1,2}):(\\d{2})(?::(\\d{2})(?:[.]\\d{1,3})?)?)$", 0, 0, NULL);
  g_autoptr(GMatchInfo) match = NULL;
  if (!g_regex_match(regex, text, 0, &match))
    return FALSE;
  gint64 parts[7] = {0};
  for (int i = 2; i < (int)G_N_ELEMENTS(parts); i++) {
    g_autofree char *part = g_match_info_fetch(match, i);
    parts[i] = part != NULL ? atoll(part) : 0;
  }
  g_autofree char *sign = g_match_info_fetch(match, 1);
  gint64 seconds = (((parts[2] + parts[3]) * 24 + parts[4]) * 60 + parts[5]) * 60 + parts[6];
  *milliseconds = seconds * 1000 * (*sign == '-' ? -1 : 1);
  return TRUE;
}
