/* SPDX-License-Identifier: Apache-2.0 */
/* How failed tries at signing on are slowed down. Nothing here waits: the waits are what is asked for. */
#include "sign_on_private.h"

#define FREE 3
#define SECOND G_USEC_PER_SEC

/* Whole seconds until one more try under the key may begin. */
static gint64 begin(Attempts *attempts, const char *key) {
  return (attempts_begin(attempts, key, FREE) + SECOND / 2) / SECOND;
}

static void fail(Attempts *attempts, const char *key, guint times) {
  for (guint i = 0; i < times; i++) {
    begin(attempts, key);
    attempts_end(attempts, key, FALSE);
  }
}

static void test_waits_double(void) {
  Attempts *attempts = attempts_new();
  fail(attempts, "a", FREE);
  gint64 sum = 0;
  for (gint64 wait = 1; wait <= 32; wait *= 2) {
    sum += MIN(wait, 30);
    g_assert_cmpint(begin(attempts, "a"), ==, sum); /* behind those that wait already */
  }
  g_assert_cmpint(begin(attempts, "b"), ==, 0);
  attempts_free(attempts);
}

static void test_good_one_makes_good(void) {
  Attempts *attempts = attempts_new();
  fail(attempts, "a", FREE + 2);
  attempts_begin(attempts, "a", FREE);
  attempts_end(attempts, "a", TRUE);
  g_assert_cmpint(begin(attempts, "a"), ==, 0);
  attempts_free(attempts);
}

/* Many names at once use up the places, and must not make the failures before them forgotten. */
static void test_flood_makes_none_forgotten(void) {
  Attempts *attempts = attempts_new();
  fail(attempts, "a", FREE);
  for (guint i = 0; i < 10000; i++) {
    g_autofree char *key = g_strdup_printf("flood %u", i);
    fail(attempts, key, 1);
  }
  g_assert_cmpint(begin(attempts, "a"), ==, 1);
  g_assert_cmpint(begin(attempts, "one that comes late"), >, 0);
  attempts_free(attempts);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/attempts/waits-double", test_waits_double);
  g_test_add_func("/attempts/good-one-makes-good", test_good_one_makes_good);
  g_test_add_func("/attempts/flood-makes-none-forgotten", test_flood_makes_none_forgotten);
  return g_test_run();
}
