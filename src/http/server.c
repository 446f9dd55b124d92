/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmicrohttpd without its own threads, on GLib's main loop. It keeps all sockets in one epoll descriptor, which the
 * main loop polls: so the loop's work does not grow with the connections. When that descriptor is ready, when
 * libmicrohttpd's next timeout is due, or after a connection was resumed or added, MHD_run() does the pending work and
 * calls back into exchange.c and stream.c. It does not listen itself: accept.c passes it its sockets.
 */
#include <string.h>

#include "base/error.h"
#include "server_private.h"

/* For each connection: the head of its request, and the head of the answer. */
#define CONNECTION_MEMORY ((size_t)32 * 1024)

#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

typedef struct {
  GSource source;
  DmHttpServer *server;
  gpointer tag;
} HttpSource;

/* Milliseconds until libmicrohttpd has something to do by itself; -1: never. */
static int time_left(const DmHttpServer *server) {
  MHD_UNSIGNED_LONG_LONG left = 0;
  if (server->run_soon)
    return 0;
  return MHD_get_timeout(server->daemon, &left) == MHD_YES ? (int)MIN(left, G_MAXINT) : -1;
}

static gboolean prepare(GSource *source, int *timeout) {
  *timeout = time_left(((HttpSource *)source)->server);
  return *timeout == 0;
}

/* A timeout due by now is handled by prepare(), which comes next. */
static gboolean check(GSource *source) {
  return g_source_query_unix_fd(source, ((HttpSource *)source)->tag) != 0;
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data) {
  DmHttpServer *server = ((HttpSource *)source)->server;
  /* A handler runs the main loop: libmicrohttpd is not reentrant. */
  if (server->running)
    return G_SOURCE_CONTINUE;
  server->running = TRUE;
  server->run_soon = FALSE;
  MHD_run(server->daemon);
  server->running = FALSE;
  return G_SOURCE_CONTINUE;
}

static GSource *watch(DmHttpServer *server) {
  static GSourceFuncs functions = {.prepare = prepare, .check = check, .dispatch = dispatch};
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
  GSource *source = g_source_new(&functions, sizeof(HttpSource));
  HttpSource *http = (HttpSource *)source;
  http->server = server;
  http->tag = g_source_add_unix_fd(source, info->epoll_fd, G_IO_IN);
  g_source_set_name(source, "http");
  /* Otherwise GLib removes and re-adds the descriptor around each dispatch, costing three system calls. */
  g_source_set_can_recurse(source, TRUE);
  g_source_attach(source, NULL);
  return source;
}

G_GNUC_PRINTF(2, 0)
static void on_log(void *data, const char *format, va_list arguments) {
  DmHttpServer *server = data;
  g_autofree char *words = g_strdup_vprintf(format, arguments);
  g_strstrip(words);
  if (server->words == NULL)
    g_debug("http: %s", words);
  else if (server->words->len == 0)
    g_string_append(server->words, words);
}

static struct MHD_Daemon *start(DmHttpServer *server, const DmHttpOptions *options) {
  unsigned int flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET;
#if MHD_VERSION >= 0x00097707
  flags |= MHD_USE_NO_THREAD_SAFETY; /* else it would defer new connections, see come_in() */
#endif
  struct MHD_OptionItem tls[] = {
    {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate},
    {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key},
    {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
    {MHD_OPTION_END, 0, NULL},
  };
  if (server->is_tls)
    flags |= MHD_USE_TLS;
  else
    tls[0].option = MHD_OPTION_END;
  return MHD_start_daemon(flags, 0, NULL, NULL, http_on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
    MHD_OPTION_URI_LOG_CALLBACK, http_on_uri, server, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, server,
    MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, server, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
    MHD_OPTION_CONNECTION_LIMIT, options->max_connections + HTTP_MORE_PLACES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
    MHD_OPTION_CONNECTION_TIMEOUT, options->idle_seconds, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

static gboolean start_daemon(DmHttpServer *server, const DmHttpOptions *options, GError **error) {
  server->listener = http_listen(options->address, options->port, &server->port, error);
  if (server->listener < 0)
    return FALSE;
  server->words = g_string_new(NULL);
  server->daemon = start(server, options);
  g_autofree char *words = g_string_free(g_steal_pointer(&server->words), FALSE);
  if (server->daemon == NULL && server->is_tls)
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "cannot serve TLS: %s; give a certificate and the private key that belongs to it, both in PEM", words);
  else if (server->daemon == NULL)
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot serve HTTP on %s: %s", options->address, words);
  return server->daemon != NULL;
}

DmHttpServer *dm_http_server_new(const DmHttpOptions *options, DmHttpHandler handler, gpointer data, GError **error) {
  if ((options->certificate == NULL) != (options->key == NULL)) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot serve TLS: there is a %s but no %s; give both",
      options->key == NULL ? "certificate" : "key", options->key == NULL ? "key" : "certificate");
    return NULL;
  }
  g_autoptr(DmHttpServer) server = g_new0(DmHttpServer, 1);
  server->listener = -1;
  server->peers = g_hash_table_new(g_str_hash, g_str_equal);
  server->max_connections = options->max_connections;
  server->max_per_address = options->max_per_address > 0 ? options->max_per_address : G_MAXUINT;
  server->handler = handler;
  server->data = data;
  server->max_body = options->max_body;
  server->idle_time = options->idle_seconds * G_TIME_SPAN_SECOND;
  server->request_time = (gint64)(options->request_seconds * G_USEC_PER_SEC);
  server->is_tls = options->certificate != NULL;
  server->no_body = g_bytes_new_static("", 0);
  server->proxies = http_proxies_new(options->trusted_proxies, error);
  if (server->proxies == NULL || !start_daemon(server, options, error))
    return NULL;
  server->source = watch(server);
  http_accept_start(server);
  return g_steal_pointer(&server);
}

guint16 dm_http_server_port(const DmHttpServer *server) {
  return server->port;
}

void dm_http_server_stop_listening(DmHttpServer *server) {
  http_accept_stop(server);
}

guint dm_http_server_pending(const DmHttpServer *server) {
  return server->requests.length;
}

/* libmicrohttpd does not stop with suspended connections. Streams end first, while all requests are still valid. */
static void end_requests(DmHttpServer *server) {
  for (GList *at = server->requests.head; at != NULL; at = at->next)
    http_stream_close(g_steal_pointer(&((DmHttpRequest *)at->data)->stream));
  for (GList *at = server->requests.head; at != NULL; at = at->next) {
    DmHttpRequest *request = at->data;
    if (request->suspended)
      http_resume(request);
    request->suspended = FALSE;
  }
}

void dm_http_server_free(DmHttpServer *server) {
  if (server == NULL)
    return;
  http_accept_stop(server);
  if (server->source != NULL) {
    g_source_destroy(server->source);
    g_source_unref(server->source);
  }
  end_requests(server);
  if (server->daemon != NULL)
    MHD_stop_daemon(server->daemon);
  if (server->deadline_timer != 0)
    g_source_remove(server->deadline_timer);
  http_end_lingering(server);
  g_bytes_unref(server->no_body);
  g_hash_table_unref(server->peers);
  if (server->proxies != NULL)
    g_ptr_array_unref(server->proxies);
  g_free(server);
}
