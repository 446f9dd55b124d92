/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cli.h"
#include "engine/checkup.h"
#include "json.h"
#include "plan/doctor.h"

typedef struct {
  GMainLoop *loop;
  DmVm *vm;
  GError *error;
} Visit;

static void on_checkup(DmVm *vm, DmAgent *agent, GError *error, gpointer data) {
  Visit *visit = data;
  visit->vm = vm;
  visit->error = error;
  dm_agent_free(agent);
  g_main_loop_quit(visit->loop);
}

/* The id of a device as people write it, or "VM". */
static char *describe_subject(const DmVm *vm, const DmFinding *finding) {
  const DmMemoryDevice *device =
    finding->alias != NULL && vm->live != NULL ? dm_config_find_alias(vm->live, finding->alias) : NULL;
  if (device == NULL)
    return g_strdup("");
  g_autofree char *size = dm_size_format(device->size);
  return g_strdup_printf("%s %.*s (%s): ", dm_memory_device_kind_name(device), (int)dm_vm_short_id_length(vm),
    device->id != NULL ? device->id : device->alias, size);
}

static void print_head(const DmVm *vm) {
  const DmGuest *guest = vm->guest;
  printf("%s  %s", vm->name, dm_vm_state_name(vm->state));
  if (guest != NULL && guest->os != NULL)
    printf("  %s", guest->os);
  if (guest != NULL && guest->kernel != NULL)
    printf("  kernel %s", guest->kernel);
  if (guest != NULL && guest->agent != NULL)
    printf("  %s", guest->agent);
  puts("\n");
}

static void print_finding(const DmVm *vm, const DmFinding *finding) {
  g_autofree char *subject = describe_subject(vm, finding);
  printf("  %-8s %-12s %s%s", dm_verdict_name(finding->verdict), finding->check, subject, finding->evidence);
  if (finding->source != NULL)
    printf(" (%s)", finding->source);
  putchar('\n');
  if (finding->remedy == NULL)
    return;
  printf("  %-8s %-12s -> %s", "", "", finding->remedy);
  if (finding->command != NULL)
    printf(": '%s'", finding->command);
  putchar('\n');
}

/* Some device of which nobody told whether it can go, or no device at all: then good news of the rest says little. */
static gboolean is_uncertain(const DmVm *vm, const GPtrArray *findings) {
  for (guint i = 0; i < findings->len; i++) {
    const DmFinding *finding = findings->pdata[i];
    if (strcmp(finding->check, "movable") == 0 && finding->verdict == DM_VERDICT_UNKNOWN)
      return TRUE;
  }
  return vm->live == NULL || vm->live->devices->len == 0;
}

static const char *summary_of(const DmVm *vm, const GPtrArray *findings) {
  static const char *const words[] = {
    [DM_VERDICT_GOOD] = "memory can be hot unplugged",
    [DM_VERDICT_UNKNOWN] = "nothing is in the way as far as can be known",
    [DM_VERDICT_WARNING] = "memory can be hot unplugged, with the restrictions above",
    [DM_VERDICT_BAD] = "some memory cannot be hot unplugged, or plugged; see above",
  };
  DmVerdict worst = dm_plan_worst(findings);
  if (worst == DM_VERDICT_BAD || !is_uncertain(vm, findings))
    return words[worst];
  return worst == DM_VERDICT_WARNING ? "nothing but the restrictions above is in the way as far as can be known"
                                     : words[DM_VERDICT_UNKNOWN];
}

static void print_text(const DmVm *vm, const GPtrArray *findings) {
  print_head(vm);
  for (guint i = 0; i < findings->len; i++)
    print_finding(vm, findings->pdata[i]);
  for (guint i = 0; vm->guest != NULL && i < vm->guest->notes->len; i++)
    printf("  note: %s\n", (const char *)vm->guest->notes->pdata[i]);
  printf("\n%s: %s\n", vm->name, summary_of(vm, findings));
}

static int visit_vm(const CommonOptions *common, const char *name, uint64_t memory) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  g_autoptr(DmConnection) connection = options_connect(common, TRUE, &error);
  if (connection == NULL)
    return options_fail(common, error);
  Visit visit = {.loop = loop};
  dm_checkup(connection, name, DM_LOOK_COUNTING, on_checkup, &visit);
  g_main_loop_run(loop);
  g_autoptr(DmVm) vm = visit.vm;
  if (vm == NULL) {
    int status = options_fail(common, visit.error);
    g_error_free(visit.error);
    return status;
  }
  g_autoptr(GPtrArray) findings = dm_plan_doctor(vm, memory);
  if (common->json)
    json_print(json_from_findings(vm, findings));
  else
    print_text(vm, findings);
  return dm_plan_worst(findings) == DM_VERDICT_BAD ? DM_EXIT_RULE : DM_EXIT_DONE;
}

int verb_doctor(int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  uint64_t memory = 0;
  const GOptionEntry entries[] = {
    {"memory", 'm', 0, G_OPTION_ARG_STRING, &text, "a size that the VM is to be lowered to", "SIZE"},
    {NULL},
  };
  if (!options_parse(verb_find("doctor"),

        "Each limitation of memory hot plug and unplug is a check: what was seen, who told,\n"
        "and what helps. The guest is asked through dimmer-guest or qemu-guest-agent, where\n"
        "one is there. The exit status is 3 if a check is bad.",
        entries, &common, &argc, &argv, 1, 1, &error) ||
    (text != NULL &&
      (!options_size("--memory", text, &memory, &error) || !dm_rule_size("memory", memory, &memory, &error))))
    return options_fail(&common, error);
  return visit_vm(&common, argv[1], memory);
}
