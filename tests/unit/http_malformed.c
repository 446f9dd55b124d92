/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are none, or that two readers could read in two ways: each is answered or closed at once, and nothing
 * of it stays. */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_client.h"
#include "http_site.h"

#define GET "GET /x HTTP/1.1\r\n"
#define PUT "PUT /x HTTP/1.1\r\n"
#define HOST "Host: x\r\n"
#define CLOSE "Connection: close\r\n"
#define BYTES(text) text, sizeof(text) - 1

typedef struct {
  const char *name, *start;
  gsize size;
  const char *again; /* comes @times behind the start; NULL: nothing does */
  guint times;
  const char *end;
  int status; /* 0: any, or closed without an answer */
} Malformed;

static const Malformed kinds[] = {
  /* What libmicrohttpd reads in its own way, and another one might not. */
  {"blank before the colon", BYTES(PUT HOST "Content-Length : 9\r\n\r\n123456789"), .status = 400},
  {"tab before the colon", BYTES(PUT HOST "Content-Length\t: 9\r\n\r\n123456789"), .status = 400},
  {"blank before the colon of an encoding", BYTES(PUT HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    .status = 400},
  {"zero byte in a length", BYTES(PUT HOST "Content-Length: 9\0 1\r\n\r\n123456789"), .status = 400},
  {"zero byte behind a length", BYTES(PUT HOST "Content-Length: 9\0\r\n\r\n123456789"), .status = 400},
  {"zero byte in the last line", BYTES(GET HOST "A: b\0c\r\n\r\n"), .status = 400},
  {"zero byte in the target", BYTES("GET /x\0/y HTTP/1.1\r\n" HOST "\r\n"), .status = 400},
  {"zero byte in the version", BYTES("GET /x HTTP/1.1\0 \r\n" HOST "\r\n")},
  {"folded line", BYTES(GET HOST "A: b\r\n c\r\n\r\n"), .status = 400},
  {"folded encoding beside a length",
    BYTES(PUT HOST "Content-Length: 9\r\nTransfer-Encoding:\r\n chunked\r\n\r\n123456789"), .status = 400},
  {"folded length", BYTES(PUT HOST "Content-Length:\r\n 9\r\n\r\n123456789"), .status = 400},
  {"folded twice", BYTES(GET HOST "A:\r\n b\r\n\tc\r\nD: e\r\n\r\n"), .status = 400},
  {"folded first line", BYTES(GET " A: b\r\n" HOST "\r\n"), .status = 400},
  {"bare CR in a value", BYTES(PUT HOST "A: b\rContent-Length: 9\r\n\r\n123456789"), .status = 400},
  {"bare CR in the target", BYTES("GET /x\rA: HTTP/1.1\r\n" HOST "\r\n"), .status = 400},
  {"bare LF behind a line", BYTES(PUT HOST "A: b\nContent-Length: 9\r\n\r\n123456789"), .status = 400},
  {"two blanks before the target", BYTES("GET  /x HTTP/1.1\r\n" HOST "\r\n"), .status = 400},
  {"bare LF behind the first line", BYTES("GET /x HTTP/1.1\n" HOST "\r\n"), .status = 400},
  {"control character", BYTES(GET HOST "A: \1\r\n\r\n"), .status = 400},
  {"two hosts", BYTES(GET HOST "hOST: y\r\n\r\n"), .status = 400},
  {"the same host twice", BYTES(GET HOST HOST "\r\n"), .status = 400},
  {"no host", BYTES(GET "\r\n"), .status = 400},
  {"chunks in HTTP/1.0", BYTES("PUT /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), .status = 400},
  {"name that is none", BYTES(GET HOST "A(b): c\r\n\r\n"), .status = 400},
  {"no name", BYTES(GET HOST ": c\r\n\r\n"), .status = 400},
  {"no colon", BYTES(GET HOST "c\r\n\r\n"), .status = 400},
  {"signed length", BYTES(PUT HOST "Content-Length: +9\r\n\r\n123456789"), .status = 400},
  {"negative length", BYTES(PUT HOST "Content-Length: -9\r\n\r\n"), .status = 400},
  {"list of lengths", BYTES(PUT HOST "Content-Length: 9, 9\r\n\r\n123456789"), .status = 400},
  {"length that overflows", BYTES(PUT HOST "Content-Length: 99999999999999999999\r\n\r\n"), .status = 413},
  {"length in hexadecimal", BYTES(PUT HOST "Content-Length: 0x9\r\n\r\n123456789"), .status = 400},
  {"chunk of no size", BYTES(PUT HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n"), .status = 400},
  {"chunk that overflows", BYTES(PUT HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"), .status = 413},
  {"chunk without its end", BYTES(PUT HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"), .status = 400},
  {"zero byte in a chunk's size", BYTES(PUT HOST "Transfer-Encoding: chunked\r\n\r\n1\0\r\na\r\n0\r\n\r\n"),
    .status = 400},
  {"trailer without a colon", BYTES(PUT HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nabc\r\n\r\n"), .status = 400},
  /* What does not fit. */
  {"2000 parameters", BYTES("GET /x?"), "a&", 2000, " HTTP/1.1\r\n" HOST "\r\n", 200},
  {"15000 empty parameters", BYTES("GET /x?"), "&", 15000, " HTTP/1.1\r\n" HOST "\r\n"},
  {"15000 parameters", BYTES("GET /x?"), "a&", 15000, " HTTP/1.1\r\n" HOST "\r\n"},
  {"2000 values", BYTES("GET /x?"), "a=b&", 2000, " HTTP/1.1\r\n" HOST "\r\n", 200},
  {"2000 parameters, and no more", BYTES("GET /x?"), "a&", 2000, " HTTP/1.1\r\nHost: x"},
  {"600 lines", BYTES(GET HOST CLOSE), "a: b\r\n", 600, "\r\n"},
  {"3000 empty lines", BYTES(GET HOST CLOSE), "a:\r\n", 3000, "\r\n"},
  {"4000 cookies", BYTES(GET HOST CLOSE "Cookie: "), "a;", 4000, "\r\n\r\n"},
  {"4000 cookies, no host", BYTES(GET CLOSE "Cookie: "), "a;", 4000, "\r\n\r\n"},
  {"4000 cookies before a body", BYTES(PUT HOST "Content-Length: 9\r\nCookie: "), "a;", 4000, "\r\n\r\n123456789"},
  {"long target", BYTES("GET /"), "abcdefgh", 10000, " HTTP/1.1\r\n" HOST "\r\n"},
  {"long value", BYTES(GET HOST "A: "), "abcdefgh", 10000, "\r\n\r\n"},
  {"long name", BYTES(GET HOST), "abcdefgh", 10000, ": a\r\n\r\n"},
  {"long folded value", BYTES(GET HOST "A: b"), "\r\n abcdefgh", 3000, "\r\n\r\n"},
  {"long method", BYTES(""), "abcdefgh", 10000, " /x HTTP/1.1\r\n" HOST "\r\n"},
  {"long trailer", BYTES(PUT HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nA: "), "abcdefgh", 10000, "\r\n\r\n"},
  {"600 trailers", BYTES(PUT HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n"), "a: b\r\n", 600, "\r\n"},
  {"long chunk extension", BYTES(PUT HOST "Transfer-Encoding: chunked\r\n\r\n1;"), "abcdefgh", 10000, "\r\na\r\n"},
  /* What is not HTTP. */
  {"no version", BYTES("GET /x\r\n\r\n")},
  {"another version", BYTES("GET /x HTTP/2.0\r\n" HOST "\r\n")},
  {"preface of HTTP/2", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
  {"one word", BYTES("GET\r\n\r\n")},
  {"blank in the target", BYTES("GET /x y HTTP/1.1\r\n" HOST "\r\n")},
  {"zero bytes", BYTES("\0\0\0\0\r\n\r\n")},
  {"TLS", BYTES("\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n")},
  /* What stops in the middle. */
  {"nothing", BYTES("")},
  {"half a first line", BYTES("GET /x?a")},
  {"half a head", BYTES(GET "Ho")},
  {"half a body", BYTES(PUT HOST "Content-Length: 9\r\n\r\n123")},
  {"half a chunk", BYTES(PUT HOST "Transfer-Encoding: chunked\r\n\r\n9\r\n123")},
  {"another one behind it", BYTES(GET HOST "\r\nGET /x?a")},
};

static char *whole(const Malformed *kind, gsize *size) {
  GString *text = g_string_new_len(kind->start, (gssize)kind->size);
  for (guint i = 0; i < kind->times; i++)
    g_string_append(text, kind->again);
  g_string_append(text, kind->end != NULL ? kind->end : "");
  *size = text->len;
  return g_string_free(text, FALSE);
}

/* All that comes until the server closes; it has to, within the client's deadline. */
static char *read_to_end(int fd, const char *name) {
  GString *answer = g_string_new(NULL);
  char part[4096];
  for (;;) {
    ssize_t got = recv(fd, part, sizeof part, 0);
    if (got == 0 || (got < 0 && errno == ECONNRESET))
      return g_string_free(answer, FALSE);
    if (got < 0)
      g_error("%s: neither answered nor closed", name);
    g_string_append_len(answer, part, got);
  }
}

/* The server may close before it has all. */
static int send_one(guint16 port, const Malformed *kind) {
  gsize size = 0, sent = 0;
  g_autofree char *text = whole(kind, &size);
  int fd = client_connect(port);
  while (sent < size) {
    ssize_t part = send(fd, text + sent, size - sent, MSG_NOSIGNAL);
    if (part <= 0)
      break;
    sent += (gsize)part;
  }
  return fd;
}

/* Versions of libmicrohttpd differ in the status of what they refuse themselves, and in what they just close. */
static void check(guint16 port, const Malformed *kind) {
  int fd = send_one(port, kind);
  g_autofree char *answer = read_to_end(fd, kind->name);
  gboolean refused = *answer == '\0' || g_str_has_prefix(answer, "HTTP/1.1 4");
  if (kind->status >= 400 ? !refused : kind->status == 200 && !g_str_has_prefix(answer, "HTTP/1.1 200 "))
    g_error("%s: %s instead of %d", kind->name, answer, kind->status);
  close(fd);
}

static gboolean ends_by_itself(const Malformed *kind) {
  return kind->status >= 400;
}

static void each_is_refused(guint16 port) {
  for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
    if (ends_by_itself(&kinds[i]))
      check(port, &kinds[i]);
  }
  g_assert_cmpuint(site.requests, ==, 0);
}

/* Too much, and we wait for what comes of it. */
static void much_is_answered(guint16 port) {
  static const char *const names[] = {"2000 parameters", "15000 empty parameters", "15000 parameters", "600 lines",
    "3000 empty lines", "4000 cookies", "4000 cookies, no host", "long target", "long value", "long name",
    "long method"};
  for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
    if (!g_strv_contains(names, kinds[i].name))
      continue;
    Malformed kind = kinds[i];
    g_autofree char *end = g_strdup(kind.end);
    g_autoptr(GString) closing = g_string_new(end);
    g_string_replace(closing, HOST, HOST CLOSE, 0);
    kind.end = closing->str;
    check(port, &kind);
  }
}

#define AT_ONCE 4

/* Every other client hangs up behind its request, the others wait to be closed. */
static void all_kinds(guint16 port) {
  int fds[G_N_ELEMENTS(kinds) * AT_ONCE];
  for (gsize i = 0; i < G_N_ELEMENTS(fds); i++) {
    fds[i] = send_one(port, &kinds[i / AT_ONCE]);
    if (i % 2 == 1)
      shutdown(fds[i], SHUT_WR);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(fds); i++) {
    g_free(read_to_end(fds[i], kinds[i / AT_ONCE].name));
    close(fds[i]);
  }
}

/* Of blocks that malloc() gave; in a sanitized build it is LeakSanitizer that counts. */
static gsize allocated(void) {
  struct mallinfo2 now = mallinfo2();
  return now.uordblks + now.hblkhd;
}

static void nothing_stays(guint16 port) {
  all_kinds(port);
  gsize before = allocated();
  for (guint i = 0; i < 3; i++)
    all_kinds(port);
  gsize after = allocated();
  g_test_message("%" G_GSIZE_FORMAT " bytes before, %" G_GSIZE_FORMAT " after", before, after);
  g_assert_cmpuint(after, <, before + (gsize)32 * 1024);
}

static void test(gconstpointer client) {
  const DmHttpOptions options = site_options();
  site_run((void (*)(guint16))client, &options);
}

static void test_nothing_stays(void) {
  DmHttpOptions options = site_options();
  options.idle_seconds = 1; /* libmicrohttpd ends those that we would leave some more time */
  options.request_seconds = 1.5;
  site_run(nothing_stays, &options);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/http/malformed/refused", each_is_refused, test);
  g_test_add_data_func("/http/malformed/much", much_is_answered, test);
  g_test_add_func("/http/malformed/nothing-stays", test_nothing_stays);
  return g_test_run();
}
