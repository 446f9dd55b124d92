/* SPDX-License-Identifier: Apache-2.0 */
/* The VM of a change: read anew, and its record. */
#include "base/debug.h"
#include "change_private.h"

/* The name for messages; the VM may have been given by UUID. */
const char *change_name(const DmChange *change) {
  if (change->vm != NULL)
    return change->vm->name;
  return change->title != NULL ? change->title : change->name;
}

const char *change_uuid(const DmChange *change) {
  return change->vm != NULL ? change->vm->uuid : change->name;
}

/* The guaranteed memory that can be set at once; the final accounting sets the rest. */
static uint64_t guaranteed_at_once(const DmChange *change) {
  uint64_t asked = change->plan->guaranteed;
  return asked != 0 ? MIN(asked, dm_config_memory(change->vm->live)) : change->vm->live->guaranteed;
}

gboolean change_store_request(DmChange *change, const DmRequest *request, GError **error) {
  if (change->plan != NULL && change->plan->balloon != NULL) /* before it moves: a killed process leaves no less */
    change->vm->live->balloon_others = MAX(change->vm->live->balloon_others, change->plan->balloon_others);
  change->recorded = dm_domain_store(change->connection, change->vm, guaranteed_at_once(change), request, error);
  return change->recorded;
}

gboolean change_store(DmChange *change, GError **error) {
  return change_store_request(change, change->request, error);
}

/* A target that a killed process left is to be known in any case. */
static gboolean balloon_matters(const DmChange *change, const DmVm *vm) {
  gboolean used = (change->wish->flags & DM_PLAN_BALLOON) != 0 || change->ballooned;
  gboolean recorded = vm->request != NULL && vm->request->balloon != NULL;
  gboolean answers = vm->state == DM_VM_RUNNING || vm->state == DM_VM_PAUSED;
  return vm->balloon && answers &&
    (recorded || (dm_wish_concerns_guest(change->wish) && (used || dm_vm_may_be_ballooned(vm))));
}

/* QEMU itself is asked only where that matters, as one that hangs does not answer. */
static void read_balloon(const DmChange *change, DmVm *vm) {
  DmBalloonStats stats;
  g_autoptr(GError) error = NULL;
  if (!balloon_matters(change, vm))
    return;
  if (dm_balloon_read(change->connection, vm, &stats, &error))
    vm->balloon_actual = stats.actual;
  else
    dm_debug("change", "%s: %s", vm->name, error->message);
}

void change_run(DmChange *change, void (*work)(gpointer data), void (*worked)(gpointer data)) {
  dm_request_free(change->shown);
  change->shown = change->request != NULL ? dm_request_copy(change->request) : NULL;
  change->working = TRUE;
  dm_connection_run(change->connection, change_uuid(change), work, worked, change);
}

gboolean change_read_vm(DmChange *change, GError **error) {
  DmVm *vm = dm_domain_read(change->connection, change_uuid(change), error);
  if (vm == NULL)
    return FALSE;
  change_guest_take(change, vm);
  read_balloon(change, vm);
  dm_vm_free(change->vm);
  change->vm = vm;
  return TRUE;
}
