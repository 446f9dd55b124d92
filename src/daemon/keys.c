/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of all keys. A new key is a row here, a field of Settings, and a line in docs/dimmerd.8 and
 * packaging/dimmerd.conf: tests/docs check that the three agree.
 */
#include <gio/gio.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "settings.h"

#define DAY (24 * 3600.0)
#define FIELD(name) offsetof(Settings, name)

/* clang-format off: one row, one key */
const Key keys[] = {
  {"server", "address", KEY_ADDRESS, FIELD(address), "127.0.0.1",
    .meaning = "the numeric address to listen on; other than loopback only with a certificate"},
  {"server", "port", KEY_NUMBER, FIELD(port), "8080", .least = 0, .most = 65535,
    .meaning = "the port to listen on; 0: one that the system chooses"},
  {"server", "certificate", KEY_FILE, FIELD(certificate), "",
    .meaning = "the certificate with its chain, in PEM: HTTPS with it, HTTP without"},
  {"server", "private-key", KEY_FILE, FIELD(key), "", .former = "key",
    .meaning = "the certificate's private key, in PEM"},
  {"server", "ca-certificate", KEY_FILE, FIELD(ca), "", .former = "ca",
    .meaning = "the certificate of the CA, in PEM, for clients that fetch it"},
  {"server", "answer-timeout", KEY_SECONDS, FIELD(answer_timeout), "10", .least = 0, .most = 3600,
    .meaning = "how long the answer to a change waits for its outcome"},
  {"server", "web", KEY_FILE, FIELD(web), "/usr/share/dimmer/web", place_web,
    .meaning = "the folder of the WebAdmin page"},
  {"server", "trusted-proxies", KEY_NETWORKS, FIELD(trusted_proxies), "",
    .meaning =
      "addresses and networks of proxies whose X-Forwarded-For or Forwarded names the client, separated by blanks"},
  {"hosts", "connections", KEY_WORDS, FIELD(connections), "qemu:///system", place_connection,
    .meaning = "the libvirt connections of all hosts, separated by blanks"},
  {"hosts", "guest-timeout", KEY_SECONDS, FIELD(guest_timeout), "60", .least = 0, .most = DAY,
    .meaning = "how long to wait for a guest's answers after each asking"},
  {"hosts", "shutdown-timeout", KEY_SECONDS, FIELD(shutdown_timeout), "300", .least = 1, .most = DAY,
    .meaning = "how long a guest may take to shut down for a reboot into its next run"},
  {"hosts", "balloon-statistics", KEY_SECONDS, FIELD(balloon_statistics), "5", .least = 0, .most = 3600,
    .meaning = "how often a VM's balloon reports memory statistics, where the VM does not say; 0: nothing is set"},
  {"hosts", "plug-kind", KEY_CHOICES, FIELD(plug_kinds), "dimm", .allowed = "dimm|virtio-mem|auto",
    .meaning =
      "the kind of new devices where a request names none; or URI=KIND for one connection, separated by blanks"},
  {"hosts", "plug-policy", KEY_CHOICES, FIELD(plug_policies), "ovirt", .allowed = "ovirt|whole|fine",
    .meaning =
      "the split into DIMMs where a request names none; or URI=POLICY for one connection, separated by blanks"},
  {"users", "file", KEY_FILE, FIELD(users_file), "/etc/dimmer/users", place_users,
    .meaning = "the users and their passwords' hashes"},
  {"users", "token-idle", KEY_SECONDS, FIELD(token_idle), "1800", .least = 1, .most = 365 * DAY,
    .meaning = "a token expires this long after its last use"},
  {"users", "token-life", KEY_SECONDS, FIELD(token_life), "36000", .least = 1, .most = 365 * DAY,
    .meaning = "a token ends this long after the login, however it is used"},
  {"database", "file", KEY_FILE, FIELD(database_file), "/var/lib/dimmer/dimmer.db", place_database,
    .meaning = "audit events and tokens; made where it is missing"},
  {"database", "event-retention", KEY_SECONDS, FIELD(event_retention), "30d", .least = DAY, .most = 36500 * DAY,
    .live = TRUE, .former = "event-days", .former_unit = "d", .meaning = "audit events are kept this long"},
  {"limits", "max-connections", KEY_NUMBER, FIELD(max_connections), "2048", .least = 1, .most = 1000000,
    .meaning = "connections of clients at a time"},
  {"limits", "max-per-address", KEY_NUMBER, FIELD(max_per_address), "512", .least = 1, .most = 1000000,
    .meaning = "connections at a time of one address (of IPv6, of one /64); proxies that are trusted may have all"},
  {"limits", "max-body", KEY_SIZE, FIELD(max_body), "131072", .least = 1024, .most = (double)DM_GIB,
    .meaning = "the largest body of a request"},
  {"limits", "idle-timeout", KEY_SECONDS, FIELD(idle_timeout), "75", .least = 1, .most = DAY,
    .meaning = "a connection without traffic is closed after this"},
  {"limits", "request-timeout", KEY_SECONDS, FIELD(request_timeout), "30", .least = 0.1, .most = DAY,
    .meaning = "how long a client may take to send a request's head, and then its body"},
  {"log", "level", KEY_CHOICE, FIELD(log_level), "info", .allowed = "error|warning|info|debug", .live = TRUE,
    .meaning = "the least important messages that are logged"},
  {"log", "target", KEY_CHOICE, FIELD(log_target), "auto", .allowed = "auto|stderr|journal", .live = TRUE,
    .meaning = "where to; auto: the journal if standard error leads there, else standard error"},
  {"metrics", "vms", KEY_CHOICE, FIELD(vm_metrics), "no", .allowed = "yes|no",
    .meaning = "whether /metrics, which takes no login, has series for each VM"},
};
/* clang-format on */
const gsize keys_count = G_N_ELEMENTS(keys);

const Key *key_find(const char *section, const char *name) {
  for (gsize i = 0; i < keys_count; i++) {
    if (strcmp(keys[i].section, section) == 0 &&
      (strcmp(keys[i].name, name) == 0 || g_strcmp0(keys[i].former, name) == 0))
      return &keys[i];
  }
  return NULL;
}

/* Levenshtein's: how many characters to insert, remove or replace. */
static guint distance(const char *from, const char *to) {
  gsize width = strlen(to) + 1;
  g_autofree guint *row = g_new(guint, width);
  for (gsize j = 0; j < width; j++)
    row[j] = (guint)j;
  for (guint i = 1; *from != '\0'; from++, i++) {
    guint diagonal = row[0];
    row[0] = i;
    for (gsize j = 1; j < width; j++) {
      guint replaced = diagonal + (*from != to[j - 1]);
      diagonal = row[j];
      row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
    }
  }
  return row[width - 1];
}

const char *key_nearest_section(const char *section) {
  const char *nearest = NULL;
  guint least = G_MAXUINT;
  for (gsize i = 0; i < keys_count; i++) {
    guint far = distance(section, keys[i].section);
    if (far < least) {
      least = far;
      nearest = keys[i].section;
    }
  }
  return nearest;
}

const char *key_nearest_name(const char *section, const char *name) {
  const char *nearest = NULL;
  guint least = G_MAXUINT;
  for (gsize i = 0; i < keys_count; i++) {
    guint far = distance(name, keys[i].name);
    if (strcmp(keys[i].section, section) == 0 && far < least) {
      least = far;
      nearest = keys[i].name;
    }
  }
  return nearest;
}

void keys_print(void) {
  for (gsize i = 0; i < keys_count; i++) {
    if (i == 0 || strcmp(keys[i].section, keys[i - 1].section) != 0)
      printf("  [%s]\n", keys[i].section);
    printf(
      "  %s =%s%s\n      %s\n", keys[i].name, *keys[i].standard != '\0' ? " " : "", keys[i].standard, keys[i].meaning);
  }
}

static gboolean not_allowed(const Key *key, const char *text, GError **error) {
  g_autofree char *allowed = NULL;
  switch (key->kind) {
    case KEY_ADDRESS:
      allowed = g_strdup("a numeric IPv4 or IPv6 address is allowed");
      break;
    case KEY_CHOICE: {
      g_auto(GStrv) words = g_strsplit(key->allowed, "|", -1);
      g_autofree char *list = g_strjoinv(", ", words);
      allowed = g_strdup_printf("one of %s is allowed", list);
      break;
    }
    case KEY_CHOICES: {
      g_auto(GStrv) words = g_strsplit(key->allowed, "|", -1);
      g_autofree char *list = g_strjoinv(", ", words);
      allowed = g_strdup_printf("one of %s is allowed, or URI= and one of them for a connection", list);
      break;
    }
    case KEY_NUMBER:
      allowed = g_strdup_printf("a whole number from %.0f to %.0f is allowed", key->least, key->most);
      break;
    case KEY_SECONDS:
      allowed = g_strdup_printf(
        "a time from %g to %.0f seconds is allowed, like 30, 30s, 2m, 30d or 500ms", key->least, key->most);
      break;
    case KEY_NETWORKS:
      allowed = g_strdup("addresses and networks like 192.0.2.1 or 192.0.2.0/24 are allowed");
      break;
    case KEY_SIZE:
      allowed = g_strdup_printf("a size from %.0f to %.0f bytes is allowed, like 65536 or 1MiB", key->least, key->most);
      break;
    case KEY_FILE:
    case KEY_WORDS:
      allowed = g_strdup("it cannot be empty");
  }
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "'%s' is wrong; %s", text, allowed);
  return FALSE;
}

static gboolean read_seconds(const char *text, double *seconds) {
  static const struct {
    const char *name;
    double seconds;
  } units[] = {{"", 1}, {"s", 1}, {"ms", 0.001}, {"m", 60}, {"h", 3600}, {"d", DAY}};
  char *end = NULL;
  double number = g_ascii_isdigit(*text) ? g_ascii_strtod(text, &end) : 0;
  for (gsize i = 0; end != NULL && i < G_N_ELEMENTS(units); i++) {
    if (strcmp(end, units[i].name) == 0) {
      *seconds = number * units[i].seconds;
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean is_allowed_word(const Key *key, const char *text) {
  g_auto(GStrv) words = g_strsplit(key->allowed, "|", -1);
  return g_strv_contains((const char *const *)words, text);
}

static gboolean is_address(const char *text) {
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(text);
  return address != NULL;
}

static char **split_words(const char *text) {
  g_auto(GStrv) parts = g_strsplit_set(text, " \t", -1);
  g_autoptr(GStrvBuilder) words = g_strv_builder_new();
  for (char **part = parts; *part != NULL; part++) {
    if (**part != '\0')
      g_strv_builder_add(words, *part);
  }
  return g_strv_builder_end(words);
}

static gboolean are_networks(char **words) {
  for (; *words != NULL; words++) {
    g_autoptr(GInetAddressMask) mask = g_inet_address_mask_new_from_string(*words, NULL);
    if (mask == NULL)
      return FALSE;
  }
  return TRUE;
}

/* A URI may have "=" itself. */
static gboolean are_choices(const Key *key, char **words) {
  for (char **word = words; *word != NULL; word++) {
    const char *equals = strrchr(*word, '=');
    if (!is_allowed_word(key, equals != NULL ? equals + 1 : *word))
      return FALSE;
  }
  return words[0] != NULL;
}

static gboolean are_well(const Key *key, char **words) {
  if (key->kind == KEY_CHOICES)
    return are_choices(key, words);
  return key->kind == KEY_WORDS ? words[0] != NULL : are_networks(words);
}

static gboolean has_words(const Key *key) {
  return key->kind == KEY_NETWORKS || key->kind == KEY_WORDS || key->kind == KEY_CHOICES;
}

static gpointer field_of(const Key *key, const Settings *settings) {
  return (char *)settings + key->offset;
}

static void set_text(const Key *key, Settings *settings, char *text) {
  key_clear(key, settings);
  *(char **)field_of(key, settings) = text;
}

static gboolean read_text(const Key *key, const char *text, const char *folder, Settings *settings, GError **error) {
  /* A default found at run time is never "none", which an empty path means elsewhere. */
  if (*text == '\0' && key->find != NULL)
    return not_allowed(key, text, error);
  if (key->kind == KEY_CHOICE ? !is_allowed_word(key, text) : key->kind == KEY_ADDRESS && !is_address(text))
    return not_allowed(key, text, error);
  gboolean path = key->kind == KEY_FILE && *text != '\0';
  set_text(key, settings, path ? g_canonicalize_filename(text, folder) : g_strdup(text));
  return TRUE;
}

gboolean key_read(const Key *key, const char *text, const char *folder, Settings *settings, GError **error) {
  guint64 number = 0;
  double seconds = 0;
  uint64_t size = 0;
  switch (key->kind) {
    case KEY_NUMBER:
      if (!g_ascii_string_to_unsigned(text, 10, (guint64)key->least, (guint64)key->most, &number, NULL))
        return not_allowed(key, text, error);
      *(guint *)field_of(key, settings) = (guint)number;
      return TRUE;
    case KEY_SECONDS:
      /* "nan" does not begin with a digit; infinity is above the maximum. */
      if (!read_seconds(text, &seconds) || seconds < key->least || seconds > key->most)
        return not_allowed(key, text, error);
      *(double *)field_of(key, settings) = seconds;
      return TRUE;
    case KEY_SIZE:
      if (!dm_size_parse(text, &size, NULL) || (double)size < key->least || (double)size > key->most)
        return not_allowed(key, text, error);
      *(uint64_t *)field_of(key, settings) = size;
      return TRUE;
    case KEY_CHOICES:
    case KEY_NETWORKS:
    case KEY_WORDS: {
      char **words = split_words(text);
      if (!are_well(key, words)) {
        g_strfreev(words);
        return not_allowed(key, text, error);
      }
      key_clear(key, settings);
      *(char ***)field_of(key, settings) = words;
      return TRUE;
    }
    case KEY_ADDRESS:
    case KEY_CHOICE:
    case KEY_FILE:
      break;
  }
  return read_text(key, text, folder, settings, error);
}

void key_clear(const Key *key, Settings *settings) {
  if (has_words(key))
    g_clear_pointer((char ***)field_of(key, settings), g_strfreev);
  else if (key->kind == KEY_ADDRESS || key->kind == KEY_CHOICE || key->kind == KEY_FILE)
    g_clear_pointer((char **)field_of(key, settings), g_free);
}

gboolean key_equal(const Key *key, const Settings *one, const Settings *other) {
  gconstpointer a = field_of(key, one), b = field_of(key, other);
  switch (key->kind) {
    case KEY_NUMBER:
      return *(const guint *)a == *(const guint *)b;
    case KEY_SECONDS:
      return memcmp(a, b, sizeof(double)) == 0;
    case KEY_SIZE:
      return *(const uint64_t *)a == *(const uint64_t *)b;
    case KEY_CHOICES:
    case KEY_NETWORKS:
    case KEY_WORDS:
      return g_strv_equal(*(const char *const *const *)a, *(const char *const *const *)b);
    case KEY_ADDRESS:
    case KEY_CHOICE:
    case KEY_FILE:
      break;
  }
  return strcmp(*(char *const *)a, *(char *const *)b) == 0;
}
