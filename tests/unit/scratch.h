/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own, with the one file it is about. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "base/error.h"

typedef struct {
  char *folder;
  char *path; /* in it; not there at first */
} Scratch;

Scratch scratch_new(const char *name);
void scratch_clear(Scratch *scratch); /* with all that is in the folder */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scratch, scratch_clear)

void scratch_write(const Scratch *scratch, const char *text, mode_t mode);
void scratch_check(const Scratch *scratch, const char *text);

/* The names in the folder, sorted, each with a blank after it. The caller frees. */
char *scratch_list(const Scratch *scratch);

/* The child has to exit with 0. */
void scratch_wait(pid_t child);

/* The error is this one, where "PATH" in @message stands for @path (NULL: it names none); it is cleared. */
void check_error(GError **error, DmError code, const char *message, const char *path);
