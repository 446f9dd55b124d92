/* SPDX-License-Identifier: Apache-2.0 */
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h> /* renameat */
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 512
#define MARK "trusted.dimmer.offline"

static int root = -1; /* -1: "/" */

bool system_set_root(const char *folder) {
  int opened = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0)
    return false;
  if (root >= 0)
    close(root);
  root = opened;
  return true;
}

bool system_root_is_real(void) {
  return root < 0;
}

/* @path as openat() and the like need it. */
static const char *below_root(const char *path) {
  return root < 0 ? path : path + 1;
}

int system_open(const char *path, int flags) {
  return openat(root, below_root(path), flags | O_CLOEXEC, 0644);
}

bool system_exists(const char *path) {
  return faccessat(root, below_root(path), F_OK, 0) == 0;
}

bool system_rename(const char *from, const char *to) {
  return renameat(root, below_root(from), root, below_root(to)) == 0;
}

void system_remove(const char *path) {
  int error = errno;
  unlinkat(root, below_root(path), 0);
  errno = error;
}

bool system_mkdirs(const char *path) {
  char space[256];
  Text text = TEXT_IN(space);
  for (const char *end = path; *end != '\0';) {
    const char *start = end;
    end = start + 1 + strcspn(start + 1, "/");
    text_add_bytes(&text, start, (size_t)(end - start));
    if (mkdirat(root, below_root(space), 0755) != 0 && errno != EEXIST)
      return false;
  }
  return true;
}

/* Reads the beginning of @file and closes it. */
static bool read_whole(int file, char *space, size_t size) {
  space[0] = '\0';
  if (file < 0)
    return false;
  ssize_t count = read(file, space, size - 1);
  close(file);
  if (count < 0)
    return false;
  space[count] = '\0';
  if (count > 0 && space[count - 1] == '\n')
    space[count - 1] = '\0';
  return true;
}

bool system_read(const char *path, char *space, size_t size) {
  return read_whole(system_open(path, O_RDONLY), space, size);
}

int system_open_folder(const char *path) {
  return system_open(path, O_RDONLY | O_DIRECTORY);
}

bool system_exists_in(int folder, const char *name) {
  return faccessat(folder, name, F_OK, 0) == 0;
}

bool system_read_in(int folder, const char *name, char *space, size_t size) {
  return read_whole(openat(folder, name, O_RDONLY | O_CLOEXEC), space, size);
}

DIR *system_list(int folder) {
  DIR *list = folder >= 0 ? fdopendir(folder) : NULL;
  if (list == NULL && folder >= 0)
    close(folder);
  return list;
}

int system_write(const char *path, const char *words) {
  int file = system_open(path, O_WRONLY | O_TRUNC);
  if (file < 0)
    return errno;
  ssize_t count = write(file, words, strlen(words));
  int error = count < 0 ? errno : 0;
  close(file);
  return error;
}

void system_mark(const char *path, bool marked) {
  int file = system_open(path, O_RDONLY);
  if (file < 0)
    return;
  if (marked)
    fsetxattr(file, MARK, "1", 1, 0);
  else
    fremovexattr(file, MARK);
  close(file);
}

bool system_is_marked(const char *path) {
  int file = system_open(path, O_RDONLY);
  if (file < 0)
    return false;
  bool marked = fgetxattr(file, MARK, NULL, 0) >= 0;
  close(file);
  return marked;
}

bool system_lines(const char *path, void (*line)(const char *words, void *data), void *data) {
  char space[LINE_SIZE];
  size_t used = 0;
  ssize_t count;
  int file = system_open(path, O_RDONLY);
  if (file < 0)
    return false;
  while ((count = read(file, space + used, sizeof(space) - 1 - used)) > 0) {
    used += (size_t)count;
    char *start = space, *end;
    while ((end = memchr(start, '\n', used - (size_t)(start - space))) != NULL) {
      *end = '\0';
      line(start, data);
      start = end + 1;
    }
    used -= (size_t)(start - space);
    memmove(space, start, used);
    if (used == sizeof(space) - 1)
      used = 0; /* none of the files read has such lines */
  }
  close(file);
  return count == 0;
}

int64_t system_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void say(const char *words, ...) {
  char space[512];
  Text text = text_in(space, sizeof(space) - 1); /* always with room for the newline */
  va_list list;
  text_add(&text, "dimmer-guest: ");
  va_start(list, words);
  for (; words != NULL; words = va_arg(list, const char *))
    text_add(&text, words);
  va_end(list);
  space[text.used] = '\n';
  if (write(STDERR_FILENO, space, text.used + 1) < 0)
    return; /* a failed log write cannot be reported */
}
