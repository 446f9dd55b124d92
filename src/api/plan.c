/* SPDX-License-Identifier: Apache-2.0 */
/* What oVirt's REST API lacks: the plan of a change, which nothing carries out. */
#include "api_private.h"
#include "base/error.h"

static DmPlan *make_plug_plan(Call *call, const DmVm *vm, GError **error) {
  DmPlugWish wish = {.kind = DM_DEVICE_DIMM};
  gboolean present;
  if (!read_size_parameter(call, "plug", &present, &wish.size, error) || !read_plug_policy(call, &wish.policy, error))
    return NULL;
  return dm_plan_plug_devices(vm, &wish, error);
}

static DmPlan *make_plan(Call *call, const DmVm *vm, GError **error) {
  DmWish wish = {.next_run_only = dm_target_boolean(call->target, "next_run", FALSE), .flags = read_plan_flags(call)};
  const char *device = dm_target_parameter(call->target, "device");
  if (device != NULL) {
    const char *const names[] = {device, NULL};
    return dm_plan_unplug_devices(vm, names, wish.flags, error);
  }
  if (dm_target_parameter(call->target, "plug") != NULL)
    return make_plug_plan(call, vm, error);
  if (!read_size_parameter(call, "memory", &wish.has_memory, &wish.memory, error) ||
    !read_size_parameter(call, "guaranteed", &wish.has_guaranteed, &wish.guaranteed, error) ||
    !read_size_parameter(call, "max", &wish.has_maximum, &wish.maximum, error) ||
    !read_plug_policy(call, &wish.policy, error))
    return NULL;
  if (!wish.has_memory && !wish.has_guaranteed && !wish.has_maximum) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
      "a plan is asked for by one of memory=BYTES, guaranteed=BYTES, max=BYTES, plug=BYTES or device=ID");
    return NULL;
  }
  return dm_plan_set(vm, &wish, error);
}

static void add_values(DmNode *parent, const char *name, uint64_t memory, uint64_t guaranteed, uint64_t maximum) {
  DmNode *node = dm_node_add_object(parent, name);
  dm_node_add_number(node, "memory", (gint64)memory);
  dm_node_add_number(node, "guaranteed", (gint64)guaranteed);
  dm_node_add_number(node, "max", (gint64)maximum);
}

static DmNode *plan_node(const DmVm *vm, const DmPlan *plan) {
  DmNode *node = dm_node_new("memory_plan");
  const DmConfig *now = dm_vm_current(vm), *next = plan->next_run_config != NULL ? plan->next_run_config : vm->next_run;
  dm_node_add_number(node, "memory", (gint64)plan->memory_after);
  dm_node_add_number(node, "guaranteed", (gint64)plan->guaranteed_after);
  add_values(node, "now", dm_config_memory(now), dm_config_guaranteed(now), dm_config_maximum(now));
  if (next != NULL)
    add_values(node, "next_run", dm_config_memory(next), dm_config_guaranteed(next), dm_config_maximum(next));
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
  DmNode *notes = dm_node_add_object(node, "notes");
  for (guint i = 0; i < plan->notes->len; i++)
    dm_node_add_item_text(notes, "note", plan->notes->pdata[i]);
  add_link(node, "vm", "vms", vm->uuid);
  return node;
}

void handle_memory_plan(Call *call) {
  g_autoptr(GError) error = NULL;
  DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  g_autoptr(DmPlan) plan = make_plan(call, entry->vm, &error);
  if (plan == NULL)
    reply_error(call, error);
  else
    reply_node(call, 200, plan_node(entry->vm, plan));
}
