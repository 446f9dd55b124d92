/* SPDX-License-Identifier: Apache-2.0 */
/* What anybody posts to the end points of tokens. */
#include <string.h>

#include "fuzz.h"
#include "wire/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const names[] = {"username", "password", "a", ""};
  g_autoptr(GBytes) body = g_bytes_new_static(data, size);
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *value = dm_form_value(body, names[i]);
    g_assert(value == NULL || (strlen(value) <= size && g_utf8_validate(value, -1, NULL)));
  }
  return 0;
}
