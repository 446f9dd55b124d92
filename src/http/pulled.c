/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer generated as fast as its client reads it: libmicrohttpd calls read_pulled() for a window of it whenever the
 * client can take more, and serves others in between. When the client disconnects, generation stops.
 */
#include <string.h>

#include "server_private.h"

/* Buffer for HTTP/1.0 clients; others use the connection's own. */
#define BLOCK ((gsize)32 * 1024)

typedef struct {
  DmHttpRequest *request;
  DmHttpNext next;
  gpointer data;
  GDestroyNotify destroy;
  GBytes *piece;  /* NULL: the next one is still to be generated */
  gsize offset;   /* into it */
  guint64 turned; /* bytes already credited to the client's deadline */
} Pulled;

static ssize_t read_pulled(void *data, uint64_t position, char *buffer, size_t room) {
  Pulled *pulled = data;
  gsize filled = 0;
  while (filled < room) {
    gboolean failed = FALSE;
    /* One piece of a coder is work enough until others had their turn. */
    if (pulled->piece == NULL && filled > 0 && pulled->next == http_coder_next)
      break;
    if (pulled->piece == NULL)
      pulled->piece = pulled->next(pulled->data, &failed);
    if (failed)
      return MHD_CONTENT_READER_END_WITH_ERROR;
    if (pulled->piece == NULL)
      break;
    gsize size;
    const char *bytes = g_bytes_get_data(pulled->piece, &size);
    gsize part = MIN(size - pulled->offset, room - filled);
    if (part > 0)
      memcpy(buffer + filled, bytes + pulled->offset, part);
    filled += part;
    pulled->offset += part;
    if (pulled->offset < size)
      break;
    g_clear_pointer(&pulled->piece, g_bytes_unref);
    pulled->offset = 0;
  }
  if (position + filled >= pulled->turned + HTTP_TURN) {
    pulled->turned = position + filled;
    http_expect(http_connection_of(pulled->request), pulled->request->server->request_time);
  }
  return filled > 0 ? (ssize_t)filled : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_pulled(void *data) {
  Pulled *pulled = data;
  if (pulled->piece != NULL)
    g_bytes_unref(pulled->piece);
  pulled->destroy(pulled->data);
  g_free(pulled);
}

static void reply_pulled(DmHttpRequest *request, guint status, const char *content_type, DmHttpNext next, gpointer data,
  GDestroyNotify destroy) {
  Pulled *pulled = g_new0(Pulled, 1);
  pulled->request = request;
  pulled->next = next;
  pulled->data = data;
  pulled->destroy = destroy;
  struct MHD_Response *response =
    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_pulled, pulled, free_pulled);
  /* As for a stream: else a HEAD is answered with the end of a body. */
  if (strcmp(request->method, MHD_HTTP_METHOD_HEAD) == 0)
    MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
  http_send_response(request, status, content_type, response);
  http_expect(http_connection_of(request), request->server->request_time);
}

static void reply_packed(DmHttpRequest *request, guint status, const char *content_type, DmHttpNext next, gpointer data,
  GDestroyNotify destroy) {
  HttpCoder *coder = http_coder_new(next, data, destroy);
  reply_pulled(request, status, content_type, http_coder_next, coder, http_coder_free);
}

void dm_http_reply_pulled(DmHttpRequest *request, guint status, const char *content_type, DmHttpNext next,
  gpointer data, GDestroyNotify destroy) {
  g_return_if_fail(request->state == REQUEST_HANDED);
  gboolean packed = http_code_answer(request, content_type, G_MAXUINT64);
  (packed ? reply_packed : reply_pulled)(request, status, content_type, next, data, destroy);
}

typedef struct {
  GPtrArray *pieces;
  guint at; /* the piece that is next */
} Pieces;

static GBytes *next_piece(gpointer data, gboolean *failed) {
  Pieces *left = data;
  return left->at < left->pieces->len ? g_bytes_ref(left->pieces->pdata[left->at++]) : NULL;
}

static void free_pieces(gpointer data) {
  Pieces *left = data;
  g_ptr_array_unref(left->pieces);
  g_free(left);
}

void http_reply_coded(DmHttpRequest *request, guint status, const char *content_type, GPtrArray *pieces) {
  Pieces *left = g_new0(Pieces, 1);
  left->pieces = g_ptr_array_ref(pieces);
  reply_packed(request, status, content_type, next_piece, left, free_pieces);
}
