/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refuses heads that a proxy in front of us may parse differently from libmicrohttpd: if the two disagree on the end of
 * a request, the rest becomes another client's request (request smuggling, RFC 9112, 11.2).
 *
 * libmicrohttpd 0.9.75 is silently lenient: it skips blanks before the target, includes a blank before the colon in the
 * name, truncates a line at a zero byte, ends one at a bare LF, and appends a folded line to the name of the previous
 * line. But it parses in place, so a head of plain lines is in memory as received, with zero bytes for "\r\n" and the
 * colon: each name directly follows the previous line, each value its name, and the last line directly precedes the
 * end. Otherwise the head is not made of plain lines. Version 1.0 is strict itself, and its layout may differ.
 */
#include <string.h>

#include "server_private.h"

#define CRLF 2
#define TOKEN_CHARS "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

typedef struct {
  guint lengths, encodings, hosts;
  gboolean chunked, plain;
  const char *next; /* where the next line must begin; NULL: checked by libmicrohttpd */
} Head;

static gboolean is_strict(void) {
  return g_ascii_strtoull(MHD_get_version(), NULL, 10) >= 1;
}

static gboolean is_token(const char *text, gsize size) {
  return size > 0 && strlen(text) == size && text[strspn(text, TOKEN_CHARS)] == '\0';
}

/* No control characters: some parsers end the line at a bare CR. */
static gboolean is_text(const char *text) {
  for (; *text != '\0'; text++) {
    if ((guchar)*text < ' ' ? *text != '\t' : *text == 0x7f)
      return FALSE;
  }
  return TRUE;
}

/* @value follows @name and its colon, and is followed by CRLF. */
static gboolean is_in_place(const char *name, gsize name_size, const char *value, gsize value_size) {
  const char *at = name + name_size + 1;
  if (value < at || value > at + strspn(at, " \t"))
    return FALSE;
  return value[value_size] == '\0' && value[value_size + 1] == '\0';
}

static enum MHD_Result note_line(
  void *data, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value, size_t value_size) {
  Head *head = data;
  head->plain = is_token(name, name_size) && value != NULL && is_text(value);
  if (head->plain && head->next != NULL) {
    head->plain = name == head->next && is_in_place(name, name_size, value, value_size);
    head->next = value + value_size + CRLF;
  }
  head->hosts += g_ascii_strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
  head->lengths += g_ascii_strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
  if (g_ascii_strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
    head->encodings++;
    head->chunked = value != NULL && g_ascii_strcasecmp(value, "chunked") == 0;
  }
  return head->plain ? MHD_YES : MHD_NO;
}

static gboolean is_plain_target(const DmHttpRequest *request) {
  for (const char *at = request->uri; *at != '\0'; at++) {
    if ((guchar)*at <= ' ' || *at == 0x7f)
      return FALSE;
  }
  return !request->target_cut;
}

/* An empty line follows the last one and ends the head. */
static gboolean is_at_end(const DmHttpRequest *request, const Head *head) {
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  return head->next == NULL || (info != NULL && head->next + CRLF == request->method + info->header_size);
}

const char *http_head_problem(const DmHttpRequest *request, const char *version) {
  Head head = {.plain = TRUE, .next = is_strict() ? NULL : version + strlen(version) + CRLF};
  MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, note_line, &head);
  if (!is_plain_target(request) || !head.plain || !is_at_end(request, &head))
    return "The request's head is malformed: send each header in a line of its own that ends with CR and LF, without a "
           "blank before the colon, and without control characters.\n";
  if (head.hosts > 1)
    return "The request names more than one host: send one Host.\n";
  gboolean may_be_chunked = g_str_equal(version, MHD_HTTP_VERSION_1_1);
  if (head.lengths + head.encodings > 1 || (head.encodings == 1 && !(head.chunked && may_be_chunked)))
    return "The length of the body is ambiguous: send one Content-Length, or "
           "Transfer-Encoding: chunked.\n";
  return NULL;
}

/* One zero byte, which was a blank, stands before the target, and one between it and the version. */
gboolean http_target_is_cut(const char *uri) {
  return !is_strict() && (uri[-1] == ' ' || !g_str_has_prefix(uri + strlen(uri) + 1, "HTTP/"));
}
