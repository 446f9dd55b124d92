/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this layer for making a plan. Not for other layers. */
#pragma once

#include "plan/change.h"
#include "plan/doctor.h"
#include "plan/machine.h"

/* dm_plan() of each action. */
DmPlan *plan_set(const DmVm *vm, const DmWish *wish, GError **error) G_GNUC_WARN_UNUSED_RESULT;
DmPlan *plan_unplug(const DmVm *vm, const DmWish *wish, GError **error) G_GNUC_WARN_UNUSED_RESULT;
DmPlan *plan_plug(const DmVm *vm, const DmWish *wish, GError **error) G_GNUC_WARN_UNUSED_RESULT;
DmPlan *plan_enable(const DmVm *vm, const DmWish *wish, GError **error) G_GNUC_WARN_UNUSED_RESULT;
DmPlan *plan_settle(const DmVm *vm, const DmWish *wish) G_GNUC_WARN_UNUSED_RESULT;

/* A plan for @vm without steps and with its present values. */
DmPlan *plan_new(const DmVm *vm, DmAction action) G_GNUC_WARN_UNUSED_RESULT;

/* plan_note(plan, DM_NOTE_..., arguments of its sentence) */
#define plan_note(plan, code, ...) dm_notes_add((plan)->notes, code, ##__VA_ARGS__)

/* "dimm 3f2a91c0 (256 MiB)". The caller frees. */
char *plan_describe_device(const DmVm *vm, const DmMemoryDevice *device) G_GNUC_WARN_UNUSED_RESULT;

/* Sets the values for the next run, as dm_plan_next_run() checks them. */
gboolean plan_set_next_run(
  DmPlan *plan, const DmVm *vm, const DmValues *values, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* guaranteed after the plan: as requested or as stored, never above memory. */
void plan_predict_guaranteed(DmPlan *plan, const DmVm *vm);

/* The next run that follows the steps of @plan, if it is to follow. FALSE with an error if it cannot. */
gboolean plan_predict_next_run(DmPlan *plan, const DmVm *vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The memory that the next run has followed so far: what a device counted for when its step in @request (NULL: none)
 * was last accounted for; others their requested size, so that a rebooting guest which accepts virtio-mem again changes
 * nothing.
 */
uint64_t plan_accounted_memory(const DmVm *vm, const DmRequest *request);

/* The most that the guest can hold of a virtio-mem device: partial memory blocks never come online. */
uint64_t plan_usable_size(const DmVm *vm, const DmMemoryDevice *device);

/* What existing virtio-mem devices can still take, in whole memory blocks of the guest. */
uint64_t plan_room_to_grow(const DmVm *vm);

/* Inflating its balloon is useless, or forbidden: why. FALSE, with nothing written: it is not. */
gboolean plan_lacks_balloon(const DmVm *vm, DmLack *lack);

/*
 * What the balloon could take now, and the reserve that it leaves the guest. FALSE: what is available there is not
 * known.
 */
gboolean plan_balloon_spare(const DmVm *vm, uint64_t *spare, uint64_t *reserve);

/*
 * Whether the balloon may take what no device can give: then the flags of @plan say so from now on. FALSE with
 * DM_ERROR_NO_BALLOON: it was asked for, and cannot.
 */
gboolean plan_balloon_check(DmPlan *plan, const DmVm *vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Adds the balloon's part to @plan, whose devices are chosen, for a VM that is to have @memory (0: any). */
void plan_balloon(DmPlan *plan, const DmVm *vm, uint64_t memory);

/* What the balloon gives back before the DIMMs of @plan go, and takes again of what is left then. */
uint64_t plan_aside(const DmPlan *plan, const DmVm *vm);

/* What it gives back for good before the devices of @plan come or go, for the plan's memory (0: any). */
uint64_t plan_given_first(const DmPlan *plan, const DmVm *vm);

/* The same for what the recorded request left of it. */
void plan_balloon_again(DmPlan *plan, const DmVm *vm);

/* How much of the memory the balloon holds, as far as known. */
uint64_t plan_held_by_balloon(const DmVm *vm);

/* Notes that it stays inflated while @plan adds memory. */
void plan_note_balloon_stays(DmPlan *plan, const DmVm *vm);

/* Notes an obstacle to hot unplug visible from the host: an inflated balloon. */
void plan_note_obstacles(DmPlan *plan, const DmVm *vm);

/*
 * Appends a step to add a device to @config that counts for @memory; @size is a virtio-mem device's full size, else
 * @memory.
 */
void plan_add_plug(
  DmPlan *plan, const DmConfig *config, DmDeviceKind kind, uint64_t memory, uint64_t size, uint64_t block, int node);

/* Why its guest will not accept more of a virtio-mem device, by its report; NULL: no obstacle. */
const char *plan_explain_not_taken(const DmVm *vm);

/* Its guest will certainly accept nothing of virtio-mem: it reported that the driver is missing or not loaded. */
gboolean plan_takes_nothing(const DmVm *vm);

/* How memory plugged next will be onlined, and why, in words. */
typedef struct {
  DmVerdict verdict; /* BAD: it stays offline, or goes to a kernel zone */
  DmFindingCode code;
  const char *evidence; /* its sentence, without arguments */
} Onlining;

/* @guest: NULL: not queried. */
Onlining plan_foresee_onlining(const DmGuest *guest);

/* The remedy if that is BAD or a WARNING. */
const char *plan_onlining_remedy(const DmGuest *guest);

/* The growth of memory by @plan's devices. */
uint64_t plan_added(const DmPlan *plan);

/* Notes how the guest will online the memory that @plan adds, unless all of it becomes movable. */
void plan_note_prospects(DmPlan *plan, const DmVm *vm);

/* How a running VM's memory is divided into zones, in bytes, and the source. */
typedef struct {
  uint64_t kernel;  /* usable by the guest kernel for itself */
  uint64_t movable; /* not usable by it */
  const char *source;
} PlanShare;

PlanShare plan_share(const DmVm *vm);

/* Kernels were seen to kill processes for lack of kernel memory above about that ratio; 3:1 is usually fine. */
#define PLAN_LOPSIDED 12

/* That much movable memory makes the kernel run out of its own. @movable: present or planned. */
gboolean plan_is_lopsided(const PlanShare *share, uint64_t movable);

/* Memory after @plan is within the host's limit for the VM; if forced, only a note. */
gboolean plan_check_hard_limit(DmPlan *plan, const DmVm *vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The guest can spare the page descriptors of what @plan adds; if forced, only a note. */
gboolean plan_check_descriptors(DmPlan *plan, const DmVm *vm, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What suits the VM for a plug, with a note that says why. */
DmDeviceKind plan_choose_kind(DmPlan *plan, const DmVm *vm);

/* Adds that note to the error of a plan that failed, as its notes go with it. */
void plan_explain_kind(const DmPlan *plan, GError **error);

/* The step of a new virtio-mem device on that node: a transparent huge page (QEMU's default), or the node's page. */
uint64_t plan_virtio_mem_block(const DmVm *vm, int node);

/* @node takes the new devices of a wish, in whole steps of its pages. */
typedef gboolean (*PlanTakes)(const DmVm *vm, int node, gconstpointer wanted);

/*
 * Where new devices go: to the node that is named (@one_node, as in DmValues), else to node 0, as in oVirt, or, with a
 * note, to the first that takes them where that does not. If none does: the one of the finest step, for the error.
 */
int plan_choose_node(DmPlan *plan, const DmVm *vm, guint one_node, PlanTakes takes, gconstpointer wanted);

/* Appends the DIMMs that @size is split into by @policy, with a note if the guest could never release them. */
void plan_add_dimms(DmPlan *plan, const DmVm *vm, DmPlugPolicy policy, uint64_t size, int node);

/*
 * Sorts by likelihood of success, as dimmer-guest frees one device after the other, and a stuck one leaves less time
 * for the rest: DIMMs that are movable, unknown, refused before, in a kernel zone; then virtio-mem. Stable.
 */
void plan_order_steps(GPtrArray *steps, const DmVm *vm);

/* Sets an address for each new device of @plan that QEMU might otherwise place where the guest cannot use it. */
void plan_place_devices(DmPlan *plan, const DmVm *vm);

/* An address behind all other devices is known; otherwise plan_place_devices() can do nothing. */
gboolean plan_knows_places(const DmVm *vm);

/* The outstanding step of the recorded request for @device, else NULL. */
const DmStep *plan_pending_step(const DmRequest *request, const DmMemoryDevice *device);

/* It is left out: the guest has memory of that DIMM in a kernel zone, or is Windows, without DM_PLAN_TRY_UNMOVABLE. */
gboolean plan_leaves_out(const DmMemoryDevice *device, DmPlanFlags flags);

/* It is on the NUMA node that alone is to change, as in DmValues. */
gboolean plan_is_on(const DmMemoryDevice *device, guint one_node);

/* Chooses what to release to lower the running VM to @wanted. */
gboolean plan_lower(DmPlan *plan, const DmVm *vm, uint64_t wanted, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @plan keeps memory that earlier requests wanted to release. */
void plan_keep_pending(DmPlan *plan, const DmVm *vm);

/* The least memory that plan_set() can lower the running VM to, if its guest can spare @spare. */
uint64_t plan_least_memory(const DmVm *vm, DmPlanFlags flags, guint one_node, uint64_t spare);

/* The lowest floor that the next run of @vm may have with that maximum. */
uint64_t plan_least_floor(const DmVm *vm, uint64_t maximum);

/*
 * What the guest loses if @device releases that much: blocks offline or never accepted cost nothing. Linux's virtio_mem
 * releases offline blocks first (drivers/virtio/virtio_mem.c).
 */
uint64_t plan_needs_of(const DmVm *vm, const DmMemoryDevice *device, uint64_t release);

/* The same for @steps (NULL: none), plus the outstanding steps of @request (NULL: none). */
typedef struct {
  uint64_t asked, out;
} PlanNeeds;

PlanNeeds plan_needs(const DmVm *vm, const GPtrArray *steps, const DmRequest *request);

/*
 * What would have to move off a NUMA node, at least and at most, as it is not known how much of what goes is free; and
 * what its other nodes have available for it.
 */
typedef struct {
  uint64_t least, most, room;
} PlanMove;

/*
 * The first node whose content does not find room elsewhere, if @steps (DmStep) release DIMMs of it besides what of
 * @request (NULL: none) is outstanding; -1: none, or not known. Linux moves what is in use of a DIMM only to other
 * nodes, if these have memory (do_migrate_range() in mm/memory_hotplug.c), and what goes there at the same time is no
 * room; what is in use of a virtio-mem device within its node as well (__alloc_contig_migrate_range() in
 * mm/page_alloc.c), so no node is too small for that. @move may be NULL.
 */
int plan_find_tight_node(const DmVm *vm, const GPtrArray *steps, const DmRequest *request, PlanMove *move);

/* There is none for @plan; if forced, only a note. @least: the memory that would do, for the error; 0: not known. */
gboolean plan_check_nodes(DmPlan *plan, const DmVm *vm, uint64_t least, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The guest can spare what @plan releases, with what the balloon puts aside for that, and @given for good, before; if
 * forced, only a note.
 */
gboolean plan_check_spare(DmPlan *plan, const DmVm *vm, uint64_t given, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Notes which devices @plan requests may stay, or partly stay, by the guest's report. */
void plan_note_unmovable(DmPlan *plan, const DmVm *vm);
