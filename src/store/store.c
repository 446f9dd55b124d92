/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "store_private.h"

/* What can be done about a failure, by SQLite's primary result code. */
static const struct {
  int code;
  const char *remedy;
} remedies[] = {
  {SQLITE_PERM, "; make the file and its folder writable for this user"},
  {SQLITE_READONLY, "; make the file and its folder writable for this user"},
  {SQLITE_CANTOPEN, "; its folder must be there, and the file and the folder writable for this user"},
  {SQLITE_BUSY, "; another process keeps it locked, 'fuser' tells which: end that one"},
  {SQLITE_FULL, "; free space on its file system"},
  {SQLITE_CORRUPT, "; move the file away, and a new one is made"},
  {SQLITE_NOTADB, "; move the file away, and a new one is made"},
};

gboolean store_fail(DmStore *store, const char *what, GError **error) {
  int code = sqlite3_errcode(store->db) & 0xff, system = sqlite3_system_errno(store->db);
  /* The system's errno stays from earlier calls, so it is told only with the codes that come of it. */
  gboolean of_system = system != 0 && (code == SQLITE_CANTOPEN || code == SQLITE_IOERR);
  /* Where not even the shared memory's file has room, that is how SQLite puts it. */
  int known = of_system && system == ENOSPC ? SQLITE_FULL : code;
  const char *remedy = "";
  for (gsize i = 0; i < G_N_ELEMENTS(remedies); i++) {
    if (remedies[i].code == known)
      remedy = remedies[i].remedy;
  }
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot %s the database %s: %s%s%s%s", what, store->path,
    sqlite3_errmsg(store->db), of_system ? ": " : "", of_system ? g_strerror(system) : "", remedy);
  return FALSE;
}

void store_reset(sqlite3_stmt *statement) {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

gboolean store_run(DmStore *store, sqlite3_stmt *statement, GError **error) {
  gboolean well = sqlite3_step(statement) == SQLITE_DONE || store_fail(store, "write", error);
  store_reset(statement);
  return well;
}

gboolean store_exec(DmStore *store, const char *sql, GError **error) {
  return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK || store_fail(store, "write", error);
}

gboolean store_begin(DmStore *store, GError **error) {
  /* IMMEDIATE: waits for another writer here, where nothing is done yet, not in the middle. */
  return store_exec(store, "BEGIN IMMEDIATE", error);
}

gboolean store_end(DmStore *store, gboolean well, GError **error) {
  if (well && store_exec(store, "COMMIT", error))
    return TRUE;
  /* After some errors SQLite has rolled back by itself. */
  if (sqlite3_get_autocommit(store->db) == 0)
    sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
  return FALSE;
}

static gint64 now_of_the_clock(void) {
  return g_get_real_time() / 1000;
}

/*
 * SQLite would make the file readable by others. An existing file is not opened here: closing it would drop the locks
 * that this process has on it through SQLite (POSIX locks belong to the process, not to the descriptor).
 */
static gboolean make_file(const char *path, GError **error) {
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno != EEXIST) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "cannot make the database %s: %s; its folder must be there and writable for this user", path, g_strerror(errno));
    return FALSE;
  }
  if (fd >= 0)
    close(fd);
  return TRUE;
}

/*
 * Of two processes that switch a new file at the same time, SQLite tells one at once that it is locked, for both would
 * wait for each other; so that one waits its turn as a writer, and tries again. Where WAL cannot be had (no shared
 * memory on that file system), SQLite stays with its rollback journal: slower, and as good.
 */
static gboolean switch_to_wal(DmStore *store, GError **error) {
  static const char wal[] = "PRAGMA journal_mode = WAL";
  gint64 deadline = g_get_monotonic_time() + STORE_BUSY_MS * G_TIME_SPAN_MILLISECOND;
  int result = sqlite3_exec(store->db, wal, NULL, NULL, NULL);
  while ((result & 0xff) == SQLITE_BUSY && g_get_monotonic_time() < deadline) {
    sqlite3_exec(store->db, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL);
    result = sqlite3_exec(store->db, wal, NULL, NULL, NULL);
  }
  return result == SQLITE_OK || store_fail(store, "write", error);
}

static gboolean open_database(DmStore *store, GError **error) {
  int opened = sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  if (store->db == NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot open the database %s: out of memory", store->path);
    return FALSE;
  }
  if (opened != SQLITE_OK)
    return store_fail(store, "open", error);
  sqlite3_extended_result_codes(store->db, 1);
  sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
  /* SQLite opens a file that it may not write for reading, without a word. */
  if (sqlite3_db_readonly(store->db, "main") != 0) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "the database %s is read-only; make the file and its folder writable for this user", store->path);
    return FALSE;
  }
  gint64 version = 0;
  /*
   * Looked at before anything is changed: it may be another program's. In one transaction, because another process may
   * be making the tables at this moment, and half of the answers from before it look like another program's.
   */
  if (!store_exec(store, "BEGIN", error) || !store_end(store, store_check_schema(store, &version, error), error))
    return FALSE;
  /* NORMAL: a power cut may lose the last events, and never breaks the file. */
  return switch_to_wal(store, error) &&
    store_exec(store, "PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF", error) &&
    store_update_schema(store, version, error) && store_prepare(store, error);
}

DmStore *dm_store_open(const char *path, GError **error) {
  if (strcmp(path, ":memory:") != 0 && !make_file(path, error))
    return NULL;
  g_autoptr(DmStore) store = g_new0(DmStore, 1);
  store->path = g_strdup(path);
  store->now = now_of_the_clock;
  store->unwritten = g_ptr_array_new();
  return open_database(store, error) ? g_steal_pointer(&store) : NULL;
}

void dm_store_free(DmStore *store) {
  if (store == NULL)
    return;
  dm_store_flush(store, NULL);
  for (guint which = 0; which < STATEMENTS; which++)
    sqlite3_finalize(store->statements[which]);
  sqlite3_close(store->db);
  g_ptr_array_unref(store->unwritten);
  g_clear_pointer(&store->first_seen, g_hash_table_unref);
  g_free(store->path);
  g_free(store);
}

gboolean dm_store_prune(DmStore *store, gint64 before, GError **error) {
  sqlite3_stmt *events = store->statements[STATEMENT_PRUNE_EVENTS];
  sqlite3_stmt *tokens = store->statements[STATEMENT_PRUNE_TOKENS];
  if (!store_begin(store, error))
    return FALSE;
  sqlite3_bind_int64(events, 1, before);
  sqlite3_bind_int64(tokens, 1, store->now());
  return store_end(store, store_run(store, events, error) && store_run(store, tokens, error), error);
}

/* A file that is gone, or has another name, goes with this process, and until then SQLite does not mind. */
static gboolean check_place(DmStore *store, GError **error) {
  int moved = 0;
  sqlite3_file_control(store->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (moved == 0)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
    "the database %s was removed, or another file has taken its place: what is written is lost when this process ends; "
    "restart it",
    store->path);
  return FALSE;
}

gboolean dm_store_check(DmStore *store, GError **error) {
  gint64 version = 0;
  if (!check_place(store, error))
    return FALSE;
  sqlite3_busy_timeout(store->db, STORE_CHECK_MS);
  gboolean begun = store_begin(store, error);
  sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
  if (!begun)
    return FALSE;
  gboolean well = store_check_schema(store, &version, error);
  /* The number that it has, which SQLite writes all the same. */
  g_autofree char *same = g_strdup_printf("PRAGMA user_version = %" G_GINT64_FORMAT, version);
  return store_end(store, well && store_exec(store, same, error), error);
}
