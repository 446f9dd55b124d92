/* SPDX-License-Identifier: Apache-2.0 */
/* What a program inside a guest printed, as qemu-guest-agent passes it on. */
#include "facts.h"
#include "fuzz.h"
#include "report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *output = g_strndup((const char *)data, size);
  g_autoptr(DmGuest) guest = dm_guest_new();
  facts_take_script(output, guest);
  assert_report(guest);
  g_assert(guest->runs == NULL || guest->run_source == DM_SOURCE_QEMU_AGENT);
  g_autofree char *words = facts_words(output);
  g_assert(g_utf8_validate(words, -1, NULL));
  return 0;
}
