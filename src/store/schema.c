/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables, their history, and all SQL that runs on them.
 *
 * PRAGMA user_version counts the steps of `history` that a file has had. All that are missing run in one transaction
 * with the new number, so a crash leaves the file as it was. Steps are added, never edited.
 */
#include "store_private.h"

#include "base/error.h"

/* "dimr": distinguishes our file from other SQLite databases, to which we would otherwise add our tables. */
#define APPLICATION_ID 1684630898
#define AS_TEXT(number) AS_TEXT_(number)
#define AS_TEXT_(number) #number

static const char *const history[] = {
  /* AUTOINCREMENT, because otherwise SQLite reuses the ids of removed rows. */
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
  /* Tokens issued before have no binding, and are revoked. */
  "ALTER TABLE token ADD COLUMN ends INTEGER NOT NULL DEFAULT 0;"
  "ALTER TABLE token ADD COLUMN binding TEXT NOT NULL DEFAULT ''",
};
#define NEWEST ((gint64)G_N_ELEMENTS(history))

#define EVENT_COLUMNS "id, code, severity, time, text, vm_id, vm_name, host_id, host_name, user, correlation_id"

static const char *const statements[] = {
  [STATEMENT_ADD_EVENT] = "INSERT INTO event (" EVENT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  [STATEMENT_EVENTS_NEWEST_FIRST] = "SELECT " EVENT_COLUMNS " FROM event WHERE id > ? ORDER BY id DESC",
  [STATEMENT_EVENTS_OLDEST_FIRST] = "SELECT " EVENT_COLUMNS " FROM event WHERE id > ? ORDER BY id",
  [STATEMENT_COUNT_EVENTS] = "SELECT count(*) FROM event",
  /* Including those removed since. */
  [STATEMENT_LAST_EVENT] = "SELECT seq FROM sqlite_sequence WHERE name = 'event'",
  /* instr(): it begins with that. */
  [STATEMENT_SAME_EVENT] =
    "SELECT 1 FROM event WHERE time >= ?1 AND code = ?2 AND vm_id IS ?3 AND"
    " CASE WHEN ?5 THEN instr(text, ?4) = 1 ELSE text IS ?4 END AND"
    " (?6 IS NULL OR correlation_id IS ?6)",
  [STATEMENT_PRUNE_EVENTS] = "DELETE FROM event WHERE time < ?",
  [STATEMENT_CUT_EVENTS] = "DELETE FROM event WHERE id <= (SELECT id FROM event ORDER BY id DESC LIMIT 1 OFFSET ?)",
  [STATEMENT_ALL_TOKENS] = "SELECT hash, user, idle, expires, ends, binding FROM token",
  [STATEMENT_PUT_TOKEN] =
    "INSERT OR REPLACE INTO token (hash, user, idle, expires, ends, binding) VALUES (?, ?, ?, ?, ?, ?)",
  [STATEMENT_REMOVE_TOKEN] = "DELETE FROM token WHERE hash = ?",
  [STATEMENT_PRUNE_TOKENS] = "DELETE FROM token WHERE min(expires, ends) <= ?",
  [STATEMENT_ALL_VMS] = "SELECT id, first_seen FROM vm",
  /* OR IGNORE: another process may have seen the VM before us; then its time is kept. */
  [STATEMENT_ADD_VM] = "INSERT OR IGNORE INTO vm (id, first_seen) VALUES (?, ?)",
};
G_STATIC_ASSERT(G_N_ELEMENTS(statements) == STATEMENTS);

static gboolean read_number(Database *database, const char *sql, gint64 *number, GError **error) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(database->db, sql, -1, &statement, NULL) != SQLITE_OK ||
    sqlite3_step(statement) != SQLITE_ROW) {
    database_fail(database, "read", error);
    sqlite3_finalize(statement);
    return FALSE;
  }
  *number = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return TRUE;
}

gboolean database_check_schema(Database *database, gint64 *version, GError **error) {
  gint64 has = 0, application = 0, objects = 0;
  if (!read_number(database, "PRAGMA user_version", &has, error) ||
    !read_number(database, "PRAGMA application_id", &application, error) ||
    !read_number(database, "SELECT count(*) FROM sqlite_schema", &objects, error))
    return FALSE;
  if (has > NEWEST) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "the database %s has schema version %" G_GINT64_FORMAT ", and this program knows versions up to %" G_GINT64_FORMAT
      "; use the dimmer that wrote it or a newer one, or move the file away, and a new one is created",
      database->path, has, NEWEST);
    return FALSE;
  }
  if (application != APPLICATION_ID && (application != 0 || has != 0 || objects != 0)) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "the database %s belongs to another program; name another file, or move it away, and a new one is created",
      database->path);
    return FALSE;
  }
  *version = has;
  return TRUE;
}

gboolean database_update_schema(Database *database, gint64 version, GError **error) {
  if (version == NEWEST)
    return TRUE;
  if (!database_begin(database, error))
    return FALSE;
  /* Read again: another process may have upgraded it while we waited. */
  gboolean well = database_check_schema(database, &version, error);
  for (gint64 step = version; well && step < NEWEST; step++)
    well = database_exec(database, history[step], error);
  g_autofree char *count = g_strdup_printf("PRAGMA user_version = %" G_GINT64_FORMAT, NEWEST);
  return database_end(database, well && database_exec(database, count, error), error);
}

static sqlite3_stmt *prepare_one(Database *database, StoreStatement which, GError **error) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v3(database->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) == SQLITE_OK)
    return statement;
  database_fail(database, "read", error);
  return NULL;
}

gboolean database_prepare(Database *database, GError **error) {
  for (guint which = 0; which < STATEMENTS; which++) {
    database->statements[which] = prepare_one(database, which, error);
    if (database->statements[which] == NULL)
      return FALSE;
  }
  return TRUE;
}
