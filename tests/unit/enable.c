/* SPDX-License-Identifier: Apache-2.0 */
/* A VM that is set up to shrink: which floor each node gets, of which kind what is above it is, and what is refused. */
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "guest_notation.h"
#include "notation.h"

typedef enum {
  HAS_BALLOON = 1 << 0,
  HAS_VFIO = 1 << 1,
  HAS_LOCKED = 1 << 2,
  HAS_VHOST_USER = 1 << 3,
} Has;

typedef struct {
  const char *name, *vm;
  const char *wish; /* "4096 floor=1024 kind=dimm slots=4 node=0:512", sizes in MiB */
  const char *expected;
  const char *guest; /* see guest_notation.h; NULL: no report */
  Has has;
  DmPlanFlags flags;
  const char *says; /* part of a note, or of the error and its command; NULL: anything */
} Case;

static const Case cases[] = {
  {"virtio-mem", "shut-off: - | 2048", "4096 floor=1024",
    "nothing => 2048/2048 | 1024 max=4096/16 floor=1024 v3072:1024:2"},
  {"dimms", "shut-off: - | 2048", "4096 floor=1024 kind=dimm",
    "nothing => 2048/2048 | 1024 max=4096/32 floor=1024/dimm d128 d256 d512 d128"},
  {"vfio-pins-virtio-mem", "shut-off: - | 2048", "4096 floor=1024",
    "nothing => 2048/2048 | 1024 max=4096/32 floor=1024/dimm d128 d256 d512 d128", .has = HAS_VFIO},
  {"locked-takes-dimms", "shut-off: - | 2048", "4096 floor=1024",
    "nothing => 2048/2048 | 1024 max=4096/32 floor=1024/dimm d128 d256 d512 d128", .has = HAS_LOCKED},
  {"locked-takes-no-virtio-mem", "shut-off: - | 2048", "4096 floor=1024 kind=virtio-mem", "error not-enabled",
    .has = HAS_LOCKED, .flags = DM_PLAN_FORCE, .says = "locked"},
  {"vhost-user-and-dimms", "shut-off: - | 2048", "4096 floor=1024 kind=dimm", "error not-enabled",
    .has = HAS_VHOST_USER, .says = "vhost-user"},
  {"windows-by-force", "running: 2048 | 2048", "4096 floor=1024",
    "nothing => 2048/2048 | 1024 max=4096/16 floor=1024 v3072:1024:2", "agent windows", .flags = DM_PLAN_FORCE},
  {"windows", "running: 2048 | 2048", "4096 floor=1024", "error not-enabled", "agent windows"},
  {"windows-virtio-mem", "running: 2048 | 2048", "4096 floor=1024 kind=virtio-mem", "error not-enabled",
    "agent windows"},
  {"no-driver", "running: 2048 | 2048", "4096 floor=1024 kind=virtio-mem", "error not-enabled", "agent kernel=5.4",
    .says = "dimm"},
  {"balloon", "shut-off: - | 2048", "4096 floor=1024",
    "nothing => 2048/2048 | 1024 max=4096/16 floor=1024 v3072:1024:2", .has = HAS_BALLOON},
  /* Above the floor the balloon could hold nothing: so it is not to be inflated, and the definition says so. */
  {"ballooned-at-its-start", "shut-off: - | 2048 balloon=1200", "4096 floor=1024",
    "nothing => 2048/2048 | 1024 max=4096/16 floor=1024 balloon=4096 v3072:1024:2", .has = HAS_BALLOON,
    .says = "currentMemory is set"},
  {"ballooned-below-the-floor", "shut-off: - | 2048 balloon=700", "4096 floor=1024",
    "nothing => 2048/2048 | 1024 max=4096/16 floor=1024 balloon=4096 v3072:1024:2", .has = HAS_BALLOON,
    .says = "currentMemory is set"},
  {"slots-for-dimms", "shut-off: - | 2048 max=4096/4", "4096 floor=1024 kind=dimm",
    "nothing => 2048/2048 | 1024 max=4096/32 floor=1024/dimm d128 d256 d512 d128"},
  {"slots-asked-for", "shut-off: - | 2048", "4096 floor=1024 slots=1",
    "nothing => 2048/2048 | 1024 max=4096/1 floor=1024 v3072:1024:2"},
  {"too-few-slots", "shut-off: - | 1024+1024", "4096 floor=1024 slots=1", "error no-free-slot", .says = "2 or more"},
  {"slotless", "shut-off: - | 1024+1024 slotless", "4096 floor=1024 slots=1",
    "nothing => 2048/2048 | 512+512 max=4096/1 floor=512+512 v1536:512:2 v1536:512:2@1"},
  {"equal-shares", "shut-off: - | 1024+1024", "4096 floor=1024",
    "nothing => 2048/2048 | 512+512 max=4096/16 floor=512+512 v1536:512:2 v1536:512:2@1"},
  {"shares-by-size", "shut-off: - | 3072+1024", "8192 floor=1024",
    "nothing => 4096/4096 | 768+256 max=8192/16 floor=768+256 v5376:2304:2 v1792:768:2@1"},
  {"one-node-named", "shut-off: - | 1024+1024", "4096 floor=1024 node=1:768",
    "nothing => 2048/2048 | 256+768 max=4096/16 floor=256+768 v768:256:2 v2304:768:2@1"},
  {"both-named", "shut-off: - | 1024+1024", "4096 floor=1024 node=0:768 node=1:256",
    "nothing => 2048/2048 | 768+256 max=4096/16 floor=768+256 v2304:768:2 v768:256:2@1"},
  {"more-named-than-all", "shut-off: - | 1024+1024", "4096 floor=1024 node=0:768 node=1:768", "error bad-floor"},
  {"less-named-than-all", "shut-off: - | 1024+1024", "4096 floor=1024 node=0:256 node=1:256", "error bad-floor"},
  {"nothing-left-for-a-node", "shut-off: - | 1024+1024", "4096 floor=1024 node=0:1024", "error bad-floor"},
  {"share-of-no-whole-page", "shut-off: - | 1024+1024 page=1024+1024", "8192 floor=1024", "error bad-floor"},
  {"no-such-node", "shut-off: - | 1024+1024", "4096 floor=1024 node=2:512", "error no-such-node", .says = "0 to 1"},
  {"no-such-node-comes-first", "shut-off: - | 1024+1024", "4096 floor=256 node=2:256", "error no-such-node",
    .says = "nodes 0 to 1"},
  {"no-other-node", "shut-off: - | 2048", "4096 floor=1024 node=1:1024", "error no-such-node", .says = "only node 0"},
  {"advice-for-the-rest", "shut-off: - | 1024+1024", "4096 floor=384 node=1:128 kind=dimm slots=9", "error bad-floor",
    .says = "--maximum 4096MiB --slots 9 --floor 512MiB --node 1=128MiB --kind dimm"},
  {"advice-without-nodes", "shut-off: - | 1024+1024", "4096 floor=256 node=0:128 node=1:128 kind=virtio-mem",
    "error bad-floor", .says = "--maximum 4096MiB --floor 512MiB --kind virtio-mem"},
  {"advice-of-more-slots", "shut-off: - | 1024+1024", "4096 floor=1024 slots=1 node=0:256 node=1:768 kind=virtio-mem",
    "error no-free-slot", .says = "--maximum 4096MiB --slots 2 --node 0=256MiB --node 1=768MiB --kind virtio-mem"},
  {"advice-of-a-maximum", "shut-off: - | 1024+1024", "2048 floor=1024 kind=dimm", "error memory-above-maximum",
    .says = "--maximum 2176MiB --floor 1024MiB --kind dimm"},
  {"advice-of-no-floor", "shut-off: - | 2048 max=4096/16 floor=512", "2048 floor=0", "error memory-above-maximum",
    .says = "--maximum 2176MiB --floor 0"},
  {"node-twice", "shut-off: - | 1024+1024", "4096 floor=1024 node=1:512 node=1:256", "error bad-floor"},
  {"node-of-nothing", "shut-off: - | 1024+1024", "4096 floor=1024 node=1:0", "error not-a-multiple"},
  {"node-of-no-whole-page", "shut-off: - | 2048+2048 page=1024+1024", "8192 floor=1024 node=1:512",
    "error not-a-multiple"},
  {"all-of-it", "shut-off: - | 2048", "4096 floor=2048",
    "nothing => 2048/2048 | 2048 max=4096/16 floor=2048 v2048:0:2"},
  {"above-memory", "shut-off: - | 2048", "4096 floor=2049", "error bad-floor"},
  {"less-than-a-dimm-is-boot-memory", "shut-off: - | 512 max=4096/16 floor=512/dimm ua-a=d256 ua-b=d256",
    "4096 floor=700", "nothing => 1024/1024 | 768 max=4096/32 floor=700/dimm ua-b=d256",
    .says = "from its next start on web1 has 768 MiB of boot memory, and 256 MiB of DIMMs"},
  {"devices-of-others-are-told-too", "shut-off: - | 512 max=4096/16 v512:512:2", "4096 floor=512 kind=dimm",
    "nothing => 1024/1024 | 512 max=4096/32 floor=512/dimm v512:512:2", .says = "512 MiB of virtio-mem and DIMMs"},
  {"too-low-to-start", "shut-off: - | 1024", "4096 floor=511", "error bad-floor", .says = "512 MiB"},
  {"too-low-for-its-memory", "shut-off: - | 8192", "16384 floor=2047", "error bad-floor", .says = "2048 MiB"},
  {"too-low-for-its-maximum", "shut-off: - | 4096", "65536 floor=2047", "error bad-floor", .says = "2048 MiB"},
  {"no-floor-is-enough", "shut-off: - | 256", "4096 floor=128", "error bad-floor", .says = "512 MiB"},
  {"no-floor-is-enough-for-its-maximum", "shut-off: - | 1024", "2097152 floor=512 kind=dimm", "error bad-floor",
    .says = "a maximum of at most 16384 MiB"},
  {"a-maximum-is-advised", "shut-off: - | 1024", "2097152 floor=512 kind=dimm", "error bad-floor",
    .says = "--maximum 16384MiB --floor 512MiB --kind dimm"},
  {"no-floor-is-enough-for-any", "shut-off: - | 4096", "2097152 floor=512", "error bad-floor", .says = "65536 MiB"},
  {"too-low-by-force", "shut-off: - | 1024", "4096 floor=256",
    "nothing => 1024/1024 | 256 max=4096/16 floor=256 v3840:768:2", .flags = DM_PLAN_FORCE},
  {"another-floor", "shut-off: - | 2048 max=4096/16 floor=512", "4096 floor=1024",
    "nothing => 2048/2048 | 1024 max=4096/16 floor=1024 v3072:1024:2"},
  {"none-any-more", "shut-off: - | 2048 max=4096/16 floor=512", "4096 floor=0",
    "nothing => 2048/2048 | 2048 max=4096/16"},
  {"driver-unknown", "shut-off: - | 2048", "4096 floor=1024",
    "nothing => 2048/2048 | 1024 max=4096/16 floor=1024 v3072:1024:2", .says = "virtio_mem"},
  {"kernel-zone", "running: 2048 | 2048", "4096 floor=1024 kind=dimm",
    "nothing => 2048/2048 | 1024 max=4096/32 floor=1024/dimm d128 d256 d512 d128",
    "agent kernel=6.1 policy=online no-onlines no-udev-rule", .says = "online"},
  {"kind-stays", "running: 1024 max=4096/16 floor=1024/dimm d1024 | 1024 max=4096/16 floor=1024/dimm ua-a=d1024",
    "8192 floor=1024", "nothing => 2048/2048 | 1024 max=8192/32 floor=1024/dimm ua-a=d1024"},
  {"another-kind", "shut-off: - | 1024 max=4096/16 floor=1024 ua-a=v3072:1024:2 v512:128:2@0",
    "4096 floor=1024 kind=dimm",
    "nothing => 2176/2176 | 1024 max=4096/32 floor=1024/dimm v512:128:2 d128 d256 d512 d128"},
  {"none-and-a-node", "shut-off: - | 2048", "4096 floor=0 node=0:1024", "error size-zero"},
  {"none-ever", "shut-off: - | 1024 max=4096/16 d512", "4096 floor=0", "nothing => 1536/1536 | 1024 max=4096/16 d512"},
  {"none-any-more-of-dimms", "shut-off: - | 1024 max=4096/16 floor=512/dimm ua-a=d512", "4096 floor=0",
    "nothing => 1536/1536 | 1536 max=4096/16"},
};

static DmEnableWish enable_from(const char *text) {
  DmEnableWish wish = {.maximum = g_ascii_strtoull(text, NULL, 10) * DM_MIB};
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  for (gsize i = 1; words[i] != NULL; i++) {
    const char *value = strchr(words[i], '=') + 1;
    uint64_t number = g_ascii_strtoull(value, NULL, 10);
    if (g_str_has_prefix(words[i], "floor=")) {
      wish.has_floor = TRUE;
      wish.floor = number * DM_MIB;
    } else if (g_str_has_prefix(words[i], "kind=")) {
      wish.has_kind = TRUE;
      wish.kind = g_str_equal(value, "dimm") ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM;
    } else if (g_str_has_prefix(words[i], "slots=")) {
      wish.slots = (guint)number;
    } else {
      DmNodeFloor node = {(guint)number, g_ascii_strtoull(strchr(value, ':') + 1, NULL, 10) * DM_MIB};
      if (wish.nodes == NULL)
        wish.nodes = g_array_new(FALSE, FALSE, sizeof(DmNodeFloor));
      g_array_append_val(wish.nodes, node);
    }
  }
  return wish;
}

/* All that is said besides: the notes, or the error and the command that helps. */
static char *words_of(const DmPlan *plan, const GError *error) {
  GString *text = g_string_new(NULL);
  if (error != NULL)
    g_string_append_printf(text, "%s; %s", error->message, dm_error_get_command(error));
  for (guint i = 0; plan != NULL && i < plan->notes->len; i++)
    g_string_append_printf(text, "%s; ", ((const DmNote *)plan->notes->pdata[i])->text);
  return g_string_free(text, FALSE);
}

static void test_floor(gconstpointer data) {
  const Case *c = data;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  vm->balloon = (c->has & HAS_BALLOON) != 0;
  vm->vfio = (c->has & HAS_VFIO) != 0;
  vm->locked = (c->has & HAS_LOCKED) != 0;
  vm->vhost_user = (c->has & HAS_VHOST_USER) != 0;
  if (c->guest != NULL)
    dm_vm_take_guest(vm, guest_from(c->guest));
  g_auto(DmWish) wish = {.action = DM_ACTION_ENABLE, .flags = c->flags, .enable = enable_from(c->wish)};
  GError *error = NULL;
  DmPlan *plan = dm_plan(vm, &wish, &error);
  g_autofree char *words = words_of(plan, error);
  if (plan != NULL) {
    g_assert_cmpint(plan->next_run_config->free_page_reporting, ==, vm->balloon);
    g_assert_cmpint(plan->next_run_config->autodeflate, ==, vm->balloon);
  }
  g_autofree char *text = plan_text_take(plan, error);
  g_assert_cmpstr(text, ==, c->expected);
  if (c->says != NULL)
    g_assert_nonnull(strstr(words, c->says));
}

/* What the balloon may do is said, as no size shows it; but not that all stays as it was. */
static void test_balloon_use(void) {
  static const char *const uses[] = {"ask", "never", "allow"};
  g_autofree char *before = NULL;
  for (gsize now = 0; now < G_N_ELEMENTS(uses); now++) {
    for (gsize wanted = 0; wanted < G_N_ELEMENTS(uses); wanted++) {
      g_autofree char *text = g_strdup_printf("running: ~1024 use=%s | ~1024 use=%s", uses[now], uses[now]);
      g_autoptr(DmVm) vm = vm_from(text);
      DmWish wish = {.action = DM_ACTION_ENABLE, .enable.has_balloon = TRUE};
      g_assert_true(dm_balloon_use_from_name(uses[wanted], &wish.enable.balloon));
      g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
      g_assert_cmpuint(plan->notes->len, ==, now != wanted);
      if (now == wanted)
        continue;
      const DmNote *note = plan->notes->pdata[0];
      g_assert_cmpstr(dm_note_name(note), ==, "balloon-use");
      g_assert_cmpstr(note->text, !=, before);
      g_free(before);
      before = g_strdup(note->text);
    }
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/enable/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_floor);
  }
  g_test_add_func("/enable/balloon-use", test_balloon_use);
  return g_test_run();
}
