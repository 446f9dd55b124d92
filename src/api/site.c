/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protection against CSRF. A browser sends its cached password for us with requests made by another site's page, so
 * such a page could stop a VM. But the browser reports the origin of a request: in Sec-Fetch-Site, if supported, and in
 * Origin for every request that can change something. Other programs send neither.
 */
#include <string.h>

#include "call.h"

/* "https://h:443" → "h:443", or "h" for the scheme's default port; the caller frees. */
static char *without_own_port(const char *authority, gboolean is_tls) {
  const char *port = is_tls ? ":443" : ":80";
  gsize length = strlen(authority);
  return g_ascii_strdown(authority, (gssize)(g_str_has_suffix(authority, port) ? length - strlen(port) : length));
}

static gboolean is_own_origin(const char *origin, const char *host, gboolean is_tls) {
  const char *authority = strstr(origin, "://");
  gboolean of_tls = g_ascii_strncasecmp(origin, "https:", strlen("https:")) == 0;
  if (authority == NULL || host == NULL || (is_tls && !of_tls))
    return FALSE;
  /* A proxy not configured as trusted may terminate TLS, so that we see none. */
  g_autofree char *theirs = without_own_port(authority + strlen("://"), of_tls);
  g_autofree char *ours = without_own_port(host, of_tls);
  return g_str_equal(theirs, ours);
}

gboolean is_from_other_site(const Call *call) {
  const char *method = dm_http_request_method(call->http);
  const char *site = dm_http_request_header(call->http, "Sec-Fetch-Site");
  const char *origin = dm_http_request_header(call->http, "Origin");
  const char *passed_on =
    dm_http_request_is_forwarded(call->http) ? dm_http_request_header(call->http, "X-Forwarded-Host") : NULL;
  if (g_str_equal(method, "GET") || g_str_equal(method, "HEAD"))
    return FALSE;
  if (site != NULL)
    return !g_str_equal(site, "same-origin") && !g_str_equal(site, "none"); /* none: initiated by the user */
  const char *host = passed_on != NULL ? passed_on : dm_http_request_header(call->http, "Host");
  return origin != NULL && !is_own_origin(origin, host, dm_http_request_is_tls(call->http));
}
