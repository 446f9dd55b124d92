/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUT vms/{id}: memory, guaranteed and maximum, of the running VM and its next run; its comment and description.
 *
 * The answer comes when the request is settled, or after a timeout, and shows the VM as it is then. The next run has
 * the requested values.
 *
 * Clients send many other members. A body may contain:
 *
 * | id, name                                | must be the VM's own: others mean another VM (409)                    |
 * | memory, memory_policy.guaranteed, .max  | changed                                                               |
 * | comment, description                    | changed: libvirt's title and description                              |
 * | read-only members of a VM               | not checked, as in oVirt: status, host, start_time, links, ...        |
 * | others, equal to GET vms/{id}           | ignored                                                               |
 * | others                                  | left out, as an event, the job and the answer's notes say. The rest   |
 * |                                         | is done; if there is none, 409                                        |
 */
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "handlers.h"
#include "parameters.h"
#include "views.h"

/* oVirt's limit of comment and description (BusinessEntitiesDefinitions.GENERAL_MAX_SIZE). */
#define MOST_CHARACTERS 4000

static gboolean read_size(const DmBody *body, const char *name, gboolean *present, uint64_t *size, GError **error) {
  gint64 value = 0;
  if (!dm_body_number(body, name, present, &value, error))
    return FALSE;
  if (*present && value < 0) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "%s must not be negative; give a number of bytes", name);
    return FALSE;
  }
  *size = (uint64_t)value;
  return TRUE;
}

static gboolean read_values(const DmBody *body, DmSetWish *wish, GError **error) {
  static const char *const lists[] = {"link", NULL}, *const none[] = {NULL};
  const DmBody *policy = NULL;
  gboolean present, ballooning;
  if (dm_body_child(body, "vm") != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST,
      "the body has a 'vm' inside; in JSON send its members without that root, like {\"memory\": 1073741824}");
    return FALSE;
  }
  if (!dm_body_check_once(body, lists, error) || !dm_body_object(body, "memory_policy", &policy, error) ||
    !dm_body_check_once(policy, none, error) || !dm_body_boolean(policy, "ballooning", &present, &ballooning, error))
    return FALSE;
  return read_size(body, "memory", &wish->has_memory, &wish->memory, error) &&
    read_size(policy, "guaranteed", &wish->has_guaranteed, &wish->guaranteed, error) &&
    read_size(policy, "max", &wish->has_maximum, &wish->maximum, error);
}

static gboolean read_words(const DmBody *body, const char *name, char **words, GError **error) {
  gboolean present;
  const char *text = NULL;
  if (!dm_body_plain_text(body, name, &present, &text, error))
    return FALSE;
  if (present && g_utf8_strlen(text, -1) > MOST_CHARACTERS) {
    g_set_error(
      error, DM_ERROR, DM_ERROR_BAD_VALUE, "%s is longer than %d characters; send less", name, MOST_CHARACTERS);
    return FALSE;
  }
  *words = present ? g_strdup(text) : NULL;
  return TRUE;
}

/* libvirt's title is one line. */
static gboolean read_title(const DmBody *body, char **title, GError **error) {
  if (!read_words(body, "comment", title, error))
    return FALSE;
  if (*title == NULL || strchr(*title, '\n') == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
    "comment has a line break, and is kept as libvirt's title, which is one line; put more into description");
  return FALSE;
}

static gboolean check_identity(const DmBody *body, const DmVm *vm, GError **error) {
  gboolean present;
  const char *name = NULL, *id = NULL;
  if (!dm_body_plain_text(body, "name", &present, &name, error) ||
    !dm_body_plain_text(body, "id", &present, &id, error)) /* twice, or invalid: then it may be another one */
    return FALSE;
  if (name != NULL && g_strcmp0(name, vm->name) != 0) {
    g_set_error(error, DM_ERROR, DM_ERROR_IMMUTABLE,
      "name of %s cannot be changed to '%s' by dimmer; rename it on its host, while it is shut off", vm->name, name);
    return FALSE;
  }
  if (id == NULL || g_ascii_strcasecmp(id, vm->uuid) == 0)
    return TRUE;
  g_set_error(
    error, DM_ERROR, DM_ERROR_IMMUTABLE, "id is '%s' and cannot be changed to '%s' here; leave it out", vm->uuid, id);
  return FALSE;
}

/*
 * A link is identified by its id, or the name inside it; other members are not the VM's. *other: it refers to another
 * object.
 */
static gboolean read_link(
  const DmBody *body, const char *link, const char *id, const char *name, gboolean *other, GError **error) {
  const DmBody *sent = NULL;
  const char *sent_id = id, *sent_name = name;
  gboolean present;
  if (!dm_body_object(body, link, &sent, error) || !dm_body_plain_text(sent, "id", &present, &sent_id, error) ||
    !dm_body_plain_text(sent, "name", &present, &sent_name, error)) {
    g_prefix_error(error, "%s: ", link);
    return FALSE;
  }
  *other = g_ascii_strcasecmp(sent_id, id) != 0 || g_ascii_strcasecmp(sent_name, name) != 0;
  return TRUE;
}

/* *left_out: what @body wants changed and dimmer does not change; NULL: nothing. */
static gboolean read_left_out(const DmBody *body, const DmNode *vm, char **left_out, GError **error) {
  static const char *const others[] = {"id", "name", "memory", "memory_policy.guaranteed", "memory_policy.max",
    "comment", "description", "cluster", "template", /* handled elsewhere; from here on: read-only */
    "actions", "applications", "ballooned", "boot", "cdroms", "creation_time", "fqdn", "guest_operating_system",
    "graphics_consoles", "guest_time_zone", "has_illegal_images", "host", "host_numa_nodes", "link", "memory_devices",
    "next_run_configuration_exists", "notes", "numa_nodes", "original_template", "permissions", "reported_devices",
    "run_once", "sessions", "snapshots", "start_time", "statistics", "status", "status_detail", "stop_reason",
    "stop_time", "vm_numa_nodes", NULL};
  gboolean other_cluster, other_template;
  if (!read_link(body, "cluster", CLUSTER_ID, "Default", &other_cluster, error) ||
    !read_link(body, "template", TEMPLATE_ID, "Blank", &other_template, error))
    return FALSE;
  g_autoptr(GPtrArray) found = dm_body_differences(body, vm, others);
  if (other_cluster)
    g_ptr_array_add(found, g_strdup("cluster"));
  if (other_template)
    g_ptr_array_add(found, g_strdup("template"));
  gboolean any = found->len > 0;
  g_ptr_array_add(found, NULL);
  *left_out = any ? g_strjoinv(", ", (char **)found->pdata) : NULL;
  return TRUE;
}

static uint64_t floored(uint64_t bytes) {
  return bytes / DM_MIB * DM_MIB;
}

static gboolean is_other(gboolean named, uint64_t wanted, uint64_t is) {
  return named && floored(wanted) != floored(is);
}

static gboolean is_other_config(const DmSetWish *wish, const DmConfig *config) {
  return config != NULL &&
    (is_other(wish->has_memory, wish->memory, dm_config_memory(config)) ||
      is_other(wish->has_guaranteed, wish->guaranteed, dm_config_guaranteed(config)));
}

static gboolean is_other_text(const char *wanted, const char *is) {
  return wanted != NULL && g_strcmp0(wanted, is != NULL ? is : "") != 0;
}

/* It would change something. Setting the present memory withdraws a request that the VM carries. */
static gboolean changes(const DmVm *vm, const DmSetWish *wish) {
  return is_other_text(wish->title, vm->title) || is_other_text(wish->description, vm->description) ||
    (!wish->next_run_only && is_other_config(wish, vm->live)) || is_other_config(wish, vm->next_run) ||
    is_other(wish->has_maximum, wish->maximum, dm_config_maximum(vm->next_run != NULL ? vm->next_run : vm->live)) ||
    (wish->has_memory && vm->request != NULL);
}

static gboolean wants_next_run(const Call *call) {
  return dm_target_boolean(call->target, "next_run", FALSE);
}

/* Results of the job that the VM's values do not show: outstanding or failed parts. NULL: nothing. */
static DmNote *note_of(const DmJob *job) {
  if (job->status == DM_JOB_WAITING)
    return dm_note_new(DM_NOTE_WAITING, job->vm_name, job->id);
  if (job->driven)
    return dm_note_new(DM_NOTE_UNDER_WAY, job->id);
  g_autofree char *has = dm_size_format(job->memory_after);
  g_autofree char *wanted = dm_size_format(job->wanted);
  g_autofree char *memory =
    job->wanted != 0 ? g_strdup_printf("%s, and %s were asked for", has, wanted) : g_strdup(has);
  switch (job->outcome) {
    case DM_OUTCOME_PARTLY:
      return dm_note_new(DM_NOTE_PARTLY, memory);
    case DM_OUTCOME_OVERDUE:
      return dm_note_new(DM_NOTE_OVERDUE, memory);
    case DM_OUTCOME_REFUSED:
      return dm_job_failed_by_host(job) ? dm_note_new(DM_NOTE_HOST_COULD_NOT, memory)
                                        : dm_note_new(DM_NOTE_REFUSED, memory);
    case DM_OUTCOME_CALLED_OFF:
      return dm_note_new(DM_NOTE_CALLED_OFF, memory);
    case DM_OUTCOME_DONE:
    case DM_OUTCOME_KEPT:
    case DM_OUTCOME_FAILED:
      break;
  }
  return NULL;
}

/* The plan's notes explain a memory size other than requested, if known before. */
static void add_reasons(GPtrArray *notes, const DmJob *job) {
  for (guint i = 0; !job->driven && i < job->notes->len; i++) {
    const DmNote *note = job->notes->pdata[i];
    if (note->code != DM_NOTE_UNSUPPORTED) /* which is there already */
      g_ptr_array_add(notes, dm_note_copy(note));
  }
  const char *short_of = !job->driven && job->balloon != NULL ? dm_step_reason(job->balloon) : NULL;
  if (short_of != NULL)
    dm_notes_add(notes, DM_NOTE_STEP_REFUSED, job->balloon->alias, short_of);
  for (guint i = 0; i < job->steps->len; i++) {
    const DmStep *step = job->steps->pdata[i];
    if (step->state != DM_STEP_REFUSED)
      continue;
    dm_notes_add(notes, DM_NOTE_STEP_REFUSED, step->id != NULL ? step->id : step->alias,
      step->run.reason != NULL ? dm_step_reason(step) : DM_NOTE_GUEST_REFUSED_SENTENCE);
  }
}

/* @job NULL: there was none. */
static void reply_vm(Call *call, const DmJob *job) {
  DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  DmNode *node = vm_node(call->api, entry, wants_next_run(call));
  DmNote *note = job != NULL ? note_of(job) : NULL;
  gboolean other = job != NULL && job->ended_ms != 0 && job->wanted != 0 && job->wanted != job->memory_after;
  g_autoptr(GPtrArray) notes = dm_notes_new();
  if (call->note != NULL)
    g_ptr_array_add(notes, dm_note_copy(call->note));
  if (note != NULL)
    g_ptr_array_add(notes, note);
  if (note != NULL || other)
    add_reasons(notes, job);
  if (notes->len > 0)
    add_notes(node, notes);
  reply_node(call, 200, node);
}

/* Its values would look as if applied already. */
static gboolean take_back(Call *call) {
  g_autofree char *name = g_strdup(call->job->vm_name);
  if (!wants_next_run(call) || !dm_jobs_cancel(call->api->jobs, call->job))
    return FALSE;
  call->job = NULL;
  g_autoptr(GError) error = g_error_new(DM_ERROR, DM_ERROR_BUSY,
    "Cannot edit VM. Another request for %s is still under way; nothing was changed, try again later", name);
  reply_error(call, error);
  return TRUE;
}

static void answer(Call *call) {
  if (take_back(call))
    return;
  if (call->job->error != NULL && !call->job->driven)
    reply_error(call, call->job->error);
  else
    reply_vm(call, call->job);
}

/*
 * For a request without a waiting client, which could not learn of a broken rule later. The guest's spare memory is
 * checked by the change, which queries it: the present report may be hours old.
 */
static gboolean is_allowed(const DmVm *vm, const DmWish *wish, GError **error) {
  DmWish forced = *wish;
  forced.flags |= DM_PLAN_FORCE;
  g_autoptr(DmPlan) plan = dm_plan(vm, &forced, error);
  if (plan != NULL || !forced.set.choose_kind)
    return plan != NULL;
  /* Which kind suits the VM is seen when its guest is asked. */
  forced.set.choose_kind = FALSE;
  forced.set.kind = DM_DEVICE_VIRTIO_MEM;
  g_autoptr(DmPlan) other = dm_plan(vm, &forced, NULL);
  if (other != NULL)
    g_clear_error(error);
  return other != NULL;
}

/* All that the body and the parameters request. */
static gboolean read_wish(Call *call, DmEntry *entry, DmWish *wish, GError **error) {
  DmSetWish *set = &wish->set;
  DmPlugDefaults plugs;
  if (!check_identity(call->body, entry->vm, error) || !read_values(call->body, set, error) ||
    !read_title(call->body, &set->title, error) || !read_words(call->body, "description", &set->description, error) ||
    !read_seen(call, &wish->seen, error) || !read_plug(call, entry, &plugs, error) ||
    !read_one_node(call, &set->one_node, error))
    return FALSE;
  set->choose_kind = plugs.choose_kind;
  set->kind = plugs.kind;
  set->policy = plugs.policy;
  g_autoptr(DmNode) node = vm_node(call->api, entry, wants_next_run(call));
  if (!read_left_out(call->body, node, &set->left_out, error))
    return FALSE;
  set->next_run_only = wants_next_run(call);
  return read_set_flags(call, wish, error);
}

static void reply_left_out(Call *call, const DmSetWish *wish, const DmVm *vm) {
  g_autofree char *detail = g_strdup_printf(
    "[Cannot edit VM. dimmer does not change %s of %s, and nothing else was to change; change that with libvirt's tools, "
    "or leave it out.]",
    wish->left_out, vm->name);
  reply_fault(call, 409, FAULT_NOT_CHANGED, "Operation Failed", detail);
}

static void submit(Call *call, DmEntry *entry, const DmWish *wish) {
  gboolean async = dm_target_boolean(call->target, "async", FALSE);
  const DmJobRequest request = {.wish = wish, .user = call->user, .correlation_id = call->correlation_id};
  DmJob *job = dm_jobs_submit(call->api->jobs, entry, &request, async ? NULL : job_moved, call);
  if (async)
    reply_vm(call, job);
  else
    wait_for_job(call, job, answer);
}

void handle_vm_update(Call *call) {
  g_autoptr(GError) error = NULL;
  g_auto(DmWish) wish = {.action = DM_ACTION_SET};
  DmEntry *entry = find_entry(call);
  if (entry == NULL || !read_body(call, "vm"))
    return;
  if (!read_wish(call, entry, &wish, &error)) {
    reply_error(call, error);
    return;
  }
  gboolean something = changes(entry->vm, &wish.set);
  if (!something && wish.set.left_out != NULL) {
    reply_left_out(call, &wish.set, entry->vm);
    return;
  }
  if (!something && !dm_wish_concerns_guest(&wish)) {
    reply_vm(call, NULL);
    return;
  }
  if (dm_target_boolean(call->target, "async", FALSE) && !is_allowed(entry->vm, &wish, &error)) {
    reply_error(call, error);
    return;
  }
  call->note = dm_wish_left_out(&wish);
  submit(call, entry, &wish);
}
