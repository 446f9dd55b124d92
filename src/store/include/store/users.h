/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The users file: a line "NAME:ROLE:HASH" each, '#' comments and blank lines are kept. NAME is user@profile
 * ("admin@internal"), at most 255 bytes of UTF-8 without ':', white space and control characters. ROLE is admin or
 * viewer. HASH is a crypt(5) hash (yescrypt); "!" or "*" disables the login. Plain functions; any thread.
 */
#pragma once

#include <glib.h>

typedef enum {
  DM_ROLE_VIEWER, /* reads */
  DM_ROLE_ADMIN,  /* reads and changes */
} DmRole;

typedef struct {
  char *name;
  DmRole role;
  char *hash;
} DmUser;

typedef struct DmUsers DmUsers; /* the file as it was read */

/* A missing file means no users. NULL with DM_ERROR_FAILED naming file and line: broken, or readable by others. */
DmUsers *dm_users_load(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same, but a missing file is an error. */
DmUsers *dm_users_load_existing(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void dm_users_free(DmUsers *users);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmUsers, dm_users_free)

const DmUser *dm_users_find(const DmUsers *users, const char *name); /* owned by @users; NULL: none */
const GPtrArray *dm_users_list(const DmUsers *users);                /* const DmUser */

/*
 * Takes some 15 ms of CPU and 16 MiB: call it in a worker thread. @hash NULL takes as long and fails, so that timing
 * does not reveal names.
 */
gboolean dm_users_verify(const char *hash, const char *password);

/*
 * These change the file at once, atomically (mode 0600), under a lock; they are as slow as dm_users_verify(). Passwords
 * are 1 to 511 bytes of UTF-8. Errors name the user, the file and the remedy: DM_ERROR_USAGE for an invalid name or
 * password, else DM_ERROR_FAILED. The file keeps its owner, and a symbolic link to it is followed.
 */
gboolean dm_users_add(
  const char *path, const char *name, DmRole role, const char *password, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean dm_users_set_password(
  const char *path, const char *name, const char *password, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean dm_users_set_role(const char *path, const char *name, DmRole role, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean dm_users_delete(const char *path, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

const char *dm_role_name(DmRole role);
gboolean dm_role_from_name(const char *name, DmRole *role);
