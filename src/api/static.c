/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebAdmin's files: read once, into a table in which requests are looked up. No path from a client reaches the file
 * system.
 *
 * scripts/build-web creates index.html and one folder, named by a hash of its content. So files in the folder never
 * change and may be cached forever, while index.html, which names the folder, is revalidated each time.
 */
#include <gio/gio.h>
#include <string.h>

#include "base/error.h"
#include "handlers.h"

#define INDEX "index.html"
#define ICON "icon.svg"

/* No other sources, nothing inline, no framing. */
static const char policy[] =
  "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
  "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
  "frame-ancestors 'none'";

typedef struct {
  GBytes *plain, *packed; /* gzip-compressed; NULL: not worth it */
  const char *type;
  char *tag;
} File;

struct Page {
  GHashTable *files; /* "index.html", "HASH/app.js" → File */
  const File *icon;  /* one of them; NULL: none */
};

static const char *type_of(const char *name) {
  static const char *const types[][2] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".woff2", "font/woff2"},
    {".txt", "text/plain; charset=utf-8"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
    if (g_str_has_suffix(name, types[i][0]))
      return types[i][1];
  }
  return NULL;
}

static void free_file(gpointer data) {
  File *file = data;
  g_bytes_unref(file->plain);
  g_clear_pointer(&file->packed, g_bytes_unref);
  g_free(file->tag);
  g_free(file);
}

/* NULL: would not be smaller. */
static GBytes *pack(GBytes *plain) {
  g_autoptr(GZlibCompressor) gzip = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 9);
  g_autoptr(GOutputStream) memory = g_memory_output_stream_new_resizable();
  g_autoptr(GOutputStream) stream = g_converter_output_stream_new(memory, G_CONVERTER(gzip));
  gsize size = 0;
  gconstpointer data = g_bytes_get_data(plain, &size);
  if (!g_output_stream_write_all(stream, data, size, NULL, NULL, NULL) || !g_output_stream_close(stream, NULL, NULL))
    return NULL;
  g_autoptr(GBytes) packed = g_memory_output_stream_steal_as_bytes(G_MEMORY_OUTPUT_STREAM(memory));
  return g_bytes_get_size(packed) < size ? g_steal_pointer(&packed) : NULL;
}

static gboolean load_file(Page *page, const char *folder, const char *name, GError **error) {
  char *text = NULL;
  gsize size = 0;
  const char *type = type_of(name);
  g_autofree char *path = g_build_filename(folder, name, NULL);
  if (type == NULL)
    return TRUE;
  if (!g_file_get_contents(path, &text, &size, error))
    return FALSE;
  File *file = g_new0(File, 1);
  file->plain = g_bytes_new_take(text, size);
  file->packed = g_str_has_prefix(type, "font/") ? NULL : pack(file->plain);
  file->type = type;
  g_autofree char *sum = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, file->plain);
  file->tag = g_strdup_printf("\"%.16s\"", sum);
  g_hash_table_insert(page->files, g_strdup(name), file);
  if (g_str_has_suffix(name, "/" ICON))
    page->icon = file;
  return TRUE;
}

/* @below: "" or a folder of @folder; there are no nested folders. */
static gboolean load_folder(Page *page, const char *folder, const char *below, GError **error) {
  g_autofree char *path = g_build_filename(folder, below, NULL);
  g_autoptr(GDir) entries = g_dir_open(path, 0, error);
  if (entries == NULL)
    return FALSE;
  for (const char *entry; (entry = g_dir_read_name(entries)) != NULL;) {
    g_autofree char *name = *below != '\0' ? g_strconcat(below, "/", entry, NULL) : g_strdup(entry);
    g_autofree char *whole = g_build_filename(folder, name, NULL);
    gboolean is_folder = g_file_test(whole, G_FILE_TEST_IS_DIR);
    if (is_folder && *below != '\0')
      continue;
    if (!(is_folder ? load_folder(page, folder, name, error) : load_file(page, folder, name, error)))
      return FALSE;
  }
  return TRUE;
}

Page *page_new(const char *folder, GError **error) {
  g_autoptr(GError) failed = NULL;
  Page *page = g_new0(Page, 1);
  page->files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_file);
  if (folder == NULL || (load_folder(page, folder, "", &failed) && g_hash_table_contains(page->files, INDEX)))
    return page;
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot read the WebAdmin page in %s: %s; see [server] web", folder,
    failed != NULL ? failed->message : "there is no " INDEX);
  page_free(page);
  return NULL;
}

void page_free(Page *page) {
  if (page == NULL)
    return;
  g_hash_table_unref(page->files);
  g_free(page);
}

/* ---- requests ---- */

static void reply_file(Call *call, const File *file, const char *cache) {
  const char *known = dm_http_request_header(call->http, "If-None-Match");
  gboolean packed = file->packed != NULL && dm_http_accepts_gzip(call->http);
  dm_http_reply_header(call->http, "Cache-Control", cache);
  dm_http_reply_header(call->http, "ETag", file->tag);
  dm_http_reply_header(call->http, "Vary", "Accept-Encoding");
  dm_http_reply_header(call->http, "Content-Security-Policy", policy);
  dm_http_reply_header(call->http, "X-Content-Type-Options", "nosniff");
  dm_http_reply_header(call->http, "Referrer-Policy", "no-referrer");
  if (known != NULL && strstr(known, file->tag) != NULL) {
    reply_empty(call, 304);
    return;
  }
  if (packed)
    dm_http_reply_header(call->http, "Content-Encoding", "gzip");
  reply_bytes(call, 200, file->type, packed ? file->packed : file->plain);
}

void handle_web_root(Call *call) {
  dm_http_reply_header(call->http, "Location", WEB_BASE "/");
  reply_empty(call, 302);
}

void handle_web_index(Call *call) {
  const File *file = g_hash_table_lookup(call->api->page->files, INDEX);
  if (file != NULL)
    reply_file(call, file, "no-cache");
  else
    reply_text(call, 404, "text/plain; charset=utf-8",
      "This dimmerd was started without its WebAdmin page; see [server] web in dimmerd.conf.\n");
}

/* Browsers request /favicon.ico for pages without an icon, such as API answers; they accept any image type. */
void handle_web_icon(Call *call) {
  if (call->api->page->icon != NULL)
    reply_file(call, call->api->page->icon, "no-cache");
  else
    reply_empty(call, 404);
}

void handle_web_file(Call *call) {
  g_autofree char *name = g_strconcat(call->ids[0], "/", call->ids[1], NULL);
  const File *file = g_hash_table_lookup(call->api->page->files, name);
  if (file != NULL)
    reply_file(call, file, "public, max-age=31536000, immutable");
  else
    reply_empty(call, 404);
}
