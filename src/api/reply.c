/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "api_private.h"
#include "base/error.h"

static void finish(Call *call, guint status, const char *content_type, GBytes *body) {
  dm_http_reply_header(call->http, "Correlation-Id", call->correlation_id);
  metrics_answered(call->api->metrics, dm_http_request_method(call->http), status, dm_http_request_started(call->http));
  dm_http_reply(call->http, status, content_type, body);
}

void reply_node(Call *call, guint status, DmNode *node) {
  GString *text = g_string_new(dm_format_declaration(call->format));
  dm_node_write(node, call->format, text);
  dm_node_free(node);
  g_autoptr(GBytes) body = g_string_free_to_bytes(text);
  finish(call, status, dm_format_content_type(call->format), body);
}

void reply_empty(Call *call, guint status) {
  finish(call, status, NULL, NULL);
}

void reply_text(Call *call, guint status, const char *content_type, const char *text) {
  g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
  finish(call, status, content_type, body);
}

void reply_bytes(Call *call, guint status, const char *content_type, GBytes *body) {
  finish(call, status, content_type, body);
}

void reply_fault(Call *call, guint status, const char *reason, const char *detail) {
  DmNode *fault = dm_node_new("fault");
  dm_node_add_text(fault, "detail", detail);
  dm_node_add_text(fault, "reason", reason);
  reply_node(call, status, fault);
}

static const char *reason_of(const GError *error) {
  if (g_error_matches(error, DM_ERROR, DM_ERROR_BAD_REQUEST))
    return "Request syntactically incorrect.";
  if (g_error_matches(error, DM_ERROR, DM_ERROR_BAD_VALUE) || g_error_matches(error, DM_ERROR, DM_ERROR_BAD_SEARCH))
    return "Invalid value";
  if (g_error_matches(error, DM_ERROR, DM_ERROR_IMMUTABLE))
    return "Broken immutability constraint";
  return "Operation Failed";
}

void add_fault(DmNode *parent, const GError *error) {
  gboolean failed = g_str_equal(reason_of(error), "Operation Failed");
  g_autofree char *detail = g_strdup_printf(failed ? "[%s]" : "%s", error->message);
  dm_node_add_text(parent, "detail", detail);
  dm_node_add_text(parent, "reason", reason_of(error));
}

void reply_error(Call *call, const GError *error) {
  DmNode *fault = dm_node_new("fault");
  add_fault(fault, error);
  reply_node(call, (guint)dm_error_info_of(error)->http_status, fault);
}

gboolean read_body(Call *call, const char *root) {
  g_autoptr(GError) error = NULL;
  GBytes *bytes = dm_http_request_body(call->http);
  const char *sent = dm_http_request_header(call->http, "Content-Type");
  g_autofree char *type = sent != NULL ? g_ascii_strdown(sent, -1) : NULL;
  gboolean json = type != NULL && strstr(type, "json") != NULL;
  gboolean known = type == NULL || json || strstr(type, "/xml") != NULL;
  if (!known && g_bytes_get_size(bytes) > 0) {
    reply_fault(call, 415, "Operation Failed", "[Send application/xml or application/json.]");
    return FALSE;
  }
  call->body = dm_body_parse(bytes, json ? DM_FORMAT_JSON : DM_FORMAT_XML, root, &error);
  if (call->body == NULL)
    reply_error(call, error);
  return call->body != NULL;
}

DmEntry *find_entry(Call *call) {
  DmEntry *entry = dm_inventory_find(call->api->inventory, call->ids[0]);
  if (entry == NULL)
    reply_empty(call, 404);
  return entry;
}

char *api_href(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *rest = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  return g_strconcat(API_BASE "/", rest, NULL);
}

void set_link(DmNode *node, const char *collection, const char *id) {
  g_autofree char *href = api_href("%s/%s", collection, id);
  dm_node_set_attribute(node, "href", href);
  dm_node_set_attribute(node, "id", id);
}

DmNode *add_link(DmNode *parent, const char *name, const char *collection, const char *id) {
  DmNode *node = dm_node_add_object(parent, name);
  set_link(node, collection, id);
  return node;
}

char *uuid_of(const char *space, const char *name) {
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_MD5);
  guint8 d[16];
  gsize length = sizeof d;
  g_checksum_update(sum, (const guchar *)space, -1);
  g_checksum_update(sum, (const guchar *)name, -1);
  g_checksum_get_digest(sum, d, &length);
  d[6] = (d[6] & 0x0f) | 0x30;
  d[8] = (d[8] & 0x3f) | 0x80;
  return g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", d[0], d[1], d[2], d[3],
    d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14], d[15]);
}
