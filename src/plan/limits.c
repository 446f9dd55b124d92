/* SPDX-License-Identifier: Apache-2.0 */
/* What a plug costs its guest and its host: page descriptors, and room below the hard limit. */
#include "base/error.h"
#include "base/size.h"
#include "change.h"
#include "plan/rules.h"
#include "words/rules.h"

/* Linux keeps 64 bytes for each page: of 4 KiB, and of 64 KiB on POWER. */
static uint64_t descriptors_of(const DmVm *vm, uint64_t memory) {
  gboolean power = vm->arch != NULL && g_str_has_prefix(vm->arch, "ppc");
  return memory / (power ? 1024 : 64);
}

/*
 * What its kernel can use for page descriptors, which are kernel data and never in movable memory. A guest short of
 * memory must be able to get some, so half of what is available may be used. If that is not known, it is taken to be
 * the boot memory left by earlier descriptors.
 */
static uint64_t descriptor_room(const DmVm *vm, uint64_t given, uint64_t *available) {
  const DmGuest *guest = vm->guest;
  uint64_t boot = dm_config_boot(vm->live), spare, reserve = UINT64_MAX;
  *available = dm_size_minus(boot, descriptors_of(vm, dm_config_memory(vm->live) - boot));
  if (dm_plan_spare(vm, &spare, &reserve))
    *available =
      dm_size_plus(MIN(guest->available, guest->kernel_total != 0 ? guest->kernel_available : *available), given);
  return *available - MIN(reserve, *available / 2);
}

gboolean dm_rule_descriptors(const DmVm *vm, uint64_t added, uint64_t given, GError **error) {
  uint64_t available, room = descriptor_room(vm, given, &available), step = 0;
  for (guint i = 0; i < vm->live->cells->len; i++)
    step = MAX(step, dm_vm_plug_step(vm, (int)i));
  uint64_t needed = descriptors_of(vm, added);
  if (needed <= room)
    return TRUE;
  uint64_t most = room / MAX(descriptors_of(vm, step), 1) * step;
  g_autofree char *added_text = dm_size_format(added);
  g_autofree char *needed_text = dm_size_format(dm_size_round_up(needed, DM_MIB));
  g_autofree char *room_text = dm_size_format(dm_size_floor_mib(room));
  g_autofree char *available_text = dm_size_format(dm_size_floor_mib(available));
  g_autofree char *most_text = dm_size_format(most);
  gboolean reported = vm->guest != NULL && vm->guest->memory_source != DM_SOURCE_NONE;
  const char *source = reported ? dm_source_name(vm->guest->memory_source) : NULL;
  if (reported && most > 0)
    g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY, DM_RULE_DESCRIPTORS_STEPS, added_text, needed_text,
      vm->name, room_text, source, available_text, most_text);
  else if (reported)
    g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY, DM_RULE_DESCRIPTORS, added_text, needed_text, vm->name,
      room_text, source, available_text);
  else if (most > 0)
    g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY, DM_RULE_DESCRIPTORS_GUESSED_STEPS, added_text,
      needed_text, vm->name, room_text, most_text);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY, DM_RULE_DESCRIPTORS_GUESSED, added_text, needed_text,
      vm->name, room_text);
  g_autofree char *typed = dm_rule_typed(most);
  if (most > 0)
    dm_error_add_command(error, "dimmer", "plug", "--", dm_vm_handle(vm), "--", typed, NULL);
  return FALSE;
}

gboolean plan_check_hard_limit(DmPlan *plan, const DmVm *vm, GError **error) {
  g_autoptr(GError) above = NULL;
  if (dm_rule_hard_limit(vm, plan->memory_after, &above))
    return TRUE;
  if ((plan->flags & DM_PLAN_FORCE) == 0) {
    g_propagate_error(error, g_steal_pointer(&above));
    return FALSE;
  }
  g_autofree char *limit = dm_size_format(vm->hard_limit);
  plan_note(plan, DM_NOTE_FORCED_HARD_LIMIT, vm->name, limit);
  return TRUE;
}

gboolean plan_check_descriptors(DmPlan *plan, const DmVm *vm, GError **error) {
  g_autoptr(GError) too_much = NULL;
  if (dm_rule_descriptors(vm, plan_added(plan), plan_given_first(plan, vm), &too_much))
    return TRUE;
  if ((plan->flags & DM_PLAN_FORCE) == 0) {
    g_propagate_error(error, g_steal_pointer(&too_much));
    return FALSE;
  }
  plan_note(plan, DM_NOTE_FORCED_DESCRIPTORS, vm->name);
  return TRUE;
}
