/* SPDX-License-Identifier: Apache-2.0 */
#include "parameters.h"

#include "base/error.h"
#include "base/size.h"

#define LAST_NODE 1023 /* of Linux */

DmPlanFlags read_plan_flags(Call *call) {
  return (dm_target_boolean(call->target, "try_unmovable", FALSE) ? DM_PLAN_TRY_UNMOVABLE : 0) |
    (dm_target_boolean(call->target, "force", FALSE) ? DM_PLAN_FORCE : 0);
}

gboolean read_set_flags(Call *call, DmWish *wish, GError **error) {
  gboolean balloon = dm_target_boolean(call->target, "balloon", FALSE);
  wish->flags = read_plan_flags(call) | (balloon ? DM_PLAN_BALLOON : 0);
  wish->set.live_only = dm_target_boolean(call->target, "live", FALSE);
  if (wish->set.live_only && (wish->set.next_run_only || wish->set.has_maximum))
    g_set_error(
      error, DM_ERROR, DM_ERROR_BAD_VALUE, "live goes neither with next_run nor with a maximum; leave it out");
  else if (balloon && (wish->set.next_run_only || !wish->set.has_memory))
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "balloon goes with memory, and without next_run; leave it out");
  else
    return TRUE;
  return FALSE;
}

gboolean parameter_kind(const char *text, DmDeviceKind *kind, GError **error) {
  if (text == NULL)
    return TRUE;
  if (!g_str_equal(text, "dimm") && !g_str_equal(text, "virtio-mem")) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "kind '%s' is not known; it is dimm or virtio-mem", text);
    return FALSE;
  }
  *kind = g_str_equal(text, "dimm") ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM;
  return TRUE;
}

gboolean parameter_plug(const char *kind, const char *policy, DmPlugDefaults *plugs, GError **error) {
  switch (dm_plug_defaults_name(plugs, kind, policy)) {
    case DM_PLUG_WELL:
      return TRUE;
    case DM_PLUG_BAD_KIND:
      g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "kind '%s' is not known; it is dimm, virtio-mem or auto", kind);
      return FALSE;
    case DM_PLUG_BAD_POLICY:
      g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "policy '%s' is not known; it is ovirt, whole or fine", policy);
      return FALSE;
    case DM_PLUG_NOT_SPLIT:
      break;
  }
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
    "policy is for the kind dimm: a virtio-mem device is not split; leave it out, or set kind");
  return FALSE;
}

gboolean check_max_size(const DmPlugWish *wish, gboolean named, GError **error) {
  if (!named || wish->choose_kind || wish->kind != DM_DEVICE_DIMM || wish->max_size == wish->size)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
    "max_size is for the kind virtio-mem: a DIMM holds its size and no more; leave it out, or set kind");
  return FALSE;
}

DmPlugDefaults plug_defaults(const Call *call, const DmEntry *entry) {
  DmPlugDefaults defaults = {0};
  const char *wrong; /* none: the configuration was checked when it was read */
  dm_plug_defaults_read((const char *const *)call->api->plug_kinds, (const char *const *)call->api->plug_policies,
    entry->host->uri, &defaults, &wrong);
  return defaults;
}

gboolean read_plug(Call *call, const DmEntry *entry, DmPlugDefaults *plugs, GError **error) {
  *plugs = plug_defaults(call, entry);
  return parameter_plug(
    dm_target_parameter(call->target, "kind"), dm_target_parameter(call->target, "policy"), plugs, error);
}

gboolean read_size_parameter(Call *call, const char *name, gboolean *present, uint64_t *size, GError **error) {
  const char *text = dm_target_parameter(call->target, name);
  *present = text != NULL;
  if (text == NULL || dm_size_parse(text, size, error))
    return TRUE;
  g_prefix_error(error, "%s: ", name);
  return FALSE;
}

gboolean read_one_node(Call *call, guint *one_node, GError **error) {
  const char *text = dm_target_parameter(call->target, "node");
  guint64 number;
  if (text == NULL)
    return TRUE;
  if (!g_ascii_string_to_unsigned(text, 10, 0, LAST_NODE, &number, NULL)) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "node: '%s' is not a whole number from 0 to %d", text, LAST_NODE);
    return FALSE;
  }
  *one_node = (guint)number + 1;
  return TRUE;
}

gboolean read_seen(Call *call, uint64_t *seen, GError **error) {
  gboolean present;
  return read_size_parameter(call, "if_memory", &present, seen, error);
}
