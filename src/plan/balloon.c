/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon's part of a plan. Lowering: memory devices first, and the balloon takes what they cannot give. Raising:
 * the balloon gives back first. An unplug: QEMU keeps inflated pages when a DIMM goes, so the guest would lose both,
 * and a guest without room for them hangs; so the balloon gives back first what the DIMMs take, and is set anew.
 */
#include "plan/balloon.h"

#include "base/error.h"
#include "base/size.h"
#include "change.h"
#include "words/rules.h"

gboolean dm_balloon_gives(const DmStep *planned) {
  return planned->to > planned->from;
}

uint64_t dm_balloon_last_goal(
  const DmVm *vm, const DmStep *step, const DmPlan *plan, uint64_t memory, gboolean takes, gboolean own) {
  const DmStep *planned = plan->balloon;
  uint64_t fixed = dm_config_fixed(vm->live), least = dm_balloon_gives(planned) ? planned->from : step->to;
  if (memory == 0 || (!takes && !own))
    return MIN(step->to, fixed);
  uint64_t virtio = dm_config_memory(vm->live) - fixed;
  uint64_t goal = MAX(dm_size_minus(memory, virtio), takes ? DM_MIB : MIN(least, fixed));
  return MAX(MIN(goal, dm_size_minus(fixed, plan->balloon_others)), DM_MIB);
}

void dm_balloon_account(DmConfig *live, uint64_t held, gboolean own, gboolean goes_on) {
  live->balloon_others = MIN(live->balloon_others, held);
  live->balloon_held = own && held >= live->balloon_others + DM_MIB ? held : 0;
  if (live->balloon_held == 0 && !goes_on)
    live->balloon_others = 0;
}

/*
 * QEMU frees whole pages of the host, and collects the guest's 4 KiB for them within one buffer of the driver alone
 * (hw/virtio/virtio-balloon.c: virtio_balloon_handle_output()); Linux sends 1 MiB at most in one
 * (VIRTIO_BALLOON_ARRAY_PFNS_MAX).
 */
static gboolean has_large_pages(const DmVm *vm) {
  gboolean large = !dm_vm_is_windows(vm);
  for (guint i = 0; i < vm->live->cells->len; i++)
    large &= dm_config_page(vm->live, (int)i) > DM_MIB;
  return large;
}

gboolean plan_lacks_balloon(const DmVm *vm, DmLack *lack) {
  const DmLack never = {DM_LACK_BALLOON_NEVER, DM_CURE_BALLOON_NEVER}, none = {DM_LACK_BALLOON, DM_CURE_BALLOON},
               pinned = {DM_LACK_BALLOON_PINNED, DM_CURE_BALLOON_PLUG},
               locked = {DM_LACK_BALLOON_LOCKED, DM_CURE_BALLOON_PLUG},
               large = {DM_LACK_BALLOON_LARGE_PAGES, DM_CURE_BALLOON_PLUG};
  gboolean forbidden = vm->live->balloon_use == DM_BALLOON_USE_NEVER;
  if (!forbidden && vm->balloon && !vm->vfio && !vm->locked && !has_large_pages(vm))
    return FALSE;
  *lack = forbidden ? never : !vm->balloon ? none : vm->vfio ? pinned : vm->locked ? locked : large;
  return TRUE;
}

/* The guest alone chooses the pages, of whatever node. */
static gboolean check_one_node(DmPlan *plan, const DmVm *vm, gboolean asked, GError **error) {
  int node = (int)plan->one_node - 1;
  if (asked)
    g_set_error(error, DM_ERROR, DM_ERROR_NO_BALLOON, DM_RULE_BALLOON_NODE, vm->name, node);
  else if (plan->memory < plan->memory_before)
    plan_note(plan, DM_NOTE_BALLOON_NODE, vm->name, node);
  return !asked;
}

gboolean plan_balloon_check(DmPlan *plan, const DmVm *vm, GError **error) {
  DmLack lack;
  gboolean lacks = plan_lacks_balloon(vm, &lack);
  gboolean asked = (plan->flags & DM_PLAN_BALLOON) != 0;
  if (!asked && vm->live->balloon_use != DM_BALLOON_USE_ALLOW)
    return TRUE;
  if (plan->one_node != 0)
    return check_one_node(plan, vm, asked, error);
  if (!lacks) {
    plan->flags |= DM_PLAN_BALLOON; /* so that its record says so */
    return TRUE;
  }
  if (!asked && plan->memory < plan->memory_before)
    plan_note(plan, DM_NOTE_BALLOON_CANNOT, vm->name, lack.what);
  if (!asked)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NO_BALLOON, DM_RULE_BALLOON, vm->name, lack.what, lack.remedy);
  if (vm->live->balloon_use == DM_BALLOON_USE_NEVER)
    dm_error_add_command(error, "dimmer", "enable", "--", dm_vm_handle(vm), "--balloon-use", "ask", NULL);
  return FALSE;
}

/* With autodeflate the guest may have taken some back. */
gboolean dm_balloon_is_own(const DmConfig *live, uint64_t held) {
  uint64_t own = live->balloon_held;
  return own != 0 && held < own + DM_MIB && (held + DM_MIB > own || live->autodeflate);
}

uint64_t dm_balloon_of_others(const DmConfig *live, uint64_t held) {
  return dm_balloon_is_own(live, held) ? MIN(live->balloon_others, held) : held;
}

/* Boot memory and DIMMs after @plan; @unplugged: DIMMs that go. */
static uint64_t fixed_after(const DmPlan *plan, const DmVm *vm, uint64_t *unplugged) {
  uint64_t plugged = 0;
  *unplugged = 0;
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    if (step->op == DM_OP_UNPLUG)
      *unplugged = dm_size_plus(*unplugged, step->size);
    else if (dm_step_is_at_once(step))
      plugged = dm_size_plus(plugged, step->to);
  }
  return dm_size_minus(dm_size_plus(dm_config_fixed(vm->live), plugged), *unplugged);
}

gboolean plan_balloon_spare(const DmVm *vm, uint64_t *spare, uint64_t *reserve) {
  if (vm->guest == NULL || vm->guest->memory_source == DM_SOURCE_NONE)
    return FALSE;
  *reserve = dm_balloon_reserve(dm_config_memory(vm->live), vm->live->autodeflate);
  *spare = dm_size_minus(vm->guest->available, *reserve);
  return TRUE;
}

static void note_by_others(DmPlan *plan, const DmVm *vm, uint64_t held) {
  gboolean on_its_way = vm->request != NULL && vm->request->balloon != NULL && dm_step_is_pending(vm->request->balloon);
  if (vm->live->balloon_held == 0 || on_its_way || dm_balloon_is_own(vm->live, held))
    return;
  g_autofree char *now = dm_size_format(dm_size_floor_mib(held));
  g_autofree char *left = dm_size_format(dm_size_floor_mib(vm->live->balloon_held));
  plan_note(plan, DM_NOTE_BALLOON_BY_OTHERS, vm->name, now, left);
}

static void note_inflation(DmPlan *plan, const DmVm *vm) {
  const DmStep *step = plan->balloon;
  uint64_t taken = step->from - step->to, reserve = dm_balloon_reserve(plan->memory_after, vm->live->autodeflate);
  uint64_t asked = plan_needs(vm, plan->steps, vm->request).asked;
  g_autofree char *taken_text = dm_size_format(dm_size_floor_mib(taken));
  g_autofree char *memory = dm_size_format(plan->memory_after);
  g_autofree char *reserve_text = dm_size_format(dm_size_floor_mib(reserve));
  plan_note(plan, DM_NOTE_BALLOON_TAKES, vm->name, taken_text, memory);
  if (!vm->live->autodeflate)
    plan_note(plan, DM_NOTE_BALLOON_RESERVE, vm->name, reserve_text);
  if (dm_config_largest_page(vm->live) != 0)
    plan_note(plan, DM_NOTE_BALLOON_HUGE_PAGES, vm->name);
  if (vm->guest == NULL || vm->guest->memory_source == DM_SOURCE_NONE) {
    plan->ballooned_after = MIN(plan->ballooned_after, dm_size_minus(plan->memory_after, reserve));
    return;
  }
  uint64_t available = dm_size_plus(vm->guest->available, plan_aside(plan, vm));
  uint64_t spare = dm_size_minus(available, dm_size_plus(reserve, asked));
  if (taken <= spare)
    return;
  g_autofree char *spare_text = dm_size_format(dm_size_floor_mib(spare));
  plan_note(plan, DM_NOTE_BALLOON_SPARE, vm->name, spare_text, reserve_text);
  plan->ballooned_after = dm_size_minus(plan->ballooned_after, taken - spare);
}

static void note_step(DmPlan *plan, const DmVm *vm, uint64_t held, uint64_t aside) {
  const DmStep *step = plan->balloon;
  uint64_t given = plan->deflate_to != 0 ? plan->deflate_to - (dm_config_fixed(vm->live) - held) : 0;
  g_autofree char *held_text = dm_size_format(dm_size_floor_mib(held));
  g_autofree char *given_text = dm_size_format(dm_size_floor_mib(given));
  if (aside > 0)
    plan_note(plan, DM_NOTE_BALLOON_ASIDE, vm->name, held_text, given_text);
  else if (given > 0)
    plan_note(plan, DM_NOTE_BALLOON_GIVES, vm->name, given_text, held_text);
  if (step->to < step->from)
    note_inflation(plan, vm);
}

uint64_t plan_aside(const DmPlan *plan, const DmVm *vm) {
  uint64_t unplugged;
  fixed_after(plan, vm, &unplugged);
  return vm->live->balloon_use == DM_BALLOON_USE_NEVER ? 0 : MIN(plan_held_by_balloon(vm), unplugged);
}

/* How much of it: without being asked for, only what dimmer had it take. */
static uint64_t can_give(const DmPlan *plan, const DmVm *vm, uint64_t held) {
  if (vm->live->balloon_use == DM_BALLOON_USE_NEVER)
    return 0;
  return plan->balloon_asked ? held : held - dm_balloon_of_others(vm->live, held);
}

/* What the guest could use after @plan's devices, if the balloon kept what it does not put aside for them. */
static uint64_t usable_after(const DmPlan *plan, const DmVm *vm) {
  return dm_size_minus(plan->memory_after, plan_held_by_balloon(vm) - plan_aside(plan, vm));
}

uint64_t plan_given_first(const DmPlan *plan, const DmVm *vm) {
  uint64_t held = plan_held_by_balloon(vm), kept = held - plan_aside(plan, vm);
  return MIN(dm_size_minus(plan->memory, usable_after(plan, vm)), MIN(kept, can_give(plan, vm, held)));
}

static void note_others_stay(DmPlan *plan, const DmVm *vm, uint64_t stays) {
  g_autofree char *text = dm_size_format(dm_size_floor_mib(stays));
  plan_note(plan, DM_NOTE_BALLOON_OTHERS_STAY, vm->name, text);
}

void plan_balloon(DmPlan *plan, const DmVm *vm, uint64_t memory) {
  uint64_t held = plan_held_by_balloon(vm), unplugged;
  plan->ballooned_before = plan->ballooned_after = held;
  note_by_others(plan, vm, held);
  uint64_t after = fixed_after(plan, vm, &unplugged), virtio = dm_size_minus(plan->memory_after, after);
  uint64_t actual = dm_config_fixed(vm->live) - held, aside = plan_aside(plan, vm);
  gboolean uses = (plan->flags & DM_PLAN_BALLOON) != 0;
  uint64_t most = can_give(plan, vm, held), others = dm_balloon_of_others(vm->live, held);
  uint64_t stays = MIN(held - most, held - aside);
  gboolean takes = memory != 0 && uses && usable_after(plan, vm) > memory;
  gboolean gives = memory > usable_after(plan, vm) && most > 0;
  uint64_t wanted = takes || gives ? dm_size_minus(memory, virtio) : actual;
  uint64_t goal = MAX(MIN(wanted, gives ? dm_size_minus(after, stays) : after), DM_MIB);
  uint64_t from = aside > 0 || unplugged > 0 ? dm_size_minus(after, held - aside) : actual;
  if (!takes && !gives && aside == 0)
    return;
  plan->balloon = dm_step_new_balloon(dm_config_fixed(vm->live), from, goal);
  plan->balloon_others = gives && plan->balloon_asked ? 0 : MIN(others, held - aside);
  if (gives && stays > 0 && goal < wanted)
    note_others_stay(plan, vm, stays);
  if (!takes && !gives) /* what it leaves the guest stays; a DIMM that stays leaves room for all of that */
    plan->balloon_aim = actual;
  if (goal > from) /* what a DIMM takes along besides, too */
    plan->deflate_to = MIN(dm_size_plus(goal, unplugged), dm_config_fixed(vm->live) - stays);
  else if (aside > 0)
    plan->deflate_to = actual + aside;
  plan->ballooned_after = dm_size_minus(after, goal);
  note_step(plan, vm, held, aside);
}

/* Continues what the recorded request left of its balloon: towards its memory, or to what it was before. */
void plan_balloon_again(DmPlan *plan, const DmVm *vm) {
  const DmStep *left = vm->request->balloon;
  uint64_t held = 0, unplugged;
  DmLack lack;
  if (left == NULL || !dm_step_is_pending(left) || left->withdrawn || plan_lacks_balloon(vm, &lack)) {
    plan_balloon(plan, vm, 0); /* it may have been inflated since */
    return;
  }
  if (!dm_vm_ballooned(vm, &held))
    return;
  gboolean takes = plan->memory != 0 && vm->request->one_node == 0 && (vm->request->flags & DM_PLAN_BALLOON) != 0;
  uint64_t after = fixed_after(plan, vm, &unplugged), actual = dm_config_fixed(vm->live) - held;
  uint64_t goal = takes ? dm_size_minus(plan->memory, dm_size_minus(plan->memory_after, after)) : left->to;
  uint64_t most = left->to > left->from ? dm_size_minus(after, vm->live->balloon_others) : after;
  uint64_t aside = MIN(held, unplugged), from = unplugged > 0 ? dm_size_minus(after, held - aside) : actual;
  plan->balloon = dm_step_new_balloon(dm_config_fixed(vm->live), from, MAX(MIN(goal, most), DM_MIB));
  plan->balloon_others = vm->live->balloon_others;
  plan->balloon_aim = takes ? 0 : left->to;
  plan->deflate_to = aside > 0 ? actual + aside : 0;
  plan->ballooned_before = held;
  plan->ballooned_after = dm_size_minus(after, plan->balloon->to);
  note_step(plan, vm, held, aside);
}
