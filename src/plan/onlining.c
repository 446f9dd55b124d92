/* SPDX-License-Identifier: Apache-2.0 */
/* How a guest onlines plugged memory, by its report. */
#include "base/size.h"
#include "change.h"

#define FORESEEN(verdict, finding) \
  ((Onlining){DM_VERDICT_##verdict, DM_FINDING_##finding, DM_FINDING_##finding##_SENTENCE})

/*
 * The kernel's own policy acts before any rule or program in user space. Before 4.13 movable_node covers only memory
 * present at boot, and plugged memory becomes movable in one order only: see guest/online.c.
 */
Onlining plan_foresee_onlining(const DmGuest *guest) {
  if (guest == NULL)
    return FORESEEN(UNKNOWN, ONLINING_UNKNOWN);
  const char *policy = guest->policy;
  gboolean ordered = dm_guest_is_before(guest, 4, 13);
  gboolean node = guest->movable_node == DM_FACT_YES && !ordered;
  if (g_strcmp0(policy, "online_movable") == 0)
    return FORESEEN(GOOD, ONLINE_MOVABLE);
  if (g_strcmp0(policy, "online_kernel") == 0)
    return FORESEEN(BAD, ONLINE_KERNEL);
  if (g_strcmp0(policy, "online") == 0)
    return node ? FORESEEN(GOOD, MOVABLE_NODE) : FORESEEN(BAD, ONLINE_AT_ONCE);
  if (guest->onlines == DM_FACT_YES)
    return FORESEEN(GOOD, AGENT_ONLINES);
  if (guest->udev_rule == DM_FACT_YES)
    return ordered ? FORESEEN(WARNING, UDEV_WRONG_ORDER) : FORESEEN(GOOD, UDEV_ONLINES);
  if (policy == NULL)
    return node ? FORESEEN(GOOD, MOVABLE_ONCE_ONLINE) : FORESEEN(UNKNOWN, ONLINING_UNKNOWN);
  if (node)
    return FORESEEN(WARNING, MOVABLE_IF_ONLINE);
  return guest->udev_rule == DM_FACT_NO ? FORESEEN(BAD, STAYS_OFFLINE) : FORESEEN(WARNING, MAY_STAY_OFFLINE);
}

/* Before 4.13, memory onlined by the kernel itself can seldom be made movable. */
const char *plan_onlining_remedy(const DmGuest *guest) {
  if (!dm_guest_is_before(guest, 4, 13) || guest->onlines == DM_FACT_YES)
    return DM_REMEDY_PREPARE_NEXT;
  return g_strcmp0(guest->policy, "online") == 0 ? DM_REMEDY_ORDER_OFFLINE : DM_REMEDY_ORDER;
}

/* ---- notes of a plan ---- */

static gboolean grows(const DmStep *step) {
  return step->kind == DM_DEVICE_VIRTIO_MEM && step->to > step->from;
}

static void note_not_taken(DmPlan *plan, const DmVm *vm) {
  const char *why = plan_explain_not_taken(vm);
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    const DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
    if (!grows(step))
      continue;
    if (why != NULL) {
      plan_note(plan, DM_NOTE_VIRTIO_MEM_NOT_TAKEN, vm->name, why);
      return;
    }
    if (device == NULL || device->requested <= device->current)
      continue;
    g_autofree char *text = plan_describe_device(vm, device);
    g_autofree char *requested = dm_size_format(device->requested);
    plan_note(plan, DM_NOTE_VIRTIO_MEM_PENDING, text, requested);
  }
}

static void note_onlining(DmPlan *plan, const DmVm *vm) {
  Onlining onlining = plan_foresee_onlining(vm->guest);
  if (onlining.verdict == DM_VERDICT_BAD || onlining.verdict == DM_VERDICT_WARNING)
    plan_note(plan, DM_NOTE_ONLINING, onlining.evidence, plan_onlining_remedy(vm->guest));
}

static void note_share(DmPlan *plan, const DmVm *vm) {
  PlanShare share = plan_share(vm);
  uint64_t movable = dm_size_plus(share.movable, plan_added(plan));
  if (plan_foresee_onlining(vm->guest).verdict == DM_VERDICT_BAD || !plan_is_lopsided(&share, movable))
    return;
  g_autofree char *kernel = dm_size_format(dm_size_floor_mib(share.kernel));
  g_autofree char *movable_text = dm_size_format(dm_size_floor_mib(movable));
  plan_note(plan, DM_NOTE_LOPSIDED, vm->name, movable_text, kernel, share.source, PLAN_LOPSIDED);
}

/* QEMU's balloon is a number of pages, regardless of plugged memory. */
void plan_note_balloon_stays(DmPlan *plan, const DmVm *vm) {
  uint64_t held = plan_held_by_balloon(vm);
  g_autofree char *text = dm_size_format(dm_size_floor_mib(held));
  if (held > 0)
    plan_note(plan, DM_NOTE_BALLOON_STAYS, vm->name, text);
}

void plan_note_prospects(DmPlan *plan, const DmVm *vm) {
  if (plan_added(plan) == 0)
    return;
  note_not_taken(plan, vm);
  if (!dm_vm_is_windows(vm)) {
    note_onlining(plan, vm);
    note_share(plan, vm);
  }
}

/* ---- how it was onlined ---- */

gboolean dm_plan_is_coming(const DmVm *vm, const DmMemoryDevice *device) {
  DmRangeState blocks;
  if (!dm_vm_device_blocks(vm, device, &blocks))
    return FALSE;
  gboolean by_itself = vm->guest->policy != NULL && g_str_has_prefix(vm->guest->policy, "online");
  gboolean stays_offline = !by_itself && plan_foresee_onlining(vm->guest).verdict == DM_VERDICT_BAD;
  return blocks.absent > 0 || (blocks.offline > 0 && !stays_offline);
}

void dm_plan_note_made(DmPlan *plan, const DmVm *vm, const DmMemoryDevice *device) {
  DmRangeState blocks;
  if (!dm_vm_device_blocks(vm, device, &blocks))
    return;
  g_autofree char *text = plan_describe_device(vm, device);
  g_autofree char *absent = dm_size_format(blocks.absent);
  g_autofree char *offline = dm_size_format(blocks.offline);
  g_autofree char *kernel = dm_size_format(blocks.kernel);
  if (blocks.absent > 0)
    plan_note(plan, DM_NOTE_ABSENT, absent, text);
  if (blocks.offline > 0)
    plan_note(plan, DM_NOTE_OFFLINE, offline, text);
  if (blocks.kernel > 0)
    plan_note(plan, DM_NOTE_KERNEL_USES, kernel, text);
}
