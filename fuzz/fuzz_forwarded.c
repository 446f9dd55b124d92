/* SPDX-License-Identifier: Apache-2.0 */
/* What a proxy passes on of whose request it is: two lists, a byte 0xff between them. */
#include <string.h>

#include "fuzz.h"
#include "server_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const networks[] = {"10.0.0.0/8", "2001:db8::/32", NULL};
  static GPtrArray *proxies;
  if (proxies == NULL)
    proxies = http_proxies_new(networks, NULL);
  const uint8_t *middle = size > 0 ? memchr(data, 0xff, size) : NULL;
  gsize first = middle != NULL ? (gsize)(middle - data) : size;
  g_autofree char *old = g_strndup((const char *)data, first);
  g_autofree char *forwarded = middle != NULL ? g_strndup((const char *)middle + 1, size - first - 1) : NULL;
  const HttpForwarded given = {forwarded, old, forwarded};
  HttpOrigin trusted = http_origin_of("10.0.0.1", &given, proxies),
             other = http_origin_of("192.0.2.1", &given, proxies);
  g_assert_cmpstr(other.address, ==, "192.0.2.1");
  g_assert(!other.is_tls);
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(trusted.address);
  g_assert(address != NULL);
  g_autofree char *network = dm_http_network(trusted.address), *of_any = dm_http_network(old);
  g_assert(*network != '\0' && of_any != NULL);
  g_free(trusted.address);
  g_free(other.address);
  return 0;
}
