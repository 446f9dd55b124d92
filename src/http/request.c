/* SPDX-License-Identifier: Apache-2.0 */
/* Accessors of a request: its head, its body, and its client. */
#include "server_private.h"

HttpConnection *http_connection_of(const DmHttpRequest *request) {
  return MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void http_resume(DmHttpRequest *request) {
  request->server->run_soon = TRUE;
  MHD_resume_connection(request->connection);
}

const char *dm_http_request_method(const DmHttpRequest *request) {
  return request->method;
}

const char *dm_http_request_uri(const DmHttpRequest *request) {
  return request->uri;
}

const char *dm_http_request_header(const DmHttpRequest *request, const char *name) {
  return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

GBytes *dm_http_request_body(const DmHttpRequest *request) {
  return request->body != NULL ? request->body : request->server->no_body;
}

gboolean dm_http_request_body_too_large(const DmHttpRequest *request) {
  return request->too_large;
}

static void append_value(char **list, const char *value) {
  char *longer = *list != NULL ? g_strjoin(",", *list, value, NULL) : g_strdup(value);
  g_free(*list);
  *list = longer;
}

static enum MHD_Result note_forwarded(void *data, enum MHD_ValueKind kind, const char *name, const char *value) {
  HttpForwarded *given = data;
  if (g_ascii_strcasecmp(name, "Forwarded") == 0)
    append_value(&given->forwarded, value);
  else if (g_ascii_strcasecmp(name, "X-Forwarded-For") == 0)
    append_value(&given->x_forwarded_for, value);
  return MHD_YES;
}

static const HttpOrigin *origin_of(const DmHttpRequest *request) {
  if (request->origin.address == NULL) {
    HttpForwarded given = {.x_forwarded_proto = dm_http_request_header(request, "X-Forwarded-Proto")};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, note_forwarded, &given);
    ((DmHttpRequest *)request)->origin =
      http_origin_of(http_connection_of(request)->peer, &given, request->server->proxies);
    g_free(given.forwarded);
    g_free(given.x_forwarded_for);
  }
  return &request->origin;
}

gboolean dm_http_request_is_forwarded(const DmHttpRequest *request) {
  return http_is_proxy(request->server->proxies, http_connection_of(request)->peer);
}

const char *dm_http_request_peer(const DmHttpRequest *request) {
  return origin_of(request)->address;
}

gboolean dm_http_request_is_tls(const DmHttpRequest *request) {
  return request->server->is_tls || origin_of(request)->is_tls;
}

void dm_http_request_set_logged_in(DmHttpRequest *request) {
  http_connection_of(request)->logged_in = TRUE;
}

gint64 dm_http_request_started(const DmHttpRequest *request) {
  return request->started;
}

void dm_http_request_set_data(DmHttpRequest *request, gpointer data, GDestroyNotify destroy) {
  if (request->destroy != NULL)
    request->destroy(request->data);
  request->data = data;
  request->destroy = destroy;
}

gpointer dm_http_request_data(const DmHttpRequest *request) {
  return request->data;
}
