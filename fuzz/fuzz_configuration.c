/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of dimmerd. No file of this machine is read: what it names is a PEM file, or is not there. */
#include <string.h>

#include "base/error.h"
#include "fuzz.h"
#include "settings.h"

#define PLACE "/etc/dimmer/dimmerd.conf"

static const uint8_t *input;
static size_t input_size;
static gboolean loading; /* else it is the corpus that is read */

gboolean __real_g_file_get_contents(const char *path, char **text, gsize *length, GError **error);
gboolean __wrap_g_file_get_contents(const char *path, char **text, gsize *length, GError **error);

gboolean __wrap_g_file_get_contents(const char *path, char **text, gsize *length, GError **error) {
  static const char pem[] = "-----BEGIN CERTIFICATE-----\n";
  if (!loading)
    return __real_g_file_get_contents(path, text, length, error);
  gboolean is_input = strcmp(path, PLACE) == 0;
  if (!is_input && strlen(path) % 2 == 1) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "Failed to open file: no such file");
    return FALSE;
  }
  gsize size = is_input ? input_size : sizeof pem - 1;
  *text = g_malloc(size + 1);
  memcpy(*text, is_input ? (const void *)input : pem, size);
  (*text)[size] = '\0';
  if (length != NULL)
    *length = size;
  return TRUE;
}

static Settings *load(GError **error) {
  loading = TRUE;
  Settings *settings = settings_load(PLACE, error);
  loading = FALSE;
  return settings;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autoptr(GError) error = NULL;
  input = data;
  input_size = size;
  g_autoptr(Settings) settings = load(&error);
  g_assert((settings == NULL) == (error != NULL));
  if (settings == NULL) {
    g_assert(g_str_has_prefix(error->message, PLACE) || g_error_matches(error, DM_ERROR, DM_ERROR_FAILED));
    return 0;
  }
  g_assert(settings->connections[0] != NULL && settings->port <= 65535);
  g_assert((settings->certificate_text == NULL) == (*settings->certificate == '\0'));
  g_assert((settings->key_text == NULL) == (settings->certificate_text == NULL));
  g_autoptr(Settings) again = load(&error);
  g_assert_no_error(error);
  for (gsize i = 0; i < keys_count; i++)
    g_assert(key_equal(&keys[i], settings, again));
  return 0;
}
