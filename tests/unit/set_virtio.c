/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of "set" with virtio-mem devices, and with requests whose answers are still out. */
#include "set_table.h"

static const SetCase lower[] = {
  {"alone", "running: 1024 max=4096/16 v1024:512/512:2 | 1024 max=4096/16 v1024:512:2", "memory=1280",
    "virtiomem0(512>256) => 1280/1280 | 1024 max=4096/16 v1024:256:2"},
  {"to-nothing", "running: 1024 max=4096/16 v1024:512/512:2 | 1024 max=4096/16 v1024:512:2", "memory=1024",
    "virtiomem0(512>0) => 1024/1024 | 1024 max=4096/16 v1024:0:2"},
  {"with-dimms", "running: 1024 max=4096/16 d256 v1024:512/512:2 | 1792 max=4096/16", "memory=1500",
    "-dimm0(256) virtiomem0(512>476) => 1500/1500 | 1500 max=4096/16"},
  {"in-its-block", "running: 1024 max=4096/16 v1024:512/512:128 | 1536 max=4096/16", "memory=1279",
    "virtiomem0(512>256) => 1280/1280 | 1279 max=4096/16"},
  {"less-than-a-block", "running: 1024 max=4096/16 v1024:512/512:128 | 1536 max=4096/16", "memory=1409 guaranteed=1000",
    "nothing => 1536/1536 | 1409 max=4096/16 g=1000"},
  {"still-growing", "running: 1024 max=4096/16 v1024:512/256:2 | 1536 max=4096/16", "memory=1280",
    "virtiomem0(256>256) => 1280/1280 | 1280 max=4096/16"},
  {"still-growing-and-lower", "running: 1024 max=4096/16 v1024:512/256:2 | 1536 max=4096/16", "memory=1152",
    "virtiomem0(256>128) => 1152/1152 | 1152 max=4096/16"},
  {"not-taken", "running: 1024 max=4096/16 d256 v1024:512/0:2 | 1280 max=4096/16", "memory=1024",
    "-dimm0(256) virtiomem0(0>0) => 1024/1024 | 1024 max=4096/16"},
  {"two-devices", "running: 1024 max=8192/16 v1024:512/512:128 v1024:512/512:2 | 2048 max=8192/16", "memory=1400",
    "virtiomem0(512>0) virtiomem1(512>376) => 1400/1400 | 1400 max=8192/16"},
  {"below-boot", "running: 1024 max=4096/16 v1024:512/512:2 | 1536 max=4096/16", "memory=512",
    "virtiomem0(512>0) => 1024/1024 | 512 max=4096/16"},
};

static const SetCase higher[] = {
  {"alone", "running: 1024 max=4096/16 g=512 v1024:0:2 | 1024 max=4096/16 g=512", "memory=1280",
    "virtiomem0(0>256) => 1280/512 | 1280 max=4096/16 g=512"},
  {"less-than-the-factor", "running: 1024 max=4096/16 g=512 v1024:0:2 | 1024 max=4096/16 g=512", "memory=1124",
    "virtiomem0(0>100) => 1124/512 | 1124 max=4096/16 g=512"},
  {"not-a-block", "running: 1024 max=4096/16 v1024:0:2 | 1024 max=4096/16", "memory=1125", "error not-a-multiple"},
  {"no-slots-needed-to-grow", "running: 1024 max=4096/1 g=512 v1024:0:2 | 1024 max=4096/1 g=512", "memory=1280",
    "virtiomem0(0>256) => 1280/512 | 1280 max=4096/1 g=512"},
  {"takes-a-slot", "running: 1024 max=4096/1 v256:256/256:2 | 1280 max=4096/1", "memory=1408", "error no-free-slot"},
  {"and-a-dimm", "running: 1024 max=4096/16 g=512 v256:0:2 | 1024 max=4096/16 g=512", "memory=1408",
    "virtiomem0(0>256) +d128@0 => 1408/512 | 1408 max=4096/16 g=512"},
  {"the-odd-part-and-a-dimm", "running: 1024 max=4096/16 g=512 v256:200/200:2 | 1224 max=4096/16 g=512", "memory=1408",
    "virtiomem0(200>256) +d128@0 => 1408/512 | 1408 max=4096/16 g=512"},
  {"its-full-size-takes-room", "running: 1024 max=2048/16 g=512 v896:0:2 | 1024 max=4096/16 g=512", "memory=2048",
    "virtiomem0(0>896) +d128@0 => 2048/512 | 2048 max=4096/16 g=512"},
  {"full", "running: 1024 max=4096/16 g=512 v256:256/256:2 | 1280 max=4096/16 g=512", "memory=1408",
    "+d128@0 => 1408/512 | 1408 max=4096/16 g=512"},
  /* As people define them: the maximum is boot memory and the virtio-mem device's full size. */
  {"tight-maximum", "running: 1024 max=2048/16 g=512 v1024:0:2 | 1024 max=2048/16 g=512 v1024:0:2", "memory=1280",
    "virtiomem0(0>256) => 1280/512 | 1024 max=2048/16 g=512 v1024:256:2"},
  {"two-devices-of-different-blocks",
    "running: 1024 max=4096/16 g=512 v128:28/28:2 v128:0:128 | 1052 max=4096/16 g=512", "memory=1182",
    "virtiomem1(0>128) virtiomem0(28>30) => 1182/512 | 1182 max=4096/16 g=512"},
};

/* A device still grows for an earlier request, or its guest has no driver for it. */
static const SetCase growing[] = {
  {"as-it-is", "running: 1024 max=4096/16 v1024:512/256:2 | 1280 max=4096/16", "memory=1280",
    "virtiomem0(256>256) => 1280/1280 | 1280 max=4096/16"},
  {"as-asked", "running: 1024 max=4096/16 g=512 v1024:512/256:2 | 1280 max=4096/16 g=512", "memory=1536",
    "virtiomem0(256>512) => 1536/512 | 1536 max=4096/16 g=512"},
  {"not-so-far", "running: 1024 max=4096/16 g=512 v1024:512/0:2 | 1024 max=4096/16 g=512", "memory=1152",
    "virtiomem0(0>128) => 1152/512 | 1152 max=4096/16 g=512"},
  {"a-dimm-instead", "running: 1024 max=4096/16 g=512 v256:256/0:256 | 1024 max=4096/16 g=512", "memory=1152",
    "+d128@0 virtiomem0(0>0) => 1152/512 | 1152 max=4096/16 g=512"},
};

/* A device still shrinks for an earlier request: this one is newer, and wins. */
static const SetCase shrinking[] = {
  {"further", "running: 1024 max=4096/16 v1024:256/512:2 | 1536 max=4096/16", "memory=1152",
    "virtiomem0(512>128) => 1152/1152 | 1152 max=4096/16"},
  {"not-so-far", "running: 1024 max=4096/16 v1024:256/512:2 | 1536 max=4096/16", "memory=1408",
    "virtiomem0(512>384) => 1408/1408 | 1408 max=4096/16"},
  {"dimm-instead", "running: 1024 max=4096/16 v1024:256/512:2 d256 | 1792 max=4096/16", "memory=1536",
    "-dimm0(256) virtiomem0(512>512) => 1536/1536 | 1536 max=4096/16"},
  {"as-it-is", "running: 1024 max=4096/16 v1024:256/512:2 | 1536 max=4096/16", "memory=1536",
    "virtiomem0(512>512) => 1536/1536 | 1536 max=4096/16"},
  {"nothing-fits", "running: 1024 max=4096/16 v1024:256/512:2 | 1536 max=4096/16", "memory=1535 guaranteed=1000",
    "virtiomem0(512>512) => 1536/1536 | 1535 max=4096/16 g=1000"},
  {"raise", "running: 1024 max=4096/16 g=512 v1024:256/512:2 | 1536 max=4096/16 g=512", "memory=1664",
    "virtiomem0(512>640) => 1664/512 | 1664 max=4096/16 g=512"},
  {"raise-by-a-dimm", "running: 1024 max=4096/16 g=512 v512:256/512:2 | 1536 max=4096/16 g=512", "memory=1664",
    "+d128@0 virtiomem0(512>512) => 1664/512 | 1664 max=4096/16 g=512"},
  {"only-guaranteed", "running: 1024 max=4096/16 v1024:256/512:2 | 1536 max=4096/16", "guaranteed=512",
    "nothing => 1536/512 | 1536 max=4096/16 g=512"},
};

/* DIMMs that an earlier request asked for can go at any time: they come first, so that nothing goes twice. */
static const SetCase pending[] = {
  {"counts", "running: 1024 max=4096/16 d256 d256 | 1280 max=4096/16 | set=1280 -dimm0(256):overdue", "memory=1280",
    "-dimm0(256) => 1280/1280 | 1280 max=4096/16"},
  {"and-another", "running: 1024 max=4096/16 d256 d256 d128 | 1280 max=4096/16 | set=1280 -dimm0(256):overdue",
    "memory=1152", "-dimm0(256) -dimm1(256) => 1152/1152 | 1152 max=4096/16"},
  {"too-much", "running: 1024 max=4096/16 d256 d128 | 1152 max=4096/16 | set=1152 -dimm0(256):overdue", "memory=1280",
    "nothing => 1408/1408 | 1280 max=4096/16"},
  {"some-of-it",
    "running: 1024 max=4096/16 d256 d128 d128 | 1024 max=4096/16 | "
    "set=1024 -dimm0(256):overdue -dimm1(128):asked",
    "memory=1408", "-dimm1(128) => 1408/1408 | 1408 max=4096/16"},
  {"refused-is-not-pending", "running: 1024 max=4096/16 d256 d256 | 1280 max=4096/16 | set=1280 -dimm1(256):refused",
    "memory=1280", "-dimm1(256) => 1280/1280 | 1280 max=4096/16"},
  {"raise", "running: 1024 max=4096/16 g=512 d128 | 1024 max=4096/16 g=512 | set=1024 -dimm0(128):overdue",
    "memory=1280", "+d128@0 => 1280/512 | 1280 max=4096/16 g=512"},
};

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  set_table_add("virtio/lower", lower, G_N_ELEMENTS(lower));
  set_table_add("virtio/raise", higher, G_N_ELEMENTS(higher));
  set_table_add("virtio/growing", growing, G_N_ELEMENTS(growing));
  set_table_add("virtio/shrinking", shrinking, G_N_ELEMENTS(shrinking));
  set_table_add("pending", pending, G_N_ELEMENTS(pending));
  return g_test_run();
}
