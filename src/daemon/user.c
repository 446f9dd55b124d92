/* SPDX-License-Identifier: Apache-2.0 */
#include "user.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/shell.h"
#include "store/users.h"

/* The account of the packaged service; packaging/dimmer.sysusers creates it. */
#define ACCOUNT "dimmer"
#define SYSTEM_FOLDER "/etc/dimmer"

typedef struct {
  const char *name;
  guint count;          /* of operands */
  const char *operands; /* NULL: none */
  const char *summary;
  gboolean (*run)(const char *user, DmRole role, const char *file, GError **error);
} UserVerb;

static gboolean fail_to_make(const char *what, GError **error) {
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot make %s: %s", what, g_strerror(errno));
  return FALSE;
}

/*
 * Creates the folder and, if root creates the system's file, the file too: it must belong to the service's account,
 * which reads it. Changes of the file keep its owner.
 */
static gboolean make_file(const char *file, GError **error) {
  g_autofree char *folder = g_path_get_dirname(file);
  if (g_mkdir_with_parents(folder, 0755) != 0)
    return fail_to_make(folder, error);
  const struct passwd *account = geteuid() == 0 && strcmp(folder, SYSTEM_FOLDER) == 0 ? getpwnam(ACCOUNT) : NULL;
  int fd = account != NULL ? open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
  if (fd < 0)
    return TRUE; /* it exists, or dm_users_add() creates it, or reports why not */
  int failed = fchown(fd, account->pw_uid, account->pw_gid) != 0;
  close(fd);
  return !failed || fail_to_make(file, error);
}

static gboolean run_add(const char *user, DmRole role, const char *file, GError **error) {
  g_autoptr(DmUsers) users = dm_users_load(file, error);
  if (users == NULL)
    return FALSE;
  if (dm_users_find(users, user) != NULL) { /* before asking for a password in vain */
    g_autofree char *passwd = dm_shell_command("dimmerd", "user", "passwd", "--", user, "--users", file, NULL);
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "there is a user '%s' in %s already; change the password: %s", user,
      file, passwd);
    return FALSE;
  }
  char *password = password_read(user, error);
  gboolean done = password != NULL && make_file(file, error) && dm_users_add(file, user, role, password, error);
  password_free(password);
  return done;
}

static gboolean run_passwd(const char *user, DmRole role, const char *file, GError **error) {
  g_autoptr(DmUsers) users = dm_users_load(file, error);
  if (users == NULL)
    return FALSE;
  if (dm_users_find(users, user) == NULL) {
    g_autofree char *list = dm_shell_command("dimmerd", "user", "list", "--users", file, NULL);
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "there is no user '%s' in %s; list them: %s", user, file, list);
    return FALSE;
  }
  char *password = password_read(user, error);
  gboolean done = password != NULL && dm_users_set_password(file, user, password, error);
  password_free(password);
  return done;
}

static gboolean run_role(const char *user, DmRole role, const char *file, GError **error) {
  return dm_users_set_role(file, user, role, error);
}

static gboolean run_del(const char *user, DmRole role, const char *file, GError **error) {
  return dm_users_delete(file, user, error);
}

static gboolean run_list(const char *user, DmRole role, const char *file, GError **error) {
  g_autoptr(DmUsers) users = dm_users_load_existing(file, error);
  if (users == NULL)
    return FALSE;
  const GPtrArray *list = dm_users_list(users);
  for (guint i = 0; i < list->len; i++) {
    const DmUser *one = list->pdata[i];
    printf("%-6s  %s\n", dm_role_name(one->role), one->name);
  }
  return TRUE;
}

static const UserVerb verbs[] = {
  {"add", 1, "NAME", "add a user; the password is asked for, or one line of standard input", run_add},
  {"passwd", 1, "NAME", "change a user's password", run_passwd},
  {"role", 2, "NAME ROLE", "make a user an admin or a viewer", run_role},
  {"del", 1, "NAME", "remove a user", run_del},
  {"list", 0, NULL, "show the roles and names of all users", run_list},
};

void user_print_verbs(void) {
  for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
    g_autofree char *usage = g_strjoin(" ", "user", verbs[i].name, verbs[i].operands, NULL);
    printf("  %-20s %s\n", usage, verbs[i].summary);
  }
}

static gboolean fail_usage(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail_usage(GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *why = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "%s; see 'dimmerd --help'", why);
  return FALSE;
}

gboolean user_run(char **words, const char *role_name, const char *file, GError **error) {
  const UserVerb *verb = NULL;
  DmRole role = DM_ROLE_VIEWER;
  if (words[0] == NULL)
    return fail_usage(error, "what to do with users is missing: add, passwd, role, del or list");
  for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
    if (strcmp(verbs[i].name, words[0]) == 0)
      verb = &verbs[i];
  }
  if (verb == NULL)
    return fail_usage(error, "there is no 'user %s': it is add, passwd, role, del or list", words[0]);
  guint count = g_strv_length(words) - 1;
  if (verb->count > 0 && (count == 0 || *words[1] == '\0'))
    return fail_usage(error, "the name of the user is missing, like admin@internal");
  if (count > verb->count)
    return fail_usage(error, "unexpected argument '%s'", words[verb->count + 1]);
  if (role_name != NULL && verb->run != run_add)
    return fail_usage(error, "--role is for 'user add' only; 'dimmerd user role' changes the role of a user");
  if (verb->run == run_role)
    role_name = count == 2 ? words[2] : "";
  if (role_name != NULL && !dm_role_from_name(role_name, &role))
    return fail_usage(error, "a role is 'admin' or 'viewer', not '%s'", role_name);
  if (!verb->run(words[1], role, file, error))
    return FALSE;
  if (verb->run != run_list)
    puts("done; have a running dimmerd read it: systemctl reload dimmerd");
  return TRUE;
}
