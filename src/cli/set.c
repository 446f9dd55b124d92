/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static DmPlan *plan_set(const DmVm *vm, gpointer data, GError **error) {
  return dm_plan_set(vm, data, error);
}

static gboolean read_wish(
  const char *memory, const char *guaranteed, const char *maximum, DmWish *wish, GError **error) {
  wish->has_memory = memory != NULL;
  wish->has_guaranteed = guaranteed != NULL;
  wish->has_maximum = maximum != NULL;
  if (!wish->has_memory && !wish->has_guaranteed && !wish->has_maximum) {
    g_set_error(error, DM_ERROR, DM_ERROR_USAGE, "nothing to set: give --memory, --guaranteed or --max");
    return FALSE;
  }
  return (memory == NULL || options_size("--memory", memory, &wish->memory, error)) &&
    (guaranteed == NULL || options_size("--guaranteed", guaranteed, &wish->guaranteed, error)) &&
    (maximum == NULL || options_size("--max", maximum, &wish->maximum, error));
}

int verb_set(int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *memory = NULL, *guaranteed = NULL, *maximum = NULL, *timeout = NULL;
  DmWish wish = {0};
  ApplyOptions options = {.timeout = APPLY_DEFAULT_TIMEOUT};
  const GOptionEntry entries[] = {
    {"memory", 'm', 0, G_OPTION_ARG_STRING, &memory, "memory of the VM", "SIZE"},
    {"guaranteed", 'g', 0, G_OPTION_ARG_STRING, &guaranteed, "the part of it that is guaranteed", "SIZE"},
    {"max", 0, 0, G_OPTION_ARG_STRING, &maximum, "the most it can be raised to; from the next start on", "SIZE"},
    {"next-run", 0, 0, G_OPTION_ARG_NONE, &wish.next_run_only, "change only what the next start takes", NULL},
    {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &options.dry_run, "print the plan and touch nothing", NULL},
    {"timeout", 't', 0, G_OPTION_ARG_STRING, &timeout, "how long to wait for the guest's answers (60s)", "TIME"},
    {"no-retry", 0, 0, G_OPTION_ARG_NONE, &options.no_retry, "try no other device when the guest refuses one", NULL},
    {"try-unmovable", 0, 0, G_OPTION_ARG_NONE, &options.try_unmovable, TRY_UNMOVABLE_HELP, NULL},
    {"force", 0, 0, G_OPTION_ARG_NONE, &options.force, FORCE_HELP, NULL},
    {NULL},
  };
  if (!options_parse(verb_find("set"),

        "The next run takes exactly these values. The running VM gives back memory\n"
        "devices that sum up to at most what is asked for, chosen exactly; more memory\n"
        "is plugged as new devices.",
        entries, &common, &argc, &argv, 1, 1, &error) ||
    !read_wish(memory, guaranteed, maximum, &wish, &error) ||
    (timeout != NULL && !options_seconds("--timeout", timeout, &options.timeout, &error)))
    return options_fail(&common, error);
  wish.flags = options_plan_flags(&options);
  return apply_change(&common, &options, argv[1], plan_set, &wish);
}
