/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/next_run.h"

#include "base/error.h"
#include "base/size.h"
#include "notation.h"

typedef struct {
  const char *name, *persistent;
  const char *values; /* "MEMORY GUARANTEED MAXIMUM SLOTS", sizes in MiB, 0: leaves that one alone */
  const char *hint;   /* NULL, or the device as notation.h has it */
  const char *expected;
} Case;

static const Case cells[] = {
  {"less", "1024 max=4096/16", "1000 0 0 0", NULL, "1000 max=4096/16"},
  {"less-without-numa", "~1024", "1000 0 0 0", NULL, "~1000"},
  {"more", "1024 max=4096/16", "1025 0 0 0", NULL, "1025 max=4096/16"},
  {"more-without-numa", "~1024", "999999 0 0 0", NULL, "~999999"},
  {"equal", "1024 max=4096/16", "1024 0 0 0", NULL, "1024 max=4096/16"},
  {"nothing-named", "1024+512 max=4096/16 g=900 d128", "0 0 0 0", NULL, "1024+512 max=4096/16 g=900 d128"},
  /* From the largest NUMA cell first, so that cells stay balanced. */
  {"largest-first", "512+1024 max=4096/16", "1280 0 0 0", NULL, "512+768 max=4096/16"},
  {"then-both", "512+1024 max=4096/16", "768 0 0 0", NULL, "384+384 max=4096/16"},
  {"three", "1000+600+200 max=4096/16", "900 0 0 0", NULL, "350+350+200 max=4096/16"},
  {"down-to-one-step", "1024+1+512 max=4096/16", "3 0 0 0", NULL, "1+1+1 max=4096/16"},
  {"below-one-step", "1024+1+512 max=4096/16", "2 0 0 0", NULL, "error size-zero"},
  {"more-in-proportion", "512+1024 max=4096/16", "2000 0 0 0", NULL, "667+1333 max=4096/16"},
  {"down-and-up-again", "300+300 max=4096/16", "1200 0 0 0", NULL, "600+600 max=4096/16"},
  {"a-small-cell", "512+1 max=4096/16", "514 0 0 0", NULL, "513+1 max=4096/16"},
  {"huge-pages", "4096+4096 max=16384/16 page=1024", "5120 0 0 0", NULL, "2048+3072 max=16384/16 page=1024"},
  {"huge-pages-not-a-multiple", "4096 max=16384/16 page=1024", "3000 0 0 0", NULL, "error not-a-multiple"},
  {"huge-pages-by-node", "1024+512 max=16384/16 page=1024+2", "2048 0 0 0", NULL, "1024+1024 max=16384/16 page=1024+2"},
  {"huge-pages-by-node-what-it-has", "1024+512 max=16384/16 page=1024+2", "1536 0 0 0", NULL,
    "1024+512 max=16384/16 page=1024+2"},
  {"huge-pages-by-node-less", "4096+512 max=16384/16 page=1024+2", "2008 0 0 0", NULL,
    "1024+984 max=16384/16 page=1024+2"},
  {"huge-pages-by-node-below", "1024+512 max=16384/16 page=1024+2", "1024 0 0 0", NULL, "error size-zero"},
  {"huge-pages-of-one-node", "512+1024 max=16384/16 page=0+1024", "1537 0 0 0", NULL,
    "513+1024 max=16384/16 page=0+1024"},
  {"power", "512+512 max=16384/16 step=256", "768 0 0 0", NULL, "256+512 max=16384/16 step=256"},
  {"huge-pages-below-one", "1024+1024 page=1024", "1024 0 0 0", NULL, "error size-zero"},
};

static const Case devices[] = {
  {"go-first", "1024 max=4096/16 d256 d128", "1024 0 0 0", NULL, "1024 max=4096/16"},
  {"some-go", "1024 max=4096/16 d256 d128", "1152 0 0 0", NULL, "1024 max=4096/16 d128"},
  {"and-boot-the-rest", "1024 max=4096/16 d256 d128", "1100 0 0 0", NULL, "972 max=4096/16 d128"},
  {"all-and-boot", "1024 max=4096/16 d256 d128", "512 0 0 0", NULL, "512 max=4096/16"},
  {"stay-when-more", "1024 max=4096/16 d256", "1500 0 0 0", NULL, "1244 max=4096/16 d256"},
  {"larger-than-what-goes", "512 max=8192/16 d4096", "1024 0 0 0", NULL, "1024 max=8192/16"},
  {"traded-for-boot", "512+512 max=8192/16 d4096", "2000 0 0 0", NULL, NULL},
  {"smallest-is-traded", "512 max=16384/16 d4096 d8192", "9000 0 0 0", NULL, "808 max=16384/16 d8192"},
  {"virtio-mem-grows-before-boot", "1024 max=2048/16 v1024:0:2", "1280 0 0 0", NULL, "1024 max=2048/16 v1024:256:2"},
  {"less-than-a-block-is-boot", "1024 max=2304/16 v1024:0:2", "1537 0 0 0", NULL, "1025 max=2304/16 v1024:512:2"},
  {"virtio-mem-then-boot", "1024 max=4096/16 v512:128:2", "2048 0 0 0", NULL, "1536 max=4096/16 v512:512:2"},
  {"virtio-mem-of-two-nodes", "512+512 max=4096/16 v512:0:2 v1536:0:2@1", "1536 0 0 0", NULL,
    "512+512 max=4096/16 v512:128:2 v1536:384:2@1"},
  {"virtio-mem-cannot-hold-it", "1024 max=2048/16 v1024:0:2", "2049 0 0 0", NULL, "error memory-above-maximum"},
  {"virtio-mem-lowered", "1024 max=4096/16 v1024:512:2", "1280 0 0 0", NULL, "1024 max=4096/16 v1024:256:2"},
  {"dimm-before-virtio-mem", "1024 max=4096/16 v1024:512:2 d256", "1500 0 0 0", NULL, "1024 max=4096/16 v1024:476:2"},
  {"virtio-mem-and-boot", "1024 max=4096/16 v1024:512:2", "1001 0 0 0", NULL, "1001 max=4096/16 v1024:0:2"},
  {"nvdimm-stays", "1024 max=4096/16 n256", "512 0 0 0", NULL, "512 max=4096/16 n256"},
};

/* The like of a device that was just plugged or unplugged goes first; else the cell of its node takes the difference.
 */
static const Case hints[] = {
  {"same-backing", "1024 max=4096/16 d256#0~shared d256#1~private", "1280 0 0 0", "dimm0=d256#0~shared",
    "1024 max=4096/16 d256#1~private"},
  {"same-backing-behind", "1024 max=4096/16 d256#0~shared d256#1~private", "1280 0 0 0", "dimm1=d256#1~private",
    "1024 max=4096/16 d256#0~shared"},
  {"same-slot", "1024 max=4096/16 d256#0~x d256#1~x d256#2~x", "1536 0 0 0", "dimm1=d256#1~x",
    "1024 max=4096/16 d256#0~x d256#2~x"},
  {"other-slot", "1024 max=4096/16 d256#0~x", "1024 0 0 0", "dimm1=d256#1~x", "768 max=4096/16 d256#0~x"},
  {"other-backing", "1024 max=4096/16 d256#0~shared", "1024 0 0 0", "dimm0=d256#0~x", "768 max=4096/16 d256#0~shared"},
  {"in-doubt-and-boot-memory-cannot", "128 max=4096/16 d256#0~x", "128 0 0 0", "dimm1=d256#1~x", "error ambiguous"},
  {"of-a-device-that-stays", "1024 max=4096/16 d256#0~x", "1024 0 0 0", "dimm1=d256#1~x dimm0=d256#0~x",
    "768 max=4096/16 d256#0~x"},
  {"cells-before-other-devices", "1024+128 max=4096/16 d256#0~x", "1152 0 0 0", "ua-a=d256@1",
    "768+128 max=4096/16 d256#0~x"},
  {"same-alias", "1024 max=4096/16 ua-a=d256 ua-b=d256", "1280 0 0 0", "ua-a=d256", "1024 max=4096/16 ua-b=d256"},
  {"same-alias-before-same-size", "1024 max=4096/16 d256 ua-a=d256", "1280 0 0 0", "ua-a=d256",
    "1024 max=4096/16 d256"},
  {"same-size-and-node", "512+512 max=4096/16 d256@1 d256#1~x", "1280 0 0 0", "dimm5=d256#1~x",
    "512+512 max=4096/16 d256@1"},
  {"same-size-and-node-first", "512+512 max=4096/16 d256 d256@1", "1280 0 0 0", "dimm5=d256",
    "512+512 max=4096/16 d256@1"},
  {"same-size-only", "512+512 max=4096/16 d256@1", "1024 0 0 0", "dimm5=d256", "256+512 max=4096/16 d256@1"},
  {"other-alias", "1280 max=4096/16 ua-a=d256", "1280 0 0 0", "ua-b=d256", "1024 max=4096/16 ua-a=d256"},
  {"other-size", "1024 max=4096/16 d128 d128", "1024 0 0 0", "dimm5=d256", "768 max=4096/16 d128 d128"},
  {"node-gives", "1024+1024 max=4096/16", "1792 0 0 0", "dimm5=d256@1", "1024+768 max=4096/16"},
  {"node-cannot-give-all", "1024+128 max=4096/16", "896 0 0 0", "dimm5=d256@1", NULL},
  {"node-takes", "1024+1024 max=4096/16", "2304 0 0 0", "dimm5=d256@1", "1024+1280 max=4096/16"},
  {"no-such-node", "1024 max=4096/16", "1280 0 0 0", "dimm5=d256@3", "1280 max=4096/16"},
  {"virtio-mem-first", "1024 max=4096/16 d256 v1024:512:2", "1536 0 0 0", "virtiomem0=v1024:256/256:2",
    "1024 max=4096/16 d256 v1024:256:2"},
  {"virtio-mem-of-the-same-alias", "1024 max=8192/16 ua-a=v1024:512:2 ua-b=v1024:512:2", "1792 0 0 0",
    "ua-a=v1024:256/256:2", "1024 max=8192/16 ua-a=v1024:256:2 ua-b=v1024:512:2"},
};

static const Case maximum[] = {
  {"changed", "1024 max=4096/16", "0 0 8192 0", NULL, "1024 max=8192/16"},
  {"with-slots", "1024 max=4096/16", "0 0 8192 32", NULL, "1024 max=8192/32"},
  {"new-cell", "~1024", "0 0 4096 16", NULL, "1024 max=4096/16"},
  {"below-memory", "1024 max=4096/16", "0 0 1000 0", NULL, "error memory-above-maximum"},
  {"memory-above", "1024 max=4096/16", "4097 0 0 0", NULL, "error memory-above-maximum"},
  {"both", "1024 max=4096/16", "6000 0 8192 0", NULL, "6000 max=8192/16"},
  /* QEMU does not start with boot memory and maximum equal. */
  {"kept-aside", "1024 max=4096/16 g=900", "4096 0 0 0", NULL, "4096 aside=4096/16 g=900"},
  {"kept-aside-by-maximum", "1024 max=4096/16", "0 0 1024 0", NULL, "1024 aside=1024/16"},
  {"stays-aside", "4096 aside=4096/16", "0 100 0 0", NULL, "4096 aside=4096/16 g=100"},
  {"brought-back", "4096 aside=4096/16", "4095 0 0 0", NULL, "4095 max=4096/16"},
  {"above-what-is-aside", "4096 aside=4096/16", "4097 0 0 0", NULL, "error memory-above-maximum"},
  {"new-one-for-what-is-aside", "4096 aside=4096/16", "0 0 8192 0", NULL, "4096 max=8192/16"},
  {"not-aside-with-devices", "1024 max=2048/16 d512", "2048 0 0 0", NULL, "1536 max=2048/16 d512"},
  {"virtio-mem-counts-in-full", "1024 max=2048/16 v512:0:2", "2049 0 0 0", NULL, "error memory-above-maximum"},
  {"virtio-mem-counts-in-full-and-fits", "1024 max=2048/16 v512:0:2", "2048 0 0 0", NULL,
    "1536 max=2048/16 v512:512:2"},
  {"guaranteed", "1024 max=2048/16", "0 512 0 0", NULL, "1024 max=2048/16 g=512"},
};

/* Set up to shrink: all above the floors is devices, and what is less than a block is boot memory. */
static const Case floors[] = {
  {"new-device", "1024 max=4096/16 floor=512", "1024 0 0 0", NULL, "512 max=4096/16 floor=512 v3584:512:2"},
  {"less-than-a-block", "1024 max=4096/16 floor=512", "901 0 0 0", NULL, "513 max=4096/16 floor=512 v3456:388:2"},
  {"and-back", "513 max=4096/16 floor=512 ua-a=v3456:388:2", "902 0 0 0", NULL,
    "512 max=4096/16 floor=512 ua-a=v3584:390:2"},
  {"less", "512 max=4096/16 floor=512 ua-a=v3584:512:2", "769 0 0 0", NULL,
    "513 max=4096/16 floor=512 ua-a=v3456:256:2"},
  {"floor", "512 max=4096/16 floor=512 ua-a=v3584:512:2", "512 0 0 0", NULL,
    "512 max=4096/16 floor=512 ua-a=v3584:0:2"},
  {"below", "512 max=4096/16 floor=512 ua-a=v3584:512:2", "300 0 0 0", NULL,
    "300 max=4096/16 floor=512 ua-a=v3584:0:2"},
  {"up-from-below", "300 max=4096/16 floor=512 ua-a=v3584:0:2", "600 0 0 0", NULL,
    "512 max=4096/16 floor=512 ua-a=v3584:88:2"},
  {"maximum", "512 max=4096/16 floor=512 ua-a=v3584:512:2", "4096 0 0 0", NULL,
    "512 max=4096/16 floor=512 ua-a=v3584:3584:2"},
  {"a-step-below-the-maximum", "512 max=4096/16 floor=512 ua-a=v3584:512:2", "4095 0 0 0", NULL,
    "639 max=4096/16 floor=512 ua-a=v3456:3456:2"},
  {"no-whole-unit-above", "512 max=1100/16 floor=512", "1000 0 0 0", NULL, "512 max=1100/16 floor=512 v512:488:2"},
  {"above-the-maximum", "512 max=4096/16 floor=512 ua-a=v3584:512:2", "4097 0 0 0", NULL, "error memory-above-maximum"},
  {"new-maximum", "512 max=4096/16 floor=512 ua-a=v3584:512:2", "0 0 8192 0", NULL,
    "512 max=8192/16 floor=512 ua-a=v7680:512:2"},
  {"lower-maximum", "512 max=4096/16 floor=512 ua-a=v3584:512:2", "0 0 2048 0", NULL,
    "512 max=2048/16 floor=512 ua-a=v1536:512:2"},
  {"two-nodes", "1024+2048 max=8192/16 floor=512+1024", "3072 0 0 0", NULL,
    "512+1024 max=8192/16 floor=512+1024 v2176:512:2 v4352:1024:2@1"},
  {"huge-pages", "4096 max=16384/16 page=1024 floor=1024", "3072 0 0 0", NULL,
    "1024 max=16384/16 page=1024 floor=1024 v15360:2048:1024"},
  {"large-blocks", "65536 max=262144/16 floor=65536", "81920 0 0 0", NULL,
    "65536 max=262144/16 floor=65536 v196608:16384:2"},
  {"other-devices", "512 max=4096/16 floor=512 n256 d256", "1024 0 0 0", NULL,
    "512 max=4096/16 floor=512 n256 d256 v3072:256:2"},
  {"dimms", "1024 max=4096/16 floor=512/dimm", "1408 0 0 0", NULL, "512 max=4096/16 floor=512/dimm d128 d256 d512"},
  {"dimms-and-less-than-one", "1024 max=4096/16 floor=512/dimm", "900 0 0 0", NULL,
    "516 max=4096/16 floor=512/dimm d128 d256"},
  {"dimms-less", "512 max=4096/16 floor=512/dimm d128 d256 d512", "1280 0 0 0", NULL,
    "512 max=4096/16 floor=512/dimm d256 d512"},
  {"a-dimm-is-split", "512 max=4096/16 floor=512/dimm d512", "896 0 0 0", NULL,
    "512 max=4096/16 floor=512/dimm d128 d256"},
  {"dimms-without-slots", "1024 max=4096/2 floor=512/dimm", "1408 0 0 0", NULL,
    "512 max=4096/2 floor=512/dimm d128 d768"},
  {"dimms-and-no-slot", "512 max=4096/1 floor=512/dimm ua-a=d128", "1024 0 0 0", NULL,
    "896 max=4096/1 floor=512/dimm ua-a=d128"},
  {"dimms-of-two-nodes", "1024+1024 max=8192/16 floor=512+512/dimm", "1536 0 0 0", NULL,
    "512+512 max=8192/16 floor=512+512/dimm d128 d128 d256@1"},
  {"block-of-other-tools", "512 max=4480/16 floor=512 v2048:512:512", "2048 0 0 0", NULL,
    "512 max=4480/16 floor=512 v3584:1536:512"},
  {"maximum-at-the-floor", "512 max=4096/16 floor=512 ua-a=v3584:0:2", "512 0 512 0", NULL,
    "512 aside=512/16 floor=512"},
  {"maximum-below-the-floor", "2048 max=8192/16 floor=2048 ua-a=v6144:0:2", "1024 0 1024 0", NULL,
    "1024 aside=1024/16 floor=2048"},
  {"beyond-the-hole", "65536 max=262144/32 floor=63488/dimm", "65536 0 0 0", NULL,
    "63488 max=262144/32 floor=63488/dimm d2048"},
  {"virtio-mem-of-other-tools-is-left", "512 max=4096/16 floor=512/dimm v1024:0:2", "768 0 0 0", NULL,
    "512 max=4096/16 floor=512/dimm v1024:0:2 d128 d128"},
  {"power", "1024 max=16384/16 step=256 floor=512/dimm", "1536 0 0 0", NULL,
    "512 max=16384/16 step=256 floor=512/dimm d256 d512 d256"},
};

/* The definition goes along with its own devices. */
static const Case floor_hints[] = {
  {"own-device-grows", "512 max=4096/16 floor=512 ua-a=v3584:512:2", "1280 0 0 0", "ua-a=v3584:768/768:2",
    "512 max=4096/16 floor=512 ua-a=v3584:768:2"},
  {"dimm-is-plugged", "512 max=4096/16 floor=512 ua-a=v3584:0:2", "768 0 0 0", "ua-b=d256",
    "512 max=4096/16 floor=512 ua-a=v3584:256:2"},
  {"node-of-the-dimm", "512+512 max=8192/16 floor=512+512 ua-a=v3584:0:2 ua-b=v3584:0:2@1", "1280 0 0 0", "ua-c=d256@1",
    "512+512 max=8192/16 floor=512+512 ua-a=v3584:0:2 ua-b=v3584:256:2@1"},
  {"node-of-what-went", "512+512 max=8192/16 floor=512+512 ua-a=v3584:256:2 ua-b=v3584:256:2@1", "1280 0 0 0",
    "ua-c=d256@1", "512+512 max=8192/16 floor=512+512 ua-a=v3584:256:2 ua-b=v3584:0:2@1"},
  {"dimm-among-dimms", "512 max=4096/16 floor=512/dimm ua-a=d128", "1152 0 0 0", "ua-b=d512",
    "512 max=4096/16 floor=512/dimm ua-a=d128 d512"},
  {"in-doubt", "512 max=4096/16 floor=512/dimm d256#0~x", "512 0 0 0", "dimm1=d256#1~x", "error ambiguous"},
  {"own-dimm-goes", "512 max=4096/16 floor=512/dimm ua-a=d256 ua-b=d256", "768 0 0 0", "ua-a=d256",
    "512 max=4096/16 floor=512/dimm ua-b=d256"},
};

static uint64_t spread(const DmConfig *config) {
  uint64_t least = UINT64_MAX, most = 0;
  for (guint i = 0; i < config->cells->len; i++) {
    least = MIN(least, g_array_index(config->cells, uint64_t, i));
    most = MAX(most, g_array_index(config->cells, uint64_t, i));
  }
  return most - least;
}

/* All cells shrink or all grow; where they shrink they do not come to lie further apart. */
static void check_cells(const DmConfig *before, const DmConfig *after) {
  gboolean shrunk = dm_config_boot(after) <= dm_config_boot(before), alike = TRUE;
  g_assert_cmpuint(after->cells->len, ==, before->cells->len);
  for (guint i = 0; i < after->cells->len; i++) {
    uint64_t page = dm_config_page(before, (int)i);
    alike &= page == dm_config_page(before, 0);
    g_assert_cmpuint(page != 0 ? g_array_index(after->cells, uint64_t, i) % page : 0, ==, 0);
  }
  if (!alike) /* then one of smaller pages may take what others cannot */
    return;
  for (guint i = 0; i < after->cells->len; i++) {
    uint64_t now = g_array_index(after->cells, uint64_t, i), then = g_array_index(before->cells, uint64_t, i);
    g_assert_cmpuint(now, >=, DM_MIB);
    g_assert_cmpuint(now % DM_MIB, ==, 0);
    if (shrunk)
      g_assert_cmpuint(now, <=, then);
    else
      g_assert_cmpuint(now, >=, then);
  }
  if (shrunk)
    g_assert_cmpuint(spread(after), <=, MAX(spread(before), MAX(before->step, dm_config_largest_page(before))));
}

static DmValues values_from(const char *text) {
  g_auto(GStrv) words = g_strsplit(text, " ", 4);
  return (DmValues){.memory = g_ascii_strtoull(words[0], NULL, 10) * DM_MIB,
    .guaranteed = g_ascii_strtoull(words[1], NULL, 10) * DM_MIB,
    .maximum = g_ascii_strtoull(words[2], NULL, 10) * DM_MIB,
    .slots = (guint)g_ascii_strtoull(words[3], NULL, 10)};
}

static void free_step(gpointer step) {
  dm_step_free(step);
}

/* The whole difference came to, or went from, that device, the first one of the hint. */
static DmStep *step_of(const DmMemoryDevice *device, uint64_t before, uint64_t after) {
  DmStep *step = dm_step_new(DM_OP_RESIZE, device);
  step->from = dm_size_minus(before, after);
  step->to = dm_size_minus(after, before);
  return step;
}

static void test_case(gconstpointer data) {
  const Case *c = data;
  GError *error = NULL;
  DmValues values = values_from(c->values);
  g_autoptr(DmConfig) persistent = config_from(c->persistent, FALSE);
  g_autofree char *spelled = g_strconcat("1 ", c->hint != NULL ? c->hint : "", NULL);
  g_autoptr(DmConfig) live = c->hint != NULL ? config_from(spelled, TRUE) : NULL;
  g_autoptr(GPtrArray) steps = g_ptr_array_new_with_free_func(free_step);
  if (live != NULL)
    g_ptr_array_add(steps, step_of(live->devices->pdata[0], dm_config_memory(persistent), values.memory));
  DmTrail trail = {.steps = steps, .live = live, .follows = TRUE};
  g_autoptr(DmConfig) next = dm_plan_next_run(persistent, &values, &trail, "web1", &error);
  gboolean well = error == NULL;
  g_autofree char *text = text_or_error_take(next != NULL ? config_text(next) : NULL, error);
  if (c->expected != NULL)
    g_assert_cmpstr(text, ==, c->expected);
  else /* any way, as long as the values are right */
    g_assert_true(well);
  if (well && values.memory != 0)
    g_assert_cmpuint(dm_config_memory(next), ==, values.memory);
  if (well && c->hint == NULL && persistent->floors->len == 0)
    check_cells(persistent, next);

  g_autofree char *after = config_text(persistent);
  g_assert_cmpstr(after, ==, c->persistent);
}

/* ---- properties ---- */

static char *random_persistent(GRand *rand) {
  GString *text = g_string_new(NULL);
  for (int i = g_rand_int_range(rand, 1, 5); i > 0; i--)
    g_string_append_printf(text, "%d%s", g_rand_int_range(rand, 1, 3000), i > 1 ? "+" : "");
  g_string_append_printf(text, " max=%d/16", g_rand_int_range(rand, 4000, 30000));
  for (int i = g_rand_int_range(rand, 0, 4); i > 0; i--)
    g_string_append_printf(text, " d%d", 64 << g_rand_int_range(rand, 0, 7));
  if (g_rand_boolean(rand))
    g_string_append_printf(text, " v1024:%d:2", 2 * g_rand_int_range(rand, 0, 500));
  return g_string_free(text, FALSE);
}

/* Memory is exactly what was asked for, or there is a rule against it; and once more changes nothing. */
static void check_random(const char *text, uint64_t memory) {
  g_autoptr(DmConfig) before = config_from(text, FALSE);
  DmValues values = {.memory = memory};
  g_autoptr(GError) error = NULL;
  g_autoptr(DmConfig) after = dm_plan_next_run(before, &values, NULL, "web1", &error);
  if (after == NULL) {
    g_assert_cmpuint(error->domain, ==, DM_ERROR);
    if (error->code == DM_ERROR_SIZE_ZERO)
      g_assert_cmpuint(memory, <, before->cells->len * DM_MIB);
    else
      g_assert_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM);
    return;
  }
  g_assert_cmpuint(dm_config_memory(after), ==, memory);
  g_assert_cmpuint(dm_config_maximum(after), ==, dm_config_maximum(before));
  check_cells(before, after);
  g_autoptr(DmConfig) again = dm_plan_next_run(after, &values, NULL, "web1", NULL);
  g_autofree char *once = config_text(after), *twice = config_text(again);
  g_assert_cmpstr(twice, ==, once);
}

static void test_random(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(20250317);
  for (guint round = 0; round < 5000 && !g_test_failed(); round++) {
    g_autofree char *text = random_persistent(rand);
    uint64_t memory = (uint64_t)g_rand_int_range(rand, 1, 12000) * DM_MIB;
    check_random(text, memory);
    if (g_test_failed())
      g_test_message("%s to %" G_GUINT64_FORMAT " MiB", text, memory / DM_MIB);
  }
}

/* What of @config is boot memory above its floors. */
static uint64_t above_floors(const DmConfig *config) {
  return dm_size_minus(dm_config_boot(config), dm_config_floor(config));
}

/* Start after start, all above the floors is devices, but for what is less than a block or has no room in one. */
static void check_random_floor(const char *text, uint64_t memory) {
  g_autoptr(DmConfig) before = config_from(text, FALSE);
  DmValues values = {.memory = memory};
  g_autoptr(GError) error = NULL;
  g_autoptr(DmConfig) after = dm_plan_next_run(before, &values, NULL, "web1", &error);
  gboolean virtio = before->floor_kind == DM_DEVICE_VIRTIO_MEM;
  if (after == NULL) {
    g_assert_cmpuint(memory, >, before->maximum);
    return;
  }
  g_assert_cmpuint(dm_config_memory(after), ==, memory);
  g_assert_cmpuint(memory, <=, before->maximum);
  g_assert_cmpuint(above_floors(after), <, (virtio && memory + 512 * DM_MIB < before->maximum ? 6 : 640) * DM_MIB);
  if (memory >= dm_config_floor(after))
    g_assert_cmpuint(dm_config_boot(after), >=, dm_config_floor(after));
  g_autoptr(DmConfig) again = dm_plan_next_run(after, &values, NULL, "web1", NULL);
  g_assert_cmpuint(dm_config_boot(again), ==, dm_config_boot(after));
  g_assert_cmpuint(again->devices->len, ==, after->devices->len);
  for (guint i = 0; i < after->devices->len; i++) {
    const DmMemoryDevice *one = after->devices->pdata[i], *other = again->devices->pdata[i];
    g_assert_cmpstr(one->alias, ==, other->alias);
    g_assert_cmpuint(one->size, ==, other->size);
    g_assert_cmpuint(one->requested, ==, other->requested);
  }
}

static void test_random_floor(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(20261130);
  for (guint round = 0; round < 3000 && !g_test_failed(); round++) {
    g_autoptr(GString) text = g_string_new(NULL);
    int count = g_rand_int_range(rand, 1, 4), boot = g_rand_int_range(rand, 512, 1500);
    for (int i = 0; i < count; i++)
      g_string_append_printf(text, "%s%d", i > 0 ? "+" : "", boot);
    g_string_append_printf(text, " max=%d/64 floor=", g_rand_int_range(rand, 6000, 30000));
    for (int i = 0; i < count; i++)
      g_string_append_printf(text, "%s%d", i > 0 ? "+" : "", g_rand_int_range(rand, 128, 1024));
    g_string_append(text, g_rand_boolean(rand) ? "/dimm" : "");
    uint64_t memory = (uint64_t)g_rand_int_range(rand, 512, 31000) * DM_MIB;
    check_random_floor(text->str, memory);
    if (g_test_failed())
      g_test_message("%s to %" G_GUINT64_FORMAT " MiB", text->str, memory / DM_MIB);
  }
}

static void add(const char *group, const Case *cases, gsize count) {
  for (gsize i = 0; i < count; i++) {
    g_autofree char *path = g_strdup_printf("/next-run/%s/%s", group, cases[i].name);
    g_test_add_data_func(path, &cases[i], test_case);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  add("cells", cells, G_N_ELEMENTS(cells));
  add("devices", devices, G_N_ELEMENTS(devices));
  add("hints", hints, G_N_ELEMENTS(hints));
  add("maximum", maximum, G_N_ELEMENTS(maximum));
  add("floors", floors, G_N_ELEMENTS(floors));
  add("floor-hints", floor_hints, G_N_ELEMENTS(floor_hints));
  g_test_add_func("/next-run/random-floor", test_random_floor);
  g_test_add_func("/next-run/random", test_random);
  return g_test_run();
}
