/* SPDX-License-Identifier: Apache-2.0 */
/* What a program inside a guest printed, by way of qemu-guest-agent, and the zones as kernels old and new name them. */
#include "facts.h"

#include "base/size.h"
#include "runs_text.h"

/* ---- zones ---- */

static const struct {
  const char *name, *valid_zones;
  DmBlockState state;
  DmZone zone;
} zones[] = {
  {"movable", "Movable", DM_BLOCK_ONLINE, DM_ZONE_MOVABLE},
  {"normal", "Normal", DM_BLOCK_ONLINE, DM_ZONE_KERNEL},
  {"dma", "DMA", DM_BLOCK_ONLINE, DM_ZONE_KERNEL},
  {"dma32", "DMA32", DM_BLOCK_ONLINE, DM_ZONE_KERNEL},
  {"mixed", "none", DM_BLOCK_ONLINE, DM_ZONE_MIXED},
  {"nothing", "", DM_BLOCK_ONLINE, DM_ZONE_UNKNOWN},
  {"going", "Movable", DM_BLOCK_GOING_OFFLINE, DM_ZONE_MOVABLE},
  {"offline", "Normal Movable", DM_BLOCK_OFFLINE, DM_ZONE_MOVABLE},
  {"offline-movable-node", "Movable Normal", DM_BLOCK_OFFLINE, DM_ZONE_MOVABLE},
  {"offline-movable-only", "Movable", DM_BLOCK_OFFLINE, DM_ZONE_MOVABLE},
  {"offline-normal-only", "Normal", DM_BLOCK_OFFLINE, DM_ZONE_KERNEL},
  /* Before 4.13 online blocks at a zone's border name the neighbour as well, their own first. */
  {"old-last-of-normal", "Normal Movable", DM_BLOCK_ONLINE, DM_ZONE_KERNEL},
  {"old-first-of-movable", "Movable Normal", DM_BLOCK_ONLINE, DM_ZONE_MOVABLE},
  {"old-last-of-dma32", "DMA32 Movable", DM_BLOCK_ONLINE, DM_ZONE_KERNEL},
};

static void test_zone(gconstpointer data) {
  const typeof(zones[0]) *c = data;
  g_assert_cmpint(facts_zone(c->valid_zones, c->state), ==, c->zone);
}

/* ---- udev's rules ---- */

#define OURS "SUBSYSTEM==\"memory\", ACTION==\"add\", ATTR{state}==\"offline\", ATTR{state}=\"online_movable\"\n"
#define SUSE                                                                                    \
  "SUBSYSTEM==\"memory\", ACTION==\"add\", PROGRAM==\"/usr/bin/uname -m\", RESULT!=\"s390x\", " \
  "ATTR{state}==\"offline\", ATTR{state}=\"online\"\n"
#define REDHAT                                                                               \
  "SUBSYSTEM!=\"memory\", GOTO=\"memory_hotplug_end\"\nENV{.state}=\"online\"\n"             \
  "PROGRAM=\"/bin/systemd-detect-virt\", RESULT==\"none\", ENV{.state}=\"online_movable\"\n" \
  "ATTR{state}==\"offline\", ATTR{state}=\"$env{.state}\"\nLABEL=\"memory_hotplug_end\"\n"

static const struct {
  const char *name, *text;
  DmFact fact;
} rules[] = {
  {"ours", OURS, DM_FACT_YES},
  {"of-any-event", "ATTR{state}=\"online_movable\" , SUBSYSTEM==\"memory\"", DM_FACT_YES},
  {"empty", "", DM_FACT_NO},
  {"comment", "  # " OURS, DM_FACT_NO},
  {"suse", SUSE, DM_FACT_NO},
  {"redhat", REDHAT, DM_FACT_UNKNOWN},
  {"after-another", SUSE OURS, DM_FACT_UNKNOWN},
  {"before-another", OURS REDHAT, DM_FACT_YES},
  {"jumped-over", "ATTR{[dmi/id]sys_vendor}!=\"Xen\", GOTO=\"end\"\n" OURS, DM_FACT_UNKNOWN},
  {"on-a-condition", "SUBSYSTEM==\"memory\", RESULT==\"none\", ATTR{state}=\"online_movable\"", DM_FACT_UNKNOWN},
  {"of-nothing-certain", "ATTR{state}=\"online_movable\"", DM_FACT_UNKNOWN},
  {"of-something-else", "SUBSYSTEM==\"block\", ATTR{state}=\"online_movable\"", DM_FACT_NO},
  {"twice", "SUBSYSTEM==\"memory\", ATTR{state}=\"online\", ATTR{state}=\"online_movable\"", DM_FACT_NO},
  {"only-asked-for", "SUBSYSTEM==\"memory\", ATTR{state}==\"online_movable\", RUN+=\"/bin/true\"", DM_FACT_NO},
};

static void test_rules(gconstpointer data) {
  const typeof(rules[0]) *c = data;
  g_assert_cmpint(facts_rules(c->text), ==, c->fact);
}

/* A jump ends with its file, a rule's precedence does not. */
static void test_rules_of_files(void) {
  static const char first[] = "rules 10-a\nrule GOTO=\"end\"\n";
  static const char ours[] = "rules 39-b\nrule " OURS;
  static const char suse[] = "rules 40-c\nrule " SUSE;
  g_autoptr(DmGuest) guest = dm_guest_new();
  g_autofree char *good = g_strconcat("rules none\n", first, ours, suse, NULL);
  g_autofree char *late = g_strconcat(suse, ours, NULL);
  facts_take_script(good, guest);
  g_assert_cmpint(guest->udev_rule, ==, DM_FACT_YES);
  facts_take_script(late, guest);
  g_assert_cmpint(guest->udev_rule, ==, DM_FACT_UNKNOWN);
  facts_take_script("kernel 6.1\n", guest);
  g_assert_cmpint(guest->udev_rule, ==, DM_FACT_UNKNOWN);
}

/* ---- the script ---- */

/* Runs as above, then "total/available" in MiB where known. */
static const struct {
  const char *name, *output;
  const char *expected;
} scripts[] = {
  {"whole",
    "kernel 6.1.0\nboot b\nsize 8000000\npolicy offline\nmovable-node no\nrules none\ntotal 1024000\n"
    "available 512000\nblock 00000000 online Normal\nblock 00000001 online none\nblock 00000020 online Movable\n"
    "block 00000021 online Movable\nblock 00000022 offline Normal Movable\nhot-remove yes\n",
    "0+128:ok 128+128:ox 4096+256:om 4352+128:fm 1000/500"},
  {"any-order", "block 21 online Movable\nblock 20 online Movable\nblock 0 online Normal\nsize 8000000\n",
    "0+128:ok 4096+256:om"},
  {"doubled", "size 8000000\nblock 20 online Movable\nblock 20 online Movable\n", "4096+128:om"},
  {"no-zones", "size 8000000\nblock 20 online\nblock 21 offline \n", "4096+128:o? 4224+128:f?"},
  {"going", "size 8000000\nblock 20 going-offline Movable\n", "4096+128:gm"},
  {"no-size", "block 20 online Movable\n", "none"},
  {"size-odd", "size 8000001\nblock 20 online Movable\n", "none"},
  {"size-huge", "size 8000000000000000\nblock 20 online Movable\n", "none"},
  {"size-negative", "size -8000000\nblock 20 online Movable\n", "none"},
  {"size-no-number", "size big\nblock 20 online Movable\n", "none"},
  {"size-twice", "size 8000000\nsize oops\nblock 20 online Movable\n", "4096+128:om"},
  {"odd-blocks",
    "size 8000000\nblock\nblock \nblock 20\nblock x online Movable\nblock -1 online Movable\nblock 100000000 online\n"
    "block 0x30 online\nblock 30  online\nblock 31 burnt Movable\n",
    "6144+128:?k 6272+128:?m"},
  {"last-index", "size 1000000000\nblock ffffffff online\nblock 1 online\n", "65536+65536:o?"},
  {"empty", "", "none"},
  {"odd-lines", "\n\n \nkernel\n  size 8000000\nblock20 online\nBLOCK 20 online\n\tsize 8000000\n", "none"},
  {"crlf", "size 8000000\r\nblock 20 online Movable\r\n", "4096+128:om"},
  {"no-end-of-line", "size 8000000\nblock 20 online Movable", "4096+128:om"},
  {"no-available", "total 1024000\n", "none"},
  {"no-total", "available 1024000\n", "none"},
  {"more-available-than-total", "total 1024000\navailable 2048000\n", "none"},
  {"memory-no-number", "total 1e6\navailable lots\n", "none"},
  {"memory-above-64-bits", "total 18446744073709551615\navailable 1024\n", "none"},
};

static void test_script(gconstpointer data) {
  const typeof(scripts[0]) *c = data;
  g_autoptr(DmGuest) guest = dm_guest_new();
  facts_take_script(c->output, guest);
  g_autofree char *expected = runs_text(guest->runs);
  g_autofree char *memory = guest->memory_source == DM_SOURCE_NONE
    ? NULL
    : g_strdup_printf(" %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, guest->total / DM_MIB, guest->available / DM_MIB);
  g_autofree char *both = g_strconcat(expected, memory, NULL);
  g_assert_cmpstr(both, ==, c->expected);
  g_assert_cmpint(guest->run_source, ==, guest->runs != NULL ? DM_SOURCE_QEMU_AGENT : DM_SOURCE_NONE);
  g_assert_cmpint(guest->memory_source == DM_SOURCE_NONE, ==, guest->total == 0 && guest->available == 0);
}

static void test_script_texts(void) {
  g_autoptr(DmGuest) guest = dm_guest_new();
  guest->kernel = g_strdup("5.10");
  facts_take_script("kernel \x1b[31m\nboot \xff\npolicy \nmovable-node yes\nhot-remove maybe\n", guest);
  g_assert_cmpstr(guest->kernel, ==, "5.10");
  g_assert_null(guest->boot);
  g_assert_null(guest->policy);
  g_assert_cmpint(guest->movable_node, ==, DM_FACT_YES);
  g_assert_cmpint(guest->hot_remove, ==, DM_FACT_NO);
  g_assert_cmpint(guest->udev_rule, ==, DM_FACT_UNKNOWN);
  facts_take_script("kernel 6.1\nboot b\npolicy online\nrules none\n", guest);
  g_assert_cmpstr(guest->kernel, ==, "6.1");
  g_assert_cmpstr(guest->boot, ==, "b");
  g_assert_cmpstr(guest->policy, ==, "online");
  g_assert_cmpint(guest->udev_rule, ==, DM_FACT_NO);
  g_assert_cmpint(guest->system, ==, DM_SOURCE_QEMU_AGENT);
}

/* Pages of the kernel's own zones, and how large one is. */
static void test_script_zones(void) {
  static const struct {
    const char *output;
    uint64_t total, available; /* MiB */
  } cases[] = {
    {"total 1024000\navailable 512000\nzones 128000 25600 4\n", 500, 100},
    {"zones 128000 25600 4\ntotal 1024000\navailable 512000\n", 500, 100},
    {"total 1024000\navailable 512000\nzones 8000 0 64\n", 500, 0},
    {"total 1024000\navailable 512000\nzones 128000 25600 \n", 0, 0},
    {"total 1024000\navailable 512000\nzones 128000 -1 4\n", 0, 0},
    {"total 1024000\navailable 512000\nzones 4294967295 4294967295 1024\n", 0, 0},
    {"zones 128000 25600 4\n", 0, 0},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmGuest) guest = dm_guest_new();
    facts_take_script(cases[i].output, guest);
    g_assert_cmpuint(guest->kernel_total, ==, cases[i].total * DM_MIB);
    g_assert_cmpuint(guest->kernel_available, ==, cases[i].available * DM_MIB);
  }
}

/* Pages of each zone, which make up the nodes. */
static void test_script_nodes(void) {
  static const struct {
    const char *output, *expected;
  } cases[] = {
    {"zone 0 128000 25600 256 512\nzone 0 256 256 0 0\nzone 1 0 0 0 0\nzones 1 1 4\n", "0:501/101/102"},
    {"zone 1 128000 0 256 0\nzone 0 256 256 0 0\nzones 1 1 4\n", "1:500/0/0 0:1/1/1"},
    {"zone 0 128000 25600 256 512\n", ""},
    {"zone 0 128000 25600 256\nzones 1 1 4\n", ""},
    {"zone 1024 128000 25600 256 0\nzones 1 1 4\n", ""},
    {"zone 0 128000 128001 256 0\nzones 1 1 4\n", ""},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmGuest) guest = dm_guest_new();
    facts_take_script(cases[i].output, guest);
    g_autofree char *text = nodes_text(guest);
    g_assert_cmpstr(text, ==, cases[i].expected);
  }
}

/* More blocks than are believed. */
static void test_script_of_too_many(void) {
  g_autoptr(GString) output = g_string_new("size 100000\n");
  for (guint i = 0; i < FACTS_MAX_RUNS + 10; i++)
    g_string_append_printf(output, "block %x online\n", i * 2);
  g_autoptr(DmGuest) guest = dm_guest_new();
  facts_take_script(output->str, guest);
  g_assert_cmpuint(guest->runs->len, ==, FACTS_MAX_RUNS);
}

#define ADD(table, topic, test)                                                              \
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {                                          \
    g_autofree char *path = g_strconcat("/agents-script/" topic "/", (table)[i].name, NULL); \
    g_test_add_data_func(path, &(table)[i], test);                                           \
  }

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  ADD(zones, "zone", test_zone)
  ADD(rules, "rules", test_rules)
  ADD(scripts, "output", test_script)
  g_test_add_func("/agents-script/rules-of-files", test_rules_of_files);
  g_test_add_func("/agents-script/zones", test_script_zones);
  g_test_add_func("/agents-script/nodes", test_script_nodes);
  g_test_add_func("/agents-script/texts", test_script_texts);
  g_test_add_func("/agents-script/too-many", test_script_of_too_many);
  return g_test_run();
}
