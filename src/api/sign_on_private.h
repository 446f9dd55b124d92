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
  GHashTable *known; /* keyed hash of credentials, or token → who it is, and until when that is remembered */
  Attempts *attempts;
  GThreadPool *verifiers;
};

/* Verifies a password in a thread, after its wait; @then is called in the main loop. The strings are copied. */
void sign_on_verify(Call *call, const char *name, const char *password,
  void (*then)(Call *call, gboolean good, const char *name, gpointer data), gpointer data);

/* ---- attempts.c ---- */

#define ATTEMPTS_LONGEST_WAIT (30 * G_USEC_PER_SEC)

/*
 * Failed tries under a key, such as a name from one address. After some that are free each makes the next wait, twice
 * as long each time; a good one, or a quarter of an hour, makes good. Of the main loop.
 */
Attempts *attempts_new(void);
void attempts_free(Attempts *attempts);

/*
 * One more try: microseconds until it may begin. What is under way counts as failed already, and each begins after the
 * one before it, so that trying side by side gains nothing. Each is ended by attempts_end().
 */
gint64 attempts_begin(Attempts *attempts, const char *key, guint free_tries);
void attempts_end(Attempts *attempts, const char *key, gboolean good);
