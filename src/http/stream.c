/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endless answer. libmicrohttpd calls read_stream() whenever the client can take more; without data, the connection
 * is suspended until the next piece comes.
 */
#include <string.h>
#include <sys/socket.h>

#include "server_private.h"

/* Buffer for HTTP/1.0 clients; others use the connection's own. */
#define BLOCK 4096

struct DmHttpStream {
  DmHttpRequest *request;
  GQueue pieces;  /* GBytes */
  gsize offset;   /* into the first */
  gsize kept;     /* bytes in the pieces */
  gsize backlog;  /* maximum of bytes kept */
  gboolean ended; /* no more pieces will come */
  gboolean cut;   /* the client did not read fast enough */
  void (*closed)(gpointer data);
  gpointer data;
};

static ssize_t read_stream(void *data, uint64_t position, char *buffer, size_t room) {
  DmHttpStream *stream = data;
  gsize filled = 0;
  if (stream->cut)
    return MHD_CONTENT_READER_END_WITH_ERROR;
  while (filled < room && !g_queue_is_empty(&stream->pieces)) {
    GBytes *first = g_queue_peek_head(&stream->pieces);
    gsize size;
    const char *piece = g_bytes_get_data(first, &size);
    gsize part = MIN(size - stream->offset, room - filled);
    memcpy(buffer + filled, piece + stream->offset, part);
    filled += part;
    stream->kept -= part;
    stream->offset += part;
    if (stream->offset == size) {
      g_bytes_unref(g_queue_pop_head(&stream->pieces));
      stream->offset = 0;
    }
  }
  if (filled > 0)
    return (ssize_t)filled;
  if (stream->ended)
    return MHD_CONTENT_READER_END_OF_STREAM;
  stream->request->suspended = TRUE;
  MHD_suspend_connection(stream->request->connection);
  return 0;
}

static void wake(DmHttpStream *stream) {
  if (!stream->request->suspended)
    return;
  stream->request->suspended = FALSE;
  http_resume(stream->request);
}

DmHttpStream *dm_http_reply_stream(
  DmHttpRequest *request, const char *content_type, gsize backlog, void (*closed)(gpointer data), gpointer data) {
  g_return_val_if_fail(request->state == REQUEST_HANDED, NULL);
  DmHttpStream *stream = g_new0(DmHttpStream, 1);
  stream->request = request;
  stream->backlog = backlog;
  stream->closed = closed;
  stream->data = data;
  request->stream = stream;
  struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, stream, NULL);
  /* For a HEAD, libmicrohttpd 0.9.75 would send the last chunk of a body, which the client would take for its next
   * answer. */
  if (strcmp(request->method, MHD_HTTP_METHOD_HEAD) == 0)
    MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
  http_send_response(request, MHD_HTTP_OK, content_type, response);
  return stream;
}

static void drop_pieces(DmHttpStream *stream) {
  g_queue_clear_full(&stream->pieces, (GDestroyNotify)g_bytes_unref);
  stream->kept = stream->offset = 0;
}

/*
 * libmicrohttpd does not call for more while the client does not read, and has no call to close a connection: it closes
 * one whose socket is shut down.
 */
void http_stream_cut(DmHttpStream *stream) {
  stream->cut = TRUE;
  drop_pieces(stream);
  shutdown(http_connection_of(stream->request)->fd, SHUT_RDWR);
  wake(stream);
}

void dm_http_stream_send(DmHttpStream *stream, GBytes *piece) {
  gsize size = g_bytes_get_size(piece);
  if (stream->cut || stream->ended || size == 0)
    return;
  if (size > stream->backlog - stream->kept) {
    http_stream_cut(stream);
    return;
  }
  g_queue_push_tail(&stream->pieces, g_bytes_ref(piece));
  stream->kept += size;
  wake(stream);
}

void dm_http_stream_end(DmHttpStream *stream) {
  stream->ended = TRUE;
  wake(stream);
}

void http_stream_close(DmHttpStream *stream) {
  if (stream == NULL)
    return;
  drop_pieces(stream);
  if (stream->closed != NULL)
    stream->closed(stream->data);
  g_free(stream);
}
