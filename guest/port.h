/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-serial port. Its corners (kernel, drivers/char/virtio_console.c): it can be opened once only; while the
 * host is away, it is readable, writable and hung up all the time, and read() returns 0 at once. So it is watched for
 * edges: the kernel wakes who waits whenever the host comes, goes, writes or has read, and never in between.
 */
#pragma once

#include "agent.h"

#define PORT_NAME "org.dimmer.guest.0" /* the usual one */

typedef struct {
  const char *name; /* as in /sys/class/virtio-ports */
  int epoll, file;  /* file is -1 while there is none */
  bool told;        /* the log has that it cannot be opened */
  bool connected;   /* the host, when we last looked */
  int64_t grace;    /* when a host that writes has to have appeared; 0: there is none such */
} Port;

/* Opens the port if it is there and has not been. False if it is there and cannot be opened: try again later. */
bool port_open(Port *port);

/*
 * Reads, serves and writes as far as goes without waiting. True if there was more to do than is done at a time, so that
 * the host cannot keep the agent from everything else. A port that was unplugged is closed.
 */
bool port_serve(Port *port, Agent *agent);
