/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#define MOST_SLOTS 256 /* QEMU: ACPI_MAX_RAM_SLOTS */

typedef struct {
  uint64_t maximum;
  guint slots;
} EnableWish;

static DmPlan *plan_enable(const DmVm *vm, gpointer data, GError **error) {
  const EnableWish *wish = data;
  return dm_plan_enable(vm, wish->maximum, wish->slots, error);
}

int verb_enable(int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *maximum = NULL, *slots = NULL;
  EnableWish wish = {0};
  ApplyOptions options = {0};
  const GOptionEntry entries[] = {
    {"max", 0, 0, G_OPTION_ARG_STRING, &maximum, "the most its memory can be raised to", "SIZE"},
    {"slots", 0, 0, G_OPTION_ARG_STRING, &slots, "how many memory devices (as it is, or 16)", "N"},
    {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &options.dry_run, "print the plan and touch nothing", NULL},
    {NULL},
  };
  if (!options_parse(verb_find("enable"),

        "Writes what hot plug needs into the VM's next-run configuration, and leaves the\n"
        "rest of it alone: a maximum, memory slots and a NUMA cell. It takes effect when\n"
        "the VM is stopped and started again.",
        entries, &common, &argc, &argv, 1, 1, &error))
    return options_fail(&common, error);
  if (maximum == NULL)
    g_set_error(
      &error, DM_ERROR, DM_ERROR_USAGE, "--max is missing: the most that memory of %s can be raised to", argv[1]);
  else if (options_size("--max", maximum, &wish.maximum, &error) && slots != NULL)
    options_number("--slots", slots, 1, MOST_SLOTS, &wish.slots, &error);
  if (error != NULL)
    return options_fail(&common, error);
  return apply_change(&common, &options, argv[1], plan_enable, &wish);
}
