/* SPDX-License-Identifier: Apache-2.0 */
/* One NUMA node alone gives or takes memory; and what a guest can spare, node by node. */
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "guest_notation.h"
#include "plan/next_run.h"
#include "set_table.h"

#define TWO "running: 512+512 max=4096/16 d128 d256@1 | 640+768 max=4096/16"

static const SetCase cases[] = {
  {"lower-there", TWO, "memory=1152 node=1", "-dimm1(256) => 1152/1152 | 640+512 max=4096/16"},
  {"lower-the-other", TWO, "memory=1280 node=0", "-dimm0(128) => 1280/1280 | 512+768 max=4096/16"},
  {"no-more-than-it-has", TWO, "memory=1024 node=1", "-dimm1(256) => 1152/1152 | 640+384 max=4096/16"},
  {"nothing-fits", TWO, "memory=1200 node=1", "nothing => 1408/1408 | 640+560 max=4096/16"},
  {"any-node", TWO, "memory=1024", "-dimm1(256) -dimm0(128) => 1024/1024 | 512+512 max=4096/16"},
  {"the-next-run-cannot", "running: 512+512 max=4096/16 d256@1 | 512+64 max=4096/16 v1024:704:2", "memory=1024 node=1",
    "error size-zero"},
  {"only-the-next-run", TWO, "memory=1000 node=1 next-run", "nothing => 1408/1408 | 640+360 max=4096/16"},
  {"raise-there", TWO, "memory=1536 node=1", "+d128@1 => 1536/1536 | 640+896 max=4096/16"},
  {"grow-there", "running: 512+512 max=4096/16 v512:0/0:2 v512:0/0:2@1 | 512+512 max=4096/16", "memory=1100 node=1",
    "virtiomem1(0>76) => 1100/1100 | 512+588 max=4096/16"},
  {"huge-pages-of-the-node", "running: 1024+1024 max=8192/16 page=1024+2 | 1024+1024 max=8192/16 page=1024+2",
    "memory=2176 node=1", "+d128@1 => 2176/2176 | 1024+1152 max=8192/16 page=1024+2"},
  {"huge-pages-of-the-other", "running: 1024+1024 max=8192/16 page=1024+2 | 1024+1024 max=8192/16 page=1024+2",
    "memory=2176 node=0", "error not-a-multiple"},
  {"huge-pages-none-named", "running: 1024+1024 max=8192/16 page=1024+2 | 1024+1024 max=8192/16 page=1024+2",
    "memory=2176", "+d128@1 => 2176/2176 | 1024+1152 max=8192/16 page=1024+2"},
  {"huge-pages-none-named-whole", "running: 1024+1024 max=8192/16 page=1024+2 | 1024+1024 max=8192/16 page=1024+2",
    "memory=3072", "+d1024@0 => 3072/3072 | 2048+1024 max=8192/16 page=1024+2"},
  {"huge-pages-nowhere", "running: 1024+1024 max=8192/16 page=1024+1024 | 1024+1024 max=8192/16 page=1024+1024",
    "memory=2176", "error not-a-multiple"},
  {"huge-pages-the-third",
    "running: 1024+1024+512 max=8192/16 page=1024+1024+2 | 1024+1024+512 max=8192/16 "
    "page=1024+1024+2",
    "memory=2816", "+d128@2 +d128@2 => 2816/2816 | 1024+1024+768 max=8192/16 page=1024+1024+2"},
  {"huge-pages-beside-virtio-mem",
    "running: 1024+1024 max=8192/16 page=1024+2 v1024:0/0:2@1 | 1024+1024 max=8192/16 "
    "page=1024+2",
    "memory=3200", "virtiomem0(0>128) +d1024@0 => 3200/3200 | 2048+1152 max=8192/16 page=1024+2"},
  {"no-such-node", TWO, "memory=1152 node=2", "error no-such-node"},
  {"not-at-the-next-start", "running: 512+512 max=4096/16 d256@1 | 1280 max=4096/16", "memory=1024 node=1",
    "error no-such-node"},
  {"shut-off", "shut-off: - | 640+768 max=4096/16", "memory=1152 node=0", "nothing => 1152/1152 | 384+768 max=4096/16"},
  {"floor", "shut-off: - | 512+512 max=4096/16 floor=512+512 v1536:256:2 v1536:256:2@1", "memory=1408 node=1",
    "nothing => 1408/1408 | 512+512 max=4096/16 floor=512+512 v1536:256:2 v1536:128:2@1"},
  {"floor-up", "shut-off: - | 512+512 max=4096/16 floor=512+512 v1536:256:2 v1536:256:2@1", "memory=1664 node=0",
    "nothing => 1664/1664 | 512+512 max=4096/16 floor=512+512 v1536:384:2 v1536:256:2@1"},
  {"huge-pages-shut-off", "shut-off: - | 1024+1024 max=8192/16 page=1024+2", "memory=2176 node=0",
    "error not-a-multiple"},
  {"huge-pages-less", "shut-off: - | 2048+1024 max=8192/16 page=1024+2", "memory=2944 node=0", "error not-a-multiple"},
  {"huge-pages-whole", "shut-off: - | 1024+1024 max=8192/16 page=1024+2", "memory=3072 node=0",
    "nothing => 3072/3072 | 2048+1024 max=8192/16 page=1024+2"},
  {"huge-pages-next-run", "running: 1024+1024 max=8192/16 | 1024+1024 max=8192/16 page=1024+2",
    "memory=2176 node=0 next-run", "error not-a-multiple"},
  {"dimm-is-traded", "shut-off: - | 512+64 max=4096/16 d512@1 d128", "memory=960 node=1",
    "nothing => 960/960 | 512+320 max=4096/16 d128"},
  {"floor-beyond", "shut-off: - | 512+512 max=4096/16 floor=512+512 v1536:256:2 v1536:128:2@1", "memory=1152 node=1",
    "error size-zero"},
  {"floor-to-it", "shut-off: - | 512+512 max=4096/16 floor=512+512 v1536:256:2 v1536:128:2@1", "memory=1280 node=1",
    "nothing => 1280/1280 | 512+512 max=4096/16 floor=512+512 v1536:256:2 v1536:0:2@1"},
  {"floor-no-room", "shut-off: - | 512+512 max=4096/16 floor=512+512 v1536:256:2 v1536:128:2@1", "memory=3408 node=1",
    "error memory-above-maximum"},
  {"floor-odd", "shut-off: - | 512+512 max=4096/16 floor=512+512 v1536:256:2 v1536:128:2@1", "memory=1411 node=1",
    "nothing => 1411/1411 | 512+513 max=4096/16 floor=512+512 v1408:256:2 v1408:130:2@1"},
  {"floor-odd-of-the-other", "shut-off: - | 513+512 max=4096/16 floor=512+512 v1408:256:2 v1408:128:2@1",
    "memory=1411 node=1", "nothing => 1411/1411 | 513+512 max=4096/16 floor=512+512 v1408:256:2 v1408:130:2@1"},
  {"floor-of-dimms-up", "shut-off: - | 512+512 max=4096/16 floor=512+512/dimm d128 d128@1 d256@1", "memory=1664 node=1",
    "nothing => 1664/1664 | 512+512 max=4096/16 floor=512+512/dimm d128 d128@1 d256@1 d128@1"},
  {"floor-dimm-is-split", "shut-off: - | 512+512 max=4096/16 floor=512+512/dimm d128 d256@1", "memory=1280 node=1",
    "nothing => 1280/1280 | 512+512 max=4096/16 floor=512+512/dimm d128 d128@1"},
  {"floor-live-beyond",
    "running: 512+512 max=4096/16 d128 d256@1 | 512+512 max=4096/16 floor=512+512 v1536:256:2 "
    "v1536:128:2@1",
    "memory=1152 node=1", "error size-zero"},
  {"floor-of-dimms", "shut-off: - | 512+512 max=4096/16 floor=512+512/dimm d128 d128@1 d256@1", "memory=1280 node=1",
    "nothing => 1280/1280 | 512+512 max=4096/16 floor=512+512/dimm d128 d128@1"},
};

/* dimm0 is on node 0 at 4096, dimm1 on node 1 behind it. */
static const struct {
  const char *name, *guest, *wish, *expected, *says;
  const char *vm; /* NULL: TWO */
} spares[] = {
  {"room", "agent avail=1300 total=1408 node0=640/500/500 node1=768/512/700", "memory=1152 node=1", "-dimm1(256)",
    "!may refuse"},
  {"none", "agent avail=1000 total=1408 node0=640/100/200 node1=768/0/768", "memory=1152 node=1",
    "error guest-needs-memory", "move 256 MiB or more from node 1"},
  {"free-there", "agent avail=1000 total=1408 node0=640/100/200 node1=768/56/768", "memory=1152 node=1", "-dimm1(256)",
    "may refuse to release memory of node 1: up to 256 MiB"},
  {"forced", "agent avail=1000 total=1408 node0=640/100/200 node1=768/0/768", "memory=1152 node=1 force", "-dimm1(256)",
    "on nodes other than 1 only 200 MiB available"},
  /* What goes of the other node is no room. */
  {"both", "agent avail=1300 total=1408 node0=640/0/300 node1=768/0/768", "memory=1024", "-dimm0(128)",
    "DIMMs there are left alone"},
  {"both-forced", "agent avail=1300 total=1408 node0=640/0/300 node1=768/0/768", "memory=1024 force",
    "-dimm1(256) -dimm0(128)", "!left alone"},
  {"both-tight", "agent avail=1300 total=1408 node0=640/0/20 node1=768/0/20", "memory=1024", "error guest-needs-memory",
    "stop programs in the guest first"},
  {"less", "agent avail=1300 total=1408 node0=640/0/200 node1=768/0/768", "memory=1152 node=1", "-dimm1(128)",
    "DIMMs there are left alone", "running: 512+512 max=4096/16 d256@1 d128@1 d128 | -"},
  {"one-node", "agent avail=1300 total=1408 node0=1408/0/1300", "memory=1152 node=1", "-dimm1(256)", NULL},
  /* What is in use of a virtio-mem device may stay on its node. */
  {"virtio-mem", "agent avail=1300 total=1408 node0=640/0/0 node1=768/0/700", "memory=1152 node=1", "virtiomem0(256>0)",
    "!may refuse", "running: 512+512 max=4096/16 d128 v1024:256/256:2@1 | -"},
  {"room-less-virtio-mem", "agent avail=1300 total=1664 node0=896/0/400 node1=768/0/768", "memory=1152",
    "-dimm1(128) virtiomem0(256>0)", "move from node 1",
    "running: 512+512 max=4096/16 v1024:256/256:2 d256@1 d128@1 | -"},
  {"unplug", "agent avail=1300 total=1536 node0=640/0/200 node1=896/0/768", "unplug dimm0", "error guest-needs-memory",
    "set memory to 1408 MiB or more", "running: 512+512 max=4096/16 d256@1 d128@1 d128 | -"},
  {"not-which", "agent avail=1000 total=1408 node0=640/100/200 node1=768/0/768", "memory=1152 node=1", "-dimm1(256)",
    "!may refuse", "running: 512+512 max=4096/16 renumbers d128 d256@1 | -"},
  {"earlier-there", "agent avail=1300 total=1664 node0=640/0/300 node1=1024/0/1000", "unplug dimm1",
    "error guest-needs-memory", "move 384 MiB or more from node 1",
    "running: 512+512 max=4096/16 d256@1 d128@1 d256 | - | unplug -dimm0(256):overdue"},
  {"earlier-elsewhere", "agent avail=1300 total=1664 node0=896/0/300 node1=768/0/768", "unplug dimm1",
    "error guest-needs-memory", "have 44 MiB available",
    "running: 512+512 max=4096/16 d256 d128@1 d256@1 | - | unplug -dimm0(256):overdue"},
  {"not-reported", "agent avail=1300 total=1408", "memory=1152 node=1", "-dimm1(256)", NULL},
};

static void test_spare(gconstpointer data) {
  const typeof(spares[0]) *c = data;
  g_autoptr(DmVm) vm = vm_from(c->vm != NULL ? c->vm : TWO);
  dm_vm_take_guest(vm, guest_from(c->guest));
  GError *error = NULL;
  const char *const devices[] = {g_str_has_prefix(c->wish, "unplug ") ? c->wish + 7 : NULL, NULL};
  DmWish wish = wish_from(devices[0] == NULL ? c->wish : "live");
  DmPlan *plan = devices[0] != NULL ? unplug_plan(vm, devices, 0, &error) : dm_plan(vm, &wish, &error);
  g_autoptr(GString) said = g_string_new(error != NULL ? error->message : NULL);
  for (guint i = 0; plan != NULL && i < plan->notes->len; i++)
    g_string_append_printf(said, "%s\n", ((const DmNote *)plan->notes->pdata[i])->text);
  g_autofree char *text = text_or_error_take(plan != NULL ? steps_text(plan->steps) : NULL, error);
  g_assert_cmpstr(text, ==, c->expected);
  gboolean not = c->says != NULL && *c->says == '!';
  if (c->says != NULL && (strstr(said->str, c->says + not ) == NULL) != not )
    g_error("'%s' is %s in '%s'", c->says, not ? "" : "not", said->str);
  dm_plan_free(plan);
}

/* What the guest would not take is boot memory of that node, too. */
static void test_no_driver(void) {
  const DmValues values = {.memory = 1280 * DM_MIB, .one_node = 2, .no_virtio_mem = TRUE};
  g_autoptr(DmConfig) before = config_from("512+512 max=4096/16 v1024:0:2@1", FALSE);
  g_autoptr(DmConfig) next = dm_plan_next_run(before, &values, NULL, "web1", NULL);
  g_autofree char *text = config_text(next);
  g_assert_cmpstr(text, ==, "512+768 max=4096/16 v1024:0:2@1");
}

/* dm_plan_again() as text. The caller frees. */
static char *again_text(const DmVm *vm) {
  g_autoptr(GPtrArray) steps = dm_plan_again(vm, vm->request);
  char *text = steps_text(steps);
  for (guint i = 0; i < steps->len; i++)
    dm_step_free(steps->pdata[i]);
  return text;
}

/* After a refusal no node is asked for more than finds room elsewhere. */
static void test_again(void) {
  static const char asked[] = "running: 512+512 max=4096/16 d128 d256@1 | - | set=1024 -dimm0(128):refused";
  g_autoptr(DmVm) vm = vm_from(asked);
  g_autofree char *text = again_text(vm);
  g_assert_cmpstr(text, ==, "-dimm1(256)");
  dm_vm_take_guest(vm, guest_from("agent avail=1300 total=1408 node0=640/100/200 node1=768/0/768"));
  g_autofree char *tight = again_text(vm);
  g_assert_cmpstr(tight, ==, "nothing");
  dm_vm_take_guest(vm, NULL);
  vm->request->one_node = 1;
  g_autofree char *other = again_text(vm);
  g_assert_cmpstr(other, ==, "nothing");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  set_table_add("node", cases, G_N_ELEMENTS(cases));
  for (gsize i = 0; i < G_N_ELEMENTS(spares); i++) {
    g_autofree char *path = g_strconcat("/set/node-spare/", spares[i].name, NULL);
    g_test_add_data_func(path, &spares[i], test_spare);
  }
  g_test_add_func("/set/node-no-driver", test_no_driver);
  g_test_add_func("/set/node-again", test_again);
  return g_test_run();
}
