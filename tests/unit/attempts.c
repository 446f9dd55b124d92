/* SPDX-License-Identifier: Apache-2.0 */
/* How failed tries at signing on are slowed down. Nothing here waits: the waits are what is asked for. */
#include "sign_on_private.h"

/* Whole seconds until one more try may begin; -1: it is not looked at. */
static gint64 begin(Attempts *attempts, const char *peer, const char *name) {
  gint64 wait = attempts_begin(attempts, peer, name);
  return wait < 0 ? -1 : (wait + G_USEC_PER_SEC / 2) / G_USEC_PER_SEC;
}

static void try(Attempts *attempts, const char *peer, const char *name, gboolean good, guint times) {
  for (guint i = 0; i < times; i++) {
    g_assert_cmpint(begin(attempts, peer, name), >=, 0);
    attempts_end(attempts, peer, name, good);
  }
}

static void test_waits_double(void) {
  Attempts *attempts = attempts_new();
  try(attempts, "p", "a", FALSE, 3);
  g_assert_cmpint(begin(attempts, "p", "a"), ==, 1);
  g_assert_cmpint(begin(attempts, "p", "a"), ==, 1 + 2); /* behind the one that waits already */
  g_assert_cmpint(begin(attempts, "p", "a"), ==, 1 + 2 + 4);
  g_assert_cmpint(begin(attempts, "p", "a"), ==, 1 + 2 + 4 + 8);
  for (guint i = 0; i < 100; i++) /* and who is not looked at moves nothing */
    g_assert_cmpint(begin(attempts, "p", "a"), ==, -1);
  for (guint i = 0; i < 4; i++)
    attempts_end(attempts, "p", "a", TRUE);
  g_assert_cmpint(begin(attempts, "p", "a"), ==, 0);
  attempts_free(attempts);
}

static void test_names_and_addresses_have_their_own(void) {
  Attempts *attempts = attempts_new();
  try(attempts, "p", "a", FALSE, 3);
  g_assert_cmpint(begin(attempts, "p", "b"), ==, 0);
  g_assert_cmpint(begin(attempts, "q", "a"), ==, 0);
  attempts_free(attempts);
}

static void test_many_names_of_one_address(void) {
  Attempts *attempts = attempts_new();
  for (guint i = 0; i < 30; i++) {
    g_autofree char *name = g_strdup_printf("name %u", i);
    try(attempts, "p", name, FALSE, 1);
  }
  g_assert_cmpint(begin(attempts, "p", "another"), ==, 1);
  g_assert_cmpint(begin(attempts, "q", "another"), ==, 0);
  attempts_free(attempts);
}

static void test_good_ones_never_count(void) {
  Attempts *attempts = attempts_new();
  try(attempts, "p", "a", TRUE, 1000);
  g_assert_cmpint(begin(attempts, "p", "a"), ==, 0);
  attempts_end(attempts, "p", "a", TRUE);
  try(attempts, "p", "a", FALSE, 4);
  try(attempts, "p", "a", TRUE, 1);
  g_assert_cmpint(begin(attempts, "p", "a"), ==, 0);
  attempts_free(attempts);
}

/* Many addresses at once use up the places, and must not make the failures before them forgotten. */
static void test_flood_makes_none_forgotten(void) {
  Attempts *attempts = attempts_new();
  try(attempts, "p", "a", FALSE, 3);
  for (guint i = 0; i < 10000; i++) {
    g_autofree char *peer = g_strdup_printf("flood %u", i);
    if (begin(attempts, peer, "a") >= 0)
      attempts_end(attempts, peer, "a", FALSE);
  }
  g_assert_cmpint(begin(attempts, "p", "a"), ==, 1);
  attempts_free(attempts);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/attempts/waits-double", test_waits_double);
  g_test_add_func("/attempts/names-and-addresses-have-their-own", test_names_and_addresses_have_their_own);
  g_test_add_func("/attempts/many-names-of-one-address", test_many_names_of_one_address);
  g_test_add_func("/attempts/good-ones-never-count", test_good_ones_never_count);
  g_test_add_func("/attempts/flood-makes-none-forgotten", test_flood_makes_none_forgotten);
  return g_test_run();
}
