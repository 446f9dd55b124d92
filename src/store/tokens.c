/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Valid tokens are kept in memory, so that authentication needs no disk access, and are written by the thread, so that
 * they survive a restart. Memory and file contain the SHA-256 of each token, which is useless to a reader. The hash
 * lookup is the comparison; an attacker who measures its time learns about a hash they cannot control, and nothing
 * about the token. A plain hash is enough, because a token is 512 random bits, beyond brute force.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "store_private.h"

#define TOKEN_BYTES 64
#define RENEW_MS 60000
#define MOST_TOKENS 10000

/* ---- the table ---- */

static guint hash_of_key(gconstpointer key) {
  guint hash;
  memcpy(&hash, key, sizeof hash);
  return hash;
}

static gboolean is_same_key(gconstpointer a, gconstpointer b) {
  return memcmp(a, b, TOKEN_HASH_BYTES) == 0;
}

void token_free(gpointer data) {
  Token *token = data;
  g_free(token->user);
  g_free(token->binding);
  g_free(token);
}

GHashTable *tokens_new(void) {
  return g_hash_table_new_full(hash_of_key, is_same_key, g_free, token_free);
}

static void put(GHashTable *tokens, const guint8 hash[TOKEN_HASH_BYTES], const Token *token) {
  Token *copy = g_memdup2(token, sizeof *token);
  copy->user = g_strdup(token->user);
  copy->binding = g_strdup(token->binding);
  g_hash_table_replace(tokens, g_memdup2(hash, TOKEN_HASH_BYTES), copy);
}

gboolean store_load_tokens(DmStore *store, GError **error) {
  sqlite3_stmt *all = store->database.statements[STATEMENT_ALL_TOKENS];
  int step = sqlite3_step(all);
  for (; step == SQLITE_ROW; step = sqlite3_step(all)) {
    const Token token = {
      .user = (char *)sqlite3_column_text(all, 1),
      .idle = sqlite3_column_int64(all, 2),
      .expires = sqlite3_column_int64(all, 3),
      .ends = sqlite3_column_int64(all, 4),
      .binding = (char *)sqlite3_column_text(all, 5),
    };
    if (sqlite3_column_bytes(all, 0) == TOKEN_HASH_BYTES && token.user != NULL)
      put(store->tokens, sqlite3_column_blob(all, 0), &token);
  }
  gboolean well = step == SQLITE_DONE || database_fail(&store->database, "read", error);
  database_reset(all);
  return well;
}

/* Its present state in memory, or its removal. */
static void write_later(DmStore *store, const guint8 hash[TOKEN_HASH_BYTES]) {
  static const Token gone;
  const Token *token = g_hash_table_lookup(store->tokens, hash);
  store_lock(store);
  put(store->token_changes, hash, token != NULL ? token : &gone);
  store_wake(store);
  store_unlock(store);
}

static void remove_token(DmStore *store, const guint8 hash[TOKEN_HASH_BYTES]) {
  if (g_hash_table_remove(store->tokens, hash))
    write_later(store, hash);
}

/* The one to expire first. */
static void make_room(DmStore *store) {
  GHashTableIter iter;
  gpointer key, value, first = NULL;
  gint64 expires = G_MAXINT64;
  if (g_hash_table_size(store->tokens) < MOST_TOKENS)
    return;
  g_hash_table_iter_init(&iter, store->tokens);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    if (((Token *)value)->expires < expires) {
      expires = ((Token *)value)->expires;
      first = key;
    }
  }
  g_autofree guint8 *hash = g_memdup2(first, TOKEN_HASH_BYTES);
  remove_token(store, hash);
}

/* ---- for callers ---- */

static void hash_token(const char *token, guint8 hash[TOKEN_HASH_BYTES]) {
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  gsize length = TOKEN_HASH_BYTES;
  g_checksum_update(sum, (const guchar *)token, (gssize)strlen(token));
  g_checksum_get_digest(sum, hash, &length);
}

/* URL-safe base64 without padding (RFC 4648, 5). */
static char *url_safe(const guint8 *bytes, gsize length) {
  char *text = g_base64_encode(bytes, length);
  g_strdelimit(text, "+", '-');
  g_strdelimit(text, "/", '_');
  text[strcspn(text, "=")] = '\0';
  return text;
}

char *dm_store_token_new(
  DmStore *store, const char *user, const char *binding, guint idle_seconds, guint life_seconds, GError **error) {
  guint8 bytes[TOKEN_BYTES], hash[TOKEN_HASH_BYTES];
  /* The kernel returns up to 256 bytes in one call; GLib's generator is predictable. */
  if (getrandom(bytes, sizeof bytes, 0) != (gssize)sizeof bytes) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot make a token for %s: no random bytes from the kernel: %s",
      user, g_strerror(errno));
    return NULL;
  }
  g_autofree char *token = url_safe(bytes, sizeof bytes);
  explicit_bzero(bytes, sizeof bytes);
  hash_token(token, hash);

  gint64 idle = (gint64)idle_seconds * 1000, ends = store->now() + (gint64)life_seconds * 1000;
  const Token made = {.user = (char *)user,
    .idle = idle,
    .expires = MIN(store->now() + idle, ends),
    .ends = ends,
    .binding = (char *)binding};
  make_room(store);
  put(store->tokens, hash, &made);
  write_later(store, hash);
  return g_steal_pointer(&token);
}

/* NULL: none, or expired. */
static Token *find_token(DmStore *store, const char *token, guint8 hash[TOKEN_HASH_BYTES]) {
  if (token == NULL)
    return NULL;
  hash_token(token, hash);
  Token *found = g_hash_table_lookup(store->tokens, hash);
  return found != NULL && store->now() < MIN(found->expires, found->ends) ? found : NULL;
}

char *dm_store_token_user(DmStore *store, const char *token) {
  guint8 hash[TOKEN_HASH_BYTES];
  Token *found = find_token(store, token, hash);
  if (found == NULL)
    return NULL;
  gint64 expires = MIN(store->now() + found->idle, found->ends);
  /* A tenth, so that a token of a short idle time does not expire in use. */
  if (expires - found->expires >= MIN(RENEW_MS, found->idle / 10)) {
    found->expires = expires;
    write_later(store, hash);
  }
  return g_strdup(found->user);
}

gint64 dm_store_token_expires(DmStore *store, const char *token) {
  guint8 hash[TOKEN_HASH_BYTES];
  const Token *found = find_token(store, token, hash);
  return found != NULL ? found->expires : 0;
}

void dm_store_token_revoke(DmStore *store, const char *token) {
  guint8 hash[TOKEN_HASH_BYTES];
  if (token == NULL)
    return;
  hash_token(token, hash);
  remove_token(store, hash);
}

void dm_store_token_keep(
  DmStore *store, gboolean (*holds)(const char *user, const char *binding, gpointer data), gpointer data) {
  GHashTableIter iter;
  gpointer key, value;
  g_autoptr(GPtrArray) hashes = g_ptr_array_new_with_free_func(g_free);
  g_hash_table_iter_init(&iter, store->tokens);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    const Token *token = value;
    if (!holds(token->user, token->binding, data))
      g_ptr_array_add(hashes, g_memdup2(key, TOKEN_HASH_BYTES));
  }
  for (guint i = 0; i < hashes->len; i++)
    remove_token(store, hashes->pdata[i]);
}
