/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shell.h"

/* Quoted is what a shell would take apart, and nothing else. */
static void test_words(void) {
  static const struct {
    const char *word, *command;
  } cases[] = {
    {"web1", "dimmer show web1"},
    {"rhel9.4_a-b", "dimmer show rhel9.4_a-b"},
    {"büro", "dimmer show büro"},
    {"/etc/dimmer/dimmerd.conf", "dimmer show /etc/dimmer/dimmerd.conf"},
    {"my web", "dimmer show 'my web'"},
    {"$HOME", "dimmer show '$HOME'"},
    {"~", "dimmer show '~'"},
    {"a;reboot", "dimmer show 'a;reboot'"},
    {"tom's", "dimmer show 'tom'\\''s'"},
    {"", "dimmer show ''"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *command = dm_shell_command("dimmer", "show", cases[i].word, NULL);
    g_assert_cmpstr(command, ==, cases[i].command);
  }
}

/* A shell takes the words for what they were. */
static void test_back(void) {
  const char *name = "a b'c\"d\\e`f$g\n";
  int count = 0;
  g_auto(GStrv) words = NULL;
  g_autofree char *command = dm_shell_command("virsh", "setmem", name, "1024", "--live", NULL);
  g_assert_true(g_shell_parse_argv(command, &count, &words, NULL));
  g_assert_cmpint(count, ==, 5);
  g_assert_cmpstr(words[2], ==, name);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/shell/words", test_words);
  g_test_add_func("/shell/back", test_back);
  return g_test_run();
}
