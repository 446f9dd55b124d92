/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on the file, and their error messages. One thread at a time. */
#include <errno.h>

#include "base/error.h"
#include "store_private.h"

/* The remedy for a failure, by SQLite's primary result code. */
static const struct {
  int code;
  const char *remedy;
} remedies[] = {
  {SQLITE_PERM, "; make the file and its folder writable for this user"},
  {SQLITE_READONLY, "; make the file and its folder writable for this user"},
  {SQLITE_CANTOPEN, "; create its folder, and make file and folder writable for this user"},
  {SQLITE_BUSY, "; another process has it locked: find it with 'fuser', and stop it"},
  {SQLITE_FULL, "; free space on its file system"},
  {SQLITE_CORRUPT, "; move the file away, and a new one is created"},
  {SQLITE_NOTADB, "; move the file away, and a new one is created"},
};

gboolean database_fail(Database *database, const char *what, GError **error) {
  int code = database->failed = sqlite3_errcode(database->db) & 0xff, system = sqlite3_system_errno(database->db);
  /* errno may be left from earlier calls, so it is reported only with codes that result from it. */
  gboolean of_system = system != 0 && (code == SQLITE_CANTOPEN || code == SQLITE_IOERR);
  /* SQLite's code if there is no room even for the shared memory file. */
  int known = of_system && system == ENOSPC ? SQLITE_FULL : code;
  const char *remedy = "";
  for (gsize i = 0; i < G_N_ELEMENTS(remedies); i++) {
    if (remedies[i].code == known)
      remedy = remedies[i].remedy;
  }
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot %s the database %s: %s%s%s%s", what, database->path,
    sqlite3_errmsg(database->db), of_system ? ": " : "", of_system ? g_strerror(system) : "", remedy);
  return FALSE;
}

void database_reset(sqlite3_stmt *statement) {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

gboolean database_run(Database *database, sqlite3_stmt *statement, GError **error) {
  gboolean well = sqlite3_step(statement) == SQLITE_DONE || database_fail(database, "write", error);
  database_reset(statement);
  return well;
}

gboolean database_exec(Database *database, const char *sql, GError **error) {
  return sqlite3_exec(database->db, sql, NULL, NULL, NULL) == SQLITE_OK || database_fail(database, "write", error);
}

gboolean database_begin(Database *database, GError **error) {
  /* IMMEDIATE: waits for another writer here, before any work, not in the middle. */
  return database_exec(database, "BEGIN IMMEDIATE", error);
}

gboolean database_end(Database *database, gboolean well, GError **error) {
  if (well && database_exec(database, "COMMIT", error))
    return TRUE;
  /* After some errors SQLite has already rolled back. */
  if (sqlite3_get_autocommit(database->db) == 0)
    sqlite3_exec(database->db, "ROLLBACK", NULL, NULL, NULL);
  return FALSE;
}

gboolean database_number(Database *database, StoreStatement which, gint64 *number, GError **error) {
  sqlite3_stmt *statement = database->statements[which];
  int step = sqlite3_step(statement);
  if (step == SQLITE_ROW)
    *number = sqlite3_column_int64(statement, 0);
  gboolean well = step == SQLITE_ROW || step == SQLITE_DONE || database_fail(database, "read", error);
  database_reset(statement);
  return well;
}
