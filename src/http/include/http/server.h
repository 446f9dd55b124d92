/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server on GLib's default main loop: transport only, without knowledge of oVirt. libmicrohttpd is private
 * to this layer.
 *
 * Threads: everything belongs to the thread of the default main loop. Nothing here blocks, and a pending request
 * occupies no thread. The handler and all callbacks run in the main loop and must neither free the server nor run the
 * main loop.
 */
#pragma once

#include <glib.h>

typedef struct DmHttpServer DmHttpServer;
typedef struct DmHttpRequest DmHttpRequest;
typedef struct DmHttpStream DmHttpStream;

typedef struct {
  const char *address;     /* numeric, IPv4 or IPv6 */
  guint16 port;            /* 0: chosen by the system, see dm_http_server_port() */
  const char *certificate; /* PEM text with its chain; NULL: plain HTTP. TLS 1.2 and up */
  const char *key;         /* PEM text */
  guint max_connections;
  guint max_per_address;              /* of these, per client address (IPv6: per /64); 0: all */
  const char *const *trusted_proxies; /* addresses and networks; NULL: none. No per-address limit for them */
  guint idle_seconds;                 /* idle timeout; not for a connection that waits for our answer */
  double request_seconds;             /* limit for a request's head to be complete, then again for its body */
  gsize max_body;                     /* maximum of a request's body */
} DmHttpOptions;

/*
 * Called when a request is complete: for GET and HEAD the head (a body they announce is not awaited: libgovirt
 * announces one and does not send it; the connection is then closed after the answer), for others the body too. The
 * request is answered exactly once, by the handler or later, with one of the dm_http_reply functions below. Until then
 * it stays valid, even if the client has disconnected, which is noticed only on answering.
 *
 * A request that announces too large a body is passed on after its head; one that announces no size, after its body,
 * but a body of several times the maximum closes the connection without an answer. Requests that are not HTTP, or whose
 * head or end of body is ambiguous, are refused without calling the handler.
 *
 * When all connections are in use, an idle or slow one is closed for a new one (accept.c says which); if there is none,
 * the new one is closed and a warning is logged, at most once a minute. The same when file descriptors run out.
 */
typedef void (*DmHttpHandler)(DmHttpRequest *request, gpointer data);

/* Starts to listen. NULL with DM_ERROR_FAILED: address in use, certificate does not match the key, ... */
DmHttpServer *dm_http_server_new(
  const DmHttpOptions *options, DmHttpHandler handler, gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

guint16 dm_http_server_port(const DmHttpServer *server);

/* Accepts no new connections; requests under way continue. */
void dm_http_server_stop_listening(DmHttpServer *server);

/* Requests passed to the handler and not fully answered, including open streams. */
guint dm_http_server_pending(const DmHttpServer *server);

/* Closes all connections and streams. Unanswered requests become invalid. NULL is allowed. */
void dm_http_server_free(DmHttpServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmHttpServer, dm_http_server_free)

/* ---- the request; it owns all results ---- */

const char *dm_http_request_method(const DmHttpRequest *request); /* "GET" */
const char *dm_http_request_uri(const DmHttpRequest *request);    /* as sent: path and query, undecoded */
const char *dm_http_request_header(const DmHttpRequest *request, const char *name); /* name in any case; NULL: not
                                                                                     * there */
GBytes *dm_http_request_body(const DmHttpRequest *request);                         /* never NULL */
gboolean dm_http_request_body_too_large(const DmHttpRequest *request);              /* body is empty: answer 413 */
gint64 dm_http_request_started(const DmHttpRequest *request);                       /* monotonic microseconds */

/*
 * The client's numeric address, and whether it uses TLS; behind a trusted proxy, those of the client that the proxy
 * names.
 */
const char *dm_http_request_peer(const DmHttpRequest *request);
gboolean dm_http_request_is_tls(const DmHttpRequest *request);
gboolean dm_http_request_is_forwarded(const DmHttpRequest *request); /* came by way of a trusted proxy */

/* Marks the client as authenticated: its connection is among the last to be closed for others. */
void dm_http_request_set_logged_in(DmHttpRequest *request);

/* The part of an address that counts as one client: an IPv4 address, the /64 of an IPv6 address. The caller frees. */
char *dm_http_network(const char *address) G_GNUC_WARN_UNUSED_RESULT;
/* The handler's own data, freed with the request. */
void dm_http_request_set_data(DmHttpRequest *request, gpointer data, GDestroyNotify destroy);
gpointer dm_http_request_data(const DmHttpRequest *request);

/* Whether the client takes answers coded as gzip (Accept-Encoding). */
gboolean dm_http_accepts_gzip(const DmHttpRequest *request);

/*
 * ---- the answer ----
 *
 * Text (XML, JSON, text/...) of more than a packet is sent as gzip to clients that accept it, unless the handler has
 * set Content-Encoding itself.
 */

/* Adds a header to the answer, before it is sent. A value with a line break is dropped. */
void dm_http_reply_header(DmHttpRequest *request, const char *name, const char *value);

/* @content_type NULL: none, for an empty @body. @body may be NULL: empty. HEAD gets headers only. */
void dm_http_reply(DmHttpRequest *request, guint status, const char *content_type, GBytes *body);

/*
 * As above, with several pieces (GBytes) that are concatenated without copying. The array is referenced until the
 * answer is sent and must not be changed.
 */
void dm_http_reply_pieces(DmHttpRequest *request, guint status, const char *content_type, GPtrArray *pieces);

/*
 * The next piece of an answer; NULL: the end, or an error if *failed: the connection is then aborted, so that the
 * client does not take a partial answer for a whole one.
 */
typedef GBytes *(*DmHttpNext)(gpointer data, gboolean *failed);

/*
 * As above, but generated while it is sent: @next is called in the main loop when the client can take more. Keep pieces
 * small, a few kilobytes or a millisecond of work, as the loop serves others too. @destroy is called once, when all is
 * sent or the client has disconnected, which may be after the request was freed.
 */
void dm_http_reply_pulled(DmHttpRequest *request, guint status, const char *content_type, DmHttpNext next,
  gpointer data, GDestroyNotify destroy);

/*
 * An answer without end (server-sent events). @closed is called once, when the client has disconnected or the server
 * stops; the stream is invalid then. It is never called from within the functions below.
 *
 * Data is queued until the client takes it, up to @backlog bytes; beyond that the client is disconnected. A burst sent
 * without returning to the main loop has to fit too. A disconnected client is noticed only on sending, and with TCP
 * only at the second send: send a comment now and then on a quiet stream.
 */
DmHttpStream *dm_http_reply_stream(
  DmHttpRequest *request, const char *content_type, gsize backlog, void (*closed)(gpointer data), gpointer data);
/* Keeps a reference to @piece. Does nothing if the stream was cut off or has ended. */
void dm_http_stream_send(DmHttpStream *stream, GBytes *piece);
/* Ends it from our side, behind what was sent; @closed is called once the client has taken that. */
void dm_http_stream_end(DmHttpStream *stream);
