/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are lists. Short ones are sent as a whole; longer ones are generated while they are read, so that they
 * use no memory and do not block others, and stop with their reader. One that would be too large, extrapolated from its
 * beginning, is refused before anything is sent.
 */
#include <string.h>

#include "base/error.h"
#include "call.h"

#define MOMENT (G_TIME_SPAN_MILLISECOND * 4)
#define MOST ((guint64)512 * 1024 * 1024) /* bytes of an answer */

typedef struct {
  Call *call; /* valid while more is requested */
  const char *root, *item;
  GPtrArray *items;
  TextFunc text_of;
  guint at;       /* the next item */
  guint made;     /* pieces of items */
  guint64 bytes;  /* in them */
  gboolean ended; /* no more pieces will come */
  GQueue pieces;  /* GBytes generated already, once it is sent in parts */
} Listing;

GBytes *text_of_node(Call *call, DmNode *node, GError **error) {
  g_autoptr(DmNode) owned = node;
  if (!call->api->follow(call, owned, error))
    return NULL;
  GString *text = g_string_new(NULL);
  write_node(call, owned, text);
  return g_string_free_to_bytes(text);
}

static void unref_bytes(gpointer bytes) {
  g_bytes_unref(bytes);
}

static void free_listing(gpointer data) {
  Listing *listing = data;
  g_queue_clear_full(&listing->pieces, unref_bytes);
  g_ptr_array_unref(listing->items);
  g_free(listing);
}

/* With the text before the first item, or between two. */
static GBytes *beginning(const Listing *listing) {
  gboolean json = listing->call->format == DM_FORMAT_JSON;
  if (json && listing->made > 0)
    return g_bytes_new_static(",", 1);
  GString *text = g_string_new(dm_format_declaration(listing->call->format));
  g_string_append_printf(text, json ? "{\"%s\":[" : "<%s>", json ? listing->item : listing->root);
  return g_string_free_to_bytes(text);
}

static GBytes *ending(const Listing *listing) {
  gboolean json = listing->call->format == DM_FORMAT_JSON;
  GString *text = g_string_new(listing->made > 0 || json ? NULL : dm_format_declaration(listing->call->format));
  if (listing->made > 0)
    g_string_append_printf(text, json ? "]}" : "</%s>", listing->root);
  else
    g_string_append_printf(text, json ? "{}" : "<%s/>", listing->root);
  return g_string_free_to_bytes(text);
}

/* Appends the pieces of the next item, or of the end. FALSE: @error. */
static gboolean make_more(Listing *listing, GError **error) {
  g_autoptr(GError) failed = NULL;
  GBytes *text = NULL;
  while (text == NULL && failed == NULL && listing->at < listing->items->len)
    text = listing->text_of(listing->call, listing->items->pdata[listing->at++], &failed);
  if (failed != NULL) {
    g_propagate_error(error, g_steal_pointer(&failed));
    return FALSE;
  }
  listing->ended = text == NULL;
  if (text == NULL) {
    g_queue_push_tail(&listing->pieces, ending(listing));
    return TRUE;
  }
  if (listing->made == 0 || listing->call->format == DM_FORMAT_JSON)
    g_queue_push_tail(&listing->pieces, beginning(listing));
  g_queue_push_tail(&listing->pieces, text);
  listing->made++;
  listing->bytes += g_bytes_get_size(text);
  return TRUE;
}

static GBytes *next_piece(gpointer data, gboolean *failed) {
  Listing *listing = data;
  g_autoptr(GError) error = NULL;
  if (g_queue_is_empty(&listing->pieces) && !listing->ended && !make_more(listing, &error)) {
    g_warning("an answer is cut off: %s", error->message);
    *failed = TRUE;
  }
  return g_queue_pop_head(&listing->pieces);
}

static gboolean check_size(const Listing *listing, GError **error) {
  guint64 all = listing->made > 0 ? listing->bytes / listing->made * listing->items->len : 0;
  if (all <= MOST)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
    "the answer would have some %" G_GUINT64_FORMAT
    " MiB, and has %d at most; ask for a page, by max and page, or follow "
    "less",
    all / 1024 / 1024, (int)(MOST / 1024 / 1024));
  return FALSE;
}

static void begin(Call *call) {
  dm_http_reply_header(call->http, "Correlation-Id", call->correlation_id);
  call_answered(call, 200);
}

/* All that was generated already. */
static void reply_whole(Call *call, Listing *listing) {
  g_autoptr(GPtrArray) pieces = g_ptr_array_new_full(listing->pieces.length, unref_bytes);
  for (GBytes *piece; (piece = g_queue_pop_head(&listing->pieces)) != NULL;)
    g_ptr_array_add(pieces, piece);
  dm_http_reply_pieces(call->http, 200, dm_format_content_type(call->format), pieces);
  free_listing(listing);
}

void reply_one(Call *call, GBytes *text) {
  const char *declaration = dm_format_declaration(call->format);
  g_autoptr(GPtrArray) pieces = g_ptr_array_new_full(2, unref_bytes);
  g_ptr_array_add(pieces, g_bytes_new_static(declaration, strlen(declaration)));
  g_ptr_array_add(pieces, text);
  begin(call);
  dm_http_reply_pieces(call->http, 200, dm_format_content_type(call->format), pieces);
}

void reply_list(Call *call, const char *root, const char *item, GPtrArray *items, TextFunc text_of) {
  g_autoptr(GError) error = NULL;
  Listing *listing = g_new0(Listing, 1);
  *listing = (Listing){.call = call, .root = root, .item = item, .items = items, .text_of = text_of};
  gint64 until = g_get_monotonic_time() + MOMENT;
  gboolean well = TRUE;
  while (well && !listing->ended && (listing->made == 0 || g_get_monotonic_time() < until))
    well = make_more(listing, &error);
  if (!well || !check_size(listing, &error)) {
    reply_error(call, error);
    free_listing(listing);
    return;
  }
  begin(call);
  if (listing->ended)
    reply_whole(call, listing);
  else
    dm_http_reply_pulled(call->http, 200, dm_format_content_type(call->format), next_piece, listing, free_listing);
}
