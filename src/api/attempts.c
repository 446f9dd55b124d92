/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How guessing is slowed down without locking out the right password
 * ==================================================================
 *
 * An attempt is queued in several lanes. A lane allows some failures, then starts its attempts one after the other,
 * doubling the delay each time, up to the lane's maximum. The lanes are:
 *
 *   pair     one name from one network: the limit of a single attacker
 *   network  all names from one network: an attacker who tries many names
 *   name     one name from all networks: an attacker with many networks. Networks with free attempts left for that
 *            name have a lane of their own, so that the attackers' used ones do not delay a new client
 *
 * A network that has sent the right password of a name is known: attempts from there are queued only in their pair's
 * lane, and a shorter one. So attacks from elsewhere do not affect users who log in from their usual network, and those
 * from the same network (behind a proxy that does not name its clients) only a little.
 *
 * A success resets its pair only: otherwise an attacker with an account could log in now and then to reset the others.
 * Other lanes reset after a quarter of an hour without a failure.
 */
#include "sign_on_private.h"

#define LONGEST_WAIT (30 * G_TIME_SPAN_SECOND)
#define FORGIVE (15 * G_TIME_SPAN_MINUTE)
#define KNOWN_FOR (30 * G_TIME_SPAN_DAY)
#define MOST_LANES 8192
#define MOST_KNOWN 1024
#define MOST_NAME 255 /* no user has a longer one */

typedef struct {
  guint free_tries;
  gint64 longest;
} Pace;

static const Pace of_pair = {3, 10 * G_TIME_SPAN_SECOND}, of_known_pair = {3, 2 * G_TIME_SPAN_SECOND};
static const Pace of_network = {30, G_TIME_SPAN_SECOND};
static const Pace of_new_to_name = {30, G_TIME_SPAN_SECOND}, of_name = {30, 4 * G_TIME_SPAN_SECOND};

/* Failures, and attempts under way that may become failures. */
typedef struct {
  guint count, under_way;
  gint64 last, next; /* monotonic: the last failure; when the next attempt may start */
} Lane;

struct Attempts {
  GHashTable *lanes; /* key → Lane */
  GHashTable *known; /* key of a pair → gint64, monotonic: the last success */
};

struct Attempt {
  Attempts *attempts;
  char *pair; /* key */
  Lane *lanes[3];
  gint64 turns[3]; /* monotonic */
  guint count;     /* of lanes */
};

/* ---- lanes ---- */

static char *key_of(const char *kind, const char *network, const char *name) {
  return g_strdup_printf("%s\n%s\n%.*s", kind, network, MOST_NAME, name);
}

static gboolean is_forgiven(gpointer key, gpointer value, gpointer data) {
  const Lane *lane = value;
  return lane->under_way == 0 && g_get_monotonic_time() - lane->last > FORGIVE;
}

/* When full, drops the one with the fewest failures, of these the oldest: a flood of names or networks only evicts
 * itself. */
static void make_room(GHashTable *lanes) {
  GHashTableIter iter;
  gpointer key, value, worst = NULL;
  const Lane *least = NULL;
  if (g_hash_table_size(lanes) < MOST_LANES)
    return;
  g_hash_table_foreach_remove(lanes, is_forgiven, NULL);
  if (g_hash_table_size(lanes) < MOST_LANES)
    return;
  g_hash_table_iter_init(&iter, lanes);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    const Lane *lane = value;
    if (lane->under_way > 0)
      continue;
    if (least == NULL || lane->count < least->count || (lane->count == least->count && lane->last < least->last)) {
      least = lane;
      worst = key;
    }
  }
  if (worst != NULL)
    g_hash_table_remove(lanes, worst);
}

static Lane *find_lane(Attempts *attempts, const char *key) {
  Lane *lane = g_hash_table_lookup(attempts->lanes, key);
  if (lane != NULL && !is_forgiven(NULL, lane, NULL))
    return lane;
  make_room(attempts->lanes);
  lane = g_new0(Lane, 1);
  lane->last = g_get_monotonic_time();
  g_hash_table_replace(attempts->lanes, g_strdup(key), lane);
  return lane;
}

static gboolean is_known(Attempts *attempts, const char *pair) {
  const gint64 *last = g_hash_table_lookup(attempts->known, pair);
  return last != NULL && g_get_monotonic_time() - *last < KNOWN_FOR;
}

static void make_known(Attempts *attempts, const char *pair) {
  GHashTableIter iter;
  gpointer key, value, oldest = NULL;
  gint64 now = g_get_monotonic_time();
  if (g_hash_table_size(attempts->known) >= MOST_KNOWN && !g_hash_table_contains(attempts->known, pair)) {
    gint64 first = G_MAXINT64;
    g_hash_table_iter_init(&iter, attempts->known);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
      if (*(gint64 *)value < first) {
        first = *(gint64 *)value;
        oldest = key;
      }
    }
    g_hash_table_remove(attempts->known, oldest);
  }
  g_hash_table_replace(attempts->known, g_strdup(pair), g_memdup2(&now, sizeof now));
}

Attempts *attempts_new(void) {
  Attempts *attempts = g_new(Attempts, 1);
  attempts->lanes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  attempts->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  return attempts;
}

void attempts_free(Attempts *attempts) {
  g_hash_table_unref(attempts->lanes);
  g_hash_table_unref(attempts->known);
  g_free(attempts);
}

/* ---- an attempt ---- */

static gboolean is_free(const Lane *lane, const Pace *pace) {
  return lane->count + lane->under_way < pace->free_tries;
}

static gint64 next_turn(const Lane *lane, const Pace *pace, gint64 now) {
  if (is_free(lane, pace))
    return now;
  guint beyond = lane->count + lane->under_way - pace->free_tries;
  return MAX(lane->next, now) + MIN((1 << MIN(beyond, 5)) * G_TIME_SPAN_SECOND, pace->longest);
}

static void join(Attempt *attempt, Lane *lane, const Pace *pace, gint64 now) {
  attempt->lanes[attempt->count] = lane;
  attempt->turns[attempt->count] = next_turn(lane, pace, now);
  lane->under_way++;
  attempt->count++;
}

static void join_lanes(Attempt *attempt, const char *network, const char *name, gint64 now) {
  Attempts *attempts = attempt->attempts;
  Lane *pair = find_lane(attempts, attempt->pair);
  gboolean is_new = is_free(pair, &of_pair);
  if (is_known(attempts, attempt->pair)) {
    join(attempt, pair, &of_known_pair, now);
    return;
  }
  g_autofree char *of_all = key_of("network", network, ""), *of_any = key_of(is_new ? "new" : "name", "", name);
  join(attempt, pair, &of_pair, now);
  join(attempt, find_lane(attempts, of_all), &of_network, now);
  join(attempt, find_lane(attempts, of_any), is_new ? &of_new_to_name : &of_name, now);
}

static void leave(Attempt *attempt) {
  for (guint i = 0; i < attempt->count; i++)
    attempt->lanes[i]->under_way--;
  g_free(attempt->pair);
  g_free(attempt);
}

Attempt *attempts_begin(Attempts *attempts, const char *network, const char *name, gint64 most, gint64 *wait) {
  gint64 now = g_get_monotonic_time(), turn = now;
  Attempt *attempt = g_new0(Attempt, 1);
  attempt->attempts = attempts;
  attempt->pair = key_of("pair", network, name);
  join_lanes(attempt, network, name, now);
  for (guint i = 0; i < attempt->count; i++)
    turn = MAX(turn, attempt->turns[i]);
  if (turn - now > MIN(most, LONGEST_WAIT)) {
    leave(attempt);
    return NULL;
  }
  for (guint i = 0; i < attempt->count; i++) {
    if (attempt->turns[i] > now)
      attempt->lanes[i]->next = attempt->turns[i];
  }
  *wait = turn - now;
  return attempt;
}

void attempts_end(Attempt *attempt, gboolean good) {
  if (attempt == NULL)
    return;
  gint64 now = g_get_monotonic_time();
  for (guint i = 0; i < attempt->count && !good; i++) {
    attempt->lanes[i]->count++;
    attempt->lanes[i]->last = now;
  }
  if (good) {
    attempt->lanes[0]->count = 0;
    attempt->lanes[0]->next = 0;
    make_known(attempt->attempts, attempt->pair);
  }
  leave(attempt);
}
