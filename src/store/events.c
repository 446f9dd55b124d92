/* SPDX-License-Identifier: Apache-2.0 */
#include "store_private.h"

void dm_audit_event_free(DmAuditEvent *event) {
  if (event == NULL)
    return;
  g_free(event->text);
  g_free(event->vm_id);
  g_free(event->vm_name);
  g_free(event->host_id);
  g_free(event->host_name);
  g_free(event->user);
  g_free(event->correlation_id);
  g_free(event);
}

const char *dm_severity_name(DmSeverity severity) {
  static const char *const names[] = {"normal", "warning", "error", "alert"};
  return (guint)severity < G_N_ELEMENTS(names) ? names[severity] : names[DM_SEVERITY_NORMAL];
}

/* SQLITE_STATIC: the event outlives the step. NULL is bound as NULL. */
static void bind_text(sqlite3_stmt *statement, int at, const char *text) {
  sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

gboolean dm_store_add_event(DmStore *store, DmAuditEvent *event, GError **error) {
  sqlite3_stmt *add = store->statements[STATEMENT_ADD_EVENT];
  gint64 time = event->time != 0 ? event->time : store->now();
  sqlite3_bind_int(add, 1, event->code);
  sqlite3_bind_int(add, 2, (int)event->severity);
  sqlite3_bind_int64(add, 3, time);
  bind_text(add, 4, event->text);
  bind_text(add, 5, event->vm_id);
  bind_text(add, 6, event->vm_name);
  bind_text(add, 7, event->host_id);
  bind_text(add, 8, event->host_name);
  bind_text(add, 9, event->user);
  bind_text(add, 10, event->correlation_id);
  if (!store_run(store, add, error))
    return FALSE;
  event->id = sqlite3_last_insert_rowid(store->db);
  event->time = time;
  return TRUE;
}

/* The row as an event whose texts are the statement's, valid until its next step. */
static DmAuditEvent event_of_row(sqlite3_stmt *row) {
  return (DmAuditEvent){
    .id = sqlite3_column_int64(row, 0),
    .code = sqlite3_column_int(row, 1),
    .severity = (DmSeverity)sqlite3_column_int(row, 2),
    .time = sqlite3_column_int64(row, 3),
    .text = (char *)sqlite3_column_text(row, 4),
    .vm_id = (char *)sqlite3_column_text(row, 5),
    .vm_name = (char *)sqlite3_column_text(row, 6),
    .host_id = (char *)sqlite3_column_text(row, 7),
    .host_name = (char *)sqlite3_column_text(row, 8),
    .user = (char *)sqlite3_column_text(row, 9),
    .correlation_id = (char *)sqlite3_column_text(row, 10),
  };
}

gboolean dm_store_each_event(DmStore *store, gint64 from, gboolean oldest_first,
  gboolean (*each)(const DmAuditEvent *event, gpointer data), gpointer data, GError **error) {
  StoreStatement which = oldest_first ? STATEMENT_EVENTS_OLDEST_FIRST : STATEMENT_EVENTS_NEWEST_FIRST;
  /* Taken out while it runs, so that @each may look at the events itself. */
  sqlite3_stmt *events = g_steal_pointer(&store->statements[which]);
  if (events == NULL)
    events = store_prepare_one(store, which, error);
  if (events == NULL)
    return FALSE;
  sqlite3_bind_int64(events, 1, from);
  int step = sqlite3_step(events);
  while (step == SQLITE_ROW) {
    DmAuditEvent event = event_of_row(events);
    if (!each(&event, data))
      break;
    step = sqlite3_step(events);
  }
  gboolean well = step == SQLITE_ROW || step == SQLITE_DONE || store_fail(store, "read", error);
  store_reset(events);
  /* One that @each put back in the meantime makes room for ours. */
  sqlite3_finalize(store->statements[which]);
  store->statements[which] = events;
  return well;
}

DmAuditEvent *dm_store_find_event(DmStore *store, gint64 id, GError **error) {
  sqlite3_stmt *find = store->statements[STATEMENT_FIND_EVENT];
  sqlite3_bind_int64(find, 1, id);
  int step = sqlite3_step(find);
  g_autoptr(DmAuditEvent) found = NULL;
  if (step == SQLITE_ROW) {
    const DmAuditEvent row = event_of_row(find);
    found = g_new0(DmAuditEvent, 1);
    *found = row;
    found->text = g_strdup(row.text);
    found->vm_id = g_strdup(row.vm_id);
    found->vm_name = g_strdup(row.vm_name);
    found->host_id = g_strdup(row.host_id);
    found->host_name = g_strdup(row.host_name);
    found->user = g_strdup(row.user);
    found->correlation_id = g_strdup(row.correlation_id);
  } else if (step != SQLITE_DONE) {
    store_fail(store, "read", error);
  }
  store_reset(find);
  return g_steal_pointer(&found);
}
