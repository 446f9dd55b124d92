/* SPDX-License-Identifier: Apache-2.0 */
/* The balloon in a plan, and a balloon under way with any guest at its other end. */
#include "plan/balloon.h"

#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "guest_notation.h"
#include "notation.h"

/* ---- plans ---- */

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
    "nothing; 1024>512"},
  {"one-node", "running: 512+512 max=4096/16 balloon=1024 | -", "memory=512 node=1 balloon", "error no-balloon"},
  {"one-node-allowed", "running: 512+512 max=4096/16 balloon=1024 use=allow | -", "memory=512 node=1",
    "nothing; - balloon-node"},
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
  {"of-others-though-allowed", "running: ~1024 balloon=512 use=allow | ~1024", "memory=1024", "nothing; -"},
  {"of-others", "running: ~1024 balloon=512 | ~1024", "memory=1024", "nothing; -"},
  {"of-others-asked-for", "running: ~1024 balloon=512 | ~1024", "memory=1024 balloon", "nothing; 512>1024 first=1024"},
  {"moved-by-others", "running: ~1024 balloon=700 held=512 | ~1024", "memory=1024", "nothing; - balloon-by-others"},
  {"further", "running: ~1024 balloon=800 held=224 | ~1024", "memory=600 balloon", "nothing; 800>600"},
  {"there-already", "running: ~1024 balloon=512 held=512 | ~1024", "memory=512 balloon", "nothing; -"},
  {"aside-wholly", "running: 1024 max=4096/16 balloon=1180 d256 | 1280 max=4096/16", "memory=1024",
    "-dimm0(256); 1024>1024 first=1280 balloon-aside"},
  {"aside-in-part", "running: 1024 max=4096/16 balloon=800 d256 | 1280 max=4096/16", "memory=1024",
    "-dimm0(256); 800>800 first=1056 balloon-aside others=224"},
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

/* What settle makes of a recorded balloon. */
static const struct {
  const char *name, *vm, *expected;
  guint memory, to; /* MiB; to 0: no balloon */
  DmPlanFlags flags;
  DmStepState state;
} settles[] = {
  {"towards-its-memory", "running: ~1024 balloon=800 | ~1024", "nothing; 800>512 aim=0", 512, 512, DM_PLAN_BALLOON,
    DM_STEP_OVERDUE},
  {"anew-without-the-flag", "running: 1024 max=4096/16 balloon=1280 d256 | 1280 max=4096/16",
    "nothing; 1280>1180 aim=1180", 1024, 1180, 0, DM_STEP_OVERDUE},
  {"refused", "running: ~1024 balloon=800 | ~1024", "nothing; - aim=0", 512, 512, DM_PLAN_BALLOON, DM_STEP_REFUSED},
};

static void test_settle(gconstpointer data) {
  const typeof(settles[0]) *c = data;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  const DmWish wish = {.action = DM_ACTION_SETTLE};
  vm->request = dm_request_new(DM_ACTION_SET);
  vm->request->memory = c->memory * DM_MIB;
  vm->request->flags = c->flags;
  vm->request->asked = TRUE;
  vm->request->balloon =
    dm_step_new_balloon(dm_config_fixed(vm->live), dm_config_fixed(vm->live), (uint64_t)c->to * DM_MIB);
  vm->request->balloon->state = c->state;
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
  g_autofree char *steps = steps_text(plan->steps);
  g_autofree char *balloon = plan->balloon == NULL
    ? g_strdup("-")
    : g_strdup_printf("%u>%u", (guint)(plan->balloon->from / DM_MIB), (guint)(plan->balloon->to / DM_MIB));
  g_autofree char *text = g_strdup_printf("%s; %s aim=%u", steps, balloon, (guint)(plan->balloon_aim / DM_MIB));
  g_assert_cmpstr(text, ==, c->expected);
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
      note->code == DM_NOTE_BALLOON_NODE || note->code == DM_NOTE_BALLOON_OTHERS_STAY)
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

/* ---- a balloon under way ---- */

typedef struct {
  uint64_t actual, used; /* MiB: what it has, and what its programs hold */
  gboolean driver, silent, autodeflate;
  guint hidden;     /* MiB: what QEMU reports until the driver has moved */
  guint sticks;     /* MiB: it gives nothing below that */
  guint silent_at;  /* MiB: the driver hangs once it is there */
  guint others_at;  /* MiB: another program sets the balloon ... */
  guint others_set; /* ... to that */
  guint pursues;    /* MiB: the target of a killed process, until it sees another */
  /* In tenths of a second: */
  guint reports; /* between two of them; 0: 10 */
  guint bursts;  /* between two of its moves; 0: 1 */
  guint lags;    /* until it sees a target */
  guint looks;   /* between two looks of dimmer; 0: 1 */
} Guest;

typedef struct {
  DmBalloonEnd end;
  uint64_t actual, pending, least_free; /* MiB; pending: the target that QEMU is left with */
  guint targets;
} Run;

static uint64_t free_of(const Guest *guest) {
  return dm_size_minus(guest->actual, guest->used);
}

/* 64 MiB in each tenth of a second, as long as the guest has something free. */
static void let_guest(Guest *guest, uint64_t target) {
  if (!guest->driver || guest->silent)
    return;
  if (guest->actual != target)
    guest->hidden = 0;
  if (guest->actual < target)
    guest->actual = MIN(target, guest->actual + 64);
  uint64_t least = MAX(MAX(target, guest->sticks), guest->used);
  if (guest->actual > least)
    guest->actual = MAX(least, guest->actual - MIN(guest->actual, 64));
  if (guest->silent_at != 0 && guest->actual <= guest->silent_at)
    guest->silent = TRUE;
}

#define LONGEST 6000 /* tenths of a second */

static Run run(Guest guest, uint64_t goal) {
  uint64_t targets[LONGEST];
  uint64_t first = guest.pursues != 0 ? guest.pursues : guest.actual;
  guint reports = guest.reports != 0 ? guest.reports : 10, bursts = MAX(guest.bursts, 1);
  Run result = {.pending = guest.actual, .least_free = UINT64_MAX};
  DmBalloonWatch watch = {
    .goal = goal * DM_MIB,
    .reserve = dm_balloon_reserve(guest.actual * DM_MIB, guest.autodeflate),
    .autodeflate = guest.autodeflate,
    .until_us = LONGEST / 10 * G_USEC_PER_SEC,
  };
  DmBalloonStats stats = {0};
  for (gint64 tenth = 0; tenth < LONGEST; tenth++) {
    targets[tenth] = result.pending;
    if (tenth % bursts == 0)
      let_guest(&guest, tenth >= guest.lags ? targets[tenth - guest.lags] : first);
    if (guest.others_at != 0 && guest.actual <= guest.others_at)
      result.pending = guest.others_set;
    result.least_free = MIN(result.least_free, free_of(&guest));
    stats.actual = (guest.hidden != 0 ? guest.hidden : guest.actual) * DM_MIB;
    if (guest.driver && !guest.silent && tenth % reports == 0) {
      stats.updated_s = 1000 + tenth / 10;
      stats.usable = free_of(&guest) * DM_MIB;
    }
    if (tenth % MAX(guest.looks, 1) != 0)
      continue;
    DmBalloonMove move = dm_balloon_next(&watch, &stats, tenth * G_USEC_PER_SEC / 10);
    result.targets += move.what == DM_BALLOON_SET;
    if (move.what == DM_BALLOON_SET)
      result.pending = move.target / DM_MIB;
    if (move.what == DM_BALLOON_END) {
      result.end = move.end;
      result.actual = guest.actual;
      return result;
    }
  }
  g_assert_not_reached();
}

static void test_reaches(void) {
  Run result = run((Guest){.actual = 1024, .used = 200, .driver = TRUE}, 512);
  g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
  g_assert_cmpuint(result.actual, ==, 512);
  g_assert_cmpuint(result.targets, >, 1); /* in steps */
  result = run((Guest){.actual = 512, .used = 200, .driver = TRUE}, 1024);
  g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
  g_assert_cmpuint(result.actual, ==, 1024);
  result = run((Guest){.actual = 512, .used = 200}, 512);
  g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
  g_assert_cmpuint(result.targets, ==, 0);
}

/* Emulated guests on a loaded host: only late, neither silent, nor short of memory, nor moved by others. */
static void test_slow(void) {
  static const Guest guests[] = {
    {.reports = 60},
    {.bursts = 80, .reports = 30},
    {.bursts = 70, .reports = 70, .lags = 40},
    {.lags = 65, .reports = 40},
    {.looks = 70, .reports = 50, .lags = 90},
    {.looks = 60, .reports = 120, .bursts = 120},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(guests); i++) {
    Guest guest = guests[i];
    guest.driver = TRUE;
    guest.used = 100;
    guest.actual = 1024;
    Run result = run(guest, 600);
    g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
    g_assert_cmpuint(result.actual, ==, 600);
    guest.actual = 700;
    guest.pursues = 300;
    result = run(guest, 1024);
    g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
    g_assert_cmpuint(result.actual, ==, 1024);
    guest.pursues = 0;
    guest.actual = 1024;
    guest.hidden = 500; /* it started anew */
    result = run(guest, 300);
    g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
    g_assert_cmpuint(result.actual, ==, 300);
  }
}

/* A target that is taken back: what counts is where the driver is once it has seen that. */
static void test_taken_back(void) {
  DmBalloonWatch watch = {.goal = 512 * DM_MIB, .until_us = 10 * G_USEC_PER_SEC};
  DmBalloonStats stats = {1024 * DM_MIB, 900 * DM_MIB, 1000};
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_WAIT);
  stats.updated_s++;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 1).what, ==, DM_BALLOON_SET);
  stats.actual = 1000 * DM_MIB;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, watch.until_us);
  g_assert_cmpint(move.what, ==, DM_BALLOON_SET);
  g_assert_cmpuint(move.target, ==, 1000 * DM_MIB);
  for (guint tenth = 1; tenth < 30; tenth++) {
    stats.actual = (tenth < 15 ? 1000 - tenth : 970 + tenth) * DM_MIB;
    g_assert_cmpint(
      dm_balloon_next(&watch, &stats, watch.until_us + tenth * G_USEC_PER_SEC / 10).what, ==, DM_BALLOON_WAIT);
  }
  stats.actual = 1000 * DM_MIB;
  move = dm_balloon_next(&watch, &stats, watch.until_us + 3 * G_USEC_PER_SEC);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_TIME);
}

/* However much is wanted, the guest keeps its reserve: a larger one without autodeflate. */
static void test_reserve(void) {
  for (int autodeflate = 0; autodeflate < 2; autodeflate++) {
    uint64_t reserve = dm_balloon_reserve(2048 * DM_MIB, autodeflate) / DM_MIB;
    Run result = run((Guest){.actual = 2048, .used = 700, .driver = TRUE, .autodeflate = autodeflate}, 256);
    g_assert_cmpint(result.end, ==, DM_BALLOON_SPARE);
    g_assert_cmpuint(result.least_free, >=, reserve);
    /* At least 95% of what it can spare, also by the smaller reserve of an unplug. */
    g_assert_cmpuint(2048 - result.actual, >=, (2048 - 700 - reserve) * 99 / 100);
    g_assert_cmpuint(2048 - result.actual, >=, (2048 - 700 - 2048 / 20) * 95 / 100);
    g_assert_cmpuint(result.pending, ==, result.actual);
  }
  g_assert_cmpuint(dm_balloon_reserve(512 * DM_MIB, TRUE), ==, 64 * DM_MIB);
  g_assert_cmpuint(dm_balloon_reserve(2000 * DM_MIB, TRUE), ==, 100 * DM_MIB);
  g_assert_cmpuint(dm_balloon_reserve(2000 * DM_MIB, FALSE), ==, 112 * DM_MIB + DM_MIB / 2);
  g_assert_cmpuint(dm_balloon_reserve(64 * DM_GIB, TRUE), ==, 1 * DM_GIB);
}

/* No target before the driver has reported: QEMU would keep it for a driver that comes later. */
static void test_no_driver(void) {
  Run result = run((Guest){.actual = 1024}, 512);
  g_assert_cmpint(result.end, ==, DM_BALLOON_NO_DRIVER);
  g_assert_cmpuint(result.targets, ==, 0);
}

static void test_stops_short(void) {
  Run result = run((Guest){.actual = 1024, .used = 100, .driver = TRUE, .sticks = 800}, 400);
  g_assert_cmpint(result.end, ==, DM_BALLOON_SHORT);
  g_assert_cmpuint(result.actual, ==, 800);
  g_assert_cmpuint(result.pending, ==, 800);
}

/* Looks five times a second, with a report each second, until the watch does something, or for @most seconds. */
static DmBalloonMove look_on(DmBalloonWatch *watch, DmBalloonStats *stats, gboolean reports, guint most) {
  DmBalloonMove move = {.what = DM_BALLOON_WAIT};
  gint64 now_us = watch->looked_us;
  for (guint fifth = 1; fifth <= most * 5 && move.what == DM_BALLOON_WAIT; fifth++) {
    stats->updated_s += reports && fifth % 5 == 0;
    move = dm_balloon_next(watch, stats, now_us += G_USEC_PER_SEC / 5);
  }
  return move;
}

/* Half a MiB short is what was asked for, in the unit that is shown; and no target is left pending. */
static void test_short_of_nothing(void) {
  DmBalloonWatch watch = {.goal = 800 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1024 * DM_MIB, 900 * DM_MIB, 1000};
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_WAIT);
  stats.updated_s++;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, 1);
  g_assert_cmpuint(move.target, ==, 800 * DM_MIB);
  stats.actual = 800 * DM_MIB + DM_MIB / 2;
  g_assert_cmpint(look_on(&watch, &stats, TRUE, 5).what, ==, DM_BALLOON_WAIT);
  move = look_on(&watch, &stats, TRUE, 2);
  g_assert_cmpint(move.what, ==, DM_BALLOON_SET);
  g_assert_cmpuint(move.target, ==, stats.actual);
  g_assert_cmpint(look_on(&watch, &stats, TRUE, 1).end, ==, DM_BALLOON_REACHED);
}

static void test_goes_silent(void) {
  Run result = run((Guest){.actual = 1024, .used = 100, .driver = TRUE, .silent_at = 900}, 400);
  g_assert_cmpint(result.end, ==, DM_BALLOON_SILENT);
  g_assert_cmpuint(result.actual, ==, 896);
  g_assert_cmpuint(result.pending, ==, 896);
}

/* What another program sets meanwhile stands. */
static void test_others(void) {
  Run result = run((Guest){.actual = 1024, .used = 100, .driver = TRUE, .others_at = 700, .others_set = 1024}, 400);
  g_assert_cmpint(result.end, ==, DM_BALLOON_OTHERS);
  g_assert_cmpuint(result.pending, ==, 1024);
  result = run((Guest){.actual = 1024, .used = 50, .driver = TRUE, .others_at = 900, .others_set = 128}, 600);
  g_assert_cmpint(result.end, ==, DM_BALLOON_OTHERS);
  g_assert_cmpuint(result.pending, ==, 128);
}

/* A driver that is still on its way to the target of a killed process comes round. */
static void test_on_another_way(void) {
  DmBalloonWatch watch = {.goal = 1280 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1258 * DM_MIB, 900 * DM_MIB, 1000};
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_SET);
  stats.actual = 1250 * DM_MIB;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, G_USEC_PER_SEC / 5).what, ==, DM_BALLOON_WAIT);
  DmBalloonWatch later = watch, slow = watch;
  stats.actual = 1280 * DM_MIB;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, G_USEC_PER_SEC);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_REACHED);
  stats.actual = 1200 * DM_MIB;
  DmBalloonStats others = stats;
  g_assert_cmpint(look_on(&later, &others, TRUE, 1).what, ==, DM_BALLOON_WAIT);
  g_assert_cmpint(look_on(&later, &others, TRUE, 5).end, ==, DM_BALLOON_OTHERS);
  g_assert_cmpint(look_on(&slow, &stats, FALSE, 4).what, ==, DM_BALLOON_WAIT); /* it has not seen the target yet */
  stats.actual = 1210 * DM_MIB;                                                /* and now it has */
  g_assert_cmpint(look_on(&slow, &stats, TRUE, 3).what, ==, DM_BALLOON_WAIT);
}

/*
 * While a guest starts, QEMU reports what the driver had reached before: as a target it would have the driver take the
 * memory anew. Only a target that gives the memory back for good stays; before a DIMM goes it is taken back.
 */
static void test_gives_back_later(void) {
  for (int stands = 0; stands < 2; stands++) {
    DmBalloonWatch watch = {.goal = 1024 * DM_MIB, .stands = stands != 0, .until_us = G_MAXINT64};
    DmBalloonStats stats = {500 * DM_MIB, 900 * DM_MIB, 1000};
    g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_SET);
    g_assert_cmpint(look_on(&watch, &stats, FALSE, 5).what, ==, DM_BALLOON_WAIT);
    DmBalloonMove move = look_on(&watch, &stats, FALSE, 6);
    g_assert_cmpint(move.what, ==, stands != 0 ? DM_BALLOON_END : DM_BALLOON_SET);
    if (stands != 0)
      g_assert_cmpint(move.end, ==, DM_BALLOON_LATER);
    else
      g_assert_cmpuint(move.target, ==, 500 * DM_MIB);
  }
}

/* A driver that reports and stays still is nudged; the target that stands at last is the goal itself. */
static void test_nudged(void) {
  DmBalloonWatch watch = {.goal = 1024 * DM_MIB, .stands = TRUE, .until_us = G_MAXINT64};
  DmBalloonStats stats = {500 * DM_MIB, 900 * DM_MIB, 1000};
  g_assert_cmpuint(dm_balloon_next(&watch, &stats, 0).target, ==, 1024 * DM_MIB);
  g_assert_cmpuint(look_on(&watch, &stats, TRUE, 3).target, ==, 1023 * DM_MIB);
  g_assert_cmpint(look_on(&watch, &stats, TRUE, 4).what, ==, DM_BALLOON_WAIT);
  g_assert_cmpuint(look_on(&watch, &stats, TRUE, 3).target, ==, 1024 * DM_MIB);
  DmBalloonMove move = look_on(&watch, &stats, TRUE, 1);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_LATER);
}

/* It comes from above, as its guest started anew: it goes no further than its next report allows. */
static void test_comes_from_above(void) {
  DmBalloonWatch watch = {.goal = 1000 * DM_MIB, .reserve = 128 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1024 * DM_MIB, 450 * DM_MIB, 1000};
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_WAIT);
  stats.updated_s++;
  g_assert_cmpuint(dm_balloon_next(&watch, &stats, 1).target, ==, 1000 * DM_MIB);
  stats.actual = 2040 * DM_MIB;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 2).what, ==, DM_BALLOON_WAIT);
  stats.actual = 1900 * DM_MIB;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, 3);
  g_assert_cmpint(move.what, ==, DM_BALLOON_SET);
  g_assert_cmpuint(move.target, ==, 1900 * DM_MIB);
  stats.actual = 1890 * DM_MIB; /* on its way to the target before, until it sees this one */
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 4).what, ==, DM_BALLOON_WAIT);
  DmBalloonWatch lower = watch;
  stats.actual = 999 * DM_MIB; /* nothing of ours would lead there */
  g_assert_cmpint(dm_balloon_next(&lower, &stats, 4).end, ==, DM_BALLOON_OTHERS);
  stats.actual = 1900 * DM_MIB;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 4).what, ==, DM_BALLOON_WAIT);
  stats.updated_s++;
  stats.usable = 120 * DM_MIB;
  move = dm_balloon_next(&watch, &stats, 5);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_SPARE);
}

/*
 * A guest that started anew: its driver's balloon is empty, while QEMU reports what was reached before, until the
 * driver moves. @goal below: it comes down to it from above.
 */
static void test_started_anew(void) {
  const uint64_t goals[] = {1024, 900, 300};
  for (gsize i = 0; i < G_N_ELEMENTS(goals); i++) {
    Run result = run((Guest){.actual = 1024, .hidden = 500, .used = 100, .driver = TRUE}, goals[i]);
    g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
    g_assert_cmpuint(result.actual, ==, goals[i]);
    g_assert_cmpuint(result.pending, ==, goals[i]);
  }
}

static void test_stopped(void) {
  DmBalloonWatch watch = {.goal = 512 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1024 * DM_MIB, 900 * DM_MIB, 1000};
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_WAIT);
  stats.updated_s++;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 1).what, ==, DM_BALLOON_SET);
  stats.actual = 1000 * DM_MIB;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 2).what, ==, DM_BALLOON_WAIT);
  watch.stop = TRUE;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, 3);
  g_assert_cmpint(move.what, ==, DM_BALLOON_SET);
  g_assert_cmpuint(move.target, ==, 1000 * DM_MIB);
  move = dm_balloon_next(&watch, &stats, 4);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_STOPPED);
  /* The time of a change is over just so. */
  watch = (DmBalloonWatch){.goal = 512 * DM_MIB, .until_us = 5};
  move = dm_balloon_next(&watch, &stats, 5);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_TIME);
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
  g_test_add_func("/balloon/useless", test_useless);
  g_test_add_func("/balloon/spare", test_spare);
  g_test_add_func("/balloon/held-is-noted", test_held_is_noted);
  g_test_add_func("/balloon/live", test_live);
  g_test_add_func("/balloon/reaches", test_reaches);
  g_test_add_func("/balloon/slow", test_slow);
  g_test_add_func("/balloon/taken-back", test_taken_back);
  g_test_add_func("/balloon/reserve", test_reserve);
  g_test_add_func("/balloon/no-driver", test_no_driver);
  g_test_add_func("/balloon/stops-short", test_stops_short);
  g_test_add_func("/balloon/goes-silent", test_goes_silent);
  g_test_add_func("/balloon/others", test_others);
  g_test_add_func("/balloon/on-another-way", test_on_another_way);
  g_test_add_func("/balloon/stopped", test_stopped);
  g_test_add_func("/balloon/gives-back-later", test_gives_back_later);
  g_test_add_func("/balloon/nudged", test_nudged);
  g_test_add_func("/balloon/comes-from-above", test_comes_from_above);
  g_test_add_func("/balloon/short-of-nothing", test_short_of_nothing);
  g_test_add_func("/balloon/started-anew", test_started_anew);
  g_test_add_func("/balloon/reasons", test_reasons);
  return g_test_run();
}
