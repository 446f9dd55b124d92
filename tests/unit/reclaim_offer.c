/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM could give of a total. An offer is "USABLE/UNUSED rROOM sSPARE bBALLOON PARTS" in MiB, or the code of the
 * note that says why nothing.
 */
#include <string.h>

#include "base/size.h"
#include "guest_notation.h"
#include "notation.h"
#include "plan/change.h"
#include "plan/reclaim.h"

#define G1 "agent block=128 total=1000 avail=800 virtio-mem"

typedef struct {
  const char *name, *vm, *guest; /* NULL: it was not asked */
  gboolean balloon;
  const char *job, *refused; /* NULL: none */
  const char *offer;
} Case;

static const Case cases[] = {
  {"dimms", "running: 512 max=4096/16 d256 d128 | -", G1, .offer = "896/800 r896 s736 b0 d128 d256"},
  {"not-movable", "running: 512 max=4096/16 d256! d128+ | -",
    "agent block=128 total=1000 avail=800 4096+256:k 4352+128:m", .offer = "896/800 r896 s736 b0 d128"},
  {"refused-last", "running: 512 max=4096/16 d256 d128 | -", G1, .refused = "dimm1",
    .offer = "896/800 r896 s736 b0 d256 d128"},
  {"virtio-mem", "running: 512 max=4096/16 v1024:512/512:2 | -", G1, .offer = "1024/800 r1024 s736 b0 v512:2"},
  {"blocks-before-dimms", "running: 512 max=4096/16 d128 v1024:256/256:2 | -", G1,
    .offer = "896/800 r896 s736 b0 v256:2 d128"},
  {"idle-first", "running: 512 max=4096/16 keeps d128 d256 | -",
    "agent block=128 total=600 avail=500 4096+128:m 4224+256:o", .offer = "896/756 r896 s436 b0 id256 d128"},
  {"within-guaranteed", "running: 512 max=4096/16 g=600 d256 d128 | -", G1, .offer = "896/800 r296 s736 b0 d256"},
  {"within-spare", "running: 512 max=4096/16 d256 d128 | -", "agent total=1000 avail=250",
    .offer = "896/250 r896 s186 b0 d128"},
  {"balloon-asked", "running: 1024 max=4096/16 balloon=1024 | -", G1, TRUE, .offer = "1024/800 r1024 s736 b728"},
  {"balloon-allowed", "running: 1024 max=4096/16 balloon=1024 use=allow | -", G1, .offer = "1024/800 r1024 s736 b728"},
  {"balloon-never", "running: 1024 max=4096/16 balloon=1024 use=never | -", G1, TRUE, .offer = "nothing-to-give"},
  {"balloon-not-asked", "running: 1024 max=4096/16 balloon=1024 | -", G1, .offer = "nothing-to-give"},
  {"ballooned", "running: 1024 max=4096/16 balloon=1152 d256 | -", G1, TRUE, .offer = "1152/800 r1152 s736 b728 d256"},
  {"ballooned-by-both", "running: 1024 max=4096/16 balloon=1152 held=128 others=56 d256 | -", G1, TRUE,
    .offer = "balloon-shared"},
  {"not-running", "paused: 1024 d256 | -", G1, .offer = "not-running"},
  {"shut-off", "shut-off: - | 1024", NULL, .offer = "not-running"},
  {"migrates", "running: 1024 max=4096/16 d256 | -", G1, .job = "migrated", .offer = "busy"},
  {"request", "running: 1024 max=4096/16 d256 | - | set=1024 -dimm0(256):overdue", G1, .offer = "request-open"},
  {"not-asked", "running: 1024 max=4096/16 d256 | -", NULL, .offer = "spare-not-known"},
  {"not-known", "running: 1024 max=4096/16 d256 | -", "no-agent", .offer = "spare-not-known"},
  {"no-spare", "running: 1024 max=4096/16 d256 | -", "agent total=1000 avail=60", .offer = "no-spare"},
  {"too-little-spare", "running: 1024 max=4096/16 d256 | -", "agent total=1000 avail=200", .offer = "spare-too-small"},
  {"guaranteed", "running: 1024 max=4096/16 g=1200 d256 | -", G1, .offer = "guaranteed-reached"},
};

static char *offer_text(const DmReclaimOffer *offer) {
  GString *text = g_string_new(NULL);
  g_string_printf(text,
    "%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT " r%" G_GUINT64_FORMAT " s%" G_GUINT64_FORMAT " b%" G_GUINT64_FORMAT,
    offer->usable / DM_MIB, offer->unused / DM_MIB, offer->room / DM_MIB, offer->spare / DM_MIB,
    offer->balloon / DM_MIB);
  for (guint i = 0; i < offer->parts->len; i++) {
    const DmReclaimPart *part = &g_array_index(offer->parts, DmReclaimPart, i);
    g_string_append_printf(text, " %s%c%" G_GUINT64_FORMAT, part->needs < part->size ? "i" : "",
      part->block != 0 ? 'v' : 'd', part->size / DM_MIB);
    if (part->block != 0)
      g_string_append_printf(text, ":%" G_GUINT64_FORMAT, part->block / DM_MIB);
  }
  return g_string_free(text, FALSE);
}

static DmVm *make_vm(const Case *row) {
  DmVm *vm = vm_from(row->vm);
  vm->job = row->job;
  if (row->refused != NULL) {
    DmRefusal *refusal = g_new0(DmRefusal, 1);
    refusal->alias = g_strdup(row->refused);
    g_ptr_array_add(vm->refusals, refusal);
  }
  if (row->guest != NULL)
    dm_vm_take_guest(vm, guest_from(row->guest));
  return vm;
}

static void test_case(gconstpointer data) {
  const Case *row = data;
  g_autoptr(DmVm) vm = make_vm(row);
  DmNote *reason;
  g_autoptr(DmReclaimOffer) offer = dm_reclaim_offer(vm, row->balloon, &reason);
  g_autofree char *text = reason != NULL ? g_strdup(dm_note_name(reason)) : offer_text(offer);
  dm_note_free(reason);
  g_assert_cmpstr(text, ==, row->offer);
}

/* A running VM with some devices, a balloon that may hold something, and a guest that tells what it has. */
static DmVm *random_vm(GRand *rand) {
  g_autoptr(GString) text = g_string_new(NULL);
  int fixed = 512;
  for (int left = g_rand_int_range(rand, 0, 5); left > 0; left--) {
    int size = g_rand_int_range(rand, 1, 9) * 128;
    g_string_append_printf(text, " d%d", size);
    fixed += size;
  }
  if (g_rand_boolean(rand))
    g_string_append(text, " v4096:512/512:2");
  int held = g_rand_boolean(rand) ? 0 : g_rand_int_range(rand, 1, fixed / 2);
  static const char *const uses[] = {"", " use=allow", " use=never"};
  g_autofree char *own = g_rand_boolean(rand) ? g_strdup_printf(" held=%d", held) : g_strdup("");
  g_autofree char *all = g_strdup_printf("running: 512 max=65536/32 balloon=%d%s%s%s | -", fixed, held > 0 ? own : "",
    uses[g_rand_int_range(rand, 0, 3)], text->str);
  DmVm *vm = vm_from(all);
  vm->balloon_actual = (uint64_t)(fixed - held) * DM_MIB;
  int usable = (int)(dm_config_memory(vm->live) / DM_MIB) - held;
  g_autofree char *guest =
    g_strdup_printf("agent block=128 total=%d avail=%d", usable, g_rand_int_range(rand, 0, usable));
  dm_vm_take_guest(vm, guest_from(guest));
  return vm;
}

/* What a share says is what a plan for it takes from the guest, and never more. */
static void test_planned(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(17);
  guint planned = 0, exact = 0;
  for (guint i = 0; i < 5000; i++) {
    g_autoptr(DmVm) vm = random_vm(rand);
    DmNote *reason;
    g_autoptr(DmReclaimOffer) offer = dm_reclaim_offer(vm, g_rand_boolean(rand), &reason);
    dm_note_free(reason);
    const DmReclaimOffer *offers[] = {offer};
    DmReclaimShare share;
    dm_reclaim_share_out(offers, 1, (uint64_t)g_rand_int_range(rand, 1, 4000) * DM_MIB, &share);
    if (dm_reclaim_share_sum(&share) == 0)
      continue;
    planned++;
    DmWish wish = {.action = DM_ACTION_SET,
      .flags = share.balloon > 0 ? DM_PLAN_BALLOON : 0,
      .seen = dm_config_memory(vm->live),
      .set = {.has_memory = TRUE, .memory = dm_reclaim_memory(vm, &share), .live_only = TRUE}};
    g_autoptr(GError) error = NULL;
    g_autoptr(DmPlan) plan = dm_plan(vm, &wish, &error);
    g_assert_no_error(error);
    uint64_t after = plan->memory_after - plan->ballooned_after, wanted = offer->usable - dm_reclaim_share_sum(&share);
    g_assert_cmpuint(after, >=, wanted);
    if (plan->ballooned_before == 0) /* else devices take the balloon's place, and it leaves a larger reserve */
      g_assert_cmpuint(after, ==, wanted);
    exact += after == wanted;
  }
  g_assert_cmpuint(planned, >, 1000);
  g_assert_cmpuint(exact, >, planned * 3 / 4);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/reclaim-offer/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_case);
  }
  g_test_add_func("/reclaim-offer/planned", test_planned);
  return g_test_run();
}
