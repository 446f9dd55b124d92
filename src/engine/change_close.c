/* SPDX-License-Identifier: Apache-2.0 */
/* A change's end: UNDO and CLOSE. */
#include "base/error.h"
#include "change_private.h"
#include "hypervisor/domain.h"
#include "record.h"

gboolean change_work_undo(DmChange *change, GError **error) {
  return dm_domain_store(
    change->connection, change->vm, change->vm_before->live->guaranteed, change->vm_before->request, error);
}

Phase change_then_undo(DmChange *change) {
  return PHASE_END;
}

/* The last that is known of a VM that has stopped: as it was, without what its guest released. */
static void drop_removed(DmVm *vm, const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
    if (step->op == DM_OP_UNPLUG && step->state == DM_STEP_DONE && device != NULL)
      g_ptr_array_remove(vm->live->devices, device);
  }
}

gboolean change_lost(const DmChange *change, GError **error) {
  if (change->recorded) {
    g_set_error(error, DM_ERROR, DM_ERROR_CONNECTION,
      "the connection to %s was lost in the middle of the request; the VM carries it, to be settled when it is back",
      dm_connection_uri(change->connection));
    dm_error_add_command(error, "dimmer", "settle", change_name(change), NULL);
  } else {
    g_set_error(error, DM_ERROR, DM_ERROR_CONNECTION, "the connection to %s was lost; nothing was asked of %s",
      dm_connection_uri(change->connection), change_name(change));
  }
  return FALSE;
}

static gboolean close_moved(const DmChange *change, GError **error) {
  g_set_error(error, DM_ERROR, DM_ERROR_VM_MOVED, "%s was migrated to another host in the middle of the request%s",
    change_name(change),
    change->recorded ? ", which it took along, to be settled there"
                     : "; nothing was asked of it, so repeat that there");
  return FALSE;
}

static gboolean close_stopped(DmChange *change, GError **error) {
  g_autoptr(DmVm) last = dm_vm_copy(change->vm_before);
  drop_removed(last, change->request);
  last->state = DM_VM_SHUT_OFF;
  if (last->next_run != NULL && !record_settle(change->connection, last, change->request, NULL, error))
    return FALSE;
  if (!change_read_vm(change, NULL)) {
    dm_vm_free(change->vm);
    change->vm = g_steal_pointer(&last);
  }
  g_set_error(error, DM_ERROR, DM_ERROR_VM_STOPPED,
    "%s stopped in the middle of the request; nothing more can be asked of it", change_name(change));
  return FALSE;
}

gboolean change_work_close(DmChange *change, GError **error) {
  gboolean was_live = change->vm_before->live != NULL;
  if (change->connection_lost)
    return change_lost(change, error);
  if (change->vm_moved)
    return close_moved(change, error);
  if (!change->vm_stopped && !change_read_vm(change, error)) {
    if (!was_live || error == NULL || !g_error_matches(*error, DM_ERROR, DM_ERROR_NO_SUCH_VM))
      return FALSE;
    g_clear_error(error); /* a transient VM that stopped is gone altogether */
    change->vm_stopped = TRUE;
  }
  if (was_live && (change->vm_stopped || change->vm->live == NULL))
    return close_stopped(change, error);
  dm_domain_read_job(change->connection, change->vm);
  if (change_touches_live(change) &&
    change->vm->job != NULL) { /* it lets nothing be written: the request stays with the VM */
    g_ptr_array_add(change->plan->notes,
      g_strdup_printf("%s is being %s, so what came of this is accounted for only when that is over and the request is "
                      "settled",
        change->vm->name, change->vm->job));
    return TRUE;
  }
  inside_merge_refusals(change, change->vm);
  if (was_live && change_touches_live(change) &&
    !record_settle(change->connection, change->vm, change->request, NULL, error))
    return FALSE;
  return change_read_vm(change, error);
}

/* An answer that came while the account was made is accounted for as well. */
Phase change_then_close(DmChange *change) {
  guint pending = answers_count_pending(change);
  answers_take(change);
  return change->error == NULL && answers_count_pending(change) < pending ? PHASE_CLOSE : PHASE_END;
}
