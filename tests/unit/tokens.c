/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, with a clock that the test sets. */
#include <string.h>

#include "scratch.h"
#include "store_private.h"

#define START ((gint64)1700000000000)
#define SECONDS ((gint64)1000)
#define IDLE 1800

static gint64 the_time;

static gint64 test_clock(void) {
  return the_time;
}

static DmStore *open_store(const char *path) {
  g_autoptr(GError) error = NULL;
  DmStore *store = dm_store_open(path, &error);
  g_assert_no_error(error);
  store->now = test_clock;
  return store;
}

static char *new_token(DmStore *store, const char *user, guint idle_seconds) {
  g_autoptr(GError) error = NULL;
  char *token = dm_store_token_new(store, user, idle_seconds, &error);
  g_assert_no_error(error);
  g_assert_nonnull(token);
  return token;
}

static void check_user(DmStore *store, const char *token, const char *expected) {
  g_autofree char *user = dm_store_token_user(store, token);
  g_assert_cmpstr(user, ==, expected);
}

static void test_new(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path);
  g_autofree char *token = new_token(store, "admin@internal", IDLE);
  g_autofree char *other = new_token(store, "jos\xc3\xa9@internal", IDLE);
  g_assert_cmpuint(strlen(token), ==, 86); /* 64 bytes in base64 without padding */
  g_assert_cmpuint(
    strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), ==, strlen(token));
  g_assert_cmpstr(token, !=, other);
  check_user(store, token, "admin@internal");
  check_user(store, other, "jos\xc3\xa9@internal");
  g_assert_cmpint(dm_store_token_expires(store, token), ==, START + IDLE * SECONDS);
  dm_store_free(g_steal_pointer(&store));

  /* It holds after a restart, and does not stand in the file. */
  g_autofree char *file = NULL;
  gsize size = 0;
  g_assert_true(g_file_get_contents(scratch.path, &file, &size, NULL));
  g_assert_null(memmem(file, size, token, strlen(token)));
  store = open_store(scratch.path);
  check_user(store, token, "admin@internal");
}

static void test_none(void) {
  the_time = START;
  g_autoptr(DmStore) store = open_store(":memory:");
  g_autofree char *token = new_token(store, "admin@internal", IDLE);
  g_autofree char *longer = g_strconcat(token, "A", NULL), *shorter = g_strndup(token, 85);
  const char *const none[] = {NULL, "", "x", "' OR 1 = 1 --", longer, shorter, "\xff\xfe"};
  for (gsize i = 0; i < G_N_ELEMENTS(none); i++) {
    check_user(store, none[i], NULL);
    g_assert_cmpint(dm_store_token_expires(store, none[i]), ==, 0);
    g_assert_true(dm_store_token_revoke(store, none[i], NULL));
  }
  g_assert_true(dm_store_token_revoke_user(store, "nobody@internal", NULL));
  check_user(store, token, "admin@internal");
}

static void test_expires(void) {
  the_time = START;
  g_autoptr(DmStore) store = open_store(":memory:");
  g_autofree char *token = new_token(store, "admin@internal", IDLE), *at_once = new_token(store, "admin@internal", 0);
  check_user(store, at_once, NULL);
  the_time = START + IDLE * SECONDS - 1;
  g_assert_cmpint(dm_store_token_expires(store, token), ==, START + IDLE * SECONDS);
  the_time++;
  g_assert_cmpint(dm_store_token_expires(store, token), ==, 0);
  check_user(store, token, NULL);
  the_time = START; /* the clock was set back: it was not used up by that */
  check_user(store, token, "admin@internal");
}

static void test_renewed(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path);
  g_autofree char *token = new_token(store, "admin@internal", IDLE), *brief = new_token(store, "admin@internal", 50);
  int before = sqlite3_total_changes(store->db);
  for (guint second = 0; second < 60; second++) {
    the_time = START + second * SECONDS;
    check_user(store, token, "admin@internal");
  }
  g_assert_cmpint(sqlite3_total_changes(store->db), ==, before); /* at most once a minute */
  the_time = START + 60 * SECONDS;
  check_user(store, token, "admin@internal");
  g_assert_cmpint(sqlite3_total_changes(store->db), ==, before + 1);
  g_assert_cmpint(dm_store_token_expires(store, token), ==, the_time + IDLE * SECONDS);
  g_assert_cmpint(dm_store_token_expires(store, brief), ==, 0);

  /* One with a short idle time is written more often, or it would expire in use. */
  g_autofree char *used = new_token(store, "admin@internal", 50);
  gint64 end = the_time + 500 * SECONDS;
  for (; the_time < end; the_time += 7 * SECONDS)
    check_user(store, used, "admin@internal");
  g_assert_cmpint(dm_store_token_expires(store, used), ==, the_time - 7 * SECONDS + 50 * SECONDS);
  dm_store_free(g_steal_pointer(&store));
  store = open_store(scratch.path);
  g_assert_cmpint(dm_store_token_expires(store, used), ==, the_time - 7 * SECONDS + 50 * SECONDS);
}

/* A token holds while the database is locked or full, and a renewal does not wait for it. */
static void test_not_renewed(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path), other = open_store(scratch.path);
  g_autoptr(GError) error = NULL;
  g_autofree char *token = new_token(store, "admin@internal", IDLE);
  gint64 began = g_get_monotonic_time();
  g_assert_true(store_begin(other, NULL));
  the_time += 100 * SECONDS;
  check_user(store, token, "admin@internal");
  g_assert_cmpint(g_get_monotonic_time() - began, <, STORE_BUSY_MS * 1000 / 2);
  g_assert_cmpint(dm_store_token_expires(store, token), ==, START + IDLE * SECONDS);

  /* That a token could not be revoked has to be told. */
  sqlite3_busy_timeout(store->db, 0);
  g_assert_false(dm_store_token_revoke(store, token, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
  g_clear_error(&error);
  g_assert_false(dm_store_token_revoke_user(store, "admin@internal", &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
  g_clear_error(&error);
  g_assert_null(dm_store_token_new(store, "admin@internal", IDLE, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
  g_assert_true(store_end(other, TRUE, NULL));
  check_user(store, token, "admin@internal");
  g_assert_cmpint(dm_store_token_expires(store, token), ==, the_time + IDLE * SECONDS);
}

static void test_revoked(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path), other = open_store(scratch.path);
  g_autofree char *one = new_token(store, "admin@internal", IDLE), *two = new_token(store, "admin@internal", IDLE);
  g_autofree char *three = new_token(store, "admin@internal", IDLE), *viewer = new_token(store, "v@internal", IDLE);
  g_assert_true(dm_store_token_revoke(store, one, NULL));
  check_user(store, one, NULL);
  check_user(store, two, "admin@internal");
  /* Another process's revoking counts at once. */
  g_assert_true(dm_store_token_revoke_user(other, "admin@internal", NULL));
  check_user(store, two, NULL);
  check_user(store, three, NULL);
  check_user(store, viewer, "v@internal");
}

static void test_pruned(void) {
  the_time = START;
  g_autoptr(DmStore) store = open_store(":memory:");
  g_autofree char *brief = new_token(store, "admin@internal", 50), *token = new_token(store, "admin@internal", IDLE);
  the_time += 50 * SECONDS;
  int before = sqlite3_total_changes(store->db);
  g_assert_true(dm_store_prune(store, 0, NULL));
  g_assert_cmpint(sqlite3_total_changes(store->db), ==, before + 1);
  check_user(store, token, "admin@internal");
  the_time = START;
  check_user(store, brief, NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tokens/new", test_new);
  g_test_add_func("/tokens/none", test_none);
  g_test_add_func("/tokens/expires", test_expires);
  g_test_add_func("/tokens/renewed", test_renewed);
  g_test_add_func("/tokens/not-renewed", test_not_renewed);
  g_test_add_func("/tokens/revoked", test_revoked);
  g_test_add_func("/tokens/pruned", test_pruned);
  return g_test_run();
}
