/* SPDX-License-Identifier: Apache-2.0 */
/* The store's life cycle: opens and reads the file, starts and stops the thread of writer.c. */
#include "store/store.h"

#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "store_private.h"

static gint64 now_of_the_clock(void) {
  return g_get_real_time() / 1000;
}

/* An earlier process did not close it: it may have reported events that it could not write any more. */
static gboolean was_cut_off(const char *path) {
  g_autofree char *log = g_strconcat(path, "-wal", NULL);
  struct stat file;
  return stat(log, &file) == 0 && file.st_size > 0;
}

static gboolean load(DmStore *store, const char *path, GError **error) {
  gboolean cut_off = was_cut_off(path);
  gint64 last = 0;
  if (!database_open(&store->database, path, error) ||
    !database_number(&store->database, STATEMENT_LAST_EVENT, &last, error) || !store_load_tokens(store, error) ||
    !store_load_first_seen(store, error))
    return FALSE;
  /* No id is used twice, as clients remember the last one they have seen. */
  store->next_event = last + 1 + (cut_off ? STORE_MOST_UNWRITTEN : 0);
  return TRUE;
}

static void start_thread(DmStore *store) {
  sqlite3_busy_timeout(store->database.db, STORE_TRY_MS);
  store->thread = g_thread_new("store", store_work, store);
}

DmStore *dm_store_open(const char *path, GError **error) {
  DmStore *store = g_new0(DmStore, 1);
  pthread_condattr_t monotonic;
  store->now = now_of_the_clock;
  pthread_mutex_init(&store->lock, NULL);
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&store->wake, &monotonic);
  pthread_cond_init(&store->settled, &monotonic);
  pthread_condattr_destroy(&monotonic);
  g_queue_init(&store->events);
  g_queue_init(&store->requests);
  g_queue_init(&store->finished);
  g_queue_init(&store->waiters);
  store->first_seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  store->vm_changes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  store->tokens = tokens_new();
  store->token_changes = tokens_new();
  if (!load(store, path, error)) {
    dm_store_free(store);
    return NULL;
  }
  start_thread(store);
  return store;
}

static void end_thread(DmStore *store) {
  dm_store_flush(store, STORE_BUSY_MS);
  store_lock(store);
  store->closing = TRUE;
  store_wake(store);
  store_unlock(store);
  g_thread_join(store->thread);
  if (store->deliver_source != 0)
    g_source_remove(store->deliver_source);
}

void dm_store_free(DmStore *store) {
  if (store == NULL)
    return;
  if (store->thread != NULL)
    end_thread(store);
  database_close(&store->database);
  g_queue_clear_full(&store->events, unwritten_free);
  g_queue_clear_full(&store->requests, task_free);
  g_queue_clear_full(&store->finished, task_free);
  g_queue_clear_full(&store->waiters, waiter_free);
  g_hash_table_unref(store->first_seen);
  g_hash_table_unref(store->vm_changes);
  g_hash_table_unref(store->tokens);
  g_hash_table_unref(store->token_changes);
  g_clear_error(&store->trouble);
  pthread_cond_destroy(&store->wake);
  pthread_cond_destroy(&store->settled);
  pthread_mutex_destroy(&store->lock);
  g_free(store);
}
