/* SPDX-License-Identifier: Apache-2.0 */
/* Streams, many and slow clients, and how a server begins and ends. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "http_client.h"
#include "http_site.h"

#define HOST "HTTP/1.1\r\nHost: x\r\n"
#define IDLE 1000

static void check(int fd, const char *uri, const char *body) {
  g_autoptr(Answer) answer = client_get(fd, uri);
  g_assert_cmpstr(answer->body->str, ==, body);
  g_assert_cmpint(answer->status, ==, 200);
}

static void check_chunk(int fd, const char *text) {
  g_autofree char *chunk = client_read_chunk(fd);
  g_assert_cmpstr(chunk, ==, text);
}

static int open_stream(guint16 port, const char *method) {
  g_autofree char *text = g_strdup_printf("%s /stream " HOST "\r\n", method);
  int fd = client_connect(port);
  client_send(fd, text);
  g_autoptr(Answer) answer = client_read_head(fd);
  g_autofree char *type = answer_header(answer, "Content-Type");
  g_assert_cmpstr(type, ==, "text/event-stream");
  return fd;
}

/* Sends until the server has seen what the client did. */
static void send_until_closed(int fd, const char *uri, guint most) {
  guint sent = 0;
  for (; g_atomic_int_get(&site.closed) == 0 && sent < most; sent++)
    check(fd, uri, "sent");
  g_assert_cmpuint(sent, <, most);
}

static void stream_ends(guint16 port) {
  int fd = client_connect(port), stream = open_stream(port, "GET");
  check(fd, "/release", "2 pending");
  for (guint i = 0; i < 3; i++) {
    check(fd, "/send", "sent");
    check_chunk(stream, "xxxxx");
  }
  check(fd, "/send", "sent");
  check(fd, "/end", "ended");
  check(fd, "/send", "sent");
  check_chunk(stream, "xxxxx");
  check_chunk(stream, "");
  check(fd, "/release", "1 pending");
  /* The connection goes on. */
  check(stream, "/x", "GET /x 127.0.0.1 plain []");
  g_assert_cmpuint(site.closed, ==, 1);
  close(stream);
  close(fd);
}

static void stream_of_head(guint16 port) {
  int stream = open_stream(port, "HEAD");
  g_assert_true(client_at_end(stream));
  g_assert_cmpuint(site.closed, ==, 1);
  close(stream);
}

static void stream_of_old_version(guint16 port) {
  int fd = client_connect(port), stream = client_connect(port);
  client_send(stream, "GET /stream HTTP/1.0\r\n\r\n");
  g_autoptr(Answer) answer = client_read_head(stream);
  g_assert_cmpint(answer->status, ==, 200);
  check(fd, "/send", "sent");
  check(fd, "/send", "sent");
  check(fd, "/end", "ended");
  char text[16] = {0};
  g_assert_cmpint(recv(stream, text, sizeof text, MSG_WAITALL), ==, 10);
  g_assert_cmpstr(text, ==, "xxxxxxxxxx");
  g_assert_true(client_at_end(stream));
  close(stream);
  close(fd);
}

static void stream_client_goes(guint16 port) {
  int fd = client_connect(port), stream = open_stream(port, "GET");
  check(fd, "/send", "sent");
  check_chunk(stream, "xxxxx");
  close(stream);
  send_until_closed(fd, "/send", 1000);
  check(fd, "/release", "1 pending");
  close(fd);
}

/* The client takes nothing: what the kernel does not hold is kept, up to the backlog. */
static void stream_backlog(guint16 port) {
  int fd = client_connect(port), stream = open_stream(port, "GET");
  send_until_closed(fd, "/flood", 10000);
  check(fd, "/release", "1 pending");
  g_assert_cmpuint(site.closed, ==, 1);
  close(stream);
  close(fd);
}

static void stream_too_much(guint16 port) {
  int fd = client_connect(port), stream = open_stream(port, "GET");
  check(fd, "/too-much", "sent");
  g_assert_true(client_at_end(stream));
  send_until_closed(fd, "/send", 1000);
  close(stream);
  close(fd);
}

static void many_idle(guint16 port) {
  static int idle[IDLE];
  for (guint i = 0; i < IDLE; i++) {
    idle[i] = client_connect(port);
    if (i % 2 == 0)
      check(idle[i], "/x", "GET /x 127.0.0.1 plain []");
  }
  int fd = client_connect(port);
  for (guint i = 0; i < 10; i++)
    check(fd, "/later", "GET /later 127.0.0.1 plain []");
  for (guint i = 0; i < IDLE; i++)
    close(idle[i]);
  check(fd, "/x", "GET /x 127.0.0.1 plain []");
  close(fd);
}

static void slow(guint16 port) {
  int slow_one = client_connect(port), fd = client_connect(port);
  client_send(slow_one, "G");
  check(fd, "/x", "GET /x 127.0.0.1 plain []");
  client_send(slow_one, "ET /slow HTTP/1.1\r\nHost: x\r\n");
  check(fd, "/x", "GET /x 127.0.0.1 plain []");
  client_send(slow_one, "\r\n");
  g_autoptr(Answer) answer = client_read(slow_one, "GET");
  g_assert_cmpstr(answer->body->str, ==, "GET /slow 127.0.0.1 plain []");
  close(slow_one);
  close(fd);
}

static void release(int fd, const char *pending, int waiting) {
  check(fd, "/release", pending);
  g_autoptr(Answer) answer = client_read(waiting, "GET");
  g_assert_cmpint(answer->status, ==, 201);
}

/* The handler has it. */
static int open_waiting(guint16 port) {
  int fd = client_connect(port), held = g_atomic_int_get(&site.held);
  client_send(fd, "GET /wait " HOST "\r\n");
  while (g_atomic_int_get(&site.held) == held)
    g_thread_yield();
  return fd;
}

/* Of three places, one is kept by whom we answer, one by who is logged in, and the newcomers have the third. */
static void full(guint16 port) {
  int known = client_connect(port), waits = open_waiting(port), last = client_connect(port);
  check(known, "/login", "logged in");
  check(last, "/x", "GET /x 127.0.0.1 plain []");
  for (guint i = 0; i < 20; i++) {
    int next = client_connect(port);
    client_send(next, i % 2 == 0 ? "GET /x?" : "PUT /x " HOST "Content-Length: 5\r\n\r\na");
    g_assert_true(client_at_end(last));
    close(last);
    last = next;
  }
  check(known, "/x", "GET /x 127.0.0.1 plain []");
  release(known, "2 pending", waits);
  close(known);
  close(waits);
  close(last);
}

/* Who is logged in and idle goes before who is answered is disturbed. */
static void full_of_known(guint16 port) {
  int known = client_connect(port), waits = open_waiting(port);
  check(known, "/login", "logged in");
  int fd = client_connect(port);
  g_assert_true(client_at_end(known));
  release(fd, "2 pending", waits);
  close(known);
  close(waits);
  close(fd);
}

/* Who only listens goes last, and asks again by itself: else nobody could come any more. */
static void full_of_listeners(guint16 port) {
  int waits = open_waiting(port), stream = open_stream(port, "GET"), fd = client_connect(port);
  g_assert_true(client_at_end(stream));
  release(fd, "2 pending", waits);
  g_assert_cmpuint(site.closed, ==, 1);
  close(waits);
  close(stream);
  close(fd);
}

/* Where the client has gone, the place is free, though the server hears of that at the next event only. */
static void full_of_gone(guint16 port) {
  for (guint i = 0; i < 20; i++)
    close(open_stream(port, "GET"));
  int first = client_connect(port), second = client_connect(port);
  check(second, "/x", "GET /x 127.0.0.1 plain []");
  check(first, "/x", "GET /x 127.0.0.1 plain []");
  close(first);
  close(second);
}

static void full_of_busy(guint16 port) {
  int first = open_waiting(port), second = open_waiting(port);
  g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "2 clients are being answered*max-connections*");
  for (guint i = 0; i < 5; i++) {
    int fd = client_connect(port);
    g_assert_true(client_at_end(fd));
    close(fd);
  }
  close(first);
  close(second);
}

/* An address has as many as it may, and its next costs it its own. */
static void full_of_one_address(guint16 port) {
  int other = client_connect(port);
  int first = client_connect_from("127.0.0.2", port), second = client_connect_from("127.0.0.2", port);
  check(first, "/x", "GET /x 127.0.0.2 plain []");
  int third = client_connect_from("127.0.0.2", port);
  g_assert_true(client_at_end(first));
  check(second, "/x", "GET /x 127.0.0.2 plain []");
  check(third, "/x", "GET /x 127.0.0.2 plain []");
  check(other, "/x", "GET /x 127.0.0.1 plain []");
  close(first);
  close(second);
  close(third);
  close(other);
}

/* The address that has the most loses first, though another's connection is older. */
static void most_go_first(guint16 port) {
  int other = client_connect(port), many[3];
  for (guint i = 0; i < 3; i++)
    many[i] = client_connect_from("127.0.0.2", port);
  int fd = client_connect(port);
  g_assert_true(client_at_end(many[0]));
  check(other, "/x", "GET /x 127.0.0.1 plain []");
  check(fd, "/x", "GET /x 127.0.0.1 plain []");
  for (guint i = 0; i < 3; i++)
    close(many[i]);
  close(other);
  close(fd);
}

/* A proxy that is trusted may have all, and names its clients. */
static void proxy(guint16 port) {
  int fds[6];
  for (guint i = 0; i < 6; i++)
    fds[i] = client_connect_from("127.0.0.3", port);
  client_send(fds[0],
    "GET /x " HOST
    "X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-For: 192.0.2.7, 127.0.0.3\r\n"
    "X-Forwarded-Proto: https\r\n\r\n");
  g_autoptr(Answer) answer = client_read(fds[0], "GET");
  g_assert_cmpstr(answer->body->str, ==, "GET /x 192.0.2.7 tls []");
  for (guint i = 1; i < 6; i++)
    check(fds[i], "/x", "GET /x 127.0.0.3 plain []");
  client_send(fds[1], "GET /x " HOST "Forwarded: for=10.0.0.1, for=\"[2001:db8::7]:80\";proto=http\r\n\r\n");
  g_autoptr(Answer) newer = client_read(fds[1], "GET");
  g_assert_cmpstr(newer->body->str, ==, "GET /x 2001:db8::7 plain []");
  int other = client_connect(port);
  client_send(other, "GET /x " HOST "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n");
  g_autoptr(Answer) own = client_read(other, "GET");
  g_assert_cmpstr(own->body->str, ==, "GET /x 127.0.0.1 plain []");
  for (guint i = 0; i < 6; i++)
    close(fds[i]);
  close(other);
}

/* Who is silent is closed after a second; who waits for us is not. */
static void idle_goes(guint16 port) {
  int waits = client_connect(port), idle = client_connect(port);
  client_send(waits, "GET /wait " HOST "\r\n");
  check(idle, "/x", "GET /x 127.0.0.1 plain []");
  gint64 start = g_get_monotonic_time();
  g_assert_true(client_at_end(idle));
  g_assert_cmpint(g_get_monotonic_time() - start, >, G_USEC_PER_SEC / 2);
  int fd = client_connect(port);
  check(fd, "/release", "2 pending");
  g_autoptr(Answer) answer = client_read(waits, "GET");
  g_assert_cmpint(answer->status, ==, 201);
  close(waits);
  close(idle);
  close(fd);
}

#define REQUEST_SECONDS 0.5

static void drip(int fd, const char *text) {
  double seconds = client_drip(fd, text);
  g_assert_cmpfloat(seconds, >=, 0.9 * REQUEST_SECONDS);
  g_assert_cmpfloat(seconds, <, 15);
}

static void slow_first_line(guint16 port) {
  drip(client_connect(port), "G");
}

static void slow_head(guint16 port) {
  int fd = client_connect(port);
  client_send(fd, "GET /x " HOST);
  drip(fd, "A: b\r\n");
}

static void slow_body(guint16 port) {
  int fd = client_connect(port);
  client_send(fd, "PUT /x " HOST "Content-Length: 500\r\n\r\n");
  drip(fd, "b");
}

/* May be as idle as others before it begins, and no longer. */
static void slow_second_request(guint16 port) {
  int fd = client_connect(port);
  check(fd, "/x", "GET /x 127.0.0.1 plain []");
  drip(fd, "G");
}

/* More is to come than the kernel holds, and the client takes a byte now and then. */
static void slow_taker(guint16 port) {
  const int small = 4096;
  char byte;
  int fd = client_connect(port);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  client_send(fd, "GET /much " HOST "\r\n");
  int other = client_connect(port);
  gint64 start = g_get_monotonic_time();
  for (gboolean pending = TRUE; pending;) {
    g_autoptr(Answer) answer = client_get(other, "/release");
    pending = strcmp(answer->body->str, "1 pending") != 0;
    g_assert_cmpint(recv(fd, &byte, 1, 0), ==, 1);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 15 * G_USEC_PER_SEC);
  }
  close(other);
  close(fd);
}

/* Who waits for us, listens to a stream, or asks soon enough, has no deadline. */
static void patient(guint16 port) {
  int waits = client_connect(port), stream = open_stream(port, "GET"), fd = client_connect(port);
  client_send(waits, "GET /wait " HOST "\r\n");
  check(fd, "/x", "GET /x 127.0.0.1 plain []");
  drip(client_connect(port), "G");
  check(fd, "/send", "sent");
  check_chunk(stream, "xxxxx");
  drip(client_connect(port), "G");
  check(fd, "/send", "sent");
  check_chunk(stream, "xxxxx");
  check(fd, "/release", "3 pending");
  g_autoptr(Answer) answer = client_read(waits, "GET");
  g_assert_cmpint(answer->status, ==, 201);
  close(waits);
  close(stream);
  close(fd);
}

static void stops(guint16 port) {
  int fd = client_connect(port), waits = client_connect(port);
  client_send(waits, "GET /wait " HOST "\r\n");
  check(fd, "/x", "GET /x 127.0.0.1 plain []");
  check(fd, "/stop", "stopped");
  g_assert_cmpint(client_try_connect(port), ==, ECONNREFUSED);
  check(fd, "/release", "2 pending");
  g_autoptr(Answer) answer = client_read(waits, "GET");
  g_assert_cmpint(answer->status, ==, 201);
  close(waits);
  close(fd);
}

static void closed_by_server(guint16 port) {
  int fd = client_connect(port);
  client_send(fd, "GET /x " HOST "Connection: close\r\n\r\n");
  g_autoptr(Answer) answer = client_read(fd, "GET");
  g_assert_true(client_at_end(fd));
  g_assert_cmpint(answer->status, ==, 200);
  close(fd);
}

static void test(gconstpointer client) {
  const DmHttpOptions options = site_options();
  site_run((void (*)(guint16))client, &options);
}

static void test_full(gconstpointer client) {
  static const char *const proxies[] = {"127.0.0.3", "10.0.0.0/24", NULL};
  DmHttpOptions options = site_options();
  options.max_connections = client == full ? 3 : client == most_go_first ? 4 : 2;
  if (client == full_of_one_address || client == proxy) {
    options.max_connections = 100;
    options.max_per_address = 2;
    options.trusted_proxies = client == proxy ? proxies : NULL;
  }
  site_run((void (*)(guint16))client, &options);
  g_test_assert_expected_messages();
}

static void test_idle_goes(void) {
  DmHttpOptions options = site_options();
  options.idle_seconds = 1;
  site_run(idle_goes, &options);
}

static void test_slow(gconstpointer client) {
  DmHttpOptions options = site_options();
  options.request_seconds = REQUEST_SECONDS;
  options.idle_seconds = client == slow_second_request ? 1 : 60;
  options.max_connections = client == patient ? 10 : 2;
  site_run((void (*)(guint16))client, &options);
}

/* Everything is open when the server goes. */
static void test_freed_with_open_requests(void) {
  const DmHttpOptions options = site_options();
  site_open(&options);
  guint16 port = dm_http_server_port(site.server);
  static const char *const requests[] = {
    "GET /wait " HOST "\r\n",
    "GET /wait " HOST "Content-Length: 17\r\n\r\n",
    "GET /stream " HOST "\r\n",
    "GET /pieces " HOST "\r\n",
    "PUT /x " HOST "Content-Length: 20\r\n\r\nabc",
    "GET /inco",
    "",
  };
  int fds[G_N_ELEMENTS(requests)];
  for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
    fds[i] = client_connect(port);
    client_send(fds[i], requests[i]);
  }
  while (site.requests < 4)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpuint(site.waiting->len, ==, 2);
  g_assert_cmpuint(dm_http_server_pending(site.server), >=, 3);
  site_close();
  g_assert_cmpuint(site.closed, ==, 1);
  for (gsize i = 0; i < G_N_ELEMENTS(requests); i++)
    close(fds[i]);
  g_assert_cmpint(client_try_connect(port), ==, ECONNREFUSED);
  dm_http_server_free(NULL);
}

static void ignore(DmHttpRequest *request, gpointer data) {
}

static void check_error(const DmHttpOptions *options, const char *words, const char *more) {
  g_autoptr(GError) error = NULL;
  g_assert_null(dm_http_server_new(options, ignore, NULL, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
  g_assert_nonnull(strstr(error->message, words));
  g_assert_nonnull(strstr(error->message, more));
}

static void test_address(void) {
  DmHttpOptions options = site_options();
  site_open(&options);
  options.port = dm_http_server_port(site.server);
  g_autofree char *where = g_strdup_printf("127.0.0.1:%u: Address already in use", options.port);
  check_error(&options, where, "choose another port");
  /* The port of a server that has ended can be had at once, though the kernel still knows its connections. */
  client_run(closed_by_server, options.port);
  site_close();
  site_open(&options);
  g_assert_cmpuint(dm_http_server_port(site.server), ==, options.port);
  site_close();
  options.address = "localhost";
  check_error(&options, "'localhost'", "numeric");
  options.address = "192.0.2.1";
  check_error(&options, "192.0.2.1:", "choose an address of this host");
}

/* A socket for both versions tells of IPv4 clients by their IPv4 address. */
static void test_both_versions(void) {
  DmHttpOptions options = site_options();
  options.address = "::";
  int fd = socket(AF_INET6, SOCK_STREAM, 0);
  if (fd < 0) {
    g_test_skip("this host has no IPv6");
    return;
  }
  close(fd);
  site_run(slow, &options);
}

static void raise_limit(void) {
  struct rlimit files;
  g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &files), ==, 0);
  files.rlim_cur = files.rlim_max;
  g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &files), ==, 0);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  raise_limit();
  g_test_add_data_func("/http/stream/ends", stream_ends, test);
  g_test_add_data_func("/http/stream/of-head", stream_of_head, test);
  g_test_add_data_func("/http/stream/of-old-version", stream_of_old_version, test);
  g_test_add_data_func("/http/stream/client-goes", stream_client_goes, test);
  g_test_add_data_func("/http/stream/backlog", stream_backlog, test);
  g_test_add_data_func("/http/stream/too-much", stream_too_much, test);
  g_test_add_data_func("/http/many-idle", many_idle, test);
  g_test_add_data_func("/http/slow/answered", slow, test);
  g_test_add_data_func("/http/full", full, test_full);
  g_test_add_data_func("/http/full/of-known", full_of_known, test_full);
  g_test_add_data_func("/http/full/of-listeners", full_of_listeners, test_full);
  g_test_add_data_func("/http/full/of-gone", full_of_gone, test_full);
  g_test_add_data_func("/http/full/of-busy", full_of_busy, test_full);
  g_test_add_data_func("/http/full/of-one-address", full_of_one_address, test_full);
  g_test_add_data_func("/http/full/most-go-first", most_go_first, test_full);
  g_test_add_data_func("/http/full/proxy", proxy, test_full);
  g_test_add_func("/http/idle-goes", test_idle_goes);
  g_test_add_data_func("/http/slow/first-line", slow_first_line, test_slow);
  g_test_add_data_func("/http/slow/head", slow_head, test_slow);
  g_test_add_data_func("/http/slow/body", slow_body, test_slow);
  g_test_add_data_func("/http/slow/second-request", slow_second_request, test_slow);
  g_test_add_data_func("/http/slow/taker", slow_taker, test_slow);
  g_test_add_data_func("/http/slow/patient", patient, test_slow);
  g_test_add_data_func("/http/stops", stops, test);
  g_test_add_func("/http/freed-with-open-requests", test_freed_with_open_requests);
  g_test_add_func("/http/address", test_address);
  g_test_add_func("/http/both-versions", test_both_versions);
  return g_test_run();
}
