/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon asks for every VM at every look, so the table is read once and then kept; VMs that are new are written
 * together.
 */
#include "store_private.h"

#define MOST_UNWRITTEN 1000

/* FALSE, and nothing kept, where the table cannot be read: the next call tries again. */
static gboolean load(DmStore *store) {
  sqlite3_stmt *all = store->statements[STATEMENT_ALL_VMS];
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  int step = sqlite3_step(all);
  for (; step == SQLITE_ROW; step = sqlite3_step(all)) {
    gint64 time = sqlite3_column_int64(all, 1);
    g_hash_table_insert(seen, g_strdup((const char *)sqlite3_column_text(all, 0)), g_memdup2(&time, sizeof time));
  }
  store_reset(all);
  if (step != SQLITE_DONE)
    return FALSE;
  store->first_seen = g_steal_pointer(&seen);
  return TRUE;
}

gint64 dm_store_first_seen(DmStore *store, const char *vm_id) {
  gint64 now = store->now();
  if (store->first_seen == NULL && !load(store))
    return now;
  const gint64 *seen = g_hash_table_lookup(store->first_seen, vm_id);
  if (seen != NULL)
    return *seen;
  char *key = g_strdup(vm_id);
  g_hash_table_insert(store->first_seen, key, g_memdup2(&now, sizeof now));
  g_ptr_array_add(store->unwritten, key);
  /* Each thousandth only: where writing fails, not every call shall try, and perhaps wait, again. */
  if (store->unwritten->len % MOST_UNWRITTEN == 0)
    dm_store_flush(store, NULL);
  return now;
}

gboolean dm_store_flush(DmStore *store, GError **error) {
  sqlite3_stmt *add = store->statements[STATEMENT_ADD_VM];
  if (store->unwritten->len == 0)
    return TRUE;
  if (!store_begin(store, error))
    return FALSE;
  gboolean well = TRUE;
  for (guint i = 0; well && i < store->unwritten->len; i++) {
    const char *vm_id = store->unwritten->pdata[i];
    const gint64 *seen = g_hash_table_lookup(store->first_seen, vm_id);
    sqlite3_bind_text(add, 1, vm_id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(add, 2, *seen);
    well = store_run(store, add, error);
  }
  if (!store_end(store, well, error))
    return FALSE;
  g_ptr_array_set_size(store->unwritten, 0);
  return TRUE;
}
