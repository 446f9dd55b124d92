/* SPDX-License-Identifier: Apache-2.0 */
/* What the server of the http tests answers, by the path of the request. */
#pragma once

#include "http/server.h"

#define SITE_MAX_BODY 1000
#define SITE_PIECES 20000
#define SITE_HUGE ((gsize)16 * 1024 * 1024)
#define SITE_BACKLOG ((gsize)256 * 1024)

typedef struct {
  DmHttpServer *server;
  GPtrArray *waiting;   /* requests of /wait, answered by /release */
  int held;             /* atomic: those that ever were */
  DmHttpStream *stream; /* of /stream; /send, /flood and /end do that to it */
  guint closed;         /* streams */
  guint destroyed;      /* the data of requests */
  guint requests;
  gsize huge, huge_at_once, most_at_once; /* bytes generated for /huge, and without that others had their turn */
} Site;

extern Site site;

/* Opens it on a free port; the options may change what is usual. */
DmHttpOptions site_options(void);
void site_open(const DmHttpOptions *options);
void site_close(void);
/* Opens it, runs @client in a thread of its own beside it, and closes it. */
void site_run(void (*client)(guint16 port), const DmHttpOptions *options);
