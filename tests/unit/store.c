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
  DmAuditEvent event = {.code = 1, .time = time, .text = (char *)text};
  dm_store_add_event(store, &event);
  return event.id;
}

static void settle(DmStore *store) {
  g_assert_true(dm_store_flush(store, 10000));
}

/* Another program at the same file. */
typedef sqlite3 Other;

static Other *other_open(const char *path) {
  sqlite3 *other = NULL;
  g_assert_cmpint(sqlite3_open(path, &other), ==, SQLITE_OK);
  sqlite3_busy_timeout(other, 10000);
  return other;
}

static void other_close(Other *other) {
  sqlite3_close(other);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Other, other_close)

static void sql(Other *other, const char *text) {
  g_assert_cmpint(sqlite3_exec(other, text, NULL, NULL, NULL), ==, SQLITE_OK);
}

static gint64 number(Other *other, const char *text) {
  sqlite3_stmt *statement = NULL;
  g_assert_cmpint(sqlite3_prepare_v2(other, text, -1, &statement, NULL), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_step(statement), ==, SQLITE_ROW);
  gint64 found = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return found;
}

/* What a task has reported. */
typedef struct {
  gboolean came;
  GString *text;
  DmAuditEvent first;
  GError *error;
} Answer;

static void answer_clear(Answer *answer) {
  if (answer->text != NULL)
    g_string_free(answer->text, TRUE);
  dm_audit_event_clear(&answer->first);
  g_clear_error(&answer->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

static void on_events(GPtrArray *events, const GError *error, gpointer data) {
  Answer *answer = data;
  answer->came = TRUE;
  answer->error = error != NULL ? g_error_copy(error) : NULL;
  answer->text = g_string_new(NULL);
  for (guint i = 0; events != NULL && i < events->len; i++) {
    const DmAuditEvent *event = events->pdata[i];
    g_string_append_printf(answer->text, "%" G_GINT64_FORMAT "=%s ", event->id, event->text);
    if (i == 0)
      answer->first = dm_audit_event_copy(event);
  }
}

static void read_events(DmStore *store, const DmEventQuery *query, Answer *answer) {
  dm_store_read_events(store, query, on_events, answer);
  while (!answer->came)
    g_main_context_iteration(NULL, TRUE);
  g_assert_no_error(answer->error);
}

static void check_query(DmStore *store, const DmEventQuery *query, const char *expected) {
  g_auto(Answer) answer = {0};
  read_events(store, query, &answer);
  g_assert_cmpstr(answer.text->str, ==, expected);
}

static void check_events(DmStore *store, gint64 from, gboolean oldest_first, const char *expected) {
  const DmEventQuery query = {.from = from, .oldest_first = oldest_first, .most = G_MAXUINT};
  check_query(store, &query, expected);
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
  dm_store_add_event(store, whole);
  gint64 before = g_get_real_time() / 1000;
  dm_store_add_event(store, &bare);
  g_assert_cmpint(whole->id, ==, 1);
  g_assert_cmpint(bare.id, ==, 2);
  g_assert_cmpint(bare.time, >=, before);
  g_assert_cmpint(bare.time, <=, g_get_real_time() / 1000);
  dm_store_free(g_steal_pointer(&store));

  store = open_well(scratch.path);
  g_auto(Answer) one = {0}, two = {0};
  const DmEventQuery oldest = {.oldest_first = TRUE, .most = 1}, newest = {.most = 1};
  read_events(store, &oldest, &one);
  read_events(store, &newest, &two);
  const DmAuditEvent *found = &one.first, *found_bare = &two.first;
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
  g_assert_cmpint(found_bare->id, ==, 2);
  g_assert_cmpint(found_bare->code, ==, -3);
  g_assert_cmpint(found_bare->time, ==, bare.time);
  g_assert_true(found_bare->text == NULL && found_bare->vm_id == NULL && found_bare->vm_name == NULL &&
    found_bare->host_id == NULL && found_bare->host_name == NULL && found_bare->user == NULL &&
    found_bare->correlation_id == NULL);
  dm_audit_event_free(NULL);
}

static void test_order(void) {
  g_autoptr(DmStore) store = open_well(":memory:");
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
}

static gboolean is_not(const DmAuditEvent *event, gpointer text) {
  return !g_str_equal(event->text, text);
}

static guint destroyed;

static void destroy(gpointer data) {
  destroyed++;
}

/* Events that are in the file, and others that cannot be written at this moment. */
static void test_query(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  g_autoptr(Other) other = other_open(scratch.path);
  add(store, "a", 1);
  add(store, "b", 2);
  add(store, "c", 3);
  settle(store);
  sql(other, "BEGIN IMMEDIATE");
  add(store, "d", 4);
  add(store, "e", 5);
  check_events(store, 0, TRUE, "1=a 2=b 3=c 4=d 5=e ");
  check_events(store, 0, FALSE, "5=e 4=d 3=c 2=b 1=a ");
  check_events(store, 3, FALSE, "5=e 4=d ");
  check_events(store, 4, TRUE, "5=e ");
  DmEventQuery query = {.skip = 1, .most = 2, .match = is_not, .data = (char *)"d", .destroy = destroy};
  check_query(store, &query, "3=c 2=b ");
  query.oldest_first = TRUE;
  check_query(store, &query, "2=b 3=c ");
  query.skip = 3;
  check_query(store, &query, "5=e ");
  query.most = 0;
  check_query(store, &query, "");
  g_assert_cmpuint(destroyed, ==, 4);
  g_assert_cmpint(number(other, "SELECT count(*) FROM event"), ==, 3);
  sql(other, "COMMIT");
  settle(store);
  g_assert_cmpint(number(other, "SELECT count(*) FROM event"), ==, 5);
}

/* A task that is cancelled, or whose store is freed, is not called; what it was given is freed. */
static void test_cancelled(void) {
  g_autoptr(DmStore) store = open_well(":memory:");
  g_auto(Answer) cancelled = {0}, last = {0};
  const DmEventQuery query = {.most = 1, .data = (char *)"", .destroy = destroy};
  destroyed = 0;
  dm_store_cancel(dm_store_read_events(store, &query, on_events, &cancelled));
  check_query(store, &query, "");
  g_assert_false(cancelled.came);
  dm_store_read_events(store, &query, on_events, &last);
  dm_store_free(g_steal_pointer(&store));
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_assert_false(last.came);
  g_assert_cmpuint(destroyed, ==, 3);
}

/* An id is never given again: clients remember the last they have seen. */
static void test_ids_grow(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  add(store, "a", 100);
  add(store, "b", 200);
  add(store, "c", 300);
  dm_store_prune(store, 200);
  check_events(store, 0, TRUE, "2=b 3=c ");
  dm_store_prune(store, G_MAXINT64);
  check_events(store, 0, TRUE, "");
  dm_store_free(g_steal_pointer(&store));
  store = open_well(scratch.path);
  g_assert_cmpint(add(store, "d", 400), ==, 4);
}

/* What an earlier process may have reported is stored once; the same of another VM, or before, is another event. */
static void test_once(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  DmAuditEvent event = {.code = 1, .time = 100, .text = (char *)"gone", .vm_id = (char *)"vm-1"};
  dm_store_add_event(store, &event);
  dm_store_free(g_steal_pointer(&store));
  store = open_well(scratch.path);
  event.time = 200;
  event.once_since = 50;
  dm_store_add_event(store, &event);
  settle(store);
  check_events(store, 0, TRUE, "1=gone ");
  event.once_since = 150;
  dm_store_add_event(store, &event);
  settle(store);
  check_events(store, 0, TRUE, "1=gone 3=gone ");
  event.vm_id = (char *)"vm-2";
  event.once_since = 50;
  dm_store_add_event(store, &event);
  settle(store);
  check_events(store, 0, TRUE, "1=gone 3=gone 4=gone ");
  event.text = (char *)"gone, by another word";
  event.once_bytes = 4;
  dm_store_add_event(store, &event);
  event.once_bytes = 5;
  dm_store_add_event(store, &event);
  settle(store);
  check_events(store, 0, TRUE, "1=gone 3=gone 4=gone 6=gone, by another word ");
  event.correlation_id = (char *)"another request";
  dm_store_add_event(store, &event);
  dm_store_add_event(store, &event);
  settle(store);
  check_events(store, 0, TRUE, "1=gone 3=gone 4=gone 6=gone, by another word 7=gone, by another word ");
}

static void count_call(gpointer calls) {
  ++*(guint *)calls;
}

static guint wait_for_calls(const guint *calls, guint wanted) {
  while (*calls < wanted)
    g_main_context_iteration(NULL, TRUE);
  return *calls;
}

/* It is called when events are in the file, and where they cannot be, not much later. */
static void test_when_written(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  DmAuditEvent event = {.code = 1, .text = (char *)"gone"};
  guint calls = 0;
  dm_store_when_written(store, 60000, count_call, &calls);
  g_assert_cmpuint(calls, ==, 1);
  g_autoptr(Other) other = other_open(scratch.path);
  sql(other, "BEGIN IMMEDIATE");
  dm_store_add_event(store, &event);
  dm_store_when_written(store, 60000, count_call, &calls);
  dm_store_when_written(store, 50, count_call, &calls);
  g_assert_cmpuint(calls, ==, 1);
  g_assert_cmpuint(wait_for_calls(&calls, 2), ==, 2); /* the second of them */
  sql(other, "ROLLBACK");
  g_assert_cmpuint(wait_for_calls(&calls, 3), ==, 3);
  g_assert_true(dm_store_flush(store, 0));
}

/* Texts of any length cost no more than some. */
static void test_cut(void) {
  g_autoptr(DmStore) store = open_well(":memory:");
  g_autofree char *name = g_strnfill(254, 'n'), *long_name = g_strconcat(name, "\xc3\xa9xyz", NULL);
  g_autofree char *text = g_strnfill(1000000, 'x');
  DmAuditEvent event = {.text = text, .user = long_name, .vm_name = name};
  dm_store_add_event(store, &event);
  g_auto(Answer) answer = {0};
  const DmEventQuery query = {.most = 1};
  read_events(store, &query, &answer);
  g_assert_cmpuint(strlen(answer.first.text), ==, 2000);
  g_assert_true(g_str_has_suffix(answer.first.text, "xx\xe2\x80\xa6"));
  g_assert_cmpuint(strlen(answer.first.user), ==, 255);
  g_assert_true(g_utf8_validate(answer.first.user, -1, NULL));
  g_assert_cmpstr(answer.first.vm_name, ==, name);
}

static void test_first_seen(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  g_autoptr(Other) other = other_open(scratch.path);
  gint64 first = dm_store_first_seen(store, "vm-0");
  g_assert_cmpint(first, >, 1600000000000);
  for (guint i = 0; i < 10000; i++) {
    g_autofree char *id = g_strdup_printf("%08x-0000-4000-8000-000000000000", i);
    dm_store_first_seen(store, id);
  }
  settle(store);
  g_assert_cmpint(number(other, "SELECT count(*) FROM vm"), ==, 10001);
  sql(other, "UPDATE vm SET first_seen = 1234 WHERE id = 'vm-0'; INSERT INTO vm VALUES ('vm-1', 77)");
  g_assert_cmpint(dm_store_first_seen(store, "vm-0"), ==, first); /* read once only */
  dm_store_first_seen(store, "vm-1");
  dm_store_free(g_steal_pointer(&store));
  store = open_well(scratch.path);
  g_assert_cmpint(dm_store_first_seen(store, "vm-0"), ==, 1234);
  g_assert_cmpint(dm_store_first_seen(store, "vm-1"), ==, 77); /* an earlier time in the file stays */
  dm_store_free(NULL);
}

static void test_mode(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  mode_t mask = umask(0);
  g_autoptr(DmStore) store = open_well(scratch.path);
  umask(mask);
  add(store, "a", 1);
  settle(store);
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
  check_refused(scratch.path,
    "cannot read the database PATH: file is not a database; move the file away, and a new one is created");
  scratch_check(&scratch, "This is no database. This is no database. This is no database.");

  scratch_write(&scratch, "", 0600); /* what a crash right at the start leaves */
  g_autoptr(DmStore) store = open_well(scratch.path);
  dm_store_free(g_steal_pointer(&store));
  g_autoptr(Other) newer = other_open(scratch.path);
  sql(newer, "PRAGMA user_version = 7");
  other_close(g_steal_pointer(&newer));
  check_refused(scratch.path,
    "the database PATH has schema version 7, and this program knows versions up to 2; use the dimmer that wrote it or a "
    "newer one, or move the file away, and a new one is created");

  store = NULL;
  g_unlink(scratch.path);
  sqlite3 *foreign = NULL;
  g_assert_cmpint(sqlite3_open(scratch.path, &foreign), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_exec(foreign, "CREATE TABLE bookmark (url TEXT)", NULL, NULL, NULL), ==, SQLITE_OK);
  check_refused(scratch.path,
    "the database PATH belongs to another program; name another file, or move it away, and a new one is created");
  sqlite3_close(foreign);

  check_refused(scratch.folder,
    "cannot open the database PATH: unable to open database file: Is a directory; create its folder, and make file and folder writable for this user");
  g_autofree char *nowhere = g_build_filename(scratch.folder, "nowhere", "db", NULL);
  check_refused(nowhere,
    "cannot create the database PATH: No such file or directory; create its folder, and make it writable for this user");
}

/* root may write everything, so another user has to try. */
static void check_refused_to_another_user(
  const Scratch *scratch, mode_t mode, mode_t folder_mode, const char *expected) {
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
  check_refused_to_another_user(
    &scratch, 0444, 0777, "the database PATH is read-only; make the file and its folder writable for this user");
  check_refused_to_another_user(&scratch, 0666, 0555,
    "cannot read the database PATH: attempt to write a readonly database; make the file and its folder writable for "
    "this user");
  check_refused_to_another_user(&scratch, 0000, 0777,
    "cannot open the database PATH: unable to open database file: Permission denied; create its folder, and make file and folder writable for this user");
}

/* What is reported about trouble, and how often. */
typedef struct {
  guint failed, well;
  char *why;
} Trouble;

static void on_trouble(const GError *trouble, gpointer data) {
  Trouble *seen = data;
  if (trouble == NULL) {
    seen->well++;
    return;
  }
  seen->failed++;
  g_free(seen->why);
  seen->why = g_strdup(trouble->message);
}

static void wait_trouble(Trouble *seen, guint failed, guint well) {
  while (seen->failed < failed || seen->well < well)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpuint(seen->failed, ==, failed);
  g_assert_cmpuint(seen->well, ==, well);
}

/* Files of this process that may not grow are as a disk that is full. */
static void fill_disk(gboolean full) {
  static struct rlimit before;
  static gboolean known;
  signal(SIGXFSZ, SIG_IGN);
  if (!known)
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
  known = TRUE;
  struct rlimit limit = before;
  if (full)
    limit.rlim_cur = 4096;
  g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

/* A full disk stops nothing: what was reported is there, tokens hold, and all of it is written once there is room. */
static void test_full(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  Trouble trouble = {0};
  dm_store_watch(store, on_trouble, &trouble);
  fill_disk(TRUE);
  add(store, "a", 1);
  add(store, "b", 2);
  g_autofree char *token = dm_store_token_new(store, "admin@internal", "", 1800, 36000, NULL);
  gint64 seen = dm_store_first_seen(store, "vm-1");
  wait_trouble(&trouble, 1, 0);
  fill_disk(FALSE); /* before anything is asserted that might print */
  g_assert_nonnull(strstr(trouble.why, "cannot write the database "));
  g_assert_cmpuint(store->events.length, ==, 2);
  fill_disk(TRUE);
  g_auto(Answer) answer = {0};
  const DmEventQuery query = {.oldest_first = TRUE, .most = 9};
  read_events(store, &query, &answer);
  fill_disk(FALSE);
  g_assert_cmpstr(answer.text->str, ==, "1=a 2=b ");
  g_autofree char *user = dm_store_token_user(store, token);
  g_assert_cmpstr(user, ==, "admin@internal");
  wait_trouble(&trouble, 1, 1);
  dm_store_free(g_steal_pointer(&store));
  store = open_well(scratch.path);
  check_events(store, 0, TRUE, "1=a 2=b ");
  g_autofree char *again = dm_store_token_user(store, token);
  g_assert_cmpstr(again, ==, "admin@internal");
  g_assert_cmpint(dm_store_first_seen(store, "vm-1"), ==, seen);
  g_free(trouble.why);
}

/* Another process's lock holds up and loses nothing; it is reported only when it lasts. */
static void test_locked(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  g_autoptr(Other) other = other_open(scratch.path);
  Trouble trouble = {0};
  dm_store_watch(store, on_trouble, &trouble);
  sql(other, "BEGIN IMMEDIATE");
  add(store, "a", 1);
  g_assert_false(dm_store_flush(store, 300));
  g_assert_cmpuint(trouble.failed, ==, 0);
  wait_trouble(&trouble, 1, 0);
  g_autofree char *expected = g_strdup_printf(
    "cannot write the database %s: database is locked; another process has it locked: find it with 'fuser', and stop it",
    scratch.path);
  g_assert_cmpstr(trouble.why, ==, expected);
  sql(other, "COMMIT");
  wait_trouble(&trouble, 1, 1);
  settle(store);
  g_assert_cmpint(number(other, "SELECT count(*) FROM event"), ==, 1);
  g_free(trouble.why);
}

/* More than may wait is counted, and one event names the count; nothing else is lost. */
static void test_too_many(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  g_autoptr(Other) other = other_open(scratch.path);
  sql(other, "BEGIN IMMEDIATE");
  for (guint i = 0; i < STORE_MOST_UNWRITTEN; i++)
    g_assert_cmpint(add(store, "a", 1), ==, i + 1);
  DmAuditEvent error = {.code = 7, .severity = DM_SEVERITY_ERROR, .text = (char *)"b"};
  dm_store_add_event(store, &error);
  g_assert_cmpint(error.id, ==, 0);
  for (guint i = 0; i < 41; i++)
    g_assert_cmpint(add(store, "c", 2), ==, 0);
  g_assert_cmpuint(store->events.length, ==, STORE_MOST_UNWRITTEN + 1);
  sql(other, "COMMIT");
  settle(store);
  g_assert_cmpint(number(other, "SELECT count(*) FROM event"), ==, STORE_MOST_UNWRITTEN + 1);
  g_auto(Answer) answer = {0};
  const DmEventQuery query = {.most = 1};
  read_events(store, &query, &answer);
  g_assert_cmpint(answer.first.code, ==, DM_STORE_EVENTS_LOST);
  g_assert_cmpint(answer.first.severity, ==, DM_SEVERITY_ERROR);
  g_assert_nonnull(strstr(answer.first.text, "42 more events were not stored"));
  g_assert_cmpint(add(store, "d", 3), ==, answer.first.id + 1);
}

/* The same by their bytes. */
static void test_too_large(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  g_autoptr(Other) other = other_open(scratch.path);
  g_autofree char *text = g_strnfill(5000, 'x');
  sql(other, "BEGIN IMMEDIATE");
  guint count = 0;
  while (add(store, text, 1) != 0)
    count++;
  g_assert_cmpuint(count, >, STORE_MOST_UNWRITTEN_BYTES / 2500);
  g_assert_cmpuint(count, <, STORE_MOST_UNWRITTEN_BYTES / 2000);
  sql(other, "COMMIT");
  settle(store);
  g_assert_cmpuint(store->event_bytes, ==, 0);
}

/* The table has a bound in rows and in bytes; the newest stay. */
static void test_bounded(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) store = open_well(scratch.path);
  g_autoptr(Other) other = other_open(scratch.path);
  sql(other,
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 101000) "
    "INSERT INTO event (code, severity, time, text) SELECT 1, 0, 1, 'a' FROM n");
  dm_store_free(g_steal_pointer(&store));
  store = open_well(scratch.path);
  for (guint i = 0; i < 1001; i++)
    add(store, "b", 2);
  settle(store);
  add(store, "c", 3);
  settle(store);
  gint64 count = number(other, "SELECT count(*) FROM event");
  g_assert_cmpint(count, >=, STORE_MOST_EVENTS);
  g_assert_cmpint(count, <=, STORE_MOST_EVENTS + 1000);
  g_assert_cmpint(number(other, "SELECT count(*) FROM event WHERE text != 'a'"), ==, 1002);
  sql(other, "UPDATE event SET text = printf('%01000d', id) WHERE text = 'a'");
  dm_store_prune(store, 1);
  settle(store);
  gint64 pages = number(other, "PRAGMA page_count") - number(other, "PRAGMA freelist_count");
  g_assert_cmpint(pages * number(other, "PRAGMA page_size"), <=, STORE_MOST_BYTES);
  g_assert_cmpint(number(other, "SELECT count(*) FROM event"), >, STORE_MOST_EVENTS / 3);
  g_assert_cmpint(number(other, "SELECT count(*) FROM event WHERE text = 'b'"), ==, 1001);
}

static void on_checked(const GError *error, gpointer data) {
  Answer *answer = data;
  answer->came = TRUE;
  answer->error = error != NULL ? g_error_copy(error) : NULL;
}

static void check(DmStore *store, Answer *answer) {
  dm_store_check(store, on_checked, answer);
  while (!answer->came)
    g_main_context_iteration(NULL, TRUE);
}

static void check_down(DmStore *store, const char *path, const char *expected) {
  g_auto(Answer) answer = {0};
  check(store, &answer);
  check_error(&answer.error, DM_ERROR_FAILED, expected, path);
}

static void check_up(DmStore *store) {
  g_auto(Answer) answer = {0};
  check(store, &answer);
  g_assert_no_error(answer.error);
}

/* It writes. */
static void test_check(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  g_autoptr(DmStore) memory = open_well(":memory:"), store = open_well(scratch.path);
  g_autoptr(Other) other = other_open(scratch.path);
  g_autofree char *aside = g_strconcat(scratch.path, ".aside", NULL);
  check_up(memory);
  check_up(store);
  sql(other, "BEGIN IMMEDIATE");
  check_down(store, scratch.path,
    "cannot write the database PATH: database is locked; another process has it locked: find it with 'fuser', and stop it");
  sql(other, "COMMIT");
  check_up(store);
  fill_disk(TRUE);
  g_auto(Answer) full = {0};
  check(store, &full);
  fill_disk(FALSE);
  g_assert_error(full.error, DM_ERROR, DM_ERROR_FAILED);
  check_up(store);
  g_assert_cmpint(g_rename(scratch.path, aside), ==, 0);
  check_down(store, scratch.path,
    "the database PATH was removed, or another file has taken its place: what is written is lost when this process "
    "ends; restart it");
  g_assert_cmpint(g_rename(aside, scratch.path), ==, 0);
  check_up(store);
}

/* What was written outlives a SIGKILL; ids that were shown, and perhaps not written, are not used again. */
static void test_killed(void) {
  g_auto(Scratch) scratch = scratch_new("db");
  pid_t child = fork();
  if (child == 0) {
    DmStore *store = open_well(scratch.path);
    add(store, "a", 1);
    settle(store);
    sql(other_open(scratch.path), "BEGIN IMMEDIATE");
    add(store, "b", 2);
    raise(SIGKILL);
  }
  int status = 0;
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  g_autoptr(DmStore) store = open_well(scratch.path);
  check_events(store, 0, TRUE, "1=a ");
  g_assert_cmpint(add(store, "c", 3), >, 2);
}

/* Several begin at the same time, with no file yet. None knows of the others' ids. */
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
  g_autoptr(Other) other = other_open(scratch.path);
  g_assert_cmpint(number(other, "SELECT count(*) FROM event"), ==, 20 * G_N_ELEMENTS(children));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/store/severity", test_severity);
  g_test_add_func("/store/event/whole", test_event_whole);
  g_test_add_func("/store/event/order", test_order);
  g_test_add_func("/store/event/query", test_query);
  g_test_add_func("/store/event/cancelled", test_cancelled);
  g_test_add_func("/store/event/ids-grow", test_ids_grow);
  g_test_add_func("/store/event/cut", test_cut);
  g_test_add_func("/store/event/once", test_once);
  g_test_add_func("/store/first-seen", test_first_seen);
  g_test_add_func("/store/mode", test_mode);
  g_test_add_func("/store/refused", test_refused);
  g_test_add_func("/store/read-only", test_read_only);
  g_test_add_func("/store/full", test_full);
  g_test_add_func("/store/locked", test_locked);
  g_test_add_func("/store/too-many", test_too_many);
  g_test_add_func("/store/too-large", test_too_large);
  g_test_add_func("/store/bounded", test_bounded);
  g_test_add_func("/store/check", test_check);
  g_test_add_func("/store/killed", test_killed);
  g_test_add_func("/store/together", test_together);
  g_test_add_func("/store/when-written", test_when_written);
  return g_test_run();
}
