/* SPDX-License-Identifier: Apache-2.0 */
#include "sign_on_private.h"

#define MOST_KEYS 4096
#define FORGIVE (15 * 60 * G_USEC_PER_SEC)

/* The key that all share who come when every place is taken: a flood of names must not make others forgotten. */
#define SHARED ""

typedef struct {
  guint count, under_way;
  gint64 last, next; /* monotonic: the last try; when the next may begin */
} Failures;

struct Attempts {
  GHashTable *failures; /* key → Failures */
};

static gboolean is_forgiven(gpointer key, gpointer value, gpointer data) {
  const Failures *failures = value;
  return failures->under_way == 0 && g_get_monotonic_time() - failures->last > FORGIVE;
}

static Failures *find_failures(Attempts *attempts, const char *key) {
  Failures *failures = g_hash_table_lookup(attempts->failures, key);
  return failures != NULL ? failures : g_hash_table_lookup(attempts->failures, SHARED);
}

static Failures *make_failures(Attempts *attempts, const char *key) {
  Failures *failures = g_hash_table_lookup(attempts->failures, key);
  if (failures != NULL && !is_forgiven(NULL, failures, NULL))
    return failures;
  if (g_hash_table_size(attempts->failures) >= MOST_KEYS)
    g_hash_table_foreach_remove(attempts->failures, is_forgiven, NULL);
  if (g_hash_table_size(attempts->failures) >= MOST_KEYS && !g_str_equal(key, SHARED))
    return make_failures(attempts, SHARED);
  failures = g_new0(Failures, 1);
  g_hash_table_replace(attempts->failures, g_strdup(key), failures);
  return failures;
}

Attempts *attempts_new(void) {
  Attempts *attempts = g_new(Attempts, 1);
  attempts->failures = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  return attempts;
}

void attempts_free(Attempts *attempts) {
  g_hash_table_unref(attempts->failures);
  g_free(attempts);
}

gint64 attempts_begin(Attempts *attempts, const char *key, guint free_tries) {
  Failures *failures = make_failures(attempts, key);
  gint64 now = g_get_monotonic_time();
  guint tries = failures->count + failures->under_way;
  failures->under_way++;
  failures->last = now;
  if (tries < free_tries)
    return 0;
  gint64 wait = MIN((1 << MIN(tries - free_tries, 5)) * G_USEC_PER_SEC, ATTEMPTS_LONGEST_WAIT);
  failures->next = MAX(failures->next, now) + wait;
  return failures->next - now;
}

void attempts_end(Attempts *attempts, const char *key, gboolean good) {
  Failures *failures = find_failures(attempts, key);
  if (failures == NULL)
    return;
  failures->under_way -= failures->under_way > 0;
  failures->count = good ? 0 : failures->count + 1;
  failures->next = good ? 0 : failures->next;
  failures->last = g_get_monotonic_time();
}
