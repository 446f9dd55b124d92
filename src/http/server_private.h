/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this layer. No other layer uses libmicrohttpd. */
#pragma once

#include <gio/gio.h>
#include <microhttpd.h>

#include "http/server.h"

/* Connections that libmicrohttpd may have beyond max_connections: those it has not closed yet. */
#define HTTP_MORE_PLACES 64

/* An address, or a network, that counts as one client. */
typedef struct {
  char *network;
  guint connections; /* open ones */
  guint places;      /* of these, without a shut-down socket */
} HttpPeer;

struct DmHttpServer {
  struct MHD_Daemon *daemon;
  GSource *source;
  DmHttpHandler handler;
  gpointer data;
  gsize max_body;
  gint64 idle_time, request_time; /* microseconds */
  guint16 port;
  gboolean is_tls;
  gboolean running;
  int listener; /* -1: not listening any more */
  guint accept_watch, accept_pause;
  guint max_connections, max_per_address;
  guint places;      /* taken, of max_connections */
  GHashTable *peers; /* network → HttpPeer with a connection; see accept.c */
  GPtrArray *proxies;
  HttpPeer *newcomer; /* whose connection is being added to libmicrohttpd */
  const char *newcomer_address;
  gint64 logged_refused, logged_exhausted; /* monotonic; 0: never */
  gboolean run_soon;                       /* libmicrohttpd has work that its descriptor and timeout do not show */
  GQueue requests;                         /* those passed to the handler and not fully answered */
  GQueue connections;                      /* HttpConnection */
  guint deadline_timer;                    /* 0: no deadline yet */
  GQueue lingering;                        /* sockets of connections that ended, see linger.c */
  GBytes *no_body;
  GString *words; /* libmicrohttpd's error message during start; NULL later */
};

typedef enum {
  REQUEST_ARRIVING, /* its head or body is not complete */
  REQUEST_HANDED,   /* the handler, or its deferred work, has it */
  REQUEST_ANSWERED, /* the answer is being sent */
} RequestState;

/* Bytes of an answer that the client must read within the time for a request's head. */
#define HTTP_TURN ((gsize)512 * 1024)

/* Of numeric addresses; IPv6 with a scope is the longest. */
#define PEER_SIZE 64

/* Data of each connection. */
typedef struct {
  GList link; /* in the server's connections */
  DmHttpServer *server;
  int fd;
  gint64 deadline;        /* monotonic microseconds, see deadline.c; 0: none */
  gboolean lingers;       /* the client may send on behind its last answer: see linger.c */
  DmHttpRequest *request; /* the present one; NULL: none */
  HttpPeer *from;
  gboolean has_place;
  gboolean logged_in;
  char peer[PEER_SIZE];
} HttpConnection;

/* A proxy's headers, as received; NULL: none. */
typedef struct {
  char *forwarded, *x_forwarded_for; /* several lines joined in order */
  const char *x_forwarded_proto;
} HttpForwarded;

/* The client of the request. */
typedef struct {
  char *address;
  gboolean is_tls; /* between client and proxy, by its header */
} HttpOrigin;

typedef struct ReplyHeader ReplyHeader;

/* One allocation for each request, its URI included: this is the path that every request takes. */
struct DmHttpRequest {
  DmHttpServer *server;
  struct MHD_Connection *connection;
  GList link; /* in the server's requests */
  RequestState state;
  gboolean head_seen;
  gboolean is_last;   /* nothing behind it on its connection is read */
  gboolean suspended; /* suspended: it waits for the answer, and libmicrohttpd ignores its connection */
  gboolean failed;    /* libmicrohttpd did not accept the answer */
  gboolean too_large;
  gboolean target_cut; /* truncated by a zero byte, or behind several blanks */
  const char *problem; /* fault of its head, which is refused; NULL: none */
  const char *method;
  gint64 started;
  HttpOrigin origin;   /* computed on demand; address NULL: not yet */
  GByteArray *arrived; /* of the body */
  gsize dropped;       /* bytes of a body that is too large */
  GBytes *body;
  ReplyHeader *headers; /* of the answer */
  DmHttpStream *stream;
  gpointer data;
  GDestroyNotify destroy;
  char uri[];
};

/* listen.c: a listening socket, and its port in @bound. -1 on error. */
int http_listen(const char *address, guint16 port, guint16 *bound, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* accept.c: starts or stops accepting. */
void http_accept_start(DmHttpServer *server);
void http_accept_stop(DmHttpServer *server);
void http_accept_again(DmHttpServer *server); /* if it paused for lack of descriptors */
/* The connection is new, or is closed. */
void http_place_take(HttpConnection *connection);
void http_place_leave(HttpConnection *connection);

/* peer.c: addresses and networks as g_inet_address_mask_new_from_string() reads them. */
GPtrArray *http_proxies_new(const char *const *networks, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean http_is_proxy(const GPtrArray *proxies, const char *address);
/* The caller frees the address. */
HttpOrigin http_origin_of(const char *peer, const HttpForwarded *given, const GPtrArray *proxies);
/* "::ffff:192.0.2.1" becomes "192.0.2.1". */
void http_unmap(char *address);

/* exchange.c: libmicrohttpd's callbacks, in the order in which it calls them. */
void *http_on_uri(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_on_request(void *server, struct MHD_Connection *connection, const char *url, const char *method,
  const char *version, const char *upload, size_t *size, void **request);
void http_on_completed(
  void *server, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode why);
void http_on_connection(
  void *server, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode what);

/*
 * head.c: what is wrong with the head, in words for the client; NULL: nothing. For libmicrohttpd's first call with the
 * request, which passes @version.
 */
const char *http_head_problem(const DmHttpRequest *request, const char *version);
/* For libmicrohttpd's call with the target: it continues after a zero byte, or blanks were skipped before it. */
gboolean http_target_is_cut(const char *uri);

/* request.c */
HttpConnection *http_connection_of(const DmHttpRequest *request);
/* libmicrohttpd resumes its suspended connection. */
void http_resume(DmHttpRequest *request);

/* deadline.c: sets the time for the client's next action; or clears it. */
void http_expect(HttpConnection *connection, gint64 microseconds);
void http_expect_nothing(HttpConnection *connection);

/* linger.c: a copy of the socket @fd takes what the client still sends, after libmicrohttpd has closed it. */
void http_linger(DmHttpServer *server, int fd);
void http_end_lingering(DmHttpServer *server);

/* response.c */
void http_send_response(DmHttpRequest *request, guint status, const char *content_type, struct MHD_Response *response);
gboolean http_has_reply_header(const DmHttpRequest *request, const char *name);
void http_free_reply_headers(DmHttpRequest *request);

/*
 * coding.c: whether an answer of @size bytes (G_MAXUINT64: not known) is sent as gzip: text, the client accepts it, and
 * the handler has not coded it itself. If so, the answer's headers say it.
 */
gboolean http_code_answer(DmHttpRequest *request, const char *content_type, guint64 size);
/* An answer that is generated, as gzip: http_coder_next() is a DmHttpNext over the one it owns. */
typedef struct HttpCoder HttpCoder;
HttpCoder *http_coder_new(DmHttpNext next, gpointer data, GDestroyNotify destroy) G_GNUC_WARN_UNUSED_RESULT;
GBytes *http_coder_next(gpointer coder, gboolean *failed);
void http_coder_free(gpointer coder);

/* pulled.c: answers with @pieces as gzip, after http_code_answer(). */
void http_reply_coded(DmHttpRequest *request, guint status, const char *content_type, GPtrArray *pieces);

/* stream.c: its request has ended: notifies its opener. NULL is allowed. */
void http_stream_close(DmHttpStream *stream);
/* Ends it in the middle, and its connection. */
void http_stream_cut(DmHttpStream *stream);
