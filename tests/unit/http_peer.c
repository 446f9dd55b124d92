/* SPDX-License-Identifier: Apache-2.0 */
/* Whose request it is that a proxy passes on, and what counts as one client. */
#include "server_private.h"

static void check(const char *peer, const char *x_forwarded_for, const char *forwarded, const char *address) {
  static const char *const networks[] = {"10.0.0.0/8", "127.0.0.1", "::1", "2001:db8:1::/48", NULL};
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) proxies = http_proxies_new(networks, &error);
  g_assert_no_error(error);
  const HttpForwarded given = {(char *)forwarded, (char *)x_forwarded_for, NULL};
  HttpOrigin origin = http_origin_of(peer, &given, proxies);
  g_assert_cmpstr(origin.address, ==, address);
  g_assert_false(origin.is_tls);
  g_free(origin.address);
}

static void test_addresses(void) {
  check("192.0.2.1", NULL, NULL, "192.0.2.1");
  /* Only trusted proxies are believed. */
  check("192.0.2.1", "192.0.2.9", "for=192.0.2.9", "192.0.2.1");
  check("127.0.0.1", NULL, NULL, "127.0.0.1");
  check("127.0.0.1", "192.0.2.9", NULL, "192.0.2.9");
  check("::1", "192.0.2.9", NULL, "192.0.2.9");
  check("2001:db8:1::5", "192.0.2.9", NULL, "192.0.2.9");
  check("2001:db8:2::5", "192.0.2.9", NULL, "2001:db8:2::5");
  /* What the client wrote itself stands left. */
  check("127.0.0.1", "198.51.100.1, 192.0.2.9", NULL, "192.0.2.9");
  check("127.0.0.1", "198.51.100.1,192.0.2.9 ,10.1.2.3,127.0.0.1", NULL, "192.0.2.9");
  check("127.0.0.1", "10.1.2.3, 10.1.2.4", NULL, "10.1.2.3");
  check("127.0.0.1", "192.0.2.9, unknown", NULL, "127.0.0.1");
  check("127.0.0.1", "192.0.2.9, unknown, 10.1.2.3", NULL, "10.1.2.3");
  check("127.0.0.1", "", NULL, "127.0.0.1");
  check("127.0.0.1", ",,,", NULL, "127.0.0.1");
  check("127.0.0.1", "localhost", NULL, "127.0.0.1");
  /* With a port, and in brackets. */
  check("127.0.0.1", "192.0.2.9:8080", NULL, "192.0.2.9");
  check("127.0.0.1", "[2001:db8::9]:8080", NULL, "2001:db8::9");
  check("127.0.0.1", "2001:DB8::9", NULL, "2001:db8::9");
  check("127.0.0.1", "::ffff:192.0.2.9", NULL, "192.0.2.9");
  /* RFC 7239. */
  check("127.0.0.1", NULL, "for=192.0.2.9;proto=http;by=127.0.0.1", "192.0.2.9");
  check("127.0.0.1", NULL, "for=198.51.100.1, For=\"[2001:db8::9]:1\"", "2001:db8::9");
  check("127.0.0.1", NULL, "for=192.0.2.9, for=_hidden", "127.0.0.1");
  check("127.0.0.1", NULL, "by=10.0.0.1", "127.0.0.1");
  check("127.0.0.1", NULL, "192.0.2.9", "127.0.0.1");
  /* A proxy writes one of the two, and it is not known which. */
  check("127.0.0.1", "192.0.2.9", "for=192.0.2.9", "192.0.2.9");
  check("127.0.0.1", "192.0.2.9", "for=192.0.2.8", "127.0.0.1");
}

static void check_tls(const char *proto, const char *forwarded, gboolean is_tls) {
  static const char *const networks[] = {"127.0.0.1", NULL};
  g_autoptr(GPtrArray) proxies = http_proxies_new(networks, NULL);
  const HttpForwarded given = {(char *)forwarded, NULL, proto};
  HttpOrigin origin = http_origin_of("127.0.0.1", &given, proxies), other = http_origin_of("::1", &given, proxies);
  g_assert_cmpint(origin.is_tls, ==, is_tls);
  g_assert_false(other.is_tls);
  g_free(origin.address);
  g_free(other.address);
}

static void test_tls(void) {
  check_tls("https", NULL, TRUE);
  check_tls("HTTPS", NULL, TRUE);
  check_tls("http", NULL, FALSE);
  check_tls("https, http", NULL, FALSE);
  check_tls(NULL, "for=192.0.2.9;proto=https", TRUE);
  check_tls(NULL, "for=192.0.2.9; Proto = \"https\"", TRUE);
  check_tls("https", "for=192.0.2.9;proto=http", FALSE);
  check_tls(NULL, NULL, FALSE);
}

static void check_network(const char *address, const char *network) {
  g_autofree char *found = dm_http_network(address);
  g_assert_cmpstr(found, ==, network);
}

static void test_networks(void) {
  check_network("192.0.2.1", "192.0.2.1");
  check_network("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
  check_network("::1", "::/64");
  check_network("fe80::1%eth0", "fe80::/64");
  check_network("", "");
}

static void test_wrong_networks(void) {
  static const char *const wrong[] = {"10.0.0.0/33", "10.0.0.1/8", "localhost", "", "10.0.0.0/8,127.0.0.1"};
  for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
    const char *const networks[] = {wrong[i], NULL};
    g_autoptr(GError) error = NULL;
    g_assert_null(http_proxies_new(networks, &error));
    g_assert_nonnull(error);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/http/peer/addresses", test_addresses);
  g_test_add_func("/http/peer/tls", test_tls);
  g_test_add_func("/http/peer/networks", test_networks);
  g_test_add_func("/http/peer/wrong-networks", test_wrong_networks);
  return g_test_run();
}
