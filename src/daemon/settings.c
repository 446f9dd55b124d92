/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <gio/gio.h>
#include <string.h>

#include "base/error.h"
#include "hypervisor/connection.h"

void settings_free(Settings *settings) {
  if (settings == NULL)
    return;
  for (gsize i = 0; i < keys_count; i++)
    key_clear(&keys[i], settings);
  g_free(settings->file);
  g_free(settings->certificate_text);
  g_free(settings->key_text);
  g_free(settings->ca_text);
  g_free(settings);
}

/*
 * GKeyFile does not report lines. The first line after @after with the key of that section; NULL: the section header.
 * 0: not found.
 */
static guint find_line(const char *text, const char *section, const char *key, guint after) {
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  gboolean inside = FALSE;
  for (guint i = 0; lines[i] != NULL; i++) {
    g_strstrip(lines[i]);
    gsize length = strlen(lines[i]);
    if (lines[i][0] == '[') {
      inside = strncmp(lines[i] + 1, section, strlen(section)) == 0 && length == strlen(section) + 2;
      if (inside && key == NULL)
        return i + 1;
      continue;
    }
    char *equals = strchr(lines[i], '=');
    if (!inside || key == NULL || lines[i][0] == '#' || equals == NULL || i < after)
      continue;
    *equals = '\0';
    if (strcmp(g_strchomp(lines[i]), key) == 0)
      return i + 1;
  }
  return 0;
}

static void prefix_place(GError **error, const char *file, const char *text, const char *section, const char *key) {
  guint line = find_line(text, section, key, 0);
  g_prefix_error(error, "%s, line %u: ", file, line);
}

static gboolean fail_unknown_key(const char *section, const char *name, GError **error) {
  for (gsize i = 0; i < keys_count; i++) {
    if (strcmp(keys[i].name, name) == 0) {
      g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "[%s] has no key '%s'; it belongs to [%s]", section, name,
        keys[i].section);
      return FALSE;
    }
  }
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "[%s] has no key '%s'; did you mean '%s'", section, name,
    key_nearest_name(section, name));
  return FALSE;
}

static gboolean read_key(
  Settings *settings, GKeyFile *parsed, const char *section, const char *name, const char *folder, GError **error) {
  const Key *key = key_find(section, name);
  if (key == NULL)
    return fail_unknown_key(section, name, error);
  gboolean former = strcmp(name, key->name) != 0;
  if (former && g_key_file_has_key(parsed, section, key->name, NULL)) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "[%s] %s is the former name of %s, which is there too; remove %s",
      section, name, key->name, name);
    return FALSE;
  }
  g_autofree char *text = g_key_file_get_value(parsed, section, name, error);
  if (text == NULL)
    return FALSE;
  g_autofree char *value = g_strconcat(text, former ? key->former_unit : NULL, NULL);
  if (key_read(key, value, folder, settings, error))
    return TRUE;
  g_prefix_error(error, "[%s] %s: ", section, name);
  return FALSE;
}

/* GKeyFile uses the last, silently ignoring the other. */
static gboolean check_once(const char *text, const char *section, const char *name, GError **error) {
  guint first = find_line(text, section, name, 0), second = find_line(text, section, name, first);
  if (second == 0)
    return TRUE;
  g_set_error(
    error, DM_ERROR, DM_ERROR_BAD_VALUE, "[%s] %s is in line %u too; remove one of them", section, name, second);
  return FALSE;
}

static gboolean read_section(
  Settings *settings, GKeyFile *parsed, const char *section, const char *text, const char *folder, GError **error) {
  const char *nearest = key_nearest_section(section);
  if (strcmp(nearest, section) != 0) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "there is no section [%s]; did you mean [%s]", section, nearest);
    prefix_place(error, settings->file, text, section, NULL);
    return FALSE;
  }
  g_auto(GStrv) names = g_key_file_get_keys(parsed, section, NULL, NULL);
  for (char **name = names; name != NULL && *name != NULL; name++) {
    if (!check_once(text, section, *name, error) || !read_key(settings, parsed, section, *name, folder, error)) {
      prefix_place(error, settings->file, text, section, *name);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean read_file(Settings *settings, GError **error) {
  g_autofree char *text = NULL;
  gsize length = 0;
  g_autoptr(GError) failed = NULL;
  if (!g_file_get_contents(settings->file, &text, &length, &failed)) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "cannot read the configuration: %s", failed->message);
    return FALSE;
  }
  if (!g_utf8_validate_len(text, length, NULL)) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "%s is not text in UTF-8", settings->file);
    return FALSE;
  }
  g_autoptr(GKeyFile) parsed = g_key_file_new();
  /* Keeps translations so that "port[de]" is reported as an unknown key; without the flag it would be dropped. */
  if (length > 0 && !g_key_file_load_from_data(parsed, text, length, G_KEY_FILE_KEEP_TRANSLATIONS, &failed)) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "%s: %s", settings->file, failed->message);
    return FALSE;
  }
  g_autofree char *folder = g_path_get_dirname(settings->file);
  g_auto(GStrv) sections = g_key_file_get_groups(parsed, NULL);
  for (char **section = sections; *section != NULL; section++) {
    if (!read_section(settings, parsed, *section, text, folder, error))
      return FALSE;
  }
  return TRUE;
}

static void set_default(const Key *key, Settings *settings) {
  g_autofree char *found = key->find != NULL ? key->find() : g_strdup(key->standard);
  g_autoptr(GError) error = NULL;
  if (!key_read(key, found, "/", settings, &error))
    g_error("the default of [%s] %s: %s", key->section, key->name, error->message);
}

static char *read_pem(const char *path, const char *key, GError **error) {
  g_autofree char *text = NULL;
  g_autoptr(GError) failed = NULL;
  if (!g_file_get_contents(path, &text, NULL, &failed)) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "[server] %s: %s", key, failed->message);
    return NULL;
  }
  if (strstr(text, "-----BEGIN ") == NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "[server] %s: %s is not a PEM file (-----BEGIN ...)", key, path);
    return NULL;
  }
  return g_steal_pointer(&text);
}

static gboolean read_certificates(Settings *settings, GError **error) {
  const struct {
    const char *path, *key;
    char **text;
  } files[] = {
    {settings->certificate, "certificate", &settings->certificate_text},
    {settings->key, "private-key", &settings->key_text},
    {settings->ca, "ca-certificate", &settings->ca_text},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
    if (*files[i].path == '\0')
      continue;
    *files[i].text = read_pem(files[i].path, files[i].key, error);
    if (*files[i].text == NULL)
      return FALSE;
  }
  return TRUE;
}

/* Checks across values. */
static gboolean check_server(const Settings *settings, GError **error) {
  if (*settings->certificate != '\0' && *settings->key == '\0') {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "[server] has a certificate, but no private-key; name the file of its private key there");
    return FALSE;
  }
  if (*settings->key != '\0' && *settings->certificate == '\0') {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "[server] has a private-key, but no certificate; name the file of the certificate there");
    return FALSE;
  }
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(settings->address);
  if (*settings->certificate == '\0' && !g_inet_address_get_is_loopback(address)) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "[server] address: %s without a certificate would send passwords in clear text over the network; set certificate "
      "and private-key, or listen on 127.0.0.1 behind a proxy that speaks TLS",
      settings->address);
    return FALSE;
  }
  return TRUE;
}

/* Two connections of one name would be two hosts with one id. */
static gboolean check_connections(const Settings *settings, GError **error) {
  for (char **uri = settings->connections; *uri != NULL; uri++) {
    if (!dm_connection_check_uri(*uri, error)) {
      g_prefix_error(error, "[hosts] connections: ");
      return FALSE;
    }
    for (char **other = settings->connections; other < uri; other++) {
      if (strcmp(*other, *uri) == 0) {
        g_set_error(
          error, DM_ERROR, DM_ERROR_BAD_VALUE, "[hosts] connections: %s is listed twice; list each host once", *uri);
        return FALSE;
      }
    }
  }
  return TRUE;
}

/* @words of a key: URI=VALUE is of one of the connections, as spelled there. */
static gboolean check_plug_words(const Settings *settings, const char *key, char **words, GError **error) {
  for (; words != NULL && *words != NULL; words++) {
    const char *equals = strrchr(*words, '=');
    g_autofree char *uri = equals != NULL ? g_strndup(*words, (gsize)(equals - *words)) : NULL;
    if (uri == NULL || g_strv_contains((const char *const *)settings->connections, uri))
      continue;
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "[hosts] %s: '%s' is none of the connections; spell it as it stands there, or list it there too", key, uri);
    return FALSE;
  }
  return TRUE;
}

static gboolean check_plugs(const Settings *settings, GError **error) {
  return check_plug_words(settings, "plug-kind", settings->plug_kinds, error) &&
    check_plug_words(settings, "plug-policy", settings->plug_policies, error);
}

Settings *settings_load(const char *file, GError **error) {
  g_autoptr(Settings) settings = g_new0(Settings, 1);
  for (gsize i = 0; i < keys_count; i++)
    set_default(&keys[i], settings);
  g_autofree char *usual = place_configuration();
  if (file != NULL)
    settings->file = g_canonicalize_filename(file, NULL);
  else if (g_file_test(usual, G_FILE_TEST_EXISTS))
    settings->file = g_steal_pointer(&usual);
  if (settings->file != NULL && !read_file(settings, error))
    return NULL;
  if (check_server(settings, error) && check_connections(settings, error) && check_plugs(settings, error) &&
    read_certificates(settings, error))
    return g_steal_pointer(&settings);
  g_prefix_error(error, "%s: ", settings->file);
  return NULL;
}

static void take_key(const Key *key, Settings *settings, const Settings *newer) {
  /* Only numbers, times and choices are live; paths and lists would need a deep copy. */
  const char *from = (const char *)newer + key->offset;
  char *to = (char *)settings + key->offset;
  if (key->kind == KEY_NUMBER || key->kind == KEY_SECONDS) {
    memcpy(to, from, key->kind == KEY_NUMBER ? sizeof(guint) : sizeof(double));
    return;
  }
  g_assert(key->kind == KEY_CHOICE);
  g_free(*(char **)to);
  *(char **)to = g_strdup(*(char *const *)from);
}

GPtrArray *settings_take(Settings *settings, const Settings *newer) {
  g_autoptr(GPtrArray) others = g_ptr_array_new_with_free_func(g_free);
  for (gsize i = 0; i < keys_count; i++) {
    const Key *key = &keys[i];
    if (key_equal(key, settings, newer))
      continue;
    if (key->live)
      take_key(key, settings, newer);
    else
      g_ptr_array_add(others, g_strdup_printf("[%s] %s", key->section, key->name));
  }
  /* A renewed certificate has the same path. */
  if (g_strcmp0(settings->certificate_text, newer->certificate_text) != 0 ||
    g_strcmp0(settings->key_text, newer->key_text) != 0)
    g_ptr_array_add(others, g_strdup("the content of [server] certificate and private-key"));
  if (g_strcmp0(settings->ca_text, newer->ca_text) != 0)
    g_ptr_array_add(others, g_strdup("the content of [server] ca-certificate"));
  return g_steal_pointer(&others);
}
