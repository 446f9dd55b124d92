/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

typedef struct {
  char **names;
  DmPlanFlags flags;
} Unplug;

static DmPlan *plan_unplug(const DmVm *vm, gpointer data, GError **error) {
  const Unplug *unplug = data;
  return dm_plan_unplug_devices(vm, (const char *const *)unplug->names, unplug->flags, error);
}

int verb_unplug(int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *timeout = NULL;
  ApplyOptions options = {.timeout = APPLY_DEFAULT_TIMEOUT};
  const GOptionEntry entries[] = {
    {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &options.dry_run, "print the plan and touch nothing", NULL},
    {"timeout", 't', 0, G_OPTION_ARG_STRING, &timeout, "how long to wait for the guest's answers (60s)", "TIME"},
    {"try-unmovable", 0, 0, G_OPTION_ARG_NONE, &options.try_unmovable, TRY_UNMOVABLE_HELP, NULL},
    {"force", 0, 0, G_OPTION_ARG_NONE, &options.force, FORCE_HELP, NULL},
    {NULL},
  };
  if (!options_parse(verb_find("unplug"),

        "DEVICE is an id as 'dimmer show' lists it, or its beginning, or an alias. All\n"
        "are asked at once. A virtio-mem device is shrunk to nothing. The next run\n"
        "follows if it had the same memory as the running VM.",
        entries, &common, &argc, &argv, 2, -1, &error) ||
    (timeout != NULL && !options_seconds("--timeout", timeout, &options.timeout, &error)))
    return options_fail(&common, error);
  Unplug unplug = {argv + 2, options_plan_flags(&options)};
  return apply_change(&common, &options, argv[1], plan_unplug, &unplug);
}
