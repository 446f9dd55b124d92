/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest can spare, what a plan needs of it, and which devices may stay. */
#include "base/error.h"
#include "base/size.h"
#include "change.h"
#include "plan/rules.h"
#include "words/rules.h"

/* A kernel swaps and kills before memory is used up; a reserve above the maximum is useless. */
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

/* ---- zones ---- */

static PlanShare share_of_runs(const DmVm *vm) {
  PlanShare share = {.source = dm_source_name(vm->guest->run_source)};
  for (guint i = 0; i < vm->guest->runs->len; i++) {
    const DmBlockRun *run = &g_array_index(vm->guest->runs, DmBlockRun, i);
    if (run->state == DM_BLOCK_OFFLINE)
      continue;
    if (run->zone == DM_ZONE_MOVABLE)
      share.movable += run->size;
    else if (run->zone != DM_ZONE_UNKNOWN)
      share.kernel += run->size;
  }
  return share;
}

PlanShare plan_share(const DmVm *vm) {
  const DmGuest *guest = vm->guest;
  if (guest != NULL && guest->memory_source != DM_SOURCE_NONE && guest->kernel_total != 0)
    return (PlanShare){
      guest->kernel_total, dm_size_minus(guest->total, guest->kernel_total), dm_source_name(guest->memory_source)};
  PlanShare share = {0};
  if (guest != NULL && guest->runs != NULL)
    share = share_of_runs(vm);
  if (share.kernel != 0)
    return share;
  uint64_t boot = dm_config_boot(vm->live);
  return (PlanShare){boot, dm_config_memory(vm->live) - boot, "libvirt"};
}

gboolean plan_is_lopsided(const PlanShare *share, uint64_t movable) {
  return movable / PLAN_LOPSIDED > share->kernel;
}

/* ---- what an unplug takes ---- */

uint64_t plan_needs_of(const DmVm *vm, const DmMemoryDevice *device, uint64_t release) {
  return dm_size_minus(release, dm_vm_device_idle(vm, device));
}

static const DmStep *find_step(const GPtrArray *steps, const DmMemoryDevice *device) {
  for (guint i = 0; steps != NULL && i < steps->len; i++) {
    if (g_strcmp0(((DmStep *)steps->pdata[i])->alias, device->alias) == 0)
      return steps->pdata[i];
  }
  return NULL;
}

/* What @request still has outstanding for that device. */
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

/* ---- node by node ---- */

/* DmGuestNode; NULL: not known, or only one, or not known which is which cell. */
static const GArray *nodes_of(const DmVm *vm) {
  const GArray *nodes = vm->guest != NULL ? vm->guest->nodes : NULL;
  return nodes != NULL && nodes->len > 1 && !vm->live->renumbers ? nodes : NULL;
}

/* What goes of a node, and what of that are DIMMs. */
typedef struct {
  uint64_t asked;        /* of its DIMMs, for the steps */
  uint64_t dimms, other; /* with what is outstanding for earlier requests; virtio-mem */
} Going;

static Going going_of(const DmVm *vm, const GPtrArray *steps, const DmRequest *request, uint64_t node) {
  Going going = {0};
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    const DmStep *step = find_step(steps, device);
    if ((uint64_t)MAX(device->node, 0) != node)
      continue;
    uint64_t release = step != NULL ? dm_size_minus(step->from, step->to) : out_of(device, request);
    uint64_t needs = plan_needs_of(vm, device, release);
    if (device->kind == DM_DEVICE_VIRTIO_MEM)
      going.other = dm_size_plus(going.other, needs);
    else
      going.dimms = dm_size_plus(going.dimms, needs);
    if (device->kind != DM_DEVICE_VIRTIO_MEM && step != NULL)
      going.asked = dm_size_plus(going.asked, needs);
  }
  return going;
}

/* Nothing, where the steps take no DIMM of that node. */
static PlanMove move_off(const DmVm *vm, const GPtrArray *steps, const DmRequest *request, const DmGuestNode *node) {
  PlanMove move = {0};
  Going going = going_of(vm, steps, request, node->node);
  if (going.asked == 0)
    return move;
  for (guint i = 0; i < vm->guest->nodes->len; i++) {
    const DmGuestNode *other = &g_array_index(vm->guest->nodes, DmGuestNode, i);
    if (other->node == node->node)
      continue;
    Going its = going_of(vm, steps, request, other->node);
    move.room = dm_size_plus(move.room, dm_size_minus(other->available, dm_size_plus(its.dimms, its.other)));
  }
  move.least = dm_size_minus(going.dimms, node->free);
  move.most = MIN(going.dimms, dm_size_minus(node->total, node->free));
  return move;
}

int plan_find_tight_node(const DmVm *vm, const GPtrArray *steps, const DmRequest *request, PlanMove *move) {
  const GArray *nodes = nodes_of(vm);
  for (guint i = 0; nodes != NULL && i < nodes->len; i++) {
    const DmGuestNode *node = &g_array_index(nodes, DmGuestNode, i);
    PlanMove found = move_off(vm, steps, request, node);
    if (found.least <= found.room)
      continue;
    if (move != NULL)
      *move = found;
    return (int)node->node;
  }
  return -1;
}

/* Where it depends on what of the node is free. */
static void note_nodes(DmPlan *plan, const DmVm *vm) {
  const GArray *nodes = nodes_of(vm);
  for (guint i = 0; nodes != NULL && i < nodes->len; i++) {
    const DmGuestNode *node = &g_array_index(nodes, DmGuestNode, i);
    PlanMove move = move_off(vm, plan->steps, vm->request, node);
    g_autofree char *most = dm_size_format(dm_size_floor_mib(move.most));
    g_autofree char *room = dm_size_format(dm_size_floor_mib(move.room));
    if (move.most > move.room)
      plan_note(plan, DM_NOTE_NODE_MAY_KEEP, vm->name, (int)node->node, most, room);
  }
}

gboolean plan_check_nodes(DmPlan *plan, const DmVm *vm, uint64_t least, GError **error) {
  PlanMove move;
  int node = plan_find_tight_node(vm, plan->steps, vm->request, &move);
  if (node < 0) {
    note_nodes(plan, vm);
    return TRUE;
  }
  g_autofree char *used = dm_size_format(dm_size_round_up(move.least, DM_MIB));
  g_autofree char *room = dm_size_format(dm_size_floor_mib(move.room));
  if ((plan->flags & DM_PLAN_FORCE) != 0) {
    plan_note(plan, DM_NOTE_FORCED_NODE, vm->name, node, room, used);
    return TRUE;
  }
  g_autofree char *least_text = dm_size_format(least);
  const char *source = dm_source_name(vm->guest->memory_source);
  if (least != 0)
    g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY, DM_RULE_SPARE_NODE_LEAST, vm->name, used, node, room,
      source, least_text);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_GUEST_NEEDS_MEMORY, DM_RULE_SPARE_NODE, vm->name, used, node, room, source);
  return FALSE;
}

static void note_shrink(DmPlan *plan, const DmVm *vm, const DmMemoryDevice *device) {
  g_autofree char *text = plan_describe_device(vm, device);
  plan_note(plan, DM_NOTE_MAY_KEEP_PART, text);
}

static void note_dimm(DmPlan *plan, const DmVm *vm, const DmMemoryDevice *device) {
  g_autofree char *text = plan_describe_device(vm, device);
  if (dm_vm_is_windows(vm) && device->movable == DM_MOVABLE_NO)
    plan_note(plan, DM_NOTE_WINDOWS_KEEPS, text);
  else if (dm_vm_is_windows(vm))
    plan_note(plan, DM_NOTE_WINDOWS_BY_DEFINITION_KEEPS, text);
  else if (device->movable == DM_MOVABLE_NO)
    plan_note(plan, DM_NOTE_UNMOVABLE, text);
  if (dm_vm_was_refused(vm, device))
    plan_note(plan, DM_NOTE_REFUSED_BEFORE, text);
}

/* Which of them was plugged first cannot be seen there. */
static void note_address(DmPlan *plan, const DmVm *vm) {
  gboolean unplugs = FALSE, virtio = FALSE;
  for (guint i = 0; i < plan->steps->len; i++)
    unplugs |= ((const DmStep *)plan->steps->pdata[i])->op == DM_OP_UNPLUG;
  for (guint i = 0; i < vm->live->devices->len; i++)
    virtio |= ((const DmMemoryDevice *)vm->live->devices->pdata[i])->kind == DM_DEVICE_VIRTIO_MEM;
  if (unplugs && virtio && !vm->live->keeps_addresses)
    plan_note(plan, DM_NOTE_ADDRESS_NOT_KEPT, vm->name);
}

void plan_note_unmovable(DmPlan *plan, const DmVm *vm) {
  note_address(plan, vm);
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
