/* SPDX-License-Identifier: Apache-2.0 */
#include "inittab.h"

#include <stddef.h>
#include <string.h>

#include "port.h"

#define BLANKS " \t"
#define PROGRAM "dimmer-guest"
#define PORT "--port"

/* One field, terminated; @rest is what follows it, NULL at the line's end. */
static const char *take_field(char **rest) {
  const char *field = strsep(rest, ":");
  return field != NULL ? field : "";
}

/* A shell may start it, so quotes separate words as well. */
static char *next_word(char *start, char **rest) {
  return strtok_r(start, BLANKS "'\"", rest);
}

static bool is_program(const char *word) {
  const char *slash = strrchr(word, '/');
  return strcmp(slash != NULL ? slash + 1 : word, PROGRAM) == 0;
}

/* The port of the dimmer-guest that a command starts, NULL if none; as in getopt, the last one counts. */
static const char *port_of(char *command) {
  const char *port = PORT_NAME;
  char *rest, *word = next_word(command, &rest);
  while (word != NULL && !is_program(word))
    word = next_word(NULL, &rest);
  if (word == NULL)
    return NULL;
  while ((word = next_word(NULL, &rest)) != NULL) {
    if (strncmp(word, PORT "=", strlen(PORT "=")) == 0)
      port = word + strlen(PORT "=");
    else if (strcmp(word, PORT) == 0 && (word = next_word(NULL, &rest)) != NULL)
      port = word;
  }
  return port;
}

static void read_line(char *line, const char *port, Inittab *inittab) {
  line += strspn(line, BLANKS);
  if (*line == '#')
    return;
  take_field(&line);
  take_field(&line);
  const char *action = take_field(&line), *served = line != NULL ? port_of(line) : NULL;
  inittab->sysvinit |= strcmp(action, "initdefault") == 0;
  if (served == NULL)
    return;
  if (strcmp(action, "respawn") == 0 && strcmp(served, port) == 0)
    inittab->starts = true;
  else
    inittab->otherwise = true;
}

Inittab inittab_read(char *text, const char *port) {
  Inittab inittab = {0};
  for (char *line; (line = strsep(&text, "\n")) != NULL;)
    read_line(line, port, &inittab);
  return inittab;
}
