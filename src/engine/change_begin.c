/* SPDX-License-Identifier: Apache-2.0 */
/* A change's beginning: FIND, READ, and the plan. */
#include "base/error.h"
#include "change_private.h"
#include "hypervisor/domain.h"
#include "plan/rules.h"
#include "record.h"

gboolean change_work_find(DmChange *change, GError **error) {
  return change_read_vm(change, error);
}

Phase change_then_find(DmChange *change) {
  if (change->options.dry_run)
    return PHASE_READ;
  const char *uuid = change->vm != NULL ? change->vm->uuid : change->name;
  change->lock = dm_lock_take(uuid, change_name(change), &change->error);
  if (change->lock == NULL)
    return PHASE_END;
  change->watch = dm_connection_watch(change->connection, uuid, change_on_event, change);
  return PHASE_READ;
}

/* We have the lock, so a request of this host has lost its process. One of another host may be alive. */
static gboolean belongs_to_other_host(const DmRequest *request) {
  return request->pid != 0 && g_strcmp0(request->host, g_get_host_name()) != 0 &&
    g_get_real_time() / G_USEC_PER_SEC < request->deadline;
}

gboolean change_work_read(DmChange *change, GError **error) {
  if (!change_read_vm(change, error))
    return FALSE;
  dm_domain_read_job(change->connection, change->vm);
  if (!dm_rule_idle(change->vm, error))
    return FALSE;
  const DmRequest *request = change->vm->request;
  if (request == NULL)
    return TRUE;
  if (change->options.dry_run) {
    if (change->vm->live != NULL)
      record_preview(change->vm, change->found);
    return TRUE;
  }
  if (belongs_to_other_host(request)) {
    g_set_error(error, DM_ERROR, DM_ERROR_BUSY,
      "process %d on host %s is changing %s at this moment; wait for it and see how far it is", (int)request->pid,
      request->host, change->vm->name);
    dm_error_add_command(error, "dimmer", "show", change->vm->name, NULL);
    return FALSE;
  }
  change->recovered = dm_request_copy(request);
  DmStep *step = change->refused != NULL ? dm_request_find_step(change->recovered, change->refused) : NULL;
  if (step != NULL)
    dm_step_advance(step, DM_STEP_REFUSED);
  return record_recover(change->connection, change->vm, change->recovered, change->found, error) &&
    change_read_vm(change, error);
}

/* What an earlier request asked for, and this one does not want to go. */
static gboolean withdraws(const DmChange *change) {
  return change->plan->action == DM_ACTION_SET && change->plan->memory != 0 && change->vm_before->request != NULL;
}

/* The running VM is touched: there are devices to ask, guaranteed changes, or what it carries does. */
gboolean change_touches_live(const DmChange *change) {
  return change->vm->live != NULL &&
    (change->plan->steps->len > 0 || change->plan->guaranteed != 0 || withdraws(change));
}

Phase change_then_read(DmChange *change) {
  if (change->vm->state != DM_VM_RUNNING || change->options.no_look)
    return change_then_plan(change);
  return PHASE_LOOK;
}

Phase change_then_plan(DmChange *change) {
  change->vm_before = dm_vm_copy(change->vm);
  change->plan = change->plan_func(change->vm, change->plan_data, &change->error);
  change->planned_at = g_get_monotonic_time();
  if (change->plan == NULL)
    return PHASE_END;
  for (guint i = 0; i < change->found->len; i++)
    g_ptr_array_insert(change->plan->notes, (int)i, g_strdup(change->found->pdata[i]));
  if (change->listener.planned != NULL)
    change->listener.planned(change, change->listener_data);
  if (change->options.dry_run || change->stopped || !inside_is_free(change, &change->error))
    return PHASE_END;
  /* dimmer-guest may take up to twice the timeout to free devices before they are asked: see inside_free(). */
  double timeout = change->options.timeout;
  change->request = record_new(change->vm, change->plan, change->id, change->agent != NULL ? timeout * 2 : timeout);
  change->request->user = g_strdup(change->user);
  if (!change_touches_live(change))
    return PHASE_CONFIGURE;
  return record_changes_next_run(change->request) ? PHASE_RECORD : inside_before_ask(change);
}
