/* SPDX-License-Identifier: Apache-2.0 */
/* What of a body differs from the object it is about. */
#include <string.h>

#include "base/error.h"
#include "wire/node.h"

static DmNode *make_object(void) {
  DmNode *vm = dm_node_new("vm");
  dm_node_set_attribute(vm, "href", "/vms/1");
  dm_node_set_attribute(vm, "id", "1");
  dm_node_add_text(vm, "name", "web1");
  dm_node_add_number(vm, "memory", 1024);
  dm_node_add_boolean(vm, "stateless", FALSE);
  DmNode *cpu = dm_node_add_object(vm, "cpu");
  dm_node_add_text(cpu, "architecture", "x86_64");
  dm_node_add_number(dm_node_add_object(cpu, "topology"), "cores", 2);
  DmNode *devices = dm_node_add_object(vm, "devices");
  dm_node_add_item_text(devices, "device", "hd");
  dm_node_add_item_text(devices, "device", "cdrom");
  dm_node_set_attribute(dm_node_add_object(vm, "cluster"), "id", "c");
  dm_node_add_date(vm, "start_time", 0);
  return vm;
}

static const struct {
  const char *json, *expected;
} table[] = {
  {"{}", ""},
  {"{'memory': '1024', 'stateless': false, 'cpu': {'topology': {'cores': 2}}}", ""},
  {"{'memory': ' 01024 ', 'stateless': '0', 'id': '1', 'href': '/elsewhere'}", ""},
  {"{'memory': 1025}", "memory"},
  {"{'memory': '1024b', 'stateless': 'FALSE'}", "memory"},
  {"{'memory': '18446744073709552640'}", "memory"},
  {"{'stateless': true}", "stateless"},
  {"{'stateless': 'maybe'}", "stateless"},
  {"{'name': 'WEB1'}", "name"},
  {"{'cpu': {'architecture': 'X86_64'}}", ""},
  {"{'id': '2', 'cluster': {'id': 'c'}}", "id"},
  {"{'cluster': {'id': 'd', 'href': 'x'}}", "cluster.id"},
  {"{'cluster': {'name': 'x'}}", "cluster.name"},
  {"{'cpu': {'architecture': 'ppc64', 'mode': 'x', 'topology': {'cores': 3, 'threads': 1}}}",
    "cpu.architecture cpu.mode cpu.topology.cores cpu.topology.threads"},
  {"{'cpu': 'x'}", "cpu"},
  {"{'nics': {'href': 'x'}, 'tags': [{'href': 'y'}]}", ""},
  {"{'nics': {'href': 'x', 'nic': [{'href': 'y', 'name': 'eth0'}]}}", "nics"},
  {"{'memory': {'x': 1}}", "memory"},
  {"{'memory': {'x': ''}, 'cpu': '', 'other': {'a': [{'b': ' '}]}}", ""},
  {"{'devices': {'device': ['hd', 'cdrom']}}", ""},
  {"{'devices': {'device': ['cdrom', 'hd']}}", "devices.device"},
  {"{'devices': {'device': ['hd']}}", "devices.device"},
  {"{'devices': {'device': ['hd', 'cdrom', 'network']}}", "devices.device"},
  {"{'memory': [1024, 1025]}", "memory"},
  {"{'start_time': 0}", "start_time"},
  {"{'skipped': {'a': 1}, 'skip': {'this': 1, 'that': 1}}", "skip"},
  {"{'other': {'a': 1}, 'more': 'x'}", "other more"},
  {"{'a\\nb': 1}", "a b"},
};

static char *find(const char *text) {
  static const char *const skipped[] = {"skipped", "skip.this", NULL};
  g_autoptr(GError) error = NULL;
  g_autofree char *json = g_strdelimit(g_strdup(text), "'", '"');
  g_autoptr(GBytes) bytes = g_bytes_new(json, strlen(json));
  g_autoptr(DmBody) body = dm_body_parse(bytes, DM_FORMAT_JSON, "vm", &error);
  g_assert_no_error(error);
  g_autoptr(DmNode) object = make_object();
  g_autoptr(GPtrArray) found = dm_body_differences(body, object, skipped);
  g_ptr_array_add(found, NULL);
  return g_strjoinv(" ", (char **)found->pdata);
}

static void test_table(void) {
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autofree char *found = find(table[i].json);
    g_test_message("%s", table[i].json);
    g_assert_cmpstr(found, ==, table[i].expected);
  }
}

/* A body may be made to hold more than anybody wants to read. */
static void test_many(void) {
  g_autoptr(GString) json = g_string_new("{'x': 1");
  for (guint i = 0; i < 20000; i++)
    g_string_append_printf(json, ",'empty%u': ''", i);
  for (guint i = 0; i < 20000; i++)
    g_string_append_printf(json, ",'name%u': 1", i);
  g_string_append_c(json, '}');
  g_autofree char *found = find(json->str);
  g_auto(GStrv) paths = g_strsplit(found, " ", -1);
  g_assert_cmpuint(g_strv_length(paths), ==, 32);
  g_assert_cmpstr(paths[31], ==, "name30");
}

static void test_words(void) {
  static const char *const bad[] = {"\\u0007", "\\r", "\\u007f", "\\ufffe", "\\uffff"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *json = g_strdup_printf("{\"a\": \"x%s\", \"b\": \"1\\n\\t\\u00df\\ud83d\\ude00\"}", bad[i]);
    g_autoptr(GBytes) bytes = g_bytes_new(json, strlen(json));
    g_autoptr(DmBody) body = dm_body_parse(bytes, DM_FORMAT_JSON, "vm", &error);
    gboolean present = FALSE;
    const char *text = NULL;
    g_assert_true(dm_body_plain_text(body, "b", &present, &text, &error) && present);
    g_assert_cmpstr(text, ==, "1\n\t\xc3\x9f\xf0\x9f\x98\x80");
    g_assert_true(dm_body_plain_text(body, "c", &present, &text, &error) && !present);
    g_assert_false(dm_body_plain_text(body, "a", &present, &text, &error));
    g_assert_error(error, DM_ERROR, DM_ERROR_BAD_VALUE);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/wire/compare/table", test_table);
  g_test_add_func("/wire/compare/many", test_many);
  g_test_add_func("/wire/compare/words", test_words);
  return g_test_run();
}
