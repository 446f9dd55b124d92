/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limit for events that a client can cause at will: failed logins above all. Within an hour, the first of a kind,
 * source and name are stored singly, as are the first of a source, and of a kind. Further ones are counted at the
 * exceeded level, and one event per count reports them when the hour is over, or the daemon exits. So an attacker
 * causes some hundred events an hour, with any number of names and addresses.
 */
#include "watchers.h"

#define HOUR_SECONDS 3600
#define MOST_OF_SOURCE 30
#define MOST_OF_KIND 100

struct Repeats {
  void (*tell)(DmApi *api, DmAuditEvent *event);
  DmApi *api;
  GHashTable *counts; /* key → Count */
  guint timer;        /* end of the hour; 0: no counts */
  gint64 begun;       /* monotonic */
};

typedef struct {
  guint seen;
  guint more;        /* of them: not stored singly */
  DmAuditEvent last; /* of those */
  char *others;      /* what they have in common, in words; NULL: all of the event */
} Count;

static void free_count(gpointer data) {
  Count *count = data;
  dm_audit_event_clear(&count->last);
  g_free(count->others);
  g_free(count);
}

static Count *count_of(Repeats *repeats, const char *key) {
  Count *count = g_hash_table_lookup(repeats->counts, key);
  if (count == NULL) {
    count = g_new0(Count, 1);
    g_hash_table_insert(repeats->counts, g_strdup(key), count);
  }
  return count;
}

static void tell_count(Repeats *repeats, Count *count) {
  guint minutes = (guint)((g_get_monotonic_time() - repeats->begun) / G_TIME_SPAN_MINUTE) + 1;
  g_autofree char *text = g_strdup_printf("%s (%u more times%s%s within %u minute%s)", count->last.text, count->more,
    count->others != NULL ? ", " : "", count->others != NULL ? count->others : "", minutes, minutes == 1 ? "" : "s");
  g_free(count->last.text);
  count->last.text = g_steal_pointer(&text);
  count->last.time = 0;
  repeats->tell(repeats->api, &count->last);
}

void repeats_tell(Repeats *repeats) {
  GHashTableIter iter;
  gpointer count;
  g_hash_table_iter_init(&iter, repeats->counts);
  while (g_hash_table_iter_next(&iter, NULL, &count)) {
    if (((Count *)count)->more > 0)
      tell_count(repeats, count);
    ((Count *)count)->more = 0;
  }
}

static gboolean on_hour(gpointer data) {
  Repeats *repeats = data;
  repeats->timer = 0;
  repeats_tell(repeats);
  g_hash_table_remove_all(repeats->counts);
  return G_SOURCE_REMOVE;
}

/* Whether one more is allowed. Else it is counted, with @others for what such events have in common. */
static gboolean has_room(Repeats *repeats, const char *key, guint most, const DmAuditEvent *event, const char *others) {
  Count *count = count_of(repeats, key);
  if (++count->seen <= most)
    return TRUE;
  count->more++;
  dm_audit_event_clear(&count->last);
  count->last = dm_audit_event_copy(event);
  if (count->others == NULL)
    count->others = g_strdup(others);
  return FALSE;
}

/* The widest first: if the limit of its kind is reached, neither its source nor its name is stored. */
gboolean repeats_admit(Repeats *repeats, const DmAuditEvent *event, const char *source, const char *name, guint most) {
  if (repeats->timer == 0) {
    repeats->timer = g_timeout_add_seconds(HOUR_SECONDS, on_hour, repeats);
    repeats->begun = g_get_monotonic_time();
  }
  g_autofree char *kind = g_strdup_printf("%d", event->code), *of_source = g_strdup_printf("%s\n%s", kind, source);
  g_autofree char *of_name = g_strdup_printf("%s\n%s", of_source, name != NULL ? name : "");
  /* An existing one does not count against the others' limit. */
  gboolean known = g_hash_table_contains(repeats->counts, of_name);
  if (name != NULL && !known &&
    (!has_room(repeats, kind, MOST_OF_KIND, event, "with any names from any addresses") ||
      !has_room(repeats, of_source, MOST_OF_SOURCE, event, "with any names from there")))
    return FALSE;
  return has_room(repeats, of_name, most, event, NULL);
}

Repeats *repeats_new(void (*tell)(DmApi *api, DmAuditEvent *event), DmApi *api) {
  Repeats *repeats = g_new0(Repeats, 1);
  repeats->tell = tell;
  repeats->api = api;
  repeats->counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_count);
  return repeats;
}

void repeats_free(Repeats *repeats) {
  if (repeats == NULL)
    return;
  g_clear_handle_id(&repeats->timer, g_source_remove);
  repeats_tell(repeats);
  g_hash_table_unref(repeats->counts);
  g_free(repeats);
}
