/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/doctor.h"

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

/* How to have a guest that can answer. */
static char *advise_state(const DmVm *vm) {
  if (vm->job != NULL)
    return g_strdup("wait until that is over");
  switch (vm->state) {
    case DM_VM_PAUSED:
      return g_strdup_printf("resume it: 'virsh resume %s'", vm->name);
    case DM_VM_SUSPENDED:
      return g_strdup_printf("wake it up: 'virsh dompmwakeup %s'", vm->name);
    case DM_VM_SHUT_OFF:
    case DM_VM_CRASHED:
      return g_strdup_printf("start it: 'virsh start %s'", vm->name);
    case DM_VM_RUNNING:
    case DM_VM_SHUTTING_DOWN:
      break;
  }
  return NULL;
}

static void check_state(GPtrArray *findings, const DmVm *vm) {
  gboolean runs = vm->state == DM_VM_RUNNING && vm->live != NULL;
  doctor_add(findings, "state", NULL, runs ? DM_VERDICT_GOOD : DM_VERDICT_BAD, HOST,
    runs ? g_strdup("the VM is running")
         : g_strdup_printf("the VM is %s%s%s, so its guest cannot give or take memory", dm_vm_state_name(vm->state),
             vm->job != NULL ? " while it is being " : "", vm->job != NULL ? vm->job : ""),
    runs ? NULL : advise_state(vm));
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
