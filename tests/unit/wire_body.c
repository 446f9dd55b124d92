/* SPDX-License-Identifier: Apache-2.0 */
/* What clients send, in XML and in JSON. */
#include <string.h>

#include "base/error.h"
#include "wire/node.h"

static DmBody *parse(const char *text, DmFormat format, GError **error) {
  g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
  return dm_body_parse(bytes, format, "vm", error);
}

static DmBody *parse_well(const char *text, DmFormat format) {
  g_autoptr(GError) error = NULL;
  DmBody *body = parse(text, format, &error);
  g_assert_no_error(error);
  return body;
}

static void test_same_in_both(void) {
  static const char *const texts[] = {
    "<?xml version=\"1.0\"?>\n<!-- x --><vm id=\"1\" href='/a&amp;b'>\n <name>w&lt;b\xc3\xa9<![CDATA[<&]]></name>\n"
    " <memory_policy><guaranteed>5</guaranteed></memory_policy><cpu><topology cores='2'/></cpu>"
    "<x>1</x><x>2</x><empty/><stateless>true</stateless></vm>",
    "{\"id\": \"1\", \"href\": \"/a&b\", \"name\": \"w<b\xc3\xa9<&\", \"memory_policy\": {\"guaranteed\": 5},"
    "\"cpu\": {\"topology\": {\"cores\": 2}}, \"x\": [1, \"2\"], \"none\": null, \"empty\": \"\","
    " \"stateless\": true, \"list\": [[], null, [[1]]]}",
  };
  for (DmFormat format = DM_FORMAT_XML; format <= DM_FORMAT_JSON; format++) {
    g_autoptr(DmBody) body = parse_well(texts[format], format);
    g_assert_cmpstr(dm_body_text(body, "id"), ==, "1");
    g_assert_cmpstr(dm_body_text(body, "href"), ==, "/a&b");
    g_assert_cmpstr(dm_body_text(body, "name"), ==, "w<b\xc3\xa9<&");
    g_assert_cmpstr(dm_body_text(dm_body_child(body, "memory_policy"), "guaranteed"), ==, "5");
    g_assert_cmpstr(dm_body_text(dm_body_child(dm_body_child(body, "cpu"), "topology"), "cores"), ==, "2");
    g_assert_cmpstr(dm_body_text(body, "x"), ==, "1");
    const DmBody *second = dm_body_next(dm_body_child(body, "x"));
    g_assert_nonnull(second);
    g_assert_null(dm_body_next(second));
    g_assert_cmpstr(dm_body_text(body, "stateless"), ==, "true");
    g_assert_cmpstr(dm_body_text(body, "empty"), ==, "");
    g_assert_true(dm_body_has(body, "empty"));
    g_assert_false(dm_body_has(body, "none"));
    g_assert_null(dm_body_text(body, "none"));
    g_assert_null(dm_body_text(body, "memory_policy"));
    g_assert_null(dm_body_child(body, "guaranteed")); /* of a child only */
    g_assert_null(dm_body_child(dm_body_child(body, "none"), "deeper"));
    static const char *const known[] = {"id", "href", "name", "memory_policy", "cpu", NULL};
    g_assert_cmpstr(dm_body_other(body, known), ==, "x");
    g_assert_cmpstr(dm_body_other(dm_body_child(body, "cpu"), known), ==, "topology");
    g_assert_null(dm_body_other(dm_body_child(body, "memory_policy"), (const char *const[]){"guaranteed", NULL}));
    g_assert_null(dm_body_other(dm_body_child(body, "empty"), known));
    g_assert_null(dm_body_other(NULL, known));
  }
}

static void test_empty(void) {
  static const struct {
    const char *text;
    DmFormat format;
  } cases[] = {
    {"", DM_FORMAT_XML},
    {" \r\n", DM_FORMAT_XML},
    {"<vm/>", DM_FORMAT_XML},
    {"<vm></vm>", DM_FORMAT_XML},
    {"<vm> text </vm>", DM_FORMAT_XML},
    {"", DM_FORMAT_JSON},
    {"\n", DM_FORMAT_JSON},
    {"{}", DM_FORMAT_JSON},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmBody) body = parse_well(cases[i].text, cases[i].format);
    g_assert_nonnull(body);
    g_assert_false(dm_body_has(body, "name"));
  }
  g_assert_false(dm_body_has(NULL, "x"));
  dm_body_free(NULL);
}

/* Elements of somebody's namespace are not oVirt's. */
static void test_prefix(void) {
  g_autoptr(DmBody) body =
    parse_well("<vm xmlns:x='urn:x' x:id='2'><x:name>a</x:name><y:z>b</y:z><memory>1</memory></vm>", DM_FORMAT_XML);
  g_assert_false(dm_body_has(body, "name"));
  g_assert_false(dm_body_has(body, "id"));
  g_assert_false(dm_body_has(body, "z"));
  g_assert_cmpstr(dm_body_text(body, "memory"), ==, "1");
}

static void test_encoding(void) {
  g_autoptr(DmBody) body =
    parse_well("<?xml version='1.0' encoding='ISO-8859-1'?><vm><name>\xe9</name></vm>", DM_FORMAT_XML);
  g_assert_cmpstr(dm_body_text(body, "name"), ==, "\xc3\xa9");
}

static void test_depth(void) {
  static const struct {
    DmFormat format;
    const char *start, *open, *middle, *close, *end;
  } shapes[] = {
    {DM_FORMAT_XML, "<vm>", "<a>", "", "</a>", "</vm>"},
    {DM_FORMAT_JSON, "{\"a\":", "{\"a\":", "{}", "}", "}"},
    {DM_FORMAT_JSON, "{\"a\":", "[", "1", "]", "}"},
    {DM_FORMAT_JSON, "{\"a\":", "[", "[]", "]", "}"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(shapes); i++) {
    for (guint depth = 28; depth <= 2000; depth += depth < 36 ? 1 : 1000) {
      g_autoptr(GString) text = g_string_new(shapes[i].start);
      for (guint k = 0; k < depth; k++)
        g_string_append(text, shapes[i].open);
      g_string_append(text, shapes[i].middle);
      for (guint k = 0; k < depth; k++)
        g_string_append(text, shapes[i].close);
      g_string_append(text, shapes[i].end);
      g_autoptr(GError) error = NULL;
      g_autoptr(DmBody) body = parse(text->str, shapes[i].format, &error);
      g_assert_true((body == NULL) == (error != NULL));
      guint levels = depth + 1 + (*shapes[i].middle == '{' || *shapes[i].middle == '[');
      if (levels <= 32) {
        g_assert_no_error(error);
      } else {
        g_assert_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST);
        g_assert_nonnull(strstr(error->message, "deeper than 32; send it flatter"));
      }
    }
  }
}

#define LAUGHS                                                                                                     \
  "<!DOCTYPE vm [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;'>]>" \
  "<vm n='&c;'><name>&c;</name></vm>"

static void test_refused(void) {
  static const struct {
    DmFormat format;
    const char *text, *words;
    DmError code;
  } cases[] = {
    {DM_FORMAT_XML, "<!DOCTYPE vm><vm/>", "has a document type (<!DOCTYPE>)", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, LAUGHS, "has a document type", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<!DOCTYPE vm SYSTEM 'file:///etc/passwd'><vm/>", "has a document type", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<!DOCTYPE vm [<!ENTITY % x SYSTEM 'http://127.0.0.1:1/'>%x;]><vm/>", "has a document type",
      DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<vm><name>&x;</name></vm>", "line 1: Entity 'x' not defined; correct", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<vm>\n<a>\n</vm>", "line 3: Opening and ending tag mismatch: a line 2 and vm; correct",
      DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<vm>", "line 1: ", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<vm/><vm/>", "line 1: Extra content", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "x", "line 1: Start tag expected", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<vm a='1' a='2'/>", "line 1: Attribute a redefined", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<vm>\x01</vm>", "line 1: ", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<vm>\xff</vm>", "line 1: ", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<vm>&#0;</vm>", "line 1: ", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<host/>", "element is <host>, but this request takes <vm>", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "<x:vm xmlns:x='urn:x'/>", "element is <x:vm>, but", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_XML, "{}", "line 1: Start tag expected", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_JSON, "[]", "is a JSON array; send the object 'vm' itself", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_JSON, "1", "line 1, column 1: ", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_JSON, "{\n\"a\": }", "line 2, column 6: ", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_JSON, "{} {}", "line 1, column 4: end of file expected", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_JSON, "{\"a\":1,\"a\":1}", "duplicate object key", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_JSON, "{\"a\":\"\\u0000\"}", "\\u0000 is not allowed", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_JSON, "{\"a\":\"\xff\"}", "unable to decode byte 0xff", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_JSON, "{\"a\":NaN}", "line 1", DM_ERROR_BAD_REQUEST},
    {DM_FORMAT_JSON, "{\"a\":9223372036854775808}", "too big integer", DM_ERROR_BAD_VALUE},
    {DM_FORMAT_JSON, "{\"a\":1e999}", "real number overflow", DM_ERROR_BAD_VALUE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmBody) body = parse(cases[i].text, cases[i].format, &error);
    g_assert_null(body);
    g_assert_error(error, DM_ERROR, (int)cases[i].code);
    if (error != NULL && strstr(error->message, cases[i].words) == NULL)
      g_test_fail_printf("%s: \"%s\" has no \"%s\"", cases[i].text, error->message, cases[i].words);
  }
}

/* A NUL in the middle is no end of the body. */
static void test_nul(void) {
  for (DmFormat format = DM_FORMAT_XML; format <= DM_FORMAT_JSON; format++) {
    g_autoptr(GBytes) bytes =
      format == DM_FORMAT_XML ? g_bytes_new_static("<vm/>\0<vm/>", 11) : g_bytes_new_static("{}\0{}", 5);
    g_autoptr(GError) error = NULL;
    g_autoptr(DmBody) body = dm_body_parse(bytes, format, "vm", &error);
    g_assert_null(body);
    g_assert_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST);
  }
}

typedef struct {
  const char *xml, *json; /* the value; NULL: no case in that format */
  int code;               /* -1: well */
  gint64 value;
} ValueCase;

/* Each case in both formats, through @read. */
static void check_values(
  const ValueCase *cases, gsize count, gboolean (*read)(const DmBody *, gboolean *, gint64 *, GError **)) {
  for (gsize i = 0; i < 2 * count; i++) {
    const ValueCase *one = &cases[i / 2];
    const char *text = i % 2 == 0 ? one->xml : one->json;
    if (text == NULL)
      continue;
    g_autofree char *body_text =
      i % 2 == 0 ? g_strdup_printf("<vm><v>%s</v></vm>", text) : g_strdup_printf("{\"v\":%s}", text);
    g_autoptr(DmBody) body = parse_well(body_text, i % 2 == 0 ? DM_FORMAT_XML : DM_FORMAT_JSON);
    g_autoptr(GError) error = NULL;
    gboolean present = 7;
    gint64 value = 77;
    gboolean well = read(body, &present, &value, &error);
    g_test_message("%s", body_text);
    g_assert_cmpint(well, ==, one->code == -1);
    g_assert_cmpint(present, ==, well ? TRUE : 7);
    g_assert_cmpint(value, ==, well ? one->value : 77);
    if (one->code == -1) {
      g_assert_no_error(error);
    } else {
      g_assert_error(error, DM_ERROR, one->code);
      g_assert_nonnull(error != NULL ? strstr(error->message, "'v'") : NULL);
    }
  }
}

static gboolean read_number(const DmBody *body, gboolean *present, gint64 *value, GError **error) {
  return dm_body_number(body, "v", present, value, error);
}

static void test_numbers(void) {
  static const ValueCase cases[] = {
    {"5", "5", -1, 5},
    {" \n5\t", "\" 5 \"", -1, 5},
    {"-5", "-5", -1, -5},
    {"+5", "\"+5\"", -1, 5},
    {"007", "\"007\"", -1, 7},
    {"", "\"\"", -1, 0},
    {"  ", "\" \"", -1, 0},
    {"<!-- x -->5", NULL, -1, 5},
    {"9223372036854775807", "9223372036854775807", -1, G_MAXINT64},
    {"-9223372036854775808", "-9223372036854775808", -1, G_MININT64},
    {NULL, "\"9223372036854775807\"", -1, G_MAXINT64},
    {"9223372036854775808", "\"9223372036854775808\"", DM_ERROR_BAD_VALUE},
    {"-9223372036854775809", "\"-9223372036854775809\"", DM_ERROR_BAD_VALUE},
    {"99999999999999999999999", "\"99999999999999999999999\"", DM_ERROR_BAD_VALUE},
    {"abc", "\"abc\"", DM_ERROR_BAD_REQUEST},
    {"1.5", "1.5", DM_ERROR_BAD_REQUEST},
    {"1.0", "1.0", DM_ERROR_BAD_REQUEST},
    {"1e3", "1e3", DM_ERROR_BAD_REQUEST},
    {"0x10", "\"0x10\"", DM_ERROR_BAD_REQUEST},
    {"1 2", "\"1 2\"", DM_ERROR_BAD_REQUEST},
    {"1GiB", "\"1GiB\"", DM_ERROR_BAD_REQUEST},
    {"-", "\"-\"", DM_ERROR_BAD_REQUEST},
    {"--5", "\"--5\"", DM_ERROR_BAD_REQUEST},
    {"+-5", "\"+-5\"", DM_ERROR_BAD_REQUEST},
    {"true", "true", DM_ERROR_BAD_REQUEST},
    {"<w/>", "{\"w\":1}", DM_ERROR_BAD_REQUEST},
    {"5<w/>", "{}", DM_ERROR_BAD_REQUEST},
    {"5</v><v>5", "[5,5]", DM_ERROR_BAD_REQUEST},
    {NULL, "[5]", DM_ERROR_BAD_REQUEST, 0},
    {NULL, "[]", DM_ERROR_BAD_REQUEST, 0},
    {NULL, "[null]", DM_ERROR_BAD_REQUEST, 0},
    {NULL, "[[5]]", DM_ERROR_BAD_REQUEST, 0},
  };
  check_values(cases, G_N_ELEMENTS(cases), read_number);
}

static gboolean read_boolean(const DmBody *body, gboolean *present, gint64 *value, GError **error) {
  gboolean truth = 77;
  gboolean well = dm_body_boolean(body, "v", present, &truth, error);
  *value = truth;
  return well;
}

static void test_booleans(void) {
  static const ValueCase cases[] = {
    {"true", "true", -1, TRUE},
    {"TRUE", "\"True\"", -1, TRUE},
    {"1", "1", -1, TRUE},
    {" true ", "\" true\"", -1, TRUE},
    {"false", "false", -1, FALSE},
    {"False", "\"FALSE\"", -1, FALSE},
    {"0", "0", -1, FALSE},
    {"", "\"\"", DM_ERROR_BAD_VALUE},
    {"yes", "\"yes\"", DM_ERROR_BAD_VALUE},
    {"2", "2", DM_ERROR_BAD_VALUE},
    {"01", "1.0", DM_ERROR_BAD_VALUE},
    {"<w/>", "{}", DM_ERROR_BAD_REQUEST},
    {"1</v><v>0", "[true, false]", DM_ERROR_BAD_REQUEST},
  };
  check_values(cases, G_N_ELEMENTS(cases), read_boolean);
}

static void test_absent(void) {
  g_autoptr(DmBody) body = parse_well("{\"null\": null}", DM_FORMAT_JSON);
  static const char *const names[] = {"missing", "null"};
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    gboolean present = 7, truth = 77;
    gint64 value = 77;
    g_assert_true(dm_body_number(body, names[i], &present, &value, NULL));
    g_assert_false(present);
    present = 7;
    g_assert_true(dm_body_boolean(body, names[i], &present, &truth, NULL));
    g_assert_false(present);
    present = 7;
    g_assert_true(dm_body_number(NULL, names[i], &present, &value, NULL));
    g_assert_false(present);
    g_assert_cmpint(value, ==, 77);
    g_assert_cmpint(truth, ==, 77);
  }
}

static void test_messages(void) {
  g_autofree char *long_text = g_strnfill(5000, 'x');
  g_autofree char *text = g_strdup_printf("<vm><a>ab\nc</a><b>%s</b></vm>", long_text);
  g_autoptr(DmBody) body = parse_well(text, DM_FORMAT_XML);
  g_autoptr(GError) number = NULL, truth = NULL, long_one = NULL;
  gboolean present;
  gint64 value;
  g_assert_false(dm_body_number(body, "a", &present, &value, &number));
  g_assert_cmpstr(
    number->message, ==, "'a' is 'ab c', which is not a whole number; write it in decimal digits, without a unit");
  g_assert_false(dm_body_boolean(body, "a", &present, &present, &truth));
  g_assert_cmpstr(truth->message, ==, "'a' is 'ab c'; write true or false");
  g_assert_false(dm_body_number(body, "b", &present, &value, &long_one));
  g_assert_cmpuint(strlen(long_one->message), <, 400);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/wire/body/same-in-both", test_same_in_both);
  g_test_add_func("/wire/body/empty", test_empty);
  g_test_add_func("/wire/body/prefix", test_prefix);
  g_test_add_func("/wire/body/encoding", test_encoding);
  g_test_add_func("/wire/body/depth", test_depth);
  g_test_add_func("/wire/body/refused", test_refused);
  g_test_add_func("/wire/body/nul", test_nul);
  g_test_add_func("/wire/body/numbers", test_numbers);
  g_test_add_func("/wire/body/booleans", test_booleans);
  g_test_add_func("/wire/body/absent", test_absent);
  g_test_add_func("/wire/body/messages", test_messages);
  return g_test_run();
}
