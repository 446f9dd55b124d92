/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer: its address, the network that counts as one client, and behind a trusted proxy the client that the proxy
 * names.
 *
 * A proxy appends the address it sees to the right of X-Forwarded-For or Forwarded (RFC 7239); what is left of that was
 * sent to it. So the list is read from its right end, past trusted proxies, and the first other address is the client.
 * A proxy that writes one of the two headers passes the other on as sent by its client: if they differ, it is unknown
 * which is right, and the address is the proxy's.
 */
#include <string.h>

#include "server_private.h"

/* An IPv6 host can commonly use any address of a /64. */
#define V6_NETWORK_BYTES 8

char *dm_http_network(const char *address) {
  guint8 kept[16] = {0};
  g_autofree char *unscoped = g_strndup(address, strcspn(address, "%"));
  g_autoptr(GInetAddress) parsed = g_inet_address_new_from_string(unscoped);
  if (parsed == NULL || g_inet_address_get_family(parsed) != G_SOCKET_FAMILY_IPV6)
    return g_strdup(address);
  memcpy(kept, g_inet_address_to_bytes(parsed), V6_NETWORK_BYTES);
  g_autoptr(GInetAddress) network = g_inet_address_new_from_bytes(kept, G_SOCKET_FAMILY_IPV6);
  g_autofree char *text = g_inet_address_to_string(network);
  return g_strconcat(text, "/64", NULL);
}

GPtrArray *http_proxies_new(const char *const *networks, GError **error) {
  g_autoptr(GPtrArray) proxies = g_ptr_array_new_with_free_func(g_object_unref);
  for (; networks != NULL && *networks != NULL; networks++) {
    GInetAddressMask *mask = g_inet_address_mask_new_from_string(*networks, error);
    if (mask == NULL)
      return NULL;
    g_ptr_array_add(proxies, mask);
  }
  return g_steal_pointer(&proxies);
}

gboolean http_is_proxy(const GPtrArray *proxies, const char *address) {
  g_autoptr(GInetAddress) parsed = proxies->len > 0 ? g_inet_address_new_from_string(address) : NULL;
  for (guint i = 0; parsed != NULL && i < proxies->len; i++) {
    if (g_inet_address_mask_matches(proxies->pdata[i], parsed))
      return TRUE;
  }
  return FALSE;
}

/* Without blanks, and without quotes, around it; within @text, which is changed. */
static char *bare(char *text) {
  char *at = g_strstrip(text);
  gsize length = strlen(at);
  if (length < 2 || *at != '"' || at[length - 1] != '"')
    return at;
  at[length - 1] = '\0';
  return at + 1;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80"; the caller frees. NULL: none of
 * these. */
static char *read_address(const char *text) {
  g_autofree char *copy = g_strdup(text);
  char *at = bare(copy), *bracket = strchr(at, ']'), *colon = strchr(at, ':');
  if (*at == '[' && bracket != NULL) {
    *bracket = '\0';
    at++;
  } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
    *colon = '\0';
  }
  g_autoptr(GInetAddress) parsed = g_inet_address_new_from_string(at);
  if (parsed == NULL)
    return NULL;
  char *address = g_inet_address_to_string(parsed);
  http_unmap(address);
  return address;
}

/* The value of the parameter in one element of Forwarded ("for=192.0.2.1;proto=https"); the caller frees. NULL: none.
 */
static char *parameter_of(const char *element, const char *name) {
  g_auto(GStrv) pairs = g_strsplit(element, ";", -1);
  for (char **pair = pairs; *pair != NULL; pair++) {
    char *equals = strchr(*pair, '=');
    if (equals == NULL)
      continue;
    *equals = '\0';
    if (g_ascii_strcasecmp(g_strstrip(*pair), name) == 0)
      return g_strdup(bare(equals + 1));
  }
  return NULL;
}

/* The client by one of the lists; *element is its entry. NULL: the list has none. */
static char *client_of(const char *list, gboolean forwarded, const GPtrArray *proxies, char **element) {
  g_auto(GStrv) elements = g_strsplit(list, ",", -1);
  char *client = NULL;
  for (guint i = g_strv_length(elements); i-- > 0;) {
    g_autofree char *text = forwarded ? parameter_of(elements[i], "for") : g_strdup(elements[i]);
    char *address = text != NULL ? read_address(text) : NULL;
    if (address == NULL) /* "unknown", a name, or garbage: the one to the right is the last known */
      break;
    g_free(client);
    client = address;
    g_free(*element);
    *element = g_strdup(elements[i]);
    if (!http_is_proxy(proxies, address))
      break;
  }
  return client;
}

HttpOrigin http_origin_of(const char *peer, const HttpForwarded *given, const GPtrArray *proxies) {
  HttpOrigin origin = {NULL, FALSE};
  if (!http_is_proxy(proxies, peer)) {
    origin.address = g_strdup(peer);
    return origin;
  }
  g_autofree char *by_new = NULL, *by_old = NULL, *element = NULL, *unused = NULL;
  if (given->forwarded != NULL)
    by_new = client_of(given->forwarded, TRUE, proxies, &element);
  if (given->x_forwarded_for != NULL)
    by_old = client_of(given->x_forwarded_for, FALSE, proxies, &unused);
  gboolean differ = by_new != NULL && by_old != NULL && !g_str_equal(by_new, by_old);
  const char *client = by_old != NULL ? by_old : by_new;
  origin.address = g_strdup(client == NULL || differ ? peer : client);
  g_autofree char *protocol = element != NULL ? parameter_of(element, "proto") : NULL;
  if (protocol == NULL && given->x_forwarded_proto != NULL)
    protocol = g_strdup(given->x_forwarded_proto);
  origin.is_tls = protocol != NULL && g_ascii_strcasecmp(g_strstrip(protocol), "https") == 0;
  return origin;
}

void http_unmap(char *address) {
  static const char mapped[] = "::ffff:";
  if (g_str_has_prefix(address, mapped) && strchr(address, '.') != NULL)
    memmove(address, address + strlen(mapped), strlen(address) - strlen(mapped) + 1);
}
