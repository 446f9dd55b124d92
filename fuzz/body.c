/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

#include <string.h>

#include "base/error.h"

static const char *const names[] = {"id", "name", "memory", "memory_policy", "guaranteed", "stateless"};

static void check_error(const GError *error, gboolean well) {
  g_assert((error == NULL) == well);
  if (error == NULL)
    return;
  g_assert(error->domain == DM_ERROR && (error->code == DM_ERROR_BAD_REQUEST || error->code == DM_ERROR_BAD_VALUE));
  g_assert(g_utf8_validate(error->message, -1, NULL));
}

/* A text that was read and holds nothing that XML cannot: it is the same when it was written and read again. */
static void check_round_trip(const char *text) {
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (c == 0xfffe || c == 0xffff || (c < 0x20 && strchr("\t\n\r", (int)c) == NULL))
      return;
  }
  for (DmFormat format = DM_FORMAT_XML; format <= DM_FORMAT_JSON; format++) {
    g_autoptr(DmNode) node = dm_node_new("vm");
    g_autoptr(GString) out = g_string_new(NULL);
    dm_node_set_attribute(node, "attribute", text);
    dm_node_add_text(node, "text", text);
    dm_node_write(node, format, out);
    g_autoptr(GBytes) bytes = g_bytes_new(out->str, out->len);
    g_autoptr(GError) error = NULL;
    g_autoptr(DmBody) again = dm_body_parse(bytes, format, "vm", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(dm_body_text(again, "attribute"), ==, text);
    g_assert_cmpstr(dm_body_text(again, "text"), ==, text);
  }
}

static void look(const DmBody *body, guint depth) {
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autoptr(GError) number_error = NULL, boolean_error = NULL;
    gboolean present, truth;
    gint64 number;
    gboolean well = dm_body_number(body, names[i], &present, &number, &number_error);
    check_error(number_error, well);
    g_assert(!well || present == dm_body_has(body, names[i]));
    well = dm_body_boolean(body, names[i], &present, &truth, &boolean_error);
    check_error(boolean_error, well);
    g_assert(!well || !present || truth == TRUE || truth == FALSE);
    const char *text = dm_body_text(body, names[i]);
    if (text != NULL) {
      g_assert(g_utf8_validate(text, -1, NULL));
      check_round_trip(text);
    }
    const DmBody *child = dm_body_child(body, names[i]);
    g_assert(depth <= 32);
    if (child != NULL)
      look(child, depth + 1);
  }
}

/* Against an object that has a few of the names. */
static void compare(const DmBody *body) {
  static const char *const skipped[] = {"name", "memory_policy.max", NULL};
  g_autoptr(DmNode) node = dm_node_new("vm");
  dm_node_set_attribute(node, "id", "1");
  dm_node_add_number(node, "memory", 1);
  dm_node_add_boolean(dm_node_add_object(node, "memory_policy"), "ballooning", TRUE);
  dm_node_add_item_text(node, "device", "hd");
  g_autoptr(GPtrArray) found = dm_body_differences(body, node, skipped);
  g_assert_cmpuint(found->len, <=, 32);
  for (guint i = 0; i < found->len; i++) {
    g_assert(g_utf8_validate(found->pdata[i], -1, NULL));
    g_assert_cmpstr(found->pdata[i], !=, "name");
  }
}

void check_body(const uint8_t *data, size_t size, DmFormat format) {
  g_autoptr(GBytes) bytes = g_bytes_new(data, size);
  g_autoptr(GError) error = NULL;
  g_autoptr(DmBody) body = dm_body_parse(bytes, format, "vm", &error);
  check_error(error, body != NULL);
  if (body != NULL) {
    look(body, 1);
    compare(body);
  }
}
