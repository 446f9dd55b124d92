/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/rules.h"

#include "base/error.h"
#include "base/size.h"

/* oVirt's VM64BitMaxMemorySizeInMB since 4.8. */
#define PLATFORM_LIMIT (64 * 1024 * DM_GIB)

gboolean dm_rule_size(const char *what, uint64_t bytes, uint64_t *floored, GError **error) {
  if (bytes < DM_MIB) {
    g_set_error(error, DM_ERROR, DM_ERROR_SIZE_ZERO,
      "%s of %" G_GUINT64_FORMAT " bytes is less than 1 MiB; give the unit, as in %" G_GUINT64_FORMAT "MiB", what,
      bytes, MAX(bytes, 1));
    return FALSE;
  }
  *floored = dm_size_floor_mib(bytes);
  return TRUE;
}

gboolean dm_rule_platform(const DmVm *vm, uint64_t maximum, GError **error) {
  if (maximum <= PLATFORM_LIMIT)
    return TRUE;
  g_autofree char *text = dm_size_format(maximum);
  g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM,
    "a maximum of %s is more than any machine of %s's kind can have, 64 TiB; ask for less", text, vm->name);
  return FALSE;
}

gboolean dm_rule_running(const DmVm *vm, const char *verb, GError **error) {
  gboolean resumable = vm->state == DM_VM_PAUSED || vm->state == DM_VM_SUSPENDED;
  if (vm->state == DM_VM_RUNNING)
    return TRUE;
  if (vm->state == DM_VM_SHUT_OFF) {
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING,
      "%s is shut off, and only a running VM can %s memory; set the memory that it starts with", vm->name, verb);
    dm_error_add_command(error, "set %s --memory SIZE", vm->name);
    return FALSE;
  }
  /* A transient VM has no next run to change instead. */
  const char *instead = vm->next_run == NULL ? ""
    : resumable                              ? ", or change only its next run"
                                             : "; change only its next run";
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING, "%s is %s: its guest cannot answer, so it cannot %s memory%s%s",
    vm->name, dm_vm_state_name(vm->state), verb, resumable ? "; resume it first" : "", instead);
  if (vm->next_run != NULL)
    dm_error_add_command(error, "set %s --next-run --memory SIZE", vm->name);
  return FALSE;
}

gboolean dm_rule_persistent(const DmVm *vm, const char *what, GError **error) {
  if (vm->next_run != NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NO_NEXT_RUN,
    "%s is a transient VM and has no next run, so %s; make it persistent with 'virsh define' first", vm->name, what);
  return FALSE;
}

/* "1400 MiB" as it is typed. */
static char *without_blanks(const char *size) {
  g_auto(GStrv) words = g_strsplit(size, " ", -1);
  return g_strjoinv("", words);
}

gboolean dm_rule_order(
  const DmVm *vm, const char *where, uint64_t guaranteed, uint64_t memory, uint64_t maximum, GError **error) {
  g_autofree char *memory_text = dm_size_format(memory);
  if (guaranteed > memory) {
    g_autofree char *guaranteed_text = dm_size_format(guaranteed);
    g_set_error(error, DM_ERROR, DM_ERROR_GUARANTEED_ABOVE_MEMORY,
      "guaranteed memory of %s%s would be %s, above its memory of %s; guarantee that or less", where, vm->name,
      guaranteed_text, memory_text);
    return FALSE;
  }
  if (memory > maximum) {
    g_autofree char *maximum_text = dm_size_format(maximum);
    g_autofree char *compact = without_blanks(memory_text);
    g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM,
      "memory of %s%s would be %s, above its maximum of %s; ask for less, or, for the next start, for a larger maximum",
      where, vm->name, memory_text, maximum_text);
    dm_error_add_command(error, "set %s --next-run --memory %s --max SIZE", vm->name, compact);
    return FALSE;
  }
  return TRUE;
}

gboolean dm_rule_enabled(const DmVm *vm, GError **error) {
  const char *lacks = NULL;
  if (vm->live->maximum == 0)
    lacks = vm->live->hidden_maximum != 0 || (vm->next_run != NULL && vm->next_run->hidden_maximum != 0)
      ? "it was started with its maximum as boot memory"
      : "it was started without a maxMemory";
  else if (!vm->live->has_numa)
    lacks = "it was started without a NUMA cell";
  else if (vm->live->slots == 0)
    lacks = "it was started without memory slots";
  if (lacks == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED, "%s cannot hot plug memory: %s; set its next run up for it",
    vm->name, lacks);
  dm_error_add_command(error, "enable %s --max SIZE", vm->name);
  return FALSE;
}

gboolean dm_rule_step(const DmVm *vm, uint64_t added, uint64_t step, GError **error) {
  if (added % step == 0)
    return TRUE;
  g_autofree char *added_text = dm_size_format(added);
  g_autofree char *step_text = dm_size_format(step);
  g_autofree char *lower = dm_size_format(added - added % step);
  g_autofree char *upper = dm_size_format(dm_size_plus(added - added % step, step));
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE,
    "%s can grow only in steps of %s while it runs, and %s is not a multiple of that; add %s%s%s", vm->name, step_text,
    added_text, added > step ? lower : "", added > step ? " or " : "", upper);
  return FALSE;
}

gboolean dm_rule_room(const DmVm *vm, uint64_t added, GError **error) {
  uint64_t room = dm_config_plug_room(vm->live);
  if (added <= room)
    return TRUE;
  g_autofree char *added_text = dm_size_format(added);
  g_autofree char *room_text = dm_size_format(room);
  g_autofree char *maximum = dm_size_format(vm->live->maximum);
  g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM,
    "%s has room for %s more below its maximum of %s, not for %s; raise the maximum for the next start", vm->name,
    room_text, maximum, added_text);
  dm_error_add_command(error, "set %s --max SIZE", vm->name);
  return FALSE;
}

gboolean dm_rule_slot(const DmVm *vm, GError **error) {
  if (dm_config_free_slots(vm->live) > 0)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NO_FREE_SLOT,
    "all %u memory slots of %s are taken; unplug a device, or get more slots for the next start", vm->live->slots,
    vm->name);
  dm_error_add_command(error, "enable %s --max SIZE --slots N", vm->name);
  return FALSE;
}

gboolean dm_rule_seen(const DmVm *vm, const DmConfig *config, uint64_t seen, GError **error) {
  if (seen == 0 || config == NULL || dm_config_memory(config) == seen)
    return TRUE;
  g_autofree char *is = dm_size_format(dm_config_memory(config));
  g_autofree char *was = dm_size_format(seen);
  g_set_error(error, DM_ERROR, DM_ERROR_CHANGED,
    "%s has %s by now, not the %s that this change was made for; nothing was changed, look again and repeat it",
    vm->name, is, was);
  return FALSE;
}

gboolean dm_rule_node(const DmVm *vm, int node, GError **error) {
  if (node >= 0 && (guint)node < vm->live->cells->len)
    return TRUE;
  if (vm->live->cells->len == 1)
    g_set_error(error, DM_ERROR, DM_ERROR_NO_SUCH_NODE, "%s has no NUMA node %d, only node 0", vm->name, node);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_NO_SUCH_NODE, "%s has no NUMA node %d, only nodes 0 to %u", vm->name, node,
      vm->live->cells->len - 1);
  return FALSE;
}

gboolean dm_rule_removable(const DmVm *vm, const DmMemoryDevice *device, GError **error) {
  if (device->kind != DM_DEVICE_OTHER)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_REMOVABLE,
    "%s of %s is of kind %s, which is no memory that can be hot unplugged; only dimm and virtio-mem devices are",
    device->alias, vm->name, dm_memory_device_kind_name(device));
  return FALSE;
}
