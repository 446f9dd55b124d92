/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which dimmer-guest brings blocks online, under the rule of kernels before 4.13: see fake_kernel.h. */
#include "online.h"

#include <glib.h>
#include <string.h>

#include "fake_kernel.h"

static void assert_kernel(const char *expected) {
  g_assert_cmpstr(fake_kernel_text(), ==, expected);
}

static const struct {
  const char *name, *before, *after;
} kernels[] = {
  {"the-first-device", "NNnnnn", "NNMMMM"},
  {"one-block", "NNn", "NNM"},
  {"below-a-movable-zone", "NNnnMM", "NNMMMM"},
  {"above-it", "NNMMmm", "NNMMMM"},
  {"on-both-sides", "NNnnMmMm", "NNMMMMMM"},
  {"all-of-a-node", "nnn", "MMM"},
  {"nothing-to-do", "NNMM", "NNMM"},
  {"below-kernel-memory", "NNnnNnn", "NNnnNMM"},
  {"refused-at-the-end", "NNnnx", "NNnnx"},
  {"refused-in-the-middle", "NNnxn", "NNnxM"},
  {"refused-in-the-movable-zone", "NNnnym", "NNMMyM"},
};

/* All that can come online does, in one go; the rest is known to be stuck. */
static void assert_comes(const char *before, const char *after) {
  Blocks blocks = {.size = 1};
  fake_kernel_set(before);
  fake_kernel_tell(&blocks);
  online_new(&blocks);
  assert_kernel(after);
  g_assert_cmpint(blocks.stuck, ==, strpbrk(after, "nxy") != NULL);
  blocks_clear(&blocks);
}

static void test_kernel(gconstpointer data) {
  const typeof(kernels[0]) *c = data;
  assert_comes(c->before, c->after);
}

/* What refused for a while holds the others up for no longer than that. */
static void test_refused_for_a_while(void) {
  Blocks blocks = {.size = 1};
  fake_kernel_set("NNnnxnn");
  fake_kernel_tell(&blocks);
  online_new(&blocks);
  assert_kernel("NNnnxMM");
  fake_kernel_set("NNnnnMM");
  online_new(&blocks);
  assert_kernel("NNMMMMM");
  g_assert_false(blocks.stuck);
  blocks_clear(&blocks);
}

/* A block of the kernel's own zone that we took offline comes back, if not as movable, then as it was. */
static void test_back_where_it_was(void) {
  Blocks blocks = {.size = 1};
  uint32_t left;
  fake_kernel_set("nnNny");
  fake_kernel_tell(&blocks);
  blocks_flag(&blocks, FAKE_FIRST + 1, FAKE_FIRST + 4, BLOCK_OURS | BLOCK_SEEN, 0);
  g_assert_false(online_put_back(&blocks, FAKE_FIRST, FAKE_FIRST + 4, &left));
  assert_kernel("nNNMy"); /* the first is not ours */
  g_assert_cmpuint(left, ==, FAKE_FIRST + 4);
  blocks_clear(&blocks);
}

/* The kernel has all blocks of a device before it lets one come online, but it may tell of them in any order. */
static void tell_in_order(const uint32_t *order, uint32_t count) {
  Blocks blocks = {.size = 1};
  fake_kernel_set("nnnnn");
  for (uint32_t i = 0; i < count; i++) {
    blocks_add(&blocks, FAKE_FIRST + order[i]);
    online_new(&blocks);
  }
  assert_kernel("MMMMM");
  blocks_clear(&blocks);
}

static void test_any_order(void) {
  uint32_t order[5];
  for (uint32_t number = 0; number < 3125; number++) {
    uint32_t seen = 0, rest = number;
    for (guint i = 0; i < 5; i++, rest /= 5)
      seen |= 1U << (order[i] = rest % 5);
    if (seen == 31)
      tell_in_order(order, 5);
  }
}

/* Whatever was there before: no order gets more online than all above the last block that the kernel itself uses. */
static void test_every_kernel(void) {
  for (int movable_from = 0; movable_from <= 8; movable_from++) {
    for (int online = 0; online < 256; online++) {
      char before[9] = "", after[9] = "";
      gboolean reachable = TRUE;
      for (int i = 7; i >= 0; i--) {
        before[i] = (i < movable_from ? "nN" : "mM")[online >> i & 1];
        reachable &= before[i] != 'N';
        after[i] = reachable ? 'M' : before[i];
      }
      assert_comes(before, after);
    }
  }
}

/* A large device takes one pass. */
static void test_one_try_each(void) {
  Blocks blocks = {.size = 1};
  char text[FAKE_BLOCKS + 1] = "";
  memset(text, 'n', FAKE_BLOCKS);
  fake_kernel_set(text);
  fake_kernel_tell(&blocks);
  online_new(&blocks);
  g_assert_cmpuint(fake_kernel_tries(), ==, FAKE_BLOCKS);
  blocks_clear(&blocks);
}

/* Before a block has a node its zone is not read; nor is another block's taken for it. */
static void test_unsettled(void) {
  Blocks blocks = {0};
  BlockRun run;
  size_t index = 0;
  fake_kernel_set("mM");
  fake_kernel_unsettled = true;
  blocks_scan(&blocks);
  g_assert_true(blocks_next_run(&blocks, &index, &run));
  g_assert_cmpint(run.look.state, ==, BLOCK_OFFLINE);
  g_assert_cmpint(run.look.zone, ==, ZONE_UNKNOWN);
  fake_kernel_unsettled = false;
  index = 0;
  g_assert_true(blocks_next_run(&blocks, &index, &run));
  g_assert_cmpint(run.look.zone, ==, ZONE_MOVABLE);
  blocks_clear(&blocks);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(kernels); i++) {
    g_autofree char *path = g_strconcat("/guest-online/", kernels[i].name, NULL);
    g_test_add_data_func(path, &kernels[i], test_kernel);
  }
  g_test_add_func("/guest-online/refused-for-a-while", test_refused_for_a_while);
  g_test_add_func("/guest-online/back-where-it-was", test_back_where_it_was);
  g_test_add_func("/guest-online/any-order", test_any_order);
  g_test_add_func("/guest-online/every-kernel", test_every_kernel);
  g_test_add_func("/guest-online/one-try-each", test_one_try_each);
  g_test_add_func("/guest-online/unsettled", test_unsettled);
  return g_test_run();
}
