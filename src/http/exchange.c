/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request, from its first line to the end of its answer.
 *
 * libmicrohttpd calls http_on_uri() with the request line, then http_on_request() several times: once with the head,
 * then with each part of the body, and once at the end. An answer queued at the first of these calls refuses the body,
 * and libmicrohttpd closes the connection after it. That is needed for a GET that announces a body, which may never
 * come, and for a body announced as too large. All others are answered at the last call, which keeps the connection
 * open for the next request.
 *
 * But one whose body comes in chunks is the last one of its connection. Of their framing libmicrohttpd shows nothing,
 * and 0.9.75 is lenient there too: it takes a bare LF for the end of a line, and anything as an extension or a trailer.
 * A proxy that finds the end elsewhere could pass on one client's body, of which we read the rest as another's request.
 *
 * A request belongs to its connection: libmicrohttpd does not report the end of each. One whose head it refuses for two
 * reasons (parameters or cookies that do not fit the connection's memory, and no Host) just ends.
 *
 * A request that the handler did not answer is suspended: libmicrohttpd ignores its connection then, and does not even
 * notice that the client disconnects. So it stays valid until it is answered.
 */
#include <string.h>

#include "server_private.h"

/* A body that turns out to be too large is read on, up to this many times the maximum: it can be answered only at its
 * end. */
#define PATIENCE 4

static HttpConnection *connection_of(struct MHD_Connection *connection) {
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void free_request(DmHttpRequest *request) {
  if (request == NULL)
    return;
  if (request->state != REQUEST_ARRIVING)
    g_queue_unlink(&request->server->requests, &request->link);
  http_stream_close(g_steal_pointer(&request->stream));
  if (request->destroy != NULL)
    request->destroy(request->data);
  if (request->arrived != NULL)
    g_byte_array_unref(request->arrived);
  if (request->body != NULL)
    g_bytes_unref(request->body);
  http_free_reply_headers(request);
  g_free(request->origin.address);
  g_free(request);
}

/*
 * libmicrohttpd splits the query into parameters, which are not used here. If their list does not fit the connection's
 * memory, 0.9.75 leaves the client without an answer until the timeout. So hide the query from it.
 */
static void hide_parameters(const char *uri) {
  char *query = strchr((char *)uri, '?'); /* libmicrohttpd itself writes here once this callback returns */
  if (query != NULL)
    query[1] = '\0';
}

void *http_on_uri(void *server, const char *uri, struct MHD_Connection *connection) {
  if (uri == NULL)
    uri = "";
  gsize size = strlen(uri) + 1;
  DmHttpRequest *request = g_malloc(sizeof *request + size);
  memset(request, 0, sizeof *request);
  memcpy(request->uri, uri, size);
  request->server = server;
  request->connection = connection;
  request->link.data = request;
  request->started = g_get_monotonic_time();
  request->target_cut = size > 1 && http_target_is_cut(uri);
  hide_parameters(uri);
  HttpConnection *from = connection_of(connection);
  free_request(g_steal_pointer(&from->request));
  from->request = request;
  return request;
}

/* Bytes of body that the head announces; G_MAXUINT64 if it does not say. */
static guint64 announced(const DmHttpRequest *request) {
  if (dm_http_request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL)
    return G_MAXUINT64;
  const char *length = dm_http_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
  return length != NULL ? g_ascii_strtoull(length, NULL, 10) : 0;
}

static enum MHD_Result give_to(DmHttpRequest *request, DmHttpHandler handler) {
  DmHttpServer *server = request->server;
  if (request->arrived != NULL)
    request->body = g_byte_array_free_to_bytes(g_steal_pointer(&request->arrived));
  request->state = REQUEST_HANDED;
  http_expect_nothing(http_connection_of(request));
  g_queue_push_tail_link(&server->requests, &request->link);
  handler(request, server->data);
  if (request->state == REQUEST_HANDED) {
    request->suspended = TRUE;
    MHD_suspend_connection(request->connection);
  }
  return request->failed ? MHD_NO : MHD_YES;
}

static enum MHD_Result hand_over(DmHttpRequest *request) {
  return give_to(request, request->server->handler);
}

static void refuse_head(DmHttpRequest *request, gpointer data) {
  g_autoptr(GBytes) body = g_bytes_new_static(request->problem, strlen(request->problem));
  dm_http_reply(request, MHD_HTTP_BAD_REQUEST, "text/plain", body);
}

static enum MHD_Result take_head(DmHttpRequest *request, const char *method, const char *version) {
  request->head_seen = TRUE;
  request->method = method;
  request->problem = http_head_problem(request, version);
  if (request->problem != NULL) {
    http_connection_of(request)->lingers = TRUE;
    return give_to(request, refuse_head);
  }
  guint64 length = announced(request);
  if (length == 0)
    return MHD_YES;
  request->is_last = length == G_MAXUINT64;
  gboolean ignores = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
  request->too_large = !ignores && length != G_MAXUINT64 && length > request->server->max_body;
  if (!ignores && !request->too_large) {
    http_expect(http_connection_of(request), request->server->request_time);
    return MHD_YES;
  }
  http_connection_of(request)->lingers = TRUE;
  return hand_over(request);
}

static enum MHD_Result take_body(DmHttpRequest *request, const char *part, gsize size) {
  gsize max = request->server->max_body;
  gsize has = request->arrived != NULL ? request->arrived->len : 0;
  if (request->too_large || size > max - has) {
    g_clear_pointer(&request->arrived, g_byte_array_unref);
    request->too_large = TRUE;
    request->dropped += has + size;
    return request->dropped / PATIENCE > max ? MHD_NO : MHD_YES;
  }
  if (request->arrived == NULL)
    request->arrived = g_byte_array_new();
  g_byte_array_append(request->arrived, (const guint8 *)part, (guint)size);
  return MHD_YES;
}

enum MHD_Result http_on_request(void *server, struct MHD_Connection *connection, const char *url, const char *method,
  const char *version, const char *upload, size_t *size, void **context) {
  DmHttpRequest *request = *context;
  /* Its answer was not accepted: close it. */
  if (request->state != REQUEST_ARRIVING)
    return MHD_NO;
  if (!request->head_seen)
    return take_head(request, method, version);
  if (*size == 0)
    return hand_over(request);
  enum MHD_Result result = take_body(request, upload, *size);
  *size = 0;
  return result;
}

void http_on_completed(
  void *server, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode why) {
  DmHttpRequest *request = g_steal_pointer(context);
  if (request == NULL)
    return;
  HttpConnection *from = connection_of(connection);
  /* It may be idle as long as any connection before it begins. */
  http_expect(from, request->server->idle_time + request->server->request_time);
  free_request(g_steal_pointer(&from->request));
}

void http_on_connection(
  void *server, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode what) {
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    HttpConnection *started = *context = g_new0(HttpConnection, 1);
    started->link.data = started;
    started->server = server;
    started->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    g_queue_push_tail_link(&started->server->connections, &started->link);
    http_place_take(started);
    http_expect(started, started->server->request_time); /* including its TLS handshake */
    return;
  }
  HttpConnection *closed = g_steal_pointer(context);
  g_queue_unlink(&closed->server->connections, &closed->link);
  free_request(closed->request); /* one whose end libmicrohttpd has not reported */
  if (closed->lingers)
    http_linger(server, closed->fd);
  http_place_leave(closed);
  http_accept_again(server);
  g_free(closed);
}
