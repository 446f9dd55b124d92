/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

int verb_settle(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *timeout = NULL;
  ApplyOptions options = {.timeout = APPLY_DEFAULT_TIMEOUT};
  const GOptionEntry entries[] = {
    OPTION_DRY_RUN(&options.dry_run),
    OPTION_TIMEOUT(&timeout),
    {"force", 0, 0, G_OPTION_ARG_NONE, &options.force, FORCE_HELP, NULL},
    {NULL},
  };
  if (!options_parse(verb,

        "Accounts for what has happened since, and asks the guest again for devices\n"
        "it has not answered for.",
        entries, &common, &argc, &argv, 1, 1, &error) ||
    (timeout != NULL && !options_seconds("--timeout", timeout, &options.timeout, &error)))
    return options_fail(&common, error);
  const DmWish wish = {.action = DM_ACTION_SETTLE, .flags = options_plan_flags(&options)};
  return apply_change(&common, &options, argv[1], &wish);
}
