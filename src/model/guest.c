/* SPDX-License-Identifier: Apache-2.0 */
#include "model/guest.h"

#include "base/size.h"
#include "words/finding.h"

#define FINGERPRINT_LENGTH 32

DmGuest *dm_guest_new(void) {
  DmGuest *guest = g_new0(DmGuest, 1);
  guest->notes = dm_notes_new();
  return guest;
}

DmGuest *dm_guest_copy(const DmGuest *guest) {
  DmGuest *copy = g_memdup2(guest, sizeof *guest);
  copy->os = g_strdup(guest->os);
  copy->kernel = g_strdup(guest->kernel);
  copy->boot = g_strdup(guest->boot);
  copy->policy = g_strdup(guest->policy);
  copy->agent = g_strdup(guest->agent);
  copy->runs = guest->runs != NULL ? g_array_copy(guest->runs) : NULL;
  copy->nodes = guest->nodes != NULL ? g_array_copy(guest->nodes) : NULL;
  copy->notes = dm_notes_copy(guest->notes);
  return copy;
}

void dm_guest_lose(DmGuest *guest, uint64_t bytes) {
  guest->total = dm_size_minus(guest->total, bytes);
  guest->available = dm_size_minus(guest->available, bytes);
  if (bytes > 0)
    g_clear_pointer(&guest->nodes, g_array_unref);
}

void dm_guest_free(DmGuest *guest) {
  if (guest == NULL)
    return;
  g_free(guest->os);
  g_free(guest->kernel);
  g_free(guest->boot);
  g_free(guest->policy);
  g_free(guest->agent);
  g_clear_pointer(&guest->runs, g_array_unref);
  g_clear_pointer(&guest->nodes, g_array_unref);
  g_ptr_array_unref(guest->notes);
  g_free(guest);
}

gboolean dm_guest_tells_movable(const DmGuest *guest) {
  return guest->runs != NULL || guest->windows == DM_FACT_YES;
}

gboolean dm_guest_is_before(const DmGuest *guest, guint major, guint minor) {
  char *end = NULL;
  guint64 first = guest->kernel != NULL ? g_ascii_strtoull(guest->kernel, &end, 10) : 0;
  if (first == 0 || *end != '.')
    return FALSE;
  return first < major || (first == major && g_ascii_strtoull(end + 1, NULL, 10) < minor);
}

const char *dm_guest_boot_word(const DmGuest *guest) {
  if (dm_guest_is_before(guest, 4, 13))
    return "memhp_default_state=offline";
  return dm_guest_is_before(guest, 5, 7) ? "movable_node" : "memhp_default_state=online_movable";
}

const char *dm_source_name(DmSource source) {
  static const char *const names[] = {
    [DM_SOURCE_NONE] = "",
    [DM_SOURCE_AGENT] = "dimmer-guest",
    [DM_SOURCE_QEMU_AGENT] = "qemu-guest-agent",
    [DM_SOURCE_BALLOON] = "balloon statistics",
    [DM_SOURCE_HYPERVISOR] = "libvirt",
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_SOURCES);
  return names[source];
}

/* How a run counts: a block going offline is still in its zone, and may return to it. */
static uint64_t *counter_of(DmRangeState *state, const DmBlockRun *run) {
  if (run->state == DM_BLOCK_OFFLINE)
    return &state->offline;
  if (run->state == DM_BLOCK_UNKNOWN || run->zone == DM_ZONE_UNKNOWN)
    return &state->unknown;
  return run->zone == DM_ZONE_MOVABLE ? &state->movable : &state->kernel;
}

void dm_range_add(DmRangeState *state, const DmBlockRun *run, uint64_t size) {
  *counter_of(state, run) += size;
  if (run->state == DM_BLOCK_GOING_OFFLINE && run->zone != DM_ZONE_UNKNOWN)
    state->going += size;
}

const char *dm_use_name(DmUse use) {
  static const char *const names[] = {
    [DM_USE_UNKNOWN] = "unknown",
    [DM_USE_MOVABLE] = "online-movable",
    [DM_USE_KERNEL] = "online-kernel",
    [DM_USE_PARTLY] = "partly",
    [DM_USE_OFFLINE] = "offline",
    [DM_USE_NONE] = "not-taken",
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_USES);
  return names[use];
}

const char *dm_use_text(DmUse use) {
  static const char *const texts[] = {
    [DM_USE_UNKNOWN] = DM_PHRASE_USE_UNKNOWN,
    [DM_USE_MOVABLE] = DM_PHRASE_USE_MOVABLE,
    [DM_USE_KERNEL] = DM_PHRASE_USE_KERNEL,
    [DM_USE_PARTLY] = DM_PHRASE_USE_PARTLY,
    [DM_USE_OFFLINE] = DM_PHRASE_USE_OFFLINE,
    [DM_USE_NONE] = DM_PHRASE_USE_NONE,
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(texts) == DM_USES);
  return texts[use];
}

DmUse dm_range_use(const DmRangeState *state) {
  uint64_t online = state->movable + state->kernel, not_online = state->offline + state->absent;
  if (state->unknown > state->absent)
    return DM_USE_UNKNOWN;
  if (online > 0 && not_online > 0)
    return DM_USE_PARTLY;
  if (online > 0)
    return state->kernel > 0 ? DM_USE_KERNEL : DM_USE_MOVABLE;
  return state->offline > 0 ? DM_USE_OFFLINE : DM_USE_NONE;
}

/* The overlap of the run with [start, end): its size and start. */
static uint64_t clip(const DmBlockRun *run, uint64_t start, uint64_t end, uint64_t *from) {
  *from = MAX(run->start, start);
  return dm_size_minus(MIN(dm_size_plus(run->start, run->size), end), *from);
}

DmRangeState dm_guest_range(const DmGuest *guest, uint64_t start, uint64_t size) {
  DmRangeState state = {0};
  uint64_t end = dm_size_plus(start, size), covered = 0, from;
  for (guint i = 0; guest->runs != NULL && i < guest->runs->len; i++) {
    const DmBlockRun *run = &g_array_index(guest->runs, DmBlockRun, i);
    uint64_t part = clip(run, start, end, &from);
    dm_range_add(&state, run, part);
    covered += part;
  }
  state.absent = dm_size_minus(size, covered);
  state.unknown += state.absent;
  return state;
}

/* What an attempt to unplug it does not change: one may bring back kernel memory as movable, but not what made it
 * fail. */
static const char *describe_blocks(const DmRangeState *state) {
  if (state->kernel > 0)
    return "kernel";
  return state->movable > 0 ? "movable" : "offline";
}

char *dm_guest_fingerprint(const DmGuest *guest, uint64_t start, uint64_t size) {
  DmRangeState state = dm_guest_range(guest, start, size);
  if (guest->runs == NULL || state.unknown > 0)
    return NULL;
  g_autofree char *text = g_strdup_printf("%s %" G_GINT64_MODIFIER "x+%" G_GINT64_MODIFIER "x %s",
    guest->boot != NULL ? guest->boot : "", start, size, describe_blocks(&state));
  char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
  sum[FINGERPRINT_LENGTH] = '\0';
  return sum;
}
