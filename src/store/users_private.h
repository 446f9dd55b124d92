/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by users.c (reading), users_edit.c (changing) and password.c (hashes). */
#pragma once

#include "store/users.h"

#define USERS_MOST_BYTES ((gsize)1 << 20)
#define USERS_MOST_NAME 255

struct DmUsers {
  GPtrArray *lines;  /* char *, as in the file */
  GPtrArray *users;  /* DmUser * */
  GHashTable *index; /* name -> LineOfUser, which a DmUser begins */
};

/* What is wrong with a name, as "it has no '@'"; NULL: nothing. */
const char *users_name_problem(const char *name);

/* Reads from @fd; @path is for messages. */
DmUsers *users_read(int fd, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The user's index in @lines; FALSE: none. */
gboolean users_line_of(const DmUsers *users, const char *name, guint *line);

/*
 * The hash of a new password, or NULL with DM_ERROR_USAGE: invalid; @name is for messages. As slow as
 * dm_users_verify().
 */
char *users_hash(const char *name, const char *password, GError **error) G_GNUC_WARN_UNUSED_RESULT;
