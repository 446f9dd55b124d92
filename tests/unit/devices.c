/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that name their devices: unplug, plug, enable, settle. */
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "notation.h"

#define VM "running: 1024 max=4096/16 d256 d128 v1024:512/512:2 n256 ua-5=d512 | 1024 max=4096/16"

typedef struct {
  const char *name, *vm, *names, *expected;
} UnplugCase;

static const UnplugCase unplug_cases[] = {
  {"one", VM, "dimm0", "-dimm0(256) => 2176/2176 | -"},
  {"several", VM, "dimm1 dimm0", "-dimm1(128) -dimm0(256) => 2048/2048 | -"},
  {"user-alias", VM, "ua-5", "-ua-5(512) => 1920/1920 | -"},
  {"twice-named", VM, "dimm0 dimm0", "-dimm0(256) => 2176/2176 | -"},
  {"virtio-mem-shrinks", VM, "virtiomem0", "virtiomem0(512>0) => 1920/1920 | -"},
  {"all", VM, "dimm0 dimm1 virtiomem0 ua-5", "-dimm0(256) -dimm1(128) -ua-5(512) virtiomem0(512>0) => 1024/1024 | -"},
  {"virtio-mem-still-growing", "running: 1024 max=4096/16 v1024:512/128:2 | -", "virtiomem0",
    "virtiomem0(128>0) => 1024/1024 | -"},
  {"virtio-mem-not-taken", "running: 1024 max=4096/16 v1024:512/0:2 | -", "virtiomem0",
    "virtiomem0(0>0) => 1024/1024 | -"},
  {"virtio-mem-empty", "running: 1024 max=4096/16 v1024:0:2 | -", "virtiomem0", "nothing => 1024/1024 | -"},
  /* The specification: guaranteed is decremented if necessary, and only then. */
  {"next-run-follows", "running: 1024 max=4096/16 d256 | 1280 max=4096/16", "dimm0",
    "-dimm0(256) => 1024/1024 | 1024 max=4096/16"},
  {"next-run-differs", "running: 1024 max=4096/16 d256 | 1279 max=4096/16", "dimm0", "-dimm0(256) => 1024/1024 | -"},
  {"next-run-cannot-follow", "running: 128+128 max=4096/16 d256@1 | 1+511 max=4096/16 page=256", "dimm0",
    "-dimm0(256) => 256/256 | -"},
  {"guaranteed-falls", "running: 1024 max=4096/16 g=1200 d256 | -", "dimm0", "-dimm0(256) => 1024/1024 | -"},
  {"guaranteed-stays", "running: 1024 max=4096/16 g=1000 d256 | -", "dimm0", "-dimm0(256) => 1024/1000 | -"},
  {"asked-before", "running: 1024 max=4096/16 d256 | - | unplug -dimm0(256):overdue", "dimm0",
    "-dimm0(256) => 1024/1024 | -"},
  {"nvdimm", VM, "nvdimm2", "error not-removable"},
  {"one-of-them-wrong", VM, "dimm0 nvdimm2", "error not-removable"},
  {"unknown", VM, "dimm9", "error no-such-device"},
  {"one-of-them-unknown", VM, "dimm0 dimm9", "error no-such-device"},
  {"empty-name", VM, "", "error no-such-device"},
  {"boot-memory", VM, "ram", "error no-such-device"},
  {"paused", "paused: 1024 max=4096/16 d256 | -", "dimm0", "error not-running"},
  {"shut-off", "shut-off: - | 1024 max=4096/16 d256", "dimm0", "error not-running"},
  {"crashed", "crashed: 1024 max=4096/16 d256 | -", "dimm0", "error not-running"},
};

static void test_unplug(gconstpointer data) {
  const UnplugCase *c = data;
  GError *error = NULL;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  g_auto(GStrv) split = g_strsplit(c->names, " ", -1);
  const char *empty[] = {"", NULL};
  DmPlan *plan = unplug_plan(vm, *c->names != '\0' ? (const char *const *)split : empty, 0, &error);
  g_autofree char *text = plan_text_take(plan, error);
  g_assert_cmpstr(text, ==, c->expected);
}

/* By its id, by the beginning of its id, in capitals; and what means two devices means none. */
static void test_unplug_by_id(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 d256 d128 | -");
  DmMemoryDevice *first = vm->live->devices->pdata[0], *second = vm->live->devices->pdata[1];
  g_free(first->id);
  g_free(second->id);
  first->id = g_strdup("12345678-0000-4000-8000-00000000000a");
  second->id = g_strdup("1234567f-0000-4000-8000-00000000000b");
  const struct {
    const char *name, *expected;
  } cases[] = {
    {"12345678-0000-4000-8000-00000000000a", "-dimm0(256) => 1152/1152 | -"},
    {"12345678", "-dimm0(256) => 1152/1152 | -"},
    {"1234567F", "-dimm1(128) => 1280/1280 | -"},
    {"1234567", "error ambiguous"},
    {"1", "error ambiguous"},
    {"2", "error no-such-device"},
    {"12345678-0000-4000-8000-00000000000a0", "error no-such-device"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    GError *error = NULL;
    const char *names[] = {cases[i].name, NULL};
    DmPlan *plan = unplug_plan(vm, names, 0, &error);
    g_autofree char *text = plan_text_take(plan, error);
    g_assert_cmpstr(text, ==, cases[i].expected);
  }
}

typedef struct {
  const char *name, *vm;
  DmPlugWish wish; /* sizes in MiB */
  const char *expected;
} PlugCase;

#define DIMM(mib, at, how) \
  { .kind = DM_DEVICE_DIMM, .size = mib, .one_node = (at) + 1, .policy = how }
#define VIRTIO(mib, most) \
  { .kind = DM_DEVICE_VIRTIO_MEM, .size = mib, .max_size = most }
#define ANY_DIMM(mib) \
  { .kind = DM_DEVICE_DIMM, .size = mib, .policy = DM_POLICY_WHOLE }
#define AUTO(mib, most) \
  { .choose_kind = TRUE, .size = mib, .max_size = most, .policy = DM_POLICY_WHOLE }
#define PLAIN "running: 1024 max=4096/16 g=1024 | 1024 max=4096/16"
#define MIXED "running: 1024+1024 max=8192/16 page=1024+2 g=1 | -"

static const PlugCase plug_cases[] = {
  {"ovirt", PLAIN, DIMM(512, 0, DM_POLICY_OVIRT), "+d128@0 +d384@0 => 1536/1024 | 1536 max=4096/16"},
  {"whole", PLAIN, DIMM(512, 0, DM_POLICY_WHOLE), "+d512@0 => 1536/1024 | 1536 max=4096/16"},
  {"fine", PLAIN, DIMM(512, 0, DM_POLICY_FINE), "+d128@0 +d256@0 +d128@0 => 1536/1024 | 1536 max=4096/16"},
  {"not-a-multiple", PLAIN, DIMM(100, 0, DM_POLICY_WHOLE), "error not-a-multiple"},
  {"zero", PLAIN, DIMM(0, 0, DM_POLICY_WHOLE), "error size-zero"},
  {"above-maximum", PLAIN, DIMM(3200, 0, DM_POLICY_WHOLE), "error memory-above-maximum"},
  {"up-to-maximum", PLAIN, DIMM(3072, 0, DM_POLICY_WHOLE), "+d3072@0 => 4096/1024 | 4096 aside=4096/16"},
  {"absurd", PLAIN, DIMM((uint64_t)1 << 43, 0, DM_POLICY_WHOLE), "error memory-above-maximum"},
  {"node", "running: 512+512 max=4096/16 g=1 | -", DIMM(128, 1, DM_POLICY_WHOLE), "+d128@1 => 1152/1 | -"},
  {"no-such-node", "running: 512+512 max=4096/16 | -", DIMM(128, 2, DM_POLICY_WHOLE), "error no-such-node"},
  {"no-free-slot", "running: 1024 max=4096/1 d128 | -", DIMM(128, 0, DM_POLICY_WHOLE), "error no-free-slot"},
  {"fine-in-two-slots", "running: 1024 max=4096/2 g=1 | -", DIMM(1024, 0, DM_POLICY_FINE),
    "+d128@0 +d896@0 => 2048/1 | -"},
  {"not-enabled", "running: ~1024 | ~1024", DIMM(128, 0, DM_POLICY_WHOLE), "error not-enabled"},
  {"no-slots", "running: 1024 max=4096/0 | -", DIMM(128, 0, DM_POLICY_WHOLE), "error not-enabled"},
  {"no-slots-for-a-dimm", "running: 1024 max=4096/0 slotless | -", DIMM(128, 0, DM_POLICY_WHOLE), "error no-free-slot"},
  {"no-slots-for-virtio-mem", "running: 1024 max=4096/0 slotless | -", VIRTIO(128, 0), "+v128:128@0 => 1152/1152 | -"},
  {"started-with-its-maximum", "running: 4096 aside=4096/16 | -", DIMM(128, 0, DM_POLICY_WHOLE), "error not-enabled"},
  {"paused", "paused: 1024 max=4096/16 | -", DIMM(128, 0, DM_POLICY_WHOLE), "error not-running"},
  {"shut-off", "shut-off: - | 1024 max=4096/16", DIMM(128, 0, DM_POLICY_WHOLE), "error not-running"},
  {"power", "running ppc64le: 1024 max=4096/16 | -", DIMM(128, 0, DM_POLICY_WHOLE), "error not-a-multiple"},
  {"power-ovirt", "running ppc64le: 1024 max=4096/16 g=1 | -", DIMM(512, 0, DM_POLICY_OVIRT),
    "+d256@0 +d256@0 => 1536/1 | -"},
  {"huge-pages", "running: 1024 max=8192/16 page=1024 g=1 | -", DIMM(2048, 0, DM_POLICY_OVIRT),
    "+d1024@0 +d1024@0 => 3072/1 | -"},
  {"huge-pages-not-a-multiple", "running: 1024 max=8192/16 page=1024 | -", DIMM(1152, 0, DM_POLICY_OVIRT),
    "error not-a-multiple"},
  {"guaranteed-nowhere", "running: 1024 max=4096/16 | -", DIMM(256, 0, DM_POLICY_WHOLE), "+d256@0 => 1280/1280 | -"},
  /* Room is what is below maximum with the full size of each virtio-mem device. */
  {"beside-virtio-mem", "running: 1024 max=4096/16 v2048:0:2 g=1 | -", DIMM(1024, 0, DM_POLICY_WHOLE),
    "+d1024@0 => 2048/1 | -"},
  {"beside-virtio-mem-too-much", "running: 1024 max=4096/16 v2048:0:2 | -", DIMM(1152, 0, DM_POLICY_WHOLE),
    "error memory-above-maximum"},
  /* The next run follows a plug (DmAccount), so its own maximum bounds it as well. */
  {"next-run-differs", "running: 1024 max=4096/16 g=1 | 1000 max=4096/16", DIMM(1024, 0, DM_POLICY_WHOLE),
    "+d1024@0 => 2048/1 | -"},
  {"above-maximum-of-a-next-run-that-differs", "running: 1024 max=4096/16 g=1 | 1000 max=1536/16",
    DIMM(1024, 0, DM_POLICY_WHOLE), "+d1024@0 => 2048/1 | -"},
  {"above-maximum-of-next-run", "running: 1024 max=4096/16 | 1024 max=1536/16", DIMM(1024, 0, DM_POLICY_WHOLE),
    "error memory-above-maximum"},
  {"virtio-mem", PLAIN, VIRTIO(512, 1024), "+v1024:512@0 => 1536/1024 | 1536 max=4096/16"},
  {"virtio-mem-full", PLAIN, VIRTIO(512, 0), "+v512:512@0 => 1536/1024 | 1536 max=4096/16"},
  {"virtio-mem-takes-a-slot", "running: 1024 max=4096/1 d128 | -", VIRTIO(512, 1024), "error no-free-slot"},
  {"beside-virtio-mem-no-slot", "running: 1024 max=4096/1 v128:0:2 | -", DIMM(128, 0, DM_POLICY_WHOLE),
    "error no-free-slot"},
  {"virtio-mem-block", PLAIN, VIRTIO(511, 1024), "error not-a-multiple"},
  {"virtio-mem-max-size", PLAIN, VIRTIO(512, 1000), "error not-a-multiple"},
  {"virtio-mem-of-huge-pages", "running: 1024 max=8192/16 page=1024 | -", VIRTIO(1024, 1152), "error not-a-multiple"},
  /* The first node whose huge pages it fills, where none is named. */
  {"huge-pages-of-the-other", MIXED, ANY_DIMM(256), "+d256@1 => 2304/1 | -"},
  {"huge-pages-of-both", MIXED, ANY_DIMM(1024), "+d1024@0 => 3072/1 | -"},
  {"huge-pages-of-none", MIXED, ANY_DIMM(100), "error not-a-multiple"},
  {"huge-pages-of-the-named", MIXED, DIMM(256, 0, DM_POLICY_WHOLE), "error not-a-multiple"},
  {"huge-pages-of-the-third", "running: 1024+1024+512 max=8192/16 page=1024+1024+2 g=1 | -", ANY_DIMM(128),
    "+d128@2 => 2688/1 | -"},
  {"virtio-mem-of-the-other", MIXED, VIRTIO(256, 0), "+v256:256@1 => 2304/1 | -"},
  {"virtio-mem-full-of-the-other", MIXED, VIRTIO(1024, 1152), "+v1152:1024@1 => 3072/1 | -"},
  {"virtio-mem-of-both", MIXED, VIRTIO(1024, 2048), "+v2048:1024@0 => 3072/1 | -"},
  {"virtio-mem-full-of-none", MIXED, VIRTIO(256, 300), "error not-a-multiple"},
  {"auto-of-the-other", MIXED, AUTO(384, 0), "+d384@1 => 2432/1 | -"},
  {"virtio-mem-larger-than-itself", PLAIN, VIRTIO(1024, 512), "error memory-above-maximum"},
  {"virtio-mem-above-maximum", PLAIN, VIRTIO(512, 3200), "error memory-above-maximum"},
  {"virtio-mem-not-enabled", "running: ~1024 | -", VIRTIO(512, 1024), "error not-enabled"},
};

static void test_plug(gconstpointer data) {
  const PlugCase *c = data;
  GError *error = NULL;
  DmPlugWish wish = c->wish;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  wish.size *= DM_MIB;
  wish.max_size *= DM_MIB;
  DmPlan *plan = plug_plan(vm, &wish, &error);
  g_autofree char *text = plan_text_take(plan, error);
  g_assert_cmpstr(text, ==, c->expected);
}

/* Where the huge pages of one node alone are filled, the note says so; and the error's steps are the finest. */
static void test_huge_pages_words(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmVm) vm = vm_from(MIXED);
  DmPlugWish wish = ANY_DIMM(256 * DM_MIB), odd = ANY_DIMM(100 * DM_MIB);
  g_autoptr(DmPlan) plan = plug_plan(vm, &wish, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(plan->notes->len, ==, 1);
  g_assert_cmpint(((const DmNote *)plan->notes->pdata[0])->code, ==, DM_NOTE_OTHER_NODE);
  g_assert_null(plug_plan(vm, &odd, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE);
  g_assert_nonnull(strstr(error->message, "add 128 MiB"));
}

/* The error names the nodes that there are. */
static void test_no_such_node(void) {
  static const struct {
    const char *vm, *words;
  } cases[] = {{"running: 1024 max=4096/16 | -", "no NUMA node 7, only node 0"},
    {"running: 512+512+512 max=4096/16 | -", "no NUMA node 7, only nodes 0 to 2"}};
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmVm) vm = vm_from(cases[i].vm);
    DmPlugWish wish = DIMM(128 * DM_MIB, 7, DM_POLICY_WHOLE);
    g_assert_null(plug_plan(vm, &wish, &error));
    g_assert_error(error, DM_ERROR, DM_ERROR_NO_SUCH_NODE);
    g_assert_nonnull(strstr(error->message, cases[i].words));
  }
}

/* Memory stays below the host's hard limit, or QEMU ends: at once where host devices pin it. */
static void test_pinned(void) {
  static const struct {
    const char *vm, *words;
    gboolean vfio;
    uint64_t hard_limit;
    DmPlugWish wish;
    gboolean possible;
  } cases[] = {
    {PLAIN, NULL, TRUE, 1536, DIMM(512, 0, DM_POLICY_WHOLE), TRUE},
    {PLAIN, "hard limit of 1535 MiB", TRUE, 1535, DIMM(512, 0, DM_POLICY_WHOLE), FALSE},
    {PLAIN, "hard limit of 1535 MiB", FALSE, 1535, DIMM(512, 0, DM_POLICY_WHOLE), FALSE},
    {PLAIN, NULL, FALSE, 1536, DIMM(512, 0, DM_POLICY_WHOLE), TRUE},
    {PLAIN, NULL, TRUE, 0, DIMM(512, 0, DM_POLICY_WHOLE), TRUE},
    {PLAIN, NULL, TRUE, 1535, VIRTIO(512, 512), FALSE},
    {PLAIN, NULL, FALSE, 1536, VIRTIO(512, 512), TRUE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL, set_error = NULL;
    g_autoptr(DmVm) vm = vm_from(cases[i].vm);
    vm->vfio = cases[i].vfio;
    vm->hard_limit = cases[i].hard_limit * DM_MIB;
    DmPlugWish wish = cases[i].wish;
    wish.size *= DM_MIB;
    wish.max_size *= DM_MIB;
    g_autoptr(DmPlan) plan = plug_plan(vm, &wish, &error);
    g_assert_cmpint(plan != NULL, ==, cases[i].possible);
    if (wish.kind != DM_DEVICE_DIMM)
      continue;
    DmWish raise = {
      .action = DM_ACTION_SET, .set = {.has_memory = TRUE, .memory = 1536 * DM_MIB, .policy = DM_POLICY_WHOLE}};
    g_autoptr(DmPlan) set = dm_plan(vm, &raise, &set_error);
    g_assert_cmpint(set != NULL, ==, cases[i].possible);
    if (cases[i].possible)
      continue;
    g_assert_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM);
    g_assert_nonnull(strstr(error->message, cases[i].words));
    g_assert_cmpstr(set_error->message, ==, error->message);
    DmWish force = {.action = DM_ACTION_PLUG, .flags = DM_PLAN_FORCE, .plug = wish};
    g_autoptr(DmPlan) forced = dm_plan(vm, &force, NULL);
    g_assert_cmpint(forced != NULL, ==, !vm->vfio); /* QEMU would end at once */
  }
}

/* New devices carry a user alias that survives: "ua-" and their id. */
static void test_plug_alias(void) {
  g_autoptr(DmVm) vm = vm_from(PLAIN);
  DmPlugWish wish = DIMM(512 * DM_MIB, 0, DM_POLICY_FINE);
  g_autoptr(DmPlan) plan = plug_plan(vm, &wish, NULL);
  g_assert_cmpint(plan->action, ==, DM_ACTION_PLUG);
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    g_autofree char *alias = g_strconcat("ua-", step->id, NULL);
    g_assert_true(g_uuid_string_is_valid(step->id));
    g_assert_cmpstr(step->alias, ==, alias);
    for (guint k = 0; k < i; k++)
      g_assert_cmpstr(((DmStep *)plan->steps->pdata[k])->id, !=, step->id);
  }
}

typedef struct {
  const char *name, *vm;
  uint64_t maximum; /* MiB */
  guint slots;
  const char *expected;
} EnableCase;

static const EnableCase enable_cases[] = {
  {"shut-off", "shut-off: - | ~1024", 4096, 0, "nothing => 1024/1024 | 1024 max=4096/16"},
  {"running", "running: ~1024 | ~1024", 4096, 0, "nothing => 1024/1024 | 1024 max=4096/16"},
  {"paused", "paused: ~1024 | ~1024", 4096, 0, "nothing => 1024/1024 | 1024 max=4096/16"},
  {"slots", "shut-off: - | ~1024", 4096, 64, "nothing => 1024/1024 | 1024 max=4096/64"},
  {"slots-as-they-are", "shut-off: - | 1024 max=2048/4", 4096, 0, "nothing => 1024/1024 | 1024 max=4096/4"},
  {"more-slots", "shut-off: - | 1024 max=2048/4", 4096, 8, "nothing => 1024/1024 | 1024 max=4096/8"},
  {"cells-stay", "shut-off: - | 512+1024", 4096, 0, "nothing => 1536/1536 | 512+1024 max=4096/16"},
  {"only-numa-is-missing", "shut-off: - | ~1024 max=4096/8", 4096, 0, "nothing => 1024/1024 | 1024 max=4096/8"},
  {"kept-aside", "shut-off: - | 4096 aside=4096/8", 8192, 0, "nothing => 4096/4096 | 4096 max=8192/8"},
  {"guaranteed-stays", "shut-off: - | ~1024 g=900", 4096, 0, "nothing => 1024/900 | 1024 max=4096/16 g=900"},
  {"below-memory", "shut-off: - | ~1024", 1023, 0, "error memory-above-maximum"},
  {"no-room", "shut-off: - | ~1024", 1024, 0, "error memory-above-maximum"},
  {"less-than-the-factor", "shut-off: - | ~1024", 1151, 0, "error memory-above-maximum"},
  {"one-device", "shut-off: - | ~1024", 1152, 0, "nothing => 1024/1024 | 1024 max=1152/16"},
  {"zero", "shut-off: - | ~1024", 0, 0, "error size-zero"},
  {"transient", "running: ~1024 | -", 4096, 0, "error no-next-run"},
};

static void test_enable(gconstpointer data) {
  const EnableCase *c = data;
  GError *error = NULL;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  DmPlan *plan = enable_plan(vm, c->maximum * DM_MIB, c->slots, &error);
  g_autofree char *text = plan_text_take(plan, error);
  g_assert_cmpstr(text, ==, c->expected);
}

static const struct {
  const char *name, *vm, *expected;
} settle_cases[] = {
  {"nothing-recorded", "running: 1024 max=4096/16 d256 | -", "nothing => 1280/1280 | -"},
  {"shut-off", "shut-off: - | 1024 max=4096/16", "nothing => 1024/1024 | -"},
  {"overdue", "running: 1024 max=4096/16 g=512 d256 d128 | - | set=1024 -dimm0(256):overdue",
    "-dimm0(256) => 1152/512 | -"},
  {"asked", "running: 1024 max=4096/16 g=512 d256 | - | unplug -dimm0(256):asked", "-dimm0(256) => 1024/512 | -"},
  {"guaranteed-falls", "running: 1024 max=4096/16 g=1200 d256 | - | unplug -dimm0(256):asked",
    "-dimm0(256) => 1024/1024 | -"},
  {"virtio-mem", "running: 1024 max=4096/16 g=512 v1024:256/400:2 | - | set=1280 virtiomem0(512>256):overdue",
    "virtiomem0(512>256) => 1280/512 | -"},
  {"virtio-mem-not-taken", "running: 1024 max=4096/16 g=512 v1024:256/100:2 | - | plug +virtiomem0(256):overdue",
    "virtiomem0(0>256) => 1280/512 | -"},
  {"gone-meanwhile", "running: 1024 max=4096/16 g=512 d256 | - | set=1024 -dimm0(256):overdue -dimm7(128):overdue",
    "-dimm0(256) => 1024/512 | -"},
  {"refused-and-done", "running: 1024 max=4096/16 d256 d128 | - | set=1024 -dimm0(256):refused -dimm9(128):removed",
    "nothing => 1408/1408 | -"},
};

static void test_settle(gconstpointer data) {
  const typeof(settle_cases[0]) *c = data;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  g_autofree char *text = plan_text_take(settle_plan(vm, 0), NULL);
  g_assert_cmpstr(text, ==, c->expected);
}

/* A request that goes on stays what it was, and asks for its own devices only; another one is left alone. */
static void test_goes_on(void) {
  g_autoptr(DmVm) vm = vm_from(
    "running: 1024 max=4096/16 g=512 d256 d128 v1024:256/100:2 | - | "
    "set=1024 -dimm0(256):asked -dimm1(128):overdue +virtiomem0(256):asked");
  DmStep *carried = vm->request->steps->pdata[1];
  carried->origin = g_new0(DmOrigin, 1);
  DmWish wish = {.action = DM_ACTION_SETTLE, .settle = {.goes_on = vm->request->id}};
  g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
  g_assert_cmpint(plan->action, ==, DM_ACTION_SET);
  g_assert_cmpuint(plan->memory, ==, 1024 * DM_MIB);
  g_autofree char *text = plan_text_take(g_steal_pointer(&plan), NULL);
  g_assert_true(g_str_has_prefix(text, "-dimm0(256) =>"));
  wish.settle.account_only = TRUE;
  g_autoptr(DmPlan) nothing = dm_plan(vm, &wish, NULL);
  g_assert_cmpint(nothing->action, ==, DM_ACTION_SET);
  g_assert_cmpuint(nothing->steps->len, ==, 0);
  wish.settle = (typeof(wish.settle)){.goes_on = (char *)"another"};
  g_autoptr(DmPlan) other = dm_plan(vm, &wish, NULL);
  g_assert_cmpint(other->action, ==, DM_ACTION_SETTLE);
  g_assert_cmpuint(other->steps->len, ==, 0);
}

static void add(const char *group, const char *name, gconstpointer data, GTestDataFunc test) {
  g_autofree char *path = g_strdup_printf("/devices/%s/%s", group, name);
  g_test_add_data_func(path, data, test);
}

/* What cannot be asked again says so in a note, and no step is made. */
static void test_settle_nothing(void) {
  static const struct {
    const char *vm;
    gboolean withdrawn, saved;
    DmNoteCode note;
  } table[] = {
    {"running: 1024 max=4096/16 d256 | - | unplug -dimm0(256):asked", TRUE, FALSE, DM_NOTE_WITHDRAWN},
    {"shut-off: - | 1024", FALSE, TRUE, DM_NOTE_SAVED_REQUEST},
    {"running: 1024 | -", FALSE, FALSE, DM_NOTE_NOTHING_OPEN},
    {"paused: 1024 max=4096/16 d256 | - | unplug -dimm0(256):asked", FALSE, FALSE, DM_NOTE_CANNOT_ANSWER},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autoptr(DmVm) vm = vm_from(table[i].vm);
    vm->saved_request = table[i].saved;
    if (vm->request != NULL)
      ((DmStep *)vm->request->steps->pdata[0])->withdrawn = table[i].withdrawn;
    g_autoptr(DmPlan) plan = settle_plan(vm, 0);
    g_assert_cmpuint(plan->steps->len, ==, 0);
    g_assert_cmpuint(plan->notes->len, ==, 1);
    g_assert_cmpint(((const DmNote *)plan->notes->pdata[0])->code, ==, table[i].note);
  }
}

/* As the account would leave it: its device is not known for sure, and the rest is less than what must go. */
static void test_settle_next_run_stays(void) {
  g_autoptr(DmVm) vm =
    vm_from("running: 128 max=4096/16 dimm1=d256#1~x | 128 max=4096/16 d256#0~x | unplug -dimm1(256):overdue");
  g_autoptr(DmPlan) plan = settle_plan(vm, 0);
  g_assert_cmpuint(plan->steps->len, ==, 1);
  g_assert_null(plan->next_run_config);
  guint found = 0;
  for (guint i = 0; i < plan->notes->len; i++)
    found += ((const DmNote *)plan->notes->pdata[i])->code == DM_NOTE_NEXT_RUN_STAYS;
  g_assert_cmpuint(found, ==, 1);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(unplug_cases); i++)
    add("unplug", unplug_cases[i].name, &unplug_cases[i], test_unplug);
  for (gsize i = 0; i < G_N_ELEMENTS(plug_cases); i++)
    add("plug", plug_cases[i].name, &plug_cases[i], test_plug);
  for (gsize i = 0; i < G_N_ELEMENTS(enable_cases); i++)
    add("enable", enable_cases[i].name, &enable_cases[i], test_enable);
  for (gsize i = 0; i < G_N_ELEMENTS(settle_cases); i++)
    add("settle", settle_cases[i].name, &settle_cases[i], test_settle);
  g_test_add_func("/devices/goes-on", test_goes_on);
  g_test_add_func("/devices/unplug-by-id", test_unplug_by_id);
  g_test_add_func("/devices/no-such-node", test_no_such_node);
  g_test_add_func("/devices/huge-pages-words", test_huge_pages_words);
  g_test_add_func("/devices/pinned", test_pinned);
  g_test_add_func("/devices/plug-alias", test_plug_alias);
  g_test_add_func("/devices/settle-nothing", test_settle_nothing);
  g_test_add_func("/devices/settle/next-run-stays", test_settle_next_run_stays);
  return g_test_run();
}
