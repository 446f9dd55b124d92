/* SPDX-License-Identifier: Apache-2.0 */
/* What oVirt's REST API lacks: a VM's memory devices, one by one. */
#include "base/error.h"
#include "base/size.h"
#include "handlers.h"
#include "parameters.h"
#include "views.h"

/* @driven: planned counts as requested, as the guest may be freeing it now. */
static const DmStep *find_pending(const GPtrArray *steps, const char *alias, gboolean driven) {
  for (guint i = 0; i < steps->len; i++) {
    const DmStep *step = steps->pdata[i];
    if ((dm_step_is_pending(step) || (driven && step->state == DM_STEP_PLANNED)) && g_strcmp0(step->alias, alias) == 0)
      return step;
  }
  return NULL;
}

/* The present request for it: by a job, or in the VM's record. */
const char *device_state(const DmApi *api, const DmEntry *entry, const DmMemoryDevice *device) {
  const GPtrArray *jobs = dm_jobs_list(api->jobs);
  const DmStep *step = NULL;
  for (guint i = jobs->len; i > 0 && step == NULL; i--) {
    const DmJob *job = jobs->pdata[i - 1];
    if (job->ended_ms == 0 && g_str_equal(job->vm_id, entry->vm->uuid))
      step = find_pending(job->steps, device->alias, job->driven);
  }
  if (step == NULL && entry->vm->request != NULL)
    step = find_pending(entry->vm->request->steps, device->alias, FALSE);
  if (step == NULL)
    return dm_memory_device_state_name(device);
  if (step->state == DM_STEP_OVERDUE)
    return "overdue";
  return step->op == DM_OP_UNPLUG ? "going" : "resizing";
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
  dm_node_add_text(node, "use", dm_use_name(dm_vm_device_use(entry->vm, device)));
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

static gboolean is_pending(const DmJob *job) {
  return job->ended_ms == 0;
}

static DmNode *action_node(const Call *call, const DmJob *job, const char *status) {
  DmNode *node = dm_node_new("action");
  add_link(node, "job", "jobs", job->id);
  dm_node_add_text(node, "status", status);
  add_link(node, "vm", "vms", call->ids[0]);
  return node;
}

/* The newest job that removed this device, by id or alias; NULL: none. */
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
  if (earlier != NULL) { /* it was still there when this job was queued */
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
      call->ids[1], job->vm_name, step != NULL && step->run.reason != NULL ? dm_step_reason(step) : "it stayed");
  if (error == NULL) {
    reply_node(call, 200, action_node(call, job, "complete"));
    return;
  }
  DmNode *node = dm_node_new("action");
  if (job->steps->len > 0) /* forbidden by a rule: not a job */
    add_link(node, "job", "jobs", job->id);
  add_fault(dm_node_add_object(node, "fault"), error);
  dm_node_add_text(node, "status", "failed");
  reply_node(call, (guint)dm_error_info_of(error)->http_status, node);
}

/* The job that requests this device now; NULL: none. */
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
  if (removing != NULL) { /* a second request would end as a job for a removed device */
    reply_node(call, 202, action_node(call, removing, "in_progress"));
    return;
  }
  char *devices[] = {device->id, NULL};
  const DmWish wish = {.action = DM_ACTION_UNPLUG, .flags = read_plan_flags(call), .unplug = {.devices = devices}};
  const DmJobRequest request = {.wish = &wish, .user = call->user, .correlation_id = call->correlation_id};
  wait_for_job(call, dm_jobs_submit(call->api->jobs, entry, &request, job_moved, call), answer_unplug);
}

/* ---- plug ---- */

static gboolean read_kind(const DmBody *body, DmPlugWish *wish, DmPlugDefaults plugs, GError **error) {
  const char *kind = NULL, *policy = NULL;
  gboolean present;
  if (!dm_body_plain_text(body, "kind", &present, &kind, error) ||
    !dm_body_plain_text(body, "policy", &present, &policy, error) || !parameter_plug(kind, policy, &plugs, error))
    return FALSE;
  wish->choose_kind = plugs.choose_kind;
  wish->kind = plugs.kind;
  wish->policy = plugs.policy;
  return TRUE;
}

/* Unsupported members that would mean another device: not to be dropped silently. */
static gboolean check_plug(const DmBody *body, GError **error) {
  static const char *const names[] = {"size", "max_size", "node", "kind", "policy", NULL};
  const char *other = dm_body_other(body, names);
  if (other == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
    "'%s' of a new memory device cannot be chosen; leave it out: size, max_size, node, kind and policy can be", other);
  return FALSE;
}

static gboolean read_new_device(const DmBody *body, const DmPlugDefaults *defaults, DmPlugWish *wish, GError **error) {
  gboolean has_size, has_max, has_node;
  gint64 size = 0, max = 0, node = 0;
  if (!check_plug(body, error) || !dm_body_number(body, "size", &has_size, &size, error) ||
    !dm_body_number(body, "max_size", &has_max, &max, error) ||
    !dm_body_number(body, "node", &has_node, &node, error) || !read_kind(body, wish, *defaults, error))
    return FALSE;
  if (!has_size || size < 0 || max < 0 || node < 0 || node > G_MAXINT) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "memory_device needs a size in bytes; size, max_size and node must not be negative");
    return FALSE;
  }
  wish->size = (uint64_t)size;
  wish->max_size = (uint64_t)max;
  wish->one_node = has_node ? (guint)node + 1 : 0;
  return check_max_size(wish, has_max, error);
}

/* The new device of @step; the inventory may not know one yet that waits for its guest. NULL: not there. */
static DmNode *new_device_node(const DmApi *api, const DmEntry *entry, const DmStep *step) {
  const DmMemoryDevice *device = dm_config_find_alias(entry->vm->live, step->alias);
  if (device != NULL)
    return device_node(api, entry, device);
  if (!dm_step_is_pending(step) || step->run.asked_at_us == 0 || dm_step_is_at_once(step))
    return NULL;
  g_autoptr(DmMemoryDevice) asked = dm_memory_device_new(step->kind);
  asked->id = g_strdup(step->id);
  asked->alias = g_strdup(step->alias);
  asked->size = step->size;
  asked->requested = step->to;
  asked->live = TRUE;
  asked->current = step->run.reached;
  asked->block = step->block;
  asked->node = step->node;
  return device_node(api, entry, asked);
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
    DmNode *device = new_device_node(call->api, entry, step);
    if (device != NULL) {
      dm_node_adopt(nodes, device, TRUE);
      added++;
    }
    if (step->state == DM_STEP_REFUSED && reason == NULL)
      reason = dm_step_reason(step);
  }
  if (added == 0 && reason != NULL) {
    g_autoptr(GError) error =
      g_error_new(DM_ERROR, DM_ERROR_HOST_REFUSED, "Cannot hot plug memory into VM %s: %s", job->vm_name, reason);
    dm_node_free(nodes);
    reply_error(call, error);
    return;
  }
  reply_node(call, job->ended_ms != 0 ? 201 : 202, nodes);
}

void handle_device_plug(Call *call) {
  g_autoptr(GError) error = NULL;
  DmWish wish = {.action = DM_ACTION_PLUG, .flags = read_plan_flags(call) & DM_PLAN_FORCE};
  DmEntry *entry = find_entry(call);
  if (entry == NULL || !read_body(call, "memory_device"))
    return;
  const DmPlugDefaults defaults = plug_defaults(call, entry);
  if (!read_new_device(call->body, &defaults, &wish.plug, &error) || !read_seen(call, &wish.seen, &error)) {
    reply_error(call, error);
    return;
  }
  const DmJobRequest request = {.wish = &wish, .user = call->user, .correlation_id = call->correlation_id};
  wait_for_job(call, dm_jobs_submit(call->api->jobs, entry, &request, job_moved, call), answer_plug);
}
