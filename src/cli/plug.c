/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static DmPlan *plan_plug(const DmVm *vm, gpointer data, GError **error) {
  return dm_plan_plug_devices(vm, data, error);
}

static gboolean read_kind(
  const char *kind, const char *policy, const char *max_size, DmPlugWish *wish, GError **error) {
  wish->kind = DM_DEVICE_DIMM;
  if (kind != NULL && g_strcmp0(kind, "virtio-mem") == 0) {
    wish->kind = DM_DEVICE_VIRTIO_MEM;
  } else if (kind != NULL && g_strcmp0(kind, "dimm") != 0) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--kind is 'dimm' or 'virtio-mem', not '%s'", kind);
    return FALSE;
  }
  if (wish->kind == DM_DEVICE_DIMM && max_size != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--max-size goes with --kind virtio-mem: a DIMM has one size");
    return FALSE;
  }
  if (wish->kind == DM_DEVICE_VIRTIO_MEM && policy != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--policy goes with --kind dimm: a virtio-mem device is not split");
    return FALSE;
  }
  if (policy != NULL && !dm_plug_policy_from_name(policy, &wish->policy)) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--policy is 'ovirt', 'whole' or 'fine', not '%s'", policy);
    return FALSE;
  }
  return max_size == NULL || options_size("--max-size", max_size, &wish->max_size, error);
}

int verb_plug(int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *node = NULL, *policy = NULL, *kind = NULL, *max_size = NULL;
  guint number = 0;
  DmPlugWish wish = {.policy = DM_POLICY_OVIRT};
  ApplyOptions options = {.timeout = APPLY_DEFAULT_TIMEOUT};
  const GOptionEntry entries[] = {
    {"node", 0, 0, G_OPTION_ARG_STRING, &node, "the guest's NUMA node it goes to (0)", "N"},
    {"policy", 0, 0, G_OPTION_ARG_STRING, &policy, "the split into DIMMs: ovirt (default), whole, fine", "POLICY"},
    {"kind", 0, 0, G_OPTION_ARG_STRING, &kind, "dimm (default) or virtio-mem", "KIND"},
    {"max-size", 0, 0, G_OPTION_ARG_STRING, &max_size, "the most a virtio-mem device can hold (SIZE)", "SIZE"},
    {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &options.dry_run, "print the plan and touch nothing", NULL},
    {NULL},
  };
  if (!options_parse(verb_find("plug"),

        "Policies: 'ovirt' plugs a DIMM of the minimal size (128 MiB on x86) first while\n"
        "there is none, then the rest as one; 'whole' plugs one DIMM; 'fine' splits into\n"
        "powers of two of the minimal size, so that nearly any multiple of it can be\n"
        "given back later.",
        entries, &common, &argc, &argv, 2, 2, &error) ||
    !options_size("SIZE", argv[2], &wish.size, &error) || !read_kind(kind, policy, max_size, &wish, &error) ||
    (node != NULL && !options_number("--node", node, 0, 1023, &number, &error)))
    return options_fail(&common, error);
  wish.node = (int)number;
  return apply_change(&common, &options, argv[1], plan_plug, &wish);
}
