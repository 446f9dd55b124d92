/* SPDX-License-Identifier: Apache-2.0 */
/* The file: created, opened, upgraded, checked and closed. One thread at a time. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "store_private.h"

/*
 * SQLite would create the file readable by others. An existing file is not opened here: closing it would drop the locks
 * that this process has on it through SQLite (POSIX locks belong to the process, not to the descriptor).
 */
static gboolean make_file(const char *path, GError **error) {
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno != EEXIST) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "cannot create the database %s: %s; create its folder, and make it writable for this user", path,
      g_strerror(errno));
    return FALSE;
  }
  if (fd >= 0)
    close(fd);
  return TRUE;
}

/*
 * If two processes switch a new file at the same time, SQLite returns "locked" to one at once to avoid a deadlock; that
 * one waits as a writer, and retries. Without WAL (no shared memory on that file system), SQLite keeps its rollback
 * journal: slower, but as safe.
 */
static gboolean switch_to_wal(Database *database, GError **error) {
  static const char wal[] = "PRAGMA journal_mode = WAL";
  gint64 deadline = g_get_monotonic_time() + STORE_BUSY_MS * G_TIME_SPAN_MILLISECOND;
  int result = sqlite3_exec(database->db, wal, NULL, NULL, NULL);
  while ((result & 0xff) == SQLITE_BUSY && g_get_monotonic_time() < deadline) {
    sqlite3_exec(database->db, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL);
    result = sqlite3_exec(database->db, wal, NULL, NULL, NULL);
  }
  return result == SQLITE_OK || database_fail(database, "write", error);
}

static gboolean open_file(Database *database, GError **error) {
  int opened = sqlite3_open_v2(database->path, &database->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  if (database->db == NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot open the database %s: out of memory", database->path);
    return FALSE;
  }
  if (opened != SQLITE_OK)
    return database_fail(database, "open", error);
  sqlite3_extended_result_codes(database->db, 1);
  sqlite3_busy_timeout(database->db, STORE_BUSY_MS);
  /* SQLite silently opens a file without write permission read-only. */
  if (sqlite3_db_readonly(database->db, "main") != 0) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "the database %s is read-only; make the file and its folder writable for this user", database->path);
    return FALSE;
  }
  gint64 version = 0;
  /*
   * Checked before any change: it may be another program's. In one transaction, as another process may be creating the
   * tables, and a mix of answers would look like another program's.
   */
  if (!database_exec(database, "BEGIN", error) ||
    !database_end(database, database_check_schema(database, &version, error), error))
    return FALSE;
  /* NORMAL: a power cut may lose the last events, but never corrupts the file. */
  return switch_to_wal(database, error) &&
    database_exec(database, "PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF", error) &&
    database_update_schema(database, version, error) && database_prepare(database, error);
}

gboolean database_open(Database *database, const char *path, GError **error) {
  if (strcmp(path, ":memory:") != 0 && !make_file(path, error))
    return FALSE;
  database->path = g_strdup(path);
  return open_file(database, error);
}

void database_close(Database *database) {
  for (guint which = 0; which < STATEMENTS; which++)
    sqlite3_finalize(database->statements[which]);
  sqlite3_close(database->db);
  g_free(database->path);
}

/* A deleted or renamed file is lost when this process ends, and SQLite does not notice before. */
static gboolean check_place(Database *database, GError **error) {
  int moved = 0;
  sqlite3_file_control(database->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (moved == 0)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
    "the database %s was removed, or another file has taken its place: what is written is lost when this process ends; "
    "restart it",
    database->path);
  return FALSE;
}

gboolean database_check(Database *database, GError **error) {
  gint64 version = 0;
  if (!check_place(database, error))
    return FALSE;
  if (!database_begin(database, error))
    return FALSE;
  gboolean well = database_check_schema(database, &version, error);
  /* Rewrites the present number: SQLite writes the page even if unchanged. */
  g_autofree char *same = g_strdup_printf("PRAGMA user_version = %" G_GINT64_FORMAT, version);
  return database_end(database, well && database_exec(database, same, error), error);
}
