/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by sign_on.c, oauth.c, login.c, session.c and attempts.c. */
#pragma once

#include "call.h"

typedef struct Attempts Attempts;
typedef struct Attempt Attempt;

struct SignOn {
  DmStore *store;
  char *users_file;
  guint idle_seconds, life_seconds; /* of tokens */
  DmUsers *users;
  guint8 key[32];
  GHashTable *known;  /* keyed hash of credentials, or token → user and expiry of the cache entry */
  GHashTable *checks; /* keyed hash of credentials → verification under way */
  Attempts *attempts;
  GThreadPool *verifiers;
  gboolean draining;
};

typedef enum {
  SIGN_ON_WRONG,
  SIGN_ON_GOOD,
  SIGN_ON_LATER, /* not verified, after too many failures */
} SignOnResult;

typedef void (*SignOnFunc)(Call *call, SignOnResult result, const char *name, gpointer data);

/*
 * Verifies a password in a thread, after its delay; calls with the same one meanwhile share it. @then is called in the
 * main loop, perhaps at once. The strings are copied.
 */
void sign_on_verify(Call *call, const char *name, const char *password, SignOnFunc then, gpointer data);

char *sign_on_binding(const DmUser *user) G_GNUC_WARN_UNUSED_RESULT;

/* ---- oauth.c ---- */

/* A new token for a user who is there, with the event of the login; the caller frees it. NULL: the store failed. */
char *token_new(Call *call, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Revokes a valid token, ends its streams, with the event of the logout; others are no error. */
void token_revoke(Call *call, const char *token);
/* The sentence for a login that failed; the caller frees. */
char *token_why_not(SignOnResult result, const char *name) G_GNUC_WARN_UNUSED_RESULT;

/* ---- session.c ---- */

#define SESSION_HEADER "X-CSRF-Token"

/* The call is WebAdmin's, and no other credentials in it count: it has the header for its session. */
gboolean session_is_meant(const Call *call);
/* The token in the cookie, proven or not (caller frees); NULL: none. */
char *session_cookie(const Call *call) G_GNUC_WARN_UNUSED_RESULT;
/* @token NULL: the browser forgets it. */
void session_set_cookie(Call *call, const char *token);
/* What a request has to repeat in SESSION_HEADER; the caller frees. */
char *session_csrf(const char *token) G_GNUC_WARN_UNUSED_RESULT;

/* ---- attempts.c ---- */

/* Slows down guessing; see attempts.c. Main loop only. */
Attempts *attempts_new(void) G_GNUC_WARN_UNUSED_RESULT;
void attempts_free(Attempts *attempts); /* after all attempts have ended */

/*
 * A new attempt for @name from @network: it may start in *wait microseconds, and attempts_end() ends it. NULL: it would
 * wait for more than @most, or too many are waiting: rejected, and not counted. Attempts under way count as failed
 * already, and each starts after the one before it, so that parallel attempts gain nothing.
 */
Attempt *attempts_begin(
  Attempts *attempts, const char *network, const char *name, gint64 most, gint64 *wait) G_GNUC_WARN_UNUSED_RESULT;
void attempts_end(Attempt *attempt, gboolean good); /* frees it; NULL is allowed */
