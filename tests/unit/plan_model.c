/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sequences of changes on a simulated VM, over all three ways: DIMMs, virtio-mem, balloon. Each plan's steps are
 * carried out as the engine does it, by a guest that does what it is asked for, a part of it, refuses, or answers later
 * or never; and programs in it take and release memory meanwhile. After each, what must hold of every account does:
 * see check_set() and check_scene(). tests/real/test_model.py does the same with a real guest.
 *
 * DM_TEST_SEED=N DM_TEST_ROUNDS=N choose other sequences.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "notation.h"
#include "plan/account.h"
#include "plan/balloon.h"
#include "record.h"

#define DEFAULT_SEED 20261130
#define DEFAULT_ROUNDS 1000
#define STEPS 14
#define BLOCK (128 * DM_MIB)
#define LEAST_RESERVE (64 * DM_MIB)
#define TICK_US (200 * 1000)
#define MOST_TICKS 400

typedef struct {
  GRand *rand;
  DmVm *vm;
  uint64_t used;           /* by its programs and kernel */
  uint64_t spared, grown;  /* what was not used when the present change was planned; what is used since */
  uint64_t actual, target; /* of the balloon, by QEMU */
  gboolean meek;           /* the guest does all that it is asked for, and has enough left */
  gboolean prompt;         /* it answers late what it has not answered */
  gboolean failed_once;    /* something of the present change was refused, or came in part */
  gboolean ballooned, own; /* the change has moved the balloon; it does so for dimmer */
  GString *said;
} Scene;

static gboolean one_in(Scene *scene, int many) {
  return g_rand_int_range(scene->rand, 0, many) == 0;
}

static uint64_t random_mib(Scene *scene, uint64_t from, uint64_t to) {
  if (to < from)
    return from;
  return (uint64_t)g_rand_int_range(scene->rand, (int)(from / DM_MIB), (int)(to / DM_MIB) + 1) * DM_MIB;
}

/* ---- what there is ---- */

static uint64_t memory_of(const Scene *scene) {
  return dm_config_memory(scene->vm->live);
}

static uint64_t held_by(const Scene *scene) {
  return scene->vm->balloon ? dm_config_fixed(scene->vm->live) - scene->actual : 0;
}

static uint64_t usable_of(const Scene *scene) {
  return memory_of(scene) - held_by(scene);
}

static uint64_t available_of(const Scene *scene) {
  return dm_size_minus(usable_of(scene), scene->used);
}

/* What devices still have out, for any request. */
static uint64_t out_of(const Scene *scene) {
  const DmRequest *request = scene->vm->request;
  uint64_t sum = 0;
  for (guint i = 0; request != NULL && i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    const DmMemoryDevice *device = dm_config_find_alias(scene->vm->live, step->alias);
    if (device != NULL && dm_step_is_pending(step))
      sum += dm_size_minus(dm_memory_device_memory(device), step->to);
  }
  return sum;
}

/* As a change reads it: an earlier balloon's target became what was reached. */
static void look(Scene *scene) {
  DmVm *vm = scene->vm;
  DmGuest *guest = dm_guest_new();
  guest->agent = g_strdup("dimmer-guest");
  guest->memory_source = DM_SOURCE_AGENT;
  guest->block = BLOCK;
  guest->total = usable_of(scene);
  guest->available = available_of(scene);
  vm->balloon_actual = vm->balloon ? scene->actual : 0;
  vm->live->balloon = memory_of(scene) - held_by(scene);
  dm_vm_take_guest(vm, guest);
  if (vm->request != NULL && vm->request->balloon != NULL)
    vm->request->balloon->run.reached = scene->actual;
}

/* ---- the guest ---- */

/* It needs room for what it is to lose. */
static gboolean can_lose(const Scene *scene, uint64_t less) {
  return available_of(scene) >= less;
}

/*
 * With a DIMM that is full of inflated pages and no room for them elsewhere it answers nothing any more. Only where
 * dimmer may never touch the balloon can that be asked for.
 */
static gboolean is_stuck(const Scene *scene, uint64_t less) {
  gboolean stuck = scene->vm->balloon && scene->actual < less + DM_MIB;
  if (stuck)
    g_assert_cmpint(scene->vm->live->balloon_use, ==, DM_BALLOON_USE_NEVER);
  return stuck;
}

static void lose_dimm(Scene *scene, DmMemoryDevice *device) {
  scene->actual -= device->size; /* QEMU keeps what is inflated */
  scene->target -= device->size;
  g_ptr_array_remove(scene->vm->live->devices, device);
}

static DmMemoryDevice *take_device(Scene *scene, const DmStep *step) {
  DmConfig *live = scene->vm->live;
  DmMemoryDevice *device = dm_memory_device_new(step->kind);
  gboolean virtio = step->kind == DM_DEVICE_VIRTIO_MEM;
  device->alias = g_strdup(step->alias);
  device->id = g_strdup(step->id);
  device->size = step->size;
  device->block = step->block;
  device->node = step->node;
  device->live = virtio;
  device->address = 4 * DM_GIB;
  for (guint i = 0; i < live->devices->len; i++) {
    const DmMemoryDevice *other = live->devices->pdata[i];
    device->address = MAX(device->address, other->address + other->size);
  }
  device->slot = virtio ? -1 : (int)live->devices->len;
  g_ptr_array_add(live->devices, device);
  if (!virtio) {
    scene->actual += device->size;
    scene->target += device->size;
  }
  return device;
}

typedef enum {
  WHOLE,
  PART,
  REFUSED,
  SILENT,
  MOODS
} Mood;

static Mood mood_of(Scene *scene) {
  return scene->meek || one_in(scene, 2) ? WHOLE : (Mood)g_rand_int_range(scene->rand, 0, MOODS);
}

/* A virtio-mem device, to what it is requested to hold or a part of the way. */
static void resize(Scene *scene, DmMemoryDevice *device, Mood mood) {
  uint64_t to = device->requested, now = device->current, way = to > now ? to - now : now - to;
  if (mood == PART)
    way = way / 2 / device->block * device->block;
  if (mood == REFUSED || mood == SILENT)
    way = 0;
  if (to < now)
    way = MIN(way, available_of(scene) / device->block * device->block);
  device->current = to > now ? now + way : now - way;
  scene->failed_once |= device->current != to;
}

static void answer(Scene *scene, DmStep *step) {
  DmMemoryDevice *device = dm_config_find_alias(scene->vm->live, step->alias);
  Mood mood = mood_of(scene);
  if (step->op == DM_OP_UNPLUG && device != NULL) {
    gboolean stuck = is_stuck(scene, device->size);
    if (mood == WHOLE && !stuck && can_lose(scene, device->size)) {
      lose_dimm(scene, device);
      return;
    }
    scene->failed_once = TRUE;
    if (mood != SILENT && !stuck)
      dm_step_advance(step, DM_STEP_REFUSED);
  } else if (step->op == DM_OP_RESIZE && device != NULL) {
    device->requested = step->to;
    resize(scene, device, mood);
  } else if (step->op == DM_OP_PLUG && device == NULL) {
    device = take_device(scene, step);
    device->requested = step->kind == DM_DEVICE_VIRTIO_MEM ? step->to : 0;
    if (step->kind == DM_DEVICE_VIRTIO_MEM)
      resize(scene, device, mood);
  }
}

/* ---- the balloon ---- */

/* Where it is a tick later. @stuck: it goes no further down than that. */
static void move_a_tick(Scene *scene, Mood mood, uint64_t stuck) {
  uint64_t to = scene->target;
  if (mood == REFUSED || mood == SILENT)
    return;
  if (to < scene->actual)
    to = MAX(to, mood == PART ? MIN(stuck, scene->actual) : 0);
  if (to < scene->actual) /* a driver never takes what the guest needs: see fill_balloon() in Linux */
    to = scene->actual - MIN(scene->actual - to, available_of(scene));
  scene->actual = to;
}

/* Never more than the guest can spare by its latest report. */
static void check_target(const Scene *scene, uint64_t target) {
  uint64_t reserve = dm_balloon_reserve(memory_of(scene), scene->vm->live->autodeflate);
  g_assert_cmpuint(target, <=, dm_config_fixed(scene->vm->live));
  if (target < scene->actual)
    g_assert_cmpuint(scene->actual - target, <=, dm_size_minus(available_of(scene), reserve));
}

static gboolean move_balloon(Scene *scene, uint64_t goal) {
  gboolean autodeflate = scene->vm->live->autodeflate;
  DmBalloonWatch watch = {.goal = goal,
    .reserve = dm_balloon_reserve(memory_of(scene), autodeflate),
    .autodeflate = autodeflate,
    .until_us = G_MAXINT64};
  Mood mood = mood_of(scene);
  uint64_t stuck = scene->actual - random_mib(scene, 0, MIN(scene->actual, 200 * DM_MIB));
  gint64 now_us = TICK_US;
  scene->ballooned = TRUE;
  for (guint tick = 0; tick < MOST_TICKS; tick++, now_us += TICK_US) {
    DmBalloonStats stats = {.actual = scene->actual, .usable = available_of(scene)};
    stats.updated_s = mood == REFUSED ? 0 : mood == SILENT ? 1 : now_us / G_USEC_PER_SEC;
    DmBalloonMove move = dm_balloon_next(&watch, &stats, now_us);
    if (move.what == DM_BALLOON_END) {
      g_assert_true(watch.target == 0 || scene->target == scene->actual || mood >= REFUSED);
      scene->failed_once |= move.end != DM_BALLOON_REACHED;
      return move.end == DM_BALLOON_REACHED;
    }
    if (move.what == DM_BALLOON_SET) {
      check_target(scene, move.target);
      scene->target = move.target;
    }
    move_a_tick(scene, mood, stuck);
    if (!scene->meek && one_in(scene, 20)) { /* its programs take more */
      uint64_t more = available_of(scene) / 4;
      scene->used += more;
      scene->grown += more;
    }
  }
  g_assert_not_reached();
}

/* ---- a change, as src/engine makes it ---- */

/* What the new steps ask for at once leaves the guest its reserve, or what it had. */
static void check_asked(const Scene *scene, const DmRequest *request) {
  uint64_t sum = 0;
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    const DmMemoryDevice *device = dm_config_find_alias(scene->vm->live, step->alias);
    if (step->state == DM_STEP_PLANNED && device != NULL)
      sum += dm_size_minus(dm_memory_device_memory(device), step->to);
  }
  if (sum > 0)
    g_assert_cmpuint(sum + MIN(LEAST_RESERVE, scene->spared), <=, available_of(scene) + scene->grown);
}

static void ask(Scene *scene, DmRequest *request) {
  look(scene);
  check_asked(scene, request);
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    if (step->state == DM_STEP_PLANNED && dm_step_advance(step, DM_STEP_ASKED))
      answer(scene, step);
  }
}

static guint count(const DmRequest *request, DmStepState state) {
  guint found = 0;
  for (guint i = 0; i < request->steps->len; i++)
    found += ((DmStep *)request->steps->pdata[i])->state == state;
  return found;
}

static uint64_t dimms_to_go(const DmRequest *request) {
  uint64_t sum = 0;
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->op == DM_OP_UNPLUG && step->state == DM_STEP_PLANNED)
      sum += step->size;
  }
  return sum;
}

/* Without it no DIMM is asked, as the guest would lose both, nor what the balloon was to make up for. */
static void deflate(Scene *scene, const DmPlan *plan, DmRequest *request, uint64_t to) {
  if (to == 0 || move_balloon(scene, to))
    return;
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    gboolean needs = step->op == DM_OP_UNPLUG ||
      (step->op == DM_OP_RESIZE && step->to < step->from && dm_balloon_gives(plan->balloon));
    if (step->state == DM_STEP_PLANNED && needs)
      step->state = DM_STEP_REFUSED;
  }
}

/* After refusals: another plan with what is left. */
static gboolean again(Scene *scene, const DmPlan *plan, DmRequest *request) {
  look(scene);
  g_autoptr(GPtrArray) steps = dm_plan_again(scene->vm, request);
  for (guint i = 0; i < steps->len; i++) {
    DmStep *step = steps->pdata[i], *old = dm_request_find_step(request, step->alias);
    if (old != NULL)
      step->from = old->from;
    if (old != NULL)
      g_ptr_array_remove(request->steps, old);
    g_ptr_array_add(request->steps, step);
  }
  uint64_t aside = MIN(held_by(scene), dimms_to_go(request));
  if (plan->balloon != NULL && aside >= DM_MIB && scene->vm->live->balloon_use != DM_BALLOON_USE_NEVER)
    deflate(scene, plan, request, scene->actual + aside);
  return steps->len > 0;
}

static uint64_t still_out(const Scene *scene, const DmRequest *request) {
  uint64_t sum = 0;
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    const DmMemoryDevice *device = dm_config_find_alias(scene->vm->live, step->alias);
    if (dm_step_is_pending(step) && device != NULL && !dm_step_is_at_once(step))
      sum += dm_size_minus(dm_memory_device_memory(device), step->to);
  }
  return sum;
}

static gboolean waits_for_dimm(const Scene *scene, const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->op == DM_OP_UNPLUG && dm_step_is_pending(step) &&
      dm_config_find_alias(scene->vm->live, step->alias) != NULL)
      return TRUE;
  }
  return FALSE;
}

static void inflate(Scene *scene, const DmPlan *plan, DmRequest *request) {
  DmStep *step = plan->balloon != NULL ? request->balloon : NULL;
  if (step == NULL)
    return;
  if (waits_for_dimm(scene, request)) {
    scene->failed_once = TRUE;
    step->state = DM_STEP_OVERDUE;
    return;
  }
  gboolean takes = (request->flags & DM_PLAN_BALLOON) != 0 && request->memory != 0 && request->one_node == 0;
  uint64_t memory = request->memory != 0 ? request->memory + still_out(scene, request) : 0;
  uint64_t goal = dm_balloon_last_goal(scene->vm, step, plan, memory, takes, scene->own);
  step->to = goal;
  step->state = move_balloon(scene, goal) ? DM_STEP_DONE : one_in(scene, 2) ? DM_STEP_OVERDUE : DM_STEP_REFUSED;
}

/* Accounts for @request and leaves in the VM what is outstanding. */
static void close_change(Scene *scene, DmRequest *request) {
  DmVm *vm = scene->vm;
  look(scene);
  g_autoptr(DmAccount) account = dm_plan_account(vm, request);
  DmConfig *next = account->follows ? dm_plan_follow(vm->next_run, account, vm->name, NULL, NULL) : NULL;
  if (next != NULL) {
    dm_config_free(vm->next_run);
    vm->next_run = next;
  }
  if (account->guaranteed != 0)
    vm->live->guaranteed = account->guaranteed;
  if (held_by(scene) < DM_MIB || scene->ballooned)
    dm_balloon_account(
      vm->live, held_by(scene), scene->own, request->balloon != NULL && dm_step_is_pending(request->balloon));
  for (guint i = request->steps->len; i > 0; i--) {
    DmStep *step = request->steps->pdata[i - 1];
    gboolean came = step->op != DM_OP_PLUG || dm_config_find_alias(vm->live, step->alias) != NULL;
    if (!dm_step_is_pending(step) || !came)
      g_ptr_array_remove_index(request->steps, i - 1);
    else
      step->state = DM_STEP_OVERDUE;
  }
  if (request->balloon != NULL && !dm_step_is_pending(request->balloon))
    g_clear_pointer(&request->balloon, dm_step_free);
  request->asked = TRUE;
  dm_request_free(vm->request);
  vm->request = request->steps->len > 0 || request->balloon != NULL ? dm_request_copy(request) : NULL;
}

static void carry_out(Scene *scene, const DmPlan *plan) {
  DmVm *vm = scene->vm;
  g_autoptr(DmRequest) request = record_new(vm, plan, NULL, 10);
  scene->failed_once = scene->ballooned = FALSE;
  scene->grown = 0;
  scene->spared = available_of(scene);
  scene->own = (request->flags & DM_PLAN_BALLOON) != 0 || dm_balloon_is_own(vm->live, plan->ballooned_before);
  if (plan->next_run_config != NULL && (plan->action == DM_ACTION_SET || plan->action == DM_ACTION_ENABLE)) {
    dm_config_free(vm->next_run);
    vm->next_run = dm_config_copy(plan->next_run_config);
  }
  gboolean withdraws = plan->action == DM_ACTION_SET && plan->memory != 0 && vm->request != NULL;
  if (plan->steps->len == 0 && plan->balloon == NULL && plan->guaranteed == 0 && !withdraws)
    return;
  if (plan->balloon != NULL)
    vm->live->balloon_others = plan->balloon_others;
  deflate(scene, plan, request, plan->deflate_to);
  guint refused = 0;
  do {
    refused = count(request, DM_STEP_REFUSED);
    ask(scene, request);
  } while (plan->action == DM_ACTION_SET && count(request, DM_STEP_REFUSED) > refused && again(scene, plan, request));
  inflate(scene, plan, request);
  close_change(scene, request);
}

/* Some of what is out answers after all; and the next one to look accounts for that. */
static void answer_late(Scene *scene) {
  DmVm *vm = scene->vm;
  if (vm->request == NULL)
    return;
  g_autoptr(DmRequest) request = dm_request_copy(vm->request);
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
    if (device == NULL || !dm_step_is_pending(step) || (!scene->prompt && one_in(scene, 2)))
      continue;
    if (device->kind == DM_DEVICE_VIRTIO_MEM)
      resize(scene, device, WHOLE);
    else if (can_lose(scene, device->size) && scene->actual >= device->size + DM_MIB)
      lose_dimm(scene, device);
  }
  if (request->balloon != NULL)
    request->balloon->state = scene->actual == MIN(request->balloon->to, dm_config_fixed(vm->live)) ? DM_STEP_DONE
      : request->balloon->withdrawn                                                                 ? DM_STEP_REFUSED
                                                                                                    : DM_STEP_OVERDUE;
  scene->ballooned = request->balloon != NULL;
  scene->own = (request->flags & DM_PLAN_BALLOON) != 0 || vm->live->balloon_held != 0;
  close_change(scene, request);
}

/* ---- what must hold ---- */

static void check_config(const DmConfig *config) {
  g_assert_cmpuint(dm_config_guaranteed(config), <=, dm_config_memory(config));
  g_assert_cmpuint(dm_config_memory(config), <=, dm_config_maximum(config));
  for (guint i = 0; i < config->cells->len; i++)
    g_assert_cmpuint(g_array_index(config->cells, uint64_t, i), >=, DM_MIB);
}

static void check_scene(const Scene *scene) {
  g_assert_cmpuint(scene->actual, <=, dm_config_fixed(scene->vm->live));
  g_assert_cmpuint(scene->used, <=, usable_of(scene)); /* else a program was ended */
  check_config(scene->vm->live);
  check_config(scene->vm->next_run);
}

/* Above its floor the next run has devices only, but for what is less than their smallest step, or finds no room. */
static void check_floor(const DmConfig *next) {
  uint64_t floor = dm_config_floor(next), boot = dm_config_boot(next), taken = boot;
  if (next->floors->len == 0)
    return;
  for (guint i = 0; i < next->devices->len; i++)
    taken += ((DmMemoryDevice *)next->devices->pdata[i])->size;
  gboolean has_room = taken + BLOCK <= next->maximum && dm_config_free_slots(next) > 0;
  uint64_t most = next->floor_kind == DM_DEVICE_DIMM ? BLOCK : next->cells->len * 2 * DM_MIB;
  if (next->floor_kind == DM_DEVICE_VIRTIO_MEM || has_room)
    g_assert_cmpuint(boot, <, floor + most);
}

typedef struct {
  uint64_t memory, usable, guaranteed, next_run, next_guaranteed, out, others;
  gboolean own, held;
} Before;

static Before before_of(const Scene *scene) {
  const DmVm *vm = scene->vm;
  return (Before){memory_of(scene), usable_of(scene), vm->live->guaranteed, dm_config_memory(vm->next_run),
    vm->next_run->guaranteed, out_of(scene), dm_balloon_of_others(vm->live, held_by(scene)),
    dm_balloon_is_own(vm->live, held_by(scene)), held_by(scene) >= DM_MIB};
}

static void check_lowered(const Scene *scene, const Before *before, uint64_t wanted) {
  uint64_t memory = memory_of(scene), promised = memory - out_of(scene);
  g_assert_cmpuint(memory, <=, before->memory);
  if (before->out == 0)
    g_assert_cmpuint(promised, >=, wanted); /* never less, whatever answers later */
}

static gboolean has_note(const DmPlan *plan, DmNoteCode code) {
  for (guint i = 0; i < plan->notes->len; i++) {
    if (((const DmNote *)plan->notes->pdata[i])->code == code)
      return TRUE;
  }
  return FALSE;
}

/* What the guest can use is what was asked for, or more, unless another program holds it in the balloon; that is told.
 */
static void check_usable(const Scene *scene, const DmPlan *plan, const Before *before, uint64_t wanted) {
  uint64_t usable = usable_of(scene), memory = memory_of(scene);
  gboolean untouched = scene->vm->live->balloon_use == DM_BALLOON_USE_NEVER,
           all = before->out == 0 && out_of(scene) == 0;
  uint64_t most = memory - (plan->balloon != NULL ? plan->balloon_others : plan->balloon_asked ? 0 : before->others);
  gboolean told = has_note(plan, DM_NOTE_GUARANTEED_BALLOONED);
  if (all && wanted <= before->usable && !untouched && (!before->held || before->own))
    g_assert_cmpuint(usable + DM_MIB, >=, MIN(wanted, most));
  else if (all && !told && !scene->failed_once)
    g_assert_cmpuint(usable + DM_MIB, >=, MIN(scene->vm->live->guaranteed, before->usable));
  if (before->out > 0 || scene->failed_once)
    return;
  g_assert_cmpuint(memory, ==, plan->memory_after);
  uint64_t least = memory - dm_config_fixed(scene->vm->live) + DM_MIB;
  if ((plan->flags & DM_PLAN_BALLOON) != 0 && plan->one_node == 0)
    g_assert_cmpuint(usable, ==, MIN(MAX(wanted, least), MAX(most, least)));
  else if (before->own && !untouched)
    g_assert_cmpuint(usable, >=, MIN(wanted, most));
}

/* The same once more: nothing is left to do. */
static void check_again(Scene *scene, const DmWish *wish) {
  g_autoptr(GError) error = NULL;
  look(scene);
  g_autoptr(DmPlan) plan = dm_plan(scene->vm, wish, &error);
  g_assert_no_error(error);
  if (plan == NULL)
    return;
  g_assert_cmpuint(plan->steps->len, ==, 0);
  g_assert_null(plan->balloon);
}

static void check_set(Scene *scene, const DmWish *wish, const DmPlan *plan, const Before *before) {
  const DmSetWish *set = &wish->set;
  const DmConfig *next = scene->vm->next_run;
  gboolean asks = set->has_memory && !set->next_run_only;
  uint64_t later = set->has_memory && !set->live_only ? set->memory : before->next_run;
  uint64_t guaranteed = set->has_guaranteed && !set->live_only ? set->guaranteed : before->next_guaranteed;
  g_assert_cmpuint(dm_config_memory(next), ==, later);
  g_assert_cmpuint(next->guaranteed, ==, guaranteed);
  if (!set->live_only && set->has_memory)
    check_floor(next);
  if (asks && set->memory < before->memory)
    check_lowered(scene, before, set->memory);
  if (asks)
    check_usable(scene, plan, before, set->memory);
  else if (!set->has_guaranteed)
    g_assert_cmpuint(usable_of(scene), ==, before->usable);
  if (!scene->failed_once && scene->vm->request == NULL && scene->meek)
    check_again(scene, wish);
}

/* The next run goes along where both were equal; where it cannot, that was said before. */
static void check_follows(const Scene *scene, const DmPlan *plan, const Before *before) {
  uint64_t next = dm_config_memory(scene->vm->next_run);
  gboolean follows = before->next_run == before->memory && !has_note(plan, DM_NOTE_NEXT_RUN_STAYS);
  g_assert_cmpuint(next, ==, follows ? memory_of(scene) : before->next_run);
}

/* ---- sequences ---- */

static DmWish random_set(Scene *scene) {
  DmWish wish = {.action = DM_ACTION_SET, .set = {.has_memory = !one_in(scene, 6)}};
  uint64_t memory = memory_of(scene), dimms = (uint64_t)g_rand_int_range(scene->rand, 0, 10) * BLOCK;
  wish.set.memory = random_mib(scene, 300 * DM_MIB, 2304 * DM_MIB);
  if (one_in(scene, 2)) /* else nearly all are no whole DIMMs away */
    wish.set.memory = MAX(256 * DM_MIB, dm_size_minus(memory + dimms, 5 * BLOCK));
  wish.set.has_guaranteed = !wish.set.has_memory || one_in(scene, 3);
  wish.set.guaranteed = random_mib(scene, 64 * DM_MIB, wish.set.has_memory ? wish.set.memory : memory);
  wish.set.next_run_only = one_in(scene, 6);
  wish.set.live_only = !wish.set.next_run_only && one_in(scene, 5);
  wish.set.choose_kind = one_in(scene, 3);
  if (one_in(scene, 2) && !wish.set.next_run_only)
    wish.flags |= DM_PLAN_BALLOON;
  return wish;
}

static void say(Scene *scene, const DmWish *wish) {
  g_autofree char *live = config_text(scene->vm->live);
  g_autofree char *next = config_text(scene->vm->next_run);
  g_autofree char *text = dm_wish_format(wish);
  g_string_append_printf(scene->said,
    "\n  %s | %s; actual %" G_GUINT64_FORMAT ", held %" G_GUINT64_FORMAT ", used %" G_GUINT64_FORMAT
    ", out %" G_GUINT64_FORMAT "%s: %s",
    live, next, scene->actual / DM_MIB, scene->vm->live->balloon_held / DM_MIB, scene->used / DM_MIB,
    out_of(scene) / DM_MIB, scene->meek ? ", meek" : "", text);
}

/* FALSE: a rule forbids it. */
static DmPlan *try(Scene *scene, const DmWish *wish) {
  g_autoptr(GError) error = NULL;
  look(scene);
  say(scene, wish);
  DmPlan *plan = dm_plan(scene->vm, wish, &error);
  g_assert_true((plan == NULL) == (error != NULL));
  if (error != NULL) {
    /* size-zero: where next to nothing is left of boot memory, what is less than a block cannot come out of it */
    g_assert_true(error->code == DM_ERROR_SIZE_ZERO || dm_error_info_of(error)->exit_status == DM_EXIT_RULE);
    g_string_append_printf(scene->said, " (%s)", dm_error_info_of(error)->name);
  } else {
    carry_out(scene, plan);
  }
  return plan;
}

static void do_set(Scene *scene) {
  DmWish wish = random_set(scene);
  Before before = before_of(scene);
  g_autoptr(DmPlan) plan = try(scene, &wish);
  if (plan != NULL)
    check_set(scene, &wish, plan, &before);
}

static void do_plug(Scene *scene) {
  const DmWish wish = {.action = DM_ACTION_PLUG,
    .plug = {.kind = one_in(scene, 2) ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM,
      .size = (uint64_t)g_rand_int_range(scene->rand, 1, 5) * BLOCK,
      .policy = (DmPlugPolicy)g_rand_int_range(scene->rand, 0, 3)}};
  Before before = before_of(scene);
  g_autoptr(DmPlan) plan = try(scene, &wish);
  if (plan == NULL || scene->failed_once || before.out > 0)
    return;
  g_assert_cmpuint(memory_of(scene), ==, before.memory + wish.plug.size);
  g_assert_cmpuint(usable_of(scene), >=, before.usable);
  check_follows(scene, plan, &before);
}

static void do_unplug(Scene *scene) {
  guint devices = scene->vm->live->devices->len;
  if (devices == 0)
    return;
  const DmMemoryDevice *device = scene->vm->live->devices->pdata[g_rand_int_range(scene->rand, 0, (int)devices)];
  gboolean dimm = device->kind == DM_DEVICE_DIMM;
  char *names[] = {g_strdup(device->alias), NULL};
  const DmWish wish = {.action = DM_ACTION_UNPLUG, .unplug = {.devices = names}};
  Before before = before_of(scene);
  g_autoptr(DmPlan) plan = try(scene, &wish);
  g_free(names[0]);
  if (plan == NULL || scene->failed_once || before.out > 0)
    return;
  uint64_t memory = memory_of(scene), less = before.memory - memory;
  gboolean aside = dimm && scene->vm->live->balloon_use != DM_BALLOON_USE_NEVER;
  g_assert_cmpuint(memory, ==, plan->memory_after);
  g_assert_cmpuint(usable_of(scene), ==, aside ? MIN(before.usable, memory) : before.usable - less);
  check_follows(scene, plan, &before);
}

static void do_settle(Scene *scene) {
  const DmWish wish = {.action = DM_ACTION_SETTLE};
  answer_late(scene);
  g_autoptr(DmPlan) plan = try(scene, &wish);
  g_assert_nonnull(plan);
}

/* virsh setmem */
static void do_setmem(Scene *scene) {
  uint64_t fixed = dm_config_fixed(scene->vm->live), held = held_by(scene);
  if (!scene->vm->balloon)
    return;
  uint64_t most = held + dm_size_floor_mib(available_of(scene) / 2);
  scene->actual = scene->target = fixed - random_mib(scene, 0, MIN(most, fixed - DM_MIB));
  g_string_append_printf(scene->said, "\n  setmem %" G_GUINT64_FORMAT, scene->actual / DM_MIB);
}

static void do_load(Scene *scene) {
  scene->used = random_mib(scene, 60 * DM_MIB, usable_of(scene) * 3 / 4);
}

/* Its next start, with the definition's own aliases and places. */
static void do_power_cycle(Scene *scene) {
  DmVm *vm = scene->vm;
  DmConfig *live = dm_config_copy(vm->next_run);
  uint64_t address = 4 * DM_GIB;
  live->balloon_held = live->balloon_others = 0;
  live->hidden_maximum = 0;
  live->hidden_slots = 0;
  for (guint i = 0; i < live->devices->len; i++) {
    DmMemoryDevice *device = live->devices->pdata[i], *defined = vm->next_run->devices->pdata[i];
    device->live = device->kind == DM_DEVICE_VIRTIO_MEM;
    device->current = device->requested;
    device->slot = device->live ? -1 : (int)i;
    device->address = address;
    device->index = defined->index = i;
    if (device->alias == NULL)
      device->alias = g_strdup_printf("%s%u", device->live ? "virtiomem" : "dimm", i);
    if (device->id == NULL)
      device->id = g_uuid_string_random();
    address += device->size;
  }
  dm_config_free(vm->live);
  vm->live = live;
  g_clear_pointer(&vm->request, dm_request_free);
  scene->actual = scene->target = dm_config_fixed(live);
  scene->used = MIN(scene->used, memory_of(scene) / 2);
  g_string_append(scene->said, "\n  power cycle");
}

static void do_enable(Scene *scene) {
  DmWish wish = {.action = DM_ACTION_ENABLE,
    .flags = DM_PLAN_FORCE, /* small floors, too */
    .enable = {.maximum = 4 * DM_GIB, .has_floor = TRUE, .has_kind = TRUE}};
  wish.enable.floor = one_in(scene, 5) ? 0 : random_mib(scene, 256 * DM_MIB, 768 * DM_MIB);
  wish.enable.kind = one_in(scene, 2) ? DM_DEVICE_DIMM : DM_DEVICE_VIRTIO_MEM;
  uint64_t memory = dm_config_memory(scene->vm->next_run);
  g_autoptr(DmPlan) plan = try(scene, &wish);
  if (plan == NULL)
    return;
  g_assert_cmpuint(dm_config_memory(scene->vm->next_run), ==, memory);
  check_floor(scene->vm->next_run);
}

/* With a guest that does what it can, nothing stays out but what is not wanted any more. */
static void settle_all(Scene *scene) {
  scene->meek = scene->prompt = TRUE;
  scene->used = 0;
  if (scene->vm->live->balloon_use == DM_BALLOON_USE_NEVER) /* who inflated it has it give back */
    scene->actual = scene->target = dm_config_fixed(scene->vm->live);
  for (guint i = 0; i < 3 && scene->vm->request != NULL; i++)
    do_settle(scene);
  g_assert_true(scene->vm->request == NULL || !dm_request_asks_again(scene->vm->request));
}

static void do_one(Scene *scene) {
  scene->meek = one_in(scene, 2);
  if (scene->meek)
    scene->used = MIN(scene->used, usable_of(scene) / 4);
  switch (g_rand_int_range(scene->rand, 0, 14)) {
    case 0:
      do_power_cycle(scene);
      break;
    case 1:
      do_plug(scene);
      break;
    case 2:
    case 3:
      do_unplug(scene);
      break;
    case 4:
      do_settle(scene);
      break;
    case 5:
      do_setmem(scene);
      break;
    case 6:
      do_load(scene);
      break;
    case 7:
      do_enable(scene);
      break;
    default:
      do_set(scene);
  }
  answer_late(scene);
  check_scene(scene);
}

static DmVm *random_vm(GRand *rand) {
  static const char *const vms[] = {
    "running: ~1024 balloon=1024 | ~1024",
    "running: 1024 max=4096/16 balloon=1024 | 1024 max=4096/16",
    "running: 1024 max=4096/16 balloon=1408 d256 d128 | 1024 max=4096/16 d256 d128",
    "running: 512 max=4096/16 balloon=1024 v2048:512/512:2 | 512 max=4096/16 floor=512 v2048:512:2",
    "running: 512 max=4096/16 balloon=1024 slotless d256 d256 | 512 max=4096/16 floor=512/dimm d256 d256",
    "running: 512+512 max=4096/16 balloon=1536 v1024:256/256:2@1 d256 | 768+768 max=4096/16",
    "running: 1024 max=4096/16 d256 | 1024 max=4096/16 d256",
  };
  return vm_from(vms[g_rand_int_range(rand, 0, G_N_ELEMENTS(vms))]);
}

static void play(uint32_t seed) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  Scene scene = {.rand = rand, .vm = random_vm(rand), .used = 200 * DM_MIB, .said = g_string_new(NULL)};
  scene.vm->live->balloon_use = (DmBalloonUse)g_rand_int_range(rand, 0, DM_BALLOON_USES);
  scene.vm->live->autodeflate = g_rand_boolean(rand);
  scene.actual = scene.target = dm_config_fixed(scene.vm->live);
  for (guint i = 0; i < STEPS && !g_test_failed(); i++)
    do_one(&scene);
  if (!g_test_failed())
    settle_all(&scene);
  if (g_test_failed())
    g_test_message("DM_TEST_SEED=%u DM_TEST_ROUNDS=1:%s", seed, scene.said->str);
  g_string_free(scene.said, TRUE);
  dm_vm_free(scene.vm);
}

static uint32_t number_from_environment(const char *name, uint32_t otherwise) {
  const char *text = g_getenv(name);
  return text != NULL ? (uint32_t)strtoul(text, NULL, 0) : otherwise;
}

static void test_sequences(void) {
  uint32_t seed = number_from_environment("DM_TEST_SEED", DEFAULT_SEED);
  uint32_t rounds = number_from_environment("DM_TEST_ROUNDS", DEFAULT_ROUNDS);
  for (uint32_t round = 0; round < rounds && !g_test_failed(); round++)
    play(seed + round);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/plan-model/sequences", test_sequences);
  return g_test_run();
}
