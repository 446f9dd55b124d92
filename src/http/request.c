/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request, from its first line to the end of its answer.
 *
 * libmicrohttpd calls http_on_uri() with the request line, then http_on_request() several times: once with the head,
 * then with each part of the body, and once at the end. An answer that is queued at the first of these calls refuses
 * the body, and libmicrohttpd closes the connection behind it. This is what a GET needs that announces a body, which
 * may never come, and a body that is announced as too large. All others are answered at the last call, where the
 * connection stays open for the next request.
 *
 * A request that the handler did not answer is suspended: libmicrohttpd does not look at its connection any more, and
 * does not even see that the client goes away. So it stays valid until it is answered.
 */
#include <netdb.h>
#include <string.h>

#include "server_private.h"

/* A body that turns out to be too large while it arrives is read on, up to so many times the maximum: only at its end
 * can it be answered. */
#define PATIENCE 4

void *http_on_uri(void *server, const char *uri, struct MHD_Connection *connection) {
  gsize size = uri != NULL ? strlen(uri) + 1 : 1;
  DmHttpRequest *request = g_malloc(sizeof *request + size);
  memset(request, 0, sizeof *request);
  memcpy(request->uri, uri != NULL ? uri : "", size);
  request->server = server;
  request->connection = connection;
  request->link.data = request;
  request->started = g_get_monotonic_time();
  return request;
}

/* Bytes of body that the head announces; G_MAXUINT64 where it leaves that open. */
static guint64 announced(const DmHttpRequest *request) {
  if (dm_http_request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL)
    return G_MAXUINT64;
  const char *length = dm_http_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
  return length != NULL ? g_ascii_strtoull(length, NULL, 10) : 0;
}

HttpConnection *http_connection_of(const DmHttpRequest *request) {
  return MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
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

typedef struct {
  guint lengths, encodings;
  gboolean chunked;
} Framing;

static enum MHD_Result note_framing(void *data, enum MHD_ValueKind kind, const char *name, const char *value) {
  Framing *framing = data;
  framing->lengths += g_ascii_strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
  if (g_ascii_strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
    framing->encodings++;
    framing->chunked = value != NULL && g_ascii_strcasecmp(value, "chunked") == 0;
  }
  return MHD_YES;
}

/*
 * Where the end of the body can be read in two ways, a proxy in front of us may read it the other way, and what is left
 * be taken for somebody else's request (RFC 9112, 6.3). libmicrohttpd takes the first length it finds.
 */
static gboolean is_ambiguous(const DmHttpRequest *request) {
  Framing framing = {0};
  MHD_get_connection_values(request->connection, MHD_HEADER_KIND, note_framing, &framing);
  return framing.lengths + framing.encodings > 1 || (framing.encodings == 1 && !framing.chunked);
}

static void refuse_ambiguous(DmHttpRequest *request, gpointer data) {
  static const char text[] =
    "The length of the body can be read in more than one way: send one Content-Length, or "
    "Transfer-Encoding: chunked.\n";
  g_autoptr(GBytes) body = g_bytes_new_static(text, sizeof text - 1);
  dm_http_reply(request, MHD_HTTP_BAD_REQUEST, "text/plain", body);
}

static enum MHD_Result take_head(DmHttpRequest *request, const char *method) {
  request->head_seen = TRUE;
  request->method = method;
  if (is_ambiguous(request)) {
    http_connection_of(request)->body_refused = TRUE;
    return give_to(request, refuse_ambiguous);
  }
  guint64 length = announced(request);
  if (length == 0)
    return MHD_YES;
  gboolean ignores = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
  request->too_large = !ignores && length != G_MAXUINT64 && length > request->server->max_body;
  if (!ignores && !request->too_large) {
    http_expect(http_connection_of(request), request->server->request_time);
    return MHD_YES;
  }
  http_connection_of(request)->body_refused = TRUE;
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
  /* Its answer was not taken: nothing but to close. */
  if (request->state != REQUEST_ARRIVING)
    return MHD_NO;
  if (!request->head_seen)
    return take_head(request, method);
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
  /* It may be silent for as long as any connection, and then begin. */
  http_expect(http_connection_of(request), request->server->idle_time + request->server->request_time);
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
  g_free(request);
}

static void write_peer(const struct sockaddr *address, char *peer) {
  static const char mapped[] = "::ffff:";
  socklen_t length = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  if (getnameinfo(address, length, peer, PEER_SIZE, NULL, 0, NI_NUMERICHOST) != 0)
    *peer = '\0';
  /* An IPv4 client of a socket for both: write it as everybody knows it. */
  if (g_str_has_prefix(peer, mapped) && strchr(peer, '.') != NULL)
    memmove(peer, peer + strlen(mapped), strlen(peer) - strlen(mapped) + 1);
}

/* The client's address is written once for each connection, not for each request. */
void http_on_connection(
  void *server, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode what) {
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    HttpConnection *started = *context = g_new0(HttpConnection, 1);
    started->link.data = started;
    started->server = server;
    started->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    g_queue_push_tail_link(&started->server->connections, &started->link);
    write_peer(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, started->peer);
    http_expect(started, started->server->request_time); /* its TLS handshake included */
    return;
  }
  /* Where there were as many as are allowed, libmicrohttpd listens again only when it is run once more. */
  ((DmHttpServer *)server)->run_soon = TRUE;
  HttpConnection *closed = g_steal_pointer(context);
  g_queue_unlink(&closed->server->connections, &closed->link);
  if (closed->body_refused)
    http_linger(server, closed->fd);
  g_free(closed);
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

const char *dm_http_request_peer(const DmHttpRequest *request) {
  return http_connection_of(request)->peer;
}

gboolean dm_http_request_is_tls(const DmHttpRequest *request) {
  return request->server->is_tls;
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
