/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this layer share. Nobody else knows libmicrohttpd. */
#pragma once

#include <microhttpd.h>

#include "http/server.h"

struct DmHttpServer {
  struct MHD_Daemon *daemon;
  GSource *source;
  DmHttpHandler handler;
  gpointer data;
  gsize max_body;
  gint64 idle_time, request_time; /* microseconds */
  guint16 port;
  gboolean is_tls;
  gboolean listening;
  gboolean running;
  gboolean run_soon;    /* libmicrohttpd has something to do that its descriptor and its timeout do not tell of */
  GQueue requests;      /* those that the handler was given and whose answer is not wholly sent */
  GQueue connections;   /* HttpConnection */
  guint deadline_timer; /* 0: no connection has had a deadline yet, or there is none */
  GQueue lingering;     /* sockets of connections that ended, see linger.c */
  GBytes *no_body;
  GString *words; /* what libmicrohttpd complains of while it starts; NULL later */
};

typedef enum {
  REQUEST_ARRIVING, /* its head or body is not complete */
  REQUEST_HANDED,   /* the handler has it, or whoever the handler gave it to */
  REQUEST_ANSWERED, /* the answer is on its way */
} RequestState;

/* Of numeric addresses; IPv6 with a scope is the longest. */
#define PEER_SIZE 64

/* What is kept for each connection. */
typedef struct {
  GList link; /* in the server's connections */
  DmHttpServer *server;
  int fd;
  gint64 deadline;       /* monotonic microseconds, see deadline.c; 0: none */
  gboolean body_refused; /* its last request was answered before the body came */
  char peer[PEER_SIZE];
} HttpConnection;

typedef struct ReplyHeader ReplyHeader;

/* One allocation for each request, its URI included: this is the path that every request takes. */
struct DmHttpRequest {
  DmHttpServer *server;
  struct MHD_Connection *connection;
  GList link; /* in the server's requests */
  RequestState state;
  gboolean head_seen;
  gboolean suspended; /* it waits for the answer, and libmicrohttpd leaves its connection alone */
  gboolean failed;    /* libmicrohttpd did not take the answer */
  gboolean too_large;
  const char *method;
  gint64 started;
  GByteArray *arrived; /* of the body */
  gsize dropped;       /* bytes of a body that is too large */
  GBytes *body;
  ReplyHeader *headers; /* of the answer */
  DmHttpStream *stream;
  gpointer data;
  GDestroyNotify destroy;
  char uri[];
};

/* listen.c: a listening socket, and in @bound the port that it has. -1 on error. */
int http_listen(const char *address, guint16 port, guint16 *bound, GError **error);

/* request.c: libmicrohttpd's callbacks, in the order in which it calls them. */
void *http_on_uri(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_on_request(void *server, struct MHD_Connection *connection, const char *url, const char *method,
  const char *version, const char *upload, size_t *size, void **request);
void http_on_completed(
  void *server, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode why);
void http_on_connection(
  void *server, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode what);

/* server.c: libmicrohttpd goes on with a connection that was suspended. */
void http_resume(DmHttpRequest *request);

/* request.c */
HttpConnection *http_connection_of(const DmHttpRequest *request);

/* deadline.c: the client has so long for what comes next; or it is not its turn. */
void http_expect(HttpConnection *connection, gint64 microseconds);
void http_expect_nothing(HttpConnection *connection);

/* linger.c: a copy of the socket @fd takes what the client still sends, after libmicrohttpd has closed it. */
void http_linger(DmHttpServer *server, int fd);
void http_end_lingering(DmHttpServer *server);

/* reply.c */
void http_send_response(DmHttpRequest *request, guint status, const char *content_type, struct MHD_Response *response);
void http_free_reply_headers(DmHttpRequest *request);

/* stream.c: its request has ended: tells whoever opened it. NULL is allowed. */
void http_stream_close(DmHttpStream *stream);
