/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/doctor.h"

#include "base/shell.h"
#include "doctor_private.h"

const char *dm_verdict_name(DmVerdict verdict) {
  static const char *const names[] = {
    [DM_VERDICT_GOOD] = "good",
    [DM_VERDICT_UNKNOWN] = "unknown",
    [DM_VERDICT_WARNING] = "warning",
    [DM_VERDICT_BAD] = "bad",
  };
  return names[verdict];
}

void dm_finding_free(DmFinding *finding) {
  if (finding == NULL)
    return;
  g_free(finding->alias);
  g_free(finding->evidence);
  g_free(finding->source);
  g_free(finding->remedy);
  g_free(finding->command);
  g_free(finding);
}

static void free_finding(gpointer finding) {
  dm_finding_free(finding);
}

void doctor_add(GPtrArray *findings, const char *check, const DmMemoryDevice *device, DmVerdict verdict,
  const char *source, char *evidence, char *remedy) {
  DmFinding *finding = g_new0(DmFinding, 1);
  finding->check = check;
  finding->verdict = verdict;
  finding->alias = device != NULL ? g_strdup(device->alias) : NULL;
  finding->source = source != NULL && *source != '\0' ? g_strdup(source) : NULL;
  finding->evidence = evidence;
  finding->remedy = remedy;
  g_ptr_array_add(findings, finding);
}

void doctor_add_command(GPtrArray *findings, const char *first, ...) {
  DmFinding *finding = findings->pdata[findings->len - 1];
  va_list words;
  va_start(words, first);
  g_free(finding->command);
  finding->command = dm_shell_command_va(first, words);
  va_end(words);
}

/* How to have a guest that can answer; NULL: that is not known. @verb: of virsh, which does it; NULL: none does. */
static const char *advise_state(const DmVm *vm, const char **verb) {
  *verb = NULL;
  if (vm->job != NULL)
    return "wait until that is over";
  switch (vm->state) {
    case DM_VM_PAUSED:
      *verb = "resume";
      return "resume it";
    case DM_VM_SUSPENDED:
      *verb = "dompmwakeup";
      return "wake it up";
    case DM_VM_SHUT_OFF:
    case DM_VM_CRASHED:
      *verb = "start";
      return "start it";
    case DM_VM_RUNNING:
    case DM_VM_SHUTTING_DOWN:
      break;
  }
  return NULL;
}

static void check_state(GPtrArray *findings, const DmVm *vm) {
  if (vm->state == DM_VM_RUNNING && vm->live != NULL) {
    doctor_add(findings, "state", NULL, DM_VERDICT_GOOD, HOST, g_strdup("the VM is running"), NULL);
    return;
  }
  const char *verb, *remedy = advise_state(vm, &verb);
  doctor_add(findings, "state", NULL, DM_VERDICT_BAD, HOST,
    g_strdup_printf("the VM is %s%s%s, so its guest cannot give or take memory", dm_vm_state_name(vm->state),
      vm->job != NULL ? " while it is being " : "", vm->job != NULL ? vm->job : ""),
    g_strdup(remedy));
  if (verb != NULL)
    doctor_add_command(findings, "virsh", verb, vm->name, NULL);
}

GPtrArray *dm_plan_doctor(const DmVm *vm, uint64_t memory) {
  GPtrArray *findings = g_ptr_array_new_with_free_func(free_finding);
  check_state(findings, vm);
  if (vm->live == NULL)
    return findings;
  doctor_check_host(findings, vm);
  doctor_check_guest(findings, vm, memory);
  for (guint i = 0; i < vm->live->devices->len; i++)
    doctor_check_device(findings, vm, vm->live->devices->pdata[i]);
  return findings;
}

DmVerdict dm_plan_worst(const GPtrArray *findings) {
  DmVerdict worst = DM_VERDICT_GOOD;
  for (guint i = 0; i < findings->len; i++)
    worst = MAX(worst, ((const DmFinding *)findings->pdata[i])->verdict);
  return worst;
}

DmFinding *dm_plan_device_finding(const DmVm *vm, const DmMemoryDevice *device) {
  g_autoptr(GPtrArray) findings = g_ptr_array_new_with_free_func(free_finding);
  doctor_check_device(findings, vm, device);
  return g_ptr_array_steal_index(findings, 0); /* "movable" comes first */
}
