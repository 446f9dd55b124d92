/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "store_private.h"

/* Bytes. Longer ones are rare: a name sent at a login, an error of another program. */
#define MOST_TEXT 2000
#define MOST_NAME 255

void dm_audit_event_clear(DmAuditEvent *event) {
  g_free(event->text);
  g_free(event->vm_id);
  g_free(event->vm_name);
  g_free(event->host_id);
  g_free(event->host_name);
  g_free(event->user);
  g_free(event->correlation_id);
}

void dm_audit_event_free(DmAuditEvent *event) {
  if (event == NULL)
    return;
  dm_audit_event_clear(event);
  g_free(event);
}

const char *dm_severity_name(DmSeverity severity) {
  static const char *const names[] = {"normal", "warning", "error", "alert"};
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_SEVERITIES);
  return (guint)severity < G_N_ELEMENTS(names) ? names[severity] : names[DM_SEVERITY_NORMAL];
}

/* At most this many bytes, whole characters, with "…" if truncated. */
static char *cut(const char *text, gsize most) {
  static const char more[] = "\xe2\x80\xa6";
  gsize length = text != NULL ? strlen(text) : 0;
  if (length <= most)
    return g_strdup(text);
  const char *end = g_utf8_find_prev_char(text, text + most - strlen(more) + 1);
  return g_strdup_printf("%.*s%s", (int)(end != NULL ? end - text : 0), text, more);
}

DmAuditEvent dm_audit_event_copy(const DmAuditEvent *from) {
  return (DmAuditEvent){
    .id = from->id,
    .code = from->code,
    .severity = from->severity,
    .time = from->time,
    .once_since = from->once_since,
    .once_bytes = from->once_bytes,
    .text = cut(from->text, MOST_TEXT),
    .vm_id = cut(from->vm_id, MOST_NAME),
    .vm_name = cut(from->vm_name, MOST_NAME),
    .host_id = cut(from->host_id, MOST_NAME),
    .host_name = cut(from->host_name, MOST_NAME),
    .user = cut(from->user, MOST_NAME),
    .correlation_id = cut(from->correlation_id, MOST_NAME),
  };
}

static gsize size_of(const DmAuditEvent *event) {
  const char *const texts[] = {
    event->text, event->vm_id, event->vm_name, event->host_id, event->host_name, event->user, event->correlation_id};
  gsize size = sizeof(Unwritten);
  for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
    size += texts[i] != NULL ? strlen(texts[i]) + 1 : 0;
  return size;
}

void unwritten_free(gpointer data) {
  Unwritten *unwritten = data;
  dm_audit_event_clear(&unwritten->event);
  g_free(unwritten);
}

void unwritten_seal(Unwritten *unwritten) {
  unwritten->sealed = TRUE;
  if (unwritten->merged == 0)
    return;
  g_free(unwritten->event.text);
  unwritten->event.text =
    g_strdup_printf("%u more events were not stored, as the database could not be written to; the log has each of them",
      unwritten->merged);
}

/* Locked. */
static gint64 append(DmStore *store, Unwritten *unwritten) {
  unwritten->event.id = store->next_event++;
  unwritten->size = size_of(&unwritten->event);
  store->event_bytes += unwritten->size;
  g_queue_push_tail(&store->events, unwritten);
  return unwritten->event.id;
}

/* Locked. The queue is full: counts the event in the last one, which is created for that. */
static void merge(DmStore *store, const DmAuditEvent *event) {
  Unwritten *last = g_queue_peek_tail(&store->events);
  if (last == NULL || last->merged == 0 || last->sealed) {
    last = g_new0(Unwritten, 1);
    last->event.code = DM_STORE_EVENTS_LOST;
    append(store, last);
  }
  last->merged++;
  last->event.time = event->time;
  last->event.severity = MAX(MAX(last->event.severity, event->severity), DM_SEVERITY_WARNING);
}

void dm_store_add_event(DmStore *store, DmAuditEvent *event) {
  if (event->time == 0)
    event->time = store->now();
  event->id = 0;
  store_lock(store);
  if (store->events.length >= STORE_MOST_UNWRITTEN || store->event_bytes >= STORE_MOST_UNWRITTEN_BYTES) {
    merge(store, event);
  } else {
    Unwritten *unwritten = g_new0(Unwritten, 1);
    unwritten->event = dm_audit_event_copy(event);
    event->id = append(store, unwritten);
  }
  store_wake(store);
  store_unlock(store);
}
