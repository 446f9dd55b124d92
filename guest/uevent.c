/* SPDX-License-Identifier: Apache-2.0 */
#include "uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KERNEL_GROUP 1
/* A device of many blocks sends all events at once. If this is too small, some are lost and all blocks are scanned.
 */
#define QUEUE_SIZE (1 << 20)

/* The value if @field is "NAME=VALUE" with this name. */
static const char *value_of(const char *field, const char *name) {
  size_t length = strlen(name);
  return strncmp(field, name, length) == 0 && field[length] == '=' ? field + length + 1 : NULL;
}

bool uevent_block(const char *name, uint32_t *block) {
  uint64_t number;
  if (strncmp(name, "memory", 6) != 0 || !text_number(name + 6, 10, &number) || number > UINT32_MAX)
    return false;
  *block = (uint32_t)number;
  return true;
}

static UeventKind memory_kind(const char *action) {
  if (strcmp(action, "add") == 0)
    return UEVENT_BLOCK_ADDED;
  if (strcmp(action, "remove") == 0)
    return UEVENT_BLOCK_REMOVED;
  if (strcmp(action, "online") == 0)
    return UEVENT_BLOCK_ONLINE;
  return strcmp(action, "offline") == 0 ? UEVENT_BLOCK_OFFLINE : UEVENT_OTHER;
}

Uevent uevent_parse(const char *message, size_t length) {
  Uevent event = {.kind = UEVENT_OTHER};
  const char *action = "", *path = "", *subsystem = "", *value;
  if (length == 0 || message[length - 1] != '\0')
    return event;
  for (const char *field = message; field < message + length; field += strlen(field) + 1) {
    if ((value = value_of(field, "ACTION")) != NULL)
      action = value;
    else if ((value = value_of(field, "DEVPATH")) != NULL)
      path = value;
    else if ((value = value_of(field, "SUBSYSTEM")) != NULL)
      subsystem = value;
  }
  const char *name = strrchr(path, '/');
  if (strcmp(subsystem, "virtio-ports") == 0) {
    event.kind = UEVENT_PORT;
  } else if (strcmp(subsystem, "memory") == 0 && name != NULL && uevent_block(name + 1, &event.block)) {
    event.kind = memory_kind(action);
  }
  return event;
}

int uevent_open(void) {
  int opened = socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
  int size = QUEUE_SIZE;
  if (opened < 0)
    return -1;
  setsockopt(opened, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
  if (bind(opened, (struct sockaddr *)&address, sizeof(address)) < 0) {
    close(opened);
    return -1;
  }
  return opened;
}

int uevent_receive(int socket, char *space, size_t size) {
  struct sockaddr_nl from = {0};
  for (;;) {
    socklen_t length = sizeof(from);
    ssize_t count = recvfrom(socket, space, size, MSG_TRUNC, (struct sockaddr *)&from, &length);
    if (count < 0)
      return errno == EAGAIN || errno == EINTR ? 0 : -1;
    /* Others may send to this socket too; the kernel's port id is 0. */
    if (from.nl_pid == 0 && count > 0 && (size_t)count <= size)
      return (int)count;
  }
}
