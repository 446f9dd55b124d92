/* SPDX-License-Identifier: Apache-2.0 */
/* The routes of WebAdmin's session: login, reload and logout. See session.c. */
#include <string.h>

#include "handlers.h"
#include "sign_on.h"
#include "sign_on_private.h"
#include "wire/form.h"

static void reply_session(Call *call, const DmUser *user, const char *token) {
  g_autofree char *csrf = session_csrf(token);
  DmNode *node = dm_node_new("session");
  dm_node_add_text(node, "user_name", user->name);
  dm_node_add_text(node, "role", dm_role_name(user->role));
  dm_node_add_text(node, "csrf_token", csrf);
  call->format = DM_FORMAT_JSON;
  dm_http_reply_header(call->http, "Cache-Control", "no-store");
  reply_node(call, 200, node);
}

static void begin(Call *call, SignOnResult result, const char *name, gpointer data) {
  g_autoptr(GError) error = NULL;
  if (result != SIGN_ON_GOOD) {
    g_autofree char *text = token_why_not(result, name);
    reply_fault(call, result == SIGN_ON_LATER ? 429 : 403, FAULT_LOGIN, "Login failed", text);
    return;
  }
  g_autofree char *token = token_new(call, name, &error);
  if (token == NULL) {
    reply_error(call, error);
    return;
  }
  session_set_cookie(call, token);
  reply_session(call, dm_users_find(call->api->sign_on->users, name), token);
}

void handle_session_begin(Call *call) {
  g_autofree char *name = dm_form_value(dm_http_request_body(call->http), "username");
  g_autofree char *password = dm_form_value(dm_http_request_body(call->http), "password");
  call->format = DM_FORMAT_JSON;
  if (name == NULL || password == NULL) {
    reply_fault(call, 400, FAULT_BAD_VALUE, "Login failed", "[The form needs username and password.]");
    return;
  }
  sign_on_verify(call, name, password, begin, NULL);
  explicit_bzero(password, strlen(password));
}

/* Without a session it is no fault, as every page asks at first. */
void handle_session(Call *call) {
  SignOn *sign_on = call->api->sign_on;
  g_autofree char *token = session_cookie(call);
  g_autofree char *name = token != NULL ? dm_store_token_user(sign_on->store, token) : NULL;
  const DmUser *user = name != NULL ? dm_users_find(sign_on->users, name) : NULL;
  if (user != NULL) {
    reply_session(call, user, token);
    return;
  }
  if (token != NULL)
    session_set_cookie(call, NULL);
  dm_http_reply_header(call->http, "Cache-Control", "no-store");
  reply_empty(call, 204);
}

void handle_session_end(Call *call) {
  g_autofree char *token = session_is_meant(call) ? session_token(call) : NULL, *cookie = session_cookie(call);
  call->format = DM_FORMAT_JSON;
  if (token == NULL && cookie != NULL) {
    reply_fault(call, 403, FAULT_FORBIDDEN, "Logout failed",
      "[" SESSION_HEADER " is not that of the session in this browser; reload the page.]");
    return;
  }
  if (token != NULL) {
    token_revoke(call, token);
    session_set_cookie(call, NULL);
  }
  reply_empty(call, 204);
}
