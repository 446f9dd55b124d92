/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans of "set" with a guest's report, against every subset of up to 9 DIMMs: what is in a kernel zone stays
 * unless it is to be tried, what refused counts as that but may go, no more goes than the guest can spare, and the
 * least memory that the refusal names is what every subset says, and is granted when it is asked for.
 *
 * DM_TEST_SEED=N DM_TEST_ROUNDS=N choose other cases.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "guest_notation.h"
#include "notation.h"

#define MAX_DIMMS 9
#define DEFAULT_SEED 20261125
#define DEFAULT_ROUNDS 6000
#define RESERVE 64 /* MiB, of a guest of 1 GiB */

typedef struct {
  guint count;
  uint64_t size[MAX_DIMMS], online[MAX_DIMMS]; /* MiB */
  DmMovable movable[MAX_DIMMS];
  gboolean refused[MAX_DIMMS];
  DmVm *vm;
  uint64_t spare, total;
} Case;

typedef struct {
  uint64_t sum, online;
  guint dear, unknown, count, mask;
} Choice;

/* ---- random cases ---- */

/* A DIMM of two halves, each in one of the states, and what that makes of the whole. */
static void add_dimm(Case *c, GRand *rand, GString *devices, GString *runs) {
  static const char letters[] = "mmmkxou";
  guint n = c->count++;
  char half[2];
  c->size[n] = 128 * (uint64_t)g_rand_int_range(rand, 1, 6);
  c->online[n] = c->size[n];
  g_string_append_printf(devices, " d%" G_GUINT64_FORMAT, c->size[n]);
  for (guint i = 0; i < 2; i++) {
    half[i] = i > 0 && g_rand_boolean(rand) ? half[0] : letters[g_rand_int_range(rand, 0, strlen(letters))];
    g_string_append_printf(runs, " %" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT ":%c",
      4096 + c->total + i * c->size[n] / 2, c->size[n] / 2, half[i]);
    if (half[i] == 'o')
      c->online[n] -= c->size[n] / 2;
  }
  c->total += c->size[n];
  c->movable[n] = DM_MOVABLE_YES;
  if (half[0] == 'u' || half[1] == 'u')
    c->movable[n] = DM_MOVABLE_UNKNOWN;
  if (half[0] == 'k' || half[0] == 'x' || half[1] == 'k' || half[1] == 'x')
    c->movable[n] = DM_MOVABLE_NO;
  c->refused[n] = g_rand_int_range(rand, 0, 5) == 0;
}

static void make_case(Case *c, GRand *rand) {
  g_autoptr(GString) vm = g_string_new("running: 1024 max=65536/32");
  g_autoptr(GString) guest = g_string_new("agent total=1024");
  *c = (Case){.spare = (uint64_t)g_rand_int_range(rand, 0, 2500)};
  g_string_append_printf(guest, " avail=%" G_GUINT64_FORMAT, c->spare + RESERVE);
  for (int i = g_rand_int_range(rand, 1, MAX_DIMMS + 1); i > 0; i--)
    add_dimm(c, rand, vm, guest);
  g_string_append(vm, " | -");
  c->vm = vm_from(vm->str);
  dm_vm_take_guest(c->vm, guest_from(guest->str));
  for (guint i = 0; i < c->count; i++) {
    const DmMemoryDevice *device = c->vm->live->devices->pdata[i];
    g_assert_cmpint(device->movable, ==, c->movable[i]);
    if (!c->refused[i])
      continue;
    DmRefusal *refusal = g_new0(DmRefusal, 1);
    refusal->alias = g_strdup(device->alias);
    refusal->guest = dm_vm_fingerprint(c->vm, device);
    g_ptr_array_add(c->vm->refusals, refusal);
  }
}

/* ---- brute force ---- */

static gboolean is_better(const Choice *a, const Choice *b) {
  if (a->sum != b->sum)
    return a->sum > b->sum;
  if (a->dear != b->dear)
    return a->dear < b->dear;
  if (a->unknown != b->unknown)
    return a->unknown < b->unknown;
  return a->count != b->count ? a->count < b->count : a->mask > b->mask;
}

/* FALSE: not allowed. */
static gboolean weigh(const Case *c, guint mask, gboolean try, Choice *choice) {
  *choice = (Choice){.mask = mask};
  for (guint i = 0; i < c->count; i++) {
    if ((mask >> i & 1) == 0)
      continue;
    if (c->movable[i] == DM_MOVABLE_NO && !try)
      return FALSE;
    choice->sum += c->size[i];
    choice->online += c->online[i];
    choice->count++;
    choice->dear += c->movable[i] == DM_MOVABLE_NO || c->refused[i];
    choice->unknown += c->movable[i] == DM_MOVABLE_UNKNOWN && !c->refused[i];
  }
  return TRUE;
}

static Choice brute_force(const Case *c, uint64_t decrement, gboolean try) {
  Choice best = {0}, choice;
  for (guint mask = 1; mask < 1u << c->count; mask++) {
    if (weigh(c, mask, try, &choice) && choice.sum <= decrement && is_better(&choice, &best))
      best = choice;
  }
  return best;
}

/* ---- what the planner says ---- */

static guint mask_of(const Case *c, const DmPlan *plan) {
  guint mask = 0;
  for (guint i = 0; i < plan->steps->len; i++) {
    for (guint k = 0; k < c->count; k++) {
      const DmMemoryDevice *device = c->vm->live->devices->pdata[k];
      if (g_strcmp0(((DmStep *)plan->steps->pdata[i])->alias, device->alias) == 0)
        mask |= 1u << k;
    }
  }
  return mask;
}

static DmPlan *set(const Case *c, uint64_t memory, DmPlanFlags flags, GError **error) {
  DmWish wish = {.action = DM_ACTION_SET, .flags = flags, .set = {.has_memory = TRUE, .memory = memory * DM_MIB}};
  return dm_plan(c->vm, &wish, error);
}

static void check_refusal(const Case *c, const GError *error, gboolean try) {
  Choice most = brute_force(c, c->spare, try);
  const char *least = strstr(error->message, "set memory to ");
  g_assert_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY);
  if (most.sum == 0) {
    g_assert_nonnull(strstr(error->message, "no device fits"));
    return;
  }
  g_assert_nonnull(least);
  if (least == NULL)
    return;
  uint64_t memory = g_ascii_strtoull(least + strlen("set memory to "), NULL, 10);
  g_assert_cmpuint(memory, ==, 1024 + c->total - most.sum);
  g_autoptr(DmPlan) plan = set(c, memory, try ? DM_PLAN_TRY_UNMOVABLE : 0, NULL);
  g_assert_nonnull(plan);
  g_assert_cmpuint(mask_of(c, plan), ==, most.mask);
}

static void check_case(const Case *c, uint64_t decrement, DmPlanFlags flags) {
  gboolean try = (flags & DM_PLAN_TRY_UNMOVABLE) != 0, force = (flags & DM_PLAN_FORCE) != 0;
  g_autoptr(GError) error = NULL;
  Choice best = brute_force(c, decrement, try);
  g_autoptr(DmPlan) plan = set(c, 1024 + c->total - decrement, flags, &error);
  if (best.online > c->spare && !force) {
    g_assert_null(plan);
    check_refusal(c, error, try);
    return;
  }
  g_assert_no_error(error);
  g_assert_cmpuint(mask_of(c, plan), ==, best.mask);
  g_assert_cmpuint(plan->memory_after / DM_MIB, ==, 1024 + c->total - best.sum);

  /* A note says that devices were left out where, and only where, they would have helped. */
  Choice tried = brute_force(c, decrement, TRUE);
  gboolean noted = FALSE;
  for (guint i = 0; i < plan->notes->len; i++)
    noted |= strstr(((const DmNote *)plan->notes->pdata[i])->text, "left out") != NULL;
  g_assert_cmpint(noted, ==, tried.sum > best.sum);
}

static uint32_t number_from_environment(const char *name, uint32_t otherwise) {
  const char *text = g_getenv(name);
  return text != NULL ? (uint32_t)strtoul(text, NULL, 0) : otherwise;
}

static void test_every_subset(void) {
  uint32_t seed = number_from_environment("DM_TEST_SEED", DEFAULT_SEED);
  uint32_t rounds = number_from_environment("DM_TEST_ROUNDS", DEFAULT_ROUNDS);
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  g_test_message("seed %u, %u rounds", seed, rounds);
  for (guint round = 0; round < rounds && !g_test_failed(); round++) {
    Case c;
    make_case(&c, rand);
    uint64_t decrement = (uint64_t)g_rand_int_range(rand, 1, (int)c.total + 1);
    DmPlanFlags flags = (DmPlanFlags)g_rand_int_range(rand, 0, 4);
    check_case(&c, decrement, flags);
    if (g_test_failed()) {
      g_autofree char *live = config_text(c.vm->live);
      g_test_message("round %u: %s, down by %" G_GUINT64_FORMAT ", flags %d, spare %" G_GUINT64_FORMAT, round, live,
        decrement, (int)flags, c.spare);
    }
    dm_vm_free(c.vm);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/knowing-brute/every-subset", test_every_subset);
  return g_test_run();
}
