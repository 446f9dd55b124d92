/* SPDX-License-Identifier: Apache-2.0 */
/* How failed tries at signing on are slowed down. Nothing here waits: the waits are what is asked for. */
#include "sign_on_private.h"

static Attempts *attempts;
static GPtrArray *open; /* Attempt that was begun, and not ended */

/* Whole seconds until one more try may begin; -1: it is not looked at. */
static gint64 begin(const char *network, const char *name) {
  gint64 wait = 0;
  Attempt *attempt = attempts_begin(attempts, network, name, G_MAXINT64, &wait);
  if (attempt == NULL)
    return -1;
  g_ptr_array_add(open, attempt);
  return (wait + G_USEC_PER_SEC / 2) / G_USEC_PER_SEC;
}

static void end_all(gboolean good) {
  for (guint i = 0; i < open->len; i++)
    attempts_end(open->pdata[i], good);
  g_ptr_array_set_size(open, 0);
}

static void try(const char *network, const char *name, gboolean good, guint times) {
  for (guint i = 0; i < times; i++) {
    g_assert_cmpint(begin(network, name), >=, 0);
    end_all(good);
  }
}

/* An attacker who guesses on, one try after the other; how long they would wait for the last. */
static gint64 guess(const char *network, const char *name, guint times) {
  gint64 wait = 0;
  for (guint i = 0; i < times; i++) {
    wait = begin(network, name);
    end_all(FALSE);
  }
  return wait;
}

static void test_waits_double(void) {
  try("p", "a", FALSE, 3);
  g_assert_cmpint(begin("p", "a"), ==, 1);
  g_assert_cmpint(begin("p", "a"), ==, 1 + 2); /* behind the one that waits already */
  g_assert_cmpint(begin("p", "a"), ==, 1 + 2 + 4);
  g_assert_cmpint(begin("p", "a"), ==, 1 + 2 + 4 + 8);
  g_assert_cmpint(begin("p", "a"), ==, 1 + 2 + 4 + 8 + 10);
  for (guint i = 0; i < 100; i++) /* and who is not looked at moves nothing */
    g_assert_cmpint(begin("p", "a"), ==, -1);
  end_all(TRUE);
  g_assert_cmpint(begin("p", "a"), ==, 0);
}

static void test_only_without_a_wait(void) {
  gint64 wait = -1;
  for (guint i = 0; i < 3; i++) {
    Attempt *attempt = attempts_begin(attempts, "p", "a", 0, &wait);
    g_assert_nonnull(attempt);
    g_assert_cmpint(wait, ==, 0);
    g_ptr_array_add(open, attempt);
  }
  g_assert_null(attempts_begin(attempts, "p", "a", 0, &wait));
  g_assert_cmpint(begin("p", "a"), ==, 1); /* the other was not counted */
}

static void test_names_and_networks_have_their_own(void) {
  try("p", "a", FALSE, 3);
  g_assert_cmpint(begin("p", "b"), ==, 0);
  g_assert_cmpint(begin("q", "a"), ==, 0);
}

static void test_many_names_of_one_network(void) {
  for (guint i = 0; i < 30; i++) {
    g_autofree char *name = g_strdup_printf("name %u", i);
    try("p", name, FALSE, 1);
  }
  g_assert_cmpint(begin("p", "another"), ==, 1);
  g_assert_cmpint(begin("p", "and another"), ==, 2);
  g_assert_cmpint(begin("q", "another"), ==, 0);
}

/* However many networks a guesser has, each once or often. */
static void test_many_networks_of_one_guesser(void) {
  for (guint i = 0; i < 30; i++) {
    g_autofree char *network = g_strdup_printf("network %u", i);
    try(network, "a", FALSE, 1);
  }
  g_assert_cmpint(begin("another", "a"), ==, 1);
  g_assert_cmpint(begin("and another", "a"), ==, 2);
  g_assert_cmpint(begin("another", "b"), ==, 0);
}

/* The used networks of a guesser do not get in the way of users from elsewhere. */
static void test_newcomer_passes_guessers(void) {
  for (guint i = 0; i < 9; i++) {
    g_autofree char *network = g_strdup_printf("network %u", i);
    try(network, "a", FALSE, 3);
    guess(network, "a", 10);
  }
  g_assert_cmpint(begin("elsewhere", "a"), ==, 0);
}

/* Who logged in from here before is not held up by anybody elsewhere. */
static void test_known_network_does_not_wait(void) {
  try("home", "a", TRUE, 1);
  for (guint i = 0; i < 500; i++) {
    g_autofree char *network = g_strdup_printf("network %u", i);
    guess(network, "a", 5);
  }
  for (guint i = 0; i < 100; i++) {
    g_autofree char *name = g_strdup_printf("name %u", i);
    guess("home", name, 5);
  }
  g_assert_cmpint(begin("elsewhere", "a"), !=, 0);
  end_all(FALSE);
  g_assert_cmpint(begin("home", "a"), ==, 0);
}

/* Behind a proxy that does not tell its clients apart: six that guess one behind the other leave room for a seventh. */
static void test_guessers_in_a_known_network(void) {
  try("proxy", "a", TRUE, 1);
  try("proxy", "a", FALSE, 3);
  for (guint i = 0; i < 6; i++)
    g_assert_cmpint(begin("proxy", "a"), >=, 0);
  gint64 wait = begin("proxy", "a");
  g_assert_cmpint(wait, >, 0);
  g_assert_cmpint(wait, <=, 15);
}

static void test_good_ones_never_count(void) {
  try("p", "a", TRUE, 1000);
  g_assert_cmpint(begin("p", "a"), ==, 0);
  end_all(TRUE);
  try("p", "a", FALSE, 4);
  try("p", "a", TRUE, 1);
  g_assert_cmpint(begin("p", "a"), ==, 0);
}

/* A guesser who has a password of their own. */
static void test_a_good_one_makes_good_for_itself_only(void) {
  for (guint i = 0; i < 29; i++) {
    g_autofree char *name = g_strdup_printf("name %u", i);
    try("p", name, FALSE, 1);
  }
  try("p", "victim", FALSE, 3);
  try("p", "own", TRUE, 5);
  g_assert_cmpint(begin("p", "victim"), >, 0);
  g_assert_cmpint(begin("p", "another"), >, 0);
}

/* Many at once use up the places, and must not make the failures before them forgotten. */
static void test_flood_makes_none_forgotten(void) {
  try("p", "a", FALSE, 3);
  for (guint i = 0; i < 10000; i++) {
    g_autofree char *network = g_strdup_printf("flood %u", i), *name = g_strdup_printf("b %u", i);
    guess(network, name, 1);
  }
  g_assert_cmpint(begin("p", "a"), ==, 1);
  g_assert_cmpint(begin("q", "c"), ==, 0); /* and who is new is not taken for one of them */
}

static void test(gconstpointer data) {
  attempts = attempts_new();
  open = g_ptr_array_new();
  ((void (*)(void))data)();
  end_all(FALSE);
  g_ptr_array_unref(open);
  attempts_free(attempts);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/attempts/waits-double", test_waits_double, test);
  g_test_add_data_func("/attempts/only-without-a-wait", test_only_without_a_wait, test);
  g_test_add_data_func("/attempts/names-and-networks-have-their-own", test_names_and_networks_have_their_own, test);
  g_test_add_data_func("/attempts/many-names-of-one-network", test_many_names_of_one_network, test);
  g_test_add_data_func("/attempts/many-networks-of-one-guesser", test_many_networks_of_one_guesser, test);
  g_test_add_data_func("/attempts/newcomer-passes-guessers", test_newcomer_passes_guessers, test);
  g_test_add_data_func("/attempts/known-network-does-not-wait", test_known_network_does_not_wait, test);
  g_test_add_data_func("/attempts/guessers-in-a-known-network", test_guessers_in_a_known_network, test);
  g_test_add_data_func("/attempts/good-ones-never-count", test_good_ones_never_count, test);
  g_test_add_data_func("/attempts/a-good-one-makes-good-for-itself", test_a_good_one_makes_good_for_itself_only, test);
  g_test_add_data_func("/attempts/flood-makes-none-forgotten", test_flood_makes_none_forgotten, test);
  return g_test_run();
}
