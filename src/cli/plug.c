/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static gboolean read_device(const CommonOptions *common, const char *kind, const char *policy, const char *max_size,
  DmPlugWish *wish, GError **error) {
  DmPlugDefaults plugs = {0};
  if (!options_plug(common, kind, policy, &plugs, error))
    return FALSE;
  gboolean dimm = !plugs.choose_kind && plugs.kind == DM_DEVICE_DIMM;
  if (dimm && max_size != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--max-size goes with --kind virtio-mem: a DIMM has one size");
    return FALSE;
  }
  wish->choose_kind = plugs.choose_kind;
  wish->kind = plugs.kind;
  wish->policy = plugs.policy;
  return max_size == NULL || options_size("--max-size", max_size, &wish->max_size, error);
}

int verb_plug(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *node = NULL, *policy = NULL, *kind = NULL, *max_size = NULL, *timeout = NULL;
  guint number = 0;
  DmWish wish = {.action = DM_ACTION_PLUG};
  ApplyOptions options = {.timeout = APPLY_DEFAULT_TIMEOUT};
  const GOptionEntry entries[] = {
    {"node", 0, 0, G_OPTION_ARG_STRING, &node, "the guest's NUMA node it goes to (0, or whose huge pages it fills)",
      "N"},
    {"policy", 0, 0, G_OPTION_ARG_STRING, &policy, OPTIONS_POLICY_HELP, "POLICY"},
    {"kind", 0, 0, G_OPTION_ARG_STRING, &kind, OPTIONS_KIND_HELP, "KIND"},
    {"max-size", 0, 0, G_OPTION_ARG_STRING, &max_size, "the most a virtio-mem device can hold (SIZE)", "SIZE"},
    OPTION_TIMEOUT(&timeout),
    {"force", 0, 0, G_OPTION_ARG_NONE, &options.force, "plug more than the guest can spare page descriptors for", NULL},
    OPTION_DRY_RUN(&options.dry_run),
    {NULL},
  };
  if (!options_parse(verb,

        "Policies: 'ovirt' plugs a DIMM of the minimal size (128 MiB on x86) first while\n"
        "there is none, then the rest as one; 'whole' plugs one DIMM; 'fine' splits into\n"
        "powers of two of the minimal size, so that nearly any multiple of it can be\n"
        "given back later.\n"
        "\n"
        "The kind 'auto' is virtio-mem where the guest is known to have the driver, and\n"
        "neither host devices (VFIO) nor migration speak against it; else DIMMs. Without\n"
        "these options, DIMMER_PLUG_KIND and DIMMER_PLUG_POLICY of the environment count.",
        entries, &common, &argc, &argv, 2, 2, &error) ||
    !options_size("SIZE", argv[2], &wish.plug.size, &error) ||
    !read_device(&common, kind, policy, max_size, &wish.plug, &error) ||
    (node != NULL && !options_number("--node", node, 0, 1023, &number, &error)) ||
    (timeout != NULL && !options_seconds("--timeout", timeout, &options.timeout, &error)))
    return options_fail(&common, error);
  wish.plug.one_node = node != NULL ? number + 1 : 0;
  wish.flags = options_plan_flags(&options);
  return apply_change(&common, &options, argv[1], &wish);
}
