/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content coding (RFC 9110, 8.4): text goes out as gzip where the client accepts that. Lists of VMs repeat themselves,
 * and shrink to a tenth or less.
 *
 * What another site has a browser send carries no session, and tokens fit answers too small to be coded: so the size of
 * a coded answer tells nobody a secret (the BREACH attack).
 */
#include <string.h>

#include "server_private.h"

/* Smaller ones take one packet in any case. */
#define MIN_SIZE 1400

/* What is coded at a time: at most so much of the answer, of which there is at most so much then. Text takes so little
 * room as gzip that a client could else take a megabyte of it, and many of them seconds, before anybody else's turn. */
#define SLICE ((gsize)32 * 1024)
#define PART ((gsize)16 * 1024)

/* The fastest: it is done in the main loop. */
#define LEVEL 1

/* ---- whether ---- */

/* "gzip;q=0.5": 0 where it is not accepted; 1 without a q, or with one that is none. */
static double quality_of(char **parameters) {
  for (; *parameters != NULL; parameters++) {
    const char *text = g_strstrip(*parameters);
    if (g_ascii_strncasecmp(text, "q=", 2) == 0)
      return text[2] == '0' || text[2] == '1' ? g_ascii_strtod(text + 2, NULL) : 1;
  }
  return 1;
}

gboolean dm_http_accepts_gzip(const DmHttpRequest *request) {
  const char *header = dm_http_request_header(request, MHD_HTTP_HEADER_ACCEPT_ENCODING);
  g_auto(GStrv) codings = g_strsplit(header != NULL ? header : "", ",", -1);
  gboolean any = FALSE;
  for (char **coding = codings; *coding != NULL; coding++) {
    g_auto(GStrv) parts = g_strsplit(*coding, ";", -1);
    const char *name = parts[0] != NULL ? g_strstrip(parts[0]) : "";
    gboolean accepted = parts[0] != NULL && quality_of(parts + 1) > 0;
    if (g_ascii_strcasecmp(name, "gzip") == 0 || g_ascii_strcasecmp(name, "x-gzip") == 0)
      return accepted;
    if (strcmp(name, "*") == 0)
      any = accepted;
  }
  return any;
}

static gboolean is_text(const char *content_type) {
  static const char *const types[] = {"application/xml", "application/json", "text/"};
  for (gsize i = 0; content_type != NULL && i < G_N_ELEMENTS(types); i++) {
    if (g_str_has_prefix(content_type, types[i]))
      return TRUE;
  }
  return FALSE;
}

gboolean http_code_answer(DmHttpRequest *request, const char *content_type, guint64 size) {
  if (size < MIN_SIZE || !is_text(content_type) || http_has_reply_header(request, MHD_HTTP_HEADER_CONTENT_ENCODING))
    return FALSE;
  if (!http_has_reply_header(request, MHD_HTTP_HEADER_VARY))
    dm_http_reply_header(request, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
  if (!dm_http_accepts_gzip(request))
    return FALSE;
  dm_http_reply_header(request, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
  return TRUE;
}

/* ---- how ---- */

struct HttpCoder {
  GConverter *gzip;
  DmHttpNext next;
  gpointer data;
  GDestroyNotify destroy;
  GBytes *piece; /* NULL: the next one is still to be generated */
  gsize offset;  /* into it */
  gboolean at_end, finished;
};

HttpCoder *http_coder_new(DmHttpNext next, gpointer data, GDestroyNotify destroy) {
  HttpCoder *coder = g_new0(HttpCoder, 1);
  coder->gzip = G_CONVERTER(g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, LEVEL));
  coder->next = next;
  coder->data = data;
  coder->destroy = destroy;
  return coder;
}

void http_coder_free(gpointer data) {
  HttpCoder *coder = data;
  if (coder->piece != NULL)
    g_bytes_unref(coder->piece);
  coder->destroy(coder->data);
  g_object_unref(coder->gzip);
  g_free(coder);
}

/* Sets @size to what there is to code, at most @most; 0: the answer ends here. FALSE: it failed. */
static gboolean look_ahead(HttpCoder *coder, const char **bytes, gsize *size, gsize most) {
  *size = 0;
  *bytes = "";
  while (!coder->at_end) {
    gboolean failed = FALSE;
    if (coder->piece == NULL)
      coder->piece = coder->next(coder->data, &failed);
    if (failed)
      return FALSE;
    if (coder->piece == NULL) {
      coder->at_end = TRUE;
      break;
    }
    *bytes = g_bytes_get_data(coder->piece, size);
    if (*size > coder->offset) {
      *bytes += coder->offset;
      *size = MIN(*size - coder->offset, most);
      break;
    }
    g_clear_pointer(&coder->piece, g_bytes_unref);
    coder->offset = 0;
    *size = 0;
  }
  return TRUE;
}

/* Codes into @part, of which @has bytes are taken. */
static gboolean code_some(
  HttpCoder *coder, const char *bytes, gsize size, GConverterFlags flags, char *part, gsize *has) {
  gsize read = 0, written = 0;
  GConverterResult result =
    g_converter_convert(coder->gzip, bytes, size, part + *has, PART - *has, flags, &read, &written, NULL);
  coder->offset += read;
  *has += written;
  coder->finished = result == G_CONVERTER_FINISHED;
  return result != G_CONVERTER_ERROR;
}

GBytes *http_coder_next(gpointer data, gboolean *failed) {
  HttpCoder *coder = data;
  g_autofree char *part = g_malloc(PART);
  gsize has = 0, taken = 0;
  while (!*failed && !coder->finished && has < PART && taken < SLICE) {
    const char *bytes;
    gsize size;
    *failed = !look_ahead(coder, &bytes, &size, SLICE - taken) ||
      !code_some(coder, bytes, size, size == 0 ? G_CONVERTER_INPUT_AT_END : G_CONVERTER_NO_FLAGS, part, &has);
    taken += size;
  }
  if (!*failed && !coder->finished && has == 0) /* it is all still within the coder */
    *failed = !code_some(coder, "", 0, G_CONVERTER_FLUSH, part, &has);
  return has > 0 && !*failed ? g_bytes_new(part, has) : NULL;
}
