/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "user.h"

/* For the signal handler. */
static struct termios terminal_before;

void password_free(char *password) {
  if (password == NULL)
    return;
  explicit_bzero(password, strlen(password));
  free(password);
}

/* A line without its newline; NULL: none, or it contains a NUL. */
static char *read_line(void) {
  char *line = NULL;
  size_t room = 0;
  ssize_t length = getline(&line, &room, stdin);
  if (length > 0 && line[length - 1] == '\n')
    line[--length] = '\0';
  if (length >= 0 && strlen(line) == (size_t)length)
    return line;
  free(line);
  return NULL;
}

/* Ctrl-C during password input must not leave the terminal without echo. */
static void restore_and_die(int signal_number) {
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

static char *ask(const char *prompt) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  struct sigaction action = {.sa_handler = restore_and_die}, before[G_N_ELEMENTS(signals)];
  if (tcgetattr(STDIN_FILENO, &terminal_before) != 0)
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS(signals); i++)
    sigaction(signals[i], &action, &before[i]);
  struct termios silent = terminal_before;
  silent.c_lflag &= ~(tcflag_t)ECHO;
  fprintf(stderr, "%s: ", prompt);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  char *line = read_line();
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
  for (gsize i = 0; i < G_N_ELEMENTS(signals); i++)
    sigaction(signals[i], &before[i], NULL);
  fputc('\n', stderr); /* the user's newline was not echoed */
  return line;
}

static char *ask_twice(const char *user, GError **error) {
  g_autofree char *prompt = g_strdup_printf("Password of %s", user);
  char *password = ask(prompt);
  char *again = password != NULL && *password != '\0' ? ask("Once more") : NULL;
  gboolean same = password != NULL && (*password == '\0' || g_strcmp0(password, again) == 0);
  password_free(again);
  if (same)
    return password;
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "%s",
    password == NULL ? "no password was given; nothing was changed" : "the two passwords differ; nothing was changed");
  password_free(password);
  return NULL;
}

char *password_read(const char *user, GError **error) {
  gboolean terminal = isatty(STDIN_FILENO) == 1;
  char *password = terminal ? ask_twice(user, error) : read_line();
  if (password == NULL && terminal)
    return NULL;
  if (password != NULL && *password != '\0')
    return password;
  password_free(password);
  g_set_error(
    error, DM_ERROR, DM_ERROR_FAILED, "the password is empty; give it at a terminal, or as one line of standard input");
  return NULL;
}
