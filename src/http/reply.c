/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "server_private.h"

/* libmicrohttpd copies the list of pieces into the connection's memory, so a long list is sent through a callback. */
#define PIECES_AT_ONCE 256

/* The callback copies through a window of this size. */
#define WINDOW ((gsize)64 * 1024)

/* A client that reads its answer byte by byte is as bad as one that sends its request so. */
static void expect_taken(DmHttpRequest *request, guint64 size) {
  http_expect(http_connection_of(request), request->server->request_time * (gint64)(1 + size / HTTP_TURN));
}

static void unref_bytes(void *bytes) {
  g_bytes_unref(bytes);
}

static void reply_plain(DmHttpRequest *request, guint status, const char *content_type, GBytes *body) {
  gsize size = 0;
  gconstpointer bytes = body != NULL ? g_bytes_get_data(body, &size) : NULL;
  struct MHD_Response *response = size == 0
    ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
    : MHD_create_response_from_buffer_with_free_callback_cls(size, (void *)bytes, unref_bytes, g_bytes_ref(body));
  http_send_response(request, status, content_type, response);
  expect_taken(request, size);
}

void dm_http_reply(DmHttpRequest *request, guint status, const char *content_type, GBytes *body) {
  g_return_if_fail(request->state == REQUEST_HANDED);
  if (body == NULL || !http_code_answer(request, content_type, g_bytes_get_size(body))) {
    reply_plain(request, status, content_type, body);
    return;
  }
  g_autoptr(GPtrArray) pieces = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  g_ptr_array_add(pieces, g_bytes_ref(body));
  http_reply_coded(request, status, content_type, pieces);
}

typedef struct {
  GPtrArray *pieces;
  guint at; /* the piece that is next */
  gsize offset;
} Reader;

static ssize_t read_pieces(void *data, uint64_t position, char *buffer, size_t room) {
  Reader *reader = data;
  gsize filled = 0;
  while (filled < room && reader->at < reader->pieces->len) {
    gsize size;
    const char *piece = g_bytes_get_data(reader->pieces->pdata[reader->at], &size);
    gsize part = MIN(size - reader->offset, room - filled);
    if (part > 0)
      memcpy(buffer + filled, piece + reader->offset, part);
    filled += part;
    reader->offset += part;
    if (reader->offset == size) {
      reader->at++;
      reader->offset = 0;
    }
  }
  return filled > 0 ? (ssize_t)filled : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_reader(void *data) {
  Reader *reader = data;
  g_ptr_array_unref(reader->pieces);
  g_free(reader);
}

static void unref_pieces(void *pieces) {
  g_ptr_array_unref(pieces);
}

static struct MHD_Response *response_of_few(GPtrArray *pieces) {
  struct MHD_IoVec vector[PIECES_AT_ONCE];
  for (guint i = 0; i < pieces->len; i++) {
    gsize size;
    vector[i].iov_base = g_bytes_get_data(pieces->pdata[i], &size);
    vector[i].iov_len = size;
  }
  return MHD_create_response_from_iovec(vector, pieces->len, unref_pieces, g_ptr_array_ref(pieces));
}

static struct MHD_Response *response_of_many(GPtrArray *pieces, guint64 total) {
  Reader *reader = g_new0(Reader, 1);
  reader->pieces = g_ptr_array_ref(pieces);
  return MHD_create_response_from_callback(total, WINDOW, read_pieces, reader, free_reader);
}

void dm_http_reply_pieces(DmHttpRequest *request, guint status, const char *content_type, GPtrArray *pieces) {
  g_return_if_fail(request->state == REQUEST_HANDED);
  guint64 total = 0;
  for (guint i = 0; i < pieces->len; i++)
    total += g_bytes_get_size(pieces->pdata[i]);
  if (http_code_answer(request, content_type, total)) {
    http_reply_coded(request, status, content_type, pieces);
    return;
  }
  http_send_response(request, status, content_type,
    pieces->len <= PIECES_AT_ONCE ? response_of_few(pieces) : response_of_many(pieces, total));
  expect_taken(request, total);
}
