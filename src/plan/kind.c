/* SPDX-License-Identifier: Apache-2.0 */
/* Which kind of device to plug, where a request leaves it to us. */
#include "change.h"
#include "plan/machine.h"

/* What speaks against virtio-mem, in words; NULL: nothing, and its guest is known to drive it. */
static const char *find_objection(const DmVm *vm) {
  DmLack lack;
  if (dm_machine_lacks(&vm->live->machine, DM_DEVICE_VIRTIO_MEM, &lack))
    return lack.what;
  if (vm->locked)
    return DM_PHRASE_LOCKED_MEMORY;
  if (vm->live->machine.pci_full)
    return DM_PHRASE_NO_PCI_PORT;
  if (vm->vfio)
    return DM_PHRASE_VFIO_MAPS;
  const char *why = plan_explain_not_taken(vm);
  if (why != NULL)
    return why;
  if (vm->guest == NULL || vm->guest->virtio_mem != DM_FACT_YES)
    return DM_PHRASE_DRIVER_UNKNOWN;
  return !vm->live->keeps_addresses && vm->live->devices->len > 0 ? DM_PHRASE_ADDRESS_NOT_KEPT : NULL;
}

DmDeviceKind plan_choose_kind(DmPlan *plan, const DmVm *vm) {
  DmLack lack;
  const char *why = find_objection(vm);
  gboolean no_dimm = dm_machine_lacks(&vm->live->machine, DM_DEVICE_DIMM, &lack);
  gboolean no_virtio = dm_machine_lacks(&vm->live->machine, DM_DEVICE_VIRTIO_MEM, &lack);
  gboolean no_slot = !no_dimm && vm->live->slotless_virtio && dm_config_free_slots(vm->live) == 0;
  /* The host starts no virtio-mem device beside these, and its guest takes none: not even for want of a slot. */
  gboolean never = no_virtio || vm->locked || vm->live->machine.pci_full || plan_explain_not_taken(vm) != NULL;
  gboolean dimm = no_virtio || (why != NULL && !no_dimm && (never || !no_slot));
  if (!dimm)
    why = why == NULL ? DM_PHRASE_GUEST_DRIVES : no_dimm ? DM_PHRASE_NO_DIMMS_HERE : DM_PHRASE_NO_SLOT_FOR_DIMMS;
  if (dimm)
    plan_note(plan, DM_NOTE_DIMMS_CHOSEN, vm->name, why);
  else
    plan_note(plan, DM_NOTE_VIRTIO_MEM_CHOSEN, vm->name, why);
  return dimm ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM;
}

/* The error speaks of a kind that its request did not name. */
void plan_explain_kind(const DmPlan *plan, GError **error) {
  for (guint i = 0; error != NULL && *error != NULL && i < plan->notes->len; i++) {
    const DmNote *note = plan->notes->pdata[i];
    if (note->code != DM_NOTE_DIMMS_CHOSEN && note->code != DM_NOTE_VIRTIO_MEM_CHOSEN)
      continue;
    char *message = g_strdup_printf("%s; %s", (*error)->message, note->text);
    g_free((*error)->message);
    (*error)->message = message;
  }
}
