/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the store.
 *
 * Two sides: the main loop's (store.c, handover.c, events.c, tokens.c, first_seen.c), which never touches the file once
 * it is open, and the thread's (writer.c), which does all the reading and writing, through database.c and schema.c.
 * Data exchanged between them is in DmStore, under its lock.
 */
#pragma once

#include <pthread.h>
#include <sqlite3.h>

#include "store/store.h"

/* ---- database.c, schema.c: the file ---- */

/* The prepared statements; their text is in schema.c, next to the tables. */
typedef enum {
  STATEMENT_ADD_EVENT,
  STATEMENT_EVENTS_NEWEST_FIRST,
  STATEMENT_EVENTS_OLDEST_FIRST,
  STATEMENT_COUNT_EVENTS,
  STATEMENT_LAST_EVENT,
  STATEMENT_SAME_EVENT,
  STATEMENT_PRUNE_EVENTS,
  STATEMENT_CUT_EVENTS,
  STATEMENT_ALL_TOKENS,
  STATEMENT_PUT_TOKEN,
  STATEMENT_REMOVE_TOKEN,
  STATEMENT_PRUNE_TOKENS,
  STATEMENT_ALL_VMS,
  STATEMENT_ADD_VM,
  STATEMENTS,
} StoreStatement;

typedef struct {
  char *path;
  sqlite3 *db;
  sqlite3_stmt *statements[STATEMENTS];
  int failed; /* SQLite's primary code of the last failure */
} Database;

/* How long to wait for another process's write: on opening and at exit. */
#define STORE_BUSY_MS 2000
/* The same in between, when failed writes are just kept and retried. */
#define STORE_TRY_MS 100

/* Creates the file if missing. Always call database_close() afterwards. */
gboolean database_open(Database *database, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void database_close(Database *database);

/* Sets @error to SQLite's message for the last call, and the remedy. @what: "write". Returns FALSE. */
gboolean database_fail(Database *database, const char *what, GError **error);

/* Runs a bound statement without rows, and resets it. */
gboolean database_run(Database *database, sqlite3_stmt *statement, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Resets a statement for its next use. */
void database_reset(sqlite3_stmt *statement);

/* Text with no parameters. */
gboolean database_exec(Database *database, const char *sql, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* For a statement with one row; *number is unchanged if there is none. */
gboolean database_number(
  Database *database, StoreStatement which, gint64 *number, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Commits if @well, rolls back otherwise or if that fails. Returns whether it is committed. */
gboolean database_begin(Database *database, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean database_end(Database *database, gboolean well, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether writes are stored: see dm_store_check(). */
gboolean database_check(Database *database, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Creates or upgrades the tables; refuses newer ones and those not dimmer's. */
gboolean database_check_schema(Database *database, gint64 *version, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean database_update_schema(Database *database, gint64 version, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Prepares all statements. */
gboolean database_prepare(Database *database, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- exchange with the thread ---- */

#define TOKEN_HASH_BYTES 32

typedef struct {
  char *user;     /* NULL, in a pending write: remove the token */
  gint64 idle;    /* milliseconds */
  gint64 expires; /* milliseconds since 1970 */
  gint64 ends;    /* as above, and never later */
  char *binding;  /* owned; NULL: none */
} Token;

/* An event that is not in the file yet. */
typedef struct {
  DmAuditEvent event; /* first; its texts are owned */
  guint merged;       /* the number of dropped events it replaces; 0: none */
  gboolean sealed;    /* it is being written and cannot count more */
  gsize size;
} Unwritten;

struct DmStoreTask {
  gboolean is_check;
  DmEventQuery query;
  DmEventsFunc read;
  DmStoreCheckFunc checked;
  gpointer data;
  gboolean cancelled; /* of the main loop */
  GPtrArray *events;  /* DmAuditEvent */
  GError *error;
};

/* Of dm_store_when_written(). */
typedef struct {
  DmStore *store;
  gint64 before; /* all events with lower ids */
  DmStoreWrittenFunc func;
  gpointer data;
  guint timer; /* end of the wait */
} Waiter;

struct DmStore {
  Database database;   /* the thread's */
  gint64 (*now)(void); /* milliseconds since 1970; tests put their own here */
  GThread *thread;

  /* The main loop's. */
  gint64 next_event;
  GHashTable *first_seen; /* VM's id → gint64 * */
  GHashTable *tokens;     /* hash → Token */
  DmStoreTroubleFunc trouble_func;
  gpointer trouble_data;
  gboolean reported_trouble;

  /* Both sides', under the lock. pthread's, because ThreadSanitizer knows them, unlike GLib's. */
  pthread_mutex_t lock;
  pthread_cond_t wake, settled; /* for the thread: work is pending; for the main loop: an attempt was made */
  GQueue events;                /* Unwritten, oldest first. Only the thread removes, so it may read them unlocked */
  gsize event_bytes;
  GHashTable *token_changes; /* hash → Token to be written */
  GHashTable *vm_changes;    /* VM's id → gint64 * to be written */
  gint64 prune_before;       /* 0: nothing to prune */
  gint64 prune_now;
  GQueue requests, finished; /* DmStoreTask: for the thread, and for the main loop */
  GQueue waiters;            /* Waiter, ordered by event id; only the main loop changes it */
  guint deliver_source;      /* finished tasks or a change of trouble are to be reported */
  gboolean writing;          /* data removed from above is being written */
  gboolean hurry;            /* there are waiters: retry at once */
  gboolean closing;
  GError *trouble; /* why the last attempt to write failed; NULL: it did not */
};

/* Limits of queued events and their bytes; further events are only counted. */
#define STORE_MOST_UNWRITTEN 10000
#define STORE_MOST_UNWRITTEN_BYTES ((gsize)8 << 20)

/* Limits of the table of events. */
#define STORE_MOST_EVENTS 100000
#define STORE_MOST_BYTES ((gint64)64 << 20)

/* handover.c */
void store_lock(DmStore *store);
void store_unlock(DmStore *store);
/* Locked: wakes the thread. */
void store_wake(DmStore *store);

/* In the main loop: reports the results. */
gboolean store_deliver(gpointer store);
void task_free(gpointer task);
void waiter_free(gpointer waiter);

/* writer.c: the thread, until store->closing. */
gpointer store_work(gpointer store);

void unwritten_free(gpointer unwritten);
/* Sets the text of one that replaces others. */
void unwritten_seal(Unwritten *unwritten);

GHashTable *tokens_new(void) G_GNUC_WARN_UNUSED_RESULT;
void token_free(gpointer token);
/* At start, before there is a thread. */
gboolean store_load_tokens(DmStore *store, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean store_load_first_seen(DmStore *store, GError **error) G_GNUC_WARN_UNUSED_RESULT;
