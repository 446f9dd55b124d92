/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has become of a request. Each case is the VM as it is now, with the request as it was recorded: a step's "from"
 * is what its device counted for when it was last accounted for.
 */
#include "plan/account.h"

#include "base/size.h"
#include "notation.h"

typedef struct {
  const char *name, *vm;
  const char *expected; /* "STEPS => DIFFERENCES [g=GUARANTEED]| NEXT RUN", the last as it becomes, "=" if it stays */
} Case;

static const Case cases[] = {
  /* The specification: the next run follows where its memory equalled the live memory before. */
  {"unplug/follows", "running: 1024 max=4096/16 | 1280 max=4096/16 | unplug -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) | 1024 max=4096/16"},
  {"unplug/next-run-differs", "running: 1024 max=4096/16 | 1281 max=4096/16 | unplug -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) | ="},
  {"unplug/transient", "running: 1024 max=4096/16 | - | unplug -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) | ="},
  {"unplug/one-of-two",
    "running: 1024 max=4096/16 d256 | 1408 max=4096/16 | unplug -dimm0(256):asked -dimm1(128):asked",
    "-dimm0(256):asked -dimm1(0):removed => dimm1(128>0) | 1280 max=4096/16"},
  {"unplug/refused", "running: 1024 max=4096/16 d256 | 1280 max=4096/16 | unplug -dimm0(256):refused",
    "-dimm0(256):refused => nothing | ="},
  {"unplug/overdue", "running: 1024 max=4096/16 d256 | 1280 max=4096/16 | unplug -dimm0(256):overdue",
    "-dimm0(256):overdue => nothing | ="},
  {"unplug/overdue-and-gone", "running: 1024 max=4096/16 | 1280 max=4096/16 | unplug -dimm0(256):overdue",
    "-dimm0(0):removed => dimm0(256>0) | 1024 max=4096/16"},
  {"unplug/refused-and-gone", "running: 1024 max=4096/16 | 1280 max=4096/16 | unplug -dimm0(256):refused",
    "-dimm0(0):removed => dimm0(256>0) | 1024 max=4096/16"},
  {"unplug/planned-and-there", "running: 1024 max=4096/16 d256 | 1280 max=4096/16 | unplug -dimm0(256):planned",
    "-dimm0(256) => nothing | ="},
  {"unplug/planned-and-gone", "running: 1024 max=4096/16 | 1280 max=4096/16 | unplug -dimm0(256):planned",
    "-dimm0(0):removed => dimm0(256>0) | 1024 max=4096/16"},
  {"unplug/accounted-for-already", "running: 1024 max=4096/16 | 1024 max=4096/16 | unplug -dimm0(0):removed",
    "-dimm0(0):removed => nothing | ="},
  {"unplug/interrupted-after-the-next-run", "running: 1024 max=4096/16 | 1024 max=4096/16 | unplug -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) | ="},
  {"unplug/twin-goes",
    "running: 1024 max=4096/16 | 1024 max=4096/16 d128 d256 | unplug -dimm0(256):asked -dimm1(128):asked",
    "-dimm0(0):removed -dimm1(0):removed => dimm0(256>0) dimm1(128>0) | 1024 max=4096/16"},
  {"unplug/device-that-stays-stays",
    "running: 1024 max=4096/16 ua-a=d256 | 1280 max=4096/16 ua-a=d256 | "
    "unplug -ua-b(256):asked",
    "-ua-b(0):removed => ua-b(256>0) | 1024 max=4096/16 ua-a=d256"},
  {"plug/follows", "running: 1024 max=4096/16 d256 | 1024 max=4096/16 | plug +dimm0(256):asked",
    "+d256@0:added => dimm0(0>256) | 1280 max=4096/16"},
  {"plug/two", "running: 1024 max=4096/16 d128 d384 | 1024 max=4096/16 | plug +dimm0(128):asked +dimm1(384):asked",
    "+d128@0:added +d384@0:added => dimm0(0>128) dimm1(0>384) | 1536 max=4096/16"},
  {"plug/failed", "running: 1024 max=4096/16 | 1024 max=4096/16 | plug +dimm0(256):refused",
    "+d256@0:refused => nothing | ="},
  {"plug/on-its-node", "running: 512+512 max=4096/16 d256@1 | 512+512 max=4096/16 | plug +dimm0(256):asked",
    "+d256@1:added => dimm0(0>256) | 512+768 max=4096/16"},
  {"plug/next-run-differs", "running: 1024 max=4096/16 d256 | 1000 max=4096/16 | plug +dimm0(256):asked",
    "+d256@0:added => dimm0(0>256) | ="},
  {"plug/up-to-maximum", "running: 1024 max=2048/16 d1024 | 1024 max=2048/16 | plug +dimm0(1024):asked",
    "+d1024@0:added => dimm0(0>1024) | 2048 aside=2048/16"},
  /* A virtio-mem device counts what its guest holds, and the next run follows that. */
  {"plug/virtio-mem", "running: 1024 max=4096/16 v1024:256/256:2 | 1024 max=4096/16 | plug +virtiomem0(256):asked",
    "+v1024:256@0:added => virtiomem0(0>256) | 1280 max=4096/16"},
  {"plug/virtio-mem-not-taken",
    "running: 1024 max=4096/16 g=900 v1024:256/0:2 | 1024 max=4096/16 | plug +virtiomem0(256):overdue",
    "+v1024:256@0:overdue => nothing | ="},
  {"plug/virtio-mem-partly",
    "running: 1024 max=4096/16 v1024:256/100:2 | 1024 max=4096/16 | plug +virtiomem0(256):overdue",
    "+v1024:256@0:overdue => virtiomem0(0>100) | 1124 max=4096/16"},
  {"plug/beside-virtio-mem-not-taken",
    "running: 1024 max=4096/16 v1024:256/0:2 d128 | 1024 max=4096/16 | plug +dimm0(128):asked +virtiomem0(256):overdue",
    "+d128@0:added +v1024:256@0:overdue => dimm0(0>128) | 1152 max=4096/16"},
  /* Its guest starts anew, and has not taken up again yet what it had. */
  {"plug/while-the-guest-starts-anew",
    "running: 1024 max=4096/16 g=1200 v1024:256/0:2 d128 | 1280 max=4096/16 | plug +dimm0(128):asked",
    "+d128@0:added => dimm0(0>128) | 1408 max=4096/16"},
  {"unplug/virtio-mem-not-taken",
    "running: 1024 max=4096/16 v1024:0/0:2 | 1024 max=4096/16 | unplug virtiomem0(0>0):asked",
    "virtiomem0(0>0):resized => nothing | ="},
  {"resize/partly", "running: 1024 max=4096/16 v1024:256/400:2 | 1536 max=4096/16 | unplug virtiomem0(512>256):asked",
    "virtiomem0(400>256):asked => virtiomem0(512>400) | 1424 max=4096/16"},
  {"resize/done", "running: 1024 max=4096/16 v1024:256/256:2 | 1424 max=4096/16 | unplug virtiomem0(400>256):overdue",
    "virtiomem0(256>256):resized => virtiomem0(400>256) | 1280 max=4096/16"},
  {"resize/device-is-gone", "running: 1024 max=4096/16 | 1536 max=4096/16 | unplug virtiomem0(512>0):asked",
    "virtiomem0(0>0):resized => virtiomem0(512>0) | 1024 max=4096/16"},
  {"resize/its-twin-shrinks",
    "running: 1024 max=4096/16 d256 v1024:256/256:2 | 1024 max=4096/16 d256 v1024:512:2 | "
    "unplug virtiomem0(512>256):asked",
    "virtiomem0(256>256):resized => virtiomem0(512>256) | 1024 max=4096/16 d256 v1024:256:2"},
  /* For a memory size the next run has the asked values already. */
  {"set/does-not-follow", "running: 1024 max=4096/16 | 1280 max=4096/16 | set=1024 -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) | ="},
  {"settle-of-set/does-not-follow", "running: 1024 max=4096/16 | 1280 max=4096/16 | settle=1024 -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) | ="},
  {"settle-of-unplug/follows", "running: 1024 max=4096/16 | 1280 max=4096/16 | settle -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) | 1024 max=4096/16"},
  /* guaranteed is never above memory. */
  {"guaranteed/falls", "running: 1024 max=4096/16 g=1200 | 1280 max=4096/16 g=1200 | unplug -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) g=1024 | 1024 max=4096/16 g=1024"},
  {"guaranteed/stays", "running: 1024 max=4096/16 g=1000 | 1280 max=4096/16 g=1000 | unplug -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) | 1024 max=4096/16 g=1000"},
  {"guaranteed/of-the-next-run-differs",
    "running: 1024 max=4096/16 g=1200 | 1500 max=4096/16 g=1400 | "
    "unplug -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) g=1024 | ="},
  {"guaranteed/asked", "running: 1024 max=4096/16 g=1200 | 900 max=4096/16 | set=900 g=800 -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) g=800 | ="},
  {"guaranteed/asked-and-there", "running: 1024 max=4096/16 g=800 | 900 max=4096/16 | set=900 g=800 -dimm0(256):asked",
    "-dimm0(0):removed => dimm0(256>0) | ="},
  {"guaranteed/asked-for-more-than-came",
    "running: 1024 max=4096/16 g=900 | 1280 max=4096/16 | "
    "set=1280 g=1280 +dimm0(256):refused",
    "+d256@0:refused => nothing g=1024 | ="},
};

static char *differences_text(const DmAccount *account) {
  GString *text = g_string_new(account->differences->len == 0 ? "nothing" : "");
  for (guint i = 0; i < account->differences->len; i++) {
    const DmStep *difference = account->differences->pdata[i];
    g_string_append_printf(text, "%s%s(%" G_GUINT64_FORMAT ">%" G_GUINT64_FORMAT ")", i > 0 ? " " : "",
      difference->alias, difference->from / DM_MIB, difference->to / DM_MIB);
  }
  if (account->guaranteed != 0)
    g_string_append_printf(text, " g=%" G_GUINT64_FORMAT, account->guaranteed / DM_MIB);
  return g_string_free(text, FALSE);
}

/* Applies the account as the engine does. Returns what the next run becomes, "=" where it stays. */
static char *apply(DmVm *vm, const DmAccount *account) {
  GError *error = NULL;
  if (account->guaranteed != 0)
    vm->live->guaranteed = account->guaranteed;
  if (!account->follows)
    return g_strdup("=");
  DmConfig *next = dm_plan_follow(vm->next_run, account, vm->name, NULL, &error);
  if (next == NULL)
    return text_or_error_take(NULL, error);
  dm_config_free(vm->next_run);
  vm->next_run = next;
  return config_text(next);
}

static void test_case(gconstpointer data) {
  const Case *c = data;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  g_autoptr(DmAccount) account = dm_plan_account(vm, vm->request);
  g_autofree char *steps = steps_text(vm->request->steps);
  g_autofree char *differences = differences_text(account);
  g_autofree char *next = apply(vm, account);
  g_autofree char *text = g_strdup_printf("%s => %s | %s", steps, differences, next);
  g_assert_cmpstr(text, ==, c->expected);
}

/* ---- idempotence ---- */

static char *values_text(const DmVm *vm) {
  g_autofree char *live = config_text(vm->live), *next = config_text(vm->next_run);
  return g_strdup_printf("%s | %s", live, next);
}

static void account_and_apply(DmVm *vm, DmRequest *request) {
  g_autoptr(DmAccount) account = dm_plan_account(vm, request);
  g_autofree char *next = apply(vm, account);
  g_assert_false(g_str_has_prefix(next, "error"));
}

/* Accounts twice; and again after a crash that lost what the first account noted in the request. */
static void check_idempotent(const char *text) {
  g_autoptr(DmVm) vm = vm_from(text);
  g_autoptr(DmRequest) recorded = dm_request_copy(vm->request);
  account_and_apply(vm, vm->request);
  g_autofree char *once = values_text(vm);

  g_autoptr(DmAccount) account = dm_plan_account(vm, vm->request);
  g_assert_cmpuint(account->differences->len, ==, 0);
  g_assert_false(account->follows);
  g_assert_cmpuint(account->guaranteed, ==, 0);

  account_and_apply(vm, recorded);
  g_autofree char *after_crash = values_text(vm);
  g_assert_cmpstr(after_crash, ==, once);
}

static void test_idempotent(void) {
  for (gsize i = 0; i < G_N_ELEMENTS(cases) && !g_test_failed(); i++) {
    g_test_message("%s", cases[i].name);
    check_idempotent(cases[i].vm);
  }
}

static void add_random_step(GRand *rand, GString *live, GString *steps, guint i, uint64_t *before, uint64_t *now) {
  static const char *const states[] = {"planned", "asked", "refused", "overdue"};
  const char *state = states[g_rand_int_range(rand, 0, 4)];
  guint size = 128u << g_rand_int_range(rand, 0, 3), held = size / 4 * (guint)g_rand_int_range(rand, 0, 5);
  gboolean there = g_rand_boolean(rand);
  switch (g_rand_int_range(rand, 0, 3)) {
    case 0:
      g_string_append_printf(steps, " -dev%u(%u):%s", i, size, state);
      *before += size;
      break;
    case 1:
      g_string_append_printf(steps, " +dev%u(%u):%s", i, size, state);
      break;
    default:
      g_string_append_printf(steps, " dev%u(%u>%u):%s", i, size, size / 4, state);
      g_string_append_printf(live, " dev%u=v%u:%u/%u:2", i, size, size / 4, held);
      *before += size;
      *now += held;
      return;
  }
  if (there)
    g_string_append_printf(live, " dev%u=d%u", i, size);
  *now += there ? size : 0;
}

static void test_idempotent_random(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(20250318);
  guint followed = 0;
  for (guint round = 0; round < 5000 && !g_test_failed(); round++) {
    g_autoptr(GString) live = g_string_new("4096 max=65536/32");
    g_autoptr(GString) steps = g_string_new(g_rand_boolean(rand) ? "unplug" : "settle");
    uint64_t before = 4096, now = 4096;
    for (int i = g_rand_int_range(rand, 1, 4); i > 0; i--)
      add_random_step(rand, live, steps, (guint)i, &before, &now);
    if (g_rand_boolean(rand))
      g_string_append_printf(live, " g=%d", g_rand_int_range(rand, 3000, 4500));
    if (now == before) /* see test_swap() */
      continue;
    followed++;
    g_autofree char *text =
      g_strdup_printf("running: %s | %" G_GUINT64_FORMAT " max=65536/32 | %s", live->str, before, steps->str);
    check_idempotent(text);
    if (g_test_failed())
      g_test_message("%s", text);
  }
  g_assert_cmpuint(followed, >, 1000);
}

/*
 * A device came on one node while an overdue one of the same size went on another: memory is what it was, so that it
 * cannot tell whether the next run has followed already. After a crash it must not follow twice.
 */
static void test_swap(void) {
  check_idempotent(
    "running: 512+512 max=4096/16 dev1=d256@1 | 768+512 max=4096/16 | plug +dev1(256):asked -dev2(256):overdue");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/account/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_case);
  }
  g_test_add_func("/account/idempotent", test_idempotent);
  g_test_add_func("/account/idempotent-random", test_idempotent_random);
  g_test_add_func("/account/idempotent-swap", test_swap);
  return g_test_run();
}
