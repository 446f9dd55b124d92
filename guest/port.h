/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-serial port. Its quirks (kernel, drivers/char/virtio_console.c): it can be opened only once; while the
 * host is disconnected, it is always readable, writable and hung up, and read() returns 0 at once. So it is polled
 * edge-triggered: the kernel wakes waiters whenever the host connects, disconnects, writes or has read, and never in
 * between.
 */
#pragma once

#include "agent.h"

#define PORT_NAME "org.dimmer.guest.0" /* the usual one */

typedef struct {
  const char *name; /* as in /sys/class/virtio-ports */
  int epoll, file;  /* file is -1 while there is none */
  bool logged;      /* logged that it cannot be opened */
  bool connected;   /* the host was connected at the last check */
  int64_t grace;    /* deadline for a writing host to appear; 0: none */
} Port;

/* Opens the port if it exists and is not open. False if it exists and cannot be opened: retry later. */
bool port_open(Port *port);

/*
 * Reads, serves and writes as far as possible without blocking. True if there is more to do than the limit per call, so
 * that the host cannot starve the rest of the agent. An unplugged port is closed.
 */
bool port_serve(Port *port, Agent *agent);
