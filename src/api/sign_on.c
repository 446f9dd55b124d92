/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authentication. Verifying a password takes about 0.1 s of a worker thread, so results are cached for a while: under a
 * keyed hash, never the password. A delayed attempt (attempts.c) waits on a timer and occupies no thread.
 */
#include <string.h>
#include <sys/random.h>

#include "base/handoff.h"
#include "sign_on.h"
#include "sign_on_private.h"
#include "watchers.h"

#define REMEMBER_PASSWORD (5 * G_TIME_SPAN_MINUTE)
#define REMEMBER_TOKEN G_TIME_SPAN_SECOND /* the store renews its tokens now and then */
#define MOST_REMEMBERED 4096
#define VERIFIERS 2
#define MOST_CHECKS 256         /* at a time: each occupies a client's connection */
#define MOST_BESIDE_DELAYED 192 /* from here on none is delayed: guessers are, and would keep all others out */
#define MOST_OF_NAME 64         /* characters of a reported name */
#define MOST_FAILURES 5         /* events per hour stored singly, per name and address */

#define CHALLENGE "Basic realm=\"RESTAPI\""
#define SESSION_CHALLENGE "Bearer realm=\"RESTAPI\""

typedef struct {
  char *user;
  gint64 until; /* monotonic */
} Known;

typedef struct {
  Call *call;
  SignOnFunc then;
  gpointer data;
} Waiter;

/* One password being verified, for all calls that use it meanwhile. */
struct PasswordCheck {
  SignOn *sign_on;   /* NULL: gone */
  guint timer;       /* source: it is delayed; 0: it is being verified */
  char *credentials; /* their keyed hash */
  char *name, *password, *hash;
  Attempt *attempt;
  gboolean good;
  GArray *waiters; /* Waiter */
};

static void free_known(gpointer data) {
  Known *known = data;
  g_free(known->user);
  g_free(known);
}

static void free_check(PasswordCheck *check) {
  if (check->password != NULL)
    explicit_bzero(check->password, strlen(check->password));
  g_free(check->credentials);
  g_free(check->name);
  g_free(check->password);
  g_free(check->hash);
  attempts_end(check->attempt, FALSE);
  g_array_unref(check->waiters);
  g_free(check);
}

/* ---- cache ---- */

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

/* For a name from any client: limited to the length of names, and without characters that would garble a log. */
static char *shown_name(const char *name) {
  g_autofree char *valid = g_utf8_make_valid(name, -1);
  g_autoptr(GString) shown = g_string_new(NULL);
  glong count = 0;
  for (const char *at = valid; *at != '\0' && count < MOST_OF_NAME; at = g_utf8_next_char(at), count++) {
    gunichar character = g_utf8_get_char(at);
    g_string_append_unichar(shown, g_unichar_isprint(character) ? character : '?');
  }
  if (count == MOST_OF_NAME)
    g_string_append(shown, "\xe2\x80\xa6");
  return g_string_free(g_steal_pointer(&shown), FALSE);
}

static void tell_failure(Call *call, const char *name) {
  g_autofree char *shown = shown_name(name);
  const Source source = {.from = dm_http_request_peer(call->http), .name = shown, .most = MOST_FAILURES};
  audit_repeated(call->api, AUDIT_USER_LOGIN_FAILED, DM_SEVERITY_ERROR, NULL, NULL, call->correlation_id, &source,
    "User %s from %s failed to log in", shown, source.from);
}

/* ---- verifying ---- */

static void let_go(Call *call) {
  PasswordCheck *check = g_steal_pointer(&call->password);
  for (guint i = 0; check != NULL && i < check->waiters->len; i++) {
    if (g_array_index(check->waiters, Waiter, i).call == call) {
      g_array_remove_index(check->waiters, i);
      return;
    }
  }
}

static void add_waiter(PasswordCheck *check, const Waiter *waiter) {
  waiter->call->password = check;
  call_on_end(waiter->call, let_go);
  g_array_append_vals(check->waiters, waiter, 1);
}

/* Once: all clients of a proxy count as one, so failures of some delay all. */
static void tell_of_proxy(Call *call) {
  static gboolean logged;
  gboolean passed_on = dm_http_request_header(call->http, "X-Forwarded-For") != NULL ||
    dm_http_request_header(call->http, "Forwarded") != NULL;
  if (logged || !passed_on || dm_http_request_is_forwarded(call->http))
    return;
  logged = TRUE;
  g_log_structured("dimmer", G_LOG_LEVEL_WARNING, "MESSAGE",
    "many logins through the proxy %s failed, and it slows down all its clients; name it in [server] trusted-proxies to "
    "tell them apart",
    dm_http_request_peer(call->http));
}

static void tell_waiter(const Waiter *waiter, SignOnResult result, const char *name) {
  if (result != SIGN_ON_GOOD)
    tell_failure(waiter->call, name);
  waiter->then(waiter->call, result, name, waiter->data);
}

/* Notifies all; any of them may be freed by notifying another. */
static void tell_waiters(PasswordCheck *check, SignOnResult result) {
  while (check->waiters->len > 0) {
    const Waiter waiter = g_array_index(check->waiters, Waiter, 0);
    let_go(waiter.call);
    tell_waiter(&waiter, result, check->name);
  }
}

static gboolean verified(gpointer data) {
  PasswordCheck *check = data;
  DM_TAKE_OVER(check);
  SignOn *sign_on = check->sign_on;
  if (sign_on == NULL) {
    free_check(check);
    return G_SOURCE_REMOVE;
  }
  const DmUser *user = dm_users_find(sign_on->users, check->name);
  g_hash_table_remove(sign_on->checks, check->credentials);
  /* The users file may have been reloaded meanwhile. */
  gboolean good = check->good && user != NULL && g_strcmp0(user->hash, check->hash) == 0;
  attempts_end(g_steal_pointer(&check->attempt), good);
  if (good)
    remember(sign_on, check->credentials, check->name, REMEMBER_PASSWORD);
  tell_waiters(check, good ? SIGN_ON_GOOD : SIGN_ON_WRONG);
  free_check(check);
  return G_SOURCE_REMOVE;
}

static void verify_in_thread(gpointer data, gpointer unused) {
  PasswordCheck *check = data;
  DM_TAKE_OVER(check);
  check->good = dm_users_verify(check->hash, check->password);
  DM_HAND_OVER(check);
  g_idle_add_full(G_PRIORITY_DEFAULT, verified, check, NULL);
}

static gboolean begin_verify(gpointer data) {
  PasswordCheck *check = data;
  check->timer = 0;
  DM_HAND_OVER(check);
  g_thread_pool_push(check->sign_on->verifiers, check, NULL);
  return G_SOURCE_REMOVE;
}

static PasswordCheck *new_check(Call *call, const char *credentials, const char *name, const char *password) {
  PasswordCheck *check = g_new0(PasswordCheck, 1);
  check->sign_on = call->api->sign_on;
  const DmUser *user = dm_users_find(check->sign_on->users, name);
  check->credentials = g_strdup(credentials);
  check->name = g_strdup(name);
  check->password = g_strdup(password);
  check->hash = user != NULL ? g_strdup(user->hash) : NULL;
  check->waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
  return check;
}

/* A keyed hash of name and password; also of the address, as each has its own delays. */
static char *hash_credentials(Call *call, const char *name, const char *password) {
  const char *const texts[] = {dm_http_request_peer(call->http), name, password};
  GHmac *hmac = g_hmac_new(G_CHECKSUM_SHA256, call->api->sign_on->key, sizeof call->api->sign_on->key);
  for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) /* with its zero byte, so that no other three have the same hash */
    g_hmac_update(hmac, (const guchar *)texts[i], (gssize)strlen(texts[i]) + 1);
  char *hash = g_strdup(g_hmac_get_string(hmac));
  g_hmac_unref(hmac);
  return hash;
}

/* NULL: not verified. */
static Attempt *begin_attempt(Call *call, const char *name, gint64 *wait) {
  SignOn *sign_on = call->api->sign_on;
  guint checks = g_hash_table_size(sign_on->checks);
  if (checks >= MOST_CHECKS)
    return NULL;
  g_autofree char *network = dm_http_network(dm_http_request_peer(call->http));
  gint64 most = sign_on->draining || checks >= MOST_BESIDE_DELAYED ? 0 : G_MAXINT64;
  return attempts_begin(sign_on->attempts, network, name, most, wait);
}

void sign_on_verify(Call *call, const char *name, const char *password, SignOnFunc then, gpointer data) {
  SignOn *sign_on = call->api->sign_on;
  const Waiter waiter = {call, then, data};
  g_autofree char *credentials = hash_credentials(call, name, password);
  if (recall(sign_on, credentials) != NULL) {
    tell_waiter(&waiter, SIGN_ON_GOOD, name);
    return;
  }
  PasswordCheck *check = g_hash_table_lookup(sign_on->checks, credentials);
  if (check != NULL) {
    add_waiter(check, &waiter);
    return;
  }
  gint64 wait = 0;
  Attempt *attempt = begin_attempt(call, name, &wait);
  if (attempt == NULL) {
    tell_of_proxy(call);
    tell_waiter(&waiter, SIGN_ON_LATER, name);
    return;
  }
  check = new_check(call, credentials, name, password);
  check->attempt = attempt;
  add_waiter(check, &waiter);
  g_hash_table_insert(sign_on->checks, check->credentials, check);
  if (wait > 0)
    check->timer = g_timeout_add((guint)(wait / 1000), begin_verify, check);
  else
    begin_verify(check);
}

/* ---- Basic, Bearer, and WebAdmin's session ---- */

/* A browser would ask the user of WebAdmin for what Basic wants. */
static void reply_unauthorized(Call *call) {
  dm_http_reply_header(call->http, "WWW-Authenticate", session_is_meant(call) ? SESSION_CHALLENGE : CHALLENGE);
  reply_empty(call, 401);
}

/* A deleted or unknown user has no rights. */
static gboolean admit(Call *call, const char *name) {
  const DmUser *user = dm_users_find(call->api->sign_on->users, name);
  if (user == NULL)
    return FALSE;
  call->user = g_strdup(user->name);
  call->role = user->role;
  dm_http_request_set_logged_in(call->http);
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
  g_autofree char *token = session_token(call);
  if (token != NULL)
    check_bearer(call, token, then);
  else if (given != NULL && g_ascii_strncasecmp(given, "Basic ", 6) == 0 && !session_is_meant(call))
    check_basic(call, given + 6, then);
  else
    reply_unauthorized(call);
}

/* ---- life cycle ---- */

/*
 * What a token is bound to: after a change of password or role its user must sign on again, whether this process was
 * running or not. The caller frees.
 */
char *sign_on_binding(const DmUser *user) {
  g_autofree char *text = g_strjoin("\n", dm_role_name(user->role), user->hash, NULL);
  return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

static gboolean token_holds(const char *name, const char *binding, gpointer data) {
  const DmUser *user = dm_users_find(((const SignOn *)data)->users, name);
  g_autofree char *bound = user != NULL ? sign_on_binding(user) : NULL;
  return g_strcmp0(binding, bound) == 0;
}

SignOn *sign_on_new(const DmApiOptions *options, GError **error) {
  DmUsers *users = dm_users_load(options->users_file, error);
  if (users == NULL)
    return NULL;
  SignOn *sign_on = g_new0(SignOn, 1);
  sign_on->store = options->store;
  sign_on->users_file = g_strdup(options->users_file);
  sign_on->idle_seconds = options->token_idle_seconds;
  sign_on->life_seconds = options->token_life_seconds;
  sign_on->users = users;
  if (getrandom(sign_on->key, sizeof sign_on->key, 0) != (ssize_t)sizeof sign_on->key)
    g_error("the kernel gives no random numbers");
  sign_on->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_known);
  sign_on->checks = g_hash_table_new(g_str_hash, g_str_equal);
  sign_on->attempts = attempts_new();
  sign_on->verifiers = g_thread_pool_new(verify_in_thread, NULL, VERIFIERS, FALSE, NULL);
  dm_store_token_keep(sign_on->store, token_holds, sign_on);
  return sign_on;
}

/* Those still delayed. */
static GPtrArray *find_waiting(SignOn *sign_on) {
  GPtrArray *waiting = g_ptr_array_new();
  GHashTableIter iter;
  gpointer check;
  g_hash_table_iter_init(&iter, sign_on->checks);
  while (g_hash_table_iter_next(&iter, NULL, &check)) {
    if (((PasswordCheck *)check)->timer != 0)
      g_ptr_array_add(waiting, check);
  }
  return waiting;
}

void sign_on_drain(SignOn *sign_on) {
  g_autoptr(GPtrArray) waiting = find_waiting(sign_on);
  sign_on->draining = TRUE;
  for (guint i = 0; i < waiting->len; i++) {
    PasswordCheck *check = waiting->pdata[i];
    g_source_remove(check->timer);
    g_hash_table_remove(sign_on->checks, check->credentials);
    tell_waiters(check, SIGN_ON_LATER);
    free_check(check);
  }
}

void sign_on_free(SignOn *sign_on) {
  GHashTableIter iter;
  gpointer check;
  if (sign_on == NULL)
    return;
  sign_on_drain(sign_on);
  /* Results of the threads still return. */
  g_hash_table_iter_init(&iter, sign_on->checks);
  while (g_hash_table_iter_next(&iter, NULL, &check)) {
    ((PasswordCheck *)check)->sign_on = NULL;
    attempts_end(g_steal_pointer(&((PasswordCheck *)check)->attempt), FALSE);
  }
  g_thread_pool_free(sign_on->verifiers, FALSE, TRUE);
  g_hash_table_unref(sign_on->known);
  g_hash_table_unref(sign_on->checks);
  attempts_free(sign_on->attempts);
  dm_users_free(sign_on->users);
  g_free(sign_on->users_file);
  g_free(sign_on);
}

gboolean sign_on_reload(SignOn *sign_on, GError **error) {
  /* Before the first user the file may be missing; later a missing file would revoke all tokens. */
  DmUsers *users = sign_on_count(sign_on) > 0 ? dm_users_load_existing(sign_on->users_file, error)
                                              : dm_users_load(sign_on->users_file, error);
  if (users == NULL)
    return FALSE;
  dm_users_free(sign_on->users);
  sign_on->users = users;
  dm_store_token_keep(sign_on->store, token_holds, sign_on);
  g_hash_table_remove_all(sign_on->known); /* a password may have changed */
  return TRUE;
}

guint sign_on_count(const SignOn *sign_on) {
  return dm_users_list(sign_on->users)->len;
}
