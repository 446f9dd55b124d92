/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan takes from its guest, and what the guest told that it will do about it. */
#include "base/size.h"
#include "change.h"
#include "plan/rules.h"

/* A kernel swaps and kills before it is down to nothing; more than the most is no use to it. */
#define RESERVE_PARTS 20
#define RESERVE_LEAST (64 * DM_MIB)
#define RESERVE_MOST (1 * DM_GIB)

gboolean dm_plan_spare(const DmVm *vm, uint64_t *spare, uint64_t *reserve) {
  const DmGuest *guest = vm->guest;
  if (guest == NULL || guest->memory_source == DM_SOURCE_NONE || vm->live == NULL)
    return FALSE;
  uint64_t total = guest->total != 0 ? guest->total : dm_config_memory(vm->live);
  *reserve = CLAMP(total / RESERVE_PARTS, RESERVE_LEAST, RESERVE_MOST);
  *spare = dm_size_minus(guest->available, *reserve);
  return TRUE;
}

uint64_t plan_needs_of(const DmVm *vm, const DmMemoryDevice *device, uint64_t release) {
  DmRangeState blocks;
  if (device->kind != DM_DEVICE_DIMM || !dm_vm_device_blocks(vm, device, &blocks))
    return release;
  return dm_size_minus(release, blocks.offline);
}

static const DmStep *find_step(const GPtrArray *steps, const DmMemoryDevice *device) {
  for (guint i = 0; steps != NULL && i < steps->len; i++) {
    if (g_strcmp0(((DmStep *)steps->pdata[i])->alias, device->alias) == 0)
      return steps->pdata[i];
  }
  return NULL;
}

/* What @request has still out of that device. */
static uint64_t out_of(const DmMemoryDevice *device, const DmRequest *request) {
  if (device->kind == DM_DEVICE_VIRTIO_MEM)
    return dm_size_minus(device->current, device->requested);
  return plan_pending_step(request, device) != NULL ? dm_memory_device_memory(device) : 0;
}

PlanNeeds plan_needs(const DmVm *vm, const GPtrArray *steps, const DmRequest *request) {
  PlanNeeds needs = {0};
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    const DmStep *step = find_step(steps, device);
    if (step != NULL)
      needs.asked = dm_size_plus(needs.asked, plan_needs_of(vm, device, dm_size_minus(step->from, step->to)));
    else
      needs.out = dm_size_plus(needs.out, plan_needs_of(vm, device, out_of(device, request)));
  }
  return needs;
}

gboolean plan_check_spare(DmPlan *plan, const DmVm *vm, GError **error) {
  PlanNeeds needs = plan_needs(vm, plan->steps, vm->request);
  uint64_t spare, reserve;
  if (!dm_plan_spare(vm, &spare, &reserve) || needs.asked == 0 || dm_size_plus(needs.asked, needs.out) <= spare)
    return TRUE;
  if ((plan->flags & DM_PLAN_FORCE) == 0)
    return dm_rule_spare(vm, needs.asked, needs.out, plan_least_memory(vm, plan->flags, spare), error);
  g_autofree char *spare_text = dm_size_format(dm_size_floor_mib(spare));
  plan_note(plan,
    "%s can spare no more than %s (%s): forced beyond that, its guest may swap, end programs, refuse, or crash",
    vm->name, spare_text, dm_source_name(vm->guest->memory_source));
  return TRUE;
}

static void note_shrink(DmPlan *plan, const DmVm *vm, const DmMemoryDevice *device) {
  g_autofree char *text = plan_describe_device(vm, device);
  plan_note(plan, "the guest has part of %s in a kernel zone, and may keep some of that", text);
}

static void note_dimm(DmPlan *plan, const DmVm *vm, const DmMemoryDevice *device) {
  g_autofree char *text = plan_describe_device(vm, device);
  if (dm_vm_is_windows(vm))
    plan_note(plan, "%s will probably stay: the guest is Windows%s, which cannot release memory devices while it runs",
      text, device->movable == DM_MOVABLE_NO ? "" : " by its definition");
  else if (device->movable == DM_MOVABLE_NO)
    plan_note(plan, "the guest has memory of %s in a kernel zone, and will probably refuse to release it", text);
  if (dm_vm_was_refused(vm, device))
    plan_note(plan, "the guest refused to release %s before, and nothing is known to have changed there since", text);
}

void plan_note_unmovable(DmPlan *plan, const DmVm *vm) {
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    const DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
    if (device == NULL || step->to >= step->from)
      continue;
    if (step->op == DM_OP_UNPLUG)
      note_dimm(plan, vm, device);
    else if (device->movable == DM_MOVABLE_NO)
      note_shrink(plan, vm, device);
  }
}
