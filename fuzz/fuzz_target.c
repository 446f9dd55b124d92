/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/error.h"
#include "fuzz.h"
#include "wire/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *uri = g_strndup((const char *)data, size);
  g_autoptr(GError) error = NULL;
  g_autoptr(DmTarget) target = dm_target_parse(uri, &error);
  if (target == NULL) {
    g_assert_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST);
    g_assert(g_utf8_validate(error->message, -1, NULL));
    return 0;
  }
  for (const char *const *segment = dm_target_segments(target); *segment != NULL; segment++) {
    g_assert(**segment != '\0' && g_utf8_validate(*segment, -1, NULL));
    g_assert(strcmp(*segment, ".") != 0 && strcmp(*segment, "..") != 0);
  }
  static const char *const names[] = {"max", "search", "next_run", "a"};
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    const char *value = dm_target_parameter(target, names[i]);
    g_assert(value == NULL || g_utf8_validate(value, -1, NULL));
    gboolean truth = dm_target_boolean(target, names[i], 7);
    g_assert(value != NULL ? truth == TRUE || truth == FALSE || truth == 7 : truth == 7);
    gint64 number = dm_target_number(target, names[i], 7);
    g_assert(value != NULL || number == 7);
  }
  return 0;
}
