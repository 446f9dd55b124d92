/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of dimmerd: what a file means, and what is said of a wrong one. */
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "settings.h"

static char *folder;

static void write_file(const char *name, const char *text) {
  g_autofree char *path = g_build_filename(folder, name, NULL);
  g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static Settings *load(const char *text, GError **error) {
  g_autofree char *path = g_build_filename(folder, "dimmerd.conf", NULL);
  write_file("dimmerd.conf", text);
  return settings_load(path, error);
}

static Settings *load_well(const char *text) {
  g_autoptr(GError) error = NULL;
  Settings *settings = load(text, &error);
  g_assert_no_error(error);
  return settings;
}

static void test_defaults(void) {
  g_autoptr(Settings) settings = load_well("");
  g_assert_cmpstr(settings->address, ==, "127.0.0.1");
  g_assert_cmpuint(settings->port, ==, 8080);
  g_assert_cmpstr(settings->certificate, ==, "");
  g_assert_null(settings->certificate_text);
  g_assert_cmpfloat_with_epsilon(settings->answer_timeout, 10, 1e-9);
  g_assert_cmpuint(g_strv_length(settings->connections), ==, 1);
  g_assert_cmpfloat_with_epsilon(settings->guest_timeout, 60, 1e-9);
  g_assert_cmpfloat_with_epsilon(settings->token_idle, 1800, 1e-9);
  g_assert_cmpfloat_with_epsilon(settings->token_life, 36000, 1e-9);
  g_assert_cmpfloat_with_epsilon(settings->event_retention, 30 * 86400.0, 1e-9);
  g_assert_cmpuint(settings->max_connections, ==, 2048);
  g_assert_cmpuint(settings->max_per_address, ==, 512);
  g_assert_cmpuint(g_strv_length(settings->trusted_proxies), ==, 0);
  g_assert_cmpuint(settings->max_body, ==, 131072);
  g_assert_cmpfloat_with_epsilon(settings->idle_timeout, 75, 1e-9);
  g_assert_cmpstr(settings->log_level, ==, "info");
  g_assert_cmpstr(settings->log_target, ==, "auto");
}

/* Each row of the table of keys: its default can be read, and stands in the field that the row names. */
static void test_table(void) {
  g_autoptr(Settings) settings = load_well("");
  for (gsize i = 0; i < keys_count; i++) {
    g_autoptr(GError) error = NULL;
    g_test_message("[%s] %s", keys[i].section, keys[i].name);
    g_assert_true(key_find(keys[i].section, keys[i].name) == &keys[i]);
    if (keys[i].find != NULL)
      continue;
    g_autoptr(Settings) other = load_well("");
    g_assert_true(key_read(&keys[i], keys[i].standard, "/", other, &error));
    g_assert_true(key_equal(&keys[i], settings, other));
  }
}

static void test_values(void) {
  g_autoptr(Settings) settings = load_well(
    "# comment\n\n[server]\naddress=::1\ntrusted-proxies = ::1  10.0.0.0/8\n\tanswer-timeout =  500ms\n"
    "[hosts]\nconnections =  qemu:///system   qemu+tls://b/system \nguest-timeout=2m\n"
    "[users]\nfile = sub/../users\ntoken-idle=1.5s\n[database]\nfile=/var/x.db\nevent-days=36500\n"
    "[limits]\nmax-body=2MiB\n[log]\nlevel=debug\n[server]\nport=65535\n");
  g_autofree char *users = g_build_filename(folder, "users", NULL);
  g_assert_cmpstr(settings->address, ==, "::1");
  g_assert_cmpuint(settings->port, ==, 65535);
  g_assert_cmpfloat_with_epsilon(settings->answer_timeout, 0.5, 1e-9);
  g_assert_cmpuint(g_strv_length(settings->trusted_proxies), ==, 2);
  g_assert_cmpstr(settings->trusted_proxies[1], ==, "10.0.0.0/8");
  g_assert_cmpuint(g_strv_length(settings->connections), ==, 2);
  g_assert_cmpstr(settings->connections[0], ==, "qemu:///system");
  g_assert_cmpstr(settings->connections[1], ==, "qemu+tls://b/system");
  g_assert_cmpfloat_with_epsilon(settings->guest_timeout, 120, 1e-9);
  g_assert_cmpstr(settings->users_file, ==, users);
  g_assert_cmpfloat_with_epsilon(settings->token_idle, 1.5, 1e-9);
  g_assert_cmpstr(settings->database_file, ==, "/var/x.db");
  g_assert_cmpfloat_with_epsilon(settings->event_retention, 36500 * 86400.0, 1e-9);
  g_assert_cmpuint(settings->max_body, ==, 2 << 20);
  g_assert_cmpstr(settings->log_level, ==, "debug");
}

#define SECONDS(least, most) "a time from " least " to " most " seconds is allowed, like 30, 30s, 2m, 30d or 500ms"
#define PORTS "a whole number from 0 to 65535 is allowed"
#define URIS "; write it like qemu:///system or qemu+tls://kvm2.example.org/system"
#define CLEAR                                                                                                                  \
  " without a certificate would send passwords in clear text over the network; set certificate and private-key, or listen on " \
  "127.0.0.1 behind a proxy that speaks TLS"

/* The message without the file's name, that stands in front; %F: the folder. */
static const struct {
  const char *text, *message;
} wrong[] = {
  {"[server]\nport=65536\n", ", line 2: [server] port: '65536' is wrong; " PORTS},
  {"[server]\n\n# port=1\nport = -1\n", ", line 4: [server] port: '-1' is wrong; " PORTS},
  {"[server]\nport=\n", ", line 2: [server] port: '' is wrong; " PORTS},
  {"[server]\nport=0x10\n", ", line 2: [server] port: '0x10' is wrong; " PORTS},
  {"[server]\nport = 80 # http\n", ", line 2: [server] port: '80 # http' is wrong; " PORTS},
  {"[server]\naddress=localhost\n",
    ", line 2: [server] address: 'localhost' is wrong; a numeric IPv4 or IPv6 address is allowed"},
  {"[server]\nanswer-timeout=-1\n", ", line 2: [server] answer-timeout: '-1' is wrong; " SECONDS("0", "3600")},
  {"[server]\nanswer-timeout=2h\n", ", line 2: [server] answer-timeout: '2h' is wrong; " SECONDS("0", "3600")},
  {"[hosts]\nguest-timeout=nan\n", ", line 2: [hosts] guest-timeout: 'nan' is wrong; " SECONDS("0", "86400")},
  {"[hosts]\nguest-timeout=1e999\n", ", line 2: [hosts] guest-timeout: '1e999' is wrong; " SECONDS("0", "86400")},
  {"[server]\ntrusted-proxies=10.0.0.0/8 proxy\n",
    ", line 2: [server] trusted-proxies: '10.0.0.0/8 proxy' is wrong; addresses and networks like 192.0.2.1 or "
    "192.0.2.0/24 are allowed"},
  {"[users]\ntoken-idle=0\n", ", line 2: [users] token-idle: '0' is wrong; " SECONDS("1", "31536000")},
  {"[database]\nevent-retention=23h\n",
    ", line 2: [database] event-retention: '23h' is wrong; " SECONDS("86400", "3153600000")},
  {"[database]\nevent-days=0\n", ", line 2: [database] event-days: '0d' is wrong; " SECONDS("86400", "3153600000")},
  {"[server]\nprivate-key=a\nkey=a\n",
    ", line 3: [server] key is the former name of private-key, which is there too; remove key"},
  {"[limits]\nmax-body=1MB\n",
    ", line 2: [limits] max-body: '1MB' is wrong; a size from 1024 to 1073741824 bytes is allowed, like 65536 or 1MiB"},
  {"[limits]\nmax-body=1023\n",
    ", line 2: [limits] max-body: '1023' is wrong; a size from 1024 to 1073741824 bytes is allowed, like 65536 or 1MiB"},
  {"[log]\nlevel=Info\n", ", line 2: [log] level: 'Info' is wrong; one of error, warning, info, debug is allowed"},
  {"[server]\nprot=1\n", ", line 2: [server] has no key 'prot'; did you mean 'port'"},
  {"[server]\nmax-body=1\n", ", line 2: [server] has no key 'max-body'; it belongs to [limits]"},
  {"[server]\nport[de]=1\n", ", line 2: [server] has no key 'port[de]'; did you mean 'port'"},
  {"[log]\n[severs]\n", ", line 2: there is no section [severs]; did you mean [server]"},
  {"[Server]\n", ", line 1: there is no section [Server]; did you mean [server]"},
  {"port=1\n", ": Key file does not start with a group"},
  {"[server]\nport\n", ": Key file contains line “port” which is not a key-value pair, group, or comment"},
  {"[server]\nport=\xff\n", " is not text in UTF-8"},
  {"[server]\ncertificate=a\n",
    ": [server] has a certificate, but no private-key; name the file of its private key there"},
  {"[server]\nkey=a\n", ": [server] has a private-key, but no certificate; name the file of the certificate there"},
  {"[server]\naddress=0.0.0.0\n", ": [server] address: 0.0.0.0" CLEAR},
  {"[server]\naddress=::\n", ": [server] address: ::" CLEAR},
  {"[server]\naddress=192.0.2.1\n", ": [server] address: 192.0.2.1" CLEAR},
  {"[hosts]\nconnections=\n", ", line 2: [hosts] connections: '' is wrong; it cannot be empty"},
  {"[hosts]\nconnections= \t\n", ", line 2: [hosts] connections: '' is wrong; it cannot be empty"},
  {"[hosts]\nplug-kind=dim\n",
    ", line 2: [hosts] plug-kind: 'dim' is wrong; one of dimm, virtio-mem, auto is allowed, or URI= and one of them for "
    "a connection"},
  {"[hosts]\nplug-policy=fine qemu:///system\n",
    ", line 2: [hosts] plug-policy: 'fine qemu:///system' is wrong; one of ovirt, whole, fine is allowed, or URI= and one "
    "of them for a connection"},
  {"[hosts]\nplug-kind=auto qemu:///sytem=dimm\n",
    ": [hosts] plug-kind: 'qemu:///sytem' is none of the connections; spell it as it stands there, or list it there too"},
  {"[hosts]\nconnections=qemu:///session\nplug-policy=qemu:///system=fine\n",
    ": [hosts] plug-policy: 'qemu:///system' is none of the connections; spell it as it stands there, or list it there "
    "too"},
  {"[hosts]\nplug-kind=\n",
    ", line 2: [hosts] plug-kind: '' is wrong; one of dimm, virtio-mem, auto is allowed, or URI= and one of them for a "
    "connection"},
  {"[users]\nfile=\n", ", line 2: [users] file: '' is wrong; it cannot be empty"},
  {"[server]\nport=1\n#port=2\n\nport = 3\n", ", line 2: [server] port is in line 5 too; remove one of them"},
  {"[server]\nport=1\n[log]\nlevel=info\n[server]\nport=1\n",
    ", line 2: [server] port is in line 6 too; remove one of them"},
  {"[hosts]\nconnections=qemu:///system nonsense\n",
    ": [hosts] connections: 'nonsense' is not a libvirt connection: it is no URI" URIS},
  {"[hosts]\nconnections=qemu+pigeon:///system\n",
    ": [hosts] connections: 'qemu+pigeon:///system' is not a libvirt connection: it has no transport 'pigeon', but unix, ssh, tls, tcp, ext, libssh, libssh2" URIS},
  {"[hosts]\nconnections=qemu://host/\n",
    ": [hosts] connections: 'qemu://host/' is not a libvirt connection: for qemu its path is /system or /session" URIS},
  {"[hosts]\nconnections=qemu:///system xen:///system qemu:///system\n",
    ": [hosts] connections: qemu:///system is listed twice; list each host once"},
  {"[server]\nca=none.pem\n",
    ": [server] ca-certificate: Failed to open file “%F/none.pem”: No such file or directory"},
  {"[server]\nca=dimmerd.conf\n", ": [server] ca-certificate: %F/dimmerd.conf is not a PEM file (-----BEGIN ...)"},
};

static void test_wrong(void) {
  g_autofree char *file = g_build_filename(folder, "dimmerd.conf", NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) parts = g_strsplit(wrong[i].message, "%F", -1);
    g_autofree char *message = g_strjoinv(folder, parts);
    g_autofree char *expected = g_strconcat(file, message, NULL);
    g_assert_null(load(wrong[i].text, &error));
    g_assert_error(error, DM_ERROR, DM_ERROR_BAD_VALUE);
    if (error != NULL)
      g_assert_cmpstr(error->message, ==, expected);
  }
}

static void test_missing_file(void) {
  g_autofree char *path = g_build_filename(folder, "missing", NULL);
  g_autoptr(GError) error = NULL;
  g_assert_null(settings_load(path, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
  if (error != NULL)
    g_assert_nonnull(strstr(error->message, path));
}

static const char with_certificate[] = "[server]\naddress=0.0.0.0\ncertificate=c.pem\nkey=k.pem\nca=c.pem\n";

static void test_certificate(void) {
  write_file("c.pem", "-----BEGIN CERTIFICATE-----\n");
  write_file("k.pem", "-----BEGIN PRIVATE KEY-----\n");
  g_autofree char *certificate = g_build_filename(folder, "c.pem", NULL);
  g_autoptr(Settings) settings = load_well(with_certificate);
  g_assert_cmpstr(settings->certificate, ==, certificate);
  g_assert_cmpstr(settings->certificate_text, ==, "-----BEGIN CERTIFICATE-----\n");
  g_assert_cmpstr(settings->key_text, ==, "-----BEGIN PRIVATE KEY-----\n");
  g_assert_cmpstr(settings->ca_text, ==, settings->certificate_text);
}

/* What a reload takes, and what it only tells. */
static void test_take(void) {
  write_file("c.pem", "-----BEGIN CERTIFICATE-----\n");
  write_file("k.pem", "-----BEGIN PRIVATE KEY-----\n");
  g_autoptr(Settings) settings = load_well(with_certificate);
  g_autoptr(Settings) same = load_well(with_certificate);
  g_autoptr(GPtrArray) nothing = settings_take(settings, same);
  g_assert_cmpuint(nothing->len, ==, 0);

  write_file("c.pem", "-----BEGIN CERTIFICATE-----\n2\n");
  g_autoptr(Settings) newer = load_well(
    "[server]\naddress=::\ncertificate=c.pem\nkey=k.pem\n[hosts]\nconnections=qemu:///session test:///default\n[log]\nlevel=debug\ntarget=stderr\n"
    "[database]\nevent-retention=7d\n[limits]\nmax-body=4096\nidle-timeout=1\n");
  g_autoptr(GPtrArray) others = settings_take(settings, newer);
  g_ptr_array_add(others, NULL);
  g_autofree char *list = g_strjoinv(", ", (char **)others->pdata);
  g_assert_cmpstr(list, ==,
    "[server] address, [server] ca-certificate, [hosts] connections, [limits] max-body, [limits] idle-timeout, "
    "the content of [server] certificate and private-key, the content of [server] ca-certificate");
  g_assert_cmpstr(settings->log_level, ==, "debug");
  g_assert_cmpstr(settings->log_target, ==, "stderr");
  g_assert_cmpfloat_with_epsilon(settings->event_retention, 7 * 86400.0, 1e-9);
  g_assert_cmpstr(settings->address, ==, "0.0.0.0");
  g_assert_cmpuint(settings->max_per_address, ==, 512);
  g_assert_cmpuint(g_strv_length(settings->trusted_proxies), ==, 0);
  g_assert_cmpuint(settings->max_body, ==, 131072);
}

/* systemd tells a unit's folders, which count for any user. */
static void test_places(void) {
  g_setenv("CONFIGURATION_DIRECTORY", "/etc/one:/etc/two", TRUE);
  g_setenv("STATE_DIRECTORY", "/var/lib/one", TRUE);
  g_autofree char *configuration = place_configuration(), *users = place_users(), *database = place_database();
  g_autofree char *connection = place_connection();
  g_unsetenv("CONFIGURATION_DIRECTORY");
  g_unsetenv("STATE_DIRECTORY");
  g_assert_cmpstr(configuration, ==, "/etc/one/dimmerd.conf");
  g_assert_cmpstr(users, ==, "/etc/one/users");
  g_assert_cmpstr(database, ==, "/var/lib/one/dimmer.db");
  g_assert_cmpstr(connection, ==, "qemu:///system");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  folder = g_dir_make_tmp("dimmer-XXXXXX", NULL);
  g_test_add_func("/daemon-config/defaults", test_defaults);
  g_test_add_func("/daemon-config/table", test_table);
  g_test_add_func("/daemon-config/values", test_values);
  g_test_add_func("/daemon-config/wrong", test_wrong);
  g_test_add_func("/daemon-config/missing-file", test_missing_file);
  g_test_add_func("/daemon-config/certificate", test_certificate);
  g_test_add_func("/daemon-config/take", test_take);
  g_test_add_func("/daemon-config/places", test_places);
  int failed = g_test_run();
  static const char *const names[] = {"dimmerd.conf", "c.pem", "k.pem"};
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = g_build_filename(folder, names[i], NULL);
    g_remove(path);
  }
  g_rmdir(folder);
  g_free(folder);
  return failed;
}
