/* SPDX-License-Identifier: Apache-2.0 */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "system.h"

#define PORTS "/sys/class/virtio-ports"
#define LINES_AT_A_TIME 64
#define GRACE 1000

static bool has_name(const char *device, const char *wanted) {
  char path[320], name[128];
  Text text = TEXT_IN(path);
  text_add(&text, PORTS "/");
  text_add(&text, device);
  text_add(&text, "/name");
  return system_read(path, name, sizeof(name)) && strcmp(name, wanted) == 0;
}

/* The port's path below /dev; false if none has that name. */
static bool find(const char *name, Text *path) {
  const struct dirent *entry;
  DIR *open = system_list(system_open(PORTS, O_RDONLY | O_DIRECTORY));
  if (open == NULL)
    return false;
  bool found = false;
  while (!found && (entry = readdir(open)) != NULL) {
    found = entry->d_name[0] != '.' && has_name(entry->d_name, name);
    if (found) {
      text_add(path, "/dev/");
      text_add(path, entry->d_name);
    }
  }
  closedir(open);
  return found;
}

bool port_open(Port *port) {
  char space[280];
  Text path = TEXT_IN(space);
  if (port->file >= 0 || !find(port->name, &path))
    return true;
  port->file = system_open(space, O_RDWR | O_NONBLOCK);
  if (port->file < 0) {
    if (!port->logged)
      say("cannot open ", space, " (", port->name, "): ", strerror(errno), "; trying again", NULL);
    port->logged = true;
    return false;
  }
  port->logged = false;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = port->file};
  epoll_ctl(port->epoll, EPOLL_CTL_ADD, port->file, &event);
  say("serving on ", space, " (", port->name, ")", NULL);
  return true;
}

static void close_port(Port *port) {
  close(port->file);
  port->file = -1;
  say("the port is gone", NULL);
}

/* Sends as much as the host accepts now. */
static void write_out(const Port *port, WireOut *out) {
  while (out->used > 0) {
    ssize_t count = write(port->file, out->data, out->used);
    if (count <= 0)
      return;
    wire_sent(out, (size_t)count);
  }
}

/* False if there is nothing to read for now. */
static bool read_in(const Port *port, WireIn *in) {
  size_t room;
  char *to = wire_in_room(in, &room);
  ssize_t count = read(port->file, to, room);
  if (count <= 0)
    return false;
  wire_in_filled(in, (size_t)count);
  return true;
}

static bool host_is_away(const Port *port) {
  struct pollfd file = {.fd = port->file};
  return poll(&file, 1, 0) == 1 && (file.revents & POLLHUP) != 0;
}

/*
 * Whether the host has disconnected. Its data can arrive before the kernel notices its connect (by another queue and a
 * work item), so a conversation may begin while it still seems disconnected. It then has GRACE to appear; else it wrote
 * and disconnected.
 */
static bool host_has_gone(Port *port, const Agent *agent) {
  bool was_there = port->connected, away = host_is_away(port);
  port->connected = !away;
  if (!away || !agent->greeted)
    port->grace = 0;
  else if (port->grace == 0 && !was_there)
    port->grace = system_now() + GRACE;
  return away && (was_there || (port->grace > 0 && port->grace <= system_now()));
}

static bool is_unplugged(const Port *port) {
  char nothing;
  return read(port->file, &nothing, 0) < 0 && errno == ENODEV;
}

bool port_serve(Port *port, Agent *agent) {
  char *line;
  size_t length;
  if (host_has_gone(port, agent)) {
    port->grace = 0;
    serve_end(agent);
  }
  if (!port->connected && is_unplugged(port)) {
    close_port(port);
    return false;
  }
  for (int lines = 0; lines < LINES_AT_A_TIME; lines++) {
    write_out(port, &agent->out);
    if (agent->out.used > WIRE_CALM)
      return false; /* the host must read first, which wakes us */
    LineKind kind = wire_in_line(&agent->in, &line, &length);
    if (kind == LINE_WHOLE)
      serve_line(agent, line, length);
    else if (kind == LINE_TOO_LONG)
      serve_too_long(agent);
    else if (!read_in(port, &agent->in))
      return false;
  }
  return true;
}
