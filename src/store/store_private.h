/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share. */
#pragma once

#include <sqlite3.h>

#include "store/store.h"

/* The prepared statements; their text stands in schema.c, next to the tables. */
typedef enum {
  STATEMENT_ADD_EVENT,
  STATEMENT_EVENTS_NEWEST_FIRST,
  STATEMENT_EVENTS_OLDEST_FIRST,
  STATEMENT_FIND_EVENT,
  STATEMENT_PRUNE_EVENTS,
  STATEMENT_ADD_TOKEN,
  STATEMENT_FIND_TOKEN,
  STATEMENT_RENEW_TOKEN,
  STATEMENT_REVOKE_TOKEN,
  STATEMENT_REVOKE_USER,
  STATEMENT_PRUNE_TOKENS,
  STATEMENT_ALL_VMS,
  STATEMENT_ADD_VM,
  STATEMENTS,
} StoreStatement;

struct DmStore {
  char *path;
  sqlite3 *db;
  sqlite3_stmt *statements[STATEMENTS];
  gint64 (*now)(void); /* milliseconds since 1970; tests put their own here */

  GHashTable *first_seen; /* VM's id -> gint64 *; NULL: not read yet */
  GPtrArray *unwritten;   /* keys of first_seen that the file does not have yet; not owned */
};

/* How long another process's write is waited for. */
#define STORE_BUSY_MS 2000
/* The same where only the state is asked for. */
#define STORE_CHECK_MS 100

/* Sets @error to what SQLite says of the last call, and what can be done about it. @what: "write". Returns FALSE. */
gboolean store_fail(DmStore *store, const char *what, GError **error);

/* Runs a bound statement that gives no rows, and makes it ready for its next use. */
gboolean store_run(DmStore *store, sqlite3_stmt *statement, GError **error);

/* Makes a statement ready for its next use. */
void store_reset(sqlite3_stmt *statement);

/* Text with no parameters. */
gboolean store_exec(DmStore *store, const char *sql, GError **error);

/* Commits where @well, rolls back otherwise or where that fails. Returns whether it is committed. */
gboolean store_begin(DmStore *store, GError **error);
gboolean store_end(DmStore *store, gboolean well, GError **error);

/* The tables as this program knows them, made or brought up to date; refuses what is newer or not dimmer's. */
gboolean store_check_schema(DmStore *store, gint64 *version, GError **error);
gboolean store_update_schema(DmStore *store, gint64 version, GError **error);

/* Prepares all statements. */
gboolean store_prepare(DmStore *store, GError **error);
sqlite3_stmt *store_prepare_one(DmStore *store, StoreStatement which, GError **error);
