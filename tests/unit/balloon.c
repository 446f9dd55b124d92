/* SPDX-License-Identifier: Apache-2.0 */
/* The balloon in a plan. */
#include "plan/balloon.h"

#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "guest_notation.h"
#include "notation.h"

/* EXPECTED: "STEPS; FROM>TO [first=MIB] NOTE..." of the balloon in MiB, "-": it stays; or "error NAME". */
static const struct {
  const char *name, *vm, *wish, *expected;
} plans[] = {
  {"ordinary", "running: ~1024 balloon=1024 | ~1024", "memory=512 balloon", "nothing; 1024>512"},
  {"not-asked-for", "running: ~1024 balloon=1024 | ~1024", "memory=512", "nothing; -"},
  {"allowed", "running: ~1024 balloon=1024 use=allow | ~1024", "memory=512", "nothing; 1024>512"},
  {"never", "running: ~1024 balloon=1024 use=never | ~1024", "memory=512 balloon", "error no-balloon"},
  {"none", "running: ~1024 | ~1024", "memory=512 balloon", "error no-balloon"},
  {"guaranteed", "running: ~1024 balloon=1024 g=600 | ~1024", "memory=512 balloon", "error guaranteed-above-memory"},
  {"huge-pages", "running: 1024 max=4096/16 page=2 balloon=1024 | -", "memory=512 balloon", "error no-balloon"},
  {"huge-pages-of-one-node", "running: 512+512 max=4096/16 page=2+0 balloon=1024 | -", "memory=512 balloon",
    "nothing; 1024>512 balloon-huge-pages"},
  {"one-node", "running: 512+512 max=4096/16 balloon=1024 | -", "memory=512 node=1 balloon", "error no-balloon"},
  {"one-node-allowed", "running: 512+512 max=4096/16 balloon=1024 use=allow | -", "memory=512 node=1",
    "nothing; - balloon-node"},
  {"one-node-raised", "running: 512+512 max=4096/16 balloon=1024 use=allow | -", "memory=1152 node=1", "+d128@1; -"},
  {"none-though-allowed", "running: 1024 max=4096/16 use=allow | -", "memory=512", "nothing; - balloon-cannot"},
  {"none-though-allowed-raised", "running: 1024 max=4096/16 use=allow | -", "memory=1152", "+d128@0; -"},
  {"never-raised", "running: 1024 max=4096/16 balloon=512 held=512 use=never | 1024 max=4096/16", "memory=1152",
    "+d128@0; - balloon-stays"},
  {"devices-first", "running: 1024 max=4096/16 balloon=1536 d256 d256 | 1536 max=4096/16", "memory=1100 balloon",
    "-dimm1(256); 1280>1100"},
  {"devices-alone", "running: 1024 max=4096/16 balloon=1280 d256 | 1280 max=4096/16", "memory=1024 balloon",
    "-dimm0(256); -"},
  {"virtio-mem-first", "running: 1024 max=4096/16 balloon=1536 v1024:512/512:2 | 1024 max=4096/16",
    "memory=800 balloon", "virtiomem0(512>0); 1024>800"},
  {"back", "running: ~1024 balloon=512 held=512 | ~1024", "memory=1024", "nothing; 512>1024 first=1024"},
  {"back-in-part", "running: ~1024 balloon=512 held=512 | ~1024", "memory=700", "nothing; 512>700 first=700"},
  {"back-before-plug", "running: 1024 max=4096/16 balloon=512 held=512 | 1024 max=4096/16", "memory=1152",
    "+d128@0; 512>1152 first=1024"},
  {"back-but-what-is-of-others", "running: ~1024 balloon=512 held=512 others=200 | ~1024", "memory=1024",
    "nothing; 512>824 first=824 balloon-others-stay others=200"},
  {"back-what-is-enough", "running: ~1024 balloon=512 held=512 others=200 | ~1024", "memory=800",
    "nothing; 512>800 first=800 others=200"},
  {"back-all-as-asked-for", "running: ~1024 balloon=512 held=512 others=200 | ~1024", "memory=1024 balloon",
    "nothing; 512>1024 first=1024"},
  {"back-before-plug-but-of-others", "running: 1024 max=4096/16 balloon=512 held=512 others=200 | 1024 max=4096/16",
    "memory=1152", "+d128@0; 512>952 first=824 balloon-others-stay others=200"},
  {"below-others", "running: ~1024 balloon=800 | ~1024", "memory=600 balloon", "nothing; 800>600 others=224"},
  {"of-others-though-allowed", "running: ~1024 balloon=512 use=allow | ~1024", "memory=1024",
    "nothing; - balloon-stays"},
  {"of-others", "running: ~1024 balloon=512 | ~1024", "memory=1024", "nothing; - balloon-stays"},
  {"of-others-asked-for", "running: ~1024 balloon=512 | ~1024", "memory=1024 balloon", "nothing; 512>1024 first=1024"},
  {"moved-by-others", "running: ~1024 balloon=700 held=512 | ~1024", "memory=1024",
    "nothing; - balloon-by-others balloon-stays"},
  {"never-as-before", "running: ~1024 balloon=512 held=512 use=never | ~1024", "memory=1024",
    "nothing; - balloon-stays"},
  {"further", "running: ~1024 balloon=800 held=224 | ~1024", "memory=600 balloon", "nothing; 800>600"},
  {"there-already", "running: ~1024 balloon=512 held=512 | ~1024", "memory=512 balloon", "nothing; -"},
  {"aside-wholly", "running: 1024 max=4096/16 balloon=1180 d256 | 1280 max=4096/16", "memory=1024",
    "-dimm0(256); 1024>1024 first=1280 balloon-aside"},
  {"aside-in-part", "running: 1024 max=4096/16 balloon=800 d256 | 1280 max=4096/16", "memory=1024",
    "-dimm0(256); 800>800 first=1056 balloon-aside others=224"},
  {"aside-in-part-of-others", "running: 1024 max=4096/16 balloon=700 held=580 others=400 d256 | 1280 max=4096/16",
    "memory=1024", "-dimm0(256); 700>700 first=956 balloon-others-stay balloon-aside others=324"},
  {"guaranteed-above-what-is-left", "running: ~1024 balloon=512 held=512 | ~1024", "guaranteed=900",
    "nothing; 512>900 first=900"},
  {"guaranteed-left-to-others", "running: ~1024 balloon=512 | ~1024", "guaranteed=900",
    "nothing; - guaranteed-ballooned"},
  {"guaranteed-below", "running: ~1024 balloon=512 held=512 | ~1024", "guaranteed=300 balloon", "nothing; -"},
  {"stays-beside-plug", "running: 1024 max=4096/16 balloon=512 | 1024 max=4096/16", "memory=1152",
    "+d128@0; - balloon-stays"},
  {"aside-never", "running: 1024 max=4096/16 balloon=800 use=never d256 | 1280 max=4096/16", "memory=1024",
    "-dimm0(256); -"},
  {"aside-and-further", "running: 1024 max=4096/16 balloon=1180 d256 | 1280 max=4096/16", "memory=900 balloon",
    "-dimm0(256); 1024>900 first=1280 balloon-aside"},
};

/* What settle makes of a recorded balloon, on its way to @to. */
static const struct {
  const char *name, *vm, *expected;
  guint memory, to; /* MiB */
  DmPlanFlags flags;
  DmStepState state;
  guint from; /* MiB; 0: all */
  gboolean withdrawn, one_node;
} settles[] = {
  {"towards-its-memory", "running: ~1024 balloon=800 | ~1024", "800>512 aim=0", 512, 512, DM_PLAN_BALLOON,
    DM_STEP_OVERDUE},
  {"anew-without-the-flag", "running: 1024 max=4096/16 balloon=1280 d256 | 1280 max=4096/16", "1280>1180 aim=1180",
    1024, 1180, 0, DM_STEP_OVERDUE},
  {"refused", "running: ~1024 balloon=800 | ~1024", "-", 512, 512, DM_PLAN_BALLOON, DM_STEP_REFUSED},
  {"withdrawn", "running: ~1024 balloon=800 | ~1024", "-", 512, 512, DM_PLAN_BALLOON, DM_STEP_OVERDUE,
    .withdrawn = TRUE},
  {"forbidden-since", "running: ~1024 balloon=800 use=never | ~1024", "-", 512, 512, DM_PLAN_BALLOON, DM_STEP_OVERDUE},
  {"of-one-node", "running: 512+512 balloon=800 | 512+512", "800>600 aim=600", 512, 600, DM_PLAN_BALLOON,
    DM_STEP_OVERDUE, .one_node = TRUE},
  {"back-but-what-is-of-others", "running: ~1024 balloon=600 held=424 others=100 | ~1024",
    "600>924 aim=1024 others=100", 0, 1024, 0, DM_STEP_OVERDUE, .from = 500},
};

static DmRequest *open_request(const DmVm *vm, guint from, guint to) {
  uint64_t fixed = dm_config_fixed(vm->live);
  DmRequest *request = dm_request_new(DM_ACTION_SET);
  request->asked = TRUE;
  request->balloon = dm_step_new_balloon(fixed, from != 0 ? from * DM_MIB : fixed, to * DM_MIB);
  return request;
}

static void test_settle(gconstpointer data) {
  const typeof(settles[0]) *c = data;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  const DmWish wish = {.action = DM_ACTION_SETTLE};
  vm->request = open_request(vm, c->from, c->to);
  vm->request->memory = c->memory * DM_MIB;
  vm->request->flags = c->flags;
  vm->request->one_node = c->one_node;
  vm->request->balloon->state = c->state;
  vm->request->balloon->withdrawn = c->withdrawn;
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
  GString *text = g_string_new(plan->balloon == NULL ? "-" : NULL);
  if (plan->balloon != NULL)
    g_string_append_printf(text, "%u>%u aim=%u", (guint)(plan->balloon->from / DM_MIB),
      (guint)(plan->balloon->to / DM_MIB), (guint)(plan->balloon_aim / DM_MIB));
  if (plan->balloon_others != 0)
    g_string_append_printf(text, " others=%u", (guint)(plan->balloon_others / DM_MIB));
  g_autofree char *found = g_string_free(text, FALSE);
  g_assert_cmpstr(found, ==, c->expected);
}

/* So it is where the balloon was to follow the devices: of what it holds, as much goes aside as they take along. */
static void test_settle_aside_and_further(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 balloon=800 held=480 d256 | 1280 max=4096/16");
  const DmWish wish = {.action = DM_ACTION_SETTLE};
  vm->request = open_request(vm, 800, 700);
  vm->request->flags = DM_PLAN_BALLOON;
  vm->request->memory = 700 * DM_MIB;
  vm->request->balloon->state = DM_STEP_OVERDUE;
  DmStep *step = dm_step_new(DM_OP_UNPLUG, vm->live->devices->pdata[0]);
  step->state = DM_STEP_OVERDUE;
  g_ptr_array_add(vm->request->steps, step);
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
  g_assert_cmpuint(plan->deflate_to, ==, 1056 * DM_MIB);
  g_assert_cmpuint(plan->balloon->from, ==, 800 * DM_MIB);
  g_assert_cmpuint(plan->balloon->to, ==, 700 * DM_MIB);
}

/* An unplug is asked again, and the balloon was inflated only since: it goes aside all the same. */
static void test_settle_aside(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 balloon=800 d256 | 1280 max=4096/16");
  const DmWish wish = {.action = DM_ACTION_SETTLE};
  vm->request = dm_request_new(DM_ACTION_UNPLUG);
  DmStep *step = dm_step_new(DM_OP_UNPLUG, vm->live->devices->pdata[0]);
  step->state = DM_STEP_OVERDUE;
  g_ptr_array_add(vm->request->steps, step);
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
  g_assert_cmpuint(plan->deflate_to, ==, 1056 * DM_MIB);
  g_assert_nonnull(plan->balloon);
  g_assert_cmpuint(plan->balloon->to, ==, 800 * DM_MIB);
}

static char *describe(const DmPlan *plan) {
  g_autofree char *steps = steps_text(plan->steps);
  GString *text = g_string_new(steps);
  g_string_append(text, "; ");
  if (plan->balloon == NULL)
    g_string_append_c(text, '-');
  else
    g_string_append_printf(text, "%u>%u", (guint)(plan->balloon->from / DM_MIB), (guint)(plan->balloon->to / DM_MIB));
  if (plan->deflate_to != 0)
    g_string_append_printf(text, " first=%u", (guint)(plan->deflate_to / DM_MIB));
  for (guint i = 0; i < plan->notes->len; i++) {
    const DmNote *note = plan->notes->pdata[i];
    if (note->code == DM_NOTE_BALLOON_ASIDE || note->code == DM_NOTE_BALLOON_BY_OTHERS ||
      note->code == DM_NOTE_BALLOON_STAYS || note->code == DM_NOTE_GUARANTEED_BALLOONED ||
      note->code == DM_NOTE_BALLOON_NODE || note->code == DM_NOTE_BALLOON_OTHERS_STAY ||
      note->code == DM_NOTE_BALLOON_CANNOT || note->code == DM_NOTE_BALLOON_HUGE_PAGES)
      g_string_append_printf(text, " %s", dm_note_name(note));
  }
  if (plan->balloon_others != 0)
    g_string_append_printf(text, " others=%u", (guint)(plan->balloon_others / DM_MIB));
  return g_string_free(text, FALSE);
}

static void test_plan(gconstpointer data) {
  const typeof(plans[0]) *c = data;
  GError *error = NULL;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  DmWish wish = wish_from(c->wish);
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, &error);
  g_autofree char *text = text_or_error_take(plan != NULL ? describe(plan) : NULL, error);
  g_assert_cmpstr(text, ==, c->expected);
}

/* Beside virtio-mem, where only QEMU knows what the balloon holds: what it leaves of boot memory and DIMMs is ACTUAL.
 */
static const struct {
  const char *name, *vm, *wish, *guest;
  guint actual;
  const char *expected;
} beside_virtio[] = {
  {"gives-what-goes-too-much", "running: 1024 max=4096/16 balloon=1336 held=200 v1024:512/512:2 | 1536 max=4096/16",
    "memory=1300", NULL, 824, "virtiomem0(512>276); 824>1024 first=1024"},
  {"gives-before-so-it-can-be-spared",
    "running: 1024 max=4096/16 balloon=1336 held=200 v1024:512/512:2 | 1536 max=4096/16", "memory=1300",
    "balloon total=1336 avail=250", 824, "virtiomem0(512>276); 824>1024 first=1024"},
  {"of-others", "running: 1024 max=4096/16 balloon=1336 v1024:512/512:2 | 1536 max=4096/16", "memory=1300", NULL, 824,
    "virtiomem0(512>276); -"},
  {"of-others-so-less-than-guaranteed",
    "running: 1024 max=4096/16 balloon=1336 g=1200 v1024:512/512:2 | 1536 max=4096/16", "memory=1300", NULL, 824,
    "virtiomem0(512>276); - guaranteed-ballooned"},
  {"gives-with-what-a-dimm-takes-along",
    "running: 512 max=4096/16 balloon=1602 d128 v2048:1458/1458:2 | 2098 max=4096/16", "memory=584 balloon", NULL, 144,
    "-dimm0(128) virtiomem0(1458>72); 144>512 first=640 balloon-aside"},
};

static void test_beside_virtio(gconstpointer data) {
  const typeof(beside_virtio[0]) *c = data;
  GError *error = NULL;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  DmWish wish = wish_from(c->wish);
  vm->balloon_actual = (uint64_t)c->actual * DM_MIB;
  if (c->guest != NULL)
    dm_vm_take_guest(vm, guest_from(c->guest));
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, &error);
  g_autofree char *text = text_or_error_take(plan != NULL ? describe(plan) : NULL, error);
  g_assert_cmpstr(text, ==, c->expected);
}

/* Where it ends, with the devices that there are then. MiB. */
static void test_last_goal(void) {
  static const struct {
    const char *vm;
    guint from, planned, recorded, memory;
    gboolean takes, own;
    guint goal;
  } cases[] = {
    {"running: 1024 v1024:276/276:2 | -", 824, 1024, 1024, 1300, FALSE, TRUE, 1024}, /* gave for what went, */
    {"running: 1024 v1024:512/512:2 | -", 824, 1024, 1024, 1300, FALSE, TRUE,
      824}, /* and takes it again, as it stayed */
    {"running: 1024 v1024:400/400:2 | -", 824, 1024, 1024, 1300, FALSE, TRUE, 900},
    {"running: 1024 | -", 1024, 1024, 1180, 1024, FALSE, FALSE, 1024},               /* put aside, and the DIMM went, */
    {"running: 1024 d256 | -", 1024, 1024, 1180, 1024, FALSE, TRUE, 1180},           /* or stayed */
    {"running: 1024 d256 v512:0/0:2 | -", 896, 896, 1094, 1152, FALSE, TRUE, 1152},  /* virtio-mem went in its place */
    {"running: 1024 d256 v512:0/0:2 | -", 896, 896, 1094, 1152, FALSE, FALSE, 1094}, /* that another program holds */
    {"running: 1024 d256 | -", 1280, 700, 700, 800, TRUE, TRUE, 800},
    {"running: 1024 | -", 512, 900, 900, 0, FALSE, TRUE, 900},
    {"running: 1024 v2048:1600/1600:2 | -", 1024, 1, 1, 1200, TRUE, TRUE, 1}, /* more than it has is not taken, */
    {"running: 1024 | -", 512, 1024, 1024, 1300, TRUE, TRUE, 1024},           /* nor given */
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmVm) vm = vm_from(cases[i].vm);
    g_autoptr(DmStep) planned =
      dm_step_new_balloon(DM_GIB, (uint64_t)cases[i].from * DM_MIB, (uint64_t)cases[i].planned * DM_MIB);
    g_autoptr(DmStep) step = dm_step_copy(planned);
    step->to = (uint64_t)cases[i].recorded * DM_MIB;
    const DmPlan plan = {.balloon = planned};
    uint64_t goal =
      dm_balloon_last_goal(vm, step, &plan, (uint64_t)cases[i].memory * DM_MIB, cases[i].takes, cases[i].own);
    g_assert_cmpuint(goal / DM_MIB, ==, cases[i].goal);
  }
}

/* Of what it holds when a request has moved it, what is written into the VM. MiB. */
static void test_account(void) {
  static const struct {
    guint others, held;
    gboolean own, goes_on;
    guint held_after, others_after;
  } cases[] = {
    {0, 512, TRUE, FALSE, 512, 0},
    {200, 512, TRUE, FALSE, 512, 200},
    {600, 512, TRUE, FALSE, 0, 0}, /* all of it is of others */
    {600, 512, TRUE, TRUE, 0, 512},
    {200, 512, FALSE, FALSE, 0, 0},
    {200, 512, FALSE, TRUE, 0, 200},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmConfig) live = config_from("1024", TRUE);
    live->balloon_others = cases[i].others * DM_MIB;
    dm_balloon_account(live, cases[i].held * DM_MIB, cases[i].own, cases[i].goes_on);
    g_assert_cmpuint(live->balloon_held / DM_MIB, ==, cases[i].held_after);
    g_assert_cmpuint(live->balloon_others / DM_MIB, ==, cases[i].others_after);
  }
}

/* Whose it is what the balloon holds, where dimmer left OWN of it, and OTHERS of that to others. MiB. */
static void test_whose(void) {
  static const struct {
    guint own, others, held;
    gboolean autodeflate, is_own;
    guint of_others;
  } cases[] = {
    {512, 200, 512, FALSE, TRUE, 200},
    {512, 200, 600, FALSE, FALSE, 600},
    {512, 200, 100, FALSE, FALSE, 100},
    {512, 200, 100, TRUE, TRUE, 100}, /* the guest has taken some back by itself */
    {512, 200, 600, TRUE, FALSE, 600},
    {0, 0, 100, FALSE, FALSE, 100},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmConfig) live = config_from("1024", TRUE);
    live->balloon_held = cases[i].own * DM_MIB;
    live->balloon_others = cases[i].others * DM_MIB;
    live->autodeflate = cases[i].autodeflate;
    g_assert_cmpint(dm_balloon_is_own(live, cases[i].held * DM_MIB), ==, cases[i].is_own);
    g_assert_cmpuint(dm_balloon_of_others(live, cases[i].held * DM_MIB) / DM_MIB, ==, cases[i].of_others);
  }
}

/* What it will hold is told by what the guest can spare, with what the DIMMs take, and what it gives aside for them. */
static void test_told_before(void) {
  static const struct {
    const char *vm, *wish, *guest;
    guint ballooned_after; /* MiB */
  } cases[] = {
    {"running: ~1024 balloon=1024 | ~1024", "memory=512 balloon", "balloon total=1024 avail=600", 512},
    {"running: ~1024 balloon=1024 | ~1024", "memory=512 balloon", "balloon total=1024 avail=300", 228},
    {"running: ~1024 balloon=1024 | ~1024", "memory=2 balloon", NULL, 952}, /* a reserve of 72 it has in any case */
    {"running: 1024 max=4096/16 balloon=1180 d256 | 1280 max=4096/16", "memory=900 balloon",
      "balloon total=1180 avail=330", 102},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmVm) vm = vm_from(cases[i].vm);
    DmWish wish = wish_from(cases[i].wish);
    if (cases[i].guest != NULL)
      dm_vm_take_guest(vm, guest_from(cases[i].guest));
    g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
    g_assert_cmpuint(plan->ballooned_after / DM_MIB, ==, cases[i].ballooned_after);
  }
}

/* The host would get nothing of it. */
static void test_useless(void) {
  DmWish wish = wish_from("memory=512 balloon");
  for (int locked = 0; locked < 2; locked++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmVm) vm = vm_from("running: ~1024 balloon=1024 | ~1024");
    vm->vfio = !locked;
    vm->locked = locked;
    g_assert_null(dm_plan(vm, &wish, &error));
    g_assert_error(error, DM_ERROR, DM_ERROR_NO_BALLOON);
    g_assert_nonnull(strstr(error->message, locked ? "locked" : "VFIO"));
    /* Where it is allowed, not asked for, that is said. */
    DmWish lower = wish_from("memory=512");
    vm->live->balloon_use = DM_BALLOON_USE_ALLOW;
    g_autoptr(DmPlan) plan = dm_plan(vm, &lower, NULL);
    guint notes = 0;
    for (guint n = 0; n < plan->notes->len; n++)
      notes += ((DmNote *)plan->notes->pdata[n])->code == DM_NOTE_BALLOON_CANNOT;
    g_assert_cmpuint(notes, ==, 1);
  }
}

/* What the balloon gives back before a DIMM goes, or one is plugged, counts: the guest loses nothing by that. */
static void test_spare(void) {
  static const struct {
    const char *vm, *wish, *guest;
    gboolean goes;
  } cases[] = {
    {"running: 1024 max=4096/16 balloon=1024 d256 | 1280 max=4096/16", "memory=1024", "balloon total=1024 avail=230",
      TRUE},
    {"running: 1024 max=4096/16 balloon=1280 d256 | 1280 max=4096/16", "memory=1024", "balloon total=1280 avail=230",
      FALSE},
    {"running: 1024 max=9216/16 balloon=512 held=512 | 1024 max=9216/16", "memory=9216", "balloon total=512 avail=90",
      TRUE},
    {"running: 1024 max=9216/16 balloon=512 | 1024 max=9216/16", "memory=9216", "balloon total=512 avail=90", FALSE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmVm) vm = vm_from(cases[i].vm);
    DmWish wish = wish_from(cases[i].wish);
    dm_vm_take_guest(vm, guest_from(cases[i].guest));
    g_autoptr(DmPlan) plan = dm_plan(vm, &wish, &error);
    g_assert_true((plan != NULL) == cases[i].goes);
    g_assert_true(plan != NULL || g_error_matches(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY));
  }
}

/* Also where it stays as it is. */
static void test_held_is_noted(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 balloon=512 | 1024 max=4096/16");
  const DmWish wish = {.action = DM_ACTION_PLUG, .plug = {.kind = DM_DEVICE_DIMM, .size = 128 * DM_MIB}};
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
  g_assert_cmpuint(plan->ballooned_before, ==, 512 * DM_MIB);
  g_assert_cmpuint(plan->ballooned_after, ==, 512 * DM_MIB);
}

/* Only the running VM: its next start stays as it is, and that is said. */
static void test_live(void) {
  g_autoptr(DmVm) vm = vm_from("running: ~1024 balloon=1024 | ~1024");
  DmWish wish = wish_from("memory=512 balloon live");
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
  g_assert_null(plan->next_run_config);
  g_assert_cmpuint(plan->next_run.memory, ==, 0);
  g_assert_cmpuint(plan->ballooned_after, ==, 512 * DM_MIB);
  g_assert_cmpuint(plan->memory_after, ==, 1024 * DM_MIB);
  g_assert_cmpint(((DmNote *)plan->notes->pdata[plan->notes->len - 1])->code, ==, DM_NOTE_LIVE_ONLY);
}

static void test_reasons(void) {
  g_autoptr(DmVm) vm = vm_from("running: ~1024 balloon=1024 | ~1024");
  g_assert_null(dm_balloon_reason(vm, DM_BALLOON_REACHED, DM_GIB));
  for (DmBalloonEnd end = DM_BALLOON_SHORT; end < DM_BALLOON_ENDS; end++) {
    g_autoptr(DmNote) reason = dm_balloon_reason(vm, end, 700 * DM_MIB);
    g_assert_true(end == DM_BALLOON_NO_DRIVER || strstr(reason->text, "700 MiB") != NULL);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(plans); i++) {
    g_autofree char *path = g_strconcat("/balloon/plan/", plans[i].name, NULL);
    g_test_add_data_func(path, &plans[i], test_plan);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(settles); i++) {
    g_autofree char *path = g_strconcat("/balloon/settle/", settles[i].name, NULL);
    g_test_add_data_func(path, &settles[i], test_settle);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(beside_virtio); i++) {
    g_autofree char *path = g_strconcat("/balloon/beside-virtio/", beside_virtio[i].name, NULL);
    g_test_add_data_func(path, &beside_virtio[i], test_beside_virtio);
  }
  g_test_add_func("/balloon/last-goal", test_last_goal);
  g_test_add_func("/balloon/settle-aside", test_settle_aside);
  g_test_add_func("/balloon/settle-aside-and-further", test_settle_aside_and_further);
  g_test_add_func("/balloon/account", test_account);
  g_test_add_func("/balloon/whose", test_whose);
  g_test_add_func("/balloon/told-before", test_told_before);
  g_test_add_func("/balloon/useless", test_useless);
  g_test_add_func("/balloon/spare", test_spare);
  g_test_add_func("/balloon/held-is-noted", test_held_is_noted);
  g_test_add_func("/balloon/live", test_live);
  g_test_add_func("/balloon/reasons", test_reasons);
  return g_test_run();
}
