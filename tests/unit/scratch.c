/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

Scratch scratch_new(const char *name) {
  g_autoptr(GError) error = NULL;
  Scratch scratch = {.folder = g_dir_make_tmp("dimmer-unit-XXXXXX", &error)};
  g_assert_no_error(error);
  scratch.path = g_build_filename(scratch.folder, name, NULL);
  return scratch;
}

static int compare(gconstpointer a, gconstpointer b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *names_in(const char *folder) {
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  for (const char *name = g_dir_read_name(dir); name != NULL; name = g_dir_read_name(dir))
    g_ptr_array_add(names, g_strdup(name));
  g_ptr_array_sort(names, compare);
  return names;
}

void scratch_clear(Scratch *scratch) {
  g_autoptr(GPtrArray) names = names_in(scratch->folder);
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *path = g_build_filename(scratch->folder, names->pdata[i], NULL);
    g_assert_cmpint(g_remove(path), ==, 0);
  }
  g_assert_cmpint(g_rmdir(scratch->folder), ==, 0);
  g_free(scratch->folder);
  g_free(scratch->path);
}

void scratch_write(const Scratch *scratch, const char *text, mode_t mode) {
  g_assert_true(g_file_set_contents(scratch->path, text, -1, NULL));
  g_assert_cmpint(g_chmod(scratch->path, (int)mode), ==, 0);
}

void scratch_check(const Scratch *scratch, const char *text) {
  g_autofree char *has = NULL;
  g_assert_true(g_file_get_contents(scratch->path, &has, NULL, NULL));
  g_assert_cmpstr(has, ==, text);
}

char *scratch_list(const Scratch *scratch) {
  g_autoptr(GPtrArray) names = names_in(scratch->folder);
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < names->len; i++)
    g_string_append_printf(text, "%s ", (const char *)names->pdata[i]);
  return g_string_free(g_steal_pointer(&text), FALSE);
}

void scratch_wait(pid_t child) {
  int status = -1;
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  g_assert_cmpint(status, ==, 0);
}

void check_error(GError **error, DmError code, const char *message, const char *path) {
  g_auto(GStrv) parts = g_strsplit(message, "PATH", -1);
  g_autofree char *whole = g_strjoinv(path, parts);
  g_assert_error(*error, DM_ERROR, (int)code);
  g_assert_cmpstr((*error)->message, ==, whole);
  g_clear_error(error);
}
