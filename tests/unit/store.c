/* SPDX-License-Identifier: Apache-2.0 */
/* The file and its refusals, events, and when VMs were first seen; tokens are in tokens.c. */
#include "store/store.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "store_private.h"

static DmStore *open_well(const char *path) {
  g_autoptr(GError) error = NULL;
  DmStore *store = dm_store_open(path, &error);
  g_assert_no_error(error);
  g_assert_nonnull(store);
  return store;
}

static gint64 add(DmStore *store, const char *text, gint64 time) {
  g_autoptr(GError) error = NULL;
  DmAuditEvent event = {.code = 1, .time = time, .text = (char *)text};
  g_assert_true(dm_store_add_event(store, &event, &error));
  g_assert_no_error(error);
  return event.id;
}

static void sql(DmStore *store, const char *text) {
  g_assert_cmpint(sqlite3_exec(store->db, text, NULL, NULL, NULL), ==, SQLITE_OK);
}

static gboolean collect(const DmAuditEvent *event, gpointer data) {
  g_string_append_printf(data, "%" G_GINT64_FORMAT "=%s ", event->id, event->text);
  return TRUE;
}

static void check_events(DmStore *store, gint64 from, gboolean oldest_first, const char *expected) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GString) text = g_string_new(NULL);
  g_assert_true(dm_store_each_event(store, from, oldest_first, collect, text, &error));
  g_assert_no_error(error);
  g_assert_cmpstr(text->str, ==, expected);
}

/* @expected: with PATH for the path. */
static void check_refused(const char *path, const char *expected) {
  g_autoptr(GError) error = NULL;
  g_assert_null(dm_store_open(path, &error));
  check_error(&error, DM_ERROR_FAILED, expected, path);
  g_assert_null(dm_store_open(path, NULL));
}

static void test_severity(void) {
  g_assert_cmpstr(dm_severity_name(DM_SEVERITY_NORMAL), ==, "normal");
  g_assert_cmpstr(dm_severity_name(DM_SEVERITY_WARNING), ==, "warning");
  g_assert_cmpstr(dm_severity_name(DM_SEVERITY_ERROR), ==, "error");
  g_assert_cmpstr(dm_severity_name(DM_SEVERITY_ALERT), ==, "alert");
  g_assert_cmpstr(dm_severity_name((DmSeverity)7), ==, "normal");
}

/* Everything of an event comes back from the file, in another DmStore too. */
static void test_event_whole(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmAuditEvent) whole = g_new0(DmAuditEvent, 1);
  *whole =
    (DmAuditEvent){0, 2010, DM_SEVERITY_ALERT, 1234567890123, g_strdup("caf\xc3\xa9 <&> 'x'; --"), g_strdup("vm-id"),
      g_strdup("web1"), g_strdup("host-id"), g_strdup("host1"), g_strdup("admin@internal"), g_strdup("corr-1")};
  DmAuditEvent bare = {.code = -3};
  g_autoptr(DmStore) store = open_well(scratch.path);
  g_assert_true(dm_store_add_event(store, whole, NULL));
  gint64 before = g_get_real_time() / 1000;
  g_assert_true(dm_store_add_event(store, &bare, NULL));
  g_assert_cmpint(whole->id, ==, 1);
  g_assert_cmpint(bare.id, ==, 2);
  g_assert_cmpint(bare.time, >=, before);
  g_assert_cmpint(bare.time, <=, g_get_real_time() / 1000);
  dm_store_free(g_steal_pointer(&store));

  store = open_well(scratch.path);
  g_autoptr(GError) error = NULL;
  g_autoptr(DmAuditEvent) found = dm_store_find_event(store, 1, &error), found_bare = NULL;
  g_assert_cmpint(found->id, ==, 1);
  g_assert_cmpint(found->code, ==, 2010);
  g_assert_cmpint(found->severity, ==, DM_SEVERITY_ALERT);
  g_assert_cmpint(found->time, ==, 1234567890123);
  g_assert_cmpstr(found->text, ==, whole->text);
  g_assert_cmpstr(found->vm_id, ==, "vm-id");
  g_assert_cmpstr(found->vm_name, ==, "web1");
  g_assert_cmpstr(found->host_id, ==, "host-id");
  g_assert_cmpstr(found->host_name, ==, "host1");
  g_assert_cmpstr(found->user, ==, "admin@internal");
  g_assert_cmpstr(found->correlation_id, ==, "corr-1");
  found_bare = dm_store_find_event(store, 2, &error);
  g_assert_cmpint(found_bare->code, ==, -3);
  g_assert_cmpint(found_bare->time, ==, bare.time);
  g_assert_true(found_bare->text == NULL && found_bare->vm_id == NULL && found_bare->vm_name == NULL &&
    found_bare->host_id == NULL && found_bare->host_name == NULL && found_bare->user == NULL &&
    found_bare->correlation_id == NULL);
  g_assert_null(dm_store_find_event(store, 3, &error));
  g_assert_null(dm_store_find_event(store, -1, &error));
  g_assert_no_error(error);
  dm_audit_event_free(NULL);
}

typedef struct {
  DmStore *store;
  guint seen, most;
} Stop;

static gboolean stop_after(const DmAuditEvent *event, gpointer data) {
  Stop *stop = data;
  /* The store may be used in here: the same listing, and adding to what is listed. */
  g_autoptr(DmAuditEvent) same = dm_store_find_event(stop->store, event->id, NULL);
  g_assert_cmpstr(same->text, ==, event->text);
  if (stop->seen == 0) {
    check_events(stop->store, 3, TRUE, "4=d ");
    check_events(stop->store, 3, FALSE, "4=d ");
    add(stop->store, "added in the middle", 1);
  }
  return ++stop->seen < stop->most;
}

static void test_order(void) {
  g_autoptr(DmStore) store = open_well(":memory:");
  g_autoptr(GError) error = NULL;
  check_events(store, 0, TRUE, "");
  add(store, "a", 400); /* its time does not matter for the order */
  add(store, "b", 300);
  add(store, "c", 200);
  add(store, "d", 100);
  check_events(store, 0, TRUE, "1=a 2=b 3=c 4=d ");
  check_events(store, 0, FALSE, "4=d 3=c 2=b 1=a ");
  check_events(store, 2, TRUE, "3=c 4=d ");
  check_events(store, 2, FALSE, "4=d 3=c ");
  check_events(store, 4, TRUE, "");
  check_events(store, -5, FALSE, "4=d 3=c 2=b 1=a ");
  check_events(store, G_MAXINT64, TRUE, "");

  Stop stop = {store, 0, 2};
  g_assert_true(dm_store_each_event(store, 0, FALSE, stop_after, &stop, &error));
  g_assert_cmpuint(stop.seen, ==, 2);
  check_events(store, 3, TRUE, "4=d 5=added in the middle ");
}

/* An id is never given again: clients remember the last they have seen. */
static void test_ids_grow(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  add(store, "a", 100);
  add(store, "b", 200);
  add(store, "c", 300);
  g_assert_true(dm_store_prune(store, 200, NULL));
  check_events(store, 0, TRUE, "2=b 3=c ");
  g_assert_true(dm_store_prune(store, G_MAXINT64, NULL));
  check_events(store, 0, TRUE, "");
  dm_store_free(g_steal_pointer(&store));
  store = open_well(scratch.path);
  g_assert_cmpint(add(store, "d", 400), ==, 4);
}

static void test_first_seen(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path), other = NULL;
  gint64 first = dm_store_first_seen(store, "vm-0"), start = g_get_monotonic_time();
  g_assert_cmpint(first, >, 1600000000000);
  for (guint i = 0; i < 10000; i++) {
    g_autofree char *id = g_strdup_printf("%08x-0000-4000-8000-000000000000", i);
    dm_store_first_seen(store, id);
  }
  g_assert_cmpint(g_get_monotonic_time() - start, <, G_USEC_PER_SEC); /* 10 ms; more with a sanitizer */
  g_assert_cmpuint(store->unwritten->len, <, 1000);                   /* the others are written already */
  g_assert_true(dm_store_flush(store, NULL));
  g_assert_cmpuint(store->unwritten->len, ==, 0);
  g_assert_true(dm_store_flush(store, NULL));
  sql(store, "UPDATE vm SET first_seen = 1234 WHERE id = 'vm-0'");
  g_assert_cmpint(dm_store_first_seen(store, "vm-0"), ==, first); /* read once only */

  /* Another process's earlier time stays in the file. */
  dm_store_first_seen(store, "vm-1");
  other = open_well(scratch.path);
  g_assert_cmpint(dm_store_first_seen(other, "vm-0"), ==, 1234);
  sql(other, "INSERT INTO vm VALUES ('vm-1', 77)");
  dm_store_free(g_steal_pointer(&other));
  dm_store_first_seen(store, "vm-2");
  dm_store_free(g_steal_pointer(&store)); /* flushes */
  store = open_well(scratch.path);
  g_assert_cmpint(dm_store_first_seen(store, "vm-1"), ==, 77);
  g_assert_cmpuint(store->unwritten->len, ==, 0);
  dm_store_first_seen(store, "vm-2");
  g_assert_cmpuint(store->unwritten->len, ==, 0);
  dm_store_free(NULL);
}

static void test_mode(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  mode_t mask = umask(0);
  g_autoptr(DmStore) store = open_well(scratch.path);
  umask(mask);
  add(store, "a", 1);
  static const char *const suffixes[] = {"", "-wal", "-shm"};
  for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++) {
    g_autofree char *path = g_strconcat(scratch.path, suffixes[i], NULL);
    struct stat file;
    g_assert_cmpint(stat(path, &file), ==, 0);
    g_assert_cmpint(file.st_mode & 07777, ==, 0600);
  }
}

static void test_refused(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  scratch_write(&scratch, "This is no database. This is no database. This is no database.", 0600);
  check_refused(
    scratch.path, "cannot read the database PATH: file is not a database; move the file away, and a new one is made");
  scratch_check(&scratch, "This is no database. This is no database. This is no database.");

  scratch_write(&scratch, "", 0600); /* what a crash right at the start leaves */
  g_autoptr(DmStore) store = open_well(scratch.path);
  sql(store, "PRAGMA user_version = 7");
  dm_store_free(g_steal_pointer(&store));
  check_refused(scratch.path,
    "the database PATH has schema version 7, and this program knows versions up to 1; use the dimmer that wrote it or a "
    "newer one, or move the file away, and a new one is made");

  store = NULL;
  g_unlink(scratch.path);
  sqlite3 *foreign = NULL;
  g_assert_cmpint(sqlite3_open(scratch.path, &foreign), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_exec(foreign, "CREATE TABLE bookmark (url TEXT)", NULL, NULL, NULL), ==, SQLITE_OK);
  check_refused(
    scratch.path, "the database PATH is another program's; name another file, or move it away, and a new one is made");
  sqlite3_close(foreign);

  check_refused(scratch.folder,
    "cannot open the database PATH: unable to open database file: Is a directory; its folder must be there, and the file "
    "and the folder writable for this user");
  g_autofree char *nowhere = g_build_filename(scratch.folder, "nowhere", "db", NULL);
  check_refused(nowhere,
    "cannot make the database PATH: No such file or directory; its folder must be there and writable for this user");
}

/* root may write everything, so somebody else has to try. */
static void check_refused_to_nobody(const Scratch *scratch, mode_t mode, mode_t folder_mode, const char *expected) {
  g_assert_cmpint(chmod(scratch->path, mode), ==, 0);
  g_assert_cmpint(chmod(scratch->folder, folder_mode), ==, 0);
  pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0)
      _exit(1);
    check_refused(scratch->path, expected);
    _exit(0);
  }
  scratch_wait(child);
  g_assert_cmpint(chmod(scratch->folder, 0700), ==, 0);
}

static void test_read_only(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  add(store, "a", 1);
  dm_store_free(g_steal_pointer(&store));
  check_refused_to_nobody(
    &scratch, 0444, 0777, "the database PATH is read-only; make the file and its folder writable for this user");
  check_refused_to_nobody(&scratch, 0666, 0555,
    "cannot read the database PATH: attempt to write a readonly database; make the file and its folder writable for "
    "this user");
  check_refused_to_nobody(&scratch, 0000, 0777,
    "cannot open the database PATH: unable to open database file: Permission denied; its folder must be there, and the "
    "file and the folder writable for this user");
}

static void test_full(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  g_autoptr(GError) error = NULL;
  g_autofree char *text = g_strnfill(100000, 'x');
  static const char expected[] =
    "cannot write the database PATH: database or disk is full; free space on its file system";
  sql(store, "PRAGMA max_page_count = 20");
  DmAuditEvent event = {.text = text};
  g_assert_false(dm_store_add_event(store, &event, &error));
  check_error(&error, DM_ERROR_FAILED, expected, scratch.path);
  g_assert_cmpint(event.id, ==, 0);
  g_assert_cmpint(event.time, ==, 0);

  /* Nothing of a transaction that fails in the middle is written; what is gathered waits for a better time. */
  for (guint i = 0; i < 999; i++) {
    g_autofree char *id = g_strdup_printf("%0200u", i);
    dm_store_first_seen(store, id);
  }
  g_assert_false(dm_store_flush(store, &error));
  check_error(&error, DM_ERROR_FAILED, expected, scratch.path);
  g_assert_cmpuint(store->unwritten->len, ==, 999);
  dm_store_first_seen(store, "the thousandth"); /* tries, and does not tell */
  g_assert_cmpuint(store->unwritten->len, ==, 1000);
  sql(store, "PRAGMA max_page_count = 100000");
  g_assert_true(dm_store_flush(store, NULL));
  g_assert_cmpuint(store->unwritten->len, ==, 0);
  add(store, "a", 1);
  check_events(store, 0, TRUE, "1=a ");
}

/* A transaction that fails half way leaves nothing of it, and the next one is not inside it. */
static void test_rolled_back(void) {
  g_autoptr(DmStore) store = open_well(":memory:");
  g_autoptr(GError) error = NULL;
  g_autofree char *token = dm_store_token_new(store, "admin@internal", 0, NULL);
  g_assert_nonnull(token); /* has expired, so it is to be removed */
  add(store, "a", 100);
  sql(store, "CREATE TEMP TRIGGER no BEFORE DELETE ON token BEGIN SELECT RAISE(ABORT, 'the test says no'); END");
  g_assert_false(dm_store_prune(store, 200, &error));
  check_error(&error, DM_ERROR_FAILED, "cannot write the database :memory:: the test says no", NULL);
  check_events(store, 0, TRUE, "1=a ");
  sql(store, "DROP TRIGGER no");
  g_assert_true(dm_store_prune(store, 200, NULL));
  check_events(store, 0, TRUE, "");
}

static void test_locked(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path), other = open_well(scratch.path);
  g_autoptr(GError) error = NULL;
  g_autofree char *expected = g_strdup_printf(
    "cannot write the database %s: database is locked; another process keeps "
    "it locked, 'fuser' tells which: end that one",
    scratch.path);
  DmAuditEvent event = {.text = (char *)"a"};
  sqlite3_busy_timeout(store->db, 0); /* the test does not wait */
  sql(other, "BEGIN IMMEDIATE");
  g_assert_false(dm_store_add_event(store, &event, &error));
  check_error(&error, DM_ERROR_FAILED, expected, scratch.path);
  g_assert_false(dm_store_prune(store, 0, &error));
  check_error(&error, DM_ERROR_FAILED, expected, scratch.path);
  sql(other, "COMMIT");
  g_assert_true(dm_store_add_event(store, &event, NULL));
  g_assert_true(dm_store_prune(store, 0, NULL));
  check_events(other, 0, TRUE, "1=a ");
}

static void check_down(DmStore *store, const char *path, const char *expected) {
  g_autoptr(GError) error = NULL;
  g_assert_false(dm_store_check(store, &error));
  check_error(&error, DM_ERROR_FAILED, expected, path);
}

static void check_up(DmStore *store) {
  g_autoptr(GError) error = NULL;
  g_assert_true(dm_store_check(store, &error));
  g_assert_no_error(error);
}

/* It writes: files that must not grow are as a disk that is full. */
static void test_check(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) memory = open_well(":memory:"), store = open_well(scratch.path), other = open_well(scratch.path);
  g_autofree char *aside = g_strconcat(scratch.path, ".aside", NULL);
  struct rlimit limit;
  check_up(memory);
  check_up(store);
  sql(other, "BEGIN IMMEDIATE");
  check_down(store, scratch.path,
    "cannot write the database PATH: database is locked; another process keeps it locked, 'fuser' tells which: end that "
    "one");
  sql(other, "COMMIT");
  check_up(store);
  g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
  rlim_t soft = limit.rlim_cur;
  limit.rlim_cur = 4096;
  void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
  g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
  gboolean well = dm_store_check(store, NULL);
  limit.rlim_cur = soft;
  g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
  signal(SIGXFSZ, before);
  g_assert_false(well);
  check_up(store);
  g_assert_cmpint(g_rename(scratch.path, aside), ==, 0);
  check_down(store, scratch.path,
    "the database PATH was removed, or another file has taken its place: what is written is lost when this process "
    "ends; restart it");
  g_assert_cmpint(g_rename(aside, scratch.path), ==, 0);
  check_up(store);
}

/* What a call has written outlives a SIGKILL right after it; a transaction that was open is as if it had not begun. */
static void test_killed(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  pid_t child = fork();
  if (child == 0) {
    DmStore *store = open_well(scratch.path);
    add(store, "a", 1);
    store_begin(store, NULL);
    add(store, "b", 2);
    raise(SIGKILL);
  }
  int status = 0;
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  g_autoptr(DmStore) store = open_well(scratch.path);
  check_events(store, 0, TRUE, "1=a ");
  g_assert_cmpint(add(store, "c", 3), ==, 2);
}

/* Several begin at the same time, with no file yet. */
static void test_together(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  pid_t children[6];
  for (gsize i = 0; i < G_N_ELEMENTS(children); i++) {
    children[i] = fork();
    if (children[i] == 0) {
      DmStore *store = open_well(scratch.path);
      for (guint n = 0; n < 20; n++)
        add(store, "a", 1);
      dm_store_free(store);
      _exit(0);
    }
  }
  for (gsize i = 0; i < G_N_ELEMENTS(children); i++)
    scratch_wait(children[i]);
  g_autoptr(DmStore) store = open_well(scratch.path);
  g_assert_cmpint(add(store, "last", 1), ==, 20 * G_N_ELEMENTS(children) + 1);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/store/severity", test_severity);
  g_test_add_func("/store/event/whole", test_event_whole);
  g_test_add_func("/store/event/order", test_order);
  g_test_add_func("/store/event/ids-grow", test_ids_grow);
  g_test_add_func("/store/first-seen", test_first_seen);
  g_test_add_func("/store/mode", test_mode);
  g_test_add_func("/store/refused", test_refused);
  g_test_add_func("/store/read-only", test_read_only);
  g_test_add_func("/store/full", test_full);
  g_test_add_func("/store/rolled-back", test_rolled_back);
  g_test_add_func("/store/locked", test_locked);
  g_test_add_func("/store/check", test_check);
  g_test_add_func("/store/killed", test_killed);
  g_test_add_func("/store/together", test_together);
  return g_test_run();
}
