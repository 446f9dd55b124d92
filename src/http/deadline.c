/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmicrohttpd closes idle connections, but not slow ones: a head sent byte by byte would hold its connection forever,
 * and enough of them would lock all others out. So while the client has to send or receive, its connection has a
 * deadline that traffic does not extend; while we have to act, it has none.
 *
 * Each request sets deadlines, and hardly one ever passes: so they are mere numbers, and one timer checks for passed
 * ones. It fires when the earliest known one is due. One set meanwhile is at least request_time ahead, so the timer is
 * not late for it either.
 */
#include <sys/socket.h>

#include "server_private.h"

static gboolean on_due(gpointer data);

static void look_at(DmHttpServer *server, gint64 due) {
  gint64 left = MAX(due - g_get_monotonic_time(), 0);
  server->deadline_timer = g_timeout_add((guint)MIN(left / 1000 + 1, G_MAXUINT), on_due, server);
}

/* libmicrohttpd has no call to close a connection: it closes one whose socket is shut down. */
static gboolean on_due(gpointer data) {
  DmHttpServer *server = data;
  gint64 now = g_get_monotonic_time(), next = now + server->request_time;
  server->deadline_timer = 0;
  for (GList *at = server->connections.head; at != NULL; at = at->next) {
    HttpConnection *connection = at->data;
    if (connection->deadline > now) {
      next = MIN(next, connection->deadline);
    } else if (connection->deadline != 0) {
      g_debug("http: a client at %s took too long; closed its connection", connection->peer);
      connection->deadline = 0;
      shutdown(connection->fd, SHUT_RDWR);
    }
  }
  if (!g_queue_is_empty(&server->connections))
    look_at(server, next);
  return G_SOURCE_REMOVE;
}

void http_expect(HttpConnection *connection, gint64 microseconds) {
  connection->deadline = g_get_monotonic_time() + microseconds;
  if (connection->server->deadline_timer == 0)
    look_at(connection->server, connection->deadline);
}

void http_expect_nothing(HttpConnection *connection) {
  connection->deadline = 0;
}
