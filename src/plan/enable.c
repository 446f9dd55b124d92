/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM needs in its next run for hot plug, and for unpluggable memory from its start on. */
#include "base/error.h"
#include "base/size.h"
#include "change.h"
#include "plan/machine.h"
#include "plan/rules.h"
#include "words/rules.h"

/* oVirt's number (LibvirtVmXmlBuilder: MaxMemorySlots). */
#define DEFAULT_SLOTS 16

/* DIMMs of powers of two take some. */
#define DIMM_SLOTS 32

/* Guests with less could not hold an initramfs, which may take half of their memory at boot. */
#define LEAST_FLOOR (512 * DM_MIB)

/* The lowest floor, as fractions of memory and of the maximum, whose page descriptors lie in the floor. */
#define MEMORY_PARTS 4
#define MAXIMUM_PARTS 32

/* ---- the command that helps ---- */

static void add_option_size(GPtrArray *words, const char *option, uint64_t size) {
  g_ptr_array_add(words, g_strdup(option));
  g_ptr_array_add(words, dm_rule_typed(size));
}

/* All that @wish names, so that the command asks for the same but for what was mended in it. */
static void advise(const DmVm *vm, const DmEnableWish *wish, DmPlanFlags flags, GError **error) {
  static const char *const first[] = {"dimmer", "enable", "--", NULL};
  g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
  uint64_t of_nodes = 0;
  for (guint i = 0; wish->nodes != NULL && i < wish->nodes->len; i++)
    of_nodes = dm_size_plus(of_nodes, g_array_index(wish->nodes, DmNodeFloor, i).floor);
  for (gsize i = 0; first[i] != NULL; i++)
    g_ptr_array_add(words, g_strdup(first[i]));
  g_ptr_array_add(words, g_strdup(dm_vm_handle(vm)));
  add_option_size(words, "--maximum", wish->maximum);
  if (wish->slots != 0) {
    g_ptr_array_add(words, g_strdup("--slots"));
    g_ptr_array_add(words, g_strdup_printf("%u", wish->slots));
  }
  if (wish->has_floor && wish->floor == 0) {
    g_ptr_array_add(words, g_strdup("--floor"));
    g_ptr_array_add(words, g_strdup("0"));
  } else if (wish->has_floor && wish->floor != of_nodes) { /* else it is what the nodes have */
    add_option_size(words, "--floor", wish->floor);
  }
  for (guint i = 0; wish->nodes != NULL && i < wish->nodes->len; i++) {
    const DmNodeFloor *node = &g_array_index(wish->nodes, DmNodeFloor, i);
    g_autofree char *size = dm_rule_typed(node->floor);
    g_ptr_array_add(words, g_strdup("--node"));
    g_ptr_array_add(words, g_strdup_printf("%u=%s", node->node, size));
  }
  if (wish->has_balloon) {
    g_ptr_array_add(words, g_strdup("--balloon-use"));
    g_ptr_array_add(words, g_strdup(dm_balloon_use_name(wish->balloon)));
  }
  if (wish->has_kind) {
    g_ptr_array_add(words, g_strdup("--kind"));
    g_ptr_array_add(words, g_strdup(wish->kind == DM_DEVICE_DIMM ? "dimm" : "virtio-mem"));
  }
  if (wish->free_page_reporting)
    g_ptr_array_add(words, g_strdup("--free-page-reporting"));
  if (wish->autodeflate)
    g_ptr_array_add(words, g_strdup("--autodeflate"));
  if ((flags & DM_PLAN_FORCE) != 0)
    g_ptr_array_add(words, g_strdup("--force"));
  g_ptr_array_add(words, NULL);
  dm_error_add_command_strv(error, (const char *const *)words->pdata);
}

/* Room for at least one device of minimal size, or enabling is pointless. */
static gboolean check_above_memory(const DmVm *vm, uint64_t maximum, const DmWish *wish, GError **error) {
  uint64_t least = dm_size_plus(dm_config_memory(vm->next_run), dm_vm_factor(vm));
  if (maximum >= least)
    return TRUE;
  g_autofree char *maximum_text = dm_size_format(maximum);
  g_autofree char *memory = dm_size_format(dm_config_memory(vm->next_run));
  g_autofree char *least_text = dm_size_format(least);
  g_set_error(error, DM_ERROR, DM_ERROR_MEMORY_ABOVE_MAXIMUM, DM_RULE_MAXIMUM_TOO_SMALL, maximum_text, vm->name, memory,
    least_text);
  DmEnableWish better = wish->enable;
  better.maximum = least;
  advise(vm, &better, wish->flags, error);
  return FALSE;
}

/* libvirt rejects a definition with more devices than slots; @more are new ones. */
static gboolean check_slots(const DmVm *vm, const DmWish *wish, guint slots, guint more, GError **error) {
  guint taken = more;
  for (guint i = 0; i < vm->next_run->devices->len; i++)
    taken += dm_config_takes_slot(vm->next_run, vm->next_run->devices->pdata[i]);
  if (slots >= taken)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_NO_FREE_SLOT, DM_RULE_SLOTS_TOO_FEW, slots, taken, vm->name, taken);
  DmEnableWish better = wish->enable;
  better.slots = taken;
  advise(vm, &better, wish->flags, error);
  return FALSE;
}

/* ---- a floor ---- */

static gboolean read_node(GArray *floors, gboolean *named, const DmVm *vm, const DmNodeFloor *node, GError **error) {
  uint64_t step = MAX(vm->next_run->step, dm_config_page(vm->next_run, (int)node->node));
  if (!dm_rule_node(vm, vm->next_run, (int)node->node, error))
    return FALSE;
  if (named[node->node]) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_FLOOR, DM_RULE_FLOOR_TWICE, node->node, vm->name);
    return FALSE;
  }
  if (node->floor == 0 || node->floor % step != 0) {
    g_autofree char *floor_text = dm_size_format(node->floor);
    g_autofree char *step_text = dm_size_format(step);
    g_set_error(
      error, DM_ERROR, DM_ERROR_NOT_A_MULTIPLE, DM_RULE_FLOOR_MULTIPLE, node->node, vm->name, step_text, floor_text);
    return FALSE;
  }
  named[node->node] = TRUE;
  g_array_index(floors, uint64_t, node->node) = node->floor;
  return TRUE;
}

/* Distributes the rest over nodes not named, in proportion to their boot memory. FALSE: something is left. */
static gboolean share_rest(GArray *floors, const gboolean *named, const DmConfig *config, uint64_t rest) {
  uint64_t of = 0, left = rest;
  guint last = floors->len;
  for (guint i = 0; i < floors->len; i++) {
    if (named[i])
      continue;
    of = dm_size_plus(of, g_array_index(config->cells, uint64_t, i));
    last = i;
  }
  for (guint i = 0; i < floors->len && of > 0; i++) {
    uint64_t cell = g_array_index(config->cells, uint64_t, i), step = MAX(config->step, dm_config_page(config, (int)i));
    uint64_t share = (uint64_t)((double)rest * ((double)cell / (double)of));
    share = i == last ? left : MIN(share - share % step, left);
    if (named[i])
      continue;
    if (share < step || share % step != 0)
      return FALSE;
    g_array_index(floors, uint64_t, i) = share;
    left -= share;
  }
  return left == 0;
}

typedef struct {
  GArray *floors; /* uint64_t, of each node; 0: not named */
  gboolean *named;
  uint64_t sum; /* of those named */
} NodeFloors;

static void node_floors_clear(NodeFloors *nodes) {
  g_clear_pointer(&nodes->floors, g_array_unref);
  g_clear_pointer(&nodes->named, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NodeFloors, node_floors_clear)

static gboolean read_nodes(NodeFloors *nodes, const DmVm *vm, const DmEnableWish *wish, GError **error) {
  guint count = vm->next_run->cells->len;
  nodes->floors = g_array_sized_new(FALSE, TRUE, sizeof(uint64_t), count);
  nodes->named = g_new0(gboolean, count);
  g_array_set_size(nodes->floors, count);
  for (guint i = 0; wish->nodes != NULL && i < wish->nodes->len; i++) {
    const DmNodeFloor *node = &g_array_index(wish->nodes, DmNodeFloor, i);
    if (!read_node(nodes->floors, nodes->named, vm, node, error))
      return FALSE;
    nodes->sum = dm_size_plus(nodes->sum, node->floor);
  }
  return TRUE;
}

/* The floor of each node (uint64_t), or NULL. */
static GArray *share_floor(NodeFloors *nodes, const DmVm *vm, uint64_t floor, GError **error) {
  guint count = nodes->floors->len;
  if (nodes->sum <= floor && share_rest(nodes->floors, nodes->named, vm->next_run, floor - nodes->sum))
    return g_steal_pointer(&nodes->floors);
  g_autofree char *floor_text = dm_size_format(floor);
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_FLOOR, DM_RULE_FLOOR_SHARES, floor_text, count, vm->name);
  return NULL;
}

/* Advises a floor of @least, with the nodes that are named, if they leave it to the others. */
static void advise_floor(const DmVm *vm, const DmWish *wish, uint64_t least, GError **error) {
  g_auto(NodeFloors) nodes = {0};
  DmEnableWish better = wish->enable;
  better.floor = least;
  if (!read_nodes(&nodes, vm, &better, NULL))
    return;
  g_autoptr(GArray) floors = share_floor(&nodes, vm, least, NULL);
  if (floors == NULL)
    better.nodes = NULL; /* by the boot memory of each, then */
  advise(vm, &better, wish->flags, error);
}

uint64_t plan_least_floor(const DmVm *vm, uint64_t maximum) {
  uint64_t memory = dm_config_memory(vm->next_run);
  uint64_t least = MAX(LEAST_FLOOR, MAX(memory / MEMORY_PARTS, maximum / MAXIMUM_PARTS));
  return dm_size_round_up(least, MAX(vm->next_run->step, dm_config_largest_page(vm->next_run)));
}

/* No floor that its memory allows is enough for that maximum: one that goes with @floor is advised, if that is enough.
 */
static gboolean is_for_less(
  const DmVm *vm, uint64_t maximum, uint64_t floor, uint64_t least, const DmWish *wish, GError **error) {
  uint64_t memory = dm_config_memory(vm->next_run),
           most = floor > UINT64_MAX / MAXIMUM_PARTS ? 0 : floor * MAXIMUM_PARTS;
  if (least <= memory || most <= memory || floor < plan_least_floor(vm, most))
    return FALSE;
  g_autofree char *floor_text = dm_size_format(floor);
  g_autofree char *maximum_text = dm_size_format(maximum);
  g_autofree char *least_text = dm_size_format(least);
  g_autofree char *memory_text = dm_size_format(memory);
  g_autofree char *most_text = dm_size_format(most);
  DmEnableWish better = wish->enable;
  better.maximum = most;
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_FLOOR, DM_RULE_FLOOR_FOR_MAXIMUM, vm->name, floor_text, maximum_text,
    least_text, memory_text, most_text);
  advise(vm, &better, wish->flags, error);
  return TRUE;
}

static gboolean check_floor(const DmVm *vm, uint64_t maximum, uint64_t floor, const DmWish *wish, GError **error) {
  uint64_t memory = dm_config_memory(vm->next_run);
  uint64_t least = plan_least_floor(vm, maximum);
  g_autofree char *floor_text = dm_size_format(floor);
  g_autofree char *memory_text = dm_size_format(memory);
  g_autofree char *least_text = dm_size_format(least);
  if (floor > memory) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_FLOOR, DM_RULE_FLOOR_ABOVE_MEMORY, floor_text, memory_text, vm->name);
    return FALSE;
  }
  if (floor >= least || (wish->flags & DM_PLAN_FORCE) != 0)
    return TRUE;
  if (is_for_less(vm, maximum, floor, least, wish, error))
    return FALSE;
  g_set_error(
    error, DM_ERROR, DM_ERROR_BAD_FLOOR, DM_RULE_FLOOR_TOO_LOW, vm->name, floor_text, memory_text, least_text);
  if (least <= memory)
    advise_floor(vm, wish, least, error);
  return FALSE;
}

/*
 * Default: as it is now, else what guest, machine and host support: host devices pin all that a virtio-mem device could
 * hold.
 */
static DmDeviceKind choose_kind(const DmVm *vm, const DmEnableWish *wish) {
  DmLack lack;
  if (wish->has_kind)
    return wish->kind;
  if (vm->next_run->floors->len > 0)
    return vm->next_run->floor_kind;
  gboolean dimms = dm_machine_lacks(&vm->next_run->machine, DM_DEVICE_VIRTIO_MEM, &lack) || plan_takes_nothing(vm) ||
    vm->vfio || vm->locked;
  return dimms ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM;
}

/* Why devices of that kind above the floor are unusable; NULL: no known reason. */
static const char *find_unusable(const DmVm *vm, DmDeviceKind kind) {
  if (kind == DM_DEVICE_VIRTIO_MEM)
    return plan_explain_not_taken(vm);
  if (dm_vm_is_windows(vm))
    return DM_PHRASE_WINDOWS_DIMMS;
  return vm->vhost_user ? DM_PHRASE_VHOST_USER_DIMMS : NULL;
}

/* The guest would boot with its floor only, or never release a device. */
static gboolean check_guest(const DmVm *vm, const DmWish *wish, DmDeviceKind kind, GError **error) {
  const char *why = find_unusable(vm, kind);
  if (why == NULL)
    return TRUE;
  gboolean dimms_may_do = kind == DM_DEVICE_VIRTIO_MEM && !dm_vm_is_windows(vm);
  const char *remedy = dimms_may_do ? DM_CURE_CHOOSE_DIMMS_OR_FORCE : DM_CURE_LOWER_NEXT_RUN_OR_FORCE;
  if (kind == DM_DEVICE_VIRTIO_MEM)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED, DM_RULE_FLOOR_UNUSABLE_VIRTIO_MEM, vm->name, why, remedy);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED, DM_RULE_FLOOR_UNUSABLE_DIMMS, vm->name, why, remedy);
  if (dimms_may_do) {
    DmEnableWish better = wish->enable;
    better.has_kind = TRUE;
    better.kind = DM_DEVICE_DIMM;
    advise(vm, &better, wish->flags, error);
  }
  return FALSE;
}

static gboolean check_kind(const DmVm *vm, const DmWish *wish, DmDeviceKind kind, GError **error) {
  DmLack lack = {DM_PHRASE_LOCKED_MEMORY, DM_PHRASE_CHOOSE_DIMMS};
  gboolean is_virtio_mem = kind == DM_DEVICE_VIRTIO_MEM;
  if (!dm_machine_lacks(&vm->next_run->machine, kind, &lack) && !(is_virtio_mem && vm->locked))
    return (wish->flags & DM_PLAN_FORCE) != 0 || check_guest(vm, wish, kind, error);
  if (is_virtio_mem)
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED, DM_RULE_FLOOR_NO_VIRTIO_MEM, vm->name, lack.what, lack.remedy);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_ENABLED, DM_RULE_FLOOR_NO_DIMMS, vm->name, lack.what, lack.remedy);
  return FALSE;
}

/* The floors, and the kind of the devices above them. */
static gboolean set_floor(DmValues *values, const DmVm *vm, const DmWish *wish, GError **error) {
  const DmEnableWish *enable = &wish->enable;
  uint64_t floor;
  if (enable->floor == 0 && enable->nodes == NULL) {
    values->floors = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    return TRUE;
  }
  g_auto(NodeFloors) nodes = {0};
  if (!dm_rule_size("floor", enable->floor, &floor, error) || !read_nodes(&nodes, vm, enable, error) ||
    !check_floor(vm, values->maximum, floor, wish, error))
    return FALSE;
  values->floor_kind = choose_kind(vm, enable);
  if (!check_kind(vm, wish, values->floor_kind, error))
    return FALSE;
  values->floors = share_floor(&nodes, vm, floor, error);
  values->free_page_reporting = values->autodeflate = vm->balloon;
  return values->floors != NULL;
}

/* Other tools' devices stay, whatever kind is asked for. */
static const char *kinds_in(const DmConfig *config, DmDeviceKind kind) {
  gboolean dimms = kind == DM_DEVICE_DIMM, virtio = kind == DM_DEVICE_VIRTIO_MEM;
  for (guint i = 0; i < config->devices->len; i++) {
    const DmMemoryDevice *device = config->devices->pdata[i];
    dimms |= device->kind == DM_DEVICE_DIMM;
    virtio |= device->kind == DM_DEVICE_VIRTIO_MEM && device->requested > 0;
  }
  return dimms && virtio ? "virtio-mem and DIMMs" : dimms ? "DIMMs" : "virtio-mem";
}

/* What is less than a block is boot memory, above the floor too. */
static void note_floor(DmPlan *plan, const DmVm *vm, const DmValues *values) {
  const DmConfig *next = plan->next_run_config;
  if (values->floors == NULL || values->floors->len == 0)
    return;
  g_autofree char *boot = dm_size_format(dm_config_boot(next));
  g_autofree char *above = dm_size_format(dm_config_memory(next) - dm_config_boot(next));
  plan_note(plan, DM_NOTE_FLOOR, vm->name, boot, above, kinds_in(next, values->floor_kind));
  if (values->floor_kind == DM_DEVICE_VIRTIO_MEM && (vm->guest == NULL || vm->guest->virtio_mem == DM_FACT_UNKNOWN))
    plan_note(plan, DM_NOTE_FLOOR_DRIVER, vm->name, boot);
  Onlining onlining = plan_foresee_onlining(vm->guest);
  if (onlining.verdict == DM_VERDICT_BAD || onlining.verdict == DM_VERDICT_WARNING)
    plan_note(plan, DM_NOTE_FLOOR_ONLINING, onlining.evidence, plan_onlining_remedy(vm->guest));
}

/* ---- all of it ---- */

static guint choose_slots(const DmVm *vm, const DmEnableWish *wish, const DmValues *values) {
  guint has = MAX(vm->next_run->slots, vm->next_run->hidden_slots);
  gboolean dimms = values->floors != NULL && values->floors->len > 0 && values->floor_kind == DM_DEVICE_DIMM;
  guint usual = dimms ? DIMM_SLOTS : DEFAULT_SLOTS;
  return wish->slots != 0 ? wish->slots : has != 0 ? MAX(has, dimms ? usual : 0) : usual;
}

/* At least one per node, if there are none of that kind yet. */
static guint count_new(const DmVm *vm, const DmValues *values) {
  gboolean takes = !vm->next_run->slotless_virtio || values->floor_kind == DM_DEVICE_DIMM;
  gboolean there = vm->next_run->floors->len > 0 && vm->next_run->floor_kind == values->floor_kind;
  return values->floors != NULL && takes && !there ? values->floors->len : 0;
}

static void note_balloon_use(DmPlan *plan, const DmVm *vm) {
  if (!plan->has_balloon_use || plan->balloon_use == dm_vm_current(vm)->balloon_use)
    return;
  switch (plan->balloon_use) {
    case DM_BALLOON_USE_NEVER:
      plan_note(plan, DM_NOTE_BALLOON_USE_NEVER, vm->name);
      break;
    case DM_BALLOON_USE_ASK:
      plan_note(plan, DM_NOTE_BALLOON_USE_ASK, vm->name);
      break;
    case DM_BALLOON_USE_ALLOW:
      plan_note(plan, DM_NOTE_BALLOON_USE_ALLOW, vm->name);
      break;
  }
}

/* What the balloon may do, alone: a transient VM can have that, too. */
static DmPlan *plan_balloon_use(const DmVm *vm, const DmWish *wish, GError **error) {
  g_autoptr(DmPlan) plan = plan_new(vm, DM_ACTION_ENABLE);
  g_auto(DmValues) values = {.has_balloon_use = TRUE, .balloon_use = wish->enable.balloon};
  plan->has_balloon_use = TRUE;
  plan->balloon_use = wish->enable.balloon;
  if (vm->next_run != NULL && !plan_set_next_run(plan, vm, &values, error))
    return NULL;
  note_balloon_use(plan, vm);
  return g_steal_pointer(&plan);
}

DmPlan *plan_enable(const DmVm *vm, const DmWish *wish, GError **error) {
  const DmEnableWish *enable = &wish->enable;
  g_auto(DmValues) values = {0};
  if (enable->has_balloon && enable->maximum == 0)
    return plan_balloon_use(vm, wish, error);
  if (!dm_rule_size("maximum", enable->maximum, &values.maximum, error) ||
    !dm_rule_persistent(vm, DM_NEEDS_ENABLE, error))
    return NULL;
  if (!check_above_memory(vm, values.maximum, wish, error) || !dm_rule_platform(vm, values.maximum, error) ||
    (enable->has_floor && !set_floor(&values, vm, wish, error)))
    return NULL;
  values.slots = choose_slots(vm, enable, &values);
  values.free_page_reporting |= enable->free_page_reporting;
  values.autodeflate |= enable->autodeflate;
  values.has_balloon_use = enable->has_balloon;
  values.balloon_use = enable->balloon;
  if (!check_slots(vm, wish, values.slots, count_new(vm, &values), error))
    return NULL;

  g_autoptr(DmPlan) plan = plan_new(vm, DM_ACTION_ENABLE);
  plan->flags = wish->flags;
  plan->has_balloon_use = enable->has_balloon;
  plan->balloon_use = enable->balloon;
  if (!plan_set_next_run(plan, vm, &values, error))
    return NULL;
  note_floor(plan, vm, &values);
  note_balloon_use(plan, vm);
  DmLack lack;
  if (dm_machine_lacks(&vm->next_run->machine, DM_DEVICE_DIMM, &lack))
    plan_note(plan, DM_NOTE_NO_DIMMS, vm->name, lack.what, lack.remedy);
  return g_steal_pointer(&plan);
}
