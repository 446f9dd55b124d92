/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel device events over netlink (lib/kobject_uevent.c). */
#pragma once

#include "text.h"

typedef enum {
  UEVENT_OTHER,
  UEVENT_BLOCK_ADDED,
  UEVENT_BLOCK_REMOVED,
  UEVENT_BLOCK_ONLINE,
  UEVENT_BLOCK_OFFLINE,
  UEVENT_PORT
} UeventKind;

typedef struct {
  UeventKind kind;
  uint32_t block; /* of the first four */
} Uevent;

/* Parses a kernel message: "ACTION@DEVPATH", then "NAME=VALUE" each, all terminated by NUL. */
Uevent uevent_parse(const char *message, size_t length);

/* The number in "memoryNUMBER"; false for any other @name. */
bool uevent_block(const char *name, uint32_t *block);

/* A non-blocking socket, or -1 with errno set. */
int uevent_open(void);

/* Reads one message into @space, terminated by NUL. 0: nothing more for now; -1 with errno: ENOBUFS if some were
 * lost. */
int uevent_receive(int socket, char *space, size_t size);
