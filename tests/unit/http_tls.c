/* SPDX-License-Identifier: Apache-2.0 */
/* TLS, with certificates made here and openssl's client. */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "http_client.h"
#include "http_site.h"

typedef struct {
  char *certificate;
  char *key;
} Pair;

static Pair first, second;
static char *folder;

static Pair make_pair(const char *name) {
  g_autofree char *key = g_build_filename(folder, "key.pem", NULL);
  g_autofree char *certificate = g_build_filename(folder, "certificate.pem", NULL);
  g_autofree char *subject = g_strdup_printf("/CN=%s", name);
  g_autoptr(GError) error = NULL;
  g_autoptr(GSubprocess) process = g_subprocess_new(G_SUBPROCESS_FLAGS_STDERR_SILENCE, &error, "openssl", "req",
    "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "1", "-subj", subject,
    "-keyout", key, "-out", certificate, NULL);
  g_assert_no_error(error);
  g_subprocess_wait_check(process, NULL, &error);
  g_assert_no_error(error);
  Pair pair = {0};
  g_assert_true(g_file_get_contents(certificate, &pair.certificate, NULL, NULL));
  g_assert_true(g_file_get_contents(key, &pair.key, NULL, NULL));
  g_remove(certificate);
  g_remove(key);
  return pair;
}

static void open_site(void) {
  DmHttpOptions options = site_options();
  options.request_seconds = 5;
  options.certificate = first.certificate;
  options.key = first.key;
  site_open(&options);
}

static void on_result(GObject *process, GAsyncResult *result, gpointer to) {
  *(GAsyncResult **)to = g_object_ref(result);
}

/*
 * What openssl's client says and hears. @text has to go into one write: the client may be gone before a second one, and
 * SIGPIPE is not ignored, so that a server that raises it is found.
 */
static char *talk(const char *version, const char *text) {
  g_autofree char *where = g_strdup_printf("127.0.0.1:%u", dm_http_server_port(site.server));
  g_autoptr(GError) error = NULL;
  g_autoptr(GSubprocess) process =
    g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE,
      &error, "openssl", "s_client", "-connect", where, version, "-ign_eof", "-cipher", "DEFAULT:@SECLEVEL=0", NULL);
  g_assert_no_error(error);
  g_autoptr(GAsyncResult) result = NULL;
  g_subprocess_communicate_utf8_async(process, text, NULL, on_result, &result);
  while (result == NULL)
    g_main_context_iteration(NULL, TRUE);
  char *said = NULL;
  g_subprocess_communicate_utf8_finish(process, result, &said, NULL, &error);
  g_assert_no_error(error);
  return said;
}

static void check_served(const char *version, const char *shown) {
  open_site();
  g_autofree char *said = talk(version,
    "PUT /later HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    "GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n"
    "GET /few HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  g_assert_nonnull(strstr(said, shown));
  g_assert_nonnull(strstr(said, "PUT /later 127.0.0.1 tls [abc]"));
  g_assert_nonnull(strstr(said, "\r\nStrict-Transport-Security: max-age=31536000\r\n"));
  g_assert_nonnull(strstr(said, "<0><1><2><4>"));
  g_assert_nonnull(strstr(said, "<19998><19999>"));
  g_assert_nonnull(strstr(said, "\r\n<0><1><2>"));
  site_close();
}

static void test_served(void) {
  check_served("-tls1_3", "New, TLSv1.3");
  check_served("-tls1_2", "New, TLSv1.2");
}

/* The body that is not waited for, and one that is too large: the answer arrives and then the end. */
static void test_body_refused(void) {
  open_site();
  g_autofree char *said = talk("-tls1_3", "GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n");
  g_assert_nonnull(strstr(said, "GET /x 127.0.0.1 tls []"));
  g_autofree char *zeros = g_strnfill(2000, '0');
  g_autofree char *put = g_strdup_printf("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n%s", zeros);
  g_autofree char *refused = talk("-tls1_3", put);
  g_assert_nonnull(strstr(refused, "too large"));
  site_close();
}

static void test_old_version(void) {
  open_site();
  g_autofree char *said = talk("-tls1_1", "");
  g_assert_nonnull(strstr(said, "CONNECTED"));
  g_assert_nonnull(strstr(said, "no peer certificate available"));
  g_assert_cmpuint(site.requests, ==, 0);
  site_close();
}

/* A record of 16 KiB, byte by byte: the handshake has to end in time as well. */
static void slow_handshake(guint16 port) {
  double seconds = client_drip(client_connect(port), "\x16\x03\x01\x3f\xff");
  g_assert_cmpfloat(seconds, >=, 4.5);
  g_assert_cmpfloat(seconds, <, 15);
}

static void test_slow_handshake(void) {
  open_site();
  client_run(slow_handshake, dm_http_server_port(site.server));
  site_close();
}

static void ignore(DmHttpRequest *request, gpointer data) {
}

static void check_error(const char *certificate, const char *key, const char *words) {
  g_autoptr(GError) error = NULL;
  DmHttpOptions options = site_options();
  options.certificate = certificate;
  options.key = key;
  g_assert_null(dm_http_server_new(&options, ignore, NULL, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
  g_assert_nonnull(strstr(error->message, words));
  g_assert_nonnull(strstr(error->message, "give "));
}

static void test_errors(void) {
  check_error(first.certificate, second.key, "do not match");
  check_error(first.certificate, NULL, "no key");
  check_error(NULL, first.key, "no certificate");
  check_error("not PEM", first.key, "TLS");
  check_error(first.certificate, "not PEM", "TLS");
}

static void free_pair(Pair pair) {
  g_free(pair.certificate);
  g_free(pair.key);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_autofree char *openssl = g_find_program_in_path("openssl");
  g_assert_nonnull(openssl);
  folder = g_dir_make_tmp("dimmer-tls-XXXXXX", NULL);
  first = make_pair("first");
  second = make_pair("second");
  g_test_add_func("/http/tls/served", test_served);
  g_test_add_func("/http/tls/body-refused", test_body_refused);
  g_test_add_func("/http/tls/old-version", test_old_version);
  g_test_add_func("/http/tls/slow-handshake", test_slow_handshake);
  g_test_add_func("/http/tls/errors", test_errors);
  int failed = g_test_run();
  free_pair(first);
  free_pair(second);
  g_rmdir(folder);
  g_free(folder);
  return failed;
}
