/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection limits. There are max_connections places, of which one address may have max_per_address. If all are taken,
 * a new connection replaces another: first, of those not logged in, an idle one, then one sending its request, then one
 * receiving its answer; only then an idle one that is logged in, and at last one with a stream, whose client asks
 * again. Among these it is the oldest of the address with the most connections. So neither holding connections nor
 * being slow nor listening locks others out, and a client that does so with many connections loses them first. A
 * connection whose request is at the handler is never closed.
 *
 * libmicrohttpd has no call to close a connection, but closes one whose socket is shut down, on its next run. Until
 * then the place counts as free while the descriptor is in use: so libmicrohttpd is allowed some more connections than
 * we count.
 */
#include <errno.h>
#include <glib-unix.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_private.h"

/* Accepted at a time, so that the main loop gets to the requests. */
#define AT_ONCE 16

/* Without free descriptors, each pending connection would wake the loop at once, for nothing. */
#define PAUSE_MS 1000
#define TELL_EVERY G_TIME_SPAN_MINUTE

static gboolean is_due(gint64 *logged) {
  gint64 now = g_get_monotonic_time();
  if (*logged != 0 && now - *logged < TELL_EVERY)
    return FALSE;
  *logged = now;
  return TRUE;
}

/* ---- places ---- */

static HttpPeer *find_peer(DmHttpServer *server, const char *address) {
  g_autofree char *network = dm_http_network(address);
  HttpPeer *peer = g_hash_table_lookup(server->peers, network);
  if (peer == NULL) {
    peer = g_new0(HttpPeer, 1);
    peer->network = g_steal_pointer(&network);
    g_hash_table_insert(server->peers, peer->network, peer);
  }
  return peer;
}

static void drop_peer(DmHttpServer *server, HttpPeer *peer) {
  if (peer->connections > 0)
    return;
  g_hash_table_remove(server->peers, peer->network);
  g_free(peer->network);
  g_free(peer);
}

void http_place_take(HttpConnection *connection) {
  DmHttpServer *server = connection->server;
  connection->from = server->newcomer;
  g_strlcpy(connection->peer, server->newcomer_address, sizeof connection->peer);
  connection->from->connections++;
  connection->has_place = TRUE;
  server->places++;
  connection->from->places++;
}

static void leave_place(HttpConnection *connection) {
  if (!connection->has_place)
    return;
  connection->has_place = FALSE;
  connection->server->places--;
  connection->from->places--;
}

void http_place_leave(HttpConnection *connection) {
  leave_place(connection);
  connection->from->connections--;
  drop_peer(connection->server, g_steal_pointer(&connection->from));
}

/* Priority of a connection: the lowest goes first. */
typedef enum {
  NEED_NONE,
  NEED_TO_ASK,
  NEED_TO_TAKE,
  NEED_LATER,
  NEED_TO_LISTEN,
  NEED_NOW
} Need;

/* The client has closed its end. While there is nothing to send, libmicrohttpd does not look at it. */
static gboolean is_gone(const HttpConnection *connection) {
  struct pollfd end = {.fd = connection->fd, .events = POLLRDHUP};
  return poll(&end, 1, 0) > 0;
}

static Need need_of(const HttpConnection *connection) {
  const DmHttpRequest *request = connection->request;
  if (request != NULL && request->stream != NULL)
    return is_gone(connection) ? NEED_NONE : NEED_TO_LISTEN;
  if (connection->logged_in)
    return request == NULL ? NEED_LATER : NEED_NOW;
  if (request == NULL)
    return NEED_NONE;
  if (request->state == REQUEST_ARRIVING)
    return NEED_TO_ASK;
  return request->state == REQUEST_ANSWERED ? NEED_TO_TAKE : NEED_NOW;
}

/* The connections are in order of arrival. */
static HttpConnection *least_needed(DmHttpServer *server, const HttpPeer *of) {
  HttpConnection *found = NULL;
  Need least = NEED_NOW;
  for (GList *at = server->connections.head; at != NULL; at = at->next) {
    HttpConnection *connection = at->data;
    if (!connection->has_place || (of != NULL && connection->from != of))
      continue;
    Need need = need_of(connection);
    if (need < least || (need == least && found != NULL && connection->from->places > found->from->places)) {
      found = connection;
      least = need;
    }
  }
  return found;
}

static gboolean make_place(DmHttpServer *server, const HttpPeer *of) {
  HttpConnection *connection = least_needed(server, of);
  if (connection == NULL)
    return FALSE;
  g_debug("http: closed a connection of %s to make room for others", connection->peer);
  leave_place(connection);
  http_expect_nothing(connection);
  if (connection->request != NULL && connection->request->stream != NULL)
    http_stream_cut(connection->request->stream);
  else
    shutdown(connection->fd, SHUT_RDWR);
  return TRUE;
}

/* ---- accepting ---- */

static void write_address(const struct sockaddr *address, socklen_t length, char *text) {
  if (getnameinfo(address, length, text, PEER_SIZE, NULL, 0, NI_NUMERICHOST) != 0)
    *text = '\0';
  http_unmap(text); /* an IPv4 client on a dual-stack socket: in its usual form */
}

static gboolean has_place_for(DmHttpServer *server, const HttpPeer *peer, const char *address) {
  gboolean has_all = peer->places >= server->max_per_address && !http_is_proxy(server->proxies, address);
  if (has_all && !make_place(server, peer)) {
    if (is_due(&server->logged_refused))
      g_warning("%u clients of %s are being answered, the most for one address; see max-per-address", peer->places,
        peer->network);
    return FALSE;
  }
  if (server->places < server->max_connections || make_place(server, NULL))
    return TRUE;
  if (is_due(&server->logged_refused))
    g_warning("%u clients are being answered, the most there can be; see max-connections", server->places);
  return FALSE;
}

static void come_in(DmHttpServer *server, int fd, const struct sockaddr *address, socklen_t length) {
  char text[PEER_SIZE];
  write_address(address, length, text);
  HttpPeer *peer = find_peer(server, text);
  server->newcomer = peer;
  server->newcomer_address = text;
  if (has_place_for(server, peer, text))
    MHD_add_connection(server->daemon, fd, address, length); /* which closes it on failure */
  else
    close(fd);
  server->newcomer = NULL;
  drop_peer(server, peer);
  server->run_soon = TRUE;
}

static gboolean on_pause_over(gpointer data) {
  http_accept_again(data);
  return G_SOURCE_CONTINUE; /* it is removed */
}

/* By errno: no descriptors, or no memory for one. Resumes as soon as one is closed, or after a while. */
static void pause_accepting(DmHttpServer *server) {
  if (is_due(&server->logged_exhausted))
    g_warning("cannot take another client beside %u: %s; raise LimitNOFILE of the unit, or lower max-connections",
      server->places, g_strerror(errno));
  make_place(server, NULL);
  server->accept_watch = 0;
  server->accept_pause = g_timeout_add(PAUSE_MS, on_pause_over, server);
}

static gboolean on_newcomer(int listener, GIOCondition condition, gpointer data) {
  DmHttpServer *server = data;
  for (guint i = 0; i < AT_ONCE && server->connections.length < server->max_connections + HTTP_MORE_PLACES; i++) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int fd = accept4(listener, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      come_in(server, fd, (struct sockaddr *)&address, length);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pause_accepting(server);
      return G_SOURCE_REMOVE;
    } else if (errno == EAGAIN) {
      break;
    } /* else the client has disconnected meanwhile */
  }
  return G_SOURCE_CONTINUE;
}

void http_accept_start(DmHttpServer *server) {
  if (server->listener >= 0 && server->accept_watch == 0)
    server->accept_watch = g_unix_fd_add(server->listener, G_IO_IN, on_newcomer, server);
}

void http_accept_again(DmHttpServer *server) {
  if (server->accept_pause == 0)
    return;
  g_source_remove(server->accept_pause);
  server->accept_pause = 0;
  http_accept_start(server);
}

void http_accept_stop(DmHttpServer *server) {
  if (server->accept_watch != 0)
    g_source_remove(server->accept_watch);
  if (server->accept_pause != 0)
    g_source_remove(server->accept_pause);
  server->accept_watch = server->accept_pause = 0;
  if (server->listener >= 0)
    close(server->listener);
  server->listener = -1;
}
