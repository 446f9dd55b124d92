/* SPDX-License-Identifier: Apache-2.0 */
/* Power: start, stop, shutdown, reboot, as BackendVmResource's actions. */
#include <string.h>

#include "base/error.h"
#include "handlers.h"
#include "views.h"
#include "watchers.h"

struct Action {
  DmApi *api;
  Call *call; /* that waits for it; NULL: no longer */
  DmPower power;
  char *vm_id, *user, *correlation_id;
  gboolean done;
  const GError *error; /* called when it is done */
};

static const struct {
  const char *verb;
  DmPower power;
  AuditCode asked, failed;
  const char *before, *after; /* the event's text: BEFORE name AFTER user */
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
  if (power == DM_POWER_SHUTDOWN && resumable)
    return g_error_new(DM_ERROR, DM_ERROR_NOT_RUNNING,
      "Cannot shut down VM. VM %s is %s, and its guest cannot hear of it; start it first, or stop it.", name,
      entry->vm->state == DM_VM_PAUSED ? "paused" : "suspended");
  if (power == DM_POWER_REBOOT && !up)
    return g_error_new(
      DM_ERROR, DM_ERROR_NOT_RUNNING, "Cannot reboot VM. VM %s is in the status %s; it must be up.", name, status);
  return NULL;
}

static void let_go(Call *call) {
  if (call->action != NULL)
    call->action->call = NULL;
  call->action = NULL;
}

/* On timeout, libvirt has been called already, and the result shows in the VM and the events. */
static void answer(Call *call) {
  const Action *action = call->action;
  let_go(call);
  if (action->error != NULL)
    reply_error(call, action->error);
  else
    reply_node(call, 200, vm_action_node(call, action->done));
}

/* Unsupported members that would change the start: not to be dropped silently. Others have no effect.
 */
static gboolean check_start(const DmBody *body, GError **error) {
  const DmBody *vm = NULL;
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
  if (!dm_body_object(body, "vm", &vm, error))
    return FALSE;
  const char *other = dm_body_other(vm, names);
  if (other == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
    "a VM is started as it is, not with another '%s' for once; leave vm out%s", other,
    strncmp(other, "memory", strlen("memory")) == 0 ? ", and change the memory by a PUT of the VM first" : "");
  return FALSE;
}

static gboolean check_action(const DmBody *body, DmPower power, GError **error) {
  static const char *const none[] = {NULL}, *const lists[] = {"link", NULL};
  const DmBody *grace = NULL;
  gboolean present, async; /* no effect here */
  if (!dm_body_check_once(body, lists, error) || !dm_body_boolean(body, "async", &present, &async, error) ||
    !dm_body_object(body, "grace_period", &grace, error))
    return FALSE;
  if (dm_body_other(grace, none) != NULL) {
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
    reply_error(call, error);
    return;
  }
  error = why_not(entry, power);
  if (error != NULL) {
    reply_error(call, error);
    return;
  }
  /* A reboot applies a pending next run. */
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
  call_on_end(call, let_go);
  wait_for(call, answer);
  dm_inventory_power(call->api->inventory, entry, cold ? DM_POWER_COLD_REBOOT : power, on_done, call->action);
}

/* oVirt's other actions: an empty 404 would mean "no such VM". */
void handle_vm_other_action(Call *call) {
  const DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  g_autofree char *detail = g_strdup_printf(
    "[Cannot %s VM %s: dimmer starts, stops, shuts down and reboots VMs, and changes their memory; do the rest with "
    "libvirt's tools on its host.]",
    strrchr(call->route->path, '/') + 1, entry->vm->name);
  reply_fault(call, 400, FAULT_NOT_SUPPORTED, "Operation Failed", detail);
}

void handle_vm_elsewhere(Call *call) {
  gboolean add = g_str_equal(call->route->method, "POST");
  if (!add && find_entry(call) == NULL)
    return;
  dm_http_reply_header(call->http, "Allow", add ? "GET, HEAD" : "GET, HEAD, PUT");
  reply_fault(call, 405, FAULT_METHOD, "Operation Failed",
    add ? "[Cannot add VM. VMs are not made by dimmer; define it on a host with libvirt's tools, such as virt-install.]"
        : "[Cannot remove VM. VMs are not removed by dimmer; undefine it on its host, with virsh undefine.]");
}
