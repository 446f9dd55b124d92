/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as gzip. */
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "http_client.h"
#include "http_site.h"

#define HOST "HTTP/1.1\r\nHost: x\r\n"

static void ask(int fd, const char *method, const char *path, const char *accepted) {
  g_autofree char *line = accepted != NULL ? g_strdup_printf("Accept-Encoding: %s\r\n", accepted) : g_strdup("");
  g_autofree char *text = g_strdup_printf("%s %s " HOST "%s\r\n", method, path, line);
  client_send(fd, text);
}

static char *unpack(const GString *packed) {
  g_autoptr(GZlibDecompressor) gunzip = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP);
  g_autoptr(GOutputStream) memory = g_memory_output_stream_new_resizable();
  g_autoptr(GOutputStream) stream = g_converter_output_stream_new(memory, G_CONVERTER(gunzip));
  g_autoptr(GError) error = NULL;
  g_output_stream_write_all(stream, packed->str, packed->len, NULL, NULL, &error);
  g_assert_no_error(error);
  g_output_stream_write(memory, "", 1, NULL, NULL);
  g_output_stream_close(stream, NULL, &error);
  g_assert_no_error(error);
  return g_memory_output_stream_steal_data(G_MEMORY_OUTPUT_STREAM(memory));
}

static void check_header(const Answer *answer, const char *name, const char *value) {
  g_autofree char *has = answer_header(answer, name);
  g_assert_cmpstr(has, ==, value);
}

/* A few pieces, many, one body, one that is generated: packed they are what they are plain, on one connection. */
static void same_text(guint16 port) {
  static const char *const paths[] = {"/pieces", "/made", "/long"};
  int fd = client_connect(port);
  for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
    ask(fd, "GET", paths[i], NULL);
    g_autoptr(Answer) plain = client_read(fd, "GET");
    check_header(plain, "Content-Encoding", NULL);
    check_header(plain, "Vary", "Accept-Encoding");

    ask(fd, "GET", paths[i], "br, gzip");
    g_autoptr(Answer) packed = client_read(fd, "GET");
    check_header(packed, "Content-Encoding", "gzip");
    check_header(packed, "Vary", "Accept-Encoding");
    g_assert_cmpuint(packed->body->len, <, plain->body->len / 2);
    g_autofree char *unpacked = unpack(packed->body);
    g_assert_cmpstr(unpacked, ==, plain->body->str);
  }
  close(fd);
}

static void accepted(guint16 port) {
  static const struct {
    const char *header;
    gboolean packs;
  } cases[] = {
    {"gzip", TRUE},
    {"GZip", TRUE},
    {"x-gzip", TRUE},
    {"deflate, gzip;q=1.0, *;q=0.5", TRUE},
    {"gzip ; q=0.001", TRUE},
    {"*", TRUE},
    {"br;q=1, *;q=0.1", TRUE},
    {"gzip;q=0", FALSE},
    {"gzip; Q=0.000", FALSE},
    {"*, gzip;q=0", FALSE},
    {"gzip;q=0, *", FALSE},
    {"*;q=0", FALSE},
    {"identity", FALSE},
    {"deflate, br", FALSE},
    {"gzipped", FALSE},
    {"", FALSE},
    {",;,", FALSE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    int fd = client_connect(port);
    ask(fd, "HEAD", "/pieces", cases[i].header);
    g_autoptr(Answer) answer = client_read_head(fd);
    g_test_message("%s", cases[i].header);
    check_header(answer, "Content-Encoding", cases[i].packs ? "gzip" : NULL);
    close(fd);
  }
}

static void not_worth_it(guint16 port) {
  static const char *const paths[] = {"/few", "/font", "/x"};
  int fd = client_connect(port);
  for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
    ask(fd, "GET", paths[i], "gzip");
    g_autoptr(Answer) answer = client_read(fd, "GET");
    check_header(answer, "Content-Encoding", NULL);
    check_header(answer, "Vary", NULL);
  }
  ask(fd, "GET", "/coded", "gzip");
  g_autoptr(Answer) answer = client_read(fd, "GET");
  check_header(answer, "Content-Encoding", "x-none");
  close(fd);
}

/* The client must not take what there is for the whole. */
static void broken(guint16 port) {
  int fd = client_connect(port);
  ask(fd, "GET", "/broken", "gzip");
  g_autoptr(Answer) head = client_read_head(fd);
  check_header(head, "Content-Encoding", "gzip");
  g_autoptr(GString) rest = client_read_to_end(fd);
  g_assert_false(g_str_has_suffix(rest->str, "0\r\n\r\n"));
  close(fd);
}

static void client_goes(guint16 port) {
  int gone = client_connect(port), fd = client_connect(port);
  ask(gone, "GET", "/made", "gzip");
  g_autoptr(Answer) head = client_read_head(gone);
  check_header(head, "Content-Encoding", "gzip");
  close(gone);
  answer_free(client_get(fd, "/x"));
  close(fd);
}

/* Whoever sends little has much coded: not all of it before others have their turn. */
static void takes_turns(guint16 port) {
  int fd = client_connect(port);
  ask(fd, "GET", "/huge", "gzip");
  g_autoptr(Answer) answer = client_read(fd, "GET");
  g_autofree char *unpacked = unpack(answer->body);
  g_assert_cmpuint(strlen(unpacked), ==, site.huge);
  g_assert_cmpuint(answer->body->len, <, site.huge / 50);
  g_assert_cmpuint(site.most_at_once, <=, 256 * 1024);
  close(fd);
}

static void test(gconstpointer client) {
  const DmHttpOptions options = site_options();
  site_run((void (*)(guint16))client, &options);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/http/coding/same-text", same_text, test);
  g_test_add_data_func("/http/coding/accepted", accepted, test);
  g_test_add_data_func("/http/coding/not-worth-it", not_worth_it, test);
  g_test_add_data_func("/http/coding/broken", broken, test);
  g_test_add_data_func("/http/coding/takes-turns", takes_turns, test);
  g_test_add_data_func("/http/coding/client-goes", client_goes, test);
  return g_test_run();
}
