/* SPDX-License-Identifier: Apache-2.0 */
/* oVirt's token end points. */
#include <string.h>

#include "handlers.h"
#include "sign_on_private.h"
#include "views.h"
#include "watchers.h"
#include "wire/form.h"

#define MOST_LOGINS 30 /* events per hour stored singly, per user and address */

/* ---- tokens ---- */

char *token_new(Call *call, const char *name, GError **error) {
  SignOn *sign_on = call->api->sign_on;
  g_autofree char *binding = sign_on_binding(dm_users_find(sign_on->users, name));
  char *token = dm_store_token_new(sign_on->store, name, binding, sign_on->idle_seconds, sign_on->life_seconds, error);
  if (token == NULL)
    return NULL;
  const Source source = {.from = dm_http_request_peer(call->http), .name = name, .most = MOST_LOGINS};
  audit_repeated(call->api, AUDIT_USER_LOGIN, DM_SEVERITY_NORMAL, NULL, name, call->correlation_id, &source,
    "User %s connecting from %s logged in.", name, source.from);
  return token;
}

void token_revoke(Call *call, const char *token) {
  SignOn *sign_on = call->api->sign_on;
  g_autofree char *user = dm_store_token_user(sign_on->store, token);
  if (user == NULL)
    return;
  g_hash_table_remove(sign_on->known, token);
  dm_store_token_revoke(sign_on->store, token);
  live_check(call->api->live, FALSE);
  const Source source = {.from = dm_http_request_peer(call->http), .name = user, .most = MOST_LOGINS};
  audit_repeated(call->api, AUDIT_USER_LOGOUT, DM_SEVERITY_NORMAL, NULL, user, call->correlation_id, &source,
    "User %s logged out.", user);
}

char *token_why_not(SignOnResult result, const char *name) {
  return g_strdup_printf("Cannot authenticate user %s: %s.", name,
    result == SIGN_ON_LATER ? "too many attempts have failed, and this one was not looked at; wait half a minute"
                            : "the user name or password is incorrect");
}

/* ---- the routes ---- */

/* oVirt's servlets read the query like the form. */
static char *form_value(Call *call, const char *name) {
  char *value = dm_form_value(dm_http_request_body(call->http), name);
  return value != NULL ? value : g_strdup(dm_target_parameter(call->target, name));
}

/* The keys that both SDKs understand: see ovirt-wire.md, 1.1. */
static void reply_oauth_error(Call *call, const char *code, const char *text) {
  g_autofree char *scope = form_value(call, "scope");
  gboolean api = scope != NULL && strstr(scope, "ovirt-app-api") != NULL && strstr(scope, "ovirt-app-admin") == NULL &&
    strstr(scope, "ovirt-app-portal") == NULL;
  DmNode *node = dm_node_new("error");
  dm_node_add_text(node, api ? "error_code" : "error", code);
  dm_node_add_text(node, api ? "error" : "error_description", text);
  call->format = DM_FORMAT_JSON;
  reply_node(call, 400, node);
}

/* As for oVirt's own client by its setup; text after a second '=' is an argument: strippedScopeAsList(). */
static gboolean is_known_scope(const char *scope) {
  static const char *const known[] = {"openid", "ovirt-app-api", "ovirt-app-admin", "ovirt-app-portal",
    "ovirt-ext=auth:identity", "ovirt-ext=auth:sequence-priority", "ovirt-ext=token-info:validate",
    "ovirt-ext=token-info:authz-search", "ovirt-ext=token-info:public-authz-search", "ovirt-ext=token:password-access",
    "ovirt-ext=revoke:revoke-all", NULL};
  const char *first = strchr(scope, '='), *second = first != NULL ? strchr(first + 1, '=') : NULL;
  g_autofree char *stripped = second != NULL ? g_strndup(scope, (gsize)(second - scope)) : g_strdup(scope);
  return g_strv_contains(known, stripped);
}

/* As SsoService.validateClientAcceptHeader() and validateScope(), but for secrets. FALSE: it was answered. */
static gboolean check_client(Call *call) {
  if (dm_target_parameter(call->target, "password") != NULL || dm_target_parameter(call->target, "token") != NULL) {
    reply_oauth_error(call, "invalid_request",
      "A password or token in the URL is not taken: proxies and shells write it down. Send it by POST, in the form.");
    return FALSE;
  }
  const char *accept = dm_http_request_header(call->http, "Accept");
  g_autofree char *scope = form_value(call, "scope");
  g_auto(GStrv) scopes = g_strsplit_set(scope != NULL ? scope : "", " \t", -1);
  if (accept == NULL || strstr(accept, "application/json") == NULL) {
    reply_oauth_error(call, "invalid_request", "The header Accept must be application/json.");
    return FALSE;
  }
  for (char **one = scopes; *one != NULL; one++) {
    if (**one == '\0' || is_known_scope(*one))
      continue;
    g_autofree char *text = g_strdup_printf("The requested scope '%.64s' is unknown; ask for ovirt-app-api.", *one);
    reply_oauth_error(call, "invalid_scope", text);
    return FALSE;
  }
  return TRUE;
}

static void reply_token(Call *call, const char *name) {
  SignOn *sign_on = call->api->sign_on;
  g_autoptr(GError) error = NULL;
  g_autofree char *token = token_new(call, name, &error);
  if (token == NULL) {
    reply_oauth_error(call, "server_error", error->message);
    return;
  }
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

static void token_verified(Call *call, SignOnResult result, const char *name, gpointer data) {
  if (result == SIGN_ON_GOOD) {
    reply_token(call, name);
    return;
  }
  g_autofree char *text = token_why_not(result, name);
  reply_oauth_error(call, "access_denied", text);
}

void handle_token(Call *call) {
  g_autofree char *type = form_value(call, "grant_type"), *name = form_value(call, "username");
  g_autofree char *password = form_value(call, "password");
  if (!check_client(call))
    return;
  if (type == NULL || name == NULL || password == NULL) {
    g_autofree char *text = g_strdup_printf("The parameter %s is missing from the form.",
      type == NULL     ? "grant_type"
        : name == NULL ? "username"
                       : "password");
    reply_oauth_error(call, "invalid_request", text);
  } else if (!g_str_equal(type, "password")) {
    reply_oauth_error(call, "unsupported_grant_type", "Only the grant type 'password' is supported.");
  } else {
    sign_on_verify(call, name, password, token_verified, NULL);
    explicit_bzero(password, strlen(password));
  }
}

static void add_token_info(DmNode *node, const char *user, gint64 expires) {
  const char *at = strrchr(user, '@');
  g_autofree char *name = at != NULL ? g_strndup(user, (gsize)(at - user)) : g_strdup(user);
  g_autofree char *id = uuid_of(USER_ID_SPACE, user), *exp = g_strdup_printf("%" G_GINT64_FORMAT, expires);
  dm_node_add_plain_boolean(node, "active", TRUE);
  dm_node_add_text(node, "token_type", "bearer");
  dm_node_add_text(node, "client_id", "");
  dm_node_add_text(node, "user_id", user);
  dm_node_add_text(node, "user_authz", at != NULL ? at + 1 : "");
  dm_node_add_text(node, "scope", "ovirt-app-api");
  dm_node_add_text(node, "exp", exp);
  DmNode *ovirt = dm_node_add_object(node, "ovirt");
  dm_node_add_text(ovirt, "version", "0");
  dm_node_add_text(ovirt, "principal_id", id);
  dm_node_add_text(ovirt, "first_name", name);
}

/* Authenticated by Basic in this request: a token, and a session, which is one too, cannot create another one. */
void handle_token_http(Call *call) {
  const char *given = dm_http_request_header(call->http, "Authorization");
  if (session_is_meant(call) || given == NULL || g_ascii_strncasecmp(given, "Basic ", 6) != 0)
    reply_oauth_error(call, "access_denied", "Only user name and password by HTTP's Basic are taken here.");
  else if (check_client(call))
    reply_token(call, call->user);
}

/* For oVirt's own components, which send a client secret that does not exist here: the holder of the token may query
 * it. */
void handle_token_info(Call *call) {
  SignOn *sign_on = call->api->sign_on;
  g_autofree char *token = form_value(call, "token"), *scope = form_value(call, "scope");
  if (!check_client(call))
    return;
  if (token == NULL) {
    reply_oauth_error(call, "invalid_request", "The parameter token is missing from the form.");
    return;
  }
  g_autofree char *user = dm_store_token_user(sign_on->store, token);
  if (user == NULL) {
    reply_oauth_error(call, "invalid_grant", "The token is not valid, or no longer; sign on again.");
    return;
  }
  DmNode *node = dm_node_new("info");
  call->format = DM_FORMAT_JSON;
  if (scope == NULL || strstr(scope, "token-info:validate") == NULL)
    add_token_info(node, user, dm_store_token_expires(sign_on->store, token));
  reply_node(call, 200, node);
}

/* And oVirt's revoke. */
void handle_logout(Call *call) {
  g_autofree char *token = form_value(call, "token"); /* from the query too: it is invalid afterwards */
  if (token != NULL)
    token_revoke(call, token);
  reply_text(call, 200, "application/json", "{}");
}
