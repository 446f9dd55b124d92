/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"
#include "cli.h"

/* "N=SIZE" each. */
static gboolean read_nodes(char **texts, DmEnableWish *wish, GError **error) {
  wish->nodes = g_array_new(FALSE, TRUE, sizeof(DmNodeFloor));
  for (; *texts != NULL; texts++) {
    g_auto(GStrv) parts = g_strsplit(*texts, "=", 2);
    DmNodeFloor node = {0};
    if (g_strv_length(parts) != 2) {
      g_set_error(error, DM_ERROR, DM_ERROR_USAGE,
        "--node is the number of a NUMA node and its floor, as in 0=1GiB, not '%s'", *texts);
      return FALSE;
    }
    if (!options_number("--node", parts[0], 0, 1023, &node.node, error) ||
      !options_size("--node", parts[1], &node.floor, error))
      return FALSE;
    g_array_append_val(wish->nodes, node);
  }
  return TRUE;
}

static gboolean read_kind(const char *kind, DmEnableWish *wish, GError **error) {
  wish->has_kind = kind != NULL;
  wish->kind = g_strcmp0(kind, "dimm") == 0 ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM;
  if (kind == NULL || wish->kind == DM_DEVICE_DIMM || g_str_equal(kind, "virtio-mem"))
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--kind is 'dimm' or 'virtio-mem', not '%s'", kind);
  return FALSE;
}

/* Without --floor it is the sum of those of the nodes. */
static gboolean read_floor(const char *floor, const char *kind, char **nodes, DmEnableWish *wish, GError **error) {
  wish->has_floor = floor != NULL || nodes != NULL;
  if (!wish->has_floor && kind != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--kind goes with --floor: it is the kind of the devices above it");
    return FALSE;
  }
  if (!read_kind(kind, wish, error) || (nodes != NULL && !read_nodes(nodes, wish, error)))
    return FALSE;
  if (floor == NULL)
    wish->floor = dm_node_floors_sum(wish->nodes);
  else if (g_str_equal(floor, "0"))
    wish->floor = 0;
  else
    return options_size("--floor", floor, &wish->floor, error);
  return TRUE;
}

static gboolean read_balloon(const char *balloon, DmEnableWish *wish, GError **error) {
  wish->has_balloon = dm_balloon_use_from_name(balloon, &wish->balloon);
  if (!wish->has_balloon)
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--balloon-use is 'never', 'ask' or 'allow', not '%s'", balloon);
  return wish->has_balloon;
}

int verb_enable(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *maximum = NULL, *slots = NULL, *floor = NULL, *kind = NULL, *balloon = NULL;
  g_auto(GStrv) nodes = NULL;
  g_auto(DmWish) wish = {.action = DM_ACTION_ENABLE};
  ApplyOptions options = {0};
  const GOptionEntry entries[] = {
    {"maximum", 0, 0, G_OPTION_ARG_STRING, &maximum, "the most its memory can be raised to", "SIZE"},
    OPTIONS_FORMER("max", &maximum, "SIZE"),
    {"slots", 0, 0, G_OPTION_ARG_STRING, &slots, "how many memory devices (as it is, or 16)", "N"},
    {"floor", 0, 0, G_OPTION_ARG_STRING, &floor,
      "what it starts with as boot memory; all above that can be unplugged (0: none)", "SIZE"},
    {"node", 0, 0, G_OPTION_ARG_STRING_ARRAY, &nodes, "how much of the floor that NUMA node has; may be repeated",
      "N=SIZE"},
    {"kind", 0, 0, G_OPTION_ARG_STRING, &kind,
      "of the devices above the floor: virtio-mem or dimm (what guest and machine can)", "KIND"},
    {"free-page-reporting", 0, 0, G_OPTION_ARG_NONE, &wish.enable.free_page_reporting,
      "have the balloon give what the guest frees back to the host (with --floor it does)", NULL},
    {"autodeflate", 0, 0, G_OPTION_ARG_NONE, &wish.enable.autodeflate,
      "have the balloon deflate before the guest kills processes (with --floor it does)", NULL},
    {"balloon-use", 0, 0, G_OPTION_ARG_STRING, &balloon,
      "whether the balloon takes what no device can give: never, ask (only with 'set --balloon') or allow", "USE"},
    {"force", 0, 0, G_OPTION_ARG_NONE, &options.force,
      "accept a floor, or a kind of device, that may not suit the guest", NULL},
    OPTION_DRY_RUN(&options.dry_run),
    {NULL},
  };
  if (!options_parse(verb,

        "Writes what hot plug needs into the VM's next-run configuration, and leaves the\n"
        "rest of it alone: a maximum, memory slots and a NUMA cell. It takes effect when\n"
        "the VM is stopped and started again.\n"
        "\n"
        "With --floor, the VM is set up to shrink: from its next start on it has the floor\n"
        "as boot memory, and the rest of its memory as memory devices, which can be hot\n"
        "unplugged start after start. 'dimmer set' then changes those.\n"
        "\n"
        "--balloon-use takes effect at once; alone, it changes nothing else.",
        entries, &common, &argc, &argv, 1, 1, &error))
    return options_fail(&common, error);
  if (balloon != NULL && !read_balloon(balloon, &wish.enable, &error))
    return options_fail(&common, error);
  gboolean alone = maximum == NULL && slots == NULL && floor == NULL && nodes == NULL && kind == NULL &&
    !wish.enable.free_page_reporting && !wish.enable.autodeflate;
  if (balloon != NULL && alone)
    return apply_change(&common, &options, argv[1], &wish);
  if (maximum == NULL) {
    g_set_error(
      &error, DM_ERROR, DM_ERROR_USAGE, "--maximum is missing: the most that memory of %s can be raised to", argv[1]);
    return options_fail(&common, error);
  }
  if (!options_size("--maximum", maximum, &wish.enable.maximum, &error) ||
    !read_floor(floor, kind, nodes, &wish.enable, &error) ||
    (slots != NULL && !options_number("--slots", slots, 1, DM_SLOTS_MAX, &wish.enable.slots, &error)))
    return options_fail(&common, error);
  wish.flags = options_plan_flags(&options);
  return apply_change(&common, &options, argv[1], &wish);
}
