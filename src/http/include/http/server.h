/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server on GLib's default main loop: transport only, it knows nothing of oVirt. libmicrohttpd stays
 * inside.
 *
 * Threads: everything belongs to the thread of the default main loop. Nothing here blocks, and a request that is not
 * answered yet holds no thread. The handler and the other functions given here are called from the main loop, and must
 * neither free the server nor run the main loop.
 */
#pragma once

#include <glib.h>

typedef struct DmHttpServer DmHttpServer;
typedef struct DmHttpRequest DmHttpRequest;
typedef struct DmHttpStream DmHttpStream;

typedef struct {
  const char *address;     /* numeric, IPv4 or IPv6 */
  guint16 port;            /* 0: the system chooses, see dm_http_server_port() */
  const char *certificate; /* PEM text with its chain; NULL: plain HTTP. TLS is 1.2 and up */
  const char *key;         /* PEM text */
  guint max_connections;
  guint idle_seconds;     /* a connection without traffic is closed after this; not one that waits for our answer */
  double request_seconds; /* a request's head, and then its body, has to be complete within this, or it is closed */
  gsize max_body;         /* bytes of a request's body */
} DmHttpOptions;

/*
 * A request is complete: of GET and HEAD the head (a body that they announce is never waited for: libgovirt announces
 * one and does not send it; the connection is then closed after the answer), of the others the body too. The handler,
 * or somebody later, answers it exactly once, by one of the dm_http_reply functions below; until then it stays valid,
 * even if its client has gone: that is noticed only when it is answered.
 *
 * A request that announces a body that is too large comes with its head. Where the size is not announced, it comes when
 * the body has ended; one that goes on to several times the maximum is closed without an answer. Requests that are not
 * HTTP are refused without the handler, and so are those whose body's end can be read in two ways.
 */
typedef void (*DmHttpHandler)(DmHttpRequest *request, gpointer data);

/* Listens from here on. NULL with DM_ERROR_FAILED: the address is taken, the certificate does not fit the key, ... */
DmHttpServer *dm_http_server_new(const DmHttpOptions *options, DmHttpHandler handler, gpointer data, GError **error);

guint16 dm_http_server_port(const DmHttpServer *server);

/* Takes no new connection; what is under way goes on. */
void dm_http_server_stop_listening(DmHttpServer *server);

/* Requests that the handler was given and whose answer is not wholly sent, so also the streams that are open. */
guint dm_http_server_pending(const DmHttpServer *server);

/* Closes every connection, ends every stream. Requests that were not answered become invalid. NULL is allowed. */
void dm_http_server_free(DmHttpServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmHttpServer, dm_http_server_free)

/* ---- the request; all kept by it ---- */

const char *dm_http_request_method(const DmHttpRequest *request); /* "GET" */
const char *dm_http_request_uri(const DmHttpRequest *request);    /* as sent: path and query, undecoded */
const char *dm_http_request_header(const DmHttpRequest *request, const char *name); /* any case; NULL: not there */
GBytes *dm_http_request_body(const DmHttpRequest *request);                         /* never NULL */
gboolean dm_http_request_body_too_large(const DmHttpRequest *request);              /* it is empty: answer 413 */
const char *dm_http_request_peer(const DmHttpRequest *request);                     /* the client's numeric address */
gboolean dm_http_request_is_tls(const DmHttpRequest *request);
gint64 dm_http_request_started(const DmHttpRequest *request); /* monotonic microseconds */

/* A place for the handler's own data, freed with the request. */
void dm_http_request_set_data(DmHttpRequest *request, gpointer data, GDestroyNotify destroy);
gpointer dm_http_request_data(const DmHttpRequest *request);

/* ---- the answer ---- */

/* Adds a header to the answer that is still to come. One whose value has a line break is left out. */
void dm_http_reply_header(DmHttpRequest *request, const char *name, const char *value);

/* @content_type NULL: none, for an empty @body. @body may be NULL: empty. HEAD gets the headers only. */
void dm_http_reply(DmHttpRequest *request, guint status, const char *content_type, GBytes *body);

/*
 * As above, of several pieces (GBytes) that are not copied: the body is their concatenation. The array is kept until
 * the answer is sent, and is not to be changed any more.
 */
void dm_http_reply_pieces(DmHttpRequest *request, guint status, const char *content_type, GPtrArray *pieces);

/*
 * An answer without end (server-sent events). @closed is called once, when the client has gone or the server ends;
 * after that the stream is invalid. It is never called from within the functions below.
 *
 * What is sent is kept until the client takes it, up to @backlog bytes, then the client is cut off: a burst that is
 * sent without returning to the main loop has to fit as well. That a client has gone is noticed when something is sent
 * to it, and by TCP's ways only at the second time: a stream that is silent for long needs a comment now and then.
 */
DmHttpStream *dm_http_reply_stream(
  DmHttpRequest *request, const char *content_type, gsize backlog, void (*closed)(gpointer data), gpointer data);
/* Keeps a reference to @piece. Does nothing where the stream was cut off or has ended. */
void dm_http_stream_send(DmHttpStream *stream, GBytes *piece);
/* Ends it from our side, behind what was sent; @closed is called once the client has taken that. */
void dm_http_stream_end(DmHttpStream *stream);
