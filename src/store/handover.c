/* SPDX-License-Identifier: Apache-2.0 */
/* Exchange between the main loop and the thread of writer.c. */
#include "store_private.h"

void store_lock(DmStore *store) {
  pthread_mutex_lock(&store->lock);
}

void store_unlock(DmStore *store) {
  pthread_mutex_unlock(&store->lock);
}

void store_wake(DmStore *store) {
  pthread_cond_signal(&store->wake);
}

/* ---- pending writes ---- */

static gboolean is_written(const DmStore *store) {
  return !store->writing && store->events.length == 0 && store->prune_before == 0 &&
    g_hash_table_size(store->token_changes) == 0 && g_hash_table_size(store->vm_changes) == 0;
}

gboolean dm_store_flush(DmStore *store, guint milliseconds) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += milliseconds / 1000;
  until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  int waited = 0;
  store_lock(store);
  store->hurry = TRUE;
  store_wake(store);
  while (!is_written(store) && waited == 0)
    waited = pthread_cond_timedwait(&store->settled, &store->lock, &until);
  gboolean written = is_written(store);
  store_unlock(store);
  return written;
}

/* ---- waiters for writes ---- */

void waiter_free(gpointer data) {
  Waiter *waiter = data;
  g_clear_handle_id(&waiter->timer, g_source_remove);
  g_free(waiter);
}

/* Locked. */
static gboolean is_written_before(const DmStore *store, gint64 before) {
  const Unwritten *oldest = g_queue_peek_head((GQueue *)&store->events);
  return oldest == NULL || oldest->event.id >= before;
}

static gboolean on_waited(gpointer data) {
  Waiter *waiter = data;
  DmStore *store = waiter->store;
  DmStoreWrittenFunc func = waiter->func;
  gpointer func_data = waiter->data;
  waiter->timer = 0;
  store_lock(store);
  g_queue_remove(&store->waiters, waiter);
  store_unlock(store);
  waiter_free(waiter);
  func(func_data);
  return G_SOURCE_REMOVE;
}

void dm_store_when_written(DmStore *store, guint milliseconds, DmStoreWrittenFunc func, gpointer data) {
  store_lock(store);
  gboolean waits = store->trouble == NULL && !is_written_before(store, store->next_event);
  if (waits) {
    Waiter *waiter = g_new0(Waiter, 1);
    *waiter = (Waiter){.store = store, .before = store->next_event, .func = func, .data = data};
    waiter->timer = g_timeout_add(milliseconds, on_waited, waiter);
    g_queue_push_tail(&store->waiters, waiter);
    store->hurry = TRUE;
    store_wake(store);
  }
  store_unlock(store);
  if (!waits)
    func(data);
}

/* A waiter that is called may wait again. */
static void tell_waiters(DmStore *store) {
  for (;;) {
    store_lock(store);
    Waiter *first = g_queue_peek_head(&store->waiters);
    gboolean due = first != NULL && (store->trouble != NULL || is_written_before(store, first->before));
    store_unlock(store);
    if (!due)
      return;
    g_source_remove(first->timer);
    on_waited(first);
  }
}

void dm_store_watch(DmStore *store, DmStoreTroubleFunc func, gpointer data) {
  store->trouble_func = func;
  store->trouble_data = data;
}

void dm_store_prune(DmStore *store, gint64 before) {
  GHashTableIter iter;
  gpointer token;
  gint64 now = store->now();
  g_hash_table_iter_init(&iter, store->tokens);
  while (g_hash_table_iter_next(&iter, NULL, &token)) {
    if (((Token *)token)->expires <= now)
      g_hash_table_iter_remove(&iter);
  }
  store_lock(store);
  store->prune_before = MAX(before, 1);
  store->prune_now = now;
  store_wake(store);
  store_unlock(store);
}

/* ---- queries ---- */

void task_free(gpointer data) {
  DmStoreTask *task = data;
  if (task->query.destroy != NULL)
    task->query.destroy(task->query.data);
  g_clear_pointer(&task->events, g_ptr_array_unref);
  g_clear_error(&task->error);
  g_free(task);
}

static DmStoreTask *ask(DmStore *store, DmStoreTask *task) {
  store_lock(store);
  g_queue_push_tail(&store->requests, task);
  store_wake(store);
  store_unlock(store);
  return task;
}

DmStoreTask *dm_store_read_events(DmStore *store, const DmEventQuery *query, DmEventsFunc done, gpointer data) {
  DmStoreTask *task = g_new0(DmStoreTask, 1);
  task->query = *query;
  task->read = done;
  task->data = data;
  return ask(store, task);
}

DmStoreTask *dm_store_check(DmStore *store, DmStoreCheckFunc done, gpointer data) {
  DmStoreTask *task = g_new0(DmStoreTask, 1);
  task->is_check = TRUE;
  task->checked = done;
  task->data = data;
  return ask(store, task);
}

void dm_store_cancel(DmStoreTask *task) {
  task->cancelled = TRUE;
}

/* ---- results ---- */

static void tell_task(const DmStoreTask *task) {
  if (task->cancelled)
    return;
  if (task->is_check)
    task->checked(task->error, task->data);
  else
    task->read(task->error == NULL ? task->events : NULL, task->error, task->data);
}

static void tell_trouble(DmStore *store, const GError *trouble) {
  if ((trouble != NULL) == store->reported_trouble)
    return;
  store->reported_trouble = trouble != NULL;
  if (store->trouble_func != NULL)
    store->trouble_func(trouble, store->trouble_data);
}

gboolean store_deliver(gpointer data) {
  DmStore *store = data;
  store_lock(store);
  store->deliver_source = 0;
  GQueue finished = store->finished;
  g_queue_init(&store->finished);
  g_autoptr(GError) trouble = store->trouble != NULL ? g_error_copy(store->trouble) : NULL;
  store_unlock(store);
  tell_trouble(store, trouble);
  for (DmStoreTask *task; (task = g_queue_pop_head(&finished)) != NULL; task_free(task))
    tell_task(task);
  tell_waiters(store);
  return G_SOURCE_REMOVE;
}
