/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "server_private.h"

static const char *remedy(int number) {
  switch (number) {
    case EADDRINUSE:
      return "; stop the program that uses it, or choose another port";
    case EADDRNOTAVAIL:
      return "; choose an address of this host, or 0.0.0.0 or :: for all of them";
    case EACCES:
      return "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
    default:
      return "";
  }
}

static struct addrinfo *look_up(const char *address, guint16 port, GError **error) {
  const struct addrinfo hints = {
    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
    .ai_socktype = SOCK_STREAM,
  };
  char service[8];
  struct addrinfo *found = NULL;
  g_snprintf(service, sizeof service, "%u", port);
  int failed = getaddrinfo(address, service, &hints, &found);
  if (failed == 0)
    return found;
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
    "cannot listen on '%s': %s; write a numeric address like 127.0.0.1 or ::1", address, gai_strerror(failed));
  return NULL;
}

static guint16 port_of(int fd) {
  struct sockaddr_storage name = {0};
  socklen_t length = sizeof name;
  if (getsockname(fd, (struct sockaddr *)&name, &length) != 0)
    return 0;
  if (name.ss_family == AF_INET6)
    return ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
  return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

/* 0, or the errno of the step that failed. */
static int open_socket(const struct addrinfo *at, int *result) {
  const int on = 1;
  int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return errno;
  /* A restarted daemon need not wait for connections of the previous one. */
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || bind(fd, at->ai_addr, at->ai_addrlen) != 0 ||
    listen(fd, SOMAXCONN) != 0) {
    int number = errno;
    close(fd);
    return number;
  }
  *result = fd;
  return 0;
}

/* libmicrohttpd could do this, but would not report what failed. */
int http_listen(const char *address, guint16 port, guint16 *bound, GError **error) {
  struct addrinfo *at = look_up(address, port, error);
  if (at == NULL)
    return -1;
  int fd = -1;
  int number = open_socket(at, &fd);
  freeaddrinfo(at);
  if (number != 0) {
    gboolean brackets = strchr(address, ':') != NULL;
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot listen on %s%s%s:%u: %s%s", brackets ? "[" : "", address,
      brackets ? "]" : "", port, g_strerror(number), remedy(number));
    return -1;
  }
  *bound = port_of(fd);
  return fd;
}
