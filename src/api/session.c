/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebAdmin's session, which survives a reload and holds in every tab. Its token is in a cookie that no script can read
 * (HttpOnly) and that comes with no request from another site (SameSite=Strict). The cookie alone admits nobody: a
 * request has to repeat in X-CSRF-Token what only a page of our own origin can have read here. That is the token's
 * HMAC, so that nothing has to be stored for it, and who has stolen it from the page has not stolen the token. See
 * OWASP's cheat sheet on cross-site request forgery, "Signed Double-Submit Cookie".
 */
#include <string.h>

#include "sign_on.h"
#include "sign_on_private.h"

#define COOKIE "dimmer_session"
#define PATH "/ovirt-engine/"

/* Browsers keep cookies by name of host without its port, behind which another dimmerd may be. The caller frees. */
static char *cookie_name(const Call *call) {
  const char *host = dm_http_request_header(call->http, "Host");
  const char *colon = host != NULL ? strrchr(host, ':') : NULL;
  gboolean has_port = colon != NULL && colon[1] != '\0' && strspn(colon + 1, "0123456789") == strlen(colon + 1);
  return has_port ? g_strconcat(COOKIE "_", colon + 1, NULL) : g_strdup(COOKIE);
}

char *session_cookie(const Call *call) {
  const char *sent = dm_http_request_header(call->http, "Cookie");
  g_autofree char *name = cookie_name(call);
  g_auto(GStrv) cookies = g_strsplit(sent != NULL ? sent : "", ";", -1);
  for (char **cookie = cookies; *cookie != NULL; cookie++) {
    char *equals = strchr(g_strstrip(*cookie), '=');
    if (equals != NULL && (gsize)(equals - *cookie) == strlen(name) && g_str_has_prefix(*cookie, name))
      return g_strdup(equals + 1);
  }
  return NULL;
}

/* It is a session of the browser, and ends with it. */
void session_set_cookie(Call *call, const char *token) {
  g_autofree char *name = cookie_name(call);
  g_autofree char *value =
    g_strdup_printf("%s=%s; Path=" PATH "; HttpOnly; SameSite=Strict%s%s", name, token != NULL ? token : "",
      dm_http_request_is_tls(call->http) ? "; Secure" : "", token != NULL ? "" : "; Max-Age=0");
  dm_http_reply_header(call->http, "Set-Cookie", value);
}

char *session_csrf(const char *token) {
  return g_compute_hmac_for_string(
    G_CHECKSUM_SHA256, (const guchar *)token, strlen(token), "dimmer WebAdmin", (gssize)strlen("dimmer WebAdmin"));
}

/* In a time that tells nothing but whether the lengths differ. */
static gboolean is_same(const char *one, const char *other) {
  gsize length = strlen(one);
  guint differs = 0;
  if (strlen(other) != length)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    differs |= (guchar)(one[i] ^ other[i]);
  return differs == 0;
}

gboolean session_is_meant(const Call *call) {
  return dm_http_request_header(call->http, SESSION_HEADER) != NULL;
}

static char *proven_token(const Call *call) {
  const char *given = dm_http_request_header(call->http, SESSION_HEADER);
  g_autofree char *token = given != NULL ? session_cookie(call) : NULL;
  g_autofree char *csrf = token != NULL ? session_csrf(token) : NULL;
  return csrf != NULL && is_same(csrf, given) ? g_steal_pointer(&token) : NULL;
}

/* A browser that has a password for Basic sends it with WebAdmin's requests too, which are not meant so. */
char *session_token(const Call *call) {
  const char *given = dm_http_request_header(call->http, "Authorization");
  if (session_is_meant(call))
    return proven_token(call);
  return given != NULL && g_ascii_strncasecmp(given, "Bearer ", 7) == 0 ? g_strdup(given + 7) : NULL;
}
