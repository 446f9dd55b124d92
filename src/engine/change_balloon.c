/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon's part in a change: DEFLATE before the devices are requested, RESCUE where one of them is stuck, INFLATE
 * after their answers. A target that
 * QEMU has is recorded in the VM before it is set; the next dimmer that finds the record of a killed one makes the
 * target what was reached (change_balloon_recover()), so that none is pursued for ever.
 */
#include "base/debug.h"
#include "base/error.h"
#include "base/size.h"
#include "change_private.h"
#include "record.h"

/* This change's own; NULL: none, also where it only carries one of an earlier request. */
static DmStep *step_of(const DmChange *change) {
  return change->request != NULL && change->plan->balloon != NULL ? change->request->balloon : NULL;
}

static void tell(DmChange *change) {
  if (change->listener.ballooned != NULL)
    change->listener.ballooned(change, step_of(change), change->listener_data);
}

/* Its user wants the balloon to hold what it takes. */
static gboolean is_owned(const DmRequest *request) {
  return (request->flags & DM_PLAN_BALLOON) != 0;
}

/* It takes what is above the request's memory. */
static gboolean is_wanted(const DmRequest *request) {
  return is_owned(request) && request->memory != 0 && request->one_node == 0;
}

static DmNote *describe_recovered(const DmChange *change, const DmStep *step) {
  g_autofree char *left = dm_size_format(dm_size_floor_mib(step->run.reached));
  g_autofree char *wanted = dm_size_format(dm_size_floor_mib(step->to));
  return dm_note_new(DM_NOTE_EARLIER_BALLOON, change->vm->name, left, wanted);
}

/* As the killed process found it. If that fails, reports just come more often. */
static void restore_period(const DmChange *change, DmStep *step) {
  g_autoptr(GError) error = NULL;
  if (step->has_period && change->vm->balloon_period_s == BALLOONING_PERIOD_S &&
    !dm_balloon_set_period(change->connection, change->vm, step->period_s, &error))
    dm_debug("change", "%s: %s", change->vm->name, error->message);
  step->has_period = FALSE;
}

gboolean change_balloon_recover(DmChange *change, GError **error) {
  DmStep *step = change->recovered->balloon;
  const DmVm *vm = change->vm;
  if (step == NULL || vm->live == NULL)
    return TRUE;
  if (step->state == DM_STEP_PLANNED && change->recovered->asked) /* killed while its devices were waited for */
    dm_step_advance(step, DM_STEP_OVERDUE);
  if (!dm_step_is_pending(step) || vm->balloon_actual == 0) /* not known: what was asked stays so in the record */
    return TRUE;
  if (step->state == DM_STEP_ASKED && !dm_balloon_set(change->connection, vm, vm->balloon_actual, error))
    return FALSE;
  restore_period(change, step);
  step->run.reached = vm->balloon_actual;
  gboolean there = vm->balloon_actual == MIN(step->to, dm_config_fixed(vm->live));
  step->state = there ? DM_STEP_DONE : step->withdrawn ? DM_STEP_REFUSED : DM_STEP_OVERDUE;
  if (!there)
    g_ptr_array_add(change->found, describe_recovered(change, step));
  change->ballooned = TRUE;
  change->balloon_owned = is_owned(change->recovered) || vm->live->balloon_held != 0;
  return TRUE;
}

/* ---- moving ---- */

static void on_moved(uint64_t actual, gpointer data) {
  DmChange *change = data;
  DmStep *step = step_of(change);
  gboolean changed = step->run.reached != actual;
  step->run.reached = actual;
  if (changed && change->phase == PHASE_INFLATE)
    tell(change);
}

static void lose_connection(DmChange *change) {
  if (!dm_connection_is_alive(change->connection))
    change->connection_lost = TRUE;
}

/* The guest would have too little after @step if the balloon does not give back first. */
static gboolean needs_deflated(const DmChange *change, const DmStep *step) {
  return step->op == DM_OP_UNPLUG ||
    (step->op == DM_OP_RESIZE && step->to < step->from && dm_balloon_gives(change->plan->balloon));
}

static gboolean was_asked(const DmChange *change, const DmStep *step) {
  const DmStep *earlier = change->recovered != NULL ? dm_request_find_step(change->recovered, step->alias) : NULL;
  return earlier != NULL && dm_step_is_pending(earlier);
}

/* None of them is asked; or none that needs a balloon which has given back; but @again: those that were asked before.
 */
static void leave_steps(DmChange *change, gboolean all, gboolean again, DmNote *reason) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_PLANNED && (all || needs_deflated(change, step)) && !(again && was_asked(change, step)))
      change_leave(change, step, reason);
  }
  dm_note_free(reason);
}

/*
 * Not a page came back: either its driver is gone, or it holds nothing, and what it seems to hold is a device that QEMU
 * has let go and libvirt still counts. libvirt 9.0 drops QEMU's event where another call has the VM for too long
 * (processDeviceDeletedEvent()), and finds out when the device is asked again.
 */
static gboolean gave_nothing(const DmChange *change, DmBalloonEnd end, uint64_t actual) {
  return actual == change->vm->balloon_actual &&
    (end == DM_BALLOON_SHORT || end == DM_BALLOON_SILENT || end == DM_BALLOON_NO_DRIVER);
}

/* It could bring no more than a part of what is wanted, as something else is still out. */
static gboolean falls_short(const DmChange *change) {
  return change->phase == PHASE_INFLATE && change->balloon_goal > step_of(change)->to;
}

static void end_step(DmChange *change, DmBalloonEnd end, uint64_t actual, gboolean pending, const GError *error) {
  DmStep *step = step_of(change);
  DmNote *reason = error != NULL                       ? dm_note_new(DM_NOTE_BALLOON_HOST_FAILED, error->message)
    : end == DM_BALLOON_REACHED && falls_short(change) ? dm_note_new(DM_NOTE_BALLOON_WAITS)
                                                       : dm_balloon_reason(change->vm, end, actual);
  gboolean later = error == NULL &&
    (end == DM_BALLOON_REACHED || end == DM_BALLOON_SILENT || end == DM_BALLOON_LATER || end == DM_BALLOON_STOPPED ||
      end == DM_BALLOON_TIME);
  if (reason != NULL)
    dm_step_take_reason(step, reason);
  step->run.by_host = error != NULL;
  if (step->run.asked_at_us != 0)
    step->run.answer_s = (double)(g_get_monotonic_time() - step->run.asked_at_us) / G_USEC_PER_SEC;
  step->has_period &= pending;
  if (!pending) /* else it stays asked: the next dimmer takes the target back */
    dm_step_advance(step, reason == NULL ? DM_STEP_DONE : later ? DM_STEP_OVERDUE : DM_STEP_REFUSED);
  tell(change);
}

static void end_deflate(DmChange *change, DmBalloonEnd end, uint64_t actual, const GError *error) {
  if (change->stopped) {
    leave_steps(change, TRUE, FALSE, dm_note_new(DM_NOTE_NOT_ASKED));
    return;
  }
  change->balloon_left = dm_size_minus(dm_config_fixed(change->vm->live), actual);
  change->balloon_told = 0; /* of that way */
  if (error == NULL && end == DM_BALLOON_REACHED)
    return;
  gboolean again = error == NULL && gave_nothing(change, end, actual);
  leave_steps(change, FALSE, again, dm_note_new(DM_NOTE_BALLOON_NOT_DEFLATED));
  if (error == NULL && (end == DM_BALLOON_OTHERS || end == DM_BALLOON_LATER)) { /* the target stands: theirs, or ours */
    change->inflated = TRUE;
    end_step(change, end, actual, FALSE, NULL);
  }
}

static void end_rescue(DmChange *change, DmBalloonEnd end, uint64_t actual, const GError *error) {
  change->rescued_at_us = g_get_monotonic_time();
  if (error == NULL && end == DM_BALLOON_OTHERS) { /* what they set stands */
    change->inflated = TRUE;
    end_step(change, end, actual, FALSE, NULL);
  }
}

static void on_ended(DmBalloonEnd end, uint64_t actual, gboolean pending, const GError *error, gpointer data) {
  DmChange *change = data;
  change_take_answers(change);
  if (error != NULL)
    lose_connection(change);
  else if (end == DM_BALLOON_OTHERS)
    change->balloon_owned = FALSE;
  change->balloon_pending = pending;
  if (!change_is_final(change) && change->phase == PHASE_DEFLATE)
    end_deflate(change, end, actual, error);
  else if (!change_is_final(change) && change->phase == PHASE_RESCUE)
    end_rescue(change, end, actual, error);
  else if (!change_is_final(change))
    end_step(change, end, actual, pending, error);
  change->go_on(change);
}

/* What devices still give that were asked; @own: by this change alone. */
static uint64_t still_out(const DmChange *change, gboolean own) {
  uint64_t pending = 0;
  for (guint i = 0; i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    const DmMemoryDevice *device = dm_config_find_alias(change->vm->live, step->alias);
    if (dm_step_is_pending(step) && !dm_step_is_at_once(step) && device != NULL && (!own || step->origin == NULL))
      pending = dm_size_plus(pending, dm_size_minus(dm_memory_device_memory(device), step->to));
  }
  return pending;
}

/* DIMMs of this request that are gone. */
static uint64_t gone_dimms(const DmChange *change) {
  uint64_t sum = 0;
  for (guint i = 0; i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->op == DM_OP_UNPLUG && step->origin == NULL && step->state == DM_STEP_DONE)
      sum = dm_size_plus(sum, step->size);
  }
  return sum;
}

/*
 * It holds @held, which is more than dimmer left in it: the rest is another program's, but for @lost of DIMMs, which
 * the guest would lose twice. How much it is to give back of that.
 */
static uint64_t leave_to_others(DmChange *change, uint64_t held, uint64_t lost) {
  uint64_t taken = dm_size_minus(held, change->balloon_left), back = MIN(taken, lost);
  change->plan->balloon_others = MIN(dm_size_plus(change->plan->balloon_others, taken - back), held - back);
  return back;
}

/*
 * It holds more than dimmer left in it when the devices were asked, so another program has inflated it since. That
 * keeps what it took, but for what DIMMs took along, which the guest would lose twice. A driver that may still be on
 * its way to the target of a killed process tells nothing, nor does one that deflates and inflates by itself.
 */
static void keep_for_others(DmChange *change) {
  const DmVm *vm = change->vm;
  DmStep *step = step_of(change);
  gboolean carried = change->recovered != NULL && change->recovered->balloon != NULL;
  uint64_t held = dm_size_minus(dm_config_fixed(vm->live), vm->balloon_actual);
  if (change->vm_before->balloon_actual == 0 || vm->balloon_actual == 0 || vm->live->autodeflate || carried ||
    change->rescues || held < dm_size_plus(change->balloon_left, DM_MIB))
    return;
  uint64_t back = leave_to_others(change, held, gone_dimms(change));
  change->balloon_meanwhile = held - change->balloon_left - back;
  change->balloon_goal = MIN(change->balloon_goal, vm->balloon_actual + back);
  step->to = MIN(step->to, vm->balloon_actual + back);
}

/*
 * Where INFLATE is to go now, with the devices as they are now. What earlier requests still have out it leaves alone,
 * as the guest would lose both: then it is short of what the step says.
 */
static void find_goal(DmChange *change) {
  DmStep *step = step_of(change);
  const DmVm *vm = change->vm;
  uint64_t memory = change->request->memory;
  uint64_t own = memory != 0 ? dm_size_plus(memory, still_out(change, TRUE)) : 0;
  uint64_t all = memory != 0 ? dm_size_plus(memory, still_out(change, FALSE)) : 0;
  gboolean takes = is_wanted(change->request);
  change->balloon_goal = dm_balloon_last_goal(vm, step, change->plan, all, takes, change->balloon_owned);
  step->to = dm_balloon_last_goal(vm, step, change->plan, own, takes, change->balloon_owned);
  step->size = dm_config_fixed(vm->live);
  keep_for_others(change);
}

/* The record says of the devices, too, that they are perhaps asked: then a settle asks for them. */
static gboolean store(DmChange *change, GError **error) {
  g_autoptr(DmRequest) copy = dm_request_copy(change->request); /* the main loop may show the request meanwhile */
  for (guint i = 0; i < copy->steps->len; i++) {
    DmStep *step = copy->steps->pdata[i];
    if (step->state == DM_STEP_PLANNED)
      dm_step_advance(step, DM_STEP_ASKED);
  }
  return change_store_request(change, copy, error);
}

static void keep_period(const DmChange *change, DmStep *step) {
  if (change->vm->balloon_period_s == BALLOONING_PERIOD_S)
    return;
  step->has_period = TRUE;
  step->period_s = change->vm->balloon_period_s;
}

static void work_begin(gpointer data) {
  DmChange *change = data;
  if (!change_read_vm(change, &change->failed) || change->vm->live == NULL)
    return;
  change->balloon_owned =
    is_owned(change->request) || dm_balloon_is_own(change->vm_before->live, change->plan->ballooned_before);
  if (change->phase == PHASE_INFLATE)
    find_goal(change);
  else
    change->balloon_goal = change->plan->deflate_to;
  change->request->asked = TRUE;
  keep_period(change, step_of(change));
  step_of(change)->state = DM_STEP_ASKED;
  change->ballooned = TRUE;
  record_extend(change->request, change->options.timeout_s);
  store(change, &change->failed);
}

static gboolean is_gone(const DmChange *change, const GError *failed) {
  return failed != NULL ? g_error_matches(failed, DM_ERROR, DM_ERROR_NO_SUCH_VM) : change->vm->live == NULL;
}

static void note_meanwhile(DmChange *change) {
  if (change->balloon_meanwhile < DM_MIB)
    return;
  g_autofree char *text = dm_size_format(dm_size_floor_mib(change->balloon_meanwhile));
  dm_notes_add(change->plan->notes, DM_NOTE_BALLOON_MEANWHILE, change->vm->name, text);
  change->balloon_meanwhile = 0;
}

/* A guest that cannot have its memory back cannot release a DIMM: also without time to wait, that takes some. */
#define LEAST_DEFLATE_S 5

static void on_begun(gpointer data) {
  static const BallooningListener listener = {.moved = on_moved, .ended = on_ended};
  DmChange *change = data;
  DmStep *step = step_of(change);
  gboolean inflates = change->phase == PHASE_INFLATE;
  change->working = FALSE;
  change_take_answers(change);
  g_autoptr(GError) failed = g_steal_pointer(&change->failed);
  if (is_gone(change, failed)) /* it may have moved to another host */
    change->vm_stopped = !change->vm_moved;
  if (failed != NULL || change_is_final(change)) {
    on_ended(DM_BALLOON_STOPPED, 0, FALSE, failed, change);
    return;
  }
  if (inflates && change->balloon_goal < change->vm->balloon_actual)
    step->from = step->run.size_before = step->run.reached = change->vm->balloon_actual;
  if (step->run.asked_at_us == 0)
    step->run.asked_at_us = g_get_monotonic_time();
  note_meanwhile(change);
  if (inflates)
    tell(change);
  ballooning_free(change->ballooning);
  change->ballooning = ballooning_new(change->connection, change->vm, &listener, change);
  double timeout_s = inflates ? change->options.timeout_s : MAX(change->options.timeout_s, LEAST_DEFLATE_S);
  ballooning_start(change->ballooning, change->balloon_goal, step->to >= change->balloon_goal, timeout_s);
  if (change->stopped)
    ballooning_stop(change->ballooning);
}

static void begin(
  DmChange *change, void (*work)(gpointer data), void (*worked)(gpointer data), void (*go_on)(DmChange *change)) {
  change_take_answers(change);
  change->go_on = go_on;
  change_run(change, work, worked);
}

gboolean change_balloon_deflates(const DmChange *change) {
  return change->plan->deflate_to != 0 && step_of(change) != NULL && !change->deflated;
}

/* What the guest is to have when the devices, of @going in all, are gone is what another program has left it. */
static void add_step(DmChange *change, uint64_t actual, uint64_t going) {
  DmPlan *plan = change->plan;
  if (step_of(change) != NULL)
    return;
  plan->balloon = dm_step_new_balloon(dm_config_fixed(change->vm->live), actual, actual);
  plan->balloon_others = dm_size_minus(dm_config_fixed(change->vm->live), dm_size_plus(actual, going));
  change->request->balloon = dm_step_copy(plan->balloon);
}

void change_balloon_reckon(DmChange *change) {
  uint64_t held = 0, going = 0, fixed = dm_config_fixed(change->vm->live);
  gboolean carried = step_of(change) == NULL && change->request->balloon != NULL;
  if (carried || !dm_vm_ballooned(change->vm, &held))
    return;
  for (guint i = 0; i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    gboolean goes = step->op == DM_OP_UNPLUG && (step->state == DM_STEP_PLANNED || dm_step_is_pending(step));
    going = dm_size_plus(going, goes ? step->size : 0);
  }
  uint64_t aside = change->vm->live->balloon_use == DM_BALLOON_USE_NEVER ? 0 : MIN(held, going);
  if (aside < DM_MIB)
    return;
  add_step(change, fixed - held, aside);
  change->plan->balloon_others = MIN(change->plan->balloon_others, held - aside);
  change->plan->deflate_to = fixed - held + aside;
  change->deflated = FALSE;
}

gboolean change_balloon_rose(DmChange *change) {
  DmBalloonStats stats;
  if (step_of(change) == NULL || !change->deflated || change->redeflated || change->plan->deflate_to == 0)
    return FALSE;
  if (!dm_balloon_read(change->connection, change->vm, &stats, NULL) ||
    stats.actual == 0) /* the asking says what is wrong */
    return FALSE;
  change->redeflated = stats.actual + DM_MIB <= change->plan->deflate_to;
  change->deflated = !change->redeflated;
  return change->redeflated;
}

void change_balloon_deflate(DmChange *change, void (*go_on)(DmChange *change)) {
  change->deflated = TRUE;
  begin(change, work_begin, on_begun, go_on);
}

/* ---- a device that is stuck ---- */

/* DIMMs that this request has asked for. */
static uint64_t asked_dimms(const DmChange *change) {
  uint64_t sum = 0;
  for (guint i = 0; i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->op == DM_OP_UNPLUG && step->state == DM_STEP_ASKED)
      sum = dm_size_plus(sum, step->size);
  }
  return sum;
}

gboolean change_balloon_may_rescue(const DmChange *change) {
  const DmConfig *live = change->vm->live;
  const DmStep *carried = step_of(change) == NULL ? change->request->balloon : NULL;
  return !change->rescues && !change->stopped && carried == NULL && live != NULL && change->vm->balloon &&
    live->balloon_use != DM_BALLOON_USE_NEVER && asked_dimms(change) > 0;
}

/* It leaves the guest @actual: it holds more of memory than when the devices were asked. */
static gboolean has_grown(const DmChange *change, uint64_t actual) {
  return actual != 0 &&
    dm_size_minus(dm_config_fixed(change->vm->live), actual) >= dm_size_plus(change->balloon_left, DM_MIB);
}

gboolean change_balloon_was_inflated(const DmChange *change) {
  return has_grown(change, change->balloon_told);
}

static void work_look(gpointer data) {
  DmChange *change = data;
  DmBalloonStats stats = {0};
  if (change_read_vm(change, &change->failed) && change->vm->live != NULL &&
    !dm_balloon_read(change->connection, change->vm, &stats, NULL)) /* a host that does not answer: no rescue */
    stats.actual = 0;
  change->balloon_stats = stats;
}

static void work_rescue(gpointer data) {
  DmChange *change = data;
  store(change, &change->failed);
}

static void give_back(DmChange *change) {
  uint64_t actual = change->balloon_stats.actual, asked = asked_dimms(change);
  uint64_t gives = MIN(dm_size_minus(dm_config_fixed(change->vm->live), actual), asked);
  g_autofree char *text = dm_size_format(dm_size_floor_mib(gives));
  dm_notes_add(change->plan->notes, DM_NOTE_BALLOON_RESCUES, change->vm->name, text);
  if (step_of(change) != NULL) /* what others took since is theirs, but for what they lose with the devices */
    leave_to_others(change, dm_size_minus(dm_config_fixed(change->vm->live), actual), asked);
  add_step(change, actual, asked);
  change->vm->balloon_actual = actual;
  change->rescues = change->ballooned = TRUE;
  change->balloon_goal = actual + gives;
  keep_period(change, step_of(change));
  step_of(change)->state = DM_STEP_ASKED;
  record_extend(change->request, change->options.timeout_s);
  change_run(change, work_rescue, on_begun);
}

/* How long a guest may take to report what it has left; one that hangs never does. */
#define REPORT_S 5
#define REPORT_MOST_S 15

/* FALSE: not yet. @room: the guest can take in what the devices hold, so they only need time. */
static gboolean knows_room(const DmChange *change, gboolean *room) {
  const DmBalloonStats *stats = &change->balloon_stats;
  gboolean reported = stats->updated_s != change->rescue_report_s;
  *room = reported && stats->usable >= asked_dimms(change);
  return reported || change->rescue_looks > MIN(REPORT_S + change->vm->balloon_period_s, REPORT_MOST_S);
}

static void look_for_stuck(DmChange *change);

static gboolean on_look_again(gpointer data) {
  DmChange *change = data;
  change->timer = 0;
  look_for_stuck(change);
  return G_SOURCE_REMOVE;
}

static void on_looked(gpointer data) {
  DmChange *change = data;
  gboolean room = FALSE;
  if (change->failed != NULL || change->vm->live == NULL) {
    on_begun(change);
    return;
  }
  change->working = FALSE;
  change_take_answers(change);
  if (change->rescue_looks++ == 0)
    change->rescue_report_s = change->balloon_stats.updated_s;
  gboolean over = change_is_final(change) || change->stopped || asked_dimms(change) == 0;
  gboolean stuck = !over && has_grown(change, change->balloon_stats.actual);
  if (stuck && !knows_room(change, &room))
    change->timer = g_timeout_add_seconds(1, on_look_again, change);
  else if (stuck && !room)
    give_back(change);
  else
    change->go_on(change);
}

static void look_for_stuck(DmChange *change) {
  change->balloon_told = 0;
  change_run(change, work_look, on_looked);
}

void change_balloon_rescue(DmChange *change, void (*go_on)(DmChange *change)) {
  change->go_on = go_on;
  change->rescue_looks = 0;
  look_for_stuck(change);
}

void change_balloon_heed(DmChange *change) {
  if (change->timer == 0) {
    ballooning_look(change->ballooning);
    return;
  }
  change_take_answers(change);
  if (change_is_final(change) || asked_dimms(change) == 0)
    change->go_on(change);
}

/* An unplug is still out: it could end in a guest that loses both. */
static gboolean waits_for_device(const DmChange *change) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->op == DM_OP_UNPLUG && dm_step_is_pending(step))
      return TRUE;
  }
  return FALSE;
}

gboolean change_balloon_inflates(DmChange *change) {
  DmStep *step = step_of(change);
  if (step == NULL || change->inflated || change_is_final(change) || change->error != NULL)
    return FALSE;
  if (!change->stopped && !waits_for_device(change))
    return TRUE;
  change->inflated = TRUE;
  if (step->state != DM_STEP_PLANNED && step->state != DM_STEP_ASKED)
    return FALSE;
  DmNote *stopped = change->stopped ? dm_balloon_reason(change->vm, DM_BALLOON_STOPPED, step->run.reached) : NULL;
  dm_step_take_reason(step, stopped != NULL ? stopped : dm_note_new(DM_NOTE_BALLOON_WAITS));
  if (!change->balloon_pending)
    dm_step_advance(step, DM_STEP_OVERDUE);
  tell(change);
  return FALSE;
}

void change_balloon_inflate(DmChange *change, void (*go_on)(DmChange *change)) {
  change->inflated = TRUE;
  begin(change, work_begin, on_begun, go_on);
}

/* The VM keeps the record of a balloon that is to go on. */
static gboolean is_carried(const DmChange *change) {
  const DmRequest *request = change->plan != NULL ? change->request : change->recovered;
  return request != NULL && request->balloon != NULL && dm_step_is_pending(request->balloon);
}

void change_balloon_keep(const DmChange *change) {
  uint64_t held = 0;
  DmConfig *live = change->vm->live;
  if (live == NULL || !dm_vm_ballooned(change->vm, &held))
    return;
  const DmStep *step = step_of(change);
  if (step != NULL && step->state == DM_STEP_DONE)
    live->balloon_others = MIN(live->balloon_others, change->plan->balloon_others);
  if (held == 0 || change->ballooned) /* of what is another program's now, nothing is dimmer's any more */
    dm_balloon_account(live, held, change->balloon_owned, is_carried(change));
}
