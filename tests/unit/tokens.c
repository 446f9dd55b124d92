/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, with a clock that the test sets. */
#include <string.h>

#include "scratch.h"
#include "store_private.h"

#define START ((gint64)1700000000000)
#define SECONDS ((gint64)1000)
#define IDLE 1800
#define LIFE 36000
#define BINDING "hash and role"

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
  char *token = dm_store_token_new(store, user, BINDING, idle_seconds, LIFE, &error);
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
    dm_store_token_revoke(store, none[i]);
  }
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
  for (guint second = 0; second < 60; second++) {
    the_time = START + second * SECONDS;
    check_user(store, token, "admin@internal");
  }
  g_assert_cmpint(dm_store_token_expires(store, token), ==, START + IDLE * SECONDS); /* at most once a minute */
  the_time = START + 60 * SECONDS;
  check_user(store, token, "admin@internal");
  g_assert_cmpint(dm_store_token_expires(store, token), ==, the_time + IDLE * SECONDS);
  g_assert_cmpint(dm_store_token_expires(store, brief), ==, 0);

  /* One with a short idle time is renewed more often, or it would expire in use. */
  g_autofree char *used = new_token(store, "admin@internal", 50);
  gint64 end = the_time + 500 * SECONDS;
  for (; the_time < end; the_time += 7 * SECONDS)
    check_user(store, used, "admin@internal");
  g_assert_cmpint(dm_store_token_expires(store, used), ==, the_time - 7 * SECONDS + 50 * SECONDS);
  dm_store_free(g_steal_pointer(&store));
  store = open_store(scratch.path);
  g_assert_cmpint(dm_store_token_expires(store, used), ==, the_time - 7 * SECONDS + 50 * SECONDS);
}

static sqlite3 *open_other(const char *path) {
  sqlite3 *other = NULL;
  g_assert_cmpint(sqlite3_open(path, &other), ==, SQLITE_OK);
  return other;
}

/* While the database is locked tokens are still made, renewed and revoked at once, and written afterwards. */
static void test_locked(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path);
  g_autofree char *token = new_token(store, "admin@internal", IDLE), *old = new_token(store, "admin@internal", IDLE);
  g_assert_true(dm_store_flush(store, 10000));
  sqlite3 *other = open_other(scratch.path);
  g_assert_cmpint(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==, SQLITE_OK);
  the_time += 100 * SECONDS;
  check_user(store, token, "admin@internal");
  g_autofree char *newer = new_token(store, "v@internal", IDLE);
  dm_store_token_revoke(store, old);
  check_user(store, newer, "v@internal");
  check_user(store, old, NULL);
  g_assert_cmpint(dm_store_token_expires(store, token), ==, the_time + IDLE * SECONDS);
  g_assert_false(dm_store_flush(store, 300));
  g_assert_cmpint(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close(other);
  dm_store_free(g_steal_pointer(&store));
  store = open_store(scratch.path);
  check_user(store, newer, "v@internal");
  check_user(store, old, NULL);
  g_assert_cmpint(dm_store_token_expires(store, token), ==, the_time + IDLE * SECONDS);
}

static gboolean is_viewers(const char *user, const char *binding, gpointer data) {
  g_assert_cmpstr(binding, ==, data);
  return g_str_equal(user, "v@internal");
}

static gboolean is_bound(const char *user, const char *binding, gpointer data) {
  return g_str_equal(binding, data);
}

/* However it is used, and over a restart. */
static void test_ends(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path);
  g_autofree char *token = new_token(store, "admin@internal", IDLE), *idle = new_token(store, "v@internal", 2 * LIFE);
  g_assert_cmpint(dm_store_token_expires(store, idle), ==, START + LIFE * SECONDS);
  for (; the_time < START + LIFE * SECONDS; the_time += 100 * SECONDS) {
    check_user(store, token, "admin@internal");
    g_assert_cmpint(dm_store_token_expires(store, token), <=, START + LIFE * SECONDS);
    if (the_time == START + 18000 * SECONDS) {
      dm_store_free(g_steal_pointer(&store));
      store = open_store(scratch.path);
    }
  }
  check_user(store, token, NULL);
  check_user(store, idle, NULL);
}

/* One of a file that knows of neither binding nor end. */
static void test_of_before(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path);
  g_autofree char *token = new_token(store, "admin@internal", IDLE);
  dm_store_free(g_steal_pointer(&store));
  sqlite3 *other = open_other(scratch.path);
  g_assert_cmpint(
    sqlite3_exec(other,
      "ALTER TABLE token DROP COLUMN ends; ALTER TABLE token DROP COLUMN binding; PRAGMA user_version = 1", NULL, NULL,
      NULL),
    ==, SQLITE_OK);
  sqlite3_close(other);
  store = open_store(scratch.path);
  check_user(store, token, NULL);
  g_autofree char *newer = new_token(store, "admin@internal", IDLE);
  check_user(store, newer, "admin@internal");
}

static void test_kept(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path);
  g_autofree char *token = new_token(store, "admin@internal", IDLE);
  dm_store_token_keep(store, is_bound, (char *)BINDING);
  check_user(store, token, "admin@internal");
  dm_store_free(g_steal_pointer(&store));
  store = open_store(scratch.path);
  dm_store_token_keep(store, is_bound, (char *)BINDING);
  check_user(store, token, "admin@internal");
  dm_store_token_keep(store, is_bound, (char *)"another");
  check_user(store, token, NULL);
}

static void test_revoked(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path);
  g_autofree char *one = new_token(store, "admin@internal", IDLE), *two = new_token(store, "admin@internal", IDLE);
  g_autofree char *three = new_token(store, "admin@internal", IDLE), *viewer = new_token(store, "v@internal", IDLE);
  dm_store_token_revoke(store, one);
  check_user(store, one, NULL);
  check_user(store, two, "admin@internal");
  dm_store_token_keep(store, is_viewers, (char *)BINDING);
  for (guint restarts = 0; restarts < 2; restarts++) {
    check_user(store, one, NULL);
    check_user(store, two, NULL);
    check_user(store, three, NULL);
    check_user(store, viewer, "v@internal");
    dm_store_free(g_steal_pointer(&store));
    store = open_store(scratch.path);
  }
}

static guint count_rows(const char *path) {
  sqlite3_stmt *count = NULL;
  sqlite3 *other = open_other(path);
  g_assert_cmpint(sqlite3_prepare_v2(other, "SELECT count(*) FROM token", -1, &count, NULL), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_step(count), ==, SQLITE_ROW);
  guint rows = (guint)sqlite3_column_int(count, 0);
  sqlite3_finalize(count);
  sqlite3_close(other);
  return rows;
}

static void test_pruned(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path);
  g_autofree char *brief = new_token(store, "admin@internal", 50), *token = new_token(store, "admin@internal", IDLE);
  the_time += 50 * SECONDS;
  dm_store_prune(store, 0);
  g_assert_true(dm_store_flush(store, 10000));
  g_assert_cmpuint(count_rows(scratch.path), ==, 1);
  check_user(store, token, "admin@internal");
  the_time = START;
  check_user(store, brief, NULL);
}

/* A script that logs in and never out: the tokens that would expire first make room. */
static void test_too_many(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  the_time = START;
  g_autoptr(DmStore) store = open_store(scratch.path);
  g_autofree char *first = new_token(store, "admin@internal", IDLE), *second = NULL;
  the_time++;
  second = new_token(store, "admin@internal", IDLE);
  for (guint i = 0; i < 9999; i++)
    g_free(new_token(store, "v@internal", IDLE + 1));
  check_user(store, first, NULL);
  check_user(store, second, "admin@internal");
  g_assert_true(dm_store_flush(store, 10000));
  g_assert_cmpuint(count_rows(scratch.path), ==, 10000);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tokens/new", test_new);
  g_test_add_func("/tokens/none", test_none);
  g_test_add_func("/tokens/expires", test_expires);
  g_test_add_func("/tokens/renewed", test_renewed);
  g_test_add_func("/tokens/locked", test_locked);
  g_test_add_func("/tokens/ends", test_ends);
  g_test_add_func("/tokens/of-before", test_of_before);
  g_test_add_func("/tokens/kept", test_kept);
  g_test_add_func("/tokens/revoked", test_revoked);
  g_test_add_func("/tokens/pruned", test_pruned);
  g_test_add_func("/tokens/too-many", test_too_many);
  return g_test_run();
}
