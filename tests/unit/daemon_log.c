/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of dimmerd's log. */
#include <string.h>

#include "log.h"

static char *line_of(GLogLevelFlags level, gboolean for_journal, const char *const *pairs) {
  GLogField fields[8];
  gsize count = 0;
  for (; pairs[0] != NULL; pairs += 2)
    fields[count++] = (GLogField){pairs[0], pairs[1], -1};
  return log_format(level, fields, count, for_journal);
}

static void test_journal(void) {
  static const struct {
    GLogLevelFlags level;
    const char *line;
  } cases[] = {
    {G_LOG_LEVEL_ERROR, "<3>text\n"},
    {G_LOG_LEVEL_CRITICAL, "<3>text\n"},
    {G_LOG_LEVEL_WARNING, "<4>text\n"},
    {G_LOG_LEVEL_MESSAGE, "<6>text\n"},
    {G_LOG_LEVEL_INFO, "<6>text\n"},
    {G_LOG_LEVEL_DEBUG, "<7>text\n"},
    {G_LOG_LEVEL_ERROR | G_LOG_FLAG_FATAL, "<3>text\n"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *line =
      line_of(cases[i].level, TRUE, (const char *const[]){"GLIB_DOMAIN", "dimmer", "MESSAGE", "text", NULL});
    g_assert_cmpstr(line, ==, cases[i].line);
  }
}

static void test_fields(void) {
  g_autofree char *by_name = line_of(G_LOG_LEVEL_INFO, TRUE,
    (const char *const[]){"USER", "a@internal", "GLIB_DOMAIN", "dimmer", "VM", "4c0c067e", "MESSAGE", "text", "VM_NAME",
      "web1", "HOST", "kvm1", "REQUEST", "d0fb9417", NULL});
  g_assert_cmpstr(by_name, ==, "<6>text vm=web1 request=d0fb9417 host=kvm1 user=a@internal\n");
  g_autofree char *by_uuid = line_of(
    G_LOG_LEVEL_INFO, TRUE, (const char *const[]){"MESSAGE", "text", "VM", "4c0c067e", "GLIB_DOMAIN", "Other", NULL});
  g_assert_cmpstr(by_uuid, ==, "<6>Other: text vm=4c0c067e\n");
}

/* Whatever a guest or a client is named, a message stays one line, and a value one value. */
static void test_hostile(void) {
  g_autofree char *line = line_of(G_LOG_LEVEL_INFO, TRUE,
    (const char *const[]){"GLIB_DOMAIN", "dimmer", "MESSAGE", "a\nb\x1b[2J\xff", "VM_NAME", "x y=\"z\"\\", "HOST", "",
      "USER", "a\n<0>b", NULL});
  g_assert_cmpstr(line, ==, "<6>a b [2J\xef\xbf\xbd vm=\"x y=\\\"z\\\"\\\\\" host=\"\" user=\"a <0>b\"\n");
}

static void test_terminal(void) {
  g_autofree char *line =
    line_of(G_LOG_LEVEL_WARNING, FALSE, (const char *const[]){"GLIB_DOMAIN", "dimmer", "MESSAGE", "text", NULL});
  g_assert_true(
    g_regex_match_simple("^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3} warning text\n$", line, 0, 0));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/daemon-log/journal", test_journal);
  g_test_add_func("/daemon-log/fields", test_fields);
  g_test_add_func("/daemon-log/hostile", test_hostile);
  g_test_add_func("/daemon-log/terminal", test_terminal);
  return g_test_run();
}
