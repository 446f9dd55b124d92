/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/form.h"

#include <string.h>

char *dm_form_value(GBytes *body, const char *name) {
  gsize length = 0;
  const char *data = g_bytes_get_data(body, &length);
  if (data == NULL || memchr(data, '\0', length) != NULL)
    return NULL;
  g_autofree char *text = g_strndup(data, length);
  g_autoptr(GHashTable) form = g_uri_parse_params(text, -1, "&", G_URI_PARAMS_WWW_FORM, NULL);
  return form != NULL ? g_strdup(g_hash_table_lookup(form, name)) : NULL;
}
