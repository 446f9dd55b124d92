/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <string.h>

static void assert_text(const char *text) {
  g_assert(text == NULL || (strlen(text) <= 256 && g_utf8_validate(text, -1, NULL)));
  for (const char *at = text; at != NULL && *at != '\0'; at = g_utf8_next_char(at))
    g_assert(g_unichar_isprint(g_utf8_get_char(at)));
}

static void assert_runs(const GArray *runs, uint64_t block) {
  uint64_t end = 0;
  g_assert(block != 0 && runs->len <= 65536);
  for (guint i = 0; i < runs->len; i++) {
    const DmBlockRun *run = &g_array_index(runs, DmBlockRun, i);
    g_assert(run->start >= end && run->start + run->size > run->start);
    g_assert(run->start % block == 0 && run->size % block == 0);
    end = run->start + run->size;
  }
}

void assert_report(const DmGuest *guest) {
  assert_text(guest->agent);
  assert_text(guest->kernel);
  assert_text(guest->boot);
  assert_text(guest->policy);
  g_assert(guest->available <= guest->total);
  if (guest->runs == NULL)
    return;
  if (guest->runs->len > 0)
    assert_runs(guest->runs, guest->block);
  DmRangeState state = dm_guest_range(guest, 1 << 30, 1 << 30);
  g_assert(state.movable + state.kernel + state.offline + state.unknown == 1 << 30);
  g_autofree char *print = dm_guest_fingerprint(guest, 1 << 30, 1 << 30);
  g_assert((print != NULL) == (state.unknown == 0));
  g_assert(state.going <= state.movable + state.kernel && state.absent <= state.unknown);
}
