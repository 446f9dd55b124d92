/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUT vms/{id}: memory, guaranteed and maximum, of the running VM and its next run.
 *
 * The answer comes when the request is settled, or after a while in any case, and shows the VM as it is then. The next
 * run has the asked values. Other elements of a VM are not dimmer's: they are accepted as long as they do not ask for a
 * change that would silently not happen.
 */
#include "api_private.h"
#include "base/error.h"

static DmPlan *plan_set(const DmVm *vm, gpointer data, GError **error) {
  return dm_plan_set(vm, data, error);
}

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

static gboolean read_wish(const DmBody *body, DmWish *wish, GError **error) {
  const DmBody *policy = dm_body_child(body, "memory_policy");
  gboolean present, ballooning;
  if (dm_body_child(body, "vm") != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST,
      "the body has a 'vm' inside; in JSON send its members without that root, like {\"memory\": 1073741824}");
    return FALSE;
  }
  if (!dm_body_boolean(policy, "ballooning", &present, &ballooning, error))
    return FALSE;
  const char *text = dm_body_text(body, "memory_policy");
  if (text != NULL && *text != '\0') {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_REQUEST,
      "memory_policy is '%s', where guaranteed and max are expected inside it", text);
    return FALSE;
  }
  return read_size(body, "memory", &wish->has_memory, &wish->memory, error) &&
    read_size(policy, "guaranteed", &wish->has_guaranteed, &wish->guaranteed, error) &&
    read_size(policy, "max", &wish->has_maximum, &wish->maximum, error);
}

/* What may be named but not changed; oVirt says 409 of an id, 400 of the others. */
static gboolean check_same(const char *what, const char *sent, const char *is, DmError code, GError **error) {
  if (sent == NULL || g_ascii_strcasecmp(sent, is) == 0)
    return TRUE;
  g_set_error(error, DM_ERROR, code, "%s is '%s' and cannot be changed to '%s' here; leave it out", what, is, sent);
  return FALSE;
}

static gboolean check_immutable(const DmBody *body, const DmVm *vm, GError **error) {
  const char *name = dm_body_text(body, "name");
  if (name != NULL && g_strcmp0(name, vm->name) != 0) {
    g_set_error(error, DM_ERROR, DM_ERROR_IMMUTABLE,
      "name of %s cannot be changed to '%s' by dimmer; rename it on its host, while it is shut off", vm->name, name);
    return FALSE;
  }
  return check_same("id", dm_body_text(body, "id"), vm->uuid, DM_ERROR_IMMUTABLE, error) &&
    check_same("cluster", dm_body_text(dm_body_child(body, "cluster"), "id"), CLUSTER_ID, DM_ERROR_USAGE, error) &&
    check_same("cluster", dm_body_text(dm_body_child(body, "cluster"), "name"), "Default", DM_ERROR_USAGE, error) &&
    check_same("template", dm_body_text(dm_body_child(body, "template"), "id"), TEMPLATE_ID, DM_ERROR_USAGE, error);
}

static gboolean wants_next_run(const Call *call) {
  return dm_target_boolean(call->target, "next_run", FALSE);
}

static void reply_vm(Call *call) {
  DmEntry *entry = find_entry(call);
  if (entry != NULL)
    reply_node(call, 200, vm_node(call->api, entry, wants_next_run(call)));
}

/* Its values would be shown as if they were there already. */
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
    reply_vm(call);
}

/*
 * Of a request that nobody waits for: nobody will be there to hear of a broken rule later on. What the guest can spare
 * is left to the change, which asks it: what it told may be hours old.
 */
static gboolean is_allowed(const DmVm *vm, const DmWish *wish, GError **error) {
  DmWish forced = *wish;
  forced.flags |= DM_PLAN_FORCE;
  g_autoptr(DmPlan) plan = dm_plan_set(vm, &forced, error);
  return plan != NULL;
}

void handle_vm_update(Call *call) {
  g_autoptr(GError) error = NULL;
  g_autofree DmWish *wish = g_new0(DmWish, 1);
  DmEntry *entry = find_entry(call);
  if (entry == NULL || !read_body(call, "vm"))
    return;
  if (!check_immutable(call->body, entry->vm, &error) || !read_wish(call->body, wish, &error) ||
    !read_seen(call, &wish->seen, &error) || !read_plug_policy(call, &wish->policy, &error)) {
    reply_error(call, error);
    return;
  }
  if (!wish->has_memory && !wish->has_guaranteed && !wish->has_maximum) {
    reply_vm(call);
    return;
  }
  gboolean async = dm_target_boolean(call->target, "async", FALSE);
  wish->next_run_only = wants_next_run(call);
  wish->flags = read_plan_flags(call);
  if (async && !is_allowed(entry->vm, wish, &error)) {
    reply_error(call, error);
    return;
  }
  const DmJobRequest request = {.plan = plan_set,
    .plan_data = g_steal_pointer(&wish),
    .destroy = g_free,
    .action = DM_ACTION_SET,
    .user = call->user,
    .correlation_id = call->correlation_id};
  DmJob *job = dm_jobs_submit(call->api->jobs, entry, &request, async ? NULL : job_moved, call);
  if (async)
    reply_vm(call);
  else
    wait_for_job(call, job, answer);
}
