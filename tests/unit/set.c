/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dm_plan() of "set" as a table: the specification, decisions.md, and section 5 of ovirt-wire.md where neither says
 * otherwise. The notation is notation.h's: VM, wish, and "STEPS => MEMORY/GUARANTEED | NEXT RUN" or "error NAME".
 */
#include "set_table.h"

/* The specification's VM: 1 GiB and three plugs of 256 MiB; the next run followed them as boot memory. */
#define EXAMPLE "1024 max=4096/16 d128 d128 d256 d256 | 1792 max=4096/16"

static const SetCase lower[] = {
  {"specification", "running: " EXAMPLE, "memory=1400 guaranteed=900",
    "-dimm3(256) -dimm1(128) => 1408/900 | 1400 max=4096/16 g=900"},
  {"exact", "running: " EXAMPLE, "memory=1536", "-dimm3(256) => 1536/1536 | 1536 max=4096/16"},
  {"everything-plugged", "running: " EXAMPLE, "memory=1024",
    "-dimm3(256) -dimm2(256) -dimm1(128) -dimm0(128) => 1024/1024 | 1024 max=4096/16"},
  /* decisions.md 3: what cannot be unplugged is not forgotten; less than boot memory is no error. */
  {"below-boot", "running: 1024 max=4096/16 d256 | 1280 max=4096/16", "memory=768",
    "-dimm0(256) => 1024/1024 | 768 max=4096/16"},
  {"no-devices", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=512",
    "nothing => 1024/1024 | 512 max=4096/16"},
  /* Nothing fits: the running VM keeps both its values, the next run has the asked ones. */
  {"nothing-fits", "running: 1024 max=4096/16 d512 | 1536 max=4096/16", "memory=1280 guaranteed=1000",
    "nothing => 1536/1536 | 1280 max=4096/16 g=1000"},
  {"nothing-fits-keeps-guaranteed", "running: 1024 max=4096/16 g=1200 d512 | 1536 max=4096/16 g=1200",
    "memory=1280 guaranteed=1000", "nothing => 1536/1200 | 1280 max=4096/16 g=1000"},
  {"one-mib-less", "running: 1024 max=4096/16 d128 | 1152 max=4096/16", "memory=1151",
    "nothing => 1152/1152 | 1151 max=4096/16"},
  {"floored-to-mib", "running: " EXAMPLE, "memory=1468007423B guaranteed=943719000B",
    "-dimm3(256) -dimm1(128) => 1408/900 | 1400 max=4096/16 g=900"},
  {"not-enabled", "running: ~1024 | ~1024", "memory=512", "nothing => 1024/1024 | ~512"},
  {"no-slots-needed", "running: 1024 max=4096/1 d256 | 1280 max=4096/1", "memory=1024",
    "-dimm0(256) => 1024/1024 | 1024 max=4096/1"},
  {"guaranteed-above-new-memory", "running: 1024 max=4096/16 g=1200 d256 | 1280 max=4096/16", "memory=1024",
    "error guaranteed-above-memory"},
  {"guaranteed-named-with-it", "running: 1024 max=4096/16 g=1200 d256 | 1280 max=4096/16 g=1200",
    "memory=1024 guaranteed=1024", "-dimm0(256) => 1024/1024 | 1024 max=4096/16 g=1024"},
  {"guaranteed-of-next-run-above", "running: 1024 max=4096/16 d256 | 1280 max=4096/16 g=1200", "memory=1024",
    "error guaranteed-above-memory"},
  {"guaranteed-stays-where-it-fits", "running: 1024 max=4096/16 g=600 d256 | 1280 max=4096/16 g=600", "memory=1024",
    "-dimm0(256) => 1024/600 | 1024 max=4096/16 g=600"},
  {"nvdimm-stays", "running: 1024 max=4096/16 n256 d128 | 1152 max=4096/16 n256", "memory=1024",
    "-dimm1(128) => 1024/1024 | 1024 max=4096/16 n256"},
  {"node-does-not-matter", "running: 512+512 max=4096/16 d256@1 | 512+768 max=4096/16", "memory=1024",
    "-dimm0(256) => 1024/1024 | 512+512 max=4096/16"},
  {"power", "running ppc64le: 1024 max=8192/16 d256 d512 | 1792 max=8192/16", "memory=1280",
    "-dimm1(512) => 1280/1280 | 1280 max=8192/16"},
  /* ovirt-wire.md V0: QEMU's pseries machine does not start with anything else. */
  {"power-not-a-multiple", "running ppc64le: 1024 max=8192/16 d256 d512 | 1792 max=8192/16", "memory=1400",
    "error not-a-multiple"},
};

static const SetCase raise_by_dimms[] = {
  {"specification-1", "running: 1024 max=4096/16 g=512 | 1024 max=4096/16 g=512", "memory=1280",
    "+d128@0 +d128@0 => 1280/512 | 1280 max=4096/16 g=512"},
  {"specification-2", "running: 1024 max=4096/16 g=512 d128 d128 | 1280 max=4096/16 g=512", "memory=1536",
    "+d256@0 => 1536/512 | 1536 max=4096/16 g=512"},
  {"minimal", "running: 1024 max=4096/16 g=512 | 1024 max=4096/16 g=512", "memory=1152",
    "+d128@0 => 1152/512 | 1152 max=4096/16 g=512"},
  {"with-guaranteed", "running: 1024 max=4096/16 g=900 | 1024 max=4096/16 g=900", "memory=1152 guaranteed=1100",
    "+d128@0 => 1152/1100 | 1152 max=4096/16 g=1100"},
  {"guaranteed-stays", "running: 1024 max=4096/16 g=900 | 1024 max=4096/16 g=900", "memory=1152",
    "+d128@0 => 1152/900 | 1152 max=4096/16 g=900"},
  {"not-a-multiple", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=1124", "error not-a-multiple"},
  {"one-mib", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=1025", "error not-a-multiple"},
  {"up-to-maximum", "running: 1024 max=2048/16 g=512 d128 | 1152 max=2048/16 g=512", "memory=2048",
    "+d896@0 => 2048/512 | 2048 aside=2048/16 g=512"},
  {"above-maximum", "running: 1024 max=2048/16 | 1024 max=2048/16", "memory=2176", "error memory-above-maximum"},
  /* V8: a maximum raised in the same request does not help a VM that runs. */
  {"maximum-with-it", "running: 1024 max=2048/16 | 1024 max=2048/16", "memory=2176 max=4096",
    "error memory-above-maximum"},
  {"above-maximum-of-next-run", "running: 1024 max=4096/16 | 1024 max=2048/16", "memory=2176",
    "error memory-above-maximum"},
  {"no-free-slot", "running: 1024 max=4096/2 d128 d128 | 1280 max=4096/2", "memory=1408", "error no-free-slot"},
  {"nvdimm-takes-a-slot", "running: 1024 max=4096/1 n256 | 1024 max=4096/1 n256", "memory=1152", "error no-free-slot"},
  {"last-slot", "running: 1024 max=4096/1 g=512 | 1024 max=4096/1 g=512", "memory=1280",
    "+d256@0 => 1280/512 | 1280 max=4096/1 g=512"},
  {"no-maximum", "running: ~1024 | ~1024", "memory=1152", "error not-enabled"},
  {"no-numa", "running: ~1024 max=4096/16 | ~1024 max=4096/16", "memory=1152", "error not-enabled"},
  {"no-slots", "running: 1024 max=4096/0 | 1024 max=4096/0", "memory=1152", "error not-enabled"},
  {"started-with-its-maximum", "running: 2048 aside=2048/16 | 2048 max=4096/16", "memory=2176", "error not-enabled"},
  /* ovirt-wire.md 5.5: the node is always 0. The next run goes along, so that the way back leads to where it began. */
  {"two-cells", "running: 512+512 max=4096/16 g=512 | 512+512 max=4096/16 g=512", "memory=1152",
    "+d128@0 => 1152/512 | 640+512 max=4096/16 g=512"},
  {"its-twin-goes", "running: 512 max=4096/16 d256+#0~a d256!#1~b | 512 max=4096/16 d256#0~a d256#1~b", "memory=768",
    "-dimm0(256) => 768/768 | 512 max=4096/16 d256#1~b"},
  {"and-back", "running: 512+512 max=4096/16 d128 | 640+512 max=4096/16", "memory=1024",
    "-dimm0(128) => 1024/1024 | 512+512 max=4096/16"},
  {"and-back-from-another-node", "running: 512+512+256 max=4096/16 d256@2 | 512+512+512 max=4096/16", "memory=1280",
    "-dimm0(256) => 1280/1280 | 512+512+256 max=4096/16"},
  {"power", "running ppc64: 1024 max=4096/16 g=512 | 1024 max=4096/16 g=512", "memory=1536",
    "+d256@0 +d256@0 => 1536/512 | 1536 max=4096/16 g=512"},
  {"power-not-a-multiple", "running ppc64: 1024 max=4096/16 | 1024 max=4096/16", "memory=1152", "error not-a-multiple"},
  {"nvdimm-takes-room", "running: 1024 max=2048/16 n512 | 1024 max=4096/16 n512", "memory=1792",
    "error memory-above-maximum"},
  {"nvdimm-leaves-room", "running: 1024 max=2048/16 g=512 n512 | 1024 max=4096/16 g=512 n512", "memory=1536",
    "+d128@0 +d384@0 => 1536/512 | 1536 max=4096/16 g=512 n512"},
  /* Where guaranteed is stored nowhere, all memory is guaranteed: what is added as well. */
  {"guaranteed-nowhere", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=1152",
    "+d128@0 => 1152/1152 | 1152 max=4096/16"},
  {"guaranteed-above", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=1152 guaranteed=1153",
    "error guaranteed-above-memory"},
};

static const SetCase equal[] = {
  {"nothing-to-do", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=1024",
    "nothing => 1024/1024 | 1024 max=4096/16"},
  {"guaranteed", "running: 1024 max=4096/16 | 1024 max=4096/16", "guaranteed=512",
    "nothing => 1024/512 | 1024 max=4096/16 g=512"},
  {"guaranteed-up", "running: 1024 max=4096/16 g=512 | 1024 max=4096/16 g=512", "guaranteed=1024",
    "nothing => 1024/1024 | 1024 max=4096/16 g=1024"},
  {"guaranteed-floored", "running: 1024 max=4096/16 | 1024 max=4096/16", "guaranteed=537919487B",
    "nothing => 1024/512 | 1024 max=4096/16 g=512"},
  {"guaranteed-above", "running: 1024 max=4096/16 | 1024 max=4096/16", "guaranteed=1025",
    "error guaranteed-above-memory"},
  {"guaranteed-above-next-run", "running: 1024 max=4096/16 | 512 max=4096/16", "guaranteed=600",
    "error guaranteed-above-memory"},
  {"guaranteed-above-live", "running: 1024 max=4096/16 | 2048 max=4096/16", "guaranteed=1500",
    "error guaranteed-above-memory"},
  {"guaranteed-of-a-vm-not-set-up", "running: ~1024 | ~1024", "guaranteed=512", "nothing => 1024/512 | ~1024 g=512"},
  {"maximum", "running: 1024 max=4096/16 | 1024 max=4096/16", "max=8192", "nothing => 1024/1024 | 1024 max=8192/16"},
  {"maximum-down", "running: 1024 max=4096/16 d256 | 1280 max=4096/16", "max=2048",
    "nothing => 1280/1280 | 1280 max=2048/16"},
  {"maximum-below-memory", "running: 1024 max=4096/16 | 1024 max=4096/16", "max=512", "error memory-above-maximum"},
  {"maximum-of-the-platform", "shut-off: - | 1024 max=4096/16", "max=67108864",
    "nothing => 1024/1024 | 1024 max=67108864/16"},
  {"maximum-above-platform", "running: 1024 max=4096/16 | 1024 max=4096/16", "max=67108865", "error above-platform"},
  {"maximum-not-enabled", "running: ~1024 | ~1024", "max=4096", "error not-enabled"},
  {"maximum-equals-memory", "running: 1024 max=4096/16 | 1024 max=4096/16", "max=1024",
    "nothing => 1024/1024 | 1024 aside=1024/16"},
  {"maximum-kept-aside", "running: 1024 aside=1024/16 | 1024 aside=1024/16", "max=4096",
    "nothing => 1024/1024 | 1024 max=4096/16"},
  {"memory-below-1-mib", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=1048575B", "error size-zero"},
  {"guaranteed-below-1-mib", "running: 1024 max=4096/16 | 1024 max=4096/16", "guaranteed=1B", "error size-zero"},
  {"maximum-below-1-mib", "running: 1024 max=4096/16 | 1024 max=4096/16", "max=0", "error size-zero"},
  {"absurd-memory", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=18446744073709551615B",
    "error memory-above-maximum"},
};

static const SetCase next_run[] = {
  {"lower", "running: " EXAMPLE, "memory=1400 guaranteed=900 next-run",
    "nothing => 1792/1792 | 1400 max=4096/16 g=900"},
  {"higher-unrounded", "running: 1024 max=4096/16 | 1024 max=4096/16", "memory=1501 next-run",
    "nothing => 1024/1024 | 1501 max=4096/16"},
  {"memory-and-maximum", "running: 1024 max=2048/16 | 1024 max=2048/16", "memory=4096 max=8192 next-run",
    "nothing => 1024/1024 | 4096 max=8192/16"},
  {"equals-maximum", "running: 1024 max=2048/16 | 1024 max=2048/16", "memory=2048 next-run",
    "nothing => 1024/1024 | 2048 aside=2048/16"},
  {"above-maximum", "running: 1024 max=2048/16 | 1024 max=2048/16", "memory=2049 next-run",
    "error memory-above-maximum"},
  {"guaranteed-above", "running: 1024 max=2048/16 | 1024 max=2048/16 g=800", "memory=700 next-run",
    "error guaranteed-above-memory"},
  {"guaranteed-above-live-only", "running: 1024 max=2048/16 | 2048 max=4096/16", "guaranteed=2048 next-run",
    "nothing => 1024/1024 | 2048 max=4096/16 g=2048"},
  {"no-maximum-is-no-bound", "running: ~1024 | ~1024", "memory=65536 next-run", "nothing => 1024/1024 | ~65536"},
  {"transient", "running: 1024 max=4096/16 | -", "memory=512 next-run", "error no-next-run"},
  {"two-cells-stay-balanced", "running: 1024+1024 max=8192/16 | 1024+1024 max=8192/16", "memory=1024 next-run",
    "nothing => 2048/2048 | 512+512 max=8192/16"},
  /* decisions.md 4, 5, 6: the newest request wins, what it does not name is left alone. */
  {"pending/newest-wins", "running: 1024 max=4096/16 d256 | 1000 max=4096/16", "memory=1100",
    "nothing => 1280/1280 | 1100 max=4096/16"},
  {"pending/back-to-live", "running: 1024 max=4096/16 d256 | 1024 max=4096/16", "memory=1280",
    "nothing => 1280/1280 | 1280 max=4096/16"},
  {"pending/plain-raise", "running: 1024 max=4096/16 g=512 d128 | 900 max=4096/16 g=512", "memory=1280",
    "+d128@0 => 1280/512 | 1280 max=4096/16 g=512"},
  {"pending/maximum-is-left-alone", "running: 1024 max=4096/16 d256 | 1280 max=8192/16", "memory=1024",
    "-dimm0(256) => 1024/1024 | 1024 max=8192/16"},
  {"pending/memory-is-left-alone", "running: 1024 max=4096/16 | 2000 max=4096/16 g=300", "max=8192",
    "nothing => 1024/1024 | 2000 max=8192/16 g=300"},
  {"pending/guaranteed-only", "running: 1024 max=4096/16 | 800 max=4096/16", "guaranteed=700",
    "nothing => 1024/700 | 800 max=4096/16 g=700"},
  {"pending/again-goes-on", "running: 1024 max=4096/16 d256 d128 | 1024 max=4096/16", "memory=1024",
    "-dimm1(128) -dimm0(256) => 1024/1024 | 1024 max=4096/16"},
  /* Devices of the persistent definition go as in the running VM; the rest comes off boot memory. */
  {"devices/go", "shut-off: - | 1024 max=4096/16 d256 d512", "memory=1024", "nothing => 1024/1024 | 1024 max=4096/16"},
  {"devices/and-boot", "shut-off: - | 1024 max=4096/16 d256 d512", "memory=1200",
    "nothing => 1200/1200 | 944 max=4096/16 d256"},
  {"devices/too-large-for-boot", "shut-off: - | 512 max=8192/16 d4096", "memory=1024",
    "nothing => 1024/1024 | 1024 max=8192/16"},
};

static const SetCase states[] = {
  {"paused/memory", "paused: " EXAMPLE, "memory=1400", "error not-running"},
  {"paused/raise", "paused: " EXAMPLE, "memory=1920", "error not-running"},
  {"paused/guaranteed", "paused: " EXAMPLE, "guaranteed=900", "nothing => 1792/900 | 1792 max=4096/16 g=900"},
  {"paused/maximum", "paused: " EXAMPLE, "max=8192", "nothing => 1792/1792 | 1792 max=8192/16"},
  {"paused/next-run", "paused: " EXAMPLE, "memory=1400 next-run", "nothing => 1792/1792 | 1400 max=4096/16"},
  {"paused/memory-as-it-is", "paused: " EXAMPLE, "memory=1792", "nothing => 1792/1792 | 1792 max=4096/16"},
  {"suspended/memory", "suspended: " EXAMPLE, "memory=1400", "error not-running"},
  {"in-shutdown/memory", "in-shutdown: " EXAMPLE, "memory=1400", "error not-running"},
  {"crashed/memory", "crashed: " EXAMPLE, "memory=1400", "error not-running"},
  {"shut-off/lower", "shut-off: - | 1024 max=4096/16", "memory=512 guaranteed=256",
    "nothing => 512/256 | 512 max=4096/16 g=256"},
  {"shut-off/any-size", "shut-off: - | 1024 max=4096/16", "memory=1025", "nothing => 1025/1025 | 1025 max=4096/16"},
  {"shut-off/above-maximum", "shut-off: - | 1024 max=4096/16", "memory=4097", "error memory-above-maximum"},
  {"shut-off/memory-and-maximum", "shut-off: - | 1024 max=4096/16", "memory=6000 max=8192",
    "nothing => 6000/6000 | 6000 max=8192/16"},
  {"shut-off/guaranteed-above", "shut-off: - | 1024 max=4096/16 g=1000", "memory=999", "error guaranteed-above-memory"},
  {"shut-off/not-enabled", "shut-off: - | ~1024", "memory=8192", "nothing => 8192/8192 | ~8192"},
  {"shut-off/maximum-not-enabled", "shut-off: - | ~1024", "max=8192", "error not-enabled"},
  {"shut-off/maximum-comes-back", "shut-off: - | 4096 aside=4096/16", "memory=2048",
    "nothing => 2048/2048 | 2048 max=4096/16"},
  {"transient/lower", "running: 1024 max=4096/16 d256 | -", "memory=1024 guaranteed=512",
    "-dimm0(256) => 1024/512 | -"},
  {"transient/raise", "running: 1024 max=4096/16 g=512 d128 | -", "memory=1280", "+d128@0 => 1280/512 | -"},
  {"transient/guaranteed", "running: 1024 max=4096/16 | -", "guaranteed=512", "nothing => 1024/512 | -"},
  {"transient/maximum", "running: 1024 max=4096/16 | -", "max=8192", "error no-next-run"},
};

static const SetCase huge_pages[] = {
  {"2-mib", "running: 1024 max=4096/16 page=2 d256 | 1280 max=4096/16 page=2", "memory=1024",
    "-dimm0(256) => 1024/1024 | 1024 max=4096/16 page=2"},
  {"2-mib-odd", "running: 1024 max=4096/16 page=2 d256 | 1280 max=4096/16 page=2", "memory=1025",
    "error not-a-multiple"},
  {"1-gib", "running: 2048 max=8192/16 page=1024 d1024 | 3072 max=8192/16 page=1024", "memory=2048",
    "-dimm0(1024) => 2048/2048 | 2048 max=8192/16 page=1024"},
  {"1-gib-odd", "running: 2048 max=8192/16 page=1024 d1024 | 3072 max=8192/16 page=1024", "memory=2560",
    "error not-a-multiple"},
  {"1-gib-raise-by-the-factor", "running: 2048 max=8192/16 page=1024 | 2048 max=8192/16", "memory=2176",
    "error not-a-multiple"},
  {"1-gib-raise", "running: 2048 max=8192/16 g=512 page=1024 | 2048 max=8192/16 g=512 page=1024", "memory=3072",
    "+d1024@0 => 3072/512 | 3072 max=8192/16 g=512 page=1024"},
};

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  set_table_add("lower", lower, G_N_ELEMENTS(lower));
  set_table_add("raise", raise_by_dimms, G_N_ELEMENTS(raise_by_dimms));
  set_table_add("equal", equal, G_N_ELEMENTS(equal));
  set_table_add("next-run", next_run, G_N_ELEMENTS(next_run));
  set_table_add("state", states, G_N_ELEMENTS(states));
  set_table_add("huge-pages", huge_pages, G_N_ELEMENTS(huge_pages));
  return g_test_run();
}
