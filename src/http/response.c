/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an answer, and its way to libmicrohttpd. */
#include <string.h>

#include "server_private.h"

/* A client that used TLS once uses nothing else for a year (HSTS, RFC 6797). */
#define STRICT_TRANSPORT "max-age=31536000"

struct ReplyHeader {
  ReplyHeader *next;
  const char *value; /* behind the name */
  char name[];
};

void dm_http_reply_header(DmHttpRequest *request, const char *name, const char *value) {
  gsize name_size = strlen(name) + 1, value_size = strlen(value) + 1;
  ReplyHeader *header = g_malloc(sizeof *header + name_size + value_size);
  memcpy(header->name, name, name_size);
  header->value = memcpy(header->name + name_size, value, value_size);
  header->next = NULL;
  ReplyHeader **end = &request->headers;
  while (*end != NULL)
    end = &(*end)->next;
  *end = header;
}

gboolean http_has_reply_header(const DmHttpRequest *request, const char *name) {
  const ReplyHeader *header = request->headers;
  while (header != NULL && g_ascii_strcasecmp(header->name, name) != 0)
    header = header->next;
  return header != NULL;
}

void http_free_reply_headers(DmHttpRequest *request) {
  while (request->headers != NULL) {
    ReplyHeader *next = request->headers->next;
    g_free(request->headers);
    request->headers = next;
  }
}

void http_send_response(DmHttpRequest *request, guint status, const char *content_type, struct MHD_Response *response) {
  if (content_type != NULL)
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
  if (dm_http_request_is_tls(request))
    MHD_add_response_header(response, "Strict-Transport-Security", STRICT_TRANSPORT);
  for (const ReplyHeader *header = request->headers; header != NULL; header = header->next)
    MHD_add_response_header(response, header->name, header->value);
  if (request->is_last) {
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    http_connection_of(request)->lingers = TRUE;
  }
  request->state = REQUEST_ANSWERED;
  request->failed = MHD_queue_response(request->connection, status, response) != MHD_YES;
  MHD_destroy_response(response);
  if (request->suspended) {
    request->suspended = FALSE;
    http_resume(request);
  }
}
