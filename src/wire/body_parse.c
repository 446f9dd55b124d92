/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "body_private.h"

/* Maximum of attributes in a body, counted as '=' characters; a VM from oVirt has some two hundred. */
#define MOST_ATTRIBUTES 4096

static gboolean is_blank(const char *data, gsize size) {
  for (gsize i = 0; i < size; i++) {
    if (!g_ascii_isspace(data[i]))
      return FALSE;
  }
  return TRUE;
}

/* libxml2 compares each attribute of an element with all before it, before it reports any. */
static gboolean has_too_many_attributes(const char *data, gsize size) {
  guint count = 0;
  for (gsize i = 0; i < size; i++)
    count += data[i] == '=';
  return count > MOST_ATTRIBUTES;
}

DmBody *dm_body_parse(GBytes *bytes, DmFormat format, const char *root, GError **error) {
  gsize size = 0;
  const char *data = g_bytes_get_data(bytes, &size);
  g_autoptr(DmBody) body = body_new(root);
  if (is_blank(data, size))
    return g_steal_pointer(&body);
  if (size > G_MAXINT) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST, "the body is too large; send less than 2 GiB");
    return NULL;
  }
  if (format == DM_FORMAT_XML && has_too_many_attributes(data, size)) {
    g_set_error(
      error, DM_ERROR, DM_ERROR_BAD_REQUEST, "the body has more attributes than any request needs; send less");
    return NULL;
  }
  gboolean well =
    format == DM_FORMAT_XML ? body_xml_read(body, data, size, error) : body_json_read(body, data, size, error);
  return well ? g_steal_pointer(&body) : NULL;
}
