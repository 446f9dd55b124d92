/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static DmPlan *plan_settle(const DmVm *vm, gpointer data, GError **error) {
  const DmPlanFlags *flags = data;
  return dm_plan_settle(vm, *flags);
}

int verb_settle(int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *timeout = NULL;
  ApplyOptions options = {.timeout = APPLY_DEFAULT_TIMEOUT};
  const GOptionEntry entries[] = {
    {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &options.dry_run, "print the plan and touch nothing", NULL},
    {"timeout", 't', 0, G_OPTION_ARG_STRING, &timeout, "how long to wait for the guest's answers (60s)", "TIME"},
    {"force", 0, 0, G_OPTION_ARG_NONE, &options.force, FORCE_HELP, NULL},
    {NULL},
  };
  if (!options_parse(verb_find("settle"),

        "Accounts for what has happened since, and asks the guest again for the devices\n"
        "it has not answered for.",
        entries, &common, &argc, &argv, 1, 1, &error) ||
    (timeout != NULL && !options_seconds("--timeout", timeout, &options.timeout, &error)))
    return options_fail(&common, error);
  DmPlanFlags flags = options_plan_flags(&options);
  return apply_change(&common, &options, argv[1], plan_settle, &flags);
}
