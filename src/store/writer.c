/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's thread
 * ==================
 *
 * It takes all that the main loop has queued, and writes it in one transaction. If that fails (another process locks
 * the file, the disk is full), all of it is queued again and retried a little later; meanwhile queries are answered,
 * including the queued events. Nothing is dropped.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "store_private.h"

#define BATCH 1000
#define LONGEST_PAUSE_MS 1000
#define BOUND_EACH 1000 /* events between two checks of the table's size */

typedef struct {
  GPtrArray *events; /* Unwritten: the oldest of the queue, which still has them */
  GHashTable *tokens, *vms;
  gint64 prune_before, prune_now;
} Batch;

/* Of this thread alone. */
typedef struct {
  DmStore *store;
  gint64 retry;        /* monotonic: not before; 0: at once */
  gint64 failing;      /* failing since; 0: it does not fail */
  guint pause;         /* milliseconds */
  guint64 since_bound; /* events */
} Writer;

/* ---- writing ---- */

static void bind_text(sqlite3_stmt *statement, int at, const char *text) {
  /* SQLITE_STATIC: the text outlives the step. NULL is bound as NULL. */
  sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

static int add_event(Database *database, const DmAuditEvent *event, gint64 id) {
  sqlite3_stmt *add = database->statements[STATEMENT_ADD_EVENT];
  if (id != 0)
    sqlite3_bind_int64(add, 1, id);
  sqlite3_bind_int(add, 2, event->code);
  sqlite3_bind_int(add, 3, (int)event->severity);
  sqlite3_bind_int64(add, 4, event->time);
  bind_text(add, 5, event->text);
  bind_text(add, 6, event->vm_id);
  bind_text(add, 7, event->vm_name);
  bind_text(add, 8, event->host_id);
  bind_text(add, 9, event->host_name);
  bind_text(add, 10, event->user);
  bind_text(add, 11, event->correlation_id);
  return sqlite3_step(add);
}

/* Whether an earlier process has reported it, and was killed before accounting for its VM. */
static gboolean was_written(Database *database, const DmAuditEvent *event) {
  sqlite3_stmt *same = database->statements[STATEMENT_SAME_EVENT];
  gint64 found = 0;
  if (event->once_since == 0)
    return FALSE;
  sqlite3_bind_int64(same, 1, event->once_since);
  sqlite3_bind_int(same, 2, event->code);
  bind_text(same, 3, event->vm_id);
  gboolean begins = event->once_bytes != 0 && event->text != NULL && event->once_bytes <= strlen(event->text);
  sqlite3_bind_text(same, 4, event->text, begins ? (int)event->once_bytes : -1, SQLITE_STATIC);
  sqlite3_bind_int(same, 5, begins);
  bind_text(same, 6, event->correlation_id);
  return database_number(database, STATEMENT_SAME_EVENT, &found, NULL) && found != 0;
}

static gboolean write_events(Database *database, const GPtrArray *events, GError **error) {
  sqlite3_stmt *add = database->statements[STATEMENT_ADD_EVENT];
  for (guint i = 0; i < events->len; i++) {
    const Unwritten *unwritten = events->pdata[i];
    if (was_written(database, &unwritten->event))
      continue;
    int step = add_event(database, &unwritten->event, unwritten->event.id);
    if ((step & 0xff) == SQLITE_CONSTRAINT) { /* another process has used that id: use any */
      database_reset(add);
      step = add_event(database, &unwritten->event, 0);
    }
    gboolean well = step == SQLITE_DONE || database_fail(database, "write", error);
    database_reset(add);
    if (!well)
      return FALSE;
  }
  return TRUE;
}

static gboolean write_tokens(Database *database, GHashTable *tokens, GError **error) {
  GHashTableIter iter;
  gpointer hash, value;
  gboolean well = TRUE;
  g_hash_table_iter_init(&iter, tokens);
  while (well && g_hash_table_iter_next(&iter, &hash, &value)) {
    const Token *token = value;
    sqlite3_stmt *write = database->statements[token->user != NULL ? STATEMENT_PUT_TOKEN : STATEMENT_REMOVE_TOKEN];
    sqlite3_bind_blob(write, 1, hash, TOKEN_HASH_BYTES, SQLITE_STATIC);
    if (token->user != NULL) {
      bind_text(write, 2, token->user);
      sqlite3_bind_int64(write, 3, token->idle);
      sqlite3_bind_int64(write, 4, token->expires);
      sqlite3_bind_int64(write, 5, token->ends);
      bind_text(write, 6, token->binding);
    }
    well = database_run(database, write, error);
  }
  return well;
}

static gboolean write_vms(Database *database, GHashTable *vms, GError **error) {
  sqlite3_stmt *add = database->statements[STATEMENT_ADD_VM];
  GHashTableIter iter;
  gpointer id, time;
  gboolean well = TRUE;
  g_hash_table_iter_init(&iter, vms);
  while (well && g_hash_table_iter_next(&iter, &id, &time)) {
    bind_text(add, 1, id);
    sqlite3_bind_int64(add, 2, *(gint64 *)time);
    well = database_run(database, add, error);
  }
  return well;
}

static gboolean prune(Database *database, const Batch *batch, GError **error) {
  sqlite3_stmt *events = database->statements[STATEMENT_PRUNE_EVENTS];
  sqlite3_stmt *tokens = database->statements[STATEMENT_PRUNE_TOKENS];
  sqlite3_bind_int64(events, 1, batch->prune_before);
  sqlite3_bind_int64(tokens, 1, batch->prune_now);
  return database_run(database, events, error) && database_run(database, tokens, error);
}

static gboolean read_pragma(Database *database, const char *sql, gint64 *number) {
  sqlite3_stmt *statement = NULL;
  gboolean well =
    sqlite3_prepare_v2(database->db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
  if (well)
    *number = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return well;
}

static gboolean is_too_large(Database *database) {
  gint64 pages = 0, spare = 0, size = 0;
  return read_pragma(database, "PRAGMA page_count", &pages) && read_pragma(database, "PRAGMA freelist_count", &spare) &&
    read_pragma(database, "PRAGMA page_size", &size) && (pages - spare) * size > STORE_MOST_BYTES;
}

/* Removes the oldest events, a tenth at a time if over the limit of bytes. */
static gboolean bound(Database *database, GError **error) {
  sqlite3_stmt *cut = database->statements[STATEMENT_CUT_EVENTS];
  gint64 count = 0;
  if (!database_number(database, STATEMENT_COUNT_EVENTS, &count, error))
    return FALSE;
  for (gint64 keep = STORE_MOST_EVENTS; count > keep || (count > 0 && is_too_large(database)); count = keep) {
    keep = MIN(keep, count > keep ? keep : count * 9 / 10);
    sqlite3_bind_int64(cut, 1, keep);
    if (!database_run(database, cut, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean write_batch(Writer *writer, const Batch *batch, GError **error) {
  Database *database = &writer->store->database;
  if (!database_begin(database, error))
    return FALSE;
  gboolean well = write_events(database, batch->events, error) && write_tokens(database, batch->tokens, error) &&
    write_vms(database, batch->vms, error) && (batch->prune_before == 0 || prune(database, batch, error));
  gboolean due = batch->prune_before != 0 || writer->since_bound >= BOUND_EACH;
  if (!database_end(database, well && (!due || bound(database, error)), error))
    return FALSE;
  writer->since_bound = due ? 0 : writer->since_bound + batch->events->len;
  return TRUE;
}

/* ---- dequeue and requeue ---- */

/* Locked. */
static gboolean has_work(const DmStore *store) {
  return store->events.length > 0 || store->prune_before != 0 || g_hash_table_size(store->token_changes) > 0 ||
    g_hash_table_size(store->vm_changes) > 0;
}

/* Locked. */
static void take_batch(DmStore *store, Batch *batch) {
  batch->events = g_ptr_array_new();
  for (GList *link = store->events.head; link != NULL && batch->events->len < BATCH; link = link->next) {
    unwritten_seal(link->data);
    g_ptr_array_add(batch->events, link->data);
  }
  batch->tokens = g_steal_pointer(&store->token_changes);
  store->token_changes = tokens_new();
  batch->vms = g_steal_pointer(&store->vm_changes);
  store->vm_changes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  batch->prune_before = store->prune_before;
  batch->prune_now = store->prune_now;
  store->prune_before = 0;
  store->writing = TRUE;
  store->hurry = FALSE;
}

/* Newer changes of the same take precedence. */
static void put_back(GHashTable *changes, GHashTable *taken) {
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init(&iter, taken);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    if (g_hash_table_contains(changes, key))
      continue;
    g_hash_table_iter_steal(&iter);
    g_hash_table_insert(changes, key, value);
  }
}

/* Locked. */
static void end_batch(DmStore *store, Batch *batch, gboolean written) {
  for (guint i = 0; i < batch->events->len; i++) {
    Unwritten *unwritten = batch->events->pdata[i];
    unwritten->sealed = FALSE;
    if (!written)
      continue;
    g_queue_pop_head(&store->events);
    store->event_bytes -= unwritten->size;
    unwritten_free(unwritten);
  }
  if (!written) {
    put_back(store->token_changes, batch->tokens);
    put_back(store->vm_changes, batch->vms);
    if (store->prune_before == 0) {
      store->prune_before = batch->prune_before;
      store->prune_now = batch->prune_now;
    }
  }
  store->writing = FALSE;
  g_ptr_array_unref(batch->events);
  g_hash_table_unref(batch->tokens);
  g_hash_table_unref(batch->vms);
}

/* Locked. */
static void deliver(DmStore *store) {
  if (store->deliver_source == 0)
    store->deliver_source = g_idle_add_full(G_PRIORITY_DEFAULT, store_deliver, store, NULL);
}

/* Locked. Another process's short lock is no error yet. */
static void note_trouble(Writer *writer, GError *error) {
  DmStore *store = writer->store;
  gint64 now = g_get_monotonic_time();
  if (error == NULL) {
    writer->failing = writer->retry = writer->pause = 0;
  } else {
    if (writer->failing == 0)
      writer->failing = now;
    writer->pause = MIN(MAX(writer->pause * 2, STORE_TRY_MS), LONGEST_PAUSE_MS);
    writer->retry = now + writer->pause * G_TIME_SPAN_MILLISECOND;
  }
  gboolean waits = error != NULL && store->database.failed == SQLITE_BUSY &&
    now - writer->failing < STORE_BUSY_MS * G_TIME_SPAN_MILLISECOND;
  if (waits || (error != NULL) == (store->trouble != NULL)) {
    g_clear_error(&error);
    return;
  }
  g_clear_error(&store->trouble);
  store->trouble = error;
  deliver(store);
}

/* Locked, except while it writes. */
static void write_some(Writer *writer) {
  DmStore *store = writer->store;
  Batch batch;
  GError *error = NULL;
  take_batch(store, &batch);
  store_unlock(store);
  gboolean written = write_batch(writer, &batch, &error);
  store_lock(store);
  end_batch(store, &batch, written);
  note_trouble(writer, error);
  if (store->waiters.length > 0)
    deliver(store);
  pthread_cond_broadcast(&store->settled);
}

/* ---- reading ---- */

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

static void free_event(gpointer event) {
  dm_audit_event_free(event);
}

/* FALSE: enough. */
static gboolean take_event(DmStoreTask *task, const DmAuditEvent *event) {
  DmEventQuery *query = &task->query;
  if (event->id <= query->from || (query->match != NULL && !query->match(event, query->data)))
    return TRUE;
  if (query->skip > 0) {
    query->skip--;
    return TRUE;
  }
  if (task->events->len >= query->most)
    return FALSE;
  DmAuditEvent *copy = g_new(DmAuditEvent, 1);
  *copy = dm_audit_event_copy(event);
  g_ptr_array_add(task->events, copy);
  return task->events->len < query->most;
}

static gboolean read_rows(Database *database, DmStoreTask *task) {
  sqlite3_stmt *rows =
    database->statements[task->query.oldest_first ? STATEMENT_EVENTS_OLDEST_FIRST : STATEMENT_EVENTS_NEWEST_FIRST];
  sqlite3_bind_int64(rows, 1, task->query.from);
  gboolean more = TRUE;
  int step = sqlite3_step(rows);
  for (; step == SQLITE_ROW && more; step = more ? sqlite3_step(rows) : step) {
    DmAuditEvent event = event_of_row(rows);
    more = take_event(task, &event);
  }
  gboolean well = step == SQLITE_ROW || step == SQLITE_DONE || database_fail(database, "read", &task->error);
  database_reset(rows);
  return well && more;
}

/* Unwritten ones are newer than all written ones. */
static gboolean read_unwritten(DmStoreTask *task, const GPtrArray *unwritten) {
  gboolean more = TRUE;
  for (guint i = 0; i < unwritten->len && more; i++)
    more = take_event(task, unwritten->pdata[task->query.oldest_first ? i : unwritten->len - 1 - i]);
  return more;
}

static void read_events(DmStore *store, DmStoreTask *task) {
  g_autoptr(GPtrArray) unwritten = g_ptr_array_new();
  store_lock(store);
  for (GList *link = store->events.head; link != NULL; link = link->next) {
    if (((Unwritten *)link->data)->merged == 0)
      g_ptr_array_add(unwritten, link->data);
  }
  store_unlock(store);
  task->events = g_ptr_array_new_with_free_func(free_event);
  if (task->query.oldest_first ? read_rows(&store->database, task) : read_unwritten(task, unwritten)) {
    if (task->query.oldest_first)
      read_unwritten(task, unwritten);
    else
      read_rows(&store->database, task);
  }
}

static void answer(DmStore *store, DmStoreTask *task) {
  if (!task->is_check)
    read_events(store, task);
  else if (!database_check(&store->database, &task->error))
    g_assert(task->error != NULL);
}

/* ---- the thread ---- */

static void wait_until(DmStore *store, gint64 monotonic) {
  struct timespec until = {.tv_sec = monotonic / G_USEC_PER_SEC, .tv_nsec = monotonic % G_USEC_PER_SEC * 1000};
  if (monotonic == 0)
    pthread_cond_wait(&store->wake, &store->lock);
  else
    pthread_cond_timedwait(&store->wake, &store->lock, &until);
}

gpointer store_work(gpointer data) {
  DmStore *store = data;
  Writer writer = {.store = store};
  store_lock(store);
  while (!store->closing) {
    DmStoreTask *task = g_queue_pop_head(&store->requests);
    gboolean due = has_work(store) && (writer.retry == 0 || store->hurry || g_get_monotonic_time() >= writer.retry);
    if (due) /* first, so that later queries find it */
      write_some(&writer);
    if (task != NULL) {
      store_unlock(store);
      answer(store, task);
      store_lock(store);
      g_queue_push_tail(&store->finished, task);
      deliver(store);
    } else if (!due) {
      wait_until(store, has_work(store) ? writer.retry : 0);
    }
  }
  store_unlock(store);
  return NULL;
}
