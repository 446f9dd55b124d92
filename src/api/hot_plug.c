/* SPDX-License-Identifier: Apache-2.0 */
/* Preparing a VM for hot plug: its next run, by a job; and its guest, which waits its turn with the jobs. */
#include <string.h>

#include "base/error.h"
#include "handlers.h"
#include "parameters.h"
#include "views.h"
#include "watchers.h"

/* ---- enablehotplug ---- */

static gboolean check_members(const DmBody *body, const char *const *names, const char *known, GError **error) {
  static const char *const lists[] = {"link", NULL};
  gboolean present, async; /* no effect here */
  const char *other = dm_body_other(body, names);
  if (!dm_body_check_once(body, lists, error) || !dm_body_boolean(body, "async", &present, &async, error))
    return FALSE;
  if (other == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "'%s' is not known here; leave it out%s", other, known);
  return FALSE;
}

/* They can only be switched on here, not off. */
static gboolean read_switch(const DmBody *body, const char *name, gboolean *on, GError **error) {
  gboolean present;
  if (!dm_body_boolean(body, name, &present, on, error))
    return FALSE;
  if (!present || *on)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "%s can only be switched on here; leave it out", name);
  return FALSE;
}

/* An empty one is 0 in oVirt; here it is an error. */
static gboolean read_number(
  const DmBody *body, const char *name, gint64 most, gboolean *present, gint64 *number, GError **error) {
  if (!dm_body_number(body, name, present, number, error))
    return FALSE;
  const char *text = dm_body_text(body, name);
  if (text != NULL && text[strspn(text, " \t\r\n\f\v")] == '\0')
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "%s is empty; give a number", name);
  else if (*number < 0 || *number > most)
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "%s must be 0 to %" G_GINT64_FORMAT, name, most);
  else
    return TRUE;
  return FALSE;
}

static gboolean read_node(const DmBody *body, DmNodeFloor *node, GError **error) {
  static const char *const names[] = {"index", "floor", NULL};
  gboolean has_index, has_floor;
  gint64 index = 0, floor = 0;
  const char *other = dm_body_other(body, names);
  if (other != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "'%s' of a node is not known here; leave it out", other);
    return FALSE;
  }
  if (!read_number(body, "index", G_MAXINT, &has_index, &index, error) ||
    !read_number(body, "floor", G_MAXINT64, &has_floor, &floor, error))
    return FALSE;
  if (!has_index || !has_floor) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "%s is missing: each node has an index, and a floor in bytes",
      has_index ? "floor" : "index");
    return FALSE;
  }
  *node = (DmNodeFloor){(guint)index, (uint64_t)floor};
  return TRUE;
}

static gboolean read_nodes(const DmBody *body, DmEnableWish *wish, GError **error) {
  static const char *const names[] = {"node", NULL};
  const DmBody *list;
  if (!dm_body_object(body, "nodes", &list, error))
    return FALSE;
  if (list == NULL)
    return TRUE;
  const DmBody *item = dm_body_child(list, "node");
  if (item == NULL || dm_body_other(list, names) != NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "nodes is a list of node, each with an index, and a floor in bytes; send one at least, and nothing else");
    return FALSE;
  }
  wish->nodes = g_array_new(FALSE, FALSE, sizeof(DmNodeFloor));
  for (; item != NULL; item = dm_body_next(item)) {
    DmNodeFloor node;
    if (!read_node(item, &node, error)) {
      g_prefix_error(error, "nodes: ");
      return FALSE;
    }
    g_array_append_val(wish->nodes, node);
  }
  return TRUE;
}

/* The devices above a floor, and balloon options. Without a floor it is the sum of those of the nodes. */
static gboolean read_floor(const DmBody *body, DmEnableWish *wish, GError **error) {
  const char *kind = NULL;
  gboolean has_total;
  gint64 total = 0;
  if (!read_number(body, "floor", G_MAXINT64, &has_total, &total, error) || !read_nodes(body, wish, error) ||
    !dm_body_plain_text(body, "kind", &wish->has_kind, &kind, error) || !parameter_kind(kind, &wish->kind, error) ||
    !read_switch(body, "free_page_reporting", &wish->free_page_reporting, error) ||
    !read_switch(body, "autodeflate", &wish->autodeflate, error))
    return FALSE;
  wish->has_floor = has_total || wish->nodes != NULL;
  if (wish->has_kind && !wish->has_floor) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "floor is missing, and kind goes with it: it is the kind of the devices above the floor");
    return FALSE;
  }
  wish->floor = has_total ? (uint64_t)total : dm_node_floors_sum(wish->nodes);
  return TRUE;
}

static gboolean read_balloon_use(const DmBody *body, DmEnableWish *wish, GError **error) {
  const char *use = NULL;
  if (!dm_body_plain_text(body, "balloon_use", &wish->has_balloon, &use, error))
    return FALSE;
  if (!wish->has_balloon || dm_balloon_use_from_name(use, &wish->balloon))
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "balloon_use '%s' is not known; it is ask, never or allow",
    use != NULL ? use : "");
  return FALSE;
}

/* Then nothing else is changed, and no maximum is needed. */
static gboolean is_balloon_use_alone(const DmBody *body, const DmEnableWish *wish) {
  static const char *const names[] = {"balloon_use", "async", NULL};
  return wish->has_balloon && dm_body_other(body, names) == NULL;
}

static gboolean read_enable(const DmBody *body, DmWish *wish, GError **error) {
  static const char *const names[] = {
    "maximum", "slots", "floor", "nodes", "kind", "free_page_reporting", "autodeflate", "balloon_use", "async", NULL};
  gboolean has_maximum, has_slots;
  gint64 maximum = 0, slots = 0;
  if (!check_members(body, names,
        ": maximum, slots, floor, nodes, kind, free_page_reporting, autodeflate and balloon_use can be", error) ||
    !dm_body_number(body, "maximum", &has_maximum, &maximum, error) ||
    !dm_body_number(body, "slots", &has_slots, &slots, error) || !read_floor(body, &wish->enable, error) ||
    !read_balloon_use(body, &wish->enable, error))
    return FALSE;
  if (is_balloon_use_alone(body, &wish->enable))
    return TRUE;
  if (!has_maximum || maximum < 0) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "maximum is missing: the most that memory of the VM can be raised to, in bytes");
    return FALSE;
  }
  if (has_slots && (slots < 1 || slots > DM_SLOTS_MAX)) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "slots must be 1 to %d", DM_SLOTS_MAX);
    return FALSE;
  }
  wish->enable.maximum = (uint64_t)maximum;
  wish->enable.slots = (guint)slots;
  return TRUE;
}

/* On timeout, it is still queued behind another request for the VM, and continues. */
static void answer_enable(Call *call) {
  const DmJob *job = call->job;
  gboolean settled = job->status != DM_JOB_WAITING && !job->driven;
  if (job->error != NULL && settled) {
    reply_error(call, job->error);
    return;
  }
  DmNode *node = vm_action_node(call, settled);
  add_link(node, "job", "jobs", job->id);
  if (settled)
    add_notes(node, job->notes);
  reply_node(call, 200, node);
}

void handle_vm_enable_hot_plug(Call *call) {
  g_autoptr(GError) error = NULL;
  g_auto(DmWish) wish = {.action = DM_ACTION_ENABLE};
  DmEntry *entry = find_entry(call);
  if (entry == NULL || !read_body(call, "action"))
    return;
  if (!read_enable(call->body, &wish, &error)) {
    reply_error(call, error);
    return;
  }
  wish.flags = read_plan_flags(call);
  const DmJobRequest request = {.wish = &wish, .user = call->user, .correlation_id = call->correlation_id};
  wait_for_job(call, dm_jobs_submit(call->api->jobs, entry, &request, job_moved, call), answer_enable);
}

/* ---- prepareguest ---- */

/* Shared by all calls while it is under way. */
struct GuestPreparation {
  DmApi *api;
  char *vm_id, *user, *correlation_id;
  GPtrArray *calls;         /* Call that waits for it: borrowed */
  const DmPreparation *end; /* while they are answered */
};

static void let_go(Call *call) {
  if (call->preparation != NULL)
    g_ptr_array_remove(call->preparation->calls, call);
  call->preparation = NULL;
}

/* On timeout, it continues, and an event reports its end. */
static void answer_prepare(Call *call) {
  const DmPreparation *end = call->preparation->end;
  let_go(call);
  if (end != NULL && end->error != NULL) {
    reply_error(call, end->error);
    return;
  }
  DmNode *node = vm_action_node(call, end != NULL);
  if (end != NULL) {
    dm_node_add_boolean(node, "ready", end->ready);
    add_notes_as(node, "did", "sentence", "did_codes", end->prepared->did);
    add_notes_as(node, "left", "sentence", "left_codes", end->prepared->left);
  }
  reply_node(call, 200, node);
}

/* "; " between them; the caller g_frees. */
static char *join_notes(const char *before, const GPtrArray *notes) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < notes->len; i++)
    g_string_append_printf(text, "%s %s", i > 0 ? ";" : before, ((const DmNote *)notes->pdata[i])->text);
  return g_string_free(text, FALSE);
}

static void tell(const GuestPreparation *preparation, const DmEntry *entry, const DmPreparation *end) {
  const char *name = entry != NULL ? entry->vm->name : preparation->vm_id;
  g_autofree char *did = join_notes(". Done before:", end->prepared->did);
  g_autofree char *left = join_notes(". Left to do:", end->prepared->left);
  if (end->error != NULL)
    audit(preparation->api, AUDIT_PREPARE_FAILED, DM_SEVERITY_ERROR, entry, preparation->user,
      preparation->correlation_id, "Failed to prepare the guest of VM %s for hot unplug: %s%s", name,
      end->error->message, did);
  else
    audit(preparation->api, AUDIT_GUEST_PREPARED, end->ready ? DM_SEVERITY_NORMAL : DM_SEVERITY_WARNING, entry,
      preparation->user, preparation->correlation_id, "The guest of VM %s was prepared for hot unplug by %s%s%s", name,
      preparation->user, end->ready ? "" : ", and is not ready", left);
}

static void on_prepared(const DmPreparation *end, gpointer data) {
  GuestPreparation *preparation = data;
  DmApi *api = preparation->api;
  DmEntry *entry = dm_inventory_find(api->inventory, preparation->vm_id);
  if (entry != NULL && end->vm != NULL && end->vm->guest != NULL)
    dm_inventory_put_guest(api->inventory, entry, end->vm);
  if (entry != NULL)
    dm_inventory_refresh(api->inventory, entry); /* it may have new ports */
  tell(preparation, entry, end);
  g_hash_table_steal(api->preparations, preparation->vm_id);
  preparation->end = end;
  while (preparation->calls->len > 0)
    stop_waiting(preparation->calls->pdata[0]);
  g_ptr_array_unref(preparation->calls);
  g_free(preparation->vm_id);
  g_free(preparation->user);
  g_free(preparation->correlation_id);
  g_free(preparation);
}

static GuestPreparation *begin_preparation(const Call *call, const DmEntry *entry) {
  GuestPreparation *preparation = g_new0(GuestPreparation, 1);
  preparation->api = call->api;
  preparation->vm_id = g_strdup(entry->vm->uuid);
  preparation->user = g_strdup(call->user);
  preparation->correlation_id = g_strdup(call->correlation_id);
  preparation->calls = g_ptr_array_new();
  g_hash_table_insert(call->api->preparations, preparation->vm_id, preparation);
  dm_jobs_prepare_guest(call->api->jobs, entry, on_prepared, preparation);
  return preparation;
}

void handle_vm_prepare_guest(Call *call) {
  static const char *const names[] = {"async", NULL};
  g_autoptr(GError) error = NULL;
  const DmEntry *entry = find_entry(call);
  if (entry == NULL || !read_body(call, "action"))
    return;
  if (!check_members(call->body, names, "", &error)) {
    reply_error(call, error);
    return;
  }
  if (entry->host->status != DM_HOST_UP || entry->host->connection == NULL) {
    g_set_error(&error, DM_ERROR, DM_ERROR_CONNECTION,
      "Cannot prepare the guest of VM %s: its host %s cannot be reached.", entry->vm->name, entry->host->name);
    reply_error(call, error);
    return;
  }
  call->preparation = g_hash_table_lookup(call->api->preparations, entry->vm->uuid);
  if (call->preparation == NULL)
    call->preparation = begin_preparation(call, entry);
  g_ptr_array_add(call->preparation->calls, call);
  call_on_end(call, let_go);
  wait_for(call, answer_prepare);
}
