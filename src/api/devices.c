/* SPDX-License-Identifier: Apache-2.0 */
/* What oVirt's REST API lacks: a VM's memory devices, one by one. */
#include "api_private.h"
#include "base/error.h"
#include "base/size.h"

/* @driven: what is planned is as good as asked, as the guest may be freeing it at this moment. */
static const DmStep *find_pending(const GPtrArray *steps, const char *alias, gboolean driven) {
  for (guint i = 0; i < steps->len; i++) {
    const DmStep *step = steps->pdata[i];
    if ((dm_step_is_pending(step) || (driven && step->state == DM_STEP_PLANNED)) && g_strcmp0(step->alias, alias) == 0)
      return step;
  }
  return NULL;
}

/* What is asked of it at this moment: by a job, or by what the VM carries. */
const char *device_state(const DmApi *api, const DmEntry *entry, const DmMemoryDevice *device) {
  const GPtrArray *jobs = dm_jobs_list(api->jobs);
  const DmStep *step = NULL;
  for (guint i = jobs->len; i > 0 && step == NULL; i--) {
    const DmJob *job = jobs->pdata[i - 1];
    if (job->ended == 0 && g_str_equal(job->vm_id, entry->vm->uuid))
      step = find_pending(job->steps, device->alias, job->driven);
  }
  if (step == NULL && entry->vm->request != NULL)
    step = find_pending(entry->vm->request->steps, device->alias, FALSE);
  if (step == NULL)
    return "present";
  if (step->state == DM_STEP_OVERDUE)
    return "overdue";
  return step->op == DM_OP_RESIZE ? "resizing" : "going";
}

DmNode *device_node(const DmApi *api, const DmEntry *entry, const DmMemoryDevice *device) {
  DmNode *node = dm_node_new("memory_device");
  g_autofree char *href = api_href("vms/%s/memorydevices/%s", entry->vm->uuid, device->id);
  g_autofree char *address = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", device->address);
  dm_node_set_attribute(node, "href", href);
  dm_node_set_attribute(node, "id", device->id);
  dm_node_add_text(node, "alias", device->alias);
  dm_node_add_text(node, "kind", dm_memory_device_kind_name(device));
  dm_node_add_number(node, "size", (gint64)device->size);
  if (device->kind == DM_DEVICE_VIRTIO_MEM) {
    dm_node_add_number(node, "requested", (gint64)device->requested);
    dm_node_add_number(node, "current", (gint64)device->current);
    dm_node_add_number(node, "block", (gint64)device->block);
  }
  dm_node_add_number(node, "node", device->node);
  if (device->slot >= 0)
    dm_node_add_number(node, "slot", device->slot);
  dm_node_add_text(node, "address", device->address != 0 ? address : NULL);
  dm_node_add_text(node, "bus_address", device->bus_address);
  dm_node_add_text(node, "state", device_state(api, entry, device));
  if (device->movable != DM_MOVABLE_UNKNOWN)
    dm_node_add_boolean(node, "movable", device->movable == DM_MOVABLE_YES);
  add_link(node, "vm", "vms", entry->vm->uuid);
  return node;
}

DmNode *devices_node(const DmApi *api, const DmEntry *entry) {
  DmNode *nodes = dm_node_new("memory_devices");
  for (guint i = 0; entry->vm->live != NULL && i < entry->vm->live->devices->len; i++)
    dm_node_adopt(nodes, device_node(api, entry, entry->vm->live->devices->pdata[i]), TRUE);
  return nodes;
}

void handle_devices(Call *call) {
  DmEntry *entry = find_entry(call);
  if (entry != NULL)
    reply_node(call, 200, devices_node(call->api, entry));
}

/* The device of the second id, by its whole id or alias; NULL: 404 was answered. */
static DmMemoryDevice *find_device(Call *call, const DmEntry *entry) {
  for (guint i = 0; entry->vm->live != NULL && i < entry->vm->live->devices->len; i++) {
    DmMemoryDevice *device = entry->vm->live->devices->pdata[i];
    if (g_strcmp0(device->id, call->ids[1]) == 0 || g_strcmp0(device->alias, call->ids[1]) == 0)
      return device;
  }
  reply_empty(call, 404);
  return NULL;
}

void handle_device(Call *call) {
  DmEntry *entry = find_entry(call);
  const DmMemoryDevice *device = entry != NULL ? find_device(call, entry) : NULL;
  if (device != NULL)
    reply_node(call, 200, device_node(call->api, entry, device));
}

/* ---- unplug of one ---- */

typedef struct {
  char *device;
  DmPlanFlags flags;
} Unplug;

static void unplug_free(gpointer data) {
  Unplug *unplug = data;
  g_free(unplug->device);
  g_free(unplug);
}

static DmPlan *plan_unplug(const DmVm *vm, gpointer data, GError **error) {
  const Unplug *unplug = data;
  const char *const names[] = {unplug->device, NULL};
  return dm_plan_unplug_devices(vm, names, unplug->flags, error);
}

DmPlanFlags read_plan_flags(Call *call) {
  return (dm_target_boolean(call->target, "try_unmovable", FALSE) ? DM_PLAN_TRY_UNMOVABLE : 0) |
    (dm_target_boolean(call->target, "force", FALSE) ? DM_PLAN_FORCE : 0);
}

static gboolean is_pending(const DmJob *job) {
  return job->ended == 0;
}

static DmNode *action_node(const Call *call, const DmJob *job, const char *status) {
  DmNode *node = dm_node_new("action");
  add_link(node, "job", "jobs", job->id);
  dm_node_add_text(node, "status", status);
  add_link(node, "vm", "vms", call->ids[0]);
  return node;
}

/* The newest job by which this device, of that id or alias, has gone; NULL: none. */
static const DmJob *find_removed(const DmApi *api, const char *vm_id, const char *device) {
  const GPtrArray *jobs = dm_jobs_list(api->jobs);
  for (guint i = jobs->len; i > 0; i--) {
    const DmJob *job = jobs->pdata[i - 1];
    for (guint s = 0; g_str_equal(job->vm_id, vm_id) && s < job->steps->len; s++) {
      const DmStep *step = job->steps->pdata[s];
      if (step->op == DM_OP_UNPLUG && step->state == DM_STEP_DONE &&
        (g_strcmp0(step->id, device) == 0 || g_strcmp0(step->alias, device) == 0))
        return job;
    }
  }
  return NULL;
}

static void answer_unplug(Call *call) {
  const DmJob *job = call->job;
  const DmJob *earlier = g_error_matches(job->error, DM_ERROR, DM_ERROR_NO_SUCH_DEVICE)
    ? find_removed(call->api, job->vm_id, call->ids[1])
    : NULL;
  if (earlier != NULL) { /* it was there still when this one began to wait for its turn */
    reply_node(call, 200, action_node(call, earlier, "complete"));
    return;
  }
  g_autoptr(GError) error = job->error != NULL ? g_error_copy(job->error) : NULL;
  if (error == NULL && is_pending(job)) {
    reply_node(call, 202, action_node(call, job, "in_progress"));
    return;
  }
  const DmStep *step = job->steps->len > 0 ? job->steps->pdata[0] : NULL;
  if (error == NULL && job->status == DM_JOB_FAILED)
    error = g_error_new(DM_ERROR, DM_ERROR_NOT_REMOVABLE, "Cannot hot unplug memory device %s of VM %s: %s",
      call->ids[1], job->vm_name, step != NULL && step->reason != NULL ? step->reason : "it stayed");
  if (error == NULL) {
    reply_node(call, 200, action_node(call, job, "complete"));
    return;
  }
  DmNode *node = dm_node_new("action");
  if (job->steps->len > 0) /* what a rule forbids is no job */
    add_link(node, "job", "jobs", job->id);
  add_fault(dm_node_add_object(node, "fault"), error);
  dm_node_add_text(node, "status", "failed");
  reply_node(call, (guint)dm_error_info_of(error)->http_status, node);
}

/* The job that asks for this device at this moment; NULL: none. */
static DmJob *find_removing(const DmApi *api, const DmEntry *entry, const DmMemoryDevice *device) {
  const GPtrArray *jobs = dm_jobs_list(api->jobs);
  for (guint i = 0; i < jobs->len; i++) {
    DmJob *job = jobs->pdata[i];
    const DmStep *step =
      job->driven && g_str_equal(job->vm_id, entry->vm->uuid) ? find_pending(job->steps, device->alias, TRUE) : NULL;
    if (step != NULL && step->op == DM_OP_UNPLUG)
      return job;
  }
  return NULL;
}

void handle_device_unplug(Call *call) {
  DmEntry *entry = find_entry(call);
  const DmMemoryDevice *device = entry != NULL ? find_device(call, entry) : NULL;
  if (device == NULL)
    return;
  const DmJob *removing = find_removing(call->api, entry, device);
  if (removing != NULL) { /* asking twice would end in a job for a device that is gone */
    reply_node(call, 202, action_node(call, removing, "in_progress"));
    return;
  }
  Unplug *unplug = g_new0(Unplug, 1);
  unplug->device = g_strdup(device->id);
  unplug->flags = read_plan_flags(call);
  const DmJobRequest request = {.plan = plan_unplug,
    .plan_data = unplug,
    .destroy = unplug_free,
    .action = DM_ACTION_UNPLUG,
    .user = call->user,
    .correlation_id = call->correlation_id};
  wait_for_job(call, dm_jobs_submit(call->api->jobs, entry, &request, job_moved, call), answer_unplug);
}

/* ---- plug ---- */

static DmPlan *plan_plug(const DmVm *vm, gpointer data, GError **error) {
  return dm_plan_plug_devices(vm, data, error);
}

static gboolean read_policy(const char *text, DmPlugPolicy *policy, GError **error) {
  if (text == NULL || dm_plug_policy_from_name(text, policy))
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "policy '%s' is not known; it is ovirt, whole or fine", text);
  return FALSE;
}

gboolean read_plug_policy(Call *call, DmPlugPolicy *policy, GError **error) {
  return read_policy(dm_target_parameter(call->target, "policy"), policy, error);
}

gboolean read_size_parameter(Call *call, const char *name, gboolean *present, uint64_t *size, GError **error) {
  const char *text = dm_target_parameter(call->target, name);
  *present = text != NULL;
  if (text == NULL || dm_size_parse(text, size, error))
    return TRUE;
  g_prefix_error(error, "%s: ", name);
  return FALSE;
}

gboolean read_seen(Call *call, uint64_t *seen, GError **error) {
  gboolean present;
  return read_size_parameter(call, "if_memory", &present, seen, error);
}

static gboolean read_kind(const DmBody *body, DmPlugWish *wish, GError **error) {
  const char *kind = dm_body_text(body, "kind"), *policy = dm_body_text(body, "policy");
  if (kind != NULL && !g_str_equal(kind, "dimm") && !g_str_equal(kind, "virtio-mem")) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "kind '%s' is not known; it is dimm or virtio-mem", kind);
    return FALSE;
  }
  if (!read_policy(policy, &wish->policy, error))
    return FALSE;
  wish->kind = g_strcmp0(kind, "virtio-mem") == 0 ? DM_DEVICE_VIRTIO_MEM : DM_DEVICE_DIMM;
  return TRUE;
}

/* What would be another device, and cannot be had: not to be dropped in silence. */
static gboolean check_plug(const DmBody *body, GError **error) {
  static const char *const names[] = {"size", "max_size", "node", "kind", "policy", NULL};
  const char *other = dm_body_other(body, names);
  if (other == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
    "'%s' of a new memory device cannot be chosen; leave it out: size, max_size, node, kind and policy can be", other);
  return FALSE;
}

static gboolean read_plug(const DmBody *body, DmPlugWish *wish, GError **error) {
  gboolean has_size, has_max, has_node;
  gint64 size = 0, max = 0, node = 0;
  if (!check_plug(body, error) || !dm_body_number(body, "size", &has_size, &size, error) ||
    !dm_body_number(body, "max_size", &has_max, &max, error) ||
    !dm_body_number(body, "node", &has_node, &node, error) || !read_kind(body, wish, error))
    return FALSE;
  if (!has_size || size < 0 || max < 0 || node < 0 || node > G_MAXINT) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "memory_device needs a size in bytes; size, max_size and node must not be negative");
    return FALSE;
  }
  if (has_max && wish->kind == DM_DEVICE_DIMM && max != size) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "max_size is for the kind virtio-mem: a DIMM holds its size and no more; leave it out, or set kind");
    return FALSE;
  }
  wish->size = (uint64_t)size;
  wish->max_size = (uint64_t)max;
  wish->node = (int)node;
  return TRUE;
}

static void answer_plug(Call *call) {
  const DmJob *job = call->job;
  DmEntry *entry = dm_inventory_find(call->api->inventory, call->ids[0]);
  if (job->error != NULL || entry == NULL || entry->vm->live == NULL) {
    g_autoptr(GError) error = job->error != NULL
      ? g_error_copy(job->error)
      : g_error_new(DM_ERROR, DM_ERROR_NO_SUCH_VM, "%s is gone", job->vm_name);
    reply_error(call, error);
    return;
  }
  DmNode *nodes = dm_node_new("memory_devices");
  const char *reason = NULL;
  guint added = 0;
  for (guint i = 0; i < job->steps->len; i++) {
    const DmStep *step = job->steps->pdata[i];
    const DmMemoryDevice *device = dm_config_find_alias(entry->vm->live, step->alias);
    if (device != NULL) {
      dm_node_adopt(nodes, device_node(call->api, entry, device), TRUE);
      added++;
    }
    if (step->state == DM_STEP_REFUSED && reason == NULL)
      reason = step->reason;
  }
  if (added == 0 && reason != NULL) {
    g_autoptr(GError) error =
      g_error_new(DM_ERROR, DM_ERROR_BUSY, "Cannot hot plug memory into VM %s: %s", job->vm_name, reason);
    dm_node_free(nodes);
    reply_error(call, error);
    return;
  }
  reply_node(call, job->ended != 0 || added > 0 ? 201 : 202, nodes);
}

void handle_device_plug(Call *call) {
  g_autoptr(GError) error = NULL;
  g_autofree DmPlugWish *wish = g_new0(DmPlugWish, 1);
  DmEntry *entry = find_entry(call);
  if (entry == NULL || !read_body(call, "memory_device"))
    return;
  if (!read_plug(call->body, wish, &error) || !read_seen(call, &wish->seen, &error)) {
    reply_error(call, error);
    return;
  }
  const DmJobRequest request = {.plan = plan_plug,
    .plan_data = g_steal_pointer(&wish),
    .destroy = g_free,
    .action = DM_ACTION_PLUG,
    .user = call->user,
    .correlation_id = call->correlation_id};
  wait_for_job(call, dm_jobs_submit(call->api->jobs, entry, &request, job_moved, call), answer_plug);
}
