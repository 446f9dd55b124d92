/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's files, the clock, and the agent's log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* Paths are absolute; they lead below this folder instead of "/", for tests. False with errno set. */
bool system_set_root(const char *folder);
bool system_root_is_real(void);

/* As open(2); O_CLOEXEC is added. */
int system_open(const char *path, int flags);
bool system_exists(const char *path);
bool system_rename(const char *from, const char *to); /* false with errno set */
void system_remove(const char *path);                 /* errno stays what it was */

/* Makes a folder, and those above it, where they are missing. False with errno set. */
bool system_mkdirs(const char *path);

/* The beginning of a small file, without a line's end at its end. False if it cannot be read; @space is then "". */
bool system_read(const char *path, char *space, size_t size);

/* Replaces what a file of the kernel says. 0 or the error number. */
int system_write(const char *path, const char *words);

/*
 * A mark on a folder below /sys, which the kernel keeps for as long as the folder is there. Where it cannot be set,
 * there is none.
 */
void system_mark(const char *path, bool marked);
bool system_is_marked(const char *path);

/* Calls @line for each line of a file; lines longer than 512 bytes are cut. False if it cannot be read. */
bool system_lines(const char *path, void (*line)(const char *words, void *data), void *data);

/* Milliseconds since some moment; it never goes back. */
int64_t system_now(void);

/* One line to standard error, of the words up to NULL. */
void say(const char *words, ...) __attribute__((sentinel));
