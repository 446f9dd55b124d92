/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State that does not belong to a VM, in one SQLite file (WAL): audit events, tokens, and when each VM was first seen.
 *
 * Threads: all functions belong to the main loop's thread, and none but dm_store_open(), dm_store_flush() and
 * dm_store_free() accesses the file: the store's own thread does, shortly after. So a file that is locked, full or slow
 * blocks no caller. Tokens and the times of VMs are cached in memory and read from there. Writes that fail are queued
 * in memory, events up to a limit; further events are only counted, and replaced by one event. Database errors are
 * DM_ERROR_FAILED naming the file.
 */
#pragma once

#include <glib.h>

typedef struct DmStore DmStore;

typedef enum {
  DM_SEVERITY_NORMAL,
  DM_SEVERITY_WARNING,
  DM_SEVERITY_ERROR,
  DM_SEVERITY_ALERT,
#define DM_SEVERITIES (DM_SEVERITY_ALERT + 1)
} DmSeverity;

typedef struct {
  gint64 id; /* increases only, across restarts and pruning */
  int code;
  DmSeverity severity;
  gint64 time; /* milliseconds since 1970 */
  char *text;
  char *vm_id, *vm_name;     /* NULL: no VM */
  char *host_id, *host_name; /* NULL: no host */
  char *user;                /* "admin@internal"; NULL: not caused by a user */
  char *correlation_id;
  /*
   * An earlier process may have reported it since then (milliseconds since 1970): if an event of the same code, VM,
   * text and, if set, correlation id exists, this one is dropped. 0: always stored. Not read back.
   */
  gint64 once_since;
  gsize once_bytes; /* this many bytes of the text are compared for that; 0: all */
} DmAuditEvent;

/* With texts of its own, truncated if too long. */
DmAuditEvent dm_audit_event_copy(const DmAuditEvent *event) G_GNUC_WARN_UNUSED_RESULT;
void dm_audit_event_clear(DmAuditEvent *event);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DmAuditEvent, dm_audit_event_clear)
void dm_audit_event_free(DmAuditEvent *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmAuditEvent, dm_audit_event_free)

const char *dm_severity_name(DmSeverity severity); /* "normal" */

/* The event that replaces those dropped while the database could not be written. */
#define DM_STORE_EVENTS_LOST 20008

/*
 * Opens or creates the file (mode 0600), upgrades an older schema and refuses a newer one. Blocks. Only one process may
 * use the file at a time. ":memory:" for tests. NULL with an error.
 */
DmStore *dm_store_open(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Waits briefly for pending writes. Pending queries are not answered any more. */
void dm_store_free(DmStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmStore, dm_store_free)

/* Waits for pending writes up to this timeout; TRUE if all are written. For process exit and tests. */
gboolean dm_store_flush(DmStore *store, guint milliseconds);

/*
 * @func is called in the main loop when writing fails, once, with the error; and with NULL when it works again. If
 * another process locks the file, only after two seconds.
 */
typedef void (*DmStoreTroubleFunc)(const GError *trouble, gpointer data);
void dm_store_watch(DmStore *store, DmStoreTroubleFunc func, gpointer data);

/* ---- events ---- */

/*
 * Adds a copy of the event, its texts truncated if too long, and sets its id; time 0 becomes now. If too many are
 * queued, the id is 0 and the event is only counted.
 */
void dm_store_add_event(DmStore *store, DmAuditEvent *event);

/*
 * @func is called in the main loop, perhaps at once, when all earlier events are in the file and safe from SIGKILL. It
 * is called after @milliseconds at the latest, at once while writing fails, and not after dm_store_free().
 */
typedef void (*DmStoreWrittenFunc)(gpointer data);
void dm_store_when_written(DmStore *store, guint milliseconds, DmStoreWrittenFunc func, gpointer data);

/* A query of the store's thread, until it is answered or dm_store_cancel(). */
typedef struct DmStoreTask DmStoreTask;

typedef struct {
  gint64 from; /* ids above it */
  gboolean oldest_first;
  guint64 skip; /* of those that match */
  guint most;   /* maximum number */
  /* In the store's thread: whether the event matches. NULL: all do. */
  gboolean (*match)(const DmAuditEvent *event, gpointer data);
  gpointer data;
  GDestroyNotify destroy; /* frees data, in the main loop, when answered or cancelled */
} DmEventQuery;

/* @events: DmAuditEvent, owned by the store; NULL: @error. */
typedef void (*DmEventsFunc)(GPtrArray *events, const GError *error, gpointer data);

/* Reads events, including those not written yet, and calls @done in the main loop. */
DmStoreTask *dm_store_read_events(DmStore *store, const DmEventQuery *query, DmEventsFunc done, gpointer data);

/* @done is not called any more. */
void dm_store_cancel(DmStoreTask *task);

/*
 * Removes events older than @before (milliseconds since 1970) and tokens that have expired. The table of events is
 * limited in rows and bytes as well.
 */
void dm_store_prune(DmStore *store, gint64 before);

/*
 * Tests whether writes are stored: writes a page and checks that the file is still the one opened. Waits only briefly
 * for another process's write. @error NULL: they are.
 */
typedef void (*DmStoreCheckFunc)(const GError *error, gpointer data);
DmStoreTask *dm_store_check(DmStore *store, DmStoreCheckFunc done, gpointer data);

/* ---- tokens: stored as SHA-256 only ---- */

/*
 * Creates a token of @user that expires @idle_seconds after its last use, and @life_seconds from now at the latest: 64
 * random bytes, URL-safe base64. Caller frees. Uses less than a minute apart (or a tenth of @idle_seconds, if less)
 * count as one, at the time of the first. If there are too many, the one that expires first is dropped. @binding: what
 * of the user it is bound to, see dm_store_token_keep().
 */
char *dm_store_token_new(DmStore *store, const char *user, const char *binding, guint idle_seconds, guint life_seconds,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The user of a valid token (caller frees), and renews it; NULL: not valid. */
char *dm_store_token_user(DmStore *store, const char *token) G_GNUC_WARN_UNUSED_RESULT;

/* Milliseconds since 1970; 0: not valid. */
gint64 dm_store_token_expires(DmStore *store, const char *token);

/* Revokes it. An unknown token is no error. */
void dm_store_token_revoke(DmStore *store, const char *token);

/* Revokes all for which @holds returns FALSE. Call it when the store was opened and when users change. */
void dm_store_token_keep(
  DmStore *store, gboolean (*holds)(const char *user, const char *binding, gpointer data), gpointer data);

/* ---- VMs ---- */

/* When this VM was first seen (milliseconds since 1970): now, if it was not. */
gint64 dm_store_first_seen(DmStore *store, const char *vm_id);
