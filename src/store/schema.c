/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables, their history, and all SQL that runs on them.
 *
 * PRAGMA user_version counts the steps of `history` that a file has had. All that are missing run in one transaction
 * with the new number, so a crash leaves the file as it was. Steps are added, never edited.
 */
#include "store_private.h"

#include "base/error.h"

/* "dimr": tells our file from any other SQLite database, which we would otherwise add our tables to. */
#define APPLICATION_ID 1684630898
#define AS_TEXT(number) AS_TEXT_(number)
#define AS_TEXT_(number) #number

static const char *const history[] = {
  /* AUTOINCREMENT, because without it SQLite gives the ids of removed rows away again. */
  "CREATE TABLE event ("
  "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
  "  code INTEGER NOT NULL,"
  "  severity INTEGER NOT NULL,"
  "  time INTEGER NOT NULL,"
  "  text TEXT, vm_id TEXT, vm_name TEXT, host_id TEXT, host_name TEXT, user TEXT, correlation_id TEXT"
  ") STRICT;"
  "CREATE INDEX event_time ON event (time);"
  "CREATE TABLE token ("
  "  hash BLOB PRIMARY KEY,"
  "  user TEXT NOT NULL,"
  "  idle INTEGER NOT NULL,"
  "  expires INTEGER NOT NULL"
  ") STRICT, WITHOUT ROWID;"
  "CREATE INDEX token_user ON token (user);"
  "CREATE TABLE vm (id TEXT PRIMARY KEY, first_seen INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
  "PRAGMA application_id = " AS_TEXT(APPLICATION_ID),
};
#define NEWEST ((gint64)G_N_ELEMENTS(history))

#define EVENT_COLUMNS "id, code, severity, time, text, vm_id, vm_name, host_id, host_name, user, correlation_id"

static const char *const statements[STATEMENTS] = {
  [STATEMENT_ADD_EVENT] = "INSERT INTO event (" EVENT_COLUMNS ") VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  [STATEMENT_EVENTS_NEWEST_FIRST] = "SELECT " EVENT_COLUMNS " FROM event WHERE id > ? ORDER BY id DESC",
  [STATEMENT_EVENTS_OLDEST_FIRST] = "SELECT " EVENT_COLUMNS " FROM event WHERE id > ? ORDER BY id",
  [STATEMENT_FIND_EVENT] = "SELECT " EVENT_COLUMNS " FROM event WHERE id = ?",
  [STATEMENT_PRUNE_EVENTS] = "DELETE FROM event WHERE time < ?",
  [STATEMENT_ADD_TOKEN] = "INSERT INTO token (hash, user, idle, expires) VALUES (?, ?, ?, ?)",
  [STATEMENT_FIND_TOKEN] = "SELECT user, idle, expires FROM token WHERE hash = ?",
  [STATEMENT_RENEW_TOKEN] = "UPDATE token SET expires = ? WHERE hash = ?",
  [STATEMENT_REVOKE_TOKEN] = "DELETE FROM token WHERE hash = ?",
  [STATEMENT_REVOKE_USER] = "DELETE FROM token WHERE user = ?",
  [STATEMENT_PRUNE_TOKENS] = "DELETE FROM token WHERE expires <= ?",
  [STATEMENT_ALL_VMS] = "SELECT id, first_seen FROM vm",
  /* OR IGNORE: another process may have seen the VM before us; then its time holds. */
  [STATEMENT_ADD_VM] = "INSERT OR IGNORE INTO vm (id, first_seen) VALUES (?, ?)",
};

static gboolean read_number(DmStore *store, const char *sql, gint64 *number, GError **error) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW) {
    store_fail(store, "read", error);
    sqlite3_finalize(statement);
    return FALSE;
  }
  *number = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return TRUE;
}

gboolean store_check_schema(DmStore *store, gint64 *version, GError **error) {
  gint64 has = 0, application = 0, objects = 0;
  if (!read_number(store, "PRAGMA user_version", &has, error) ||
    !read_number(store, "PRAGMA application_id", &application, error) ||
    !read_number(store, "SELECT count(*) FROM sqlite_schema", &objects, error))
    return FALSE;
  if (has > NEWEST) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "the database %s has schema version %" G_GINT64_FORMAT ", and this program knows versions up to %" G_GINT64_FORMAT
      "; use the dimmer that wrote it or a newer one, or move the file away, and a new one is made",
      store->path, has, NEWEST);
    return FALSE;
  }
  if (application != APPLICATION_ID && (application != 0 || has != 0 || objects != 0)) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "the database %s is another program's; name another file, or move it away, and a new one is made", store->path);
    return FALSE;
  }
  *version = has;
  return TRUE;
}

gboolean store_update_schema(DmStore *store, gint64 version, GError **error) {
  if (version == NEWEST)
    return TRUE;
  if (!store_begin(store, error))
    return FALSE;
  /* Read once more: another process may have brought it up to date while we waited. */
  gboolean well = store_check_schema(store, &version, error);
  for (gint64 step = version; well && step < NEWEST; step++)
    well = store_exec(store, history[step], error);
  g_autofree char *count = g_strdup_printf("PRAGMA user_version = %" G_GINT64_FORMAT, NEWEST);
  return store_end(store, well && store_exec(store, count, error), error);
}

sqlite3_stmt *store_prepare_one(DmStore *store, StoreStatement which, GError **error) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v3(store->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) == SQLITE_OK)
    return statement;
  store_fail(store, "read", error);
  return NULL;
}

gboolean store_prepare(DmStore *store, GError **error) {
  for (guint which = 0; which < STATEMENTS; which++) {
    store->statements[which] = store_prepare_one(store, which, error);
    if (store->statements[which] == NULL)
      return FALSE;
  }
  return TRUE;
}
