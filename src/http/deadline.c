/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmicrohttpd closes who is silent, but not who says little: a head that comes byte by byte would hold its connection
 * for ever, and as many of them as are allowed would lock all others out. So whenever it is the client's turn, its
 * connection has a deadline that no byte puts off; while it is ours, it has none.
 *
 * Each request sets deadlines, hardly one is ever met: so they are mere numbers, and one timer looks for those that
 * have passed. It comes when the earliest it knows of is due. One that is set meanwhile is at least request_time
 * ahead, so the timer is never later than that either.
 */
#include <sys/socket.h>

#include "server_private.h"

static gboolean on_due(gpointer data);

static void look_at(DmHttpServer *server, gint64 due) {
  gint64 left = MAX(due - g_get_monotonic_time(), 0);
  server->deadline_timer = g_timeout_add((guint)MIN(left / 1000 + 1, G_MAXUINT), on_due, server);
}

/* libmicrohttpd cannot be told to close a connection: with its socket shut down it closes it by itself. */
static gboolean on_due(gpointer data) {
  DmHttpServer *server = data;
  gint64 now = g_get_monotonic_time(), next = now + server->request_time;
  server->deadline_timer = 0;
  for (GList *at = server->connections.head; at != NULL; at = at->next) {
    HttpConnection *connection = at->data;
    if (connection->deadline > now) {
      next = MIN(next, connection->deadline);
    } else if (connection->deadline != 0) {
      g_debug("http: a client at %s took too long, its connection is closed", connection->peer);
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
