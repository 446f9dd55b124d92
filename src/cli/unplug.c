/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

int verb_unplug(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *timeout = NULL;
  ApplyOptions options = {.timeout = APPLY_DEFAULT_TIMEOUT};
  const GOptionEntry entries[] = {
    OPTION_DRY_RUN(&options.dry_run),
    OPTION_TIMEOUT(&timeout),
    {"try-unmovable", 0, 0, G_OPTION_ARG_NONE, &options.try_unmovable, TRY_UNMOVABLE_HELP, NULL},
    {"force", 0, 0, G_OPTION_ARG_NONE, &options.force, FORCE_HELP, NULL},
    {NULL},
  };
  if (!options_parse(verb,

        "DEVICE is an id as 'dimmer show' lists it, or its beginning, or an alias. All\n"
        "are asked at once. A virtio-mem device is shrunk to nothing. The next run\n"
        "follows if it had the same memory as the running VM.",
        entries, &common, &argc, &argv, 2, -1, &error) ||
    (timeout != NULL && !options_seconds("--timeout", timeout, &options.timeout, &error)))
    return options_fail(&common, error);
  const DmWish wish = {
    .action = DM_ACTION_UNPLUG, .flags = options_plan_flags(&options), .unplug = {.devices = argv + 2}};
  return apply_change(&common, &options, argv[1], &wish);
}
