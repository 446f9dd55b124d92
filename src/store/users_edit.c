/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing the users file. The lock is flock() on the file itself, so that there is no second file whose owner and mode
 * could be wrong. The file is replaced by rename(), so after locking, check that the locked file still has that name,
 * and start over if not.
 *
 * The new text goes to FILE.new, is synced, and replaces the old one: a crash at any step leaves one or the other,
 * complete. A FILE.new left by a crash is removed by the next change; because of the lock no other process uses it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "users_private.h"

typedef struct {
  char *path; /* symbolic links resolved: the file is replaced, not the link */
  int fd;     /* the locked file */
  struct stat old;
  DmUsers *users;
} Edit;

static void edit_free(Edit *edit) {
  if (edit == NULL)
    return;
  if (edit->fd >= 0)
    close(edit->fd);
  dm_users_free(edit->users);
  g_free(edit->path);
  g_free(edit);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Edit, edit_free)

/* By errno. */
static gboolean fail(const char *path, GError **error) {
  int failed = errno;
  gboolean full = failed == ENOSPC || failed == EDQUOT;
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot change the users file %s: %s; %s", path, g_strerror(failed),
    full ? "free space on its file system" : "create its folder, and make both writable for this user");
  return FALSE;
}

static gboolean fail_no_user(const char *path, const char *name, GError **error) {
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "the users file %s has no user %s; add the user first", path, name);
  return FALSE;
}

static int lock(int fd) {
  int locked;
  do {
    locked = flock(fd, LOCK_EX);
  } while (locked != 0 && errno == EINTR);
  return locked;
}

/* The locked descriptor of the file that has the name now; -1 with errno. */
static int open_locked(const char *path, gboolean make, struct stat *file) {
  for (;;) {
    struct stat named;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (make ? O_CREAT : 0), 0600);
    if (fd < 0)
      return -1;
    if (lock(fd) != 0 || fstat(fd, file) != 0) {
      int failed = errno;
      close(fd);
      errno = failed;
      return -1;
    }
    if (stat(path, &named) == 0 && named.st_dev == file->st_dev && named.st_ino == file->st_ino)
      return fd;
    close(fd);
  }
}

/* The file, locked and read. @make: creates it if missing; else NULL with @missing set and no error. */
static Edit *edit_begin(const char *path, gboolean make, gboolean *missing, GError **error) {
  g_autoptr(Edit) edit = g_new0(Edit, 1);
  edit->path = realpath(path, NULL);
  if (edit->path == NULL)
    edit->path = g_strdup(path);
  edit->fd = open_locked(edit->path, make, &edit->old);
  *missing = edit->fd < 0 && errno == ENOENT && !make;
  if (*missing)
    return NULL;
  if (edit->fd < 0) {
    fail(path, error);
    return NULL;
  }
  edit->users = users_read(edit->fd, path, error);
  return edit->users != NULL ? g_steal_pointer(&edit) : NULL;
}

static gboolean write_all(int fd, const char *text, gsize length) {
  while (length > 0) {
    gssize count = write(fd, text, length);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return FALSE;
    text += count;
    length -= (gsize)count;
  }
  return TRUE;
}

/* FALSE with errno. */
static gboolean write_new(const Edit *edit, const char *name, const GString *text) {
  if (unlink(name) != 0 && errno != ENOENT)
    return FALSE;
  int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return FALSE;
  /* root may change a file owned by the daemon's user, which must be able to read it afterwards. */
  gboolean well = (geteuid() != 0 || fchown(fd, edit->old.st_uid, edit->old.st_gid) == 0) && fchmod(fd, 0600) == 0 &&
    write_all(fd, text->str, text->len) && fsync(fd) == 0;
  int failed = errno;
  close(fd);
  if (!well)
    unlink(name);
  errno = failed;
  return well;
}

/* So that the rename itself survives a power cut. */
static gboolean sync_folder(const char *path) {
  g_autofree char *folder = g_path_get_dirname(path);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return FALSE;
  gboolean well = fsync(fd) == 0;
  int failed = errno;
  close(fd);
  errno = failed;
  return well;
}

static gboolean edit_write(const Edit *edit, const char *path, GError **error) {
  g_autofree char *name = g_strconcat(edit->path, ".new", NULL);
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < edit->users->lines->len; i++)
    g_string_append_printf(text, "%s\n", (const char *)edit->users->lines->pdata[i]);
  if (!write_new(edit, name, text))
    return fail(path, error);
  if (rename(name, edit->path) != 0) {
    int failed = errno;
    unlink(name);
    errno = failed;
    return fail(path, error);
  }
  return sync_folder(edit->path) || fail(path, error);
}

static gboolean check_name(const char *name, GError **error) {
  const char *problem = users_name_problem(name);
  if (problem == NULL)
    return TRUE;
  /* Escaped, because it may contain terminal control characters. */
  g_autofree char *printable = g_strescape(name, NULL);
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE,
    "\"%s\" cannot be a user's name: %s; a name is user@profile, like admin@internal", printable, problem);
  return FALSE;
}

gboolean dm_users_add(const char *path, const char *name, DmRole role, const char *password, GError **error) {
  gboolean missing = FALSE;
  if (!check_name(name, error))
    return FALSE;
  /* Before taking the lock, as it takes long. */
  g_autofree char *hash = users_hash(name, password, error);
  g_autoptr(Edit) edit = hash != NULL ? edit_begin(path, TRUE, &missing, error) : NULL;
  if (edit == NULL)
    return FALSE;
  if (dm_users_find(edit->users, name) != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "the users file %s has a user %s already; change the password, or delete the user first", path, name);
    return FALSE;
  }
  g_ptr_array_add(edit->users->lines, g_strdup_printf("%s:%s:%s", name, dm_role_name(role), hash));
  return edit_write(edit, path, error);
}

/* Writes non-NULL values to the user's line; removes the line if both are NULL. */
static gboolean change_line(const char *path, const char *name, const DmRole *role, const char *hash, GError **error) {
  guint line = 0;
  gboolean missing = FALSE;
  g_autoptr(Edit) edit = edit_begin(path, FALSE, &missing, error);
  if (missing)
    return fail_no_user(path, name, error);
  if (edit == NULL)
    return FALSE;
  if (!users_line_of(edit->users, name, &line))
    return fail_no_user(path, name, error);
  if (role == NULL && hash == NULL) {
    g_ptr_array_remove_index(edit->users->lines, line);
  } else {
    const DmUser *user = dm_users_find(edit->users, name);
    g_free(edit->users->lines->pdata[line]);
    edit->users->lines->pdata[line] = g_strdup_printf(
      "%s:%s:%s", name, dm_role_name(role != NULL ? *role : user->role), hash != NULL ? hash : user->hash);
  }
  return edit_write(edit, path, error);
}

gboolean dm_users_set_password(const char *path, const char *name, const char *password, GError **error) {
  if (!check_name(name, error))
    return FALSE;
  g_autofree char *hash = users_hash(name, password, error);
  return hash != NULL && change_line(path, name, NULL, hash, error);
}

gboolean dm_users_set_role(const char *path, const char *name, DmRole role, GError **error) {
  return check_name(name, error) && change_line(path, name, &role, NULL, error);
}

gboolean dm_users_delete(const char *path, const char *name, GError **error) {
  return check_name(name, error) && change_line(path, name, NULL, NULL, error);
}
