/* SPDX-License-Identifier: Apache-2.0 */
/* A small HTTP client with blocking sockets. It runs in a thread of its own, beside the main loop with the server. */
#pragma once

#include <glib.h>

typedef struct {
  int status;
  char *head; /* with its first line and the empty one */
  GString *body;
} Answer;

void answer_free(Answer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Answer, answer_free)

/* The value of a header; NULL: not there. The caller frees. */
char *answer_header(const Answer *answer, const char *name);

/* A socket with a deadline for reading and writing. */
int client_connect(guint16 port);
int client_connect_from(const char *address, guint16 port); /* "127.0.0.2" */
/* 0, or the errno of a connection that did not come about. */
int client_try_connect(guint16 port);

void client_send(int fd, const char *text);
void client_send_zeros(int fd, gsize size);

/* Reads one answer and not more. @method, or what starts with it, tells whether there is a body. */
Answer *client_read(int fd, const char *method);
/* Reads one chunk of a body: its text. The last one is empty. */
char *client_read_chunk(int fd);
/* The head only. */
Answer *client_read_head(int fd);

/* GET on a connection that stays open. */
Answer *client_get(int fd, const char *uri);

/* Sends @text byte by byte, again and again, until the server closes, or gives up: seconds. Closes the socket. */
double client_drip(int fd, const char *text);

/* All that comes until the server closes. */
GString *client_read_to_end(int fd);

/* Whether the server has closed: nothing more comes. */
gboolean client_at_end(int fd);

/* Runs @client with @port in a thread, and the main loop until it returns. */
void client_run(void (*client)(guint16 port), guint16 port);
