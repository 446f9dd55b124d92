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

/* An operand that begins with a dash is no option, and so are those beside it. */
static void test_operands(void) {
  g_autofree char *plain = dm_shell_command("dimmer", "plug", "--", "web1", "--", "1GiB", "--node", "1", NULL);
  g_autofree char *dashed = dm_shell_command("dimmer", "plug", "--", "-db", "--", "1GiB", "--node", "1", NULL);
  g_autofree char *dashes = dm_shell_command("virsh", "start", "--", "--", NULL);
  g_assert_cmpstr(plain, ==, "dimmer plug web1 1GiB --node 1");
  g_assert_cmpstr(dashed, ==, "dimmer plug --node 1 -- -db 1GiB");
  g_assert_cmpstr(dashes, ==, "virsh start -- --");
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

/* For the connection that was asked for; other programs have none. */
static void test_connected(void) {
  static const struct {
    const char *command, *uri, *connected;
  } cases[] = {
    {"dimmer show web1", NULL, "dimmer show web1"},
    {"dimmer show web1", "", "dimmer show web1"},
    {"dimmer show web1", "qemu:///system", "dimmer -c qemu:///system show web1"},
    {"virsh start -- --", "qemu+ssh://root@kvm2/system", "virsh -c qemu+ssh://root@kvm2/system start -- --"},
    {"dimmer list", "qemu:///session?socket=/run/a b", "dimmer -c 'qemu:///session?socket=/run/a b' list"},
    {"dimmerd user list", "qemu:///system", "dimmerd user list"},
    {NULL, "qemu:///system", NULL},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *connected = dm_shell_connected(cases[i].command, cases[i].uri);
    g_assert_cmpstr(connected, ==, cases[i].connected);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/shell/words", test_words);
  g_test_add_func("/shell/operands", test_operands);
  g_test_add_func("/shell/back", test_back);
  g_test_add_func("/shell/connected", test_connected);
  return g_test_run();
}
