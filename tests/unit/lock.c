/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lock.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

static void test_one_at_a_time(void) {
  g_autofree char *uuid = g_uuid_string_random(), *other = g_uuid_string_random();
  g_autoptr(GError) error = NULL;
  DmLock *lock = dm_lock_take(uuid, "web1", &error);
  g_assert_no_error(error);
  g_assert_cmpint(dm_lock_owner(uuid), ==, getpid());
  g_assert_cmpint(dm_lock_owner(other), ==, 0);

  g_assert_null(dm_lock_take(uuid, "web1", &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_BUSY);
  g_autofree char *process = g_strdup_printf("process %d", (int)getpid());
  g_assert_nonnull(strstr(error->message, process));
  g_assert_nonnull(strstr(error->message, "web1"));

  g_autoptr(DmLock) of_another_vm = dm_lock_take(other, "web2", NULL);
  g_assert_nonnull(of_another_vm);

  dm_lock_free(lock);
  g_assert_cmpint(dm_lock_owner(uuid), ==, 0);
  g_autoptr(DmLock) again = dm_lock_take(uuid, "web1", NULL);
  g_assert_nonnull(again);
  dm_lock_free(NULL);
}

/* It can be asked for its owner any number of times, while the owner's main loop runs. */
static void test_asked_often(void) {
  g_autofree char *uuid = g_uuid_string_random();
  g_autoptr(DmLock) lock = dm_lock_take(uuid, "web1", NULL);
  g_assert_nonnull(lock);
  for (guint i = 0; i < 10000; i++) {
    g_assert_cmpint(dm_lock_owner(uuid), ==, getpid());
    g_main_context_iteration(NULL, FALSE);
  }
}

/* Another process that has the lock, and lives until it is killed. */
static pid_t holder(const char *uuid) {
  int taken[2];
  char byte = 0;
  g_assert_cmpint(pipe(taken), ==, 0);
  pid_t child = fork();
  if (child == 0) {
    byte = dm_lock_take(uuid, "web1", NULL) != NULL;
    if (write(taken[1], &byte, 1) == 1)
      pause();
    _exit(1);
  }
  g_assert_cmpint(read(taken[0], &byte, 1), ==, 1);
  g_assert_cmpint(byte, ==, 1);
  close(taken[0]);
  close(taken[1]);
  return child;
}

/* It goes with its process, however that ends; until then everybody sees whose it is. */
static void test_goes_with_its_process(void) {
  g_autofree char *uuid = g_uuid_string_random();
  pid_t child = holder(uuid);
  g_assert_cmpint(dm_lock_owner(uuid), ==, child);
  g_autoptr(GError) error = NULL;
  g_assert_null(dm_lock_take(uuid, "web1", &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_BUSY);

  g_assert_cmpint(kill(child, SIGKILL), ==, 0);
  g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
  g_autoptr(DmLock) lock = dm_lock_take(uuid, "web1", NULL);
  g_assert_nonnull(lock);
}

static void on_released(gpointer data) {
  g_assert_false(*(gboolean *)data);
  *(gboolean *)data = TRUE;
}

/* A watch tells of the end once, and not before. */
static void test_watched(void) {
  g_autofree char *uuid = g_uuid_string_random();
  gboolean released = FALSE, other_released = FALSE;
  g_assert_null(dm_lock_watch(uuid, on_released, &released));
  DmLock *lock = dm_lock_take(uuid, "web1", NULL);
  g_assert_nonnull(dm_lock_watch(uuid, on_released, &released));
  DmLockWatch *other = dm_lock_watch(uuid, on_released, &other_released);
  for (guint i = 0; i < 100; i++) {
    g_assert_cmpint(dm_lock_owner(uuid), ==, getpid());
    g_main_context_iteration(NULL, FALSE);
  }
  g_assert_false(released);
  dm_lock_unwatch(other);
  g_main_context_iteration(NULL, FALSE);
  dm_lock_free(lock);
  while (!released)
    g_main_context_iteration(NULL, TRUE);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_assert_false(other_released);
  dm_lock_unwatch(NULL);
}

static void test_watched_process_is_killed(void) {
  g_autofree char *uuid = g_uuid_string_random();
  gboolean released = FALSE;
  pid_t child = holder(uuid);
  g_assert_nonnull(dm_lock_watch(uuid, on_released, &released)); /* though its main loop does not run */
  g_assert_cmpint(kill(child, SIGKILL), ==, 0);
  while (!released)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/lock/one-at-a-time", test_one_at_a_time);
  g_test_add_func("/lock/asked-often", test_asked_often);
  g_test_add_func("/lock/goes-with-its-process", test_goes_with_its_process);
  g_test_add_func("/lock/watched", test_watched);
  g_test_add_func("/lock/watched-process-is-killed", test_watched_process_is_killed);
  return g_test_run();
}
