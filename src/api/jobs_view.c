/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as oVirt's jobs, with one step per device. */
#include <stdlib.h>

#include "api_private.h"
#include "base/size.h"

static const char *job_status(const DmJob *job) {
  switch (job->status) {
    case DM_JOB_FINISHED:
      return "finished";
    case DM_JOB_FAILED:
      return "failed";
    default:
      return "started";
  }
}

static char *describe(const DmJob *job) {
  g_autofree char *wanted = dm_size_format(job->wanted);
  switch (job->action) {
    case DM_ACTION_SET:
      return job->wanted != 0 ? g_strdup_printf("Changing memory of VM %s to %s", job->vm_name, wanted)
                              : g_strdup_printf("Changing memory settings of VM %s", job->vm_name);
    case DM_ACTION_UNPLUG:
      return g_strdup_printf("Hot unplugging memory of VM %s", job->vm_name);
    case DM_ACTION_PLUG:
      return g_strdup_printf("Hot plugging memory into VM %s", job->vm_name);
    default:
      return g_strdup_printf("Settling a memory request of VM %s", job->vm_name);
  }
}

DmNode *job_node(const DmJob *job) {
  DmNode *node = dm_node_new("job");
  g_autofree char *description = describe(job), *steps = api_href("jobs/%s/steps", job->id);
  set_link(node, "jobs", job->id);
  DmNode *link = dm_node_add_item(node, "link");
  dm_node_set_attribute(link, "href", steps);
  dm_node_set_attribute(link, "rel", "steps");
  dm_node_add_boolean(node, "auto_cleared", TRUE);
  dm_node_add_text(node, "description", description);
  if (job->ended != 0)
    dm_node_add_date(node, "end_time", job->ended);
  dm_node_add_boolean(node, "external", FALSE);
  dm_node_add_date(node, "last_updated", job->ended != 0 ? job->ended : g_get_real_time() / 1000);
  dm_node_add_date(node, "start_time", job->started);
  dm_node_add_text(node, "status", job_status(job));
  if (job->user != NULL) {
    g_autofree char *id = uuid_of(USER_ID_SPACE, job->user);
    add_link(node, "owner", "users", id);
  }
  add_link(node, "vm", "vms", job->vm_id);
  if (job->error != NULL)
    add_fault(dm_node_add_object(node, "fault"), job->error);
  DmNode *notes = job->notes->len > 0 ? dm_node_add_object(node, "notes") : NULL;
  for (guint i = 0; i < job->notes->len; i++)
    dm_node_add_item_text(notes, "note", job->notes->pdata[i]);
  return node;
}

/* oVirt's StepStatus; that a device is overdue is in the description. */
static const char *step_status(const DmStep *step) {
  switch (step->state) {
    case DM_STEP_DONE:
      return "finished";
    case DM_STEP_REFUSED:
      return "failed";
    case DM_STEP_PLANNED:
      return "unknown";
    default:
      return "started";
  }
}

static char *describe_step(const DmStep *step) {
  static const char *const verbs[] = {
    [DM_OP_UNPLUG] = "Hot unplug", [DM_OP_RESIZE] = "Resize", [DM_OP_PLUG] = "Hot plug"};
  g_autofree char *from = dm_size_format(step->from), *to = dm_size_format(step->to);
  g_autofree char *size = step->op == DM_OP_RESIZE ? g_strdup_printf("%s to %s", from, to) : dm_size_format(step->size);
  return g_strdup_printf("%s memory device %s (%s): %s%s%s", verbs[step->op], step->id != NULL ? step->id : step->alias,
    size, dm_step_state_name(step), step->reason != NULL ? ", " : "", step->reason != NULL ? step->reason : "");
}

static char *step_id(const DmJob *job, const DmStep *step) {
  g_autofree char *name = g_strdup_printf("%s %s %s", job->id, dm_op_name(step->op), step->alias);
  return uuid_of("step ", name);
}

DmNode *step_node(const DmJob *job, const DmStep *step, guint number) {
  DmNode *node = dm_node_new("step");
  g_autofree char *id = step_id(job, step), *collection = g_strdup_printf("jobs/%s/steps", job->id);
  g_autofree char *description = describe_step(step);
  set_link(node, collection, id);
  dm_node_add_text(node, "description", description);
  dm_node_add_boolean(node, "external", FALSE);
  dm_node_add_number(node, "number", number);
  dm_node_add_date(node, "start_time", job->started);
  dm_node_add_text(node, "status", step_status(step));
  dm_node_add_text(node, "type", "executing");
  dm_node_add_text(node, "op", dm_op_name(step->op));
  dm_node_add_number(node, "size", (gint64)step->size);
  dm_node_add_text(node, "state", dm_step_state_name(step));
  dm_node_add_text(node, "reason", step->reason);
  if (step->seconds >= 0)
    dm_node_add_decimal(node, "seconds", step->seconds);
  g_autofree char *devices = g_strdup_printf("vms/%s/memorydevices", job->vm_id);
  if (step->id != NULL)
    add_link(node, "memory_device", devices, step->id);
  add_link(node, "job", "jobs", job->id);
  return node;
}

void add_steps(DmNode *node, const DmJob *job) {
  DmNode *steps = dm_node_add_object(node, "steps");
  for (guint i = 0; i < job->steps->len; i++)
    dm_node_adopt(steps, step_node(job, job->steps->pdata[i], i), TRUE);
}

void handle_jobs(Call *call) {
  const GPtrArray *jobs = dm_jobs_list(call->api->jobs);
  gint64 max = dm_target_number(call->target, "max", G_MAXINT64);
  const char *vm = dm_target_parameter(call->target, "vm");
  gboolean follow = g_strcmp0(dm_target_parameter(call->target, "follow"), "steps") == 0;
  DmNode *nodes = dm_node_new("jobs");
  for (guint i = jobs->len; i > 0 && max > 0; i--) {
    const DmJob *job = jobs->pdata[i - 1];
    if (vm != NULL && g_ascii_strcasecmp(vm, job->vm_id) != 0)
      continue;
    DmNode *node = job_node(job);
    if (follow)
      add_steps(node, job);
    dm_node_adopt(nodes, node, TRUE);
    max--;
  }
  reply_node(call, 200, nodes);
}

static DmJob *find_job(Call *call) {
  DmJob *job = dm_jobs_find(call->api->jobs, call->ids[0]);
  if (job == NULL)
    reply_empty(call, 404);
  return job;
}

void handle_job(Call *call) {
  const DmJob *job = find_job(call);
  if (job != NULL)
    reply_node(call, 200, job_node(job));
}

void handle_steps(Call *call) {
  const DmJob *job = find_job(call);
  if (job == NULL)
    return;
  DmNode *nodes = dm_node_new("steps");
  for (guint i = 0; i < job->steps->len; i++)
    dm_node_adopt(nodes, step_node(job, job->steps->pdata[i], i), TRUE);
  reply_node(call, 200, nodes);
}

void handle_step(Call *call) {
  const DmJob *job = find_job(call);
  for (guint i = 0; job != NULL && i < job->steps->len; i++) {
    g_autofree char *id = step_id(job, job->steps->pdata[i]);
    if (g_ascii_strcasecmp(id, call->ids[1]) == 0) {
      reply_node(call, 200, step_node(job, job->steps->pdata[i], i));
      return;
    }
  }
  if (job != NULL)
    reply_empty(call, 404);
}
