/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of dimmer-guest, and its loop. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "config.h"
#include "install.h"
#include "online.h"
#include "port.h"
#include "system.h"
#include "uevent.h"

#define PORT_RETRY 2000

enum {
  EXIT_WELL = 0,
  EXIT_FAILED = 1,
  EXIT_USAGE = 2
};

static const char help[] =
  "Usage:\n"
  "  dimmer-guest [OPTION...]\n"
  "\n"
  "Runs inside a virtual machine: brings hot plugged memory online so that it can go again, and helps dimmer on the\n"
  "host to unplug it.\n"
  "\n"
  "Options:\n"
  "  --port=NAME          the virtio-serial port to serve on (" PORT_NAME
  ")\n"
  "  --no-online          leave new memory alone; only answer the host\n"
  "  --once               bring online what is offline now, and end\n"
  "  --install            set this machine up: program, udev rule, service, kernel's policy\n"
  "  --print              with --install: change nothing, print it as a shell script\n"
  "  --root=DIR           find /sys, /proc, /dev and /etc below DIR, for tests\n"
  "  -h, --help           this help\n"
  "  --version            the version\n"
  "\n"
  "See dimmer-guest(8).\n";

typedef struct {
  const char *port;
  bool no_online, once, install, print;
} Options;

/* Where the agent listens. */
typedef struct {
  int epoll, signals, uevents;
  Port port;
  int64_t retry; /* when to open the port again; 0: on a kernel event */
} Loop;

static void print(const char *words) {
  if (write(STDOUT_FILENO, words, strlen(words)) < 0)
    _exit(EXIT_FAILED);
}

static int watch(int epoll, int file) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = file};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event);
}

static bool loop_open(Loop *loop, const char *port) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP); /* from a closed terminal */
  sigaddset(&signals, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  signal(SIGPIPE, SIG_IGN);
  loop->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  loop->uevents = uevent_open();
  loop->port = (Port){.name = port, .epoll = loop->epoll, .file = -1};
  return loop->signals >= 0 && loop->uevents >= 0 && watch(loop->epoll, loop->signals) == 0 &&
    watch(loop->epoll, loop->uevents) == 0;
}

/* Handles pending kernel events. */
static void take_uevents(Loop *loop, Agent *agent) {
  char message[4096];
  int length;
  while ((length = uevent_receive(loop->uevents, message, sizeof(message))) != 0) {
    if (length < 0 && errno != ENOBUFS)
      return;
    if (length < 0) {
      agent_look_afresh(agent);
      loop->retry = system_now();
      continue;
    }
    if (uevent_parse(message, (size_t)length).kind == UEVENT_PORT)
      loop->retry = system_now();
    agent_uevent(agent, message, (size_t)length);
  }
}

/* False if one requests exit. */
static bool take_signals(const Loop *loop, Agent *agent) {
  struct signalfd_siginfo signal;
  while (read(loop->signals, &signal, sizeof(signal)) == sizeof(signal)) {
    if (signal.ssi_signo != SIGCHLD)
      return false;
    job_child_ended(agent);
  }
  return true;
}

/* The earlier of two times; 0 is none. */
static int64_t sooner(int64_t a, int64_t b) {
  return a == 0 || (b != 0 && b < a) ? b : a;
}

static int timeout_of(const Loop *loop, const Agent *agent) {
  int64_t next = sooner(sooner(holds_deadline(agent), agent->again), sooner(loop->retry, loop->port.grace)),
          now = system_now();
  next = sooner(next, serve_deadline(agent));
  if (next == 0)
    return -1;
  return next > now ? (int)(next - now) : 0;
}

/* Checks everything on every wakeup, so nothing depends on epoll's events. */
static void serve_for_ever(Loop *loop, Agent *agent) {
  struct epoll_event events[4];
  bool more = false;
  loop->retry = system_now();
  for (;;) {
    epoll_wait(loop->epoll, events, 4, more ? 0 : timeout_of(loop, agent));
    take_uevents(loop, agent);
    if (!take_signals(loop, agent))
      return;
    agent_news(agent);
    if (loop->retry > 0 && loop->retry <= system_now())
      loop->retry = port_open(&loop->port) ? 0 : system_now() + PORT_RETRY;
    more = loop->port.file >= 0 && port_serve(&loop->port, agent);
    holds_expire(agent, system_now());
    serve_expire(agent, system_now());
    agent_retry(agent);
  }
}

/* A process that keeps memory offline for a host must not be killed on OOM; the service file says the same. */
#define END_OTHERS_FIRST "-900"

static int run(const Options *options) {
  static Agent agent; /* large, and mostly unused */
  Loop loop;
  agent.onlines = !options->no_online;
  if (!options->once && !loop_open(&loop, options->port)) {
    say("cannot start: ", strerror(errno), NULL);
    return EXIT_FAILED;
  }
  system_write("/proc/self/oom_score_adj", END_OTHERS_FIRST);
  agent_look_afresh(&agent);
  if (agent.blocks.size == 0)
    say("this kernel has no memory hot plug", NULL);
  if (agent.onlines)
    online_set_policy();
  agent_news(&agent);
  if (options->once)
    return agent.blocks.stuck ? EXIT_FAILED : EXIT_WELL;
  serve_for_ever(&loop, &agent);
  serve_end(&agent);
  return EXIT_WELL;
}

/* The exit status, or -1 to continue. */
static int parse(int argc, char **argv, Options *options) {
  static const struct option known[] = {
    {"port", required_argument, NULL, 'p'},
    {"no-online", no_argument, NULL, 'n'},
    {"once", no_argument, NULL, 'o'},
    {"install", no_argument, NULL, 'i'},
    {"print", no_argument, NULL, 'P'},
    {"root", required_argument, NULL, 'r'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {0},
  };
  int option;
  while ((option = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
    switch (option) {
      case 'p':
        options->port = optarg;
        break;
      case 'n':
        options->no_online = true;
        break;
      case 'o':
        options->once = true;
        break;
      case 'i':
        options->install = true;
        break;
      case 'P':
        options->print = true;
        break;
      case 'r':
        if (!system_set_root(optarg)) {
          say("cannot open ", optarg, ": ", strerror(errno), NULL);
          return EXIT_FAILED;
        }
        break;
      case 'h':
        print(help);
        return EXIT_WELL;
      case 'v':
        print("dimmer-guest " DM_VERSION "\n");
        return EXIT_WELL;
      default:
        return EXIT_USAGE;
    }
  }
  return -1;
}

int main(int argc, char **argv) {
  Options options = {.port = PORT_NAME};
  int status = parse(argc, argv, &options);
  if (status >= 0)
    return status;
  if (optind < argc || (options.print && !options.install) ||
    (options.install && (options.once || options.no_online))) {
    say("these options exclude each other: see --help", NULL);
    return EXIT_USAGE;
  }
  if (options.install && !install_can_name(options.port)) {
    say(
      "the port's name cannot be part of a service file's name: use letters, digits, '.', '_' and '-' alone, at most 64",
      NULL);
    return EXIT_USAGE;
  }
  if (!options.print && system_root_is_real() && geteuid() != 0) {
    say("run it as root", NULL);
    return EXIT_FAILED;
  }
  if (options.install)
    return install(options.print, options.port) ? EXIT_WELL : EXIT_FAILED;
  return run(&options);
}
