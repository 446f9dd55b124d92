/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lock.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "model/vm.h"

#define MOST_TRIES 100

struct DmLock {
  int fd;
  guint source;
  GHashTable *peers; /* descriptor → its source: a client that asks for the owner or watches */
};

struct DmLockWatch {
  int fd;
  guint source;
  void (*func)(gpointer data);
  gpointer data;
};

/* The abstract name: a zero byte, then text. */
static socklen_t address_of(const char *vm_uuid, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  int length = g_snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "dimmer/%s", vm_uuid);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (gsize)length);
}

static gboolean on_peer_gone(int fd, GIOCondition condition, gpointer data) {
  DmLock *lock = data;
  g_hash_table_remove(lock->peers, GINT_TO_POINTER(fd));
  close(fd);
  return G_SOURCE_REMOVE;
}

/*
 * A client connects to learn the owner, and has done so by now. A watch stays connected: the kernel signals the end, by
 * dm_lock_free() or SIGKILL alike.
 */
static gboolean on_connect(int fd, GIOCondition condition, gpointer data) {
  DmLock *lock = data;
  int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
  if (peer >= 0)
    g_hash_table_insert(lock->peers, GINT_TO_POINTER(peer),
      GUINT_TO_POINTER(g_unix_fd_add(peer, G_IO_IN | G_IO_HUP | G_IO_ERR, on_peer_gone, lock)));
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
  /* If no owner is found, it has just released the lock: retry, but not forever. */
  for (guint tries = 0; fd < 0 && failed == EADDRINUSE && owner == 0 && tries < MOST_TRIES; tries++) {
    fd = bind_socket(vm_uuid);
    failed = errno;
    owner = fd < 0 ? dm_lock_owner(vm_uuid) : 0;
  }
  if (fd >= 0) {
    DmLock *lock = g_new0(DmLock, 1);
    lock->fd = fd;
    lock->peers = g_hash_table_new(NULL, NULL);
    lock->source = g_unix_fd_add(fd, G_IO_IN, on_connect, lock);
    return lock;
  }
  if (failed != EADDRINUSE) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot lock %s: %s", vm_name, g_strerror(failed));
    return NULL;
  }
  g_autofree char *who = owner != 0 ? g_strdup_printf("process %d", (int)owner) : g_strdup("another process");
  g_set_error(error, DM_ERROR, DM_ERROR_BUSY, "%s is changing %s at this moment; wait for it, or see how far it is",
    who, vm_name);
  dm_error_add_command(error, "dimmer", "show", "--", dm_vm_handle_of(vm_name, vm_uuid), NULL);
  return NULL;
}

void dm_lock_free(DmLock *lock) {
  if (lock == NULL)
    return;
  g_source_remove(lock->source);
  close(lock->fd);
  GHashTableIter iter;
  gpointer peer, source;
  g_hash_table_iter_init(&iter, lock->peers);
  while (g_hash_table_iter_next(&iter, &peer, &source)) {
    g_source_remove(GPOINTER_TO_UINT(source));
    close(GPOINTER_TO_INT(peer));
  }
  g_hash_table_unref(lock->peers);
  g_free(lock);
}

/* A socket connected to the owner of the lock; -1: none. */
static int connect_socket(const char *vm_uuid) {
  struct sockaddr_un address;
  socklen_t length = address_of(vm_uuid, &address);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, length) == 0)
    return fd;
  close(fd);
  return -1;
}

pid_t dm_lock_owner(const char *vm_uuid) {
  struct ucred peer = {0};
  socklen_t size = sizeof peer;
  int fd = connect_socket(vm_uuid);
  if (fd < 0)
    return 0;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    peer.pid = 0;
  close(fd);
  return peer.pid;
}

static gboolean on_released(int fd, GIOCondition condition, gpointer data) {
  g_autofree DmLockWatch *watch = data;
  close(fd);
  watch->func(watch->data);
  return G_SOURCE_REMOVE;
}

DmLockWatch *dm_lock_watch(const char *vm_uuid, void (*func)(gpointer data), gpointer data) {
  int fd = connect_socket(vm_uuid);
  if (fd < 0)
    return NULL;
  DmLockWatch *watch = g_new(DmLockWatch, 1);
  *watch = (DmLockWatch){.fd = fd, .func = func, .data = data};
  watch->source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_released, watch); /* nothing is ever sent */
  return watch;
}

void dm_lock_unwatch(DmLockWatch *watch) {
  if (watch == NULL)
    return;
  g_source_remove(watch->source);
  close(watch->fd);
  g_free(watch);
}
