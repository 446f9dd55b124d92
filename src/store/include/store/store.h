/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is not the VMs' own, in one SQLite file (WAL): audit events, tokens, and when each VM was first seen.
 *
 * Threads: one thread, the main loop's. Calls take well under a millisecond (WAL, synchronous=NORMAL: no fsync per
 * call). Errors of the database are DM_ERROR_FAILED naming the file.
 */
#pragma once

#include <glib.h>

typedef struct DmStore DmStore;

typedef enum {
  DM_SEVERITY_NORMAL,
  DM_SEVERITY_WARNING,
  DM_SEVERITY_ERROR,
  DM_SEVERITY_ALERT,
} DmSeverity;

typedef struct {
  gint64 id; /* only grows, over restarts and after pruning too */
  int code;
  DmSeverity severity;
  gint64 time; /* milliseconds since 1970 */
  char *text;
  char *vm_id, *vm_name;     /* NULL: about no VM */
  char *host_id, *host_name; /* NULL: about no host */
  char *user;                /* "admin@internal"; NULL: nobody's doing */
  char *correlation_id;
} DmAuditEvent;

void dm_audit_event_free(DmAuditEvent *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmAuditEvent, dm_audit_event_free)

const char *dm_severity_name(DmSeverity severity); /* "normal" */

/*
 * Opens or makes the file (mode 0600) and brings an older schema up to date; refuses a newer one. ":memory:" for tests.
 * NULL with an error.
 */
DmStore *dm_store_open(const char *path, GError **error);
void dm_store_free(DmStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmStore, dm_store_free)

/* Adds the event and sets its id; time 0 becomes now. Nothing of it is set where that fails. */
gboolean dm_store_add_event(DmStore *store, DmAuditEvent *event, GError **error);

/*
 * Events of id > @from, newest first or oldest first, while @each returns TRUE. The event is valid during the call, in
 * which the store may be used.
 */
gboolean dm_store_each_event(DmStore *store, gint64 from, gboolean oldest_first,
  gboolean (*each)(const DmAuditEvent *event, gpointer data), gpointer data, GError **error);

/* The event, owned by the caller; NULL without an error: there is none. */
DmAuditEvent *dm_store_find_event(DmStore *store, gint64 id, GError **error);

/* Removes events older than @before (milliseconds since 1970) and tokens that have expired. */
gboolean dm_store_prune(DmStore *store, gint64 before, GError **error);

/*
 * Whether what is written now is kept: writes a page, and looks whether the file is still the one that was opened. An
 * other process's write is waited for only a moment. FALSE with an error.
 */
gboolean dm_store_check(DmStore *store, GError **error);

/* ---- tokens: stored as SHA-256 only ---- */

/*
 * Makes a token of @user that expires @idle_seconds after its last use: 64 random bytes, URL-safe base64. Caller frees.
 * Uses less than a minute apart (a tenth of @idle_seconds, where that is less) count as one, by the first.
 */
char *dm_store_token_new(DmStore *store, const char *user, guint idle_seconds, GError **error);

/* The user of a token that holds (caller frees), and renews it; NULL: it does not, or the database cannot be read. */
char *dm_store_token_user(DmStore *store, const char *token);

/* Milliseconds since 1970; 0: it does not hold. */
gint64 dm_store_token_expires(DmStore *store, const char *token);

/* No such token, or none of that user, is no error. With an error, the tokens still hold. */
gboolean dm_store_token_revoke(DmStore *store, const char *token, GError **error);
gboolean dm_store_token_revoke_user(DmStore *store, const char *user, GError **error);

/* ---- VMs ---- */

/*
 * When this VM was first seen (milliseconds since 1970): now, if it was not. New ones are written together, by
 * dm_store_flush() or when there are a thousand; a crash before that forgets them.
 */
gint64 dm_store_first_seen(DmStore *store, const char *vm_id);
/* Writes what dm_store_first_seen() has gathered; also done by dm_store_free(). */
gboolean dm_store_flush(DmStore *store, GError **error);
