/* SPDX-License-Identifier: Apache-2.0 */
#include "http_site.h"

#include "http_client.h"

#include <string.h>
#include <unistd.h>

#define TEXT "text/plain"

Site site;

static void reply_text(DmHttpRequest *request, guint status, const char *text) {
  g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
  dm_http_reply(request, status, TEXT, body);
}

static void reply_echo(DmHttpRequest *request) {
  gsize size;
  const char *body = g_bytes_get_data(dm_http_request_body(request), &size);
  g_autofree char *text = g_strdup_printf("%s %s %s %s [%.*s]", dm_http_request_method(request),
    dm_http_request_uri(request), dm_http_request_peer(request), dm_http_request_is_tls(request) ? "tls" : "plain",
    (int)size, size > 0 ? body : "");
  g_assert_cmpint(dm_http_request_started(request), <=, g_get_monotonic_time());
  dm_http_reply_header(request, "X-Agent", dm_http_request_header(request, "user-AGENT") ?: "none");
  dm_http_reply_header(request, "X-Break", "a\r\nX-Smuggled: b");
  dm_http_reply_header(request, "X-Last", "z");
  reply_text(request, 200, text);
}

static gboolean reply_later(gpointer request) {
  reply_echo(request);
  return G_SOURCE_REMOVE;
}

static void on_later(DmHttpRequest *request) {
  g_idle_add(reply_later, request);
}

static void on_wait(DmHttpRequest *request) {
  g_ptr_array_add(site.waiting, request);
  g_atomic_int_inc(&site.held);
}

static void on_release(DmHttpRequest *request) {
  g_autofree char *pending = g_strdup_printf("%u pending", dm_http_server_pending(site.server));
  for (guint i = 0; i < site.waiting->len; i++)
    reply_text(site.waiting->pdata[i], 201, "released");
  g_ptr_array_set_size(site.waiting, 0);
  reply_text(request, 200, pending);
}

static void reply_pieces(DmHttpRequest *request, guint count) {
  g_autoptr(GPtrArray) pieces = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  for (guint i = 0; i < count; i++) {
    g_autofree char *text = i % 7 == 3 ? g_strdup("") : g_strdup_printf("<%u>", i);
    g_ptr_array_add(pieces, g_bytes_new(text, strlen(text)));
  }
  dm_http_reply_pieces(request, 200, TEXT, pieces);
}

static void on_pieces(DmHttpRequest *request) {
  reply_pieces(request, SITE_PIECES);
}

static void on_few(DmHttpRequest *request) {
  reply_pieces(request, 3);
}

static void on_closed(gpointer data) {
  g_assert_true(data == &site);
  site.closed++;
  site.stream = NULL;
}

static void on_stream(DmHttpRequest *request) {
  site.stream = dm_http_reply_stream(request, "text/event-stream", SITE_BACKLOG, on_closed, &site);
}

static void send_to_stream(DmHttpRequest *request, gsize size) {
  g_autoptr(GBytes) piece = g_bytes_new_take(g_strnfill(size, 'x'), size);
  if (site.stream != NULL)
    dm_http_stream_send(site.stream, piece);
  reply_text(request, 200, "sent");
}

static void on_send(DmHttpRequest *request) {
  send_to_stream(request, 5);
}

static void on_flood(DmHttpRequest *request) {
  send_to_stream(request, SITE_BACKLOG / 16);
}

static void on_too_much(DmHttpRequest *request) {
  send_to_stream(request, SITE_BACKLOG + 1);
}

static void on_end(DmHttpRequest *request) {
  g_autoptr(GBytes) late = g_bytes_new_static("late", 4);
  dm_http_stream_end(site.stream);
  dm_http_stream_send(site.stream, late);
  reply_text(request, 200, "ended");
}

static void on_login(DmHttpRequest *request) {
  dm_http_request_set_logged_in(request);
  reply_text(request, 200, "logged in");
}

static void on_stop(DmHttpRequest *request) {
  dm_http_server_stop_listening(site.server);
  /* The second time it must not close who has the number of its socket by now. */
  int fd = dup(STDIN_FILENO);
  dm_http_server_stop_listening(site.server);
  g_assert_cmpint(close(fd), ==, 0);
  reply_text(request, 200, "stopped");
}

/* More than the kernel holds for a client. */
static void on_much(DmHttpRequest *request) {
  gsize size = (gsize)4 << 20;
  g_autoptr(GBytes) body = g_bytes_new_take(g_malloc0(size), size);
  dm_http_reply(request, 200, TEXT, body);
}

/* Generated while it is sent: numbers up to SITE_PIECES. */
static GBytes *next_number(gpointer data, gboolean *failed) {
  guint *at = data;
  if (*at == SITE_PIECES)
    return NULL;
  g_autofree char *text = g_strdup_printf("<%u>", (*at)++);
  return g_bytes_new(text, strlen(text));
}

static void on_made(DmHttpRequest *request) {
  dm_http_reply_pulled(request, 200, TEXT, next_number, g_new0(guint, 1), g_free);
}

static GBytes *next_broken(gpointer data, gboolean *failed) {
  guint *at = data;
  *failed = *at == SITE_PIECES / 2;
  return *failed ? NULL : next_number(data, failed);
}

static void on_broken(DmHttpRequest *request) {
  dm_http_reply_pulled(request, 200, TEXT, next_broken, g_new0(guint, 1), g_free);
}

/* Counts what is generated at a time: before the main loop comes to others. */
static gboolean on_others(gpointer data) {
  site.huge_at_once = 0;
  return G_SOURCE_CONTINUE;
}

static GBytes *next_of_huge(gpointer data, gboolean *failed) {
  static const char line[] = "the same again and again, which takes next to no room as gzip\n";
  guint *watch = data;
  if (site.huge >= SITE_HUGE)
    return NULL;
  g_assert_cmpuint(*watch, !=, 0);
  site.huge += strlen(line);
  site.huge_at_once += strlen(line);
  site.most_at_once = MAX(site.most_at_once, site.huge_at_once);
  return g_bytes_new_static(line, strlen(line));
}

static void unwatch(gpointer data) {
  g_source_remove(*(guint *)data);
  g_free(data);
}

static void on_huge(DmHttpRequest *request) {
  guint *watch = g_new(guint, 1);
  *watch = g_idle_add_full(G_PRIORITY_DEFAULT, on_others, NULL, NULL);
  dm_http_reply_pulled(request, 200, TEXT, next_of_huge, watch, unwatch);
}

static void on_long(DmHttpRequest *request) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < SITE_PIECES; i++)
    g_string_append_printf(text, "%u\n", i * i);
  reply_text(request, 200, text->str);
}

/* Coded by the handler, or so it says. */
static void on_coded(DmHttpRequest *request) {
  gsize size = 5000;
  g_autoptr(GBytes) body = g_bytes_new_take(g_malloc0(size), size);
  dm_http_reply_header(request, "Content-Encoding", "x-none");
  dm_http_reply(request, 200, TEXT, body);
}

static void on_font(DmHttpRequest *request) {
  gsize size = 5000;
  g_autoptr(GBytes) body = g_bytes_new_take(g_malloc0(size), size);
  dm_http_reply(request, 200, "font/woff2", body);
}

static void on_nothing(DmHttpRequest *request) {
  dm_http_reply(request, 204, NULL, NULL);
}

static void count(gpointer number) {
  ++*(guint *)number;
}

static void on_request(DmHttpRequest *request, gpointer data) {
  static const struct {
    const char *path;
    void (*answer)(DmHttpRequest *request);
  } pages[] = {
    {"/later", on_later},
    {"/login", on_login},
    {"/wait", on_wait},
    {"/release", on_release},
    {"/pieces", on_pieces},
    {"/few", on_few},
    {"/stream", on_stream},
    {"/send", on_send},
    {"/flood", on_flood},
    {"/too-much", on_too_much},
    {"/end", on_end},
    {"/stop", on_stop},
    {"/nothing", on_nothing},
    {"/much", on_much},
    {"/made", on_made},
    {"/broken", on_broken},
    {"/long", on_long},
    {"/huge", on_huge},
    {"/coded", on_coded},
    {"/font", on_font},
  };
  g_assert_true(data == &site);
  site.requests++;
  dm_http_request_set_data(request, &site.destroyed, count);
  g_assert_true(dm_http_request_data(request) == &site.destroyed);
  if (dm_http_request_body_too_large(request)) {
    g_assert_cmpuint(g_bytes_get_size(dm_http_request_body(request)), ==, 0);
    reply_text(request, 413, "too large");
    return;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(pages); i++) {
    if (strcmp(dm_http_request_uri(request), pages[i].path) == 0) {
      pages[i].answer(request);
      return;
    }
  }
  reply_echo(request);
}

DmHttpOptions site_options(void) {
  return (DmHttpOptions){.address = "127.0.0.1",
    .max_connections = 2000,
    .idle_seconds = 60,
    .request_seconds = 60,
    .max_body = SITE_MAX_BODY};
}

void site_open(const DmHttpOptions *options) {
  g_autoptr(GError) error = NULL;
  site = (Site){.waiting = g_ptr_array_new()};
  site.server = dm_http_server_new(options, on_request, &site, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(dm_http_server_port(site.server), !=, 0);
}

void site_close(void) {
  g_clear_pointer(&site.server, dm_http_server_free);
  g_ptr_array_unref(site.waiting);
  g_assert_null(site.stream);
  g_assert_cmpuint(site.destroyed, ==, site.requests);
}

void site_run(void (*client)(guint16 port), const DmHttpOptions *options) {
  site_open(options);
  client_run(client, dm_http_server_port(site.server));
  site_close();
}
