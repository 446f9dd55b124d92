/* SPDX-License-Identifier: Apache-2.0 */
/* A wish as data: what it prints, that a copy is equal and its own, that any other value makes it another. */
#include "plan/wish.h"

#include <string.h>

#include "base/size.h"

static char *devices[] = {(char *)"3f2a", (char *)"ua-9", NULL};

static const struct {
  DmWish wish;
  const char *text;
} cases[] = {
  {{.action = DM_ACTION_SET}, "set"},
  {{.action = DM_ACTION_SET, .set = {.has_memory = TRUE, .memory = DM_MIB}}, "set memory=1048576"},
  {{.action = DM_ACTION_SET, .seen = 7, .set = {.has_guaranteed = TRUE, .has_maximum = TRUE, .maximum = 9}},
    "set guaranteed=0 maximum=9 seen=7"},
  {{.action = DM_ACTION_SET,
     .set = {.title = (char *)"a \"b\"", .description = (char *)"", .left_out = (char *)"cpu", .next_run_only = TRUE}},
    "set title=\"a \\\"b\\\"\" description=\"\" left-out=\"cpu\" next-run"},
  {{.action = DM_ACTION_SET, .set = {.has_memory = TRUE, .policy = DM_POLICY_FINE}}, "set memory=0 policy=fine"},
  {{.action = DM_ACTION_UNPLUG, .flags = DM_PLAN_FORCE, .unplug = {.devices = devices}},
    "unplug device=\"3f2a\" device=\"ua-9\" force"},
  {{.action = DM_ACTION_PLUG, .plug = {.kind = DM_DEVICE_DIMM, .size = 5, .one_node = 3}},
    "plug kind=\"dimm\" size=5 node=2 policy=ovirt"},
  {{.action = DM_ACTION_PLUG, .plug = {.kind = DM_DEVICE_VIRTIO_MEM, .size = 5, .max_size = 8}},
    "plug kind=\"virtio-mem\" size=5 max-size=8 policy=ovirt"},
  {{.action = DM_ACTION_PLUG, .plug = {.kind = DM_DEVICE_VIRTIO_MEM, .size = 5, .max_size = 8, .one_node = 1}},
    "plug kind=\"virtio-mem\" size=5 max-size=8 node=0 policy=ovirt"},
  {{.action = DM_ACTION_ENABLE, .enable = {.maximum = 8, .slots = 3}}, "enable maximum=8 slots=3"},
  {{.action = DM_ACTION_SETTLE, .flags = DM_PLAN_TRY_UNMOVABLE}, "settle try-unmovable"},
  {{.action = DM_ACTION_SETTLE, .settle = {.account_only = TRUE}}, "settle account-only"},
};

static void test_format(void) {
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = dm_wish_format(&cases[i].wish);
    g_assert_cmpstr(text, ==, cases[i].text);
  }
}

static void test_equal(void) {
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    for (gsize j = 0; j < G_N_ELEMENTS(cases); j++)
      g_assert_cmpint(dm_wish_equal(&cases[i].wish, &cases[j].wish), ==, i == j);
    g_assert_false(dm_wish_equal(&cases[i].wish, NULL));
  }
  g_assert_true(dm_wish_equal(NULL, NULL));
}

static void test_copy(void) {
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmWish) copy = dm_wish_copy(&cases[i].wish);
    g_autoptr(DmWish) again = dm_wish_copy(copy);
    g_assert_true(dm_wish_equal(copy, &cases[i].wish));
    dm_wish_clear(copy);
    g_assert_true(dm_wish_equal(again, &cases[i].wish));
  }
  g_assert_null(dm_wish_copy(NULL));
}

static GArray *two_nodes(uint64_t floor) {
  const DmNodeFloor nodes[] = {{0, floor}, {2, 7}};
  GArray *floors = g_array_new(FALSE, FALSE, sizeof(DmNodeFloor));
  return g_array_append_vals(floors, nodes, G_N_ELEMENTS(nodes));
}

/* The nodes are the copy's own. */
static void test_floor(void) {
  g_auto(DmWish) wish = {.action = DM_ACTION_ENABLE,
    .enable = {.maximum = 8,
      .has_floor = TRUE,
      .floor = 4,
      .has_kind = TRUE,
      .nodes = two_nodes(6),
      .free_page_reporting = TRUE,
      .autodeflate = TRUE}};
  static const char *const kinds[] = {[DM_DEVICE_DIMM] = "dimm", [DM_DEVICE_VIRTIO_MEM] = "virtio-mem"};
  for (guint kind = 0; kind < G_N_ELEMENTS(kinds); kind++) {
    wish.enable.kind = (DmDeviceKind)kind;
    g_autofree char *text = dm_wish_format(&wish);
    g_autofree char *expected = g_strdup_printf(
      "enable maximum=8 slots=0 floor=4 kind=\"%s\" node0=6 node2=7 free-page-reporting autodeflate", kinds[kind]);
    g_assert_cmpstr(text, ==, expected);
  }
  g_autoptr(DmWish) copy = dm_wish_copy(&wish);
  g_assert_true(dm_wish_equal(copy, &wish));
  g_array_index(wish.enable.nodes, DmNodeFloor, 0).floor = 5;
  g_assert_false(dm_wish_equal(copy, &wish));
}

static void test_left_out(void) {
  const DmWish settle = {.action = DM_ACTION_SETTLE}, set = {.action = DM_ACTION_SET};
  const DmWish cpu = {.action = DM_ACTION_SET, .set = {.left_out = (char *)"the CPU"}};
  g_assert_null(dm_wish_left_out(&settle));
  g_assert_null(dm_wish_left_out(&set));
  g_autoptr(DmNote) note = dm_wish_left_out(&cpu);
  g_assert_cmpint(note->code, ==, DM_NOTE_UNSUPPORTED);
  g_assert_nonnull(strstr(note->text, "the CPU"));
}

/* What is not about memory does not wait for an agent. */
static void test_concerns_guest(void) {
  static const struct {
    DmWish wish;
    gboolean expected;
  } table[] = {
    {{.action = DM_ACTION_SET, .set = {.title = (char *)"web"}}, FALSE},
    {{.action = DM_ACTION_SET, .set = {.has_memory = TRUE}}, TRUE},
    {{.action = DM_ACTION_SET, .set = {.has_guaranteed = TRUE}}, TRUE},
    {{.action = DM_ACTION_SET, .set = {.has_maximum = TRUE}}, TRUE},
    {{.action = DM_ACTION_SETTLE, .settle = {.account_only = TRUE}}, FALSE},
    {{.action = DM_ACTION_SETTLE}, TRUE},
    {{.action = DM_ACTION_PLUG}, TRUE},
    {{.action = DM_ACTION_UNPLUG}, TRUE},
    {{.action = DM_ACTION_ENABLE}, TRUE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++)
    g_assert_cmpint(dm_wish_concerns_guest(&table[i].wish), ==, table[i].expected);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/wish/format", test_format);
  g_test_add_func("/wish/equal", test_equal);
  g_test_add_func("/wish/copy", test_copy);
  g_test_add_func("/wish/floor", test_floor);
  g_test_add_func("/wish/left-out", test_left_out);
  g_test_add_func("/wish/concerns-guest", test_concerns_guest);
  return g_test_run();
}
