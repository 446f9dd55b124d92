/* SPDX-License-Identifier: Apache-2.0 */
/* One tree, in XML and in JSON. */
#include "wire/node.h"

#include <locale.h>
#include <math.h>
#include <string.h>

#define DECLARATION "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>"
#define REPLACED "\xef\xbf\xbd"

static void assert_written(const DmNode *node, const char *xml, const char *json) {
  g_autoptr(GString) out = g_string_new("before ");
  dm_node_write(node, DM_FORMAT_XML, out);
  g_assert_true(g_str_has_prefix(out->str, "before "));
  g_assert_cmpstr(out->str + strlen("before "), ==, xml);
  g_string_truncate(out, 0);
  dm_node_write(node, DM_FORMAT_JSON, out);
  g_assert_cmpstr(out->str, ==, json);
}

static void test_kinds(void) {
  g_autoptr(DmNode) vm = dm_node_new("vm");
  dm_node_set_attribute(vm, "href", "/vms/1");
  dm_node_set_attribute(vm, "id", "0");
  dm_node_set_attribute(vm, "id", "1"); /* set again */
  dm_node_set_attribute(vm, "none", NULL);
  dm_node_add_text(vm, "name", "web1");
  dm_node_add_text(vm, "comment", "");
  dm_node_add_text(vm, "fqdn", NULL);
  dm_node_add_number(vm, "memory", 2147483648);
  dm_node_add_boolean(vm, "stateless", FALSE);
  dm_node_add_boolean(vm, "delete_protected", TRUE);
  DmNode *policy = dm_node_add_object(vm, "memory_policy");
  dm_node_add_number(policy, "guaranteed", 1073741824);
  dm_node_add_object(vm, "nics");
  dm_node_add_decimal(vm, "datum", 2.5);
  dm_node_add_plain_number(vm, "plain", -3);
  dm_node_add_date(vm, "creation_time", G_GINT64_CONSTANT(1783942087123));
  assert_written(vm,
    "<vm href=\"/vms/1\" id=\"1\"><name>web1</name><comment></comment><memory>2147483648</memory>"
    "<stateless>false</stateless><delete_protected>true</delete_protected>"
    "<memory_policy><guaranteed>1073741824</guaranteed></memory_policy><nics/><datum>2.5</datum><plain>-3</plain>"
    "<creation_time>2026-07-13T11:28:07.123Z</creation_time></vm>",
    "{\"href\":\"/vms/1\",\"id\":\"1\",\"name\":\"web1\",\"comment\":\"\",\"memory\":\"2147483648\","
    "\"stateless\":\"false\",\"delete_protected\":\"true\",\"memory_policy\":{\"guaranteed\":\"1073741824\"},"
    "\"nics\":{},\"datum\":2.5,\"plain\":-3,\"creation_time\":1783942087123}");
}

/* All items of a name are one array, where the first stands. */
static void test_items(void) {
  g_autoptr(DmNode) vms = dm_node_new("vms");
  assert_written(vms, "<vms/>", "{}");
  dm_node_set_attribute(dm_node_add_item(vms, "vm"), "id", "1");
  DmNode *link = dm_node_add_item(vms, "link");
  dm_node_set_attribute(link, "rel", "nics");
  dm_node_add_text(vms, "name", "x");
  DmNode *second = dm_node_add_item(vms, "vm");
  dm_node_set_attribute(second, "id", "2");
  DmNode *devices = dm_node_add_object(second, "devices");
  dm_node_add_item_text(devices, "device", "hd");
  dm_node_add_item_text(devices, "device", NULL);
  dm_node_add_item_text(devices, "device", "cdrom");
  char copied[] = "vm"; /* names are equal by their text, not their place */
  dm_node_add_item(vms, copied);
  assert_written(vms,
    "<vms><vm id=\"1\"/><link rel=\"nics\"/><name>x</name>"
    "<vm id=\"2\"><devices><device>hd</device><device>cdrom</device></devices></vm><vm/></vms>",
    "{\"vm\":[{\"id\":\"1\"},{\"id\":\"2\",\"devices\":{\"device\":[\"hd\",\"cdrom\"]}},{}],"
    "\"link\":[{\"rel\":\"nics\"}],\"name\":\"x\"}");
}

static void test_adopt(void) {
  g_autoptr(DmNode) vms = dm_node_new("vms");
  for (guint i = 0; i < 2; i++) {
    DmNode *vm = dm_node_new("vm");
    DmNode *host = dm_node_new("host");
    dm_node_adopt(vm, host, FALSE);
    dm_node_adopt(vms, vm, TRUE);
    dm_node_add_number(host, "n", i); /* still grows */
  }
  assert_written(vms, "<vms><vm><host><n>0</n></host></vm><vm><host><n>1</n></host></vm></vms>",
    "{\"vm\":[{\"host\":{\"n\":\"0\"}},{\"host\":{\"n\":\"1\"}}]}");
}

static void test_escapes(void) {
  static const struct {
    const char *text, *xml, *attribute, *json;
  } cases[] = {
    {"", "", "", ""},
    {"plain", "plain", "plain", "plain"},
    {"a<b>&c", "a&lt;b&gt;&amp;c", "a&lt;b&gt;&amp;c", "a<b>&c"},
    {"]]>", "]]&gt;", "]]&gt;", "]]>"},
    {"\"'\\/", "\"'\\/", "&quot;'\\/", "\\\"'\\\\/"},
    {"\t\n\r", "\t\n&#13;", "&#9;&#10;&#13;", "\\t\\n\\r"},
    {"a\x01\x1f\x7f", "a" REPLACED REPLACED "\x7f", "a" REPLACED REPLACED "\x7f", "a" REPLACED REPLACED "\x7f"},
    {"\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80"},
    {"\xef\xbf\xbd", REPLACED, REPLACED, REPLACED},
    {"a\xef\xbf\xbe|\xef\xbf\xbf" /* U+FFFE, U+FFFF */, "a" REPLACED "|" REPLACED, "a" REPLACED "|" REPLACED,
      "a" REPLACED "|" REPLACED},
    {"\xff"
     "a",
      REPLACED "a", REPLACED "a", REPLACED "a"},
    {"a\xc3", "a" REPLACED, "a" REPLACED, "a" REPLACED},                   /* torn */
    {"\xc0\xaf", REPLACED REPLACED, REPLACED REPLACED, REPLACED REPLACED}, /* overlong */
    {"\xed\xa0\x80", REPLACED REPLACED REPLACED, REPLACED REPLACED REPLACED, REPLACED REPLACED REPLACED},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmNode) node = dm_node_new("x");
    dm_node_set_attribute(node, "a", cases[i].text);
    dm_node_add_text(node, "t", cases[i].text);
    g_autofree char *xml = g_strdup_printf("<x a=\"%s\"><t>%s</t></x>", cases[i].attribute, cases[i].xml);
    g_autofree char *json = g_strdup_printf("{\"a\":\"%s\",\"t\":\"%s\"}", cases[i].json, cases[i].json);
    assert_written(node, xml, json);
  }
}

static void test_numbers(void) {
  static const struct {
    gint64 number;
    const char *text;
  } cases[] = {
    {0, "0"},
    {7, "7"},
    {-10, "-10"},
    {G_MAXINT64, "9223372036854775807"},
    {G_MININT64, "-9223372036854775808"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmNode) node = dm_node_new("x");
    dm_node_add_number(node, "n", cases[i].number);
    dm_node_add_plain_number(node, "p", cases[i].number);
    g_autofree char *xml = g_strdup_printf("<x><n>%s</n><p>%s</p></x>", cases[i].text, cases[i].text);
    g_autofree char *json = g_strdup_printf("{\"n\":\"%s\",\"p\":%s}", cases[i].text, cases[i].text);
    assert_written(node, xml, json);
  }
}

static void test_decimals(void) {
  static const struct {
    double value;
    const char *text; /* NULL: not written */
  } cases[] = {
    {0, "0"},
    {-0.0, "0"},
    {-0.0000001, "0"},
    {0.1, "0.1"},
    {50, "50"},
    {100, "100"},
    {-2.25, "-2.25"},
    {12.3456789, "12.345679"},
    {1e20, "100000000000000000000"},
    {NAN, NULL},
    {INFINITY, NULL},
    {-INFINITY, NULL},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmNode) node = dm_node_new("x");
    dm_node_add_decimal(node, "d", cases[i].value);
    g_autofree char *xml =
      cases[i].text != NULL ? g_strdup_printf("<x><d>%s</d></x>", cases[i].text) : g_strdup("<x/>");
    g_autofree char *json = cases[i].text != NULL ? g_strdup_printf("{\"d\":%s}", cases[i].text) : g_strdup("{}");
    assert_written(node, xml, json);
  }
  g_autoptr(DmNode) largest = dm_node_new("x");
  g_autoptr(GString) out = g_string_new(NULL);
  dm_node_add_decimal(largest, "d", -G_MAXDOUBLE);
  dm_node_write(largest, DM_FORMAT_JSON, out);
  g_assert_cmpuint(out->len, ==, strlen("{\"d\":-}") + 309);
}

static void test_dates(void) {
  static const struct {
    gint64 milliseconds;
    const char *text;
  } cases[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {-1, "1969-12-31T23:59:59.999Z"},
    {-1000, "1969-12-31T23:59:59.000Z"},
    {951827696005, "2000-02-29T12:34:56.005Z"},
    {253402300799999, "9999-12-31T23:59:59.999Z"},
    {-62135596800000, "0001-01-01T00:00:00.000Z"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmNode) node = dm_node_new("x");
    dm_node_add_date(node, "d", cases[i].milliseconds);
    g_autofree char *xml = g_strdup_printf("<x><d>%s</d></x>", cases[i].text);
    g_autofree char *json = g_strdup_printf("{\"d\":%" G_GINT64_FORMAT "}", cases[i].milliseconds);
    assert_written(node, xml, json);
  }
  g_autoptr(DmNode) farthest = dm_node_new("x");
  g_autoptr(GString) out = g_string_new(NULL);
  dm_node_add_date(farthest, "d", G_MININT64);
  dm_node_add_date(farthest, "d", G_MAXINT64);
  dm_node_write(farthest, DM_FORMAT_XML, out);
  g_assert_cmpstr(out->str, ==, "<x><d>-292275055-05-16T16:47:04.192Z</d><d>292278994-08-17T07:12:55.807Z</d></x>");
}

/* A tree larger than any block of the arena, and a text larger than that. */
static void test_large(void) {
  g_autoptr(DmNode) root = dm_node_new("r");
  g_autofree char *text = g_strnfill(200000, 'x');
  g_autoptr(GString) out = g_string_new(NULL);
  for (guint i = 0; i < 20000; i++)
    dm_node_add_number(dm_node_add_item(root, "i"), "n", i);
  dm_node_add_text(root, "t", text);
  dm_node_write(root, DM_FORMAT_XML, out);
  g_assert_cmpuint(out->len, ==, 20000 * strlen("<i><n></n></i>") + 88890 + strlen("<r><t></t></r>") + 200000);
  g_assert_nonnull(strstr(out->str, "<i><n>19999</n></i><t>x"));
}

static void test_formats(void) {
  g_assert_cmpstr(dm_format_content_type(DM_FORMAT_XML), ==, "application/xml;charset=UTF-8");
  g_assert_cmpstr(dm_format_content_type(DM_FORMAT_JSON), ==, "application/json;charset=UTF-8");
  g_assert_cmpstr(dm_format_declaration(DM_FORMAT_XML), ==, DECLARATION);
  g_assert_cmpstr(dm_format_declaration(DM_FORMAT_JSON), ==, "");
  dm_node_free(NULL);
}

/* `-m perf` tells how long one VM of about 60 nodes takes, built, written and freed. */
static void test_speed(void) {
  const guint rounds = 20000;
  for (DmFormat format = DM_FORMAT_XML; format <= DM_FORMAT_JSON; format++) {
    g_autoptr(GString) out = g_string_new(NULL);
    g_test_timer_start();
    for (guint round = 0; round < rounds; round++) {
      g_autoptr(DmNode) vm = dm_node_new("vm");
      dm_node_set_attribute(vm, "href", "/ovirt-engine/api/vms/7a3c0d5e-0000-4000-8000-0000000000a1");
      dm_node_set_attribute(vm, "id", "7a3c0d5e-0000-4000-8000-0000000000a1");
      for (guint i = 0; i < 20; i++) {
        dm_node_add_text(vm, "description", "a text of usual length");
        dm_node_add_number(vm, "memory", 2147483648);
        DmNode *link = dm_node_add_item(vm, "link");
        dm_node_set_attribute(link, "href", "/ovirt-engine/api/vms/7a3c0d5e-0000-4000-8000-0000000000a1/nics");
        dm_node_set_attribute(link, "rel", "nics");
      }
      dm_node_add_date(vm, "creation_time", G_GINT64_CONSTANT(1783942087123));
      g_string_truncate(out, 0);
      dm_node_write(vm, format, out);
    }
    g_test_message("%s: %.2f us each, %" G_GSIZE_FORMAT " bytes", dm_format_content_type(format),
      g_test_timer_elapsed() * 1e6 / rounds, out->len);
  }
}

static void test_negotiate(void) {
  static const struct {
    const char *accept, *expected; /* NULL: neither */
  } cases[] = {
    {"", "xml"},
    {" , ", "xml"},
    {"*/*", "xml"},
    {"application/*", "xml"},
    {"application/xml", "xml"},
    {"text/xml", "xml"},
    {"Application/JSON", "json"},
    {"application/json, application/xml", "json"},
    {"application/xml, application/json", "xml"},
    {"application/json;q=0.5, application/xml;q=0.9", "xml"},
    {"application/xml;q=0.5;x=y,application/json;charset=utf-8;q=0.9", "json"},
    {"application/xml;q=0, application/json", "json"},
    {"application/xml;q=0, */*", "json"},
    {"*/*;q=0.1, application/json;q=0", "xml"},
    {"*/*, application/json", "json"},
    {"application/json;q=0.5, */*", "xml"},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "xml"},
    {"application/json;q=nonsense", "json"},
    {"application/json ; Q=0.2 , text/xml ; q=0.1", "json"},
    {"text/html", NULL},
    {"*/*;q=0", NULL},
    {"application/xml;q=0.0", NULL},
    {"image/xml, x/json, application/xmlfoo, application/json-seq, xml", NULL},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    DmFormat format = DM_FORMAT_XML;
    gboolean taken = dm_format_negotiate(cases[i].accept, &format);
    g_test_message("%s", cases[i].accept);
    g_assert_cmpstr(taken ? (format == DM_FORMAT_XML ? "xml" : "json") : NULL, ==, cases[i].expected);
  }
}

static void test_type(void) {
  static const struct {
    const char *type, *expected; /* NULL: neither */
  } cases[] = {
    {"application/xml", "xml"},
    {"text/xml ; charset=utf-8", "xml"},
    {"Application/VND.x+XML", "xml"},
    {"application/json", "json"},
    {"text/json", "json"},
    {"application/x+json;a=/xml", "json"},
    {"multipart/form-data; boundary=x/xml", NULL},
    {"multipart/form-data; boundary=application/json", NULL},
    {"application/x-www-form-urlencoded", NULL},
    {"text/plain; x=application/xml", NULL},
    {"text/plain", NULL},
    {"application/xmlx", NULL},
    {"application/json, application/xml", NULL},
    {"image/svg+xml", NULL},
    {"xml", NULL},
    {"/xml", NULL},
    {";application/xml", NULL},
    {"", NULL},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    DmFormat format = DM_FORMAT_XML;
    gboolean known = dm_format_of_type(cases[i].type, &format);
    g_test_message("%s", cases[i].type);
    g_assert_cmpstr(known ? (format == DM_FORMAT_XML ? "xml" : "json") : NULL, ==, cases[i].expected);
  }
}

int main(int argc, char **argv) {
  setlocale(LC_ALL, "de_DE.UTF-8"); /* a decimal comma, where that locale is installed */
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/wire/negotiate", test_negotiate);
  g_test_add_func("/wire/type", test_type);
  g_test_add_func("/wire/node/kinds", test_kinds);
  g_test_add_func("/wire/node/items", test_items);
  g_test_add_func("/wire/node/adopt", test_adopt);
  g_test_add_func("/wire/node/escapes", test_escapes);
  g_test_add_func("/wire/node/numbers", test_numbers);
  g_test_add_func("/wire/node/decimals", test_decimals);
  g_test_add_func("/wire/node/dates", test_dates);
  g_test_add_func("/wire/node/large", test_large);
  g_test_add_func("/wire/node/formats", test_formats);
  if (g_test_perf())
    g_test_add_func("/wire/node/speed", test_speed);
  return g_test_run();
}
