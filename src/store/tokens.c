/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file has SHA-256 of each token: who reads the file cannot use it. Looking the hash up is the comparison; an
 * attacker who measures its time learns about a hash that they cannot steer, and nothing about the token. A plain hash
 * is enough, because a token is 512 random bits, which nobody finds by trying.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "store_private.h"

#define TOKEN_BYTES 64
#define HASH_BYTES 32
#define RENEW_MS 60000

typedef struct {
  char *user;
  gint64 idle;    /* milliseconds */
  gint64 expires; /* milliseconds since 1970 */
} Token;

static void token_clear(Token *token) {
  g_free(token->user);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Token, token_clear)

static void hash_token(const char *token, guint8 hash[HASH_BYTES]) {
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  gsize length = HASH_BYTES;
  g_checksum_update(sum, (const guchar *)token, (gssize)strlen(token));
  g_checksum_get_digest(sum, hash, &length);
}

static void bind_hash(sqlite3_stmt *statement, int at, const guint8 hash[HASH_BYTES]) {
  sqlite3_bind_blob(statement, at, hash, HASH_BYTES, SQLITE_STATIC);
}

/* URL-safe base64 without padding (RFC 4648, 5). */
static char *url_safe(const guint8 *bytes, gsize length) {
  char *text = g_base64_encode(bytes, length);
  g_strdelimit(text, "+", '-');
  g_strdelimit(text, "/", '_');
  text[strcspn(text, "=")] = '\0';
  return text;
}

char *dm_store_token_new(DmStore *store, const char *user, guint idle_seconds, GError **error) {
  guint8 bytes[TOKEN_BYTES], hash[HASH_BYTES];
  /* The kernel gives up to 256 bytes whole; GLib's generator can be predicted. */
  if (getrandom(bytes, sizeof bytes, 0) != (gssize)sizeof bytes) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot make a token of %s: the kernel gives no random bytes: %s",
      user, g_strerror(errno));
    return NULL;
  }
  g_autofree char *token = url_safe(bytes, sizeof bytes);
  explicit_bzero(bytes, sizeof bytes);
  hash_token(token, hash);

  sqlite3_stmt *add = store->statements[STATEMENT_ADD_TOKEN];
  gint64 idle = (gint64)idle_seconds * 1000;
  bind_hash(add, 1, hash);
  sqlite3_bind_text(add, 2, user, -1, SQLITE_STATIC);
  sqlite3_bind_int64(add, 3, idle);
  sqlite3_bind_int64(add, 4, store->now() + idle);
  return store_run(store, add, error) ? g_steal_pointer(&token) : NULL;
}

/* FALSE: there is none, or it has expired, or the database cannot be read. */
static gboolean find_token(DmStore *store, const guint8 hash[HASH_BYTES], Token *token) {
  sqlite3_stmt *find = store->statements[STATEMENT_FIND_TOKEN];
  bind_hash(find, 1, hash);
  gboolean holds = sqlite3_step(find) == SQLITE_ROW && store->now() < sqlite3_column_int64(find, 2);
  if (holds) {
    token->user = g_strdup((const char *)sqlite3_column_text(find, 0));
    token->idle = sqlite3_column_int64(find, 1);
    token->expires = sqlite3_column_int64(find, 2);
  }
  store_reset(find);
  return holds;
}

/* A renewal that fails leaves a token that holds, so it is not waited for, and the next use tries again. */
static void renew(DmStore *store, const guint8 hash[HASH_BYTES], gint64 expires) {
  sqlite3_stmt *write = store->statements[STATEMENT_RENEW_TOKEN];
  sqlite3_bind_int64(write, 1, expires);
  bind_hash(write, 2, hash);
  sqlite3_busy_timeout(store->db, 0);
  store_run(store, write, NULL);
  sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
}

char *dm_store_token_user(DmStore *store, const char *token) {
  g_auto(Token) found = {0};
  guint8 hash[HASH_BYTES];
  if (token == NULL)
    return NULL;
  hash_token(token, hash);
  if (!find_token(store, hash, &found))
    return NULL;
  gint64 expires = store->now() + found.idle;
  /* A tenth, so that a token of a short idle time does not expire in use. */
  if (expires - found.expires >= MIN(RENEW_MS, found.idle / 10))
    renew(store, hash, expires);
  return g_steal_pointer(&found.user);
}

gint64 dm_store_token_expires(DmStore *store, const char *token) {
  g_auto(Token) found = {0};
  guint8 hash[HASH_BYTES];
  if (token == NULL)
    return 0;
  hash_token(token, hash);
  return find_token(store, hash, &found) ? found.expires : 0;
}

gboolean dm_store_token_revoke(DmStore *store, const char *token, GError **error) {
  sqlite3_stmt *revoke = store->statements[STATEMENT_REVOKE_TOKEN];
  guint8 hash[HASH_BYTES];
  if (token == NULL)
    return TRUE;
  hash_token(token, hash);
  bind_hash(revoke, 1, hash);
  return store_run(store, revoke, error);
}

gboolean dm_store_token_revoke_user(DmStore *store, const char *user, GError **error) {
  sqlite3_stmt *revoke = store->statements[STATEMENT_REVOKE_USER];
  sqlite3_bind_text(revoke, 1, user, -1, SQLITE_STATIC);
  return store_run(store, revoke, error);
}
