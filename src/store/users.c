/* SPDX-License-Identifier: Apache-2.0 */
#include "store/users.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "users_private.h"

typedef struct {
  DmUser user; /* first: the list has pointers to it */
  guint line;  /* from 0 */
} LineOfUser;

static void user_free(gpointer data) {
  LineOfUser *user = data;
  g_free(user->user.name);
  g_free(user->user.hash);
  g_free(user);
}

static DmUsers *users_new(void) {
  DmUsers *users = g_new0(DmUsers, 1);
  users->lines = g_ptr_array_new_with_free_func(g_free);
  users->users = g_ptr_array_new_with_free_func(user_free);
  users->index = g_hash_table_new(g_str_hash, g_str_equal);
  return users;
}

void dm_users_free(DmUsers *users) {
  if (users == NULL)
    return;
  g_hash_table_unref(users->index);
  g_ptr_array_unref(users->users);
  g_ptr_array_unref(users->lines);
  g_free(users);
}

const char *dm_role_name(DmRole role) {
  return role == DM_ROLE_ADMIN ? "admin" : "viewer";
}

gboolean dm_role_from_name(const char *name, DmRole *role) {
  for (DmRole each = DM_ROLE_VIEWER; each <= DM_ROLE_ADMIN; each++) {
    if (g_strcmp0(name, dm_role_name(each)) == 0) {
      *role = each;
      return TRUE;
    }
  }
  return FALSE;
}

const char *users_name_problem(const char *name) {
  if (strlen(name) > USERS_MOST_NAME)
    return "it is longer than 255 bytes";
  if (!g_utf8_validate(name, -1, NULL))
    return "it is not UTF-8";
  for (const char *at = name; *at != '\0'; at = g_utf8_next_char(at)) {
    gunichar character = g_utf8_get_char(at);
    /* Control and invisible characters, which could make a name look like another one in the log. */
    if (character == ':' || g_unichar_isspace(character) || !g_unichar_isgraph(character))
      return "it has a ':', white space or a control character";
  }
  if (name[0] == '#')
    return "it begins with '#', as a comment does";
  /* The last one: user names of directories can have an '@' of their own. */
  const char *at = strrchr(name, '@');
  if (at == NULL || at == name || at[1] == '\0')
    return "it is not of the form user@profile";
  return NULL;
}

/* A crypt(5) hash, or a locked user's "!" or "*". Anything else is most likely a password in plain text. */
static gboolean is_hash(const char *text) {
  if (strchr("$!*", text[0]) == NULL || text[0] == '\0' || strlen(text) >= CRYPT_OUTPUT_SIZE)
    return FALSE;
  for (const char *at = text; *at != '\0'; at++) {
    if (!g_ascii_isgraph(*at))
      return FALSE;
  }
  return TRUE;
}

/* Parses a line that is neither blank nor a comment. Returns what is wrong with it, or NULL. */
static const char *add_line(DmUsers *users, const char *line, guint number) {
  g_auto(GStrv) fields = g_strsplit(line, ":", -1);
  DmRole role;
  if (g_strv_length(fields) != 3)
    return "it is not of the form NAME:ROLE:HASH";
  const char *problem = users_name_problem(fields[0]);
  if (problem != NULL)
    return "its name is not valid: write user@profile, without white space and control characters, at most 255 bytes";
  if (!dm_role_from_name(fields[1], &role))
    return "its role is neither admin nor viewer";
  if (!is_hash(fields[2]))
    return "its hash is not one of crypt(5): remove the line, and add the user anew";
  if (g_hash_table_contains(users->index, fields[0]))
    return "its user is in an earlier line too: remove one of them";
  LineOfUser *user = g_new0(LineOfUser, 1);
  *user = (LineOfUser){{g_strdup(fields[0]), role, g_strdup(fields[2])}, number};
  g_ptr_array_add(users->users, user);
  g_hash_table_insert(users->index, user->user.name, user);
  return NULL;
}

static DmUsers *parse(const char *text, gsize length, const char *path, GError **error) {
  g_autoptr(DmUsers) users = users_new();
  for (const char *at = text, *end = length > 0 ? text + length : text; at < end;) { /* no bytes: text may be NULL */
    const char *newline = memchr(at, '\n', (gsize)(end - at));
    gsize size = (gsize)((newline != NULL ? newline : end) - at);
    char *line = g_strndup(at, size);
    guint number = users->lines->len;
    g_ptr_array_add(users->lines, line);
    const char *problem = NULL;
    const char *start = line + strspn(line, " \t\r");
    if (memchr(at, '\0', size) != NULL)
      problem = "it has a zero byte";
    else if (*start != '\0' && *start != '#')
      problem = add_line(users, line, number);
    if (problem != NULL) {
      g_set_error(
        error, DM_ERROR, DM_ERROR_FAILED, "the users file %s is broken in line %u: %s", path, number + 1, problem);
      return NULL;
    }
    at += size + 1;
  }
  return g_steal_pointer(&users);
}

/* The file, or slightly more than its first @most bytes; NULL with errno. */
static GByteArray *read_all(int fd, gsize most) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  guint8 part[4096];
  while (bytes->len < most) {
    gssize count = read(fd, part, sizeof part);
    if (count == 0)
      break;
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return NULL;
    g_byte_array_append(bytes, part, (guint)count);
  }
  return g_steal_pointer(&bytes);
}

/* By errno. */
static DmUsers *fail_read(const char *path, GError **error) {
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
    "cannot read the users file %s: %s; it must be a file that belongs to this user", path, g_strerror(errno));
  return NULL;
}

DmUsers *users_read(int fd, const char *path, GError **error) {
  struct stat file;
  if (fstat(fd, &file) != 0)
    return fail_read(path, error);
  if (!S_ISREG(file.st_mode)) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "the users file %s is not a file; name another one", path);
    return NULL;
  }
  if ((file.st_mode & 077) != 0) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "the users file %s is open to other users of this host (mode %04o); run 'chmod 600 %s'", path,
      (guint)file.st_mode & 07777, path);
    return NULL;
  }
  g_autoptr(GByteArray) bytes = read_all(fd, USERS_MOST_BYTES + 1);
  if (bytes == NULL)
    return fail_read(path, error);
  if (bytes->len > USERS_MOST_BYTES) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "the users file %s is larger than 1 MiB; name the right one", path);
    return NULL;
  }
  return parse(bytes->len > 0 ? (const char *)bytes->data : "", bytes->len, path, error);
}

static DmUsers *load(const char *path, gboolean existing, GError **error) {
  /* NONBLOCK: does not wait for the other end if it is a pipe. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 && errno == ENOENT && !existing)
    return users_new();
  if (fd < 0 && errno == ENOENT) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "there is no users file %s; correct its name, or create it with 'dimmerd user add'", path);
    return NULL;
  }
  if (fd < 0)
    return fail_read(path, error);
  DmUsers *users = users_read(fd, path, error);
  close(fd);
  return users;
}

DmUsers *dm_users_load(const char *path, GError **error) {
  return load(path, FALSE, error);
}

DmUsers *dm_users_load_existing(const char *path, GError **error) {
  return load(path, TRUE, error);
}

const DmUser *dm_users_find(const DmUsers *users, const char *name) {
  const LineOfUser *user = name != NULL ? g_hash_table_lookup(users->index, name) : NULL;
  return user != NULL ? &user->user : NULL;
}

const GPtrArray *dm_users_list(const DmUsers *users) {
  return users->users;
}

gboolean users_line_of(const DmUsers *users, const char *name, guint *line) {
  const LineOfUser *user = g_hash_table_lookup(users->index, name);
  if (user != NULL)
    *line = user->line;
  return user != NULL;
}
