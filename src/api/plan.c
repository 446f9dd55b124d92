/* SPDX-License-Identifier: Apache-2.0 */
/* Missing in oVirt's REST API: the plan of a change, without carrying it out. */
#include "base/error.h"
#include "handlers.h"
#include "parameters.h"
#include "views.h"

static DmPlan *make_plug_plan(Call *call, const DmEntry *entry, GError **error) {
  DmWish wish = {.action = DM_ACTION_PLUG, .flags = read_plan_flags(call) & DM_PLAN_FORCE};
  DmPlugDefaults plugs;
  gboolean present, has_max;
  if (!read_size_parameter(call, "plug", &present, &wish.plug.size, error) ||
    !read_size_parameter(call, "max_size", &has_max, &wish.plug.max_size, error) ||
    !read_plug(call, entry, &plugs, error) || !read_one_node(call, &wish.plug.one_node, error))
    return NULL;
  wish.plug.choose_kind = plugs.choose_kind;
  wish.plug.kind = plugs.kind;
  wish.plug.policy = plugs.policy;
  return check_max_size(&wish.plug, has_max, error) ? dm_plan(entry->vm, &wish, error) : NULL;
}

static DmPlan *make_plan(Call *call, const DmEntry *entry, GError **error) {
  const DmVm *vm = entry->vm;
  DmPlugDefaults plugs;
  DmWish wish = {.action = DM_ACTION_SET};
  DmSetWish *set = &wish.set;
  const char *device = dm_target_parameter(call->target, "device");
  if (device != NULL) {
    char *devices[] = {(char *)device, NULL};
    const DmWish unplug = {.action = DM_ACTION_UNPLUG, .flags = read_plan_flags(call), .unplug = {.devices = devices}};
    return dm_plan(vm, &unplug, error);
  }
  if (dm_target_parameter(call->target, "plug") != NULL)
    return make_plug_plan(call, entry, error);
  set->next_run_only = dm_target_boolean(call->target, "next_run", FALSE);
  gboolean former = dm_target_parameter(call->target, "maximum") == NULL;
  if (!read_size_parameter(call, "memory", &set->has_memory, &set->memory, error) ||
    !read_size_parameter(call, "guaranteed", &set->has_guaranteed, &set->guaranteed, error) ||
    !read_size_parameter(call, former ? "max" : "maximum", &set->has_maximum, &set->maximum, error) ||
    !read_plug(call, entry, &plugs, error) || !read_one_node(call, &set->one_node, error))
    return NULL;
  set->choose_kind = plugs.choose_kind;
  set->kind = plugs.kind;
  set->policy = plugs.policy;
  if (!set->has_memory && !set->has_guaranteed && !set->has_maximum) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "a plan is asked for by one of memory=BYTES, guaranteed=BYTES, maximum=BYTES, plug=BYTES or device=ID");
    return NULL;
  }
  return read_set_flags(call, &wish, error) ? dm_plan(vm, &wish, error) : NULL;
}

static void add_values(DmNode *parent, const char *name, const DmConfig *config) {
  DmNode *node = dm_node_add_object(parent, name);
  dm_node_add_number(node, "boot", (gint64)dm_config_boot(config));
  dm_node_add_number(node, "memory", (gint64)dm_config_memory(config));
  dm_node_add_number(node, "guaranteed", (gint64)dm_config_guaranteed(config));
  dm_node_add_number(node, "maximum", (gint64)dm_config_maximum(config));
  dm_node_add_number(node, "max", (gint64)dm_config_maximum(config)); /* deprecated: maximum */
}

static void add_balloon(DmNode *parent, const DmStep *step) {
  DmNode *node = dm_node_add_object(parent, "balloon_step");
  dm_node_add_number(node, "size", (gint64)step->size);
  dm_node_add_number(node, "from", (gint64)step->from);
  dm_node_add_number(node, "to", (gint64)step->to);
}

static DmNode *plan_node(const DmVm *vm, const DmPlan *plan) {
  DmNode *node = dm_node_new("memory_plan");
  const DmConfig *now = dm_vm_current(vm), *next = plan->next_run_config != NULL ? plan->next_run_config : vm->next_run;
  dm_node_add_number(node, "memory", (gint64)plan->memory_after);
  dm_node_add_number(node, "guaranteed", (gint64)plan->guaranteed_after);
  add_values(node, "now", now);
  if (next != NULL)
    add_values(node, "next_run", next);
  DmNode *steps = dm_node_add_object(node, "steps");
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *planned = plan->steps->pdata[i];
    DmNode *step = dm_node_add_item(steps, "step");
    dm_node_add_text(step, "op", dm_op_name(planned->op));
    if (planned->op != DM_OP_PLUG) {
      g_autofree char *path = g_strdup_printf("vms/%s/memorydevices", vm->uuid);
      add_link(step, "device", path, planned->id);
    }
    dm_node_add_number(step, "size", (gint64)planned->size);
    dm_node_add_number(step, "from", (gint64)planned->from);
    dm_node_add_number(step, "to", (gint64)planned->to);
    dm_node_add_number(step, "node", planned->node);
  }
  dm_node_add_number(node, "ballooned", (gint64)plan->ballooned_after);
  if (plan->balloon != NULL)
    add_balloon(node, plan->balloon);
  add_notes(node, plan->notes);
  add_link(node, "vm", "vms", vm->uuid);
  return node;
}

static void reply_plan(Call *call) {
  g_autoptr(GError) error = NULL;
  DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  g_autoptr(DmPlan) plan = make_plan(call, entry, &error);
  if (plan == NULL)
    reply_error(call, error);
  else
    reply_node(call, 200, plan_node(entry->vm, plan));
}

static gboolean raises(Call *call, const DmVm *vm) {
  gboolean has_memory = FALSE;
  uint64_t memory = 0;
  return read_size_parameter(call, "memory", &has_memory, &memory, NULL) && has_memory && vm->live != NULL &&
    memory > dm_config_memory(vm->live);
}

/* What its guest drives decides which devices are added. */
static gboolean needs_guest(Call *call, const DmEntry *entry) {
  DmPlugDefaults plugs;
  gboolean adds = dm_target_parameter(call->target, "plug") != NULL || raises(call, entry->vm);
  return adds && !dm_target_boolean(call->target, "next_run", FALSE) && entry->vm->state == DM_VM_RUNNING &&
    read_plug(call, entry, &plugs, NULL) && plugs.choose_kind;
}

/* The inventory has its report, if any came in time. */
static void answer_looked(Call *call) {
  check_leave(call);
  reply_plan(call);
}

void handle_memory_plan(Call *call) {
  const DmEntry *entry = find_entry(call);
  if (entry != NULL && (!needs_guest(call, entry) || !check_guest(call, entry, answer_looked)))
    reply_plan(call);
}
