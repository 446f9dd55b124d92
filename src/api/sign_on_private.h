/* SPDX-License-Identifier: Apache-2.0 */
/* What sign_on.c, oauth.c and attempts.c share. */
#pragma once

#include "api_private.h"

typedef struct Attempts Attempts;

struct SignOn {
  DmStore *store;
  char *users_file;
  guint idle_seconds;
  DmUsers *users;
  guint8 key[32];
  GHashTable *known;  /* keyed hash of credentials, or token → who it is, and until when that is remembered */
  GHashTable *checks; /* keyed hash of credentials → what verifies them at this moment */
  Attempts *attempts;
  GThreadPool *verifiers;
};

typedef enum {
  SIGN_ON_WRONG,
  SIGN_ON_GOOD,
  SIGN_ON_LATER, /* not looked at, after too many failures */
} SignOnResult;

typedef void (*SignOnFunc)(Call *call, SignOnResult result, const char *name, gpointer data);

/*
 * Verifies a password in a thread, after its wait; who comes with the same one meanwhile shares it. @then is called in
 * the main loop, perhaps at once. The strings are copied.
 */
void sign_on_verify(Call *call, const char *name, const char *password, SignOnFunc then, gpointer data);

/* ---- attempts.c ---- */

/*
 * Failed tries, of one name from one address, and of any name from it. After some that are free each makes the next
 * wait, twice as long each time; a good one, or a quarter of an hour, makes good. Of the main loop.
 */
Attempts *attempts_new(void);
void attempts_free(Attempts *attempts);

/*
 * One more try: microseconds until it may begin; attempts_end() ends it. -1: too many wait already, and it is no try at
 * all. What is under way counts as failed already, and each begins after the one before it, so that trying side by side
 * gains nothing.
 */
gint64 attempts_begin(Attempts *attempts, const char *peer, const char *name);
void attempts_end(Attempts *attempts, const char *peer, const char *name, gboolean good);
