/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of a VM, in order. */
#include "plan/doctor.h"

#include "base/shell.h"
#include "doctor_private.h"

/* How to get a guest that can answer; NULL: not known. @verb: of virsh, to do it; NULL: none. */
static const char *advise_state(const DmVm *vm, const char **verb) {
  *verb = NULL;
  if (vm->job != NULL)
    return DM_REMEDY_WAIT;
  switch (vm->state) {
    case DM_VM_PAUSED:
      *verb = "resume";
      return DM_REMEDY_RESUME;
    case DM_VM_SUSPENDED:
      *verb = "dompmwakeup";
      return DM_REMEDY_WAKE;
    case DM_VM_SHUT_OFF:
    case DM_VM_CRASHED:
      *verb = "start";
      return DM_REMEDY_START;
    case DM_VM_RUNNING:
    case DM_VM_SHUTTING_DOWN:
      break;
  }
  return NULL;
}

static void check_state(GPtrArray *findings, const DmVm *vm) {
  if (vm->state == DM_VM_RUNNING && vm->live != NULL) {
    doctor_add(findings, DM_FINDING_RUNNING, NULL, DM_VERDICT_GOOD, HOST, NULL);
    return;
  }
  const char *verb, *remedy = advise_state(vm, &verb);
  const char *state = dm_vm_state_name(vm->state);
  if (vm->job != NULL)
    doctor_add(findings, DM_FINDING_STATE_MIGRATING, NULL, DM_VERDICT_BAD, HOST, remedy, state, vm->job);
  else if (vm->saved)
    doctor_add(findings, DM_FINDING_SAVED, NULL, DM_VERDICT_BAD, HOST, remedy, state);
  else
    doctor_add(findings, DM_FINDING_NOT_RUNNING, NULL, DM_VERDICT_BAD, HOST, remedy, state);
  if (verb != NULL)
    doctor_add_command(findings, "virsh", verb, "--", dm_vm_virsh_handle(vm), NULL);
}

GPtrArray *dm_plan_doctor(const DmVm *vm, uint64_t memory) {
  GPtrArray *findings = doctor_findings_new();
  check_state(findings, vm);
  if (vm->live == NULL)
    return findings;
  doctor_check_host(findings, vm);
  doctor_check_guest(findings, vm, memory);
  for (guint i = 0; i < vm->live->devices->len; i++)
    doctor_check_device(findings, vm, vm->live->devices->pdata[i]);
  return findings;
}

void dm_findings_connect(GPtrArray *findings, const char *uri) {
  for (guint i = 0; i < findings->len; i++) {
    DmFinding *finding = findings->pdata[i];
    g_autofree char *command = g_steal_pointer(&finding->command);
    finding->command = dm_shell_connected(command, uri);
  }
}

DmFinding *dm_plan_device_finding(const DmVm *vm, const DmMemoryDevice *device) {
  g_autoptr(GPtrArray) findings = doctor_findings_new();
  doctor_check_device(findings, vm, device);
  return g_ptr_array_steal_index(findings, 0); /* "movable" comes first */
}
