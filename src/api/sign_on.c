/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks. A password takes about 0.1 s of a worker thread to verify, so what was found out is remembered for a while:
 * under a keyed hash, never the password. A try that has to wait (attempts.c) waits on a timer and holds nothing.
 */
#include <string.h>
#include <sys/random.h>

#include "base/handoff.h"
#include "sign_on_private.h"

#define REMEMBER_BASIC (300 * G_USEC_PER_SEC)
#define REMEMBER_TOKEN (1 * G_USEC_PER_SEC) /* the store renews its tokens now and then */
#define MOST_REMEMBERED 4096
#define FREE_TRIES 3          /* of one name from one address */
#define FREE_TRIES_OF_PEER 30 /* of any names from one address */
#define VERIFIERS 2

#define CHALLENGE "Basic realm=\"RESTAPI\""

typedef struct {
  char *user;
  gint64 until; /* monotonic */
} Known;

/* One password on its way through a verifier. */
typedef struct {
  Call *call;
  char *name, *password, *hash;
  char *key, *peer_key; /* of its failures */
  gboolean good;
  void (*then)(struct Call *call, gboolean good, const char *name, gpointer data);
  gpointer data;
} Check;

static void free_known(gpointer data) {
  Known *known = data;
  g_free(known->user);
  g_free(known);
}

static void free_check(Check *check) {
  if (check->password != NULL)
    explicit_bzero(check->password, strlen(check->password));
  g_free(check->name);
  g_free(check->password);
  g_free(check->hash);
  g_free(check->key);
  g_free(check->peer_key);
  g_free(check);
}

/* ---- what is remembered ---- */

static char *keyed_hash(const SignOn *sign_on, const char *text) {
  return g_compute_hmac_for_string(G_CHECKSUM_SHA256, sign_on->key, sizeof sign_on->key, text, -1);
}

static const char *recall(SignOn *sign_on, const char *hash) {
  Known *known = g_hash_table_lookup(sign_on->known, hash);
  return known != NULL && known->until > g_get_monotonic_time() ? known->user : NULL;
}

static void remember(SignOn *sign_on, const char *hash, const char *user, gint64 microseconds) {
  if (g_hash_table_size(sign_on->known) >= MOST_REMEMBERED)
    g_hash_table_remove_all(sign_on->known);
  Known *known = g_new(Known, 1);
  known->user = g_strdup(user);
  known->until = g_get_monotonic_time() + microseconds;
  g_hash_table_replace(sign_on->known, g_strdup(hash), known);
}

/* Of one name from one address, and of any name from it: who tries many names is slowed down as well. */
static char *failure_key(const Call *call, const char *name) {
  return g_strdup_printf("%s %s", dm_http_request_peer(call->http), name != NULL ? name : "");
}

static void tell_failure(Call *call, const char *name) {
  audit(call->api, AUDIT_USER_LOGIN_FAILED, DM_SEVERITY_ERROR, NULL, NULL, call->correlation_id,
    "User %s from %s failed to log in", name, dm_http_request_peer(call->http));
}

/* ---- verifying ---- */

static gboolean verified(gpointer data) {
  Check *check = data;
  DM_TAKE_OVER(check);
  attempts_end(check->call->api->sign_on->attempts, check->key, check->good);
  attempts_end(check->call->api->sign_on->attempts, check->peer_key, check->good);
  if (!check->good)
    tell_failure(check->call, check->name);
  check->then(check->call, check->good, check->name, check->data);
  free_check(check);
  return G_SOURCE_REMOVE;
}

static void verify_in_thread(gpointer data, gpointer unused) {
  Check *check = data;
  DM_TAKE_OVER(check);
  check->good = dm_users_verify(check->hash, check->password);
  DM_HAND_OVER(check);
  g_idle_add_full(G_PRIORITY_DEFAULT, verified, check, NULL);
}

static gboolean begin_verify(gpointer data) {
  Check *check = data;
  DM_HAND_OVER(check);
  g_thread_pool_push(check->call->api->sign_on->verifiers, check, NULL);
  return G_SOURCE_REMOVE;
}

void sign_on_verify(Call *call, const char *name, const char *password,
  void (*then)(Call *call, gboolean good, const char *name, gpointer data), gpointer data) {
  SignOn *sign_on = call->api->sign_on;
  const DmUser *user = dm_users_find(sign_on->users, name);
  Check *check = g_new0(Check, 1);
  check->call = call;
  check->name = g_strdup(name);
  check->password = g_strdup(password);
  check->hash = user != NULL ? g_strdup(user->hash) : NULL;
  check->then = then;
  check->data = data;
  check->key = failure_key(call, name);
  check->peer_key = failure_key(call, NULL);
  gint64 wait = attempts_begin(sign_on->attempts, check->key, FREE_TRIES);
  wait = MAX(wait, attempts_begin(sign_on->attempts, check->peer_key, FREE_TRIES_OF_PEER));
  if (wait > ATTEMPTS_LONGEST_WAIT)
    g_idle_add(verified, check); /* too many wait already: not even looked at */
  else if (wait > 0)
    g_timeout_add((guint)(wait / 1000), begin_verify, check);
  else
    begin_verify(check);
}

/* ---- Basic and Bearer ---- */

static void reply_unauthorized(Call *call) {
  dm_http_reply_header(call->http, "WWW-Authenticate", CHALLENGE);
  reply_empty(call, 401);
}

/* A user that was deleted, or whose name never was, may nothing. */
static gboolean admit(Call *call, const char *name) {
  const DmUser *user = dm_users_find(call->api->sign_on->users, name);
  if (user == NULL)
    return FALSE;
  call->user = g_strdup(user->name);
  call->role = user->role;
  return TRUE;
}

typedef struct {
  char *hash;
  void (*then)(Call *call);
} Basic;

static void basic_verified(Call *call, gboolean good, const char *name, gpointer data) {
  Basic *basic = data;
  if (good && admit(call, name)) {
    remember(call->api->sign_on, basic->hash, name, REMEMBER_BASIC);
    basic->then(call);
  } else {
    reply_unauthorized(call);
  }
  g_free(basic->hash);
  g_free(basic);
}

static void check_basic(Call *call, const char *encoded, void (*then)(Call *call)) {
  gsize length = 0;
  g_autofree guchar *decoded = g_base64_decode(encoded, &length);
  g_autofree char *text = g_strndup((const char *)decoded, length);
  char *colon = strchr(text, ':');
  if (colon == NULL || strlen(text) != length || !g_utf8_validate(text, -1, NULL)) {
    reply_unauthorized(call);
    return;
  }
  g_autofree char *hash = keyed_hash(call->api->sign_on, text);
  const char *known = recall(call->api->sign_on, hash);
  if (known != NULL && admit(call, known)) {
    then(call);
    return;
  }
  Basic *basic = g_new0(Basic, 1);
  basic->hash = g_steal_pointer(&hash);
  basic->then = then;
  *colon = '\0';
  sign_on_verify(call, text, colon + 1, basic_verified, basic);
  explicit_bzero(text, length);
}

static void check_bearer(Call *call, const char *token, void (*then)(Call *call)) {
  SignOn *sign_on = call->api->sign_on;
  g_autofree char *stored = NULL;
  const char *user = recall(sign_on, token);
  if (user == NULL) {
    stored = dm_store_token_user(sign_on->store, token);
    if (stored != NULL)
      remember(sign_on, token, stored, REMEMBER_TOKEN);
    user = stored;
  }
  if (user != NULL && admit(call, user))
    then(call);
  else
    reply_unauthorized(call);
}

void sign_on_check(Call *call, void (*then)(Call *call)) {
  const char *given = dm_http_request_header(call->http, "Authorization");
  if (given != NULL && g_ascii_strncasecmp(given, "Bearer ", 7) == 0)
    check_bearer(call, given + 7, then);
  else if (given != NULL && g_ascii_strncasecmp(given, "Basic ", 6) == 0)
    check_basic(call, given + 6, then);
  else
    reply_unauthorized(call);
}

/* ---- life ---- */

SignOn *sign_on_new(DmStore *store, const char *users_file, guint idle_seconds, GError **error) {
  DmUsers *users = dm_users_load(users_file, error);
  if (users == NULL)
    return NULL;
  SignOn *sign_on = g_new0(SignOn, 1);
  sign_on->store = store;
  sign_on->users_file = g_strdup(users_file);
  sign_on->idle_seconds = idle_seconds;
  sign_on->users = users;
  if (getrandom(sign_on->key, sizeof sign_on->key, 0) != (ssize_t)sizeof sign_on->key)
    g_error("the kernel gives no random numbers");
  sign_on->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_known);
  sign_on->attempts = attempts_new();
  sign_on->verifiers = g_thread_pool_new(verify_in_thread, NULL, VERIFIERS, FALSE, NULL);
  return sign_on;
}

void sign_on_free(SignOn *sign_on) {
  if (sign_on == NULL)
    return;
  g_thread_pool_free(sign_on->verifiers, FALSE, TRUE);
  g_hash_table_unref(sign_on->known);
  attempts_free(sign_on->attempts);
  dm_users_free(sign_on->users);
  g_free(sign_on->users_file);
  g_free(sign_on);
}

/* Whoever was deleted, or has another password, signs on anew. */
static void revoke_changed(SignOn *sign_on, const DmUsers *newer) {
  const GPtrArray *old = dm_users_list(sign_on->users);
  for (guint i = 0; i < old->len; i++) {
    g_autoptr(GError) error = NULL;
    const DmUser *user = old->pdata[i], *now = dm_users_find(newer, user->name);
    if (now != NULL && g_str_equal(now->hash, user->hash))
      continue;
    if (!dm_store_token_revoke_user(sign_on->store, user->name, &error))
      g_log_structured("dimmer", G_LOG_LEVEL_WARNING, "USER", user->name, "MESSAGE", "%s", error->message);
  }
}

gboolean sign_on_reload(SignOn *sign_on, GError **error) {
  DmUsers *users = dm_users_load(sign_on->users_file, error);
  if (users == NULL)
    return FALSE;
  revoke_changed(sign_on, users);
  dm_users_free(sign_on->users);
  sign_on->users = users;
  g_hash_table_remove_all(sign_on->known); /* a password may have changed */
  return TRUE;
}

guint sign_on_count(const SignOn *sign_on) {
  return dm_users_list(sign_on->users)->len;
}
