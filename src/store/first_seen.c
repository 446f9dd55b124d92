/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon queries every VM at every read, so the table is read once and then cached. */
#include "base/error.h"
#include "store_private.h"

gboolean store_load_first_seen(DmStore *store, GError **error) {
  sqlite3_stmt *all = store->database.statements[STATEMENT_ALL_VMS];
  int step = sqlite3_step(all);
  for (; step == SQLITE_ROW; step = sqlite3_step(all)) {
    gint64 time = sqlite3_column_int64(all, 1);
    g_hash_table_insert(
      store->first_seen, g_strdup((const char *)sqlite3_column_text(all, 0)), g_memdup2(&time, sizeof time));
  }
  gboolean well = step == SQLITE_DONE || database_fail(&store->database, "read", error);
  database_reset(all);
  return well;
}

gint64 dm_store_first_seen(DmStore *store, const char *vm_id) {
  const gint64 *seen = g_hash_table_lookup(store->first_seen, vm_id);
  if (seen != NULL)
    return *seen;
  gint64 now = store->now();
  g_hash_table_insert(store->first_seen, g_strdup(vm_id), g_memdup2(&now, sizeof now));
  store_lock(store);
  g_hash_table_replace(store->vm_changes, g_strdup(vm_id), g_memdup2(&now, sizeof now));
  store_wake(store);
  store_unlock(store);
  return now;
}
