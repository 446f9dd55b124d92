/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Not g_unix_signal_add(): its handlers run only in the main loop, and the second signal is for when the main loop
 * hangs.
 */
#include "signals.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <unistd.h>

static int wake_write = -1;
static volatile sig_atomic_t ending;
static void (*receive)(int number, gpointer data);
static gpointer receive_data;
static guint source;

static void on_signal(int number) {
  int saved_errno = errno;
  unsigned char byte = (unsigned char)number;
  if (number != SIGHUP && ending)
    _exit(128 + number);
  if (number != SIGHUP)
    ending = 1;
  /* A full pipe already contains such signals. */
  ssize_t ignored = write(wake_write, &byte, 1);
  (void)ignored;
  errno = saved_errno;
}

static gboolean on_wake(int fd, GIOCondition condition, gpointer data) {
  unsigned char byte;
  while (read(fd, &byte, 1) == 1)
    receive(byte, receive_data);
  return G_SOURCE_CONTINUE;
}

gboolean signals_start(void (*func)(int number, gpointer data), gpointer data, GError **error) {
  static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};
  int ends[2];
  if (!g_unix_open_pipe(ends, FD_CLOEXEC, error) || !g_unix_set_fd_nonblocking(ends[0], TRUE, error) ||
    !g_unix_set_fd_nonblocking(ends[1], TRUE, error))
    return FALSE;
  wake_write = ends[1];
  receive = func;
  receive_data = data;
  source = g_unix_fd_add(ends[0], G_IO_IN, on_wake, NULL);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
    sigaction(numbers[i], &action, NULL);
  return TRUE;
}

void signals_end(void) {
  g_clear_handle_id(&source, g_source_remove);
}
