/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/rules.h"

#include "base/error.h"
#include "base/size.h"

/* oVirt's VM64BitMaxMemorySizeInMB since 4.8. */
#define PLATFORM_LIMIT (64 * 1024 * DM_GIB)

gboolean dm_rule_size(const char *what, uint64_t bytes, uint64_t *floored, GError **error) {
  if (bytes < DM_MIB) {
    g_set_error(error, DM_ERROR, DM_ERROR_SIZE_ZERO,
      "%s of %" G_GUINT64_FORMAT
      " bytes is less than 1 MiB, and a number without a unit is one of bytes; ask for 1048576 or more",
      what, bytes);
    return FALSE;
  }
  *floored = dm_size_floor_mib(bytes);
  return TRUE;
}

gboolean dm_rule_platform(const DmVm *vm, uint64_t maximum, GError **error) {
  if (maximum <= PLATFORM_LIMIT)
    return TRUE;
  g_autofree char *text = dm_size_format(maximum);
  g_set_error(error, DM_ERROR, DM_ERROR_ABOVE_PLATFORM,
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
    dm_error_add_command(error, "dimmer", "set", vm->name, "--memory", "SIZE", NULL);
    return FALSE;
  }
  /* A transient VM has no next run to change instead. */
  const char *instead = vm->next_run == NULL ? ""
    : resumable                              ? ", or change only its next run"
                                             : "; change only its next run";
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING, "%s is %s: its guest cannot answer, so it cannot %s memory%s%s",
    vm->name, dm_vm_state_name(vm->state), verb, resumable ? "; resume it first" : "", instead);
  if (vm->next_run != NULL)
    dm_error_add_command(error, "dimmer", "set", vm->name, "--next-run", "--memory", "SIZE", NULL);
  return FALSE;
}

gboolean dm_rule_idle(const DmVm *vm, GError **error) {
  if (vm->job == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BUSY,
    "%s is being %s, and cannot be changed until that is over; wait for it, or abort it%s", vm->name, vm->job,
    vm->state == DM_VM_RUNNING ? "" : " where it began");
  return FALSE;
}

gboolean dm_rule_persistent(const DmVm *vm, const char *what, GError **error) {
  if (vm->next_run != NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NO_NEXT_RUN,
    "%s is a transient VM and has no next run, so %s; make it persistent first", vm->name, what);
  dm_error_add_command(error, "virsh", "define", "FILE", NULL);
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
    dm_error_add_command(error, "dimmer", "set", vm->name, "--next-run", "--memory", compact, "--max", "SIZE", NULL);
    return FALSE;
  }
  return TRUE;
}

const char *dm_rule_lacks(const DmVm *vm) {
  if (vm->live->maximum == 0)
    return vm->live->hidden_maximum != 0 || (vm->next_run != NULL && vm->next_run->hidden_maximum != 0)
      ? "it was started with its maximum as boot memory"
      : "it was started without a maxMemory";
  if (!vm->live->has_numa)
    return "it was started without a NUMA cell";
  return vm->live->slots == 0 ? "it was started without memory slots" : NULL;
}

gboolean dm_rule_enabled(const DmVm *vm, GError **error) {
  const char *lacks = dm_rule_lacks(vm);
  if (lacks == NULL)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED, "%s cannot hot plug memory: %s; set its next run up for it",
    vm->name, lacks);
  dm_error_add_command(error, "dimmer", "enable", vm->name, "--max", "SIZE", NULL);
  return FALSE;
}

/* Why growing goes in steps of @step, where that is the guest's doing; else "". */
static char *explain_step(const DmVm *vm, uint64_t step) {
  if (vm->guest == NULL || vm->guest->block != step || step <= MAX(dm_vm_factor(vm), vm->live->page))
    return g_strdup("");
  return g_strdup_printf(", as its guest's memory blocks are that large (%s) and could not come online in parts",
    dm_source_name(vm->guest->block_source));
}

gboolean dm_rule_step(const DmVm *vm, uint64_t added, uint64_t step, GError **error) {
  if (added % step == 0)
    return TRUE;
  g_autofree char *reason = explain_step(vm, step);
  g_autofree char *added_text = dm_size_format(added);
  g_autofree char *step_text = dm_size_format(step);
  g_autofree char *lower = dm_size_format(added - added % step);
  g_autofree char *upper = dm_size_format(dm_size_plus(added - added % step, step));
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE,
    "%s can grow only in steps of %s while it runs%s, and %s is not a multiple of that; add %s%s%s", vm->name,
    step_text, reason, added_text, added > step ? lower : "", added > step ? " or " : "", upper);
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
  dm_error_add_command(error, "dimmer", "set", vm->name, "--max", "SIZE", NULL);
  return FALSE;
}

gboolean dm_rule_pinned(const DmVm *vm, uint64_t memory, GError **error) {
  if (!vm->vfio || vm->hard_limit == 0 || memory <= vm->hard_limit)
    return TRUE;
  g_autofree char *memory_text = dm_size_format(memory);
  g_autofree char *limit = dm_size_format(vm->hard_limit);
  g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM,
    "memory of %s would be %s, above its hard limit of %s, and its host devices (VFIO) pin all of it: QEMU would end; "
    "ask for less, or raise the limit first",
    vm->name, memory_text, limit);
  return FALSE;
}

gboolean dm_rule_slot(const DmVm *vm, GError **error) {
  if (dm_config_free_slots(vm->live) > 0)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NO_FREE_SLOT,
    "all %u memory slots of %s are taken; unplug a device, or get more slots for the next start", vm->live->slots,
    vm->name);
  dm_error_add_command(error, "dimmer", "enable", vm->name, "--max", "SIZE", "--slots", "N", NULL);
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

gboolean dm_rule_movable(const DmVm *vm, const DmMemoryDevice *device, GError **error) {
  if (device->kind != DM_DEVICE_DIMM || device->movable != DM_MOVABLE_NO)
    return TRUE;
  DmRangeState blocks = {.kernel = device->size};
  dm_vm_device_blocks(vm, device, &blocks);
  g_autofree char *size = dm_size_format(device->size);
  if (dm_vm_is_windows(vm)) {
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_MOVABLE,
      "%s (%s) of %s would stay: its guest is Windows, which cannot release memory devices while it runs; change what it "
      "starts with, or try it all the same",
      device->alias, size, vm->name);
    dm_error_add_command(error, "dimmer", "set", vm->name, "--next-run", "--memory", "SIZE", NULL);
    return FALSE;
  }
  g_autofree char *kernel = dm_size_format(blocks.kernel);
  g_set_error(error, DM_ERROR, DM_ERROR_NOT_MOVABLE,
    "%s (%s) of %s would stay: its guest has %s of it in a kernel zone, from where it can seldom be moved; make it movable "
    "first, or try it all the same",
    device->alias, size, vm->name, kernel);
  dm_error_add_command(error, "dimmer", "guest", "prepare", vm->name, NULL);
  return FALSE;
}

static char *advise_least(const DmVm *vm, uint64_t least) {
  if (least >= dm_config_memory(vm->live))
    return g_strdup("no device fits into that, so end programs in the guest first");
  g_autofree char *text = dm_size_format(dm_size_floor_mib(dm_size_plus(least, DM_MIB - 1)));
  return g_strdup_printf("the least memory that would do is %s", text);
}

gboolean dm_rule_spare(const DmVm *vm, uint64_t asked, uint64_t out, uint64_t least, GError **error) {
  uint64_t spare, reserve;
  if (!dm_plan_spare(vm, &spare, &reserve) || dm_size_plus(asked, out) <= spare)
    return TRUE;
  g_autofree char *asked_text = dm_size_format(asked);
  g_autofree char *out_text = dm_size_format(out);
  g_autofree char *earlier = out > 0 ? g_strdup_printf(" besides %s for an earlier request", out_text) : g_strdup("");
  g_autofree char *spare_text = dm_size_format(dm_size_floor_mib(spare));
  g_autofree char *reserve_text = dm_size_format(dm_size_floor_mib(reserve));
  g_autofree char *available = dm_size_format(dm_size_floor_mib(vm->guest->available));
  g_autofree char *advice = advise_least(vm, least);
  g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY,
    "%s can spare %s (%s: %s available, less a reserve of %s), and %s are to go%s; %s; "
    "force it to try all the same",
    vm->name, spare_text, dm_source_name(vm->guest->memory_source), available, reserve_text, asked_text, earlier,
    advice);
  return FALSE;
}
