/* SPDX-License-Identifier: Apache-2.0 */
/* Path, matrix parameters and query. */
#include "wire/target.h"

#include <string.h>

#include "base/error.h"

static void test_segments(void) {
  static const struct {
    const char *uri, *joined; /* by blanks */
  } cases[] = {
    {"", ""},
    {"/", ""},
    {"/ovirt-engine/api/vms", "ovirt-engine api vms"},
    {"//ovirt-engine///api/", "ovirt-engine api"},
    {"http://host:8080/api/vms", "api vms"},
    {"HTTPS://host", ""},
    {"/vms/1;next_run?max=5", "vms 1"},
    {"/vms;a=b/1", "vms 1"},
    {"/vms?search=a/b", "vms"},
    {"/a%2fb/c%3Bd/%3f", "a/b c;d ?"},
    {"/a+b", "a+b"},
    {"/%c3%a9", "\xc3\xa9"},
    {"/;x=1/vms", "vms"},
    {"*", "*"},
    {"/...", "..."},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmTarget) target = dm_target_parse(cases[i].uri, &error);
    g_assert_no_error(error);
    g_autofree char *joined = g_strjoinv(" ", (char **)dm_target_segments(target));
    g_assert_cmpstr(joined, ==, cases[i].joined);
  }
  dm_target_free(NULL);
}

static void test_parameters(void) {
  static const struct {
    const char *uri, *value; /* of the parameter k */
  } cases[] = {
    {"/vms", NULL},
    {"/vms?k", ""},
    {"/vms?k=", ""},
    {"/vms?k=v", "v"},
    {"/vms?K=v", NULL},
    {"/vms?kk=v&k=w", "w"},
    {"/vms?k=1&k=2", "1"},
    {"/vms?&&k=1&", "1"},
    {"/vms?k=a=b", "a=b"},
    {"/vms?k=a?b", "a?b"},
    {"/vms?k=a;b", "a;b"},
    {"/vms?k=name%3D%22web1%22", "name=\"web1\""},
    {"/vms?k=a+b%2Bc", "a b+c"},
    {"/vms?%6B=1", "1"},
    {"/vms?=1", NULL},
    {"/vms;k", ""},
    {"/vms;k=v", "v"},
    {"/vms;k=a+b", "a+b"},
    {"/vms;j=1;k=%3B", ";"},
    {"/vms;k=1/7", NULL}, /* not of the last segment */
    {"/vms;k=1/7;k=2", "2"},
    {"/vms/7;k=2/", "2"},
    {"/vms/;k=3", "3"},
    {"/vms;k=1?k=2", "2"}, /* the query wins */
    {"/vms;k=1?j=2", "1"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmTarget) target = dm_target_parse(cases[i].uri, &error);
    g_assert_no_error(error);
    g_test_message("%s", cases[i].uri);
    g_assert_cmpstr(dm_target_parameter(target, "k"), ==, cases[i].value);
  }
}

static void test_refused(void) {
  static const struct {
    const char *uri, *words;
  } cases[] = {
    {"/%", "the URI's part '%' begins with a broken escape; write '%' itself as %25"},
    {"/a%2", "'%2' begins with a broken escape"},
    {"/a%zz", "'%zz' begins with a broken escape"},
    {"/a%2z", "broken escape"},
    {"/a?k=%g0", "broken escape"},
    {"/a?%=1", "broken escape"},
    {"/a;k=%", "broken escape"},
    {"/a;%=k/b", "broken escape"},
    {"/%00", "begins with a NUL character"},
    {"/a?k=%00", "NUL"},
    {"/%ff", "is not UTF-8"},
    {"/\xff", "is not UTF-8"},
    {"/a?k=%c3", "is not UTF-8"},
    {"/a?%c3=k", "is not UTF-8"},
    {"/%ed%a0%80", "is not UTF-8"},
    {"/%c0%ae%c0%ae/", "is not UTF-8"},
    {"/.", "part '.' leads to another place"},
    {"/a/../b", "part '..' leads"},
    {"/%2e%2E/b", "part '..' leads"},
    {"/..;k=1", "part '..' leads"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmTarget) target = dm_target_parse(cases[i].uri, &error);
    g_assert_null(target);
    g_assert_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST);
    if (error != NULL && strstr(error->message, cases[i].words) == NULL)
      g_test_fail_printf("%s: \"%s\" has no \"%s\"", cases[i].uri, error->message, cases[i].words);
  }
}

#define OTHERWISE 7

static void test_booleans(void) {
  static const struct {
    const char *query;
    gboolean value;
  } cases[] = {
    {"", OTHERWISE},
    {"k", TRUE},
    {"k=", TRUE},
    {"k=t", TRUE},
    {"k=TRUE", TRUE},
    {"k=y", TRUE},
    {"k=Yes", TRUE},
    {"k=1", TRUE},
    {"k=f", FALSE},
    {"k=False", FALSE},
    {"k=N", FALSE},
    {"k=no", FALSE},
    {"k=0", FALSE},
    {"k=2", OTHERWISE},
    {"k=on", OTHERWISE},
    {"k=+true", OTHERWISE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *uri = g_strdup_printf("/vms?%s", cases[i].query);
    g_autoptr(DmTarget) target = dm_target_parse(uri, NULL);
    g_test_message("%s", uri);
    g_assert_cmpint(dm_target_boolean(target, "k", OTHERWISE), ==, cases[i].value);
  }
}

static void test_numbers(void) {
  static const struct {
    const char *query;
    gint64 value;
  } cases[] = {
    {"", OTHERWISE},
    {"k", OTHERWISE},
    {"k=5", 5},
    {"k=0", 0},
    {"k=-5", -5},
    {"k=9223372036854775807", G_MAXINT64},
    {"k=9223372036854775808", OTHERWISE},
    {"k=5x", OTHERWISE},
    {"k=+5", OTHERWISE}, /* a blank */
    {"k=0x5", OTHERWISE},
    {"k=1.5", OTHERWISE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *uri = g_strdup_printf("/vms?%s", cases[i].query);
    g_autoptr(DmTarget) target = dm_target_parse(uri, NULL);
    g_test_message("%s", uri);
    g_assert_cmpint(dm_target_number(target, "k", OTHERWISE), ==, cases[i].value);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/wire/target/segments", test_segments);
  g_test_add_func("/wire/target/parameters", test_parameters);
  g_test_add_func("/wire/target/refused", test_refused);
  g_test_add_func("/wire/target/booleans", test_booleans);
  g_test_add_func("/wire/target/numbers", test_numbers);
  return g_test_run();
}
