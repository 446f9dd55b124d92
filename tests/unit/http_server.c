/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers over real sockets. http_site.c has what the server answers. */
#include "http/server.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_client.h"
#include "http_site.h"

#define HOST "HTTP/1.1\r\nHost: x\r\n"

static void check(Answer *answer, int status, const char *body) {
  g_assert_cmpstr(answer->body->str, ==, body);
  g_assert_cmpint(answer->status, ==, status);
  answer_free(answer);
}

static void check_header(const Answer *answer, const char *name, const char *value) {
  g_autofree char *has = answer_header(answer, name);
  g_assert_cmpstr(has, ==, value);
}

static void keeps_alive(guint16 port) {
  int fd = client_connect(port);
  check(client_get(fd, "/one"), 200, "GET /one 127.0.0.1 plain []");
  check(client_get(fd, "/two"), 200, "GET /two 127.0.0.1 plain []");
  /* Two at once. */
  client_send(fd, "GET /three " HOST "\r\nGET /later " HOST "Content-Length: 0\r\n\r\n");
  check(client_read(fd, "GET"), 200, "GET /three 127.0.0.1 plain []");
  check(client_read(fd, "GET"), 200, "GET /later 127.0.0.1 plain []");
  client_send(fd, "GET /four " HOST "Connection: close\r\n\r\n");
  check(client_read(fd, "GET"), 200, "GET /four 127.0.0.1 plain []");
  g_assert_true(client_at_end(fd));
  close(fd);
}

static void old_version(guint16 port) {
  int fd = client_connect(port);
  client_send(fd, "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  check(client_read(fd, "GET"), 200, "GET /old 127.0.0.1 plain []");
  client_send(fd, "GET /old HTTP/1.0\r\n\r\n");
  check(client_read(fd, "GET"), 200, "GET /old 127.0.0.1 plain []");
  g_assert_true(client_at_end(fd));
  close(fd);
}

static void headers(guint16 port) {
  int fd = client_connect(port);
  client_send(fd, "GET /x " HOST "User-Agent: a b\r\n\r\n");
  Answer *answer = client_read(fd, "GET");
  check_header(answer, "X-Agent", "a b");
  check_header(answer, "X-Break", NULL);
  check_header(answer, "X-Smuggled", NULL);
  check_header(answer, "X-Last", "z");
  check_header(answer, "Strict-Transport-Security", NULL);
  check_header(answer, "Content-Type", "text/plain");
  g_autofree char *date = answer_header(answer, "Date");
  g_assert_nonnull(date);
  answer_free(answer);

  client_send(fd, "DELETE /nothing " HOST "\r\n");
  answer = client_read_head(fd);
  g_assert_cmpint(answer->status, ==, 204);
  check_header(answer, "Content-Type", NULL);
  answer_free(answer);
  check(client_get(fd, "/x"), 200, "GET /x 127.0.0.1 plain []");
  close(fd);
}

static void raw_uri(guint16 port) {
  int fd = client_connect(port);
  const char *uri = "/api//vms/a%2Fb;max=5;x=%C3%A4?search=name%3D*+x&a&b=%zz";
  g_autofree char *expected = g_strdup_printf("GET %s 127.0.0.1 plain []", uri);
  check(client_get(fd, uri), 200, expected);
  close(fd);
}

/* As libgovirt over libsoup does behind a 401: it announces 17 bytes and sends none. */
static void get_without_its_body(guint16 port) {
  static const char *const requests[] = {
    "GET /x " HOST "Content-Length: 17\r\n\r\n",
    "GET /later " HOST "Content-Length: 17\r\n\r\n",
    "GET /x " HOST "Content-Length: 999999\r\n\r\n",
    "GET /x " HOST "Content-Length: 17\r\nExpect: 100-continue\r\n\r\n",
    "GET /x " HOST "Transfer-Encoding: chunked\r\n\r\n",
    "HEAD /x " HOST "Content-Length: 17\r\n\r\n",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
    int fd = client_connect(port);
    client_send(fd, requests[i]);
    g_autoptr(Answer) answer = client_read(fd, requests[i]);
    g_assert_cmpint(answer->status, ==, 200);
    check_header(answer, "Connection", "close");
    if (*requests[i] == 'H')
      g_assert_cmpstr(answer->body->str, ==, "");
    g_assert_true(*requests[i] == 'H' || client_at_end(fd));
    close(fd);
  }
}

static void bodies(guint16 port) {
  int fd = client_connect(port);
  client_send(fd, "PUT /x " HOST "Content-Length: 6\r\n\r\nabc");
  client_send(fd, "def");
  check(client_read(fd, "PUT"), 200, "PUT /x 127.0.0.1 plain [abcdef]");
  client_send(fd, "PUT /later " HOST "Content-Length: 3\r\n\r\nabc");
  check(client_read(fd, "PUT"), 200, "PUT /later 127.0.0.1 plain [abc]");
  client_send(fd, "POST /x " HOST "Content-Length: 0\r\n\r\n");
  check(client_read(fd, "POST"), 200, "POST /x 127.0.0.1 plain []");
  client_send(fd, "POST /x " HOST "\r\n");
  check(client_read(fd, "POST"), 200, "POST /x 127.0.0.1 plain []");
  client_send(fd, "PUT /x " HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  client_send(fd, "4\r\ndefg\r\n0\r\n\r\n");
  check(client_read(fd, "PUT"), 200, "PUT /x 127.0.0.1 plain [abcdefg]");
  g_assert_true(client_at_end(fd));
  close(fd);
  fd = client_connect(port);
  client_send(fd, "PUT /x " HOST "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n");
  Answer *go_on = client_read_head(fd);
  g_assert_cmpint(go_on->status, ==, 100);
  answer_free(go_on);
  client_send(fd, "a");
  check(client_read(fd, "PUT"), 200, "PUT /x 127.0.0.1 plain [a]");
  close(fd);
}

/* A proxy before us may read the other length, and pass on what it takes for another request. */
static void lengths_that_differ(guint16 port) {
  static const char *const framings[] = {
    "Content-Length: 3\r\nContent-Length: 30\r\n",
    "Content-Length: 3\r\nContent-Length: 3\r\n",
    "content-length: 3\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: identity\r\n",
  };
  static const char *const methods[] = {"PUT", "POST", "GET"};
  for (gsize i = 0; i < G_N_ELEMENTS(framings) * G_N_ELEMENTS(methods); i++) {
    const char *method = methods[i % G_N_ELEMENTS(methods)], *framing = framings[i / G_N_ELEMENTS(methods)];
    g_autofree char *text = g_strdup_printf("%s /x " HOST "%s\r\n3\r\nabc\r\n0\r\n\r\n", method, framing);
    int fd = client_connect(port);
    client_send(fd, text);
    g_autoptr(Answer) answer = client_read(fd, method);
    g_assert_cmpint(answer->status, ==, 400);
    g_assert_true(client_at_end(fd));
    close(fd);
  }
  g_assert_cmpuint(site.requests, ==, 0);
}

/* Where a proxy before us finds the end elsewhere, what is behind it may be part of the body of another client. */
static void behind_chunks(guint16 port) {
  static const char *const bodies[] = {
    "1\r\na\r\n0\r\n\r\n",
    "1\na\n0\n\n",
    "1\r\na\n0\r\n\r\n",
    "1\r\na\r\n0\r\n\n",
    "1;b\rc\r\na\r\n0\r\n\r\n",
    "1\r\na\r\n0\r\nb: c\rd\r\n\r\n",
    "1\r\na\r\n0\r\nb: c\n\r\n",
    "1\r\na\r\n0\r\nb: c\r\n d\r\n\r\n",
    "1\r\na\r\n0\r\nContent-Length: 3\r\n\r\n",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(bodies); i++) {
    g_autofree char *text =
      g_strdup_printf("PUT /x " HOST "Transfer-Encoding: chunked\r\n\r\n%sGET /smuggled " HOST "\r\n", bodies[i]);
    int fd = client_connect(port);
    client_send(fd, text);
    Answer *answer = client_read(fd, "PUT");
    check_header(answer, "Connection", "close");
    check(answer, 200, "PUT /x 127.0.0.1 plain [a]");
    g_assert_true(client_at_end(fd));
    close(fd);
  }
  g_assert_cmpuint(site.requests, ==, G_N_ELEMENTS(bodies));
}

/* Exactly what is allowed goes; what announces more is answered at once, whatever the client does then. */
static void large_bodies(guint16 port) {
  g_autofree char *most = g_strnfill(SITE_MAX_BODY, 'b');
  g_autofree char *put = g_strdup_printf("PUT /x " HOST "Content-Length: %d\r\n\r\n%s", SITE_MAX_BODY, most);
  g_autofree char *echo = g_strdup_printf("PUT /x 127.0.0.1 plain [%s]", most);
  int fd = client_connect(port);
  client_send(fd, put);
  check(client_read(fd, "PUT"), 200, echo);

  client_send(fd, "PUT /x " HOST "Content-Length: 1001\r\n\r\n");
  check(client_read(fd, "PUT"), 413, "too large");
  g_assert_true(client_at_end(fd));
  close(fd);

  fd = client_connect(port);
  client_send(fd, "PUT /x " HOST "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
  check(client_read(fd, "PUT"), 413, "too large");
  close(fd);

  /* A client that sends all before it reads. */
  const gsize much = (gsize)20 << 20;
  fd = client_connect(port);
  g_autofree char *head = g_strdup_printf("PUT /x " HOST "Content-Length: %" G_GSIZE_FORMAT "\r\n\r\n", much);
  client_send(fd, head);
  client_send_zeros(fd, much);
  check(client_read(fd, "PUT"), 413, "too large");
  g_assert_true(client_at_end(fd));
  close(fd);
}

static void large_chunks(guint16 port) {
  g_autofree char *chunk = g_strnfill(600, 'c');
  g_autofree char *chunks = g_strdup_printf("258\r\n%s\r\n", chunk);
  int fd = client_connect(port);
  client_send(fd, "PUT /x " HOST "Transfer-Encoding: chunked\r\n\r\n");
  client_send(fd, chunks);
  client_send(fd, chunks);
  client_send(fd, "0\r\n\r\n");
  check(client_read(fd, "PUT"), 413, "too large");
  g_assert_true(client_at_end(fd));
  close(fd);
  fd = client_connect(port);
  client_send(fd, "PUT /x " HOST "Transfer-Encoding: chunked\r\n\r\n");
  /* Four times the maximum is passed within the seventh. */
  for (int i = 0; i < 7; i++)
    client_send(fd, chunks);
  g_assert_true(client_at_end(fd));
  close(fd);
}

static void heads(guint16 port) {
  int fd = client_connect(port);
  client_send(fd, "HEAD /x " HOST "\r\nHEAD /pieces " HOST "\r\n");
  g_autoptr(Answer) answer = client_read(fd, "HEAD");
  check_header(answer, "Content-Length", "26");
  g_autoptr(Answer) pieces = client_read(fd, "HEAD");
  g_autofree char *length = answer_header(pieces, "Content-Length");
  g_assert_cmpint(g_ascii_strtoll(length, NULL, 10), >, 3 * SITE_PIECES);
  check(client_get(fd, "/x"), 200, "GET /x 127.0.0.1 plain []");
  close(fd);
}

static void pieces(guint16 port) {
  g_autoptr(GString) expected = g_string_new(NULL);
  for (guint i = 0; i < SITE_PIECES; i++) {
    if (i % 7 != 3)
      g_string_append_printf(expected, "<%u>", i);
  }
  int fd = client_connect(port);
  for (guint i = 0; i < 2; i++) {
    check(client_get(fd, "/pieces"), 200, expected->str);
    check(client_get(fd, "/few"), 200, "<0><1><2>");
  }
  close(fd);
}

/* A waiting request holds up no other, and is answered in its turn. */
static void waiting(guint16 port) {
  int first = client_connect(port), second = client_connect(port), third = client_connect(port);
  client_send(first, "GET /wait " HOST "\r\n");
  client_send(second, "PUT /wait " HOST "Content-Length: 3\r\n\r\nabc");
  check(client_get(third, "/x"), 200, "GET /x 127.0.0.1 plain []");
  check(client_get(third, "/later"), 200, "GET /later 127.0.0.1 plain []");
  check(client_get(third, "/release"), 200, "3 pending");
  check(client_read(first, "GET"), 201, "released");
  check(client_read(second, "PUT"), 201, "released");
  check(client_get(first, "/release"), 200, "1 pending");
  close(first);
  close(second);
  close(third);
}

/* The request stays valid without its client. */
static void client_goes(guint16 port) {
  int gone = client_connect(port), reset = client_connect(port), fd = client_connect(port);
  const struct linger at_once = {.l_onoff = 1};
  client_send(gone, "GET /wait " HOST "\r\n");
  client_send(reset, "GET /wait " HOST "\r\n");
  check(client_get(fd, "/x"), 200, "GET /x 127.0.0.1 plain []");
  setsockopt(reset, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(gone);
  close(reset);
  check(client_get(fd, "/release"), 200, "3 pending");
  check(client_get(fd, "/x"), 200, "GET /x 127.0.0.1 plain []");
  check(client_get(fd, "/release"), 200, "1 pending");
  close(fd);
}

static void test(gconstpointer client) {
  const DmHttpOptions options = site_options();
  site_run((void (*)(guint16))client, &options);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/http/keeps-alive", keeps_alive, test);
  g_test_add_data_func("/http/old-version", old_version, test);
  g_test_add_data_func("/http/headers", headers, test);
  g_test_add_data_func("/http/raw-uri", raw_uri, test);
  g_test_add_data_func("/http/get-without-its-body", get_without_its_body, test);
  g_test_add_data_func("/http/bodies", bodies, test);
  g_test_add_data_func("/http/lengths-that-differ", lengths_that_differ, test);
  g_test_add_data_func("/http/behind-chunks", behind_chunks, test);
  g_test_add_data_func("/http/large-bodies", large_bodies, test);
  g_test_add_data_func("/http/large-chunks", large_chunks, test);
  g_test_add_data_func("/http/heads", heads, test);
  g_test_add_data_func("/http/pieces", pieces, test);
  g_test_add_data_func("/http/waiting", waiting, test);
  g_test_add_data_func("/http/client-goes", client_goes, test);
  return g_test_run();
}
