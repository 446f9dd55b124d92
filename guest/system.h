/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's files, the clock, and the agent's log. */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* Paths are absolute, but relative to this folder instead of "/", for tests. False with errno set. */
bool system_set_root(const char *folder);
bool system_root_is_real(void);

/* As open(2); O_CLOEXEC is added. */
int system_open(const char *path, int flags);
bool system_exists(const char *path);
bool system_rename(const char *from, const char *to); /* false with errno set */
void system_remove(const char *path);                 /* preserves errno */

/* Creates a folder and its parents if missing. False with errno set. */
bool system_mkdirs(const char *path);

/*
 * Opens a folder below /sys for the next two: all reads then refer to the same folder, even if another one replaces it
 * under that name. -1 if there is none; the caller closes it.
 */
int system_open_folder(const char *path);
bool system_exists_in(int folder, const char *name);
/* As system_read(). */
bool system_read_in(int folder, const char *name, char *space, size_t size);

/* To read the names in a folder; takes ownership of @folder; NULL if that fails, or it is -1. */
DIR *system_list(int folder);

/* The beginning of a small file, without a trailing newline. False if it cannot be read; @space is then "". */
bool system_read(const char *path, char *space, size_t size);

/* Writes a kernel file. 0 or the error number. */
int system_write(const char *path, const char *words);

/*
 * A mark on a folder below /sys, which the kernel keeps as long as the folder exists. If it cannot be set, it is
 * missing.
 */
void system_mark(const char *path, bool marked);
bool system_is_marked(const char *path);

/* Calls @line for each line of a file; lines longer than 512 bytes are cut. False if it cannot be read. */
bool system_lines(const char *path, void (*line)(const char *words, void *data), void *data);

/* Monotonic milliseconds. */
int64_t system_now(void);

/* Writes one line to standard error, of the words up to NULL. */
void say(const char *words, ...) __attribute__((sentinel));
