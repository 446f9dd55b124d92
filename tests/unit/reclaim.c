/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shares of a total: a table that can be read, and random offers against plainer ways to the same.
 *
 * An offer is "USABLE/UNUSED [rROOM] [sSPARE] [bBALLOON] [dDIMM...] [vSIZE:BLOCK...]" in MiB; "i" before a part: its
 * guest does not use it. Shares are "DEVICES[+BALLOON]".
 */
#include "plan/reclaim.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

#define MOST_OFFERS 8

static uint64_t mib(const char *text) {
  return g_ascii_strtoull(text, NULL, 10) * DM_MIB;
}

static void add_part(DmReclaimOffer *offer, const char *word) {
  gboolean idle = *word == 'i';
  word += idle;
  uint64_t size = mib(word + 1);
  const char *colon = strchr(word, ':');
  DmReclaimPart part = {.size = size, .needs = idle ? 0 : size, .block = colon != NULL ? mib(colon + 1) : 0};
  g_array_append_val(offer->parts, part);
}

static DmReclaimOffer *offer_from(const char *text) {
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  DmReclaimOffer *offer = g_new0(DmReclaimOffer, 1);
  offer->usable = offer->room = mib(words[0]);
  offer->unused = offer->spare = mib(strchr(words[0], '/') + 1);
  offer->parts = g_array_new(FALSE, FALSE, sizeof(DmReclaimPart));
  for (char **word = words + 1; *word != NULL; word++) {
    if (**word == 'r')
      offer->room = mib(*word + 1);
    else if (**word == 's')
      offer->spare = mib(*word + 1);
    else if (**word == 'b')
      offer->balloon = mib(*word + 1);
    else
      add_part(offer, *word);
  }
  return offer;
}

static char *shares_text(const DmReclaimShare *shares, guint count) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < count; i++) {
    g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "", shares[i].devices / DM_MIB);
    if (shares[i].balloon > 0)
      g_string_append_printf(text, "+%" G_GUINT64_FORMAT, shares[i].balloon / DM_MIB);
  }
  return g_string_free(text, FALSE);
}

typedef struct {
  const char *name, *offers; /* separated by ", " */
  guint total;
  const char *shares;
} Case;

static const Case cases[] = {
  {"nobody", "1000/500", 300, "0"},
  {"one", "1000/500 d100 d100 d100 d100", 200, "200"},
  {"the-largest-share-first", "1000/500 d100 d100, 1000/800 d100 d100", 200, "0 200"},
  {"level", "1000/800 v800:1, 1000/800 v800:1", 400, "200 200"},
  {"level-from-unequal", "1000/800 v800:1, 1000/600 v600:1", 700, "570 130"},
  {"by-share-not-by-size", "8000/800 v800:1, 1000/600 v600:1", 300, "0 300"},
  {"large-vms-give-more", "2000/1600 v1600:1, 1000/800 v800:1", 600, "400 200"},
  {"guaranteed", "1000/800 r100 v800:1, 1000/200 v200:1", 200, "100 100"},
  {"guest-spares", "1000/800 s50 d50 d100, 1000/200 v200:1", 200, "50 150"},
  {"guest-spares-but-idle", "1000/800 s0 iv300:1 v300:1", 500, "300"},
  {"all-that-there-is", "1000/800 d100 d100, 1000/700 d200", 900, "200 200"},
  {"in-order-where-equal", "1000/500 d100, 1000/500 d100, 1000/500 d100", 200, "100 100 0"},
  {"what-fits-before-what-does-not", "9000/8000 d4000, 1000/500 d100 d100", 200, "0 200"},
  {"one-device-beyond", "1000/500 d300, 1000/400 d200", 150, "0 200"},
  {"and-what-it-makes-needless", "1000/900 d100 d300, 1000/400 d100 d150", 200, "100 100"},
  {"the-needless-stays", "1000/900 d100, 1000/400 d300", 250, "0 300"},
  {"blocks-to-the-byte", "1000/900 v900:2", 101, "102"},
  {"in-whole-blocks", "1000/900 v900:512", 300, "512"},
  {"balloon-last", "1000/900 b900, 1000/400 d100 d100", 200, "0 200"},
  {"balloon-for-the-rest", "1000/900 b800, 1000/400 d100 d100", 300, "0+100 200"},
  {"balloon-before-beyond", "1000/900 b800, 1000/400 d300", 200, "0+200 0"},
  {"balloon-level", "1000/900 b800, 1000/900 b800", 300, "0+150 0+150"},
  {"balloon-beside-devices", "1000/500 b300 d200", 400, "200+100"},
  {"balloon-within-room", "1000/500 b300 r250 d200", 400, "200+50"},
  {"beyond-beside-balloon", "1000/500 s500 b300 d400", 350, "400"},
};

/* @offers become owned by the array. */
static guint offers_from(const char *text, DmReclaimOffer **offers) {
  g_auto(GStrv) parts = g_strsplit(text, ", ", -1);
  guint count = 0;
  for (; parts[count] != NULL; count++)
    offers[count] = offer_from(parts[count]);
  return count;
}

static void free_offers(DmReclaimOffer **offers, guint count) {
  for (guint i = 0; i < count; i++)
    dm_reclaim_offer_free(offers[i]);
}

static void share_out(DmReclaimOffer **offers, guint count, uint64_t total, DmReclaimShare *shares) {
  dm_reclaim_share_out((const DmReclaimOffer *const *)offers, count, total, shares);
}

static void test_case(gconstpointer data) {
  const Case *row = data;
  DmReclaimOffer *offers[MOST_OFFERS];
  DmReclaimShare shares[MOST_OFFERS];
  guint count = offers_from(row->offers, offers);
  share_out(offers, count, row->total * DM_MIB, shares);
  g_autofree char *text = shares_text(shares, count);
  g_assert_cmpstr(text, ==, row->shares);
  free_offers(offers, count);
}

/* ---- random offers ---- */

static DmReclaimOffer *random_offer(GRand *rand, gboolean blocks) {
  GString *text = g_string_new(NULL);
  int usable = g_rand_int_range(rand, 500, 4000), unused = g_rand_int_range(rand, 0, usable);
  int room = g_rand_int_range(rand, 0, 4) == 0 ? g_rand_int_range(rand, 0, usable) : usable;
  g_string_printf(text, "%d/%d r%d", usable, unused, room);
  if (blocks)
    g_string_append_printf(text, " v%d:1", usable);
  int sizes[6], left = MIN(room, unused);
  int count = blocks ? 0 : g_rand_int_range(rand, 0, 6);
  for (int i = 0; i < count; i++) { /* together within its limits */
    sizes[i] = g_rand_int_range(rand, 1, 8) * 64;
    left -= sizes[i];
    count = left < 0 ? i : count;
  }
  for (int i = 0; i < count; i++) { /* smallest first, as dm_reclaim_offer() has them */
    int least = i;
    for (int k = i + 1; k < count; k++)
      least = sizes[k] < sizes[least] ? k : least;
    int size = sizes[least];
    sizes[least] = sizes[i];
    g_string_append_printf(text, " d%d", size);
  }
  DmReclaimOffer *offer = offer_from(text->str);
  g_string_free(text, TRUE);
  return offer;
}

static double share_left(const DmReclaimOffer *offer, uint64_t given) {
  return (double)dm_size_minus(offer->unused, given) / (double)(offer->usable - given);
}

static uint64_t most_of(const DmReclaimOffer *offer) {
  return MIN(offer->room, offer->spare);
}

static uint64_t most_of_devices(const DmReclaimOffer *offer) {
  uint64_t sum = 0;
  for (guint i = 0; i < offer->parts->len; i++)
    sum += g_array_index(offer->parts, DmReclaimPart, i).size;
  return sum;
}

/* The plain way: whoever has most left gives its next device, as long as that fits. */
static void share_out_plainly(DmReclaimOffer **offers, guint count, uint64_t total, uint64_t *given) {
  guint next[MOST_OFFERS] = {0};
  for (uint64_t missing = total;;) {
    int best = -1;
    for (guint i = 0; i < count; i++) {
      const GArray *parts = offers[i]->parts;
      uint64_t size = next[i] < parts->len ? g_array_index(parts, DmReclaimPart, next[i]).size : UINT64_MAX;
      gboolean fits = size <= missing && size + given[i] <= most_of(offers[i]);
      if (fits && (best < 0 || share_left(offers[i], given[i]) > share_left(offers[best], given[best])))
        best = (int)i;
    }
    if (best < 0)
      return;
    uint64_t size = g_array_index(offers[best]->parts, DmReclaimPart, next[best]++).size;
    given[best] += size;
    missing -= size;
  }
}

static uint64_t sum_of(const uint64_t *given, guint count) {
  uint64_t sum = 0;
  for (guint i = 0; i < count; i++)
    sum += given[i];
  return sum;
}

/* Some of its devices, each larger than @beyond, add up to that. */
static gboolean is_sum(const DmReclaimOffer *offer, uint64_t wanted, uint64_t beyond) {
  for (guint set = 0; set < 1U << offer->parts->len; set++) {
    uint64_t sum = 0;
    gboolean larger = TRUE;
    for (guint i = 0; i < offer->parts->len; i++) {
      uint64_t size = g_array_index(offer->parts, DmReclaimPart, i).size;
      gboolean in = (set >> i & 1) != 0;
      sum += in ? size : 0;
      larger &= !in || size > beyond;
    }
    if (sum == wanted && larger)
      return TRUE;
  }
  return FALSE;
}

/* Without any one device of it, the total would not be reached. */
static void check_needed(DmReclaimOffer **offers, guint count, const uint64_t *given, uint64_t total) {
  for (guint i = 0; i < count; i++)
    g_assert_true(is_sum(offers[i], given[i], sum_of(given, count) - total));
}

static void check_devices(GRand *rand) {
  DmReclaimOffer *offers[MOST_OFFERS];
  DmReclaimShare shares[MOST_OFFERS];
  uint64_t plain[MOST_OFFERS] = {0}, given[MOST_OFFERS], all = 0;
  guint count = (guint)g_rand_int_range(rand, 1, 5);
  for (guint i = 0; i < count; i++)
    offers[i] = random_offer(rand, FALSE);
  uint64_t total = (uint64_t)g_rand_int_range(rand, 1, 4000) * DM_MIB;
  share_out(offers, count, total, shares);
  share_out_plainly(offers, count, total, plain);
  for (guint i = 0; i < count; i++)
    given[i] = shares[i].devices;
  uint64_t missing = dm_size_minus(total, sum_of(plain, count));
  for (guint i = 0; i < count; i++)
    all += most_of_devices(offers[i]);
  if (missing == 0 || all < total)
    g_assert_cmpmem(given, count * sizeof *given, plain, count * sizeof *plain);
  if (all < total)
    g_assert_cmpuint(sum_of(given, count), ==, all);
  else
    check_needed(offers, count, given, total);
  free_offers(offers, count);
}

static void test_devices(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(7);
  for (guint i = 0; i < 20000; i++)
    check_devices(rand);
}

/* Who gave had at least as much left before its last step as anybody has who could give more. */
static void check_level(GRand *rand) {
  DmReclaimOffer *offers[MOST_OFFERS];
  DmReclaimShare shares[MOST_OFFERS];
  guint count = (guint)g_rand_int_range(rand, 1, MOST_OFFERS);
  uint64_t sum = 0, all = 0;
  for (guint i = 0; i < count; i++)
    offers[i] = random_offer(rand, TRUE);
  uint64_t total = (uint64_t)g_rand_int_range(rand, 1, 8000) * DM_MIB;
  share_out(offers, count, total, shares);
  for (guint i = 0; i < count; i++) {
    sum += shares[i].devices;
    all += most_of(offers[i]);
    g_assert_cmpuint(shares[i].devices, <=, most_of(offers[i]));
    for (guint k = 0; k < count; k++) {
      gboolean could = shares[k].devices < most_of(offers[k]);
      uint64_t before = dm_size_minus(shares[i].devices, offers[i]->usable / 100 + DM_MIB);
      if (shares[i].devices > 0 && could)
        g_assert_cmpfloat(share_left(offers[k], shares[k].devices), <=, share_left(offers[i], before));
    }
  }
  g_assert_cmpuint(sum, ==, MIN(total, all));
  free_offers(offers, count);
}

static void test_level(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(11);
  for (guint i = 0; i < 5000; i++)
    check_level(rand);
}

/* What was refused is replaced by others: the rest of a total among those that are left, to the same sum. */
static void test_rest(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(13);
  for (guint i = 0; i < 2000; i++) {
    DmReclaimOffer *offers[] = {random_offer(rand, TRUE), random_offer(rand, TRUE), random_offer(rand, TRUE)};
    DmReclaimShare shares[3], rest[2];
    uint64_t total = most_of(offers[1]) / 2 + most_of(offers[2]) / 2;
    share_out(offers, 3, total, shares);
    for (guint k = 1; k < 3; k++) {
      offers[k]->usable -= shares[k].devices;
      offers[k]->room -= shares[k].devices;
      offers[k]->spare -= shares[k].devices;
      offers[k]->unused -= shares[k].devices;
    }
    share_out(offers + 1, 2, shares[0].devices, rest);
    g_assert_cmpuint(shares[1].devices + rest[0].devices + shares[2].devices + rest[1].devices, ==,
      total - total % DM_MIB + (total % DM_MIB != 0 ? DM_MIB : 0));
    free_offers(offers, 3);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/reclaim/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_case);
  }
  g_test_add_func("/reclaim/devices", test_devices);
  g_test_add_func("/reclaim/is-level", test_level);
  g_test_add_func("/reclaim/rest", test_rest);
  return g_test_run();
}
