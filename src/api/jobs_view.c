/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as oVirt's jobs, with one step per device. */
#include <stdlib.h>

#include "base/size.h"
#include "handlers.h"
#include "views.h"

void add_notes_as(DmNode *parent, const char *list, const char *item, const char *codes, const GPtrArray *notes) {
  DmNode *sentences = dm_node_add_object(parent, list), *names = dm_node_add_object(parent, codes);
  for (guint i = 0; i < notes->len; i++) {
    const DmNote *note = notes->pdata[i];
    dm_node_add_item_text(sentences, item, note->text);
    dm_node_add_item_text(names, "note_code", dm_note_name(note));
  }
}

void add_notes(DmNode *parent, const GPtrArray *notes) {
  add_notes_as(parent, "notes", "note", "note_codes", notes);
}

static const char *job_status(const DmJob *job) {
  switch (job->status) {
    case DM_JOB_FINISHED:
      return "finished";
    case DM_JOB_FAILED:
      return "failed";
    case DM_JOB_WAITING:
    case DM_JOB_STARTED:
      break;
  }
  return "started";
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
    case DM_ACTION_ENABLE:
      return g_strdup_printf("Setting up VM %s for hot plug", job->vm_name);
    case DM_ACTION_SETTLE:
      break;
  }
  return g_strdup_printf("Settling a memory request of VM %s", job->vm_name);
}

DmNode *job_node(const DmApi *api, const DmJob *job) {
  DmNode *node = dm_node_new("job");
  g_autofree char *description = describe(job), *steps = api_href("jobs/%s/steps", job->id);
  set_link(node, "jobs", job->id);
  DmNode *link = dm_node_add_item(node, "link");
  dm_node_set_attribute(link, "href", steps);
  dm_node_set_attribute(link, "rel", "steps");
  dm_node_add_boolean(node, "auto_cleared", TRUE);
  dm_node_add_text(node, "description", description);
  if (job->ended_ms != 0)
    dm_node_add_date(node, "end_time", job->ended_ms);
  dm_node_add_boolean(node, "external", FALSE);
  dm_node_add_date(node, "last_updated", job->ended_ms != 0 ? job->ended_ms : g_get_real_time() / 1000);
  dm_node_add_date(node, "start_time", job->started_ms);
  dm_node_add_text(node, "status", job_status(job));
  if (job->ended_ms != 0)
    dm_node_add_text(node, "outcome", dm_outcome_name(job->outcome));
  if (job->user != NULL) {
    g_autofree char *id = uuid_of(USER_ID_SPACE, job->user);
    add_link_if(node, "owner", user_role(api, job->user) != NULL, "users", id);
  }
  add_link_if(node, "vm", dm_inventory_find(api->inventory, job->vm_id) != NULL, "vms", job->vm_id);
  if (job->error != NULL)
    add_fault(dm_node_add_object(node, "fault"), job->error);
  if (job->notes->len > 0)
    add_notes(node, job->notes);
  return node;
}

/* oVirt's StepStatus; the description says if a device is overdue. */
static const char *step_status(const DmStep *step) {
  switch (step->state) {
    case DM_STEP_DONE:
      return "finished";
    case DM_STEP_REFUSED:
      return "failed";
    case DM_STEP_PLANNED:
      return "unknown";
    case DM_STEP_ASKED:
    case DM_STEP_OVERDUE:
      break;
  }
  return "started";
}

static char *describe_balloon(const DmStep *step) {
  g_autofree char *from = dm_size_format(dm_size_floor_mib(step->from)),
                  *to = dm_size_format(dm_size_floor_mib(step->to));
  const char *reason = step->run.reason != NULL ? dm_step_reason(step) : NULL;
  return reason != NULL
    ? g_strdup_printf("Move the balloon (%s to %s): %s, %s", from, to, dm_step_state_name(step), reason)
    : g_strdup_printf("Move the balloon (%s to %s): %s", from, to, dm_step_state_name(step));
}

static char *describe_step(const DmStep *step) {
  static const char *const verbs[] = {
    [DM_OP_UNPLUG] = "Hot unplug", [DM_OP_RESIZE] = "Resize", [DM_OP_PLUG] = "Hot plug", [DM_OP_BALLOON] = "Move"};
  G_STATIC_ASSERT(G_N_ELEMENTS(verbs) == DM_OPS);
  if (step->op == DM_OP_BALLOON)
    return describe_balloon(step);
  g_autofree char *from = dm_size_format(step->from), *to = dm_size_format(step->to);
  g_autofree char *size = step->op == DM_OP_RESIZE ? g_strdup_printf("%s to %s", from, to) : dm_size_format(step->size);
  return g_strdup_printf("%s memory device %s (%s): %s%s%s", verbs[step->op], step->id != NULL ? step->id : step->alias,
    size, dm_step_state_name(step), step->run.reason != NULL ? ", " : "",
    step->run.reason != NULL ? dm_step_reason(step) : "");
}

static char *step_id(const DmJob *job, const DmStep *step) {
  g_autofree char *name = g_strdup_printf("%s %s %s", job->id, dm_op_name(step->op), step->alias);
  return uuid_of("step ", name);
}

static gboolean is_there(const DmApi *api, const DmJob *job, const DmStep *step) {
  const DmEntry *entry = dm_inventory_find(api->inventory, job->vm_id);
  return entry != NULL && dm_vm_find_device(entry->vm, step->id, NULL) != NULL;
}

DmNode *step_node(const DmApi *api, const DmJob *job, const DmStep *step, guint number) {
  DmNode *node = dm_node_new("step");
  g_autofree char *id = step_id(job, step), *collection = g_strdup_printf("jobs/%s/steps", job->id);
  g_autofree char *description = describe_step(step);
  set_link(node, collection, id);
  dm_node_add_text(node, "description", description);
  dm_node_add_boolean(node, "external", FALSE);
  dm_node_add_number(node, "number", number);
  dm_node_add_date(node, "start_time", job->started_ms);
  dm_node_add_text(node, "status", step_status(step));
  dm_node_add_text(node, "type", "executing");
  dm_node_add_text(node, "op", dm_op_name(step->op));
  dm_node_add_number(node, "size", (gint64)step->size);
  dm_node_add_number(node, "from", (gint64)step->from);
  dm_node_add_number(node, "to", (gint64)step->to);
  if (step->op == DM_OP_BALLOON)
    dm_node_add_number(node, "reached", (gint64)step->run.reached);
  dm_node_add_text(node, "state", dm_step_state_name(step));
  dm_node_add_text(node, "reason", dm_step_reason(step));
  if (step->run.reason != NULL)
    dm_node_add_text(node, "reason_code", dm_note_name(step->run.reason));
  if (step->state == DM_STEP_REFUSED)
    dm_node_add_text(node, "refused_by", step->run.by_host ? "host" : "guest");
  if (step->run.answer_s >= 0)
    dm_node_add_decimal(node, "seconds", step->run.answer_s);
  g_autofree char *devices = g_strdup_printf("vms/%s/memorydevices", job->vm_id);
  if (step->id != NULL)
    add_link_if(node, "memory_device", is_there(api, job, step), devices, step->id);
  add_link(node, "job", "jobs", job->id);
  return node;
}

/* The devices, then the balloon; NULL: no such step. */
static const DmStep *nth_step(const DmJob *job, guint i) {
  return i < job->steps->len ? job->steps->pdata[i] : i == job->steps->len ? job->balloon : NULL;
}

DmNode *steps_node(const DmApi *api, const DmJob *job) {
  DmNode *nodes = dm_node_new("steps");
  const DmStep *step;
  for (guint i = 0; (step = nth_step(job, i)) != NULL; i++)
    dm_node_adopt(nodes, step_node(api, job, step, i), TRUE);
  return nodes;
}

/* It may be dropped while the list is read. */
static GBytes *text_of_id(Call *call, gpointer id, GError **error) {
  const DmJob *job = dm_jobs_find(call->api->jobs, id);
  return job != NULL ? text_of_node(call, job_node(call->api, job), error) : NULL;
}

void handle_jobs(Call *call) {
  const GPtrArray *jobs = dm_jobs_list(call->api->jobs);
  gint64 max = dm_target_number(call->target, "max", G_MAXINT64);
  const char *vm = dm_target_parameter(call->target, "vm");
  GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
  for (guint i = jobs->len; i > 0 && max > 0; i--) {
    const DmJob *job = jobs->pdata[i - 1];
    if (vm != NULL && g_ascii_strcasecmp(vm, job->vm_id) != 0)
      continue;
    g_ptr_array_add(ids, g_strdup(job->id));
    max--;
  }
  reply_list(call, "jobs", "job", ids, text_of_id);
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
    reply_node(call, 200, job_node(call->api, job));
}

void handle_steps(Call *call) {
  const DmJob *job = find_job(call);
  if (job != NULL)
    reply_node(call, 200, steps_node(call->api, job));
}

void handle_step(Call *call) {
  const DmJob *job = find_job(call);
  const DmStep *step;
  for (guint i = 0; job != NULL && (step = nth_step(job, i)) != NULL; i++) {
    g_autofree char *id = step_id(job, step);
    if (g_ascii_strcasecmp(id, call->ids[1]) == 0) {
      reply_node(call, 200, step_node(call->api, job, step, i));
      return;
    }
  }
  if (job != NULL)
    reply_empty(call, 404);
}
