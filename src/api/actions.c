/* SPDX-License-Identifier: Apache-2.0 */
/* Power: start, stop, shutdown, reboot, as BackendVmResource's actions. */
#include <string.h>

#include "api_private.h"
#include "base/error.h"

struct Action {
  DmApi *api;
  Call *call; /* that waits for it; NULL: none any more */
  DmPower power;
  char *vm_id, *user, *correlation_id;
  gboolean done;
  const GError *error; /* once it is done */
};

static const struct {
  const char *verb;
  DmPower power;
  AuditCode asked, failed;
  const char *before, *after; /* of the event: BEFORE name AFTER user */
} actions[] = {
  {"start", DM_POWER_START, AUDIT_USER_INITIATED_RUN_VM, AUDIT_USER_FAILED_RUN_VM, "Starting VM", "was initiated by"},
  {"stop", DM_POWER_STOP, AUDIT_USER_STOP_VM, AUDIT_USER_FAILED_STOP_VM, "VM", "powered off by"},
  {"shutdown", DM_POWER_SHUTDOWN, AUDIT_USER_INITIATED_SHUTDOWN_VM, AUDIT_USER_FAILED_SHUTDOWN_VM, "VM shutdown of",
    "initiated by"},
  {"reboot", DM_POWER_REBOOT, AUDIT_USER_REBOOT_VM, AUDIT_USER_FAILED_REBOOT_VM, "Reboot of VM", "initiated by"},
};

static gsize action_of(DmPower power) {
  gsize i = 0;
  while (actions[i].power != power)
    i++;
  return i;
}

static DmNode *action_node(const Call *call, const char *status) {
  DmNode *node = dm_node_new("action");
  dm_node_add_text(node, "status", status);
  add_link(node, "vm", "vms", call->ids[0]);
  return node;
}

static void reply_failed(Call *call, const GError *error) {
  DmNode *node = dm_node_new("action");
  add_fault(dm_node_add_object(node, "fault"), error);
  dm_node_add_text(node, "status", "failed");
  reply_node(call, (guint)dm_error_info_of(error)->http_status, node);
}

/* RunVmValidator, StopVmCommandBase, RebootVmCommand. */
static GError *why_not(const DmEntry *entry, DmPower power) {
  const char *name = entry->vm->name, *status = vm_status(entry);
  gboolean down = entry->vm->live == NULL, up = entry->vm->state == DM_VM_RUNNING;
  gboolean resumable = entry->vm->state == DM_VM_PAUSED || entry->vm->state == DM_VM_SUSPENDED;
  if (entry->host->status != DM_HOST_UP)
    return g_error_new(DM_ERROR, DM_ERROR_CONNECTION, "Cannot %s VM %s: its host %s cannot be reached.",
      dm_power_name(power), name, entry->host->name);
  if (power == DM_POWER_START && (entry->starting || (!down && !resumable)))
    return g_error_new(DM_ERROR, DM_ERROR_BUSY, "Cannot run VM. VM %s is running.", name);
  if ((power == DM_POWER_STOP || power == DM_POWER_SHUTDOWN) && down)
    return g_error_new(
      DM_ERROR, DM_ERROR_NOT_RUNNING, "Cannot %s VM. VM %s is not running.", dm_power_name(power), name);
  if (power == DM_POWER_REBOOT && !up)
    return g_error_new(
      DM_ERROR, DM_ERROR_NOT_RUNNING, "Cannot reboot VM. VM %s is in the status %s; it must be up.", name, status);
  return NULL;
}

void action_abandon(Call *call) {
  if (call->action != NULL)
    call->action->call = NULL;
  call->action = NULL;
}

/* Where the time is up first, libvirt has been asked, and what comes of it is in the VM and the events. */
static void answer(Call *call) {
  const Action *action = call->action;
  action_abandon(call);
  if (action->error != NULL)
    reply_failed(call, action->error);
  else
    reply_node(call, 200, action_node(call, action->done ? "complete" : "pending"));
}

/* What would make another start of it, and cannot be done: not to be dropped in silence. Other members change nothing.
 */
static gboolean check_start(const DmBody *body, GError **error) {
  static const char *const flags[] = {"pause", "use_cloud_init", "use_ignition", "use_initialization", "use_sysprep"};
  static const char *const names[] = {"href", "id", "name", NULL};
  for (gsize i = 0; i < G_N_ELEMENTS(flags); i++) {
    gboolean present, set = FALSE;
    if (!dm_body_boolean(body, flags[i], &present, &set, error))
      return FALSE;
    if (present && set) {
      g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "%s is not supported here; leave it out", flags[i]);
      return FALSE;
    }
  }
  const char *other = dm_body_other(dm_body_child(body, "vm"), names);
  if (other == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
    "a VM is started as it is, not with another '%s' for once; leave vm out%s", other,
    strncmp(other, "memory", strlen("memory")) == 0 ? ", and change the memory by a PUT of the VM first" : "");
  return FALSE;
}

static gboolean check_action(const DmBody *body, DmPower power, GError **error) {
  static const char *const none[] = {NULL};
  gboolean present, async;
  if (!dm_body_boolean(body, "async", &present, &async, error)) /* it makes no difference here */
    return FALSE;
  if (dm_body_other(dm_body_child(body, "grace_period"), none) != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "grace_period: nothing is done later here; leave it out");
    return FALSE;
  }
  return power != DM_POWER_START || check_start(body, error);
}

static void on_done(DmEntry *entry, const GError *error, gpointer data) {
  Action *action = data;
  if (error != NULL)
    audit(action->api, actions[action_of(action->power)].failed, DM_SEVERITY_ERROR, entry, action->user,
      action->correlation_id, "Failed to %s VM %s: %s", dm_power_name(action->power),
      entry != NULL ? entry->vm->name : action->vm_id, error->message);
  action->done = TRUE;
  action->error = error;
  action->api->acting--;
  if (action->call != NULL)
    stop_waiting(action->call);
  g_free(action->vm_id);
  g_free(action->user);
  g_free(action->correlation_id);
  g_free(action);
}

void handle_vm_action(Call *call) {
  DmEntry *entry = find_entry(call);
  gsize i = 0;
  g_autoptr(GError) error = NULL;
  if (entry == NULL || !read_body(call, "action"))
    return;
  while (!g_str_has_suffix(call->route->path, actions[i].verb))
    i++;
  DmPower power = actions[i].power;
  if (!check_action(call->body, power, &error)) {
    reply_failed(call, error);
    return;
  }
  error = why_not(entry, power);
  if (error != NULL) {
    reply_failed(call, error);
    return;
  }
  /* A guest that has a next run waiting gets it by its reboot. */
  gboolean cold = power == DM_POWER_REBOOT && dm_vm_has_next_run(entry->vm);
  audit(call->api, actions[i].asked, DM_SEVERITY_NORMAL, entry, call->user, call->correlation_id, "%s %s %s %s%s",
    actions[i].before, entry->vm->name, actions[i].after, call->user, cold ? " (cold, for its next run)" : "");
  call->action = g_new0(Action, 1);
  *call->action = (Action){.api = call->api,
    .call = call,
    .power = power,
    .vm_id = g_strdup(call->ids[0]),
    .user = g_strdup(call->user),
    .correlation_id = g_strdup(call->correlation_id)};
  call->api->acting++;
  wait_for(call, answer);
  dm_inventory_power(call->api->inventory, entry, cold ? DM_POWER_COLD_REBOOT : power, on_done, call->action);
}
