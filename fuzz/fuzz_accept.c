/* SPDX-License-Identifier: Apache-2.0 */
/* Accept and Content-Type. */
#include "fuzz.h"
#include "wire/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *text = g_strndup((const char *)data, size);
  DmFormat format = 77, of_type = 77;
  gboolean taken = dm_format_negotiate(text, &format);
  g_assert(taken ? format == DM_FORMAT_XML || format == DM_FORMAT_JSON : format == 77);
  gboolean known = dm_format_of_type(text, &of_type);
  g_assert(known ? of_type == DM_FORMAT_XML || of_type == DM_FORMAT_JSON : of_type == 77);
  /* With whatever else is taken, and for less. */
  g_autofree char *more = g_strconcat("application/json;q=1,", text, NULL);
  g_assert(dm_format_negotiate(more, &format));
  return 0;
}
