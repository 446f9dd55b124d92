/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "plan/doctor.h"

/* The short id of a device, or "VM". */
static char *describe_subject(const DmVm *vm, const DmFinding *finding) {
  const DmMemoryDevice *device =
    finding->alias != NULL && vm->live != NULL ? dm_config_find_alias(vm->live, finding->alias) : NULL;
  if (device == NULL)
    return g_strdup("");
  g_autofree char *text = dm_device_describe(dm_memory_device_kind_name(device),
    device->id != NULL ? device->id : device->alias, dm_vm_short_id_length(vm), device->size);
  return g_strconcat(text, ": ", NULL);
}

static void print_head(const DmVm *vm) {
  const DmGuest *guest = vm->guest;
  printf("%s  %s%s", vm->name, dm_vm_state_name(vm->state), vm->saved ? ", saved" : "");
  if (guest != NULL && guest->os != NULL)
    printf("  %s", guest->os);
  if (guest != NULL && guest->kernel != NULL)
    printf("  kernel %s", guest->kernel);
  if (guest != NULL && guest->agent != NULL)
    printf("  %s", guest->agent);
  puts("\n");
}

/* Of the column of the checks. */
static int find_width(const GPtrArray *findings) {
  gsize width = 0;
  for (guint i = 0; i < findings->len; i++)
    width = MAX(width, strlen(dm_check_name(dm_finding_check(((const DmFinding *)findings->pdata[i])->code))));
  return (int)width;
}

static void print_finding(const DmVm *vm, const DmFinding *finding, int width) {
  g_autofree char *subject = describe_subject(vm, finding);
  printf("  %-8s %-*s  %s%s", dm_verdict_name(finding->verdict), width, dm_check_name(dm_finding_check(finding->code)),
    subject, finding->evidence);
  if (finding->source != NULL)
    printf(" (%s)", finding->source);
  putchar('\n');
  if (finding->remedy == NULL)
    return;
  printf("  %-8s %-*s  -> %s", "", width, "", finding->remedy);
  if (finding->command != NULL)
    printf(": %s", finding->command);
  putchar('\n');
}

/* A device of unknown removability, or no device at all: then good results of the rest mean little. */
static gboolean is_uncertain(const DmVm *vm, const GPtrArray *findings) {
  for (guint i = 0; i < findings->len; i++) {
    const DmFinding *finding = findings->pdata[i];
    if (dm_finding_check(finding->code) == DM_CHECK_MOVABLE && finding->verdict == DM_VERDICT_UNKNOWN)
      return TRUE;
  }
  return vm->live == NULL || vm->live->devices->len == 0;
}

static const char *summary_of(const DmVm *vm, const GPtrArray *findings) {
  static const char *const words[] = {
    [DM_VERDICT_GOOD] = "memory can be hot unplugged",
    [DM_VERDICT_UNKNOWN] = "no obstacle is known",
    [DM_VERDICT_WARNING] = "memory can be hot unplugged, with the restrictions above",
    [DM_VERDICT_BAD] = "some memory cannot be hot unplugged, or plugged; see above",
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(words) == DM_VERDICTS);
  DmVerdict worst = dm_plan_worst(findings);
  if (worst == DM_VERDICT_BAD || !is_uncertain(vm, findings))
    return words[worst];
  return worst == DM_VERDICT_WARNING ? "no obstacle is known but the restrictions above" : words[DM_VERDICT_UNKNOWN];
}

static void print_text(const DmVm *vm, const GPtrArray *findings) {
  print_head(vm);
  for (guint i = 0; i < findings->len; i++)
    print_finding(vm, findings->pdata[i], find_width(findings));
  for (guint i = 0; vm->guest != NULL && i < vm->guest->notes->len; i++)
    printf("  note: %s\n", ((const DmNote *)vm->guest->notes->pdata[i])->text);
  printf("\n%s: %s\n", vm->name, summary_of(vm, findings));
}

static int visit_vm(const CommonOptions *common, const char *name, uint64_t memory) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmConnection) connection = options_connect(common, TRUE, &error);
  g_autoptr(DmVm) vm = connection != NULL ? checkup_vm(connection, name, DM_LOOK_REPORT, &error) : NULL;
  if (vm == NULL)
    return options_fail(common, error);
  g_autoptr(GPtrArray) findings = dm_plan_doctor(vm, memory);
  dm_findings_connect(findings, options_uri(common));
  if (common->json)
    json_print(json_from_findings(vm, findings));
  else
    print_text(vm, findings);
  return dm_plan_worst(findings) == DM_VERDICT_BAD ? DM_EXIT_RULE : DM_EXIT_DONE;
}

int verb_doctor(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  uint64_t memory = 0;
  const GOptionEntry entries[] = {
    {"memory", 'm', 0, G_OPTION_ARG_STRING, &text, "a size that the VM is to be lowered to", "SIZE"},
    {NULL},
  };
  if (!options_parse(verb,

        "Each limitation of memory hot plug and unplug is a check: the evidence, who reported it,\n"
        "and the remedy. The guest is asked through dimmer-guest or qemu-guest-agent, where\n"
        "one is there. The exit status is 3 if a check is bad.",
        entries, &common, &argc, &argv, 1, 1, &error) ||
    (text != NULL &&
      (!options_size("--memory", text, &memory, &error) || !dm_rule_size("memory", memory, &memory, &error))))
    return options_fail(&common, error);
  return visit_vm(&common, argv[1], memory);
}
