/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks. A password takes about 0.1 s of a worker thread to verify, so what was found out is remembered for a while:
 * under a keyed hash, never the password. Failures of one name from one address make the next try wait, twice as long
 * each time; the wait is a timer and holds nothing.
 */
#include <string.h>
#include <sys/random.h>

#include "api_private.h"
#include "base/error.h"
#include "base/handoff.h"

#define REMEMBER_BASIC (300 * G_USEC_PER_SEC)
#define REMEMBER_TOKEN (1 * G_USEC_PER_SEC) /* the store renews its tokens now and then */
#define MOST_REMEMBERED 4096
#define FREE_TRIES 3          /* of one name from one address */
#define FREE_TRIES_OF_PEER 30 /* of any names from one address */
#define LONGEST_WAIT 30
#define FORGIVE (15 * 60 * G_USEC_PER_SEC)
#define VERIFIERS 2

#define CHALLENGE "Basic realm=\"RESTAPI\""

struct SignOn {
  DmStore *store;
  char *users_file;
  guint idle_seconds;
  DmUsers *users;
  guint8 key[32];
  GHashTable *known;    /* keyed hash of credentials, or token → Known */
  GHashTable *failures; /* "address name" → Failures */
  GThreadPool *verifiers;
};

typedef struct {
  char *user;
  gint64 until; /* monotonic */
} Known;

typedef struct {
  guint count, under_way;
  gint64 last, next; /* monotonic: the last try; when the next may begin */
} Failures;

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

/* ---- failures ---- */

/* Of one name from one address, and of any name from it: who tries many names is slowed down as well. */
static char *failure_key(const Call *call, const char *name) {
  return g_strdup_printf("%s %s", dm_http_request_peer(call->http), name != NULL ? name : "");
}

static Failures *find_failures(SignOn *sign_on, const char *key) {
  Failures *failures = g_hash_table_lookup(sign_on->failures, key);
  if (failures != NULL && (failures->under_way > 0 || g_get_monotonic_time() - failures->last <= FORGIVE))
    return failures;
  if (failures == NULL && g_hash_table_size(sign_on->failures) >= MOST_REMEMBERED)
    g_hash_table_remove_all(sign_on->failures);
  failures = g_new0(Failures, 1);
  g_hash_table_replace(sign_on->failures, g_strdup(key), failures);
  return failures;
}

/*
 * Microseconds until one more try may begin. What is under way counts as failed already, and each begins after the one
 * before it, so that trying side by side gains nothing.
 */
static gint64 take_turn(SignOn *sign_on, const char *key, guint free_tries) {
  Failures *failures = find_failures(sign_on, key);
  gint64 now = g_get_monotonic_time();
  guint tries = failures->count + failures->under_way;
  failures->under_way++;
  failures->last = now;
  if (tries < free_tries)
    return 0;
  guint seconds = MIN(1u << MIN(tries - free_tries, 5), LONGEST_WAIT);
  failures->next = MAX(failures->next, now) + seconds * G_USEC_PER_SEC;
  return failures->next - now;
}

static void end_turn(SignOn *sign_on, const char *key, gboolean good) {
  Failures *failures = g_hash_table_lookup(sign_on->failures, key);
  if (failures == NULL)
    return;
  failures->under_way -= failures->under_way > 0;
  failures->count = good ? 0 : failures->count + 1;
  failures->next = good ? 0 : failures->next;
  failures->last = g_get_monotonic_time();
}

static void tell_failure(Call *call, const char *name) {
  audit(call->api, AUDIT_USER_LOGIN_FAILED, DM_SEVERITY_ERROR, NULL, NULL, call->correlation_id,
    "User %s from %s failed to log in", name, dm_http_request_peer(call->http));
}

/* ---- verifying ---- */

static gboolean verified(gpointer data) {
  Check *check = data;
  DM_TAKE_OVER(check);
  end_turn(check->call->api->sign_on, check->key, check->good);
  end_turn(check->call->api->sign_on, check->peer_key, check->good);
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

static void verify(Call *call, const char *name, const char *password,
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
  gint64 wait = take_turn(sign_on, check->key, FREE_TRIES);
  wait = MAX(wait, take_turn(sign_on, check->peer_key, FREE_TRIES_OF_PEER));
  if (wait > LONGEST_WAIT * G_USEC_PER_SEC)
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
  verify(call, text, colon + 1, basic_verified, basic);
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

/* ---- oVirt's sign-on ---- */

/* A form's value, decoded; NULL: not there. The caller frees. */
static char *form_value(Call *call, const char *name) {
  gsize length = 0;
  const char *data = g_bytes_get_data(dm_http_request_body(call->http), &length);
  g_autofree char *text = data != NULL ? g_strndup(data, length) : g_strdup("");
  g_autoptr(GHashTable) form = g_uri_parse_params(text, -1, "&", G_URI_PARAMS_WWW_FORM, NULL);
  return form != NULL ? g_strdup(g_hash_table_lookup(form, name)) : NULL;
}

/* The keys that both SDKs understand: see ovirt-wire.md, 1.1. */
static void reply_oauth_error(Call *call, const char *code, const char *text) {
  g_autofree char *scope = form_value(call, "scope");
  gboolean api = scope != NULL && strstr(scope, "ovirt-app-api") != NULL && strstr(scope, "ovirt-app-admin") == NULL;
  DmNode *node = dm_node_new("error");
  dm_node_add_text(node, api ? "error_code" : "error", code);
  dm_node_add_text(node, api ? "error" : "error_description", text);
  call->format = DM_FORMAT_JSON;
  reply_node(call, 400, node);
}

static void token_verified(Call *call, gboolean good, const char *name, gpointer data) {
  SignOn *sign_on = call->api->sign_on;
  g_autoptr(GError) error = NULL;
  if (!good || dm_users_find(sign_on->users, name) == NULL) {
    g_autofree char *text =
      g_strdup_printf("Cannot authenticate user %s: the user name or password is incorrect.", name);
    reply_oauth_error(call, "access_denied", text);
    return;
  }
  g_autofree char *token = dm_store_token_new(sign_on->store, name, sign_on->idle_seconds, &error);
  if (token == NULL) {
    reply_oauth_error(call, "server_error", error->message);
    return;
  }
  audit(call->api, AUDIT_USER_LOGIN, DM_SEVERITY_NORMAL, NULL, name, call->correlation_id,
    "User %s connecting from %s logged in.", name, dm_http_request_peer(call->http));
  g_autofree char *expires = g_strdup_printf("%" G_GINT64_FORMAT, dm_store_token_expires(sign_on->store, token));
  DmNode *node = dm_node_new("token");
  dm_node_add_text(node, "access_token", token);
  dm_node_add_text(node, "scope", "ovirt-app-api");
  dm_node_add_text(node, "exp", expires);
  dm_node_add_text(node, "token_type", "bearer");
  call->format = DM_FORMAT_JSON;
  dm_http_reply_header(call->http, "Cache-Control", "no-store");
  reply_node(call, 200, node);
}

void handle_token(Call *call) {
  g_autofree char *type = form_value(call, "grant_type"), *name = form_value(call, "username");
  g_autofree char *password = form_value(call, "password");
  if (type == NULL || name == NULL || password == NULL) {
    g_autofree char *text = g_strdup_printf("The parameter %s is missing from the form.",
      type == NULL     ? "grant_type"
        : name == NULL ? "username"
                       : "password");
    reply_oauth_error(call, "invalid_request", text);
  } else if (!g_str_equal(type, "password")) {
    reply_oauth_error(call, "unsupported_grant_type", "Only the grant type 'password' is supported.");
  } else {
    verify(call, name, password, token_verified, NULL);
    explicit_bzero(password, strlen(password));
  }
}

void handle_logout(Call *call) {
  SignOn *sign_on = call->api->sign_on;
  g_autofree char *token = form_value(call, "token");
  g_autofree char *user = token != NULL ? dm_store_token_user(sign_on->store, token) : NULL;
  if (user != NULL) {
    g_autoptr(GError) error = NULL;
    g_hash_table_remove(sign_on->known, token);
    if (!dm_store_token_revoke(sign_on->store, token, &error)) {
      reply_oauth_error(call, "server_error", error->message); /* it would still be good */
      return;
    }
    live_check(call->api->live, FALSE);
    audit(
      call->api, AUDIT_USER_LOGOUT, DM_SEVERITY_NORMAL, NULL, user, call->correlation_id, "User %s logged out.", user);
  }
  reply_text(call, 200, "application/json", "{}");
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
  sign_on->failures = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  sign_on->verifiers = g_thread_pool_new(verify_in_thread, NULL, VERIFIERS, FALSE, NULL);
  return sign_on;
}

void sign_on_free(SignOn *sign_on) {
  if (sign_on == NULL)
    return;
  g_thread_pool_free(sign_on->verifiers, FALSE, TRUE);
  g_hash_table_unref(sign_on->known);
  g_hash_table_unref(sign_on->failures);
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
