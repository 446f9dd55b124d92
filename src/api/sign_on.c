/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks. A password takes about 0.1 s of a worker thread to verify, so what was found out is remembered for a while:
 * under a keyed hash, never the password. A try that has to wait (attempts.c) waits on a timer and holds nothing.
 */
#include <string.h>
#include <sys/random.h>

#include "base/handoff.h"
#include "sign_on_private.h"

#define REMEMBER_PASSWORD (300 * G_USEC_PER_SEC)
#define REMEMBER_TOKEN (1 * G_USEC_PER_SEC) /* the store renews its tokens now and then */
#define MOST_REMEMBERED 4096
#define VERIFIERS 2

#define CHALLENGE "Basic realm=\"RESTAPI\""

typedef struct {
  char *user;
  gint64 until; /* monotonic */
} Known;

typedef struct {
  Call *call;
  SignOnFunc then;
  gpointer data;
} Waiter;

/* One password on its way through a verifier, for all who came with it meanwhile. */
typedef struct {
  SignOn *sign_on;
  char *credentials; /* their keyed hash */
  char *name, *password, *hash, *peer;
  gboolean good;
  GArray *waiters; /* Waiter */
} Check;

static void free_known(gpointer data) {
  Known *known = data;
  g_free(known->user);
  g_free(known);
}

static void free_check(Check *check) {
  if (check->password != NULL)
    explicit_bzero(check->password, strlen(check->password));
  g_free(check->credentials);
  g_free(check->name);
  g_free(check->password);
  g_free(check->hash);
  g_free(check->peer);
  g_array_unref(check->waiters);
  g_free(check);
}

/* ---- what is remembered ---- */

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

static void tell_failure(Call *call, const char *name) {
  audit(call->api, AUDIT_USER_LOGIN_FAILED, DM_SEVERITY_ERROR, NULL, NULL, call->correlation_id,
    "User %s from %s failed to log in", name, dm_http_request_peer(call->http));
}

/* ---- verifying ---- */

static void tell_waiter(const Waiter *waiter, SignOnResult result, const char *name) {
  if (result != SIGN_ON_GOOD)
    tell_failure(waiter->call, name);
  waiter->then(waiter->call, result, name, waiter->data);
}

static gboolean verified(gpointer data) {
  Check *check = data;
  DM_TAKE_OVER(check);
  SignOn *sign_on = check->sign_on;
  const DmUser *user = dm_users_find(sign_on->users, check->name);
  attempts_end(sign_on->attempts, check->peer, check->name, check->good);
  g_hash_table_remove(sign_on->checks, check->credentials);
  /* The users may have been read again meanwhile. */
  gboolean good = check->good && user != NULL && g_strcmp0(user->hash, check->hash) == 0;
  if (good)
    remember(sign_on, check->credentials, check->name, REMEMBER_PASSWORD);
  for (guint i = 0; i < check->waiters->len; i++)
    tell_waiter(&g_array_index(check->waiters, Waiter, i), good ? SIGN_ON_GOOD : SIGN_ON_WRONG, check->name);
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
  g_thread_pool_push(check->sign_on->verifiers, check, NULL);
  return G_SOURCE_REMOVE;
}

static Check *new_check(Call *call, const char *credentials, const char *name, const char *password) {
  Check *check = g_new0(Check, 1);
  check->sign_on = call->api->sign_on;
  const DmUser *user = dm_users_find(check->sign_on->users, name);
  check->credentials = g_strdup(credentials);
  check->name = g_strdup(name);
  check->password = g_strdup(password);
  check->hash = user != NULL ? g_strdup(user->hash) : NULL;
  check->peer = g_strdup(dm_http_request_peer(call->http));
  check->waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
  return check;
}

/* A keyed hash of name and password; of the address too, as each has its own turns. */
static char *hash_credentials(Call *call, const char *name, const char *password) {
  char *text = g_strjoin("\n", dm_http_request_peer(call->http), name, password, NULL);
  char *hash =
    g_compute_hmac_for_string(G_CHECKSUM_SHA256, call->api->sign_on->key, sizeof call->api->sign_on->key, text, -1);
  explicit_bzero(text, strlen(text));
  g_free(text);
  return hash;
}

void sign_on_verify(Call *call, const char *name, const char *password, SignOnFunc then, gpointer data) {
  SignOn *sign_on = call->api->sign_on;
  const Waiter waiter = {call, then, data};
  g_autofree char *credentials = hash_credentials(call, name, password);
  if (recall(sign_on, credentials) != NULL) {
    tell_waiter(&waiter, SIGN_ON_GOOD, name);
    return;
  }
  Check *check = g_hash_table_lookup(sign_on->checks, credentials);
  if (check != NULL) {
    g_array_append_val(check->waiters, waiter);
    return;
  }
  gint64 wait = attempts_begin(sign_on->attempts, dm_http_request_peer(call->http), name);
  if (wait < 0) {
    tell_waiter(&waiter, SIGN_ON_LATER, name);
    return;
  }
  check = new_check(call, credentials, name, password);
  g_array_append_val(check->waiters, waiter);
  g_hash_table_insert(sign_on->checks, check->credentials, check);
  if (wait > 0)
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

static void basic_verified(Call *call, SignOnResult result, const char *name, gpointer data) {
  void (*then)(Call *) = data;
  if (result == SIGN_ON_GOOD && admit(call, name))
    then(call);
  else
    reply_unauthorized(call);
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
  *colon = '\0';
  sign_on_verify(call, text, colon + 1, basic_verified, then);
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
  sign_on->checks = g_hash_table_new(g_str_hash, g_str_equal);
  sign_on->attempts = attempts_new();
  sign_on->verifiers = g_thread_pool_new(verify_in_thread, NULL, VERIFIERS, FALSE, NULL);
  return sign_on;
}

void sign_on_free(SignOn *sign_on) {
  if (sign_on == NULL)
    return;
  g_thread_pool_free(sign_on->verifiers, FALSE, TRUE);
  g_hash_table_unref(sign_on->known);
  g_hash_table_unref(sign_on->checks);
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
  /* Before the first user there need not be a file; later one that is gone would revoke everybody's tokens. */
  DmUsers *users = sign_on_count(sign_on) > 0 ? dm_users_load_existing(sign_on->users_file, error)
                                              : dm_users_load(sign_on->users_file, error);
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
