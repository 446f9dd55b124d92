/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "call.h"

static void finish(Call *call, guint status, const char *content_type, GBytes *body) {
  dm_http_reply_header(call->http, "Correlation-Id", call->correlation_id);
  call_answered(call, status);
  dm_http_reply(call->http, status, content_type, body);
}

gboolean is_libgovirt(Call *call) {
  return dm_http_request_header(call->http, "Filter") != NULL;
}

void write_node(Call *call, const DmNode *node, GString *text) {
  dm_node_write(node, call->format, text);
  if (call->format == DM_FORMAT_XML && is_libgovirt(call))
    g_string_replace(text, "<description></description>", "", 0);
}

/* A read includes the objects of follow. */
static gboolean follow_read(Call *call, guint status, DmNode *node) {
  g_autoptr(GError) error = NULL;
  if (status != 200 || call->route == NULL || call->route->open || !g_str_equal(call->route->method, "GET") ||
    call->api->follow(call, node, &error))
    return TRUE;
  dm_node_free(node);
  reply_error(call, error);
  return FALSE;
}

void reply_node(Call *call, guint status, DmNode *node) {
  if (!follow_read(call, status, node))
    return;
  GString *text = g_string_new(dm_format_declaration(call->format));
  write_node(call, node, text);
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

/* As such, or in the failed action. Takes ownership of @fault. */
static void reply_fault_node(Call *call, guint status, DmNode *fault) {
  if (call->route == NULL || !call->route->action) {
    reply_node(call, status, fault);
    return;
  }
  DmNode *action = dm_node_new("action");
  dm_node_adopt(action, fault, FALSE);
  dm_node_add_text(action, "status", "failed");
  reply_node(call, status, action);
}

void reply_fault(Call *call, guint status, const char *code, const char *reason, const char *detail) {
  DmNode *fault = dm_node_new("fault");
  dm_node_add_text(fault, "code", code);
  dm_node_add_text(fault, "detail", detail);
  dm_node_add_text(fault, "reason", reason);
  reply_fault_node(call, status, fault);
}

static const char operation_failed[] = "Operation Failed";

static const char *reason_of(const GError *error) {
  if (g_error_matches(error, DM_ERROR, DM_ERROR_BAD_REQUEST))
    return "Request syntactically incorrect.";
  if (g_error_matches(error, DM_ERROR, DM_ERROR_BAD_VALUE) || g_error_matches(error, DM_ERROR, DM_ERROR_BAD_SEARCH))
    return "Invalid value";
  if (g_error_matches(error, DM_ERROR, DM_ERROR_IMMUTABLE))
    return "Broken immutability constraint";
  return operation_failed;
}

void add_fault(DmNode *parent, const GError *error) {
  const char *reason = reason_of(error);
  g_autofree char *detail = g_strdup_printf(reason == operation_failed ? "[%s]" : "%s", error->message);
  dm_node_add_text(parent, "code", dm_error_info_of(error)->name);
  dm_node_add_text(parent, "detail", detail);
  dm_node_add_text(parent, "reason", reason);
}

void reply_error(Call *call, const GError *error) {
  DmNode *fault = dm_node_new("fault");
  add_fault(fault, error);
  reply_fault_node(call, (guint)dm_error_info_of(error)->http_status, fault);
}

gboolean read_body(Call *call, const char *root) {
  g_autoptr(GError) error = NULL;
  GBytes *bytes = dm_http_request_body(call->http);
  const char *sent = dm_http_request_header(call->http, "Content-Type");
  DmFormat format = DM_FORMAT_XML;
  /* Also for an empty body: a form on another site's page can send one. */
  if (sent != NULL && !dm_format_of_type(sent, &format)) {
    reply_fault(call, 415, FAULT_MEDIA_TYPE, "Operation Failed", "[Send application/xml or application/json.]");
    return FALSE;
  }
  call->body = dm_body_parse(bytes, format, root, &error);
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

DmNode *add_link_if(DmNode *parent, const char *name, gboolean there, const char *collection, const char *id) {
  if (there)
    return add_link(parent, name, collection, id);
  DmNode *node = dm_node_add_object(parent, name);
  dm_node_set_attribute(node, "id", id);
  return node;
}

/* Clients follow each, and do not try unlisted ones: so list those that answer, and no others. */
void add_links(const DmApi *api, DmNode *node, const char *collection, const char *id) {
  g_autofree char *below = g_strdup_printf("%s/{}/", collection);
  for (const Route *route = api->routes; route->path != NULL; route++) {
    if (!g_str_equal(route->method, "GET") || !g_str_has_prefix(route->path, below) ||
      (route->element == NULL && !route->link))
      continue;
    g_autofree char *href = api_href("%s/%s/%s", collection, id, route->path + strlen(below));
    DmNode *link = dm_node_add_item(node, "link");
    dm_node_set_attribute(link, "href", href);
    dm_node_set_attribute(link, "rel", route->path + strlen(below));
  }
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
