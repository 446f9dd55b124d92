/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a change: UNDO, CLOSE and CLEAR, which run in a worker thread, and what they need to know. */
#include "base/error.h"
#include "change_private.h"
#include "record.h"

/* Steps of an earlier request whose device this one wants to keep. */
static gboolean withdraws(const DmChange *change) {
  return change->plan->action == DM_ACTION_SET && change->plan->memory != 0 && change->vm_before->request != NULL;
}

/* A request left by an earlier dimmer is not removed from the VM but continued, under its own id. */
gboolean change_goes_on(const DmChange *change) {
  const DmRequest *carried = change->recovered;
  return change->wish->action == DM_ACTION_SETTLE && change->wish->settle.goes_on != NULL && carried != NULL &&
    g_strcmp0(carried->id, change->wish->settle.goes_on) == 0;
}

/* The running VM is changed: devices to request, a new guaranteed, or a change of its record. */
gboolean change_touches_live(const DmChange *change) {
  return change->vm->live != NULL &&
    (change->plan->steps->len > 0 || change->plan->balloon != NULL || change->plan->guaranteed != 0 ||
      withdraws(change) || change_goes_on(change));
}

gboolean change_tell_lost(const DmChange *change, GError **error) {
  if (change->recorded) {
    g_set_error(error, DM_ERROR, DM_ERROR_CONNECTION,
      "the connection to %s was lost during the request (%s); settle it when the connection is back",
      dm_connection_uri(change->connection), dm_connection_loss(change->connection));
    dm_error_add_command(error, "dimmer", "settle", "--", dm_vm_handle(change->vm), NULL);
  } else {
    g_set_error(error, DM_ERROR, DM_ERROR_CONNECTION, "the connection to %s was lost (%s); nothing was asked of %s",
      dm_connection_uri(change->connection), dm_connection_loss(change->connection), change_name(change));
  }
  return FALSE;
}

gboolean change_work_undo(DmChange *change, GError **error) {
  change->vm->live->balloon_others = change->vm_before->live->balloon_others;
  return dm_domain_store(
    change->connection, change->vm, change->vm_before->live->guaranteed, change->vm_before->request, error);
}

/* The last known state of a stopped VM, without what its guest released. */
static void drop_removed(DmVm *vm, const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
    if (step->op == DM_OP_UNPLUG && step->state == DM_STEP_DONE && device != NULL)
      g_ptr_array_remove(vm->live->devices, device);
  }
}

static gboolean close_moved(const DmChange *change, GError **error) {
  g_set_error(error, DM_ERROR, DM_ERROR_VM_MOVED, "%s was migrated to another host during the request%s",
    change_name(change),
    change->recorded ? ", along with the request; settle it there"
                     : "; nothing was asked of it, so repeat the request there");
  return FALSE;
}

static gboolean close_stopped(DmChange *change, GError **error) {
  g_autoptr(DmVm) last = dm_vm_copy(change->vm_before);
  drop_removed(last, change->request);
  last->state = DM_VM_SHUT_OFF;
  if (last->next_run != NULL && !record_account(change->connection, last, change->request, NULL, error))
    return FALSE;
  if (!change_read_vm(change, NULL)) {
    dm_vm_free(change->vm);
    change->vm = g_steal_pointer(&last);
  }
  g_set_error(error, DM_ERROR, DM_ERROR_VM_STOPPED, "%s stopped during the request; nothing more can be asked of it",
    change_name(change));
  return FALSE;
}

/* Removes devices that unplug shrank to 0, if QEMU allows it. */
static void remove_emptied(const DmChange *change) {
  const DmPlan *plan = change->plan;
  for (guint i = 0; plan->action == DM_ACTION_UNPLUG && i < plan->emptied->len; i++) {
    const char *alias = plan->emptied->pdata[i];
    const DmMemoryDevice *device = change->vm->live != NULL ? dm_config_find_alias(change->vm->live, alias) : NULL;
    if (device != NULL && device->requested == 0 && device->current == 0)
      dm_domain_remove_empty(change->connection, change->vm, alias);
  }
}

/* The running VM's own: the definition has it already. */
static gboolean keep_balloon_use(const DmChange *change, GError **error) {
  DmVm *vm = change->vm;
  if (!change->plan->has_balloon_use || vm->live->balloon_use == change->plan->balloon_use)
    return TRUE;
  vm->live->balloon_use = change->plan->balloon_use;
  return dm_domain_store(change->connection, vm, vm->live->guaranteed, vm->request, error);
}

/* A libvirt job blocks all writes. */
gboolean change_stays_with_vm(const DmChange *change) {
  return change_touches_live(change) && change->vm->job != NULL;
}

gboolean change_work_close(DmChange *change, GError **error) {
  gboolean was_live = change->vm_before->live != NULL;
  change->accounted = FALSE;
  if (change->connection_lost)
    return change_tell_lost(change, error);
  if (change->vm_moved)
    return close_moved(change, error);
  if (!was_live) /* a start or stop meanwhile does not matter to this change; whether it still exists does */
    change->vm_stopped = FALSE;
  if (!change->vm_stopped && !change_read_vm(change, error)) {
    if (!was_live || error == NULL || !g_error_matches(*error, DM_ERROR, DM_ERROR_NO_SUCH_VM))
      return FALSE;
    g_clear_error(error); /* a stopped transient VM no longer exists */
    change->vm_stopped = TRUE;
  }
  if (was_live && (change->vm_stopped || change->vm->live == NULL))
    return close_stopped(change, error);
  dm_domain_read_job(change->connection, change->vm);
  if (change_stays_with_vm(change)) {
    dm_notes_add(change->plan->notes, DM_NOTE_MIGRATING, change->vm->name, change->vm->job);
    change->accounted = TRUE;
    return TRUE;
  }
  if (was_live && !keep_balloon_use(change, error))
    return FALSE;
  if (was_live && change->plan->action == DM_ACTION_SET &&
    !record_configure_again(change->connection, change->vm, change->request, change->plan, &change->rewrite, error))
    return FALSE;
  change->accounted = !was_live || !change_touches_live(change) ||
    record_account(change->connection, change->vm, change->request, NULL, error);
  return change->accounted;
}

/* What is continued stays until its new record replaces it. */
static gboolean clear_recovered(DmChange *change, GError **error) {
  if (change_goes_on(change))
    return TRUE;
  change_balloon_keep(change);
  return record_clear(change->connection, change->vm, change->recovered, error);
}

static gboolean clear_record(DmChange *change, GError **error) {
  if (change->plan == NULL)
    return clear_recovered(change, error);
  if (change->vm_before->live == NULL || !change_touches_live(change))
    return TRUE;
  record_merge_refusals(change->vm, change->refusals);
  change_balloon_keep(change);
  return record_clear(change->connection, change->vm, change->request, error);
}

gboolean change_work_clear(DmChange *change, GError **error) {
  if (!clear_record(change, error))
    return FALSE;
  if (change->plan != NULL)
    remove_emptied(change);
  return change_read_vm(change, error);
}
