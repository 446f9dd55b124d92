/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static gboolean read_wish(
  const char *memory, const char *guaranteed, const char *maximum, DmSetWish *wish, GError **error) {
  wish->has_memory = memory != NULL;
  wish->has_guaranteed = guaranteed != NULL;
  wish->has_maximum = maximum != NULL;
  if (!wish->has_memory && !wish->has_guaranteed && !wish->has_maximum) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "nothing to set: give --memory, --guaranteed or --maximum");
    return FALSE;
  }
  return (memory == NULL || options_size("--memory", memory, &wish->memory, error)) &&
    (guaranteed == NULL || options_size("--guaranteed", guaranteed, &wish->guaranteed, error)) &&
    (maximum == NULL || options_size("--maximum", maximum, &wish->maximum, error));
}

static gboolean check_together(const DmSetWish *wish, gboolean balloon, GError **error) {
  if (wish->live_only && wish->next_run_only)
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--live and --next-run exclude each other: give one, or neither");
  else if (wish->live_only && wish->has_maximum)
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "a maximum takes effect at the next start: leave out --live");
  else if (balloon && (wish->next_run_only || !wish->has_memory))
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "--balloon goes with --memory, and without --next-run");
  else
    return TRUE;
  return FALSE;
}

int verb_set(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *memory = NULL, *guaranteed = NULL, *maximum = NULL, *timeout = NULL, *kind = NULL, *policy = NULL,
                  *node = NULL;
  guint number = 0;
  DmPlugDefaults plugs = {0};
  DmWish wish = {.action = DM_ACTION_SET};
  ApplyOptions options = {.timeout = APPLY_DEFAULT_TIMEOUT};
  const GOptionEntry entries[] = {
    {"memory", 'm', 0, G_OPTION_ARG_STRING, &memory, "memory of the VM", "SIZE"},
    {"guaranteed", 'g', 0, G_OPTION_ARG_STRING, &guaranteed, "the part of it that is guaranteed", "SIZE"},
    {"maximum", 0, 0, G_OPTION_ARG_STRING, &maximum, "the most it can be raised to; from the next start on", "SIZE"},
    OPTIONS_FORMER("max", &maximum, "SIZE"),
    {"kind", 0, 0, G_OPTION_ARG_STRING, &kind, OPTIONS_KIND_HELP, "KIND"},
    {"policy", 0, 0, G_OPTION_ARG_STRING, &policy, OPTIONS_POLICY_HELP, "POLICY"},
    {"node", 0, 0, G_OPTION_ARG_STRING, &node,
      "the guest's NUMA node that alone gives or takes memory (any; plugged: 0)", "N"},
    {"balloon", 0, 0, G_OPTION_ARG_NONE, &options.balloon, BALLOON_HELP, NULL},
    {"live", 0, 0, G_OPTION_ARG_NONE, &wish.set.live_only, "change only the running VM, not its next start", NULL},
    {"next-run", 0, 0, G_OPTION_ARG_NONE, &wish.set.next_run_only, "change only what the next start takes", NULL},
    OPTION_DRY_RUN(&options.dry_run),
    OPTION_TIMEOUT(&timeout),
    {"no-retry", 0, 0, G_OPTION_ARG_NONE, &options.no_retry, "try no other device when the guest refuses one", NULL},
    {"try-unmovable", 0, 0, G_OPTION_ARG_NONE, &options.try_unmovable, TRY_UNMOVABLE_HELP, NULL},
    {"force", 0, 0, G_OPTION_ARG_NONE, &options.force, FORCE_HELP, NULL},
    {NULL},
  };
  if (!options_parse(verb,

        "The next run takes exactly these values. The running VM gives back memory\n"
        "devices that add up to at most the decrease, chosen exactly; more memory\n"
        "is plugged as new devices. With --balloon, the balloon takes what no device can\n"
        "give: the VM keeps that memory, its guest cannot use it, and the host gets it.",
        entries, &common, &argc, &argv, 1, 1, &error) ||
    !read_wish(memory, guaranteed, maximum, &wish.set, &error) || !check_together(&wish.set, options.balloon, &error) ||
    ((memory != NULL || kind != NULL || policy != NULL) && !options_plug(&common, kind, policy, &plugs, &error)) ||
    (node != NULL && !options_number("--node", node, 0, 1023, &number, &error)) ||
    (timeout != NULL && !options_seconds("--timeout", timeout, &options.timeout, &error)))
    return options_fail(&common, error);
  wish.set.one_node = node != NULL ? number + 1 : 0;
  wish.set.choose_kind = plugs.choose_kind;
  wish.set.kind = plugs.kind;
  wish.set.policy = plugs.policy;
  wish.flags = options_plan_flags(&options);
  return apply_change(&common, &options, argv[1], &wish);
}
