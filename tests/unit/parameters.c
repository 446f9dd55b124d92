/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of the API: what each may be, and the error that names it. */
#include "parameters.h"

#include "base/error.h"

static DmTarget *target_of(const char *query) {
  g_autofree char *uri = g_strconcat("/ovirt-engine/api/vms/x?", query, NULL);
  g_autoptr(GError) error = NULL;
  DmTarget *target = dm_target_parse(uri, &error);
  g_assert_no_error(error);
  return target;
}

/* @well is what the function returned, with @error set. */
static void check_error(gboolean well, const GError *error, const char *expected) {
  g_assert_cmpint(well, ==, error == NULL);
  g_assert_cmpstr(error != NULL ? error->message : NULL, ==, expected);
  if (error != NULL)
    g_assert_true(error->domain == DM_ERROR);
}

#define LIVE_ALONE "live goes neither with next_run nor with a maximum; leave it out"
#define BALLOON_ALONE "balloon goes with memory, and without next_run; leave it out"

static const struct {
  const char *name, *query;
  gboolean memory, maximum, next_run; /* of the wish */
  DmPlanFlags flags;
  const char *error;
} sets[] = {
  {"none", "", TRUE, FALSE, FALSE, 0, NULL},
  {"forced", "force=true&try_unmovable=true", TRUE, FALSE, FALSE, DM_PLAN_FORCE | DM_PLAN_TRY_UNMOVABLE, NULL},
  {"not-forced", "force=false", TRUE, FALSE, FALSE, 0, NULL},
  {"balloon", "balloon=true", TRUE, FALSE, FALSE, DM_PLAN_BALLOON, NULL},
  {"balloon-and-live", "balloon=true&live=true", TRUE, FALSE, FALSE, DM_PLAN_BALLOON, NULL},
  {"balloon-of-nothing", "balloon=true", FALSE, FALSE, FALSE, DM_PLAN_BALLOON, BALLOON_ALONE},
  {"balloon-next-run", "balloon=true", TRUE, FALSE, TRUE, DM_PLAN_BALLOON, BALLOON_ALONE},
  {"live-next-run", "live=true", TRUE, FALSE, TRUE, 0, LIVE_ALONE},
  {"live-maximum", "live=true", TRUE, TRUE, FALSE, 0, LIVE_ALONE},
  {"not-live-maximum", "live=false", TRUE, TRUE, FALSE, 0, NULL},
};

static void test_set(gconstpointer data) {
  const typeof(sets[0]) *c = data;
  g_autoptr(DmTarget) target = target_of(c->query);
  g_autoptr(GError) error = NULL;
  Call call = {.target = target};
  DmWish wish = {.set = {.has_memory = c->memory, .has_maximum = c->maximum, .next_run_only = c->next_run}};
  gboolean well = read_set_flags(&call, &wish, &error);
  check_error(well, error, c->error);
  g_assert_cmpint(wish.flags, ==, c->flags);
}

static const struct {
  const char *name, *query;
  guint one_node;
  const char *error;
} nodes[] = {
  {"none", "", 77, NULL},
  {"first", "node=0", 1, NULL},
  {"last", "node=1023", 1024, NULL},
  {"too-high", "node=1024", 77, "node: '1024' is not a whole number from 0 to 1023"},
  {"negative", "node=-1", 77, "node: '-1' is not a whole number from 0 to 1023"},
  {"no-number", "node=any", 77, "node: 'any' is not a whole number from 0 to 1023"},
};

static void test_node(gconstpointer data) {
  const typeof(nodes[0]) *c = data;
  g_autoptr(DmTarget) target = target_of(c->query);
  g_autoptr(GError) error = NULL;
  Call call = {.target = target};
  guint one_node = 77;
  gboolean well = read_one_node(&call, &one_node, &error);
  check_error(well, error, c->error);
  g_assert_cmpuint(one_node, ==, c->one_node);
}

static void test_seen(void) {
  g_autoptr(DmTarget) given = target_of("if_memory=1GiB"), none = target_of(""), wrong = target_of("if_memory=much");
  g_autoptr(GError) error = NULL;
  Call call = {.target = given};
  uint64_t seen = 0;
  g_assert_true(read_seen(&call, &seen, &error));
  g_assert_cmpuint(seen, ==, 1 << 30);
  call.target = none;
  seen = 0;
  g_assert_true(read_seen(&call, &seen, &error));
  g_assert_cmpuint(seen, ==, 0);
  call.target = wrong;
  g_assert_false(read_seen(&call, &seen, &error));
  g_assert_true(g_str_has_prefix(error->message, "if_memory: "));
}

static const struct {
  const char *name, *kind, *policy;
  gboolean chooses;
  DmDeviceKind becomes;
  const char *error;
} plugs[] = {
  {"usual", NULL, NULL, FALSE, DM_DEVICE_VIRTIO_MEM, NULL},
  {"dimm", "dimm", "fine", FALSE, DM_DEVICE_DIMM, NULL},
  {"policy-means-dimms", NULL, "whole", FALSE, DM_DEVICE_DIMM, NULL},
  {"chosen", "auto", "whole", TRUE, DM_DEVICE_VIRTIO_MEM, NULL},
  {"bad-kind", "nvdimm", NULL, FALSE, DM_DEVICE_VIRTIO_MEM,
    "kind 'nvdimm' is not known; it is dimm, virtio-mem or auto"},
  {"bad-policy", "dimm", "half", FALSE, DM_DEVICE_VIRTIO_MEM, "policy 'half' is not known; it is ovirt, whole or fine"},
  {"not-split", "virtio-mem", "whole", FALSE, DM_DEVICE_VIRTIO_MEM,
    "policy is for the kind dimm: a virtio-mem device is not split; leave it out, or set kind"},
};

static void test_plug(gconstpointer data) {
  const typeof(plugs[0]) *c = data;
  g_autoptr(GError) error = NULL;
  DmPlugDefaults found = {.kind = DM_DEVICE_VIRTIO_MEM};
  gboolean well = parameter_plug(c->kind, c->policy, &found, &error);
  check_error(well, error, c->error);
  g_assert_cmpint(found.choose_kind, ==, c->chooses);
  if (!c->chooses)
    g_assert_cmpint(found.kind, ==, c->becomes);
}

static void test_kind(void) {
  g_autoptr(GError) error = NULL;
  DmDeviceKind kind = DM_DEVICE_OTHER;
  g_assert_true(parameter_kind(NULL, &kind, &error) && kind == DM_DEVICE_OTHER);
  g_assert_true(parameter_kind("dimm", &kind, &error) && kind == DM_DEVICE_DIMM);
  g_assert_true(parameter_kind("virtio-mem", &kind, &error) && kind == DM_DEVICE_VIRTIO_MEM);
  gboolean well = parameter_kind("auto", &kind, &error);
  check_error(well, error, "kind 'auto' is not known; it is dimm or virtio-mem");
}

static void test_max_size(void) {
  g_autoptr(GError) error = NULL;
  DmPlugWish wish = {.kind = DM_DEVICE_DIMM, .size = 1 << 28, .max_size = 1 << 29};
  g_assert_true(check_max_size(&wish, FALSE, &error));
  gboolean well = check_max_size(&wish, TRUE, &error);
  check_error(
    well, error, "max_size is for the kind virtio-mem: a DIMM holds its size and no more; leave it out, or set kind");
  g_clear_error(&error);
  wish.max_size = wish.size;
  g_assert_true(check_max_size(&wish, TRUE, &error));
  wish = (DmPlugWish){.kind = DM_DEVICE_VIRTIO_MEM, .size = 1 << 28, .max_size = 1 << 29};
  g_assert_true(check_max_size(&wish, TRUE, &error));
  wish = (DmPlugWish){.choose_kind = TRUE, .size = 1 << 28, .max_size = 1 << 29};
  g_assert_true(check_max_size(&wish, TRUE, &error));
}

#define ADD(path, table, test)                                           \
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {                      \
    g_autofree char *name = g_strconcat(path, "/", table[i].name, NULL); \
    g_test_add_data_func(name, &table[i], test);                         \
  }

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  ADD("/parameters/set", sets, test_set)
  ADD("/parameters/node", nodes, test_node)
  ADD("/parameters/plug", plugs, test_plug)
  g_test_add_func("/parameters/seen", test_seen);
  g_test_add_func("/parameters/kind", test_kind);
  g_test_add_func("/parameters/max-size", test_max_size);
  return g_test_run();
}
