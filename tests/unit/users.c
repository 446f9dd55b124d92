/* SPDX-License-Identifier: Apache-2.0 */
#include "store/users.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"

#define HASH "$y$j9T$7AX3y2w5.MQGVs1wWpVq51$22X46iL8IAGnrRJ2ckOt0qzixnCXh7ImJtd/ShrFw2A"

static void add_well(const Scratch *scratch, const char *name, DmRole role, const char *password) {
  g_autoptr(GError) error = NULL;
  g_assert_true(dm_users_add(scratch->path, name, role, password, &error));
  g_assert_no_error(error);
}

static DmUsers *load_well(const Scratch *scratch) {
  g_autoptr(GError) error = NULL;
  DmUsers *users = dm_users_load(scratch->path, &error);
  g_assert_no_error(error);
  g_assert_nonnull(users);
  return users;
}

static gboolean logs_in(const Scratch *scratch, const char *name, const char *password) {
  g_autoptr(DmUsers) users = load_well(scratch);
  const DmUser *user = dm_users_find(users, name);
  return dm_users_verify(user != NULL ? user->hash : NULL, password);
}

static void check_load_refused(const Scratch *scratch, const char *text, mode_t mode, const char *expected) {
  g_autoptr(GError) error = NULL;
  scratch_write(scratch, text, mode);
  g_assert_null(dm_users_load(scratch->path, &error));
  check_error(&error, DM_ERROR_FAILED, expected, scratch->path);
  g_assert_null(dm_users_load(scratch->path, NULL));
  /* What cannot be read is not changed either. */
  g_assert_false(dm_users_delete(scratch->path, "admin@internal", &error));
  check_error(&error, DM_ERROR_FAILED, expected, scratch->path);
  scratch_check(scratch, text);
}

static void test_role(void) {
  DmRole role = DM_ROLE_ADMIN;
  g_assert_cmpstr(dm_role_name(DM_ROLE_ADMIN), ==, "admin");
  g_assert_cmpstr(dm_role_name(DM_ROLE_VIEWER), ==, "viewer");
  g_assert_true(dm_role_from_name("viewer", &role));
  g_assert_cmpint(role, ==, DM_ROLE_VIEWER);
  g_assert_true(dm_role_from_name("admin", &role));
  g_assert_cmpint(role, ==, DM_ROLE_ADMIN);
  static const char *const none[] = {"Admin", "", "admin ", "root", NULL};
  for (gsize i = 0; i < G_N_ELEMENTS(none); i++)
    g_assert_false(dm_role_from_name(none[i], &role));
  g_assert_cmpint(role, ==, DM_ROLE_ADMIN);
}

static void test_not_there(void) {
  g_auto(Scratch) scratch = scratch_new("users");
  g_autoptr(GError) error = NULL;
  g_autoptr(DmUsers) users = load_well(&scratch);
  g_assert_cmpuint(dm_users_list(users)->len, ==, 0);
  g_assert_null(dm_users_find(users, "admin@internal"));
  g_assert_null(dm_users_find(users, NULL));
  g_assert_false(dm_users_delete(scratch.path, "admin@internal", &error));
  check_error(
    &error, DM_ERROR_FAILED, "the users file PATH has no user admin@internal; add the user first", scratch.path);
  g_autofree char *left = scratch_list(&scratch);
  g_assert_cmpstr(left, ==, "");
  dm_users_free(NULL);
}

static void test_life(void) {
  g_auto(Scratch) scratch = scratch_new("users");
  g_autoptr(GError) error = NULL;
  mode_t mask = umask(0);
  add_well(&scratch, "admin@internal", DM_ROLE_ADMIN, "caf\xc3\xa9 : # \n");
  umask(0777);
  add_well(&scratch, "ann@corp.example@ldap", DM_ROLE_VIEWER, "secret");
  umask(mask);
  struct stat file;
  g_assert_cmpint(stat(scratch.path, &file), ==, 0);
  g_assert_cmpint(file.st_mode & 07777, ==, 0600);
  g_autofree char *left = scratch_list(&scratch);
  g_assert_cmpstr(left, ==, "users ");

  g_autoptr(DmUsers) users = load_well(&scratch);
  const GPtrArray *list = dm_users_list(users);
  g_assert_cmpuint(list->len, ==, 2);
  g_assert_cmpstr(((const DmUser *)list->pdata[0])->name, ==, "admin@internal");
  const DmUser *ann = dm_users_find(users, "ann@corp.example@ldap");
  g_assert_true(ann == list->pdata[1]);
  g_assert_cmpint(ann->role, ==, DM_ROLE_VIEWER);
  g_assert_true(g_str_has_prefix(ann->hash, "$y$"));

  g_assert_true(logs_in(&scratch, "admin@internal", "caf\xc3\xa9 : # \n"));
  g_assert_false(logs_in(&scratch, "admin@internal", "cafe : # \n"));
  g_assert_false(logs_in(&scratch, "admin@internal", ""));
  g_assert_false(logs_in(&scratch, "nobody@internal", "secret"));

  g_assert_false(dm_users_add(scratch.path, "admin@internal", DM_ROLE_VIEWER, "x", &error));
  check_error(&error, DM_ERROR_FAILED,
    "the users file PATH has a user admin@internal already; change the password, or delete the user first",
    scratch.path);
  g_assert_true(dm_users_set_password(scratch.path, "ann@corp.example@ldap", "new", &error));
  g_assert_true(logs_in(&scratch, "ann@corp.example@ldap", "new"));
  g_assert_false(logs_in(&scratch, "ann@corp.example@ldap", "secret"));
  g_assert_true(dm_users_set_role(scratch.path, "ann@corp.example@ldap", DM_ROLE_ADMIN, &error));
  g_assert_true(logs_in(&scratch, "ann@corp.example@ldap", "new"));
  dm_users_free(g_steal_pointer(&users));
  users = load_well(&scratch);
  g_assert_cmpint(dm_users_find(users, "ann@corp.example@ldap")->role, ==, DM_ROLE_ADMIN);
  g_assert_true(dm_users_set_role(scratch.path, "ann@corp.example@ldap", DM_ROLE_VIEWER, &error));
  g_assert_false(dm_users_set_role(scratch.path, "bob@internal", DM_ROLE_VIEWER, &error));
  check_error(
    &error, DM_ERROR_FAILED, "the users file PATH has no user bob@internal; add the user first", scratch.path);
  g_assert_false(dm_users_set_password(scratch.path, "bob@internal", "new", &error));
  check_error(
    &error, DM_ERROR_FAILED, "the users file PATH has no user bob@internal; add the user first", scratch.path);
  g_assert_true(dm_users_delete(scratch.path, "admin@internal", &error));
  g_assert_false(dm_users_delete(scratch.path, "admin@internal", &error));
  check_error(
    &error, DM_ERROR_FAILED, "the users file PATH has no user admin@internal; add the user first", scratch.path);
  dm_users_free(g_steal_pointer(&users));
  users = load_well(&scratch);
  g_assert_cmpuint(dm_users_list(users)->len, ==, 1);
  g_assert_cmpint(dm_users_find(users, "ann@corp.example@ldap")->role, ==, DM_ROLE_VIEWER);
}

/* All that a person wrote into the file stays where it stood. */
static void test_comments(void) {
  g_auto(Scratch) scratch = scratch_new("users");
  scratch_write(&scratch,
    "# who may what\n\n  # \xff not UTF-8\n"
    "a@i:admin:" HASH
    "\n\t\n"
    "b@i:viewer:!\n# the end",
    0600);
  g_assert_true(dm_users_delete(scratch.path, "a@i", NULL));
  scratch_check(&scratch,
    "# who may what\n\n  # \xff not UTF-8\n\t\n"
    "b@i:viewer:!\n# the end\n");
  add_well(&scratch, "c@i", DM_ROLE_ADMIN, "secret");
  g_assert_true(dm_users_delete(scratch.path, "c@i", NULL));
  scratch_check(&scratch,
    "# who may what\n\n  # \xff not UTF-8\n\t\n"
    "b@i:viewer:!\n# the end\n");
  g_assert_false(logs_in(&scratch, "b@i", "!")); /* locked */
  g_assert_true(dm_users_set_password(scratch.path, "b@i", "secret", NULL));
  g_assert_true(logs_in(&scratch, "b@i", "secret"));
}

static void test_broken(void) {
  g_auto(Scratch) scratch = scratch_new("users");
  static const struct {
    const char *line, *problem;
  } cases[] = {
    {"admin@internal", "it is not of the form NAME:ROLE:HASH"},
    {"admin@internal:admin", "it is not of the form NAME:ROLE:HASH"},
    {"admin@internal:admin:" HASH ":x", "it is not of the form NAME:ROLE:HASH"},
    {" admin@internal:admin:" HASH, NULL},
    {"admin:admin:" HASH, NULL},
    {"\xff@internal:admin:" HASH, NULL},
    {"admin@internal:root:" HASH, "its role is neither admin nor viewer"},
    {"admin@internal::" HASH, "its role is neither admin nor viewer"},
    {"admin@internal:admin:", "its hash is not one of crypt(5): remove the line, and add the user anew"},
    {"admin@internal:admin:secret", "its hash is not one of crypt(5): remove the line, and add the user anew"},
    {"admin@internal:admin:" HASH "\r", "its hash is not one of crypt(5): remove the line, and add the user anew"},
    {"first@internal:admin:" HASH, "its user is in an earlier line too: remove one of them"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = g_strdup_printf("# a comment\nfirst@internal:admin:%s\n%s\n", HASH, cases[i].line);
    g_autofree char *expected = g_strdup_printf("the users file PATH is broken in line 3: %s",
      cases[i].problem != NULL
        ? cases[i].problem
        : "its name is not valid: write user@profile, without white space and control characters, at most 255 bytes");
    check_load_refused(&scratch, text, 0600, expected);
  }
  g_autoptr(GError) error = NULL;
  g_assert_true(g_file_set_contents(scratch.path, "#\n#\0\n", 5, NULL));
  g_assert_cmpint(chmod(scratch.path, 0600), ==, 0);
  g_assert_null(dm_users_load(scratch.path, &error));
  check_error(&error, DM_ERROR_FAILED, "the users file PATH is broken in line 2: it has a zero byte", scratch.path);
}

static void test_refused_file(void) {
  g_auto(Scratch) scratch = scratch_new("users");
  g_autoptr(GError) error = NULL;
  static const mode_t modes[] = {0640, 0604, 0644, 0660, 0666, 0610, 0601};
  for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
    g_autofree char *expected = g_strdup_printf(
      "the users file PATH is open to other users of this host (mode %04o); run 'chmod 600 PATH'", (guint)modes[i]);
    check_load_refused(&scratch, "admin@internal:admin:" HASH "\n", modes[i], expected);
  }
  g_autofree char *large = g_strnfill(2 << 20, '#');
  check_load_refused(&scratch, large, 0600, "the users file PATH is larger than 1 MiB; name the right one");

  g_assert_cmpint(g_unlink(scratch.path), ==, 0);
  g_assert_cmpint(mkfifo(scratch.path, 0600), ==, 0);
  g_assert_null(dm_users_load(scratch.path, &error));
  check_error(&error, DM_ERROR_FAILED, "the users file PATH is not a file; name another one", scratch.path);
  g_assert_null(dm_users_load(scratch.folder, &error));
  check_error(&error, DM_ERROR_FAILED, "the users file PATH is not a file; name another one", scratch.folder);

  g_autofree char *nowhere = g_build_filename(scratch.folder, "nowhere", "users", NULL);
  g_assert_false(dm_users_add(nowhere, "admin@internal", DM_ROLE_ADMIN, "secret", &error));
  check_error(&error, DM_ERROR_FAILED,
    "cannot change the users file PATH: No such file or directory; create its folder, and make both writable for "
    "this user",
    nowhere);
}

static void test_names(void) {
  g_auto(Scratch) scratch = scratch_new("users");
  g_autofree char *user = g_strnfill(253, 'u');
  g_autofree char *longest = g_strconcat(user, "@i", NULL), *longer = g_strconcat(user, "@in", NULL);
  const struct {
    const char *name, *problem;
  } cases[] = {
    {"", "it is not of the form user@profile"},
    {"admin", "it is not of the form user@profile"},
    {"@internal", "it is not of the form user@profile"},
    {"admin@", "it is not of the form user@profile"},
    {"a:b@internal", "it has a ':', white space or a control character"},
    {"a b@internal", "it has a ':', white space or a control character"},
    {"a\n@internal", "it has a ':', white space or a control character"},
    {"a\x1b[2J@internal", "it has a ':', white space or a control character"},
    {"a\x7f@internal", "it has a ':', white space or a control character"},
    {"a\xc2\x85@internal", "it has a ':', white space or a control character"},     /* U+0085 */
    {"a\xc2\xa0@internal", "it has a ':', white space or a control character"},     /* a no-break space */
    {"a\xe2\x80\xa8@internal", "it has a ':', white space or a control character"}, /* a line separator */
    {"a\xe2\x80\xae@internal", "it has a ':', white space or a control character"}, /* right-to-left override */
    {"a\xff@internal", "it is not UTF-8"},
    {"#a@internal", "it begins with '#', as a comment does"},
    {longer, "it is longer than 255 bytes"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *printable = g_strescape(cases[i].name, NULL);
    g_autofree char *expected = g_strdup_printf(
      "\"%s\" cannot be a user's name: %s; a name is user@profile, like admin@internal", printable, cases[i].problem);
    g_assert_false(dm_users_add(scratch.path, cases[i].name, DM_ROLE_ADMIN, "secret", &error));
    check_error(&error, DM_ERROR_USAGE, expected, NULL);
    g_assert_false(dm_users_set_password(scratch.path, cases[i].name, "secret", &error));
    check_error(&error, DM_ERROR_USAGE, expected, NULL);
    g_assert_false(dm_users_delete(scratch.path, cases[i].name, &error));
    check_error(&error, DM_ERROR_USAGE, expected, NULL);
  }
  g_autofree char *left = scratch_list(&scratch);
  g_assert_cmpstr(left, ==, "");
  add_well(&scratch, longest, DM_ROLE_VIEWER, "secret");
  add_well(&scratch, "jos\xc3\xa9#1@internal", DM_ROLE_VIEWER, "secret");
  g_assert_true(logs_in(&scratch, "jos\xc3\xa9#1@internal", "secret"));
}

static void test_passwords(void) {
  g_auto(Scratch) scratch = scratch_new("users");
  g_autofree char *longest = g_strnfill(511, 'p'), *longer = g_strnfill(512, 'p'), *almost = g_strnfill(510, 'p');
  const struct {
    const char *password, *problem;
  } cases[] = {
    {"", "the password is empty; give one"},
    {"\xff", "the password is not UTF-8; give one that is"},
    {longer, "the password is longer than 511 bytes; give a shorter one"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *expected = g_strdup_printf("wrong password for the user a@i: %s", cases[i].problem);
    g_assert_false(dm_users_add(scratch.path, "a@i", DM_ROLE_ADMIN, cases[i].password, &error));
    check_error(&error, DM_ERROR_USAGE, expected, NULL);
    g_assert_false(dm_users_set_password(scratch.path, "a@i", cases[i].password, &error));
    check_error(&error, DM_ERROR_USAGE, expected, NULL);
  }
  add_well(&scratch, "a@i", DM_ROLE_ADMIN, longest);
  g_assert_true(logs_in(&scratch, "a@i", longest));
  g_assert_false(logs_in(&scratch, "a@i", almost));
  g_assert_false(logs_in(&scratch, "a@i", longer));
}

static gint64 time_of(const char *hash) {
  gint64 best = G_MAXINT64;
  for (guint i = 0; i < 5; i++) {
    gint64 began = g_get_monotonic_time();
    g_assert_false(dm_users_verify(hash, "wrong"));
    best = MIN(best, g_get_monotonic_time() - began);
  }
  return best;
}

static void test_verify(void) {
  static const char *const none[] = {NULL, "", "!", "*", "*0", "*1", "!" HASH, "$", "$y$", "$y$j9T$", "x:y", "secret"};
  g_assert_true(
    dm_users_verify("$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCel"
                    "DCy.g.",
      "password")); /* another method of crypt(5) */
  for (gsize i = 0; i < G_N_ELEMENTS(none); i++) {
    g_assert_false(dm_users_verify(none[i], "secret"));
    g_assert_false(dm_users_verify(none[i], ""));
  }
  /* A user who is not there, or is locked, takes as long as a wrong password does; within what a busy host allows. */
  gint64 wrong = time_of(HASH);
  g_assert_cmpint(time_of(NULL), >, wrong / 4);
  g_assert_cmpint(time_of("!"), >, wrong / 4);
}

/* The owner stays when root changes the file, and a symbolic link stays one. What a crash left is swept away. */
static void test_replaced(void) {
  g_auto(Scratch) scratch = scratch_new("users");
  g_autofree char *real = g_build_filename(scratch.folder, "real", NULL);
  g_autofree char *stale = g_build_filename(scratch.folder, "real.new", NULL);
  g_assert_cmpint(symlink("real", scratch.path), ==, 0);
  g_assert_true(g_file_set_contents(real, "# comment\n", -1, NULL));
  g_assert_cmpint(chmod(real, 0400), ==, 0);
  g_assert_true(g_file_set_contents(stale, "half a li", -1, NULL));
  uid_t owner = geteuid() == 0 ? 65534 : geteuid();
  g_assert_cmpint(chown(real, owner, (gid_t)-1), ==, 0);
  add_well(&scratch, "a@i", DM_ROLE_ADMIN, "secret");
  struct stat file;
  g_assert_cmpint(lstat(scratch.path, &file), ==, 0);
  g_assert_true(S_ISLNK(file.st_mode));
  g_assert_cmpint(stat(scratch.path, &file), ==, 0);
  g_assert_cmpint(file.st_uid, ==, owner);
  g_assert_cmpint(file.st_mode & 07777, ==, 0600);
  g_assert_true(logs_in(&scratch, "a@i", "secret"));
  g_autofree char *left = scratch_list(&scratch);
  g_assert_cmpstr(left, ==, "real users ");
}

/* Two processes add and delete at the same time, from no file on; no user is lost, and readers never see half. */
static void test_together(void) {
  g_auto(Scratch) scratch = scratch_new("users");
  pid_t children[2];
  for (guint i = 0; i < 2; i++) {
    children[i] = fork();
    for (guint n = 0; children[i] == 0 && n < 12; n++) {
      g_autofree char *name = g_strdup_printf("user%u.%u@internal", i, n);
      g_autofree char *before = g_strdup_printf("user%u.%u@internal", i, n - 1);
      g_autoptr(DmUsers) users = NULL;
      add_well(&scratch, name, DM_ROLE_VIEWER, "secret");
      users = load_well(&scratch);
      g_assert_nonnull(dm_users_find(users, name));
      if (n % 3 == 1)
        g_assert_true(dm_users_delete(scratch.path, before, NULL));
    }
    if (children[i] == 0)
      _exit(0);
  }
  scratch_wait(children[0]);
  scratch_wait(children[1]);
  g_autoptr(DmUsers) users = load_well(&scratch);
  g_assert_cmpuint(dm_users_list(users)->len, ==, 16);
}

/* Whatever stands in it: users, or an error that names the file. */
static void test_random(void) {
  g_auto(Scratch) scratch = scratch_new("users");
  g_autoptr(GRand) rand = g_rand_new_with_seed(20250412);
  static const char alphabet[] = "a@i:admin:viewer:$y$#!\n\n\r\t\0\xc3\xa9\xff";
  guint well = 0;
  for (guint i = 0; i < 4000; i++) {
    char bytes[128];
    gsize length = (gsize)g_rand_int_range(rand, 0, 128);
    g_autoptr(GString) text = g_string_new(i % 3 == 0 ? "a@i:admin:$y$x\n" : NULL);
    for (gsize at = 0; at < length; at++)
      bytes[at] =
        (char)(i % 2 ? g_rand_int_range(rand, 0, 256) : alphabet[g_rand_int_range(rand, 0, sizeof alphabet - 1)]);
    g_string_append_len(text, bytes, (gssize)length);
    g_autoptr(GError) error = NULL;
    g_assert_true(
      g_file_set_contents_full(scratch.path, text->str, (gssize)text->len, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    g_autoptr(DmUsers) users = dm_users_load(scratch.path, &error);
    well += users != NULL;
    if (users == NULL)
      g_assert_nonnull(strstr(error->message, scratch.path));
  }
  g_assert_cmpuint(well, >, 0);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/users/role", test_role);
  g_test_add_func("/users/not-there", test_not_there);
  g_test_add_func("/users/life", test_life);
  g_test_add_func("/users/comments", test_comments);
  g_test_add_func("/users/broken", test_broken);
  g_test_add_func("/users/refused-file", test_refused_file);
  g_test_add_func("/users/names", test_names);
  g_test_add_func("/users/passwords", test_passwords);
  g_test_add_func("/users/verify", test_verify);
  g_test_add_func("/users/replaced", test_replaced);
  g_test_add_func("/users/together", test_together);
  g_test_add_func("/users/random", test_random);
  return g_test_run();
}
