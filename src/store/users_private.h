/* SPDX-License-Identifier: Apache-2.0 */
/* What users.c (reading), users_edit.c (changing) and password.c (hashes) share. */
#pragma once

#include "store/users.h"

#define USERS_MOST_BYTES ((gsize)1 << 20)
#define USERS_MOST_NAME 255

struct DmUsers {
  GPtrArray *lines;  /* char *, as they stand in the file */
  GPtrArray *users;  /* DmUser * */
  GHashTable *index; /* name -> LineOfUser, which a DmUser begins */
};

/* What is wrong with a name, as "it has no '@'"; NULL: nothing. */
const char *users_name_problem(const char *name);

/* Reads what @fd is open at; @path is for messages. */
DmUsers *users_read(int fd, const char *path, GError **error);

/* Where in @lines the user stands; FALSE: nowhere. */
gboolean users_line_of(const DmUsers *users, const char *name, guint *line);

/*
 * The hash of a new password, or NULL with DM_ERROR_USAGE: it cannot be one; @name is for messages. Takes as long as
 * dm_users_verify().
 */
char *users_hash(const char *name, const char *password, GError **error);
