/* SPDX-License-Identifier: Apache-2.0 */
/* oVirt's token end points. */
#include <string.h>

#include "sign_on_private.h"

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

static void token_verified(Call *call, SignOnResult result, const char *name, gpointer data) {
  SignOn *sign_on = call->api->sign_on;
  g_autoptr(GError) error = NULL;
  if (result != SIGN_ON_GOOD) {
    g_autofree char *text = g_strdup_printf("Cannot authenticate user %s: %s.", name,
      result == SIGN_ON_LATER ? "too many attempts have failed, and this one was not looked at; wait half a minute"
                              : "the user name or password is incorrect");
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
    sign_on_verify(call, name, password, token_verified, NULL);
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
