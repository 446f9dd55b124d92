/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lingering close of a connection whose request was answered before its body came, or is the last one that is read. On
 * a plain close the kernel would answer the rest with a reset, and a client that sends all before it reads would never
 * see the answer. So a copy of the socket stays open for a while, and its input is discarded.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_private.h"

#define SECONDS 5

/* They do not count as connections, so they have their own limit. */
#define AT_ONCE 64

/* Bytes discarded at a time, so that a fast client does not block the main loop. */
#define GULP ((gsize)1024 * 1024)

typedef struct {
  GList link;
  DmHttpServer *server;
  int fd;
  guint watch;
  guint timeout;
} Linger;

static void end(Linger *linger) {
  g_queue_unlink(&linger->server->lingering, &linger->link);
  g_source_remove(linger->watch);
  g_source_remove(linger->timeout);
  close(linger->fd);
  g_free(linger);
}

static gboolean throw_away(int fd, GIOCondition condition, gpointer data) {
  /* With TCP, MSG_TRUNC discards without copying. */
  ssize_t size = recv(fd, NULL, GULP, MSG_DONTWAIT | MSG_TRUNC);
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
    end(data);
  return G_SOURCE_CONTINUE;
}

static gboolean give_up(gpointer data) {
  end(data);
  return G_SOURCE_CONTINUE;
}

void http_linger(DmHttpServer *server, int fd) {
  int copy = server->lingering.length < AT_ONCE ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
  if (copy < 0)
    return;
  /* libmicrohttpd has shut down plain connections; with TLS it leaves that to close(). */
  shutdown(copy, SHUT_WR);
  Linger *linger = g_new0(Linger, 1);
  linger->link.data = linger;
  linger->server = server;
  linger->fd = copy;
  linger->watch = g_unix_fd_add(copy, G_IO_IN | G_IO_HUP | G_IO_ERR, throw_away, linger);
  linger->timeout = g_timeout_add_seconds(SECONDS, give_up, linger);
  g_queue_push_tail_link(&server->lingering, &linger->link);
}

void http_end_lingering(DmHttpServer *server) {
  while (!g_queue_is_empty(&server->lingering))
    end(g_queue_peek_head(&server->lingering));
}
