/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lock.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

#define MOST_TRIES 100

struct DmLock {
  int fd;
  guint source;
};

/* The abstract name: a zero byte, then text. */
static socklen_t address_of(const char *vm_uuid, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  int length = g_snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "dimmer/%s", vm_uuid);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (gsize)length);
}

/* Whoever connects wants to know who has the lock, and knows by now. */
static gboolean on_connect(int fd, GIOCondition condition, gpointer unused) {
  int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
  if (peer >= 0)
    close(peer);
  return G_SOURCE_CONTINUE;
}

/* The bound and listening socket, -1 with errno. */
static int bind_socket(const char *vm_uuid) {
  struct sockaddr_un address;
  socklen_t length = address_of(vm_uuid, &address);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || (bind(fd, (struct sockaddr *)&address, length) == 0 && listen(fd, SOMAXCONN) == 0))
    return fd;
  int failed = errno;
  close(fd);
  errno = failed;
  return -1;
}

DmLock *dm_lock_take(const char *vm_uuid, const char *vm_name, GError **error) {
  pid_t owner = 0;
  int fd = -1, failed = EADDRINUSE;
  /* Without an owner to be found, it has just let go: try again, but not for ever. */
  for (guint tries = 0; fd < 0 && failed == EADDRINUSE && owner == 0 && tries < MOST_TRIES; tries++) {
    fd = bind_socket(vm_uuid);
    failed = errno;
    owner = fd < 0 ? dm_lock_owner(vm_uuid) : 0;
  }
  if (fd >= 0) {
    DmLock *lock = g_new0(DmLock, 1);
    lock->fd = fd;
    lock->source = g_unix_fd_add(fd, G_IO_IN, on_connect, NULL);
    return lock;
  }
  if (failed != EADDRINUSE) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot lock %s: %s", vm_name, g_strerror(failed));
    return NULL;
  }
  g_autofree char *who = owner != 0 ? g_strdup_printf("process %d", (int)owner) : g_strdup("another process");
  g_set_error(error, DM_ERROR, DM_ERROR_BUSY,
    "%s is changing %s at this moment; wait for it, 'dimmer show %s' shows how far it is", who, vm_name, vm_name);
  return NULL;
}

void dm_lock_free(DmLock *lock) {
  if (lock == NULL)
    return;
  g_source_remove(lock->source);
  close(lock->fd);
  g_free(lock);
}

pid_t dm_lock_owner(const char *vm_uuid) {
  struct sockaddr_un address;
  socklen_t length = address_of(vm_uuid, &address);
  struct ucred peer = {0};
  socklen_t size = sizeof peer;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return 0;
  if (connect(fd, (struct sockaddr *)&address, length) != 0 ||
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    peer.pid = 0;
  close(fd);
  return peer.pid;
}
