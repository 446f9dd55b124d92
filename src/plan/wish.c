/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/wish.h"

#include "base/size.h"
#include "change.h"

uint64_t dm_node_floors_sum(const GArray *nodes) {
  uint64_t sum = 0;
  for (guint i = 0; nodes != NULL && i < nodes->len; i++)
    sum = dm_size_plus(sum, g_array_index(nodes, DmNodeFloor, i).floor);
  return sum;
}

void dm_wish_clear(DmWish *wish) {
  switch (wish->action) {
    case DM_ACTION_SET:
      g_free(wish->set.title);
      g_free(wish->set.description);
      g_free(wish->set.left_out);
      break;
    case DM_ACTION_UNPLUG:
      g_strfreev(wish->unplug.devices);
      break;
    case DM_ACTION_SETTLE:
      g_free(wish->settle.goes_on);
      break;
    case DM_ACTION_ENABLE:
      g_clear_pointer(&wish->enable.nodes, g_array_unref);
      break;
    case DM_ACTION_PLUG:
      break;
  }
  *wish = (DmWish){0};
}

void dm_wish_free(DmWish *wish) {
  if (wish != NULL)
    dm_wish_clear(wish);
  g_free(wish);
}

DmWish *dm_wish_copy(const DmWish *wish) {
  if (wish == NULL)
    return NULL;
  DmWish *copy = g_memdup2(wish, sizeof *wish);
  if (wish->action == DM_ACTION_SET) {
    copy->set.title = g_strdup(wish->set.title);
    copy->set.description = g_strdup(wish->set.description);
    copy->set.left_out = g_strdup(wish->set.left_out);
  } else if (wish->action == DM_ACTION_UNPLUG) {
    copy->unplug.devices = g_strdupv(wish->unplug.devices);
  } else if (wish->action == DM_ACTION_SETTLE) {
    copy->settle.goes_on = g_strdup(wish->settle.goes_on);
  } else if (wish->action == DM_ACTION_ENABLE && wish->enable.nodes != NULL) {
    copy->enable.nodes = g_array_copy(wish->enable.nodes);
  }
  return copy;
}

static void add_size(GString *text, const char *name, uint64_t size) {
  g_string_append_printf(text, " %s=%" G_GUINT64_FORMAT, name, size);
}

static void add_text(GString *text, const char *name, const char *value) {
  g_autofree char *escaped = value != NULL ? g_strescape(value, NULL) : NULL;
  if (escaped != NULL)
    g_string_append_printf(text, " %s=\"%s\"", name, escaped);
}

static void add_set(GString *text, const DmSetWish *set) {
  if (set->has_memory)
    add_size(text, "memory", set->memory);
  if (set->has_guaranteed)
    add_size(text, "guaranteed", set->guaranteed);
  if (set->has_maximum)
    add_size(text, "maximum", set->maximum);
  if (set->choose_kind || set->kind != DM_DEVICE_DIMM)
    add_text(text, "kind", set->choose_kind ? "auto" : dm_device_kind_name(set->kind));
  if (set->one_node != 0)
    g_string_append_printf(text, " node=%u", set->one_node - 1);
  if (set->policy != DM_POLICY_OVIRT)
    g_string_append_printf(text, " policy=%s", dm_plug_policy_name(set->policy));
  add_text(text, "title", set->title);
  add_text(text, "description", set->description);
  add_text(text, "left-out", set->left_out);
  if (set->next_run_only)
    g_string_append(text, " next-run");
  if (set->live_only)
    g_string_append(text, " live");
}

static void add_plug(GString *text, const DmPlugWish *plug) {
  add_text(text, "kind", plug->choose_kind ? "auto" : dm_device_kind_name(plug->kind));
  add_size(text, "size", plug->size);
  if (plug->max_size != 0)
    add_size(text, "max-size", plug->max_size);
  if (plug->one_node != 0)
    g_string_append_printf(text, " node=%u", plug->one_node - 1);
  g_string_append_printf(text, " policy=%s", dm_plug_policy_name(plug->policy));
}

static void add_enable(GString *text, const DmEnableWish *enable) {
  add_size(text, "maximum", enable->maximum);
  g_string_append_printf(text, " slots=%u", enable->slots);
  if (enable->has_floor)
    add_size(text, "floor", enable->floor);
  if (enable->has_kind)
    add_text(text, "kind", dm_device_kind_name(enable->kind));
  for (guint i = 0; enable->nodes != NULL && i < enable->nodes->len; i++) {
    const DmNodeFloor *node = &g_array_index(enable->nodes, DmNodeFloor, i);
    g_string_append_printf(text, " node%u=%" G_GUINT64_FORMAT, node->node, node->floor);
  }
  if (enable->free_page_reporting)
    g_string_append(text, " free-page-reporting");
  if (enable->autodeflate)
    g_string_append(text, " autodeflate");
  if (enable->has_balloon)
    add_text(text, "balloon", dm_balloon_use_name(enable->balloon));
}

static void add_values(GString *text, const DmWish *wish) {
  switch (wish->action) {
    case DM_ACTION_SET:
      add_set(text, &wish->set);
      break;
    case DM_ACTION_UNPLUG:
      for (char **device = wish->unplug.devices; device != NULL && *device != NULL; device++)
        add_text(text, "device", *device);
      break;
    case DM_ACTION_PLUG:
      add_plug(text, &wish->plug);
      break;
    case DM_ACTION_ENABLE:
      add_enable(text, &wish->enable);
      break;
    case DM_ACTION_SETTLE:
      if (wish->settle.account_only)
        g_string_append(text, " account-only");
      add_text(text, "goes-on", wish->settle.goes_on);
      break;
  }
}

char *dm_wish_format(const DmWish *wish) {
  GString *text = g_string_new(wish != NULL ? dm_action_name(wish->action) : "nothing");
  if (wish == NULL)
    return g_string_free(text, FALSE);
  add_values(text, wish);
  if (wish->seen != 0)
    add_size(text, "seen", wish->seen);
  if ((wish->flags & DM_PLAN_TRY_UNMOVABLE) != 0)
    g_string_append(text, " try-unmovable");
  if ((wish->flags & DM_PLAN_FORCE) != 0)
    g_string_append(text, " force");
  if ((wish->flags & DM_PLAN_BALLOON) != 0)
    g_string_append(text, " balloon");
  return g_string_free(text, FALSE);
}

/* The text contains all of a wish. */
gboolean dm_wish_equal(const DmWish *left, const DmWish *right) {
  g_autofree char *one = dm_wish_format(left);
  g_autofree char *other = dm_wish_format(right);
  return g_str_equal(one, other);
}

DmNote *dm_wish_left_out(const DmWish *wish) {
  if (wish->action != DM_ACTION_SET || wish->set.left_out == NULL)
    return NULL;
  return dm_note_new(DM_NOTE_UNSUPPORTED, wish->set.left_out);
}

gboolean dm_wish_concerns_guest(const DmWish *wish) {
  switch (wish->action) {
    case DM_ACTION_SET:
      return wish->set.has_memory || wish->set.has_guaranteed || wish->set.has_maximum;
    case DM_ACTION_SETTLE:
      return !wish->settle.account_only;
    case DM_ACTION_UNPLUG:
    case DM_ACTION_PLUG:
    case DM_ACTION_ENABLE:
      break;
  }
  return TRUE;
}

static DmPlan *plan_action(const DmVm *vm, const DmWish *wish, GError **error) {
  switch (wish->action) {
    case DM_ACTION_SET:
      return plan_set(vm, wish, error);
    case DM_ACTION_UNPLUG:
      return plan_unplug(vm, wish, error);
    case DM_ACTION_PLUG:
      return plan_plug(vm, wish, error);
    case DM_ACTION_ENABLE:
      return plan_enable(vm, wish, error);
    case DM_ACTION_SETTLE:
      break;
  }
  return plan_settle(vm, wish);
}

/* Only if the rules allow the rest is the rest done. */
DmPlan *dm_plan(const DmVm *vm, const DmWish *wish, GError **error) {
  DmPlan *plan = plan_action(vm, wish, error);
  DmNote *left_out = plan != NULL ? dm_wish_left_out(wish) : NULL;
  if (left_out != NULL)
    g_ptr_array_add(plan->notes, left_out);
  return plan;
}
