/* SPDX-License-Identifier: Apache-2.0 */
#include "sign_on_private.h"

#define FREE_TRIES 3          /* of one name from one address */
#define FREE_TRIES_OF_PEER 30 /* of any names from one address: who tries many is slowed down as well */
#define LONGEST_WAIT (30 * G_USEC_PER_SEC)
#define FORGIVE (15 * 60 * G_USEC_PER_SEC)
#define MOST_KEYS 4096

/* The key that all share who come when every place is taken: a flood of names must not make others forgotten. */
#define SHARED ""

typedef struct {
  guint count, under_way;
  gint64 last, next; /* monotonic: the last try; when the next may begin */
} Failures;

struct Attempts {
  GHashTable *failures; /* "address name" or "address" → Failures */
};

static char *key_of(const char *peer, const char *name) {
  return g_strdup_printf("%s %s", peer, name);
}

static gboolean is_forgiven(gpointer key, gpointer value, gpointer data) {
  const Failures *failures = value;
  return failures->under_way == 0 && g_get_monotonic_time() - failures->last > FORGIVE;
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
  failures->last = g_get_monotonic_time();
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

/* When one more try may begin. */
static gint64 next_turn(const Failures *failures, guint free_tries, gint64 now) {
  guint tries = failures->count + failures->under_way;
  if (tries < free_tries)
    return now;
  return MAX(failures->next, now) + MIN((1 << MIN(tries - free_tries, 5)) * G_USEC_PER_SEC, LONGEST_WAIT);
}

static void take_turn(Failures *failures, gint64 turn, gint64 now) {
  failures->under_way++;
  failures->last = now;
  if (turn > now)
    failures->next = turn;
}

gint64 attempts_begin(Attempts *attempts, const char *peer, const char *name) {
  g_autofree char *key = key_of(peer, name);
  Failures *of_name = make_failures(attempts, key), *of_peer = make_failures(attempts, peer);
  gint64 now = g_get_monotonic_time();
  gint64 name_turn = next_turn(of_name, FREE_TRIES, now), peer_turn = next_turn(of_peer, FREE_TRIES_OF_PEER, now);
  gint64 wait = MAX(name_turn, peer_turn) - now;
  if (wait > LONGEST_WAIT)
    return -1;
  take_turn(of_name, name_turn, now);
  take_turn(of_peer, peer_turn, now);
  return wait;
}

static void end_turn(Attempts *attempts, const char *key, gboolean good) {
  Failures *failures = g_hash_table_lookup(attempts->failures, key);
  if (failures == NULL)
    failures = g_hash_table_lookup(attempts->failures, SHARED);
  if (failures == NULL)
    return;
  failures->under_way -= failures->under_way > 0;
  failures->count = good ? 0 : failures->count + 1;
  failures->next = good ? 0 : failures->next;
  failures->last = g_get_monotonic_time();
}

void attempts_end(Attempts *attempts, const char *peer, const char *name, gboolean good) {
  g_autofree char *key = key_of(peer, name);
  end_turn(attempts, key, good);
  end_turn(attempts, peer, good);
}
