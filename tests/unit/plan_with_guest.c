/* SPDX-License-Identifier: Apache-2.0 */
/* Plans that know the guest's report: what can go, what it can spare, how large its blocks are. */
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "guest_notation.h"
#include "notation.h"

typedef struct {
  const char *name, *vm, *guest; /* NULL: it was not asked */
  const char *refused;           /* an alias, NULL: none */
  const char *wish, *expected;
  const char *words[4]; /* each stands in a note or in the error; "!x": x stands in none */
} Case;

/* 4096: dimm0, 256 MiB; 4352: dimm1, 256 MiB; 4608: dimm2, 128 MiB; 4736: dimm3, 128 MiB. */
#define DIMMS "running: 1024 max=8192/16 d256 d256 d128 d128 | -"

static const Case lower[] = {
  {"not-asked", DIMMS, NULL, NULL, "memory=1536", "-dimm1(256) => 1536/1536 | -", {"!kernel zone"}},
  {"kernel-is-left-out", DIMMS, "agent 4096+256:m 4352+256:k 4608+256:m", NULL, "memory=1536",
    "-dimm0(256) => 1536/1536 | -", {"!left out"}},
  {"not-even-for-a-better-sum", DIMMS, "agent 4096+512:k 4608+128:m 4736+128:k", NULL, "memory=1536",
    "-dimm2(128) => 1664/1664 | -", {"left out", "dimm", "kernel zone"}},
  {"only-what-would-have-helped", DIMMS, "agent 4096+512:m 4608+128:k 4736+128:m", NULL, "memory=1280",
    "-dimm1(256) -dimm0(256) => 1280/1280 | -", {"!left out"}},
  {"none-would-have-helped", DIMMS, "agent 4096+512:k 4608+256:m", NULL, "memory=1700", "nothing => 1792/1792 | -",
    {"!left out", "(128 MiB) would leave 1664 MiB", "!(256 MiB)"}},
  {"tried", DIMMS, "agent 4096+512:k 4608+128:m 4736+128:k", NULL, "memory=1536 try", "-dimm1(256) => 1536/1536 | -",
    {"will probably refuse", "!left out"}},
  {"tried-last", DIMMS, "agent 4096+256:m 4352+256:k 4608+256:m", NULL, "memory=1536 try",
    "-dimm0(256) => 1536/1536 | -", {"!refuse"}},
  {"all-are-kernel", DIMMS, "agent 4096+768:k", NULL, "memory=1024", "nothing => 1792/1792 | -",
    {"no hot plugged memory device that could be unplugged", "left out, as the guest has memory of them",
      "!would leave"}},
  {"offline-goes", DIMMS, "agent 4096+256:o 4352+512:k", NULL, "memory=1536", "-dimm0(256) => 1536/1536 | -",
    {"!left"}},
  {"windows", DIMMS, "qga windows", NULL, "memory=1024", "nothing => 1792/1792 | -",
    {"no hot plugged memory device that could be unplugged", "left out, as Windows cannot release", "!kernel zone"}},
  {"windows-tried", DIMMS, "qga windows", NULL, "memory=1536 try", "-dimm1(256) => 1536/1536 | -",
    {"will probably stay: the guest is Windows, which", "!left out"}},
  {"unknown-goes", DIMMS, "agent 4096+512:u 4608+256:k", NULL, "memory=1536", "-dimm1(256) => 1536/1536 | -",
    {"!left"}},
  {"movable-before-unknown", DIMMS, "agent 4096+256:m 4352+512:u", NULL, "memory=1536", "-dimm0(256) => 1536/1536 | -",
    {NULL}},
  {"refused-last", DIMMS, "agent 4096+768:m", "dimm1", "memory=1536", "-dimm0(256) => 1536/1536 | -", {"!before"}},
  {"refused-but-needed", DIMMS, "agent 4096+768:m", "dimm1", "memory=1152",
    "-dimm3(128) -dimm0(256) -dimm1(256) => 1152/1152 | -", {"refused to release", "before"}},
  {"refused-before-kernel", DIMMS, "agent 4096+256:m 4352+512:k", "dimm0", "memory=1536",
    "-dimm0(256) => 1536/1536 | -", {"refused to release"}},
  /* What may be stuck comes after what goes, whatever its address. */
  {"kernel-goes-last", DIMMS, "agent 4096+256:m 4352+256:k 4608+256:m", NULL, "memory=1024 try",
    "-dimm3(128) -dimm2(128) -dimm0(256) -dimm1(256) => 1024/1024 | -", {NULL}},
  {"unknown-goes-in-the-middle", DIMMS, "agent 4096+256:m 4352+256:u 4608+128:k 4736+128:m", NULL, "memory=1024 try",
    "-dimm3(128) -dimm0(256) -dimm1(256) -dimm2(128) => 1024/1024 | -", {NULL}},
  {"refused-goes-late", DIMMS, "agent 4096+256:u 4352+256:k 4608+256:m", "dimm3", "memory=1024 try",
    "-dimm2(128) -dimm0(256) -dimm3(128) -dimm1(256) => 1024/1024 | -", {NULL}},
  {"refused-in-a-kernel-zone-goes-last", DIMMS, "agent 4096+256:m 4352+256:k 4608+256:k", "dimm3", "memory=1024 try",
    "-dimm0(256) -dimm2(128) -dimm1(256) -dimm3(128) => 1024/1024 | -",
    {"will probably refuse", "refused to release", "before"}},
  {"virtio-mem-goes-after-dimms", "running: 1024 max=8192/16 v1024:512/512:2 d256 d256 | -",
    "agent 4096+512:mv 5120+256:k 5376+256:m", NULL, "memory=1024 try",
    "-dimm1(256) -dimm0(256) virtiomem0(512>0) => 1024/1024 | -", {NULL}},
  /* It gives block by block, so part of it can go. */
  {"virtio-mem-in-a-kernel-zone", "running: 1024 max=8192/16 v1024:512/512:2 | -", "agent 4096+512:kv", NULL,
    "memory=1280", "virtiomem0(512>256) => 1280/1280 | -", {"may keep some"}},
  {"virtio-mem-that-is-called-back", "running: 1024 max=8192/16 v1024:256/512:2 d256 | -",
    "agent 4096+512:kv 5120+256:m", NULL, "memory=1536", "-dimm0(256) virtiomem0(512>512) => 1536/1536 | -",
    {"!may keep"}},
  {"virtio-mem-makes-up", "running: 1024 max=8192/16 d256 v1024:512/512:2 | -", "agent 4096+256:k 4352+512:mv", NULL,
    "memory=1536", "virtiomem0(512>256) => 1536/1536 | -", {"!left out"}},
};

/* The reserve of a guest of 1024 MiB is 64 MiB, of 4096 MiB 204.8 MiB, of 64 GiB 1024 MiB. */
static const Case spare[] = {
  {"enough", DIMMS, "agent total=1024 avail=320", NULL, "memory=1536", "-dimm1(256) => 1536/1536 | -", {"!spare"}},
  {"one-too-few", DIMMS, "agent total=1024 avail=319", NULL, "memory=1536", "error guest-needs-memory",
    {"web1 can spare 255 MiB (dimmer-guest: 319 MiB available, less a reserve of 64 MiB)", "256 MiB would go; ",
      "set memory to 1664 MiB or more", "force it"}},
  {"balloon", DIMMS, "balloon total=1024 avail=319", NULL, "memory=1536", "error guest-needs-memory",
    {"balloon statistics"}},
  {"not-known", DIMMS, "no-agent", NULL, "memory=1024",
    "-dimm3(128) -dimm2(128) -dimm1(256) -dimm0(256) => 1024/1024 | -", {"!spare"}},
  {"forced", DIMMS, "agent total=1024 avail=100", NULL, "memory=1536 force", "-dimm1(256) => 1536/1536 | -",
    {"can spare no more than 36 MiB", "forced"}},
  {"forced-without-need", DIMMS, "agent total=1024 avail=320", NULL, "memory=1536 force",
    "-dimm1(256) => 1536/1536 | -", {"!forced"}},
  {"try-is-no-force", DIMMS, "agent total=1024 avail=100", NULL, "memory=1536 try", "error guest-needs-memory", {NULL}},
  {"reserve-of-4-gib", DIMMS, "agent total=4096 avail=460", NULL, "memory=1536", "error guest-needs-memory",
    {"reserve of 204 MiB"}},
  {"reserve-of-64-gib", DIMMS, "agent total=65536 avail=1280", NULL, "memory=1536", "-dimm1(256) => 1536/1536 | -",
    {NULL}},
  {"reserve-without-total", DIMMS, "agent avail=346", NULL, "memory=1536", "-dimm1(256) => 1536/1536 | -", {NULL}},
  {"reserve-without-total-too-few", DIMMS, "agent avail=345", NULL, "memory=1536", "error guest-needs-memory", {NULL}},
  {"offline-needs-nothing", DIMMS, "agent total=1024 avail=70 4096+512:o 4608+256:m", NULL, "memory=1536",
    "-dimm1(256) => 1536/1536 | -", {"!spare"}},
  {"half-offline", DIMMS, "agent total=1024 avail=192 4096+256:k 4352+128:o 4480+128:m 4608+256:k", NULL, "memory=1536",
    "-dimm1(256) => 1536/1536 | -", {"!spare"}},
  {"nothing-to-spare", DIMMS, "agent total=1024 avail=10", NULL, "memory=1536", "error guest-needs-memory",
    {"can spare 0 MiB", "no device fits", "!least"}},
  {"nothing-fits-anyway", DIMMS, "agent total=1024 avail=10", NULL, "memory=1791", "nothing => 1792/1792 | -",
    {"!spare"}},
  {"raising-needs-none", DIMMS, "agent total=1024 avail=10", NULL, "memory=1920", "+d128@0 => 1920/1920 | -", {NULL}},
  {"next-run-needs-none", "running: 1024 max=8192/16 d256 | 1280 max=8192/16", "agent total=1024 avail=10", NULL,
    "memory=1024 next-run", "nothing => 1280/1280 | 1024 max=8192/16", {NULL}},
  {"virtio-mem", "running: 1024 max=8192/16 v1024:512/512:2 | -", "agent total=1024 avail=164", NULL, "memory=1280",
    "error guest-needs-memory", {"can spare 100 MiB", "set memory to 1436 MiB"}},
  {"offline-virtio-mem-needs-nothing", "running: 1024 max=8192/16 v1024:512/512:2 | -",
    "agent total=1024 avail=70 4096+512:ov", NULL, "memory=1280", "virtiomem0(512>256) => 1280/1280 | -", {"!spare"}},
  {"offline-beside-dimms", "running: 1024 max=8192/16 v1024:512/512:2 | -", "qga total=1024 avail=70 4096+512:o", NULL,
    "memory=1280", "virtiomem0(512>256) => 1280/1280 | -", {"!spare"}},
  {"half-offline-virtio-mem", "running: 1024 max=8192/16 v1024:512/512:2 | -",
    "agent total=1024 avail=70 4096+128:ov 4224+384:mv", NULL, "memory=1280", "error guest-needs-memory", {NULL}},
  {"offline-of-one-of-two", "running: 1024 max=8192/16 v1024:256/256:2 v1024:256/256:2 | -",
    "qga total=1024 avail=70 4096+256:o", NULL, "memory=1280", "error guest-needs-memory", {NULL}},
  {"pending-counts", DIMMS "| set=1536 -dimm1(256):overdue", "agent total=1024 avail=447", NULL, "memory=1408",
    "error guest-needs-memory", {"can spare 383 MiB", "384 MiB would go", "set memory to 1536 MiB"}},
  {"pending-alone-is-too-much", DIMMS "| set=1536 -dimm1(256):overdue", "agent total=1024 avail=200", NULL,
    "memory=1536", "error guest-needs-memory", {"no device fits"}},
  {"absent-needs-nothing", DIMMS, "agent total=1024 avail=70 0+1024:k 4096+256:m", NULL, "memory=1536",
    "-dimm1(256) => 1536/1536 | -", {"!spare"}},
};

/* What a plug takes: page descriptors, of memory that is the kernel's own. */
static const Case higher[] = {
  {"descriptors", "running: 512 max=131072/16 | -", "agent total=512 avail=373", NULL, "memory=66048",
    "error guest-needs-memory",
    {"plugging 65536 MiB takes 1024 MiB", "can spare 309 MiB", "373 MiB", "in steps of at most 19712 MiB"}},
  {"descriptors-forced", "running: 512 max=131072/16 | -", "agent total=512 avail=373", NULL, "memory=66048 force",
    "+d128@0 +d65408@0 => 66048/66048 | -", {"forced beyond"}},
  {"descriptors-fit", "running: 512 max=131072/16 | -", "agent total=512 avail=373", NULL, "memory=20224",
    "+d128@0 +d19584@0 => 20224/20224 | -", {"more than 12:1"}},
  {"descriptors-of-a-short-guest", "running: 512 max=131072/16 | -", "agent total=512 avail=20", NULL, "memory=1024",
    "+d128@0 +d384@0 => 1024/1024 | -", {"!spare"}},
  {"descriptors-of-none", "running: 512 max=131072/16 | -", "agent total=512 avail=1", NULL, "memory=1024",
    "error guest-needs-memory", {"stop programs in the guest first"}},
  {"descriptors-by-zones", "running: 512 max=131072/16 d16384 | -",
    "agent total=16896 avail=16000 kernel-total=500 kernel-avail=100", NULL, "memory=25088", "error guest-needs-memory",
    {"takes 128 MiB", "can spare 50 MiB"}},
  {"descriptors-by-the-balloon", "running: 512 max=131072/16 d16384 | -", "balloon total=16896 avail=16000", NULL,
    "memory=50176", "error guest-needs-memory", {"can spare 128 MiB"}},
  {"descriptors-without-agent", "running: 512 max=131072/16 | -", "no-agent", NULL, "memory=66048",
    "error guest-needs-memory", {"can spare 256 MiB for that (half of its boot memory)"}},
  {"descriptors-of-virtio-mem", "running: 512 max=131072/16 v65536:0:2 | -", "agent total=512 avail=373", NULL,
    "memory=66048", "error guest-needs-memory", {"in steps of at most"}},
  {"lopsided", "running: 512 max=131072/16 | -", "no-agent", NULL, "memory=6784", "+d128@0 +d6144@0 => 6784/6784 | -",
    {"6272 MiB of movable memory beside 512 MiB", "(libvirt)"}},
  {"not-lopsided", "running: 512 max=131072/16 | -", "no-agent", NULL, "memory=6656",
    "+d128@0 +d6016@0 => 6656/6656 | -", {"!12:1"}},
  {"kernels-own", "running: 512 max=131072/16 | -", "agent total=512 avail=500 policy=online_kernel", NULL,
    "memory=6784", "+d128@0 +d6144@0 => 6784/6784 | -", {"!12:1", "takes plugged memory for itself"}},
  {"stays-offline", "running: 512 max=131072/16 | -", "qga policy=offline no-udev-rule no-onlines", NULL, "memory=640",
    "+d128@0 => 640/640 | -", {"may be unusable", "stays offline"}},
  {"comes-movable", "running: 512 max=131072/16 | -", "agent policy=offline onlines", NULL, "memory=640",
    "+d128@0 => 640/640 | -", {"!usable"}},
  {"no-driver", "running: 512 max=131072/16 v1024:0:2 | -", "agent no-virtio-mem", NULL, "memory=640",
    "+d128@0 => 640/640 | -", {"does not grow", "driver virtio_mem is not loaded"}},
  {"not-taken-before", "running: 512 max=131072/16 v1024:256/0:2 | -", "no-agent", NULL, "memory=640",
    "virtiomem0(0>128) => 640/640 | -", {"256 MiB were requested before"}},
};

static const Case blocks[] = {
  {"as-small-as-the-factor", DIMMS, "agent block=128", NULL, "memory=1920", "+d128@0 => 1920/1920 | -", {NULL}},
  {"large", "running: 1024 max=65536/16 | -", "agent block=2048", NULL, "memory=3072", "+d2048@0 => 3072/3072 | -",
    {NULL}},
  {"large-and-the-rest", "running: 1024 max=65536/16 | -", "agent block=2048", NULL, "memory=7168",
    "+d2048@0 +d4096@0 => 7168/7168 | -", {NULL}},
  {"too-small", "running: 1024 max=65536/16 | -", "agent block=2048", NULL, "memory=1280", "error not-a-multiple",
    {"2048 MiB", "its guest's memory blocks are that large (dimmer-guest)", "256 MiB is not a multiple",
      "add 2048 MiB"}},
  {"odd", "running: 1024 max=65536/16 | -", "qga block=2048", NULL, "memory=4096", "error not-a-multiple",
    {"(qemu-guest-agent)", "add 2048 MiB or 4096 MiB"}},
  {"not-the-blocks-fault", "running: 1024 max=65536/16 | -", "agent block=128", NULL, "memory=1100",
    "error not-a-multiple", {"128 MiB", "!blocks"}},
  {"not-the-block-but-the-page", "running: 1024 max=65536/16 page=1024 | -", "agent block=1024", NULL, "memory=1152",
    "error not-a-multiple", {"1024 MiB", "!blocks"}},
  /* dimm0 ends within a block: what QEMU put behind it would begin there. */
  {"behind-a-small-one", "running: 1024 max=65536/16 d128 | -", "agent block=2048", NULL, "memory=3200",
    "+d2048@0^6144 => 3200/3200 | -", {NULL}},
  {"two-behind-a-small-one", "running: 1024 max=65536/16 d2048 d128 | -", "agent block=2048", NULL, "memory=9344",
    "+d6144@0^8192 => 9344/9344 | -", {NULL}},
  {"split-behind-a-small-one", "running: 1024 max=65536/16 d128 | -", "agent block=2048", NULL, "memory=7296",
    "+d2048@0^6144 +d4096@0^8192 => 7296/7296 | -", {NULL}},
  {"behind-whole-ones", "running: 1024 max=65536/16 d2048 d4096 | -", "agent block=2048", NULL, "memory=9216",
    "+d2048@0 => 9216/9216 | -", {NULL}},
  {"behind-a-small-one-not-reported", "running: 1024 max=65536/16 d64 | -", "no-agent", NULL, "memory=1216",
    "+d128@0^4224 => 1216/1216 | -", {NULL}},
  {"virtio-mem-of-odd-size", "running: 1024 max=65536/16 v130:0:2 | -", "agent block=128", NULL, "memory=1154",
    "virtiomem0(0>2) +d128@0^4352 => 1154/1154 | -", {NULL}},
  {"virtio-mem-of-odd-size-is-full", "running: 1024 max=65536/16 v130:128/128:2 | -", "no-agent", NULL, "memory=1408",
    "+d128@0^4352 +d128@0^4480 => 1408/1408 | -", {NULL}},
  {"virtio-mem-grows-on", "running: 1024 max=65536/16 v4096:0:2 | -", "agent block=2048", NULL, "memory=1280",
    "virtiomem0(0>256) => 1280/1280 | -", {NULL}},
};

/* The wish is a list of devices. */
static const Case unplug[] = {
  {"movable", DIMMS, "agent 4096+256:m", NULL, "dimm0", "-dimm0(256) => 1536/1536 | -", {"!refuse"}},
  {"kernel", DIMMS, "agent 4096+128:k 4224+128:m", NULL, "dimm0", "error not-movable",
    {"dimm0 (256 MiB) of web1 would stay", "has 128 MiB of it in a kernel zone", "try it anyway"}},
  {"one-of-them-kernel", DIMMS, "agent 4096+256:m 4352+256:x", NULL, "dimm0 dimm1", "error not-movable", {"dimm1"}},
  {"tried", DIMMS, "agent 4096+256:k", NULL, "dimm0 try", "-dimm0(256) => 1536/1536 | -", {"will probably refuse"}},
  {"refused-before", DIMMS, "agent 4096+256:m", "dimm0", "dimm0", "-dimm0(256) => 1536/1536 | -", {"before"}},
  {"kernel-goes-last", DIMMS, "agent 4096+256:k 4352+512:m", NULL, "dimm0 dimm1 try",
    "-dimm1(256) -dimm0(256) => 1280/1280 | -", {NULL}},
  {"refused-goes-last", DIMMS, "agent 4096+768:m", "dimm2", "dimm2 dimm0 dimm1",
    "-dimm0(256) -dimm1(256) -dimm2(128) => 1152/1152 | -", {NULL}},
  {"virtio-mem", "running: 1024 max=8192/16 v1024:512/512:2 | -", "agent 4096+512:kv", NULL, "virtiomem0",
    "virtiomem0(512>0) => 1024/1024 | -", {"may keep some"}},
  {"too-much", DIMMS, "agent total=1024 avail=319", NULL, "dimm0", "error guest-needs-memory",
    {"256 MiB would go", "set memory to 1664 MiB"}},
  {"too-much-together", DIMMS, "agent total=1024 avail=400", NULL, "dimm0 dimm2", "error guest-needs-memory",
    {"384 MiB would go"}},
  {"besides-an-earlier-one", DIMMS "| unplug -dimm1(256):overdue", "agent total=1024 avail=400", NULL, "dimm0",
    "error guest-needs-memory", {"besides 256 MiB"}},
  {"the-same-once-more", DIMMS "| unplug -dimm1(256):overdue", "agent total=1024 avail=400", NULL, "dimm1",
    "-dimm1(256) => 1536/1536 | -", {NULL}},
  {"beside-a-shrinking-one", "running: 1024 max=8192/16 d256 v1024:256/512:2 | -", "agent total=1024 avail=500", NULL,
    "dimm0", "error guest-needs-memory", {"besides 256 MiB"}},
  {"an-empty-one-needs-none", "running: 1024 max=8192/16 d256 v1024:0:2 | - | unplug -dimm0(256):overdue",
    "agent total=1024 avail=70", NULL, "virtiomem0", "nothing => 1280/1280 | -", {"empty already"}},
  {"forced", DIMMS, "agent total=1024 avail=319", NULL, "dimm0 force", "-dimm0(256) => 1536/1536 | -", {"forced"}},
};

static DmVm *vm_of(const Case *c) {
  DmVm *vm = vm_from(c->vm);
  if (c->guest != NULL)
    dm_vm_take_guest(vm, guest_from(c->guest));
  if (c->refused != NULL) {
    DmRefusal *refusal = g_new0(DmRefusal, 1);
    refusal->alias = g_strdup(c->refused);
    refusal->guest = dm_vm_fingerprint(vm, dm_config_find_alias(vm->live, c->refused));
    g_ptr_array_add(vm->refusals, refusal);
  }
  return vm;
}

static void check(const Case *c, DmPlan *plan, GError *error) {
  g_autoptr(GString) all = g_string_new(error != NULL ? error->message : NULL);
  for (guint i = 0; plan != NULL && i < plan->notes->len; i++)
    g_string_append_printf(all, "\n%s", ((const DmNote *)plan->notes->pdata[i])->text);
  for (gsize i = 0; i < G_N_ELEMENTS(c->words) && c->words[i] != NULL; i++) {
    const char *word = c->words[i];
    if (*word == '!')
      g_assert_null(strstr(all->str, word + 1));
    else
      g_assert_nonnull(strstr(all->str, word));
  }
  g_autofree char *text = plan_text_take(plan, error);
  g_assert_cmpstr(text, ==, c->expected);
}

static void test_set(gconstpointer data) {
  const Case *c = data;
  GError *error = NULL;
  g_autoptr(DmVm) vm = vm_of(c);
  DmWish wish = wish_from(c->wish);
  DmPlan *plan = dm_plan(vm, &wish, &error);
  if (plan != NULL)
    g_assert_cmpint(plan->flags, ==, wish.flags);
  check(c, plan, error);
}

static void test_unplug(gconstpointer data) {
  const Case *c = data;
  GError *error = NULL;
  g_autoptr(DmVm) vm = vm_of(c);
  g_auto(GStrv) names = g_strsplit(c->wish, " ", -1);
  DmPlanFlags flags = 0;
  guint last = g_strv_length(names) - 1;
  flags |= strcmp(names[last], "try") == 0 ? DM_PLAN_TRY_UNMOVABLE : 0;
  flags |= strcmp(names[last], "force") == 0 ? DM_PLAN_FORCE : 0;
  if (flags != 0)
    g_clear_pointer(&names[last], g_free);
  DmPlan *plan = unplug_plan(vm, (const char *const *)names, flags, &error);
  check(c, plan, error);
}

/* After a refusal, and with the flags of the request. */
static const struct {
  const char *name, *vm, *guest;
  DmPlanFlags flags;
  const char *expected;
} again[] = {
  {"left-out", DIMMS "| set=1536 -dimm1(256):refused", "agent 4096+256:k 4352+512:m", 0, "-dimm3(128) -dimm2(128)"},
  {"all-left-out", DIMMS "| set=1536 -dimm1(256):refused", "agent 4096+256:k 4352+256:m 4608+256:k", 0, "nothing"},
  {"tried", DIMMS "| set=1536 -dimm1(256):refused", "agent 4096+256:k 4352+256:m 4608+256:k", DM_PLAN_TRY_UNMOVABLE,
    "-dimm0(256)"},
  {"kernel-last", DIMMS "| set=1280 -dimm1(256):refused", "agent 4096+640:m 4736+128:k", DM_PLAN_TRY_UNMOVABLE,
    "-dimm2(128) -dimm0(256) -dimm3(128)"},
  {"within-what-it-can-spare", DIMMS "| set=1536 -dimm1(256):refused", "agent total=1024 avail=200", 0, "-dimm3(128)"},
  {"less-what-is-out", DIMMS "| set=1280 -dimm1(256):refused -dimm0(256):asked", "agent total=1024 avail=450", 0,
    "-dimm3(128)"},
  {"offline-needs-nothing", DIMMS "| set=1536 -dimm1(256):refused", "agent total=1024 avail=70 4096+256:o 4352+512:m",
    0, "-dimm0(256)"},
  {"forced", DIMMS "| set=1536 -dimm1(256):refused", "agent total=1024 avail=200", DM_PLAN_FORCE, "-dimm0(256)"},
};

static void test_again(gconstpointer data) {
  const typeof(again[0]) *c = data;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  dm_vm_take_guest(vm, guest_from(c->guest));
  vm->request->flags = c->flags;
  g_autoptr(GPtrArray) steps = dm_plan_again(vm, vm->request);
  g_autofree char *text = steps_text(steps);
  g_assert_cmpstr(text, ==, c->expected);
  for (guint i = 0; i < steps->len; i++)
    dm_step_free(steps->pdata[i]);
}

static void test_settle(void) {
  g_autoptr(DmVm) vm = vm_from(DIMMS "| unplug -dimm0(256):overdue -dimm1(256):overdue");
  dm_vm_take_guest(vm, guest_from("agent 4096+256:k 4352+512:m"));
  g_autoptr(DmPlan) plan = settle_plan(vm, 0);
  g_assert_cmpuint(plan->notes->len, ==, 1);
  g_assert_nonnull(strstr(((const DmNote *)plan->notes->pdata[0])->text, "not asked again: dimm0"));
  g_autofree char *text = plan_text_take(g_steal_pointer(&plan), NULL);
  g_assert_cmpstr(text, ==, "-dimm1(256) => 1536/1536 | -");

  vm->request->flags = DM_PLAN_TRY_UNMOVABLE;
  g_autofree char *tried = plan_text_take(settle_plan(vm, 0), NULL);
  g_assert_cmpstr(tried, ==, "-dimm1(256) -dimm0(256) => 1280/1280 | -");
}

/* Asking again holds to the rule as the first asking did. What is out counts, asked again or not. */
static const struct {
  const char *name, *vm, *guest;
  DmPlanFlags recorded, flags;
  const char *expected, *note; /* NULL: none */
} settle_spare[] = {
  {"enough", DIMMS "| set=1280 -dimm0(256):overdue -dimm1(256):overdue", "agent total=1024 avail=576", 0, 0,
    "-dimm0(256) -dimm1(256) => 1280/1280 | -", NULL},
  {"too-few", DIMMS "| set=1280 -dimm0(256):overdue -dimm1(256):overdue", "agent total=1024 avail=575", 0, 0,
    "nothing => 1792/1792 | -",
    "not asked again: web1 can spare 511 MiB (dimmer-guest: 575 MiB available, less a reserve of 64 MiB), and 512 MiB "
    "would go"},
  {"forced", DIMMS "| set=1280 -dimm0(256):overdue -dimm1(256):overdue", "agent total=1024 avail=575", 0, DM_PLAN_FORCE,
    "-dimm0(256) -dimm1(256) => 1280/1280 | -", "forced beyond that"},
  {"forced-before", DIMMS "| set=1280 -dimm0(256):overdue -dimm1(256):overdue", "agent total=1024 avail=575",
    DM_PLAN_FORCE, 0, "-dimm0(256) -dimm1(256) => 1280/1280 | -", "forced beyond that"},
  {"besides-what-is-known-to-stay", DIMMS "| unplug -dimm0(256):overdue -dimm2(128):overdue",
    "agent total=1024 avail=400 4096+256:k 4352+512:m", 0, 0, "nothing => 1792/1792 | -", "besides 256 MiB"},
  {"offline-needs-nothing", DIMMS "| unplug -dimm0(256):overdue", "agent total=1024 avail=70 4096+256:o 4352+512:m", 0,
    0, "-dimm0(256) => 1536/1536 | -", NULL},
  {"what-grows-goes-on",
    "running: 1024 max=8192/16 d256 v1024:512/256:2 | - | set=1536 -dimm0(256):overdue "
    "virtiomem0(256>512):overdue",
    "agent total=1024 avail=70", 0, 0, "virtiomem0(256>512) => 1792/1792 | -", "not asked again"},
};

static void test_settle_spare(gconstpointer data) {
  const typeof(settle_spare[0]) *c = data;
  g_autoptr(DmVm) vm = vm_from(c->vm);
  dm_vm_take_guest(vm, guest_from(c->guest));
  vm->request->flags = c->recorded;
  DmPlan *plan = settle_plan(vm, c->flags);
  g_assert_cmpint(plan->flags, ==, c->recorded | c->flags);
  gboolean noted = FALSE;
  for (guint i = 0; i < plan->notes->len; i++)
    noted |= strstr(((const DmNote *)plan->notes->pdata[i])->text, c->note != NULL ? c->note : "spare") != NULL;
  g_assert_cmpint(noted, ==, c->note != NULL);
  g_autofree char *text = plan_text_take(plan, NULL);
  g_assert_cmpstr(text, ==, c->expected);
}

/* A virtio-mem device whose ends are no whole blocks would have memory there that never comes online. */
static void test_plug_of_virtio_mem(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=65536/16 | -");
  dm_vm_take_guest(vm, guest_from("agent block=2048"));
  DmPlugWish wish = {.kind = DM_DEVICE_VIRTIO_MEM, .size = 512 * DM_MIB, .max_size = 1024 * DM_MIB};
  GError *error = NULL;
  DmPlan *plan = plug_plan(vm, &wish, &error);
  g_autofree char *refused = plan_text_take(plan, error);
  g_assert_cmpstr(refused, ==, "error not-a-multiple");
  wish.max_size = 4096 * DM_MIB;
  g_autofree char *granted = plan_text_take(plug_plan(vm, &wish, NULL), NULL);
  g_assert_cmpstr(granted, ==, "+v4096:512@0 => 1536/1536 | -");
}

/* New DIMMs behind one that ends within a block, each with a slot of its own; not where it is unknown what is there. */
static void test_places(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=65536/16 d128 n2048 d2048 | -");
  DmMemoryDevice **devices = (DmMemoryDevice **)vm->live->devices->pdata;
  dm_vm_take_guest(vm, guest_from("agent block=2048"));
  devices[2]->slot = 3;
  DmPlugWish wish = {.size = 4096 * DM_MIB, .policy = DM_POLICY_FINE};
  g_autoptr(DmPlan) plan = plug_plan(vm, &wish, NULL);
  g_autofree char *steps = steps_text(plan->steps);
  g_assert_cmpstr(steps, ==, "+d4096@0^10240");
  wish.policy = DM_POLICY_OVIRT;
  devices[2]->size = 2176 * DM_MIB;
  g_autoptr(DmPlan) two = plug_plan(vm, &wish, NULL);
  g_autofree char *both = steps_text(two->steps);
  g_assert_cmpstr(both, ==, "+d2048@0^10240 +d2048@0^12288");
  g_assert_cmpint(((DmStep *)two->steps->pdata[0])->run.slot, ==, 2);
  g_assert_cmpint(((DmStep *)two->steps->pdata[1])->run.slot, ==, 4);

  /* As high as QEMU could have put what libvirt does not tell of. */
  devices[1]->address = 0;
  g_autoptr(DmPlan) half_blind = plug_plan(vm, &wish, NULL);
  g_autofree char *above = steps_text(half_blind->steps);
  g_assert_cmpstr(above, ==, "+d2048@0^12288 +d2048@0^14336");

  devices[0]->address = devices[2]->address = 0;
  g_autoptr(DmPlan) blind = plug_plan(vm, &wish, NULL);
  g_autofree char *unplaced = steps_text(blind->steps);
  g_assert_cmpstr(unplaced, ==, "+d2048@0 +d2048@0");
  g_assert_nonnull(strstr(((const DmNote *)blind->notes->pdata[0])->text, "may not be able to use the added memory"));
}

/* Where QEMU's device memory begins on a PC, for a virtio-mem device of which libvirt does not tell where it is. */
static void test_bases(void) {
  static const struct {
    const char *machine, *vm, *expected;
  } cases[] = {
    {"pc-q35-7.2", "running: 512 max=65536/16 v130:130/130:2 | -", "+d128@0^4352"},
    {"pc-q35-7.2", "running: 2815 max=65536/16 v130:130/130:2 | -", "+d128@0^4352"},
    {"pc-q35-7.2", "running: 2816 max=65536/16 v130:130/130:2 | -", "+d128@0^5376"},
    {"pc-q35-7.2", "running: 4097 max=65536/16 v130:130/130:2 | -", "+d128@0^7424"},
    {"pc-i440fx-7.2", "running: 3583 max=65536/16 v130:130/130:2 | -", "+d128@0^4352"},
    {"pc-i440fx-7.2", "running: 3584 max=65536/16 v130:130/130:2 | -", "+d128@0^5376"},
    {"pc-q35-7.2", "running: 512 max=65536/16 v256:130/130:2 | -", "+d128@0"},
    {"virt-7.2", "running: 512 max=65536/16 v130:130/130:2 | -", "+d128@0"},
    {"microvm", "running: 512 max=65536/16 v130:130/130:2 | -", "+d128@0"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmVm) vm = vm_from(cases[i].vm);
    vm->facts.machine = cases[i].machine;
    ((DmMemoryDevice *)vm->live->devices->pdata[0])->address = 0;
    DmPlugWish wish = {.size = 128 * DM_MIB};
    g_autoptr(DmPlan) plan = plug_plan(vm, &wish, NULL);
    g_autofree char *steps = steps_text(plan->steps);
    g_assert_cmpstr(steps, ==, cases[i].expected);
  }
}

static void add(const char *group, const Case *cases, gsize count, GTestDataFunc test) {
  for (gsize i = 0; i < count; i++) {
    g_autofree char *path = g_strdup_printf("/knowing/%s/%s", group, cases[i].name);
    g_test_add_data_func(path, &cases[i], test);
  }
}

/* What is above a floor stays in devices at the next start, and that is told of a guest that takes nothing of them. */
static void test_floor_without_driver(void) {
  for (int knows = 0; knows < 2; knows++) {
    g_autoptr(DmVm) vm = vm_from("running: 512 max=4096/16 v3584:512:2 | 512 max=4096/16 floor=512 v3584:512:2");
    dm_vm_take_guest(vm, guest_from(knows ? "agent no-virtio-mem" : "agent virtio-mem"));
    DmWish wish = wish_from("memory=768 next-run");
    g_autoptr(DmPlan) plan = dm_plan(vm, &wish, NULL);
    guint found = 0;
    for (guint i = 0; i < plan->notes->len; i++)
      found += ((const DmNote *)plan->notes->pdata[i])->code == DM_NOTE_FLOOR_NO_DRIVER;
    g_assert_cmpuint(found, ==, (guint)knows);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  add("lower", lower, G_N_ELEMENTS(lower), test_set);
  add("spare", spare, G_N_ELEMENTS(spare), test_set);
  add("blocks", blocks, G_N_ELEMENTS(blocks), test_set);
  add("raise", higher, G_N_ELEMENTS(higher), test_set);
  add("unplug", unplug, G_N_ELEMENTS(unplug), test_unplug);
  for (gsize i = 0; i < G_N_ELEMENTS(again); i++) {
    g_autofree char *path = g_strconcat("/knowing/again/", again[i].name, NULL);
    g_test_add_data_func(path, &again[i], test_again);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(settle_spare); i++) {
    g_autofree char *path = g_strconcat("/knowing/settle-spare/", settle_spare[i].name, NULL);
    g_test_add_data_func(path, &settle_spare[i], test_settle_spare);
  }
  g_test_add_func("/knowing/settle", test_settle);
  g_test_add_func("/knowing/places", test_places);
  g_test_add_func("/knowing/bases", test_bases);
  g_test_add_func("/knowing/plug-of-virtio-mem", test_plug_of_virtio_mem);
  g_test_add_func("/knowing/floor-without-driver", test_floor_without_driver);
  return g_test_run();
}
