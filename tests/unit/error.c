/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <gio/gio.h>

/* Each code has its own row, and its name is its own: programs compare it. */
static void test_table(void) {
  g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
  for (int code = 0; code < DM_ERROR_CODES; code++) {
    const DmErrorInfo *info = dm_error_info(code);
    g_assert_cmpint(info->code, ==, code);
    g_assert_true(g_hash_table_add(names, (gpointer)info->name));
    g_assert_cmpint(info->http_status, >=, 400);
    g_assert_cmpint(info->http_status, <, 600);
    if (code < DM_ERROR_BAD_REQUEST)
      g_assert_cmpint(info->exit_status, >, DM_EXIT_DONE);
    else
      g_assert_cmpint(info->exit_status, ==, DM_EXIT_NONE);
    g_assert_true(info->exit_status <= DM_EXIT_NOT_FOUND || info->exit_status == DM_EXIT_INTERRUPTED);
    for (const char *p = info->name; *p != '\0'; p++)
      g_assert_true(g_ascii_islower(*p) || *p == '-');
  }
  g_assert_cmpint(dm_error_info(DM_ERROR_CODES)->code, ==, DM_ERROR_FAILED);
  g_assert_cmpint(dm_error_info(-1)->code, ==, DM_ERROR_FAILED);
}

/* oVirt's statuses (ovirt-wire.md, 5.3), which clients know. */
static void test_ovirt_statuses(void) {
  g_assert_cmpint(dm_error_info(DM_ERROR_NOT_A_MULTIPLE)->http_status, ==, 400);
  g_assert_cmpint(dm_error_info(DM_ERROR_GUARANTEED_ABOVE_MEMORY)->http_status, ==, 400);
  g_assert_cmpint(dm_error_info(DM_ERROR_MEMORY_ABOVE_MAXIMUM)->http_status, ==, 409);
  g_assert_cmpint(dm_error_info(DM_ERROR_NO_FREE_SLOT)->http_status, ==, 409);
  g_assert_cmpint(dm_error_info(DM_ERROR_SIZE_ZERO)->http_status, ==, 400);
}

static void test_origin(void) {
  int domain = -1, code = -1;
  g_autoptr(GError) error = g_error_new(DM_ERROR, DM_ERROR_FAILED, "x");
  g_assert_false(dm_error_get_origin(error, &domain, &code));
  g_assert_cmpint(domain, ==, -1);
  g_assert_cmpint(code, ==, -1);
  dm_error_set_origin(error, 10, 42);

  g_autoptr(GError) copy = g_error_copy(error);
  g_prefix_error(&copy, "set memory of web1: ");
  g_assert_true(dm_error_get_origin(copy, &domain, &code));
  g_assert_cmpint(domain, ==, 10);
  g_assert_cmpint(code, ==, 42);
}

static void test_command(void) {
  g_autoptr(GError) error = g_error_new(DM_ERROR, DM_ERROR_BUSY, "x");
  GError *none = NULL;
  g_assert_null(dm_error_get_command(error));
  dm_error_add_command(&error, "dimmer", "list", NULL);
  dm_error_add_command(&error, "dimmer", "show", "my web", NULL);
  dm_error_add_command(&none, "dimmer", "list", NULL);
  dm_error_add_command(NULL, "dimmer", "list", NULL);
  g_autoptr(GError) copy = g_error_copy(error);
  g_clear_error(&error);
  g_assert_cmpstr(dm_error_get_command(copy), ==, "dimmer show 'my web'");
  g_assert_cmpstr(copy->message, ==, "x");
}

static void test_foreign(void) {
  int domain = -1, code = -1;
  g_autoptr(GError) error = g_error_new(G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, "x");
  g_assert_cmpint(dm_error_info_of(error)->code, ==, DM_ERROR_FAILED);
  g_assert_false(dm_error_get_origin(error, &domain, &code));
  g_autoptr(GError) ours = g_error_new(DM_ERROR, DM_ERROR_BUSY, "x");
  g_assert_cmpint(dm_error_info_of(ours)->code, ==, DM_ERROR_BUSY);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/error/table", test_table);
  g_test_add_func("/error/ovirt-statuses", test_ovirt_statuses);
  g_test_add_func("/error/origin", test_origin);
  g_test_add_func("/error/command", test_command);
  g_test_add_func("/error/foreign", test_foreign);
  return g_test_run();
}
