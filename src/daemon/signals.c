/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Not g_unix_signal_add(): its handlers only run in the main loop, and what a second signal is for is the main loop
 * that hangs.
 */
#include "signals.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <unistd.h>

static int wake_write = -1;
static volatile sig_atomic_t ending;
static void (*told)(int number, gpointer data);
static gpointer told_data;

static void on_signal(int number) {
  int saved_errno = errno;
  unsigned char byte = (unsigned char)number;
  if (number != SIGHUP && ending)
    _exit(128 + number);
  if (number != SIGHUP)
    ending = 1;
  /* A full pipe has more of the same. */
  ssize_t ignored = write(wake_write, &byte, 1);
  (void)ignored;
  errno = saved_errno;
}

static gboolean on_wake(int fd, GIOCondition condition, gpointer data) {
  unsigned char byte;
  while (read(fd, &byte, 1) == 1)
    told(byte, told_data);
  return G_SOURCE_CONTINUE;
}

gboolean signals_start(void (*func)(int number, gpointer data), gpointer data, GError **error) {
  static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};
  int ends[2];
  if (!g_unix_open_pipe(ends, FD_CLOEXEC, error) || !g_unix_set_fd_nonblocking(ends[0], TRUE, error) ||
    !g_unix_set_fd_nonblocking(ends[1], TRUE, error))
    return FALSE;
  wake_write = ends[1];
  told = func;
  told_data = data;
  g_unix_fd_add(ends[0], G_IO_IN, on_wake, NULL);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
    sigaction(numbers[i], &action, NULL);
  return TRUE;
}
