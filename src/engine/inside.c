/* SPDX-License-Identifier: Apache-2.0 */
/* A change's dealings with the guest itself: what it tells, and dimmer-guest's help. */
#include "base/error.h"
#include "base/size.h"
#include "change_private.h"

/*
 * For how long dimmer-guest keeps memory offline, in seconds: its most, as other devices have their turn first. The end
 * of the conversation brings back what is still there.
 */
#define HOLD_SECONDS 3600

/* How long to wait, in seconds, for the event of what ended the conversation. */
#define EVENT_SECONDS 10

/* A device has no less than this, in seconds, to be freed: many that are stuck share what is left. */
#define LEAST_PATIENCE 2

/* ---- LOOK ---- */

/* What has gone since the guest told what it can spare. */
static uint64_t released_so_far(const DmChange *change) {
  uint64_t sum = 0;
  for (guint i = 0; change->request != NULL && i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_DONE && step->op != DM_OP_PLUG)
      sum += dm_size_minus(step->size_before, step->to);
  }
  return sum;
}

void inside_take(const DmChange *change, DmVm *vm) {
  if (change->guest == NULL || change->phase == PHASE_CLOSE) /* it knows nothing of what came and went since */
    return;
  DmGuest *guest = dm_guest_copy(change->guest);
  uint64_t released = released_so_far(change);
  guest->total = dm_size_minus(guest->total, released);
  guest->available = dm_size_minus(guest->available, released);
  dm_vm_take_guest(vm, guest);
}

/* Its port is open, and yet it helps with nothing: why, was told. */
static void note_no_help(const DmChange *change) {
  if (change->agent != NULL || change->vm->agent_port != DM_PORT_OPEN)
    return;
  for (guint i = 0; i < change->guest->notes->len; i++)
    g_ptr_array_add(change->found, g_strdup(change->guest->notes->pdata[i]));
}

gboolean inside_is_free(const DmChange *change, GError **error) {
  gboolean unplugs = FALSE;
  for (guint i = 0; i < change->plan->steps->len; i++)
    unplugs |= ((const DmStep *)change->plan->steps->pdata[i])->op == DM_OP_UNPLUG;
  if (change->guest == NULL || !change->guest->busy || !unplugs)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BUSY,
    "another program speaks to dimmer-guest in %s at this moment, without whose help nothing is asked to go; end that, or "
    "repeat this once it is done",
    change->vm->name);
  return FALSE;
}

static void on_look(DmGuest *guest, DmAgent *agent, gpointer data) {
  DmChange *change = data;
  change->guest = guest;
  change->agent = agent;
  note_no_help(change);
  inside_take(change, change->vm);
  change_enter(change, change_then_plan(change));
}

void inside_look(DmChange *change) {
  dm_look(change->connection, change->vm, DM_LOOK_BRIEF, on_look, change);
}

/* ---- FREE ---- */

/* Its device, if dimmer-guest can take the memory of it offline. */
static const DmMemoryDevice *device_to_free(const DmChange *change, const DmStep *step) {
  if (step->op != DM_OP_UNPLUG || step->state != DM_STEP_PLANNED || step->prepared || change->vm->live == NULL)
    return NULL;
  const DmMemoryDevice *device = dm_config_find_alias(change->vm->live, step->alias);
  return device != NULL && device->kind == DM_DEVICE_DIMM && device->address != 0 ? device : NULL;
}

static DmStep *next_to_free(const DmChange *change) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    if (device_to_free(change, step) != NULL)
      return step;
  }
  return NULL;
}

Phase inside_before_ask(const DmChange *change) {
  gboolean helps = change->agent != NULL && dm_agent_is_alive(change->agent) && change->options.timeout > 0 &&
    change->guest->hot_remove != DM_FACT_NO;
  return helps && next_to_free(change) != NULL ? PHASE_FREE : PHASE_ASK;
}

static gboolean has_planned(const DmChange *change) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    if (((const DmStep *)change->request->steps->pdata[i])->state == DM_STEP_PLANNED)
      return TRUE;
  }
  return FALSE;
}

/* Those that were to be asked are not asked any more. */
static void leave_planned(DmChange *change, const char *untouched, const char *touched) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_PLANNED)
      answers_leave(change, step, step->prepared || step == change->freeing ? touched : untouched);
  }
}

static void call_off(DmChange *change) {
  leave_planned(change, "called off before the device was asked to go; its memory is online as before",
    "called off before the device was asked to go; dimmer-guest brings its memory online again");
}

static void end_free(DmChange *change) {
  answers_take(change);
  if (change_is_final(change)) {
    change_enter(change, PHASE_CLOSE);
    return;
  }
  if (change->stopped && change->agent_lost == NULL)
    call_off(change);
  change_enter(change, has_planned(change) ? PHASE_ASK : change_after_answers(change));
}

static const char *online_again(const DmAgentAnswer *answer) {
  return answer->restored ? "its memory is online as before" : "not all of its memory came online again";
}

static void leave_step(DmChange *change, DmStep *step, const DmAgentAnswer *answer) {
  g_autofree char *reason = NULL;
  if (change->stopped)
    reason = g_strdup_printf("called off before the device was asked to go; %s", online_again(answer));
  else if (g_strcmp0(answer->code, "cancelled") == 0)
    reason = g_strdup_printf("the guest did not free it within %g s; %s", change->patience, online_again(answer));
  else if (answer->block != 0)
    reason = g_strdup_printf(
      "the guest cannot free the memory block at 0x%" G_GINT64_MODIFIER "x: %s", answer->block, answer->detail);
  else
    reason = g_strdup_printf("the guest cannot free it: %s", answer->detail);
  if (!change->stopped && g_strcmp0(answer->code, "cancelled") != 0) /* else it tells nothing of the device */
    inside_remember(change, step->alias);
  else
    change->patience = MAX(change->patience / 2, MIN(change->options.timeout, LEAST_PATIENCE));
  answers_leave(change, step, reason);
}

/*
 * dimmer-guest has died or hangs, or its VM is paused. A device that it could not free may hold up the whole guest if
 * it is asked for all the same: Linux then tries for ever, and no signal ends that. So nothing is asked; a repetition
 * looks afresh at who can help. What it took offline comes back by itself: see its lease in docs/guest-protocol.md.
 */
static void leave_to_itself(DmChange *change) {
  const char *why = change->vm_paused ? "the VM was paused" : change->agent_lost;
  const char *who = change->vm_paused ? "the VM" : "dimmer-guest";
  const char *remedy = change->vm_paused ? "resume it, and repeat this"
                                         : "repeat this, or end dimmer-guest in the guest to do without its help";
  g_autofree char *untouched = g_strdup_printf("%s, so the device was not asked to go; %s", why, remedy);
  g_autofree char *touched = g_strdup_printf(
    "%s, so the device was not asked to go, and its memory comes online again once %s runs; %s", why, who, remedy);
  leave_planned(change, untouched, touched);
}

/* What became of the VM, or of the connection, is told by an event; one of these ended the conversation, if it was cut.
 */
static void end_lost(DmChange *change) {
  answers_take(change);
  if (!change_is_final(change))
    leave_to_itself(change);
  change->freeing = NULL;
  end_free(change);
}

static gboolean on_nothing_told(gpointer data) {
  DmChange *change = data;
  change->timer = 0;
  end_lost(change);
  return G_SOURCE_REMOVE;
}

static void lose_agent(DmChange *change, const DmAgentAnswer *answer) {
  change->agent_lost = g_strdup(answer->detail);
  g_clear_pointer(&change->agent, dm_agent_free);
  answers_take(change);
  if (answer->cut && !change_is_final(change))
    change->timer = g_timeout_add_seconds(EVENT_SECONDS, on_nothing_told, change);
  else
    end_lost(change);
}

void inside_on_event(DmChange *change) {
  if (change->agent_lost == NULL || change->timer == 0)
    return;
  answers_take(change);
  if (!change_is_final(change))
    return;
  g_clear_handle_id(&change->timer, g_source_remove);
  end_lost(change);
}

/* Other errors tell that it cannot help with this device, but nothing of the device. */
static gboolean is_verdict(const DmAgentAnswer *answer) {
  static const char *const verdicts[] = {"stays", "not-movable", "cancelled", NULL};
  return answer->code != NULL && g_strv_contains(verdicts, answer->code);
}

static void free_next(DmChange *change);

static void on_freed(const DmAgentAnswer *answer, gpointer data) {
  DmChange *change = data;
  DmStep *step = change->freeing;
  if (answer->silent) {
    lose_agent(change, answer);
    return;
  }
  change->freeing = NULL;
  if (!answer->ok && (change->stopped || is_verdict(answer)))
    leave_step(change, step, answer);
  step->prepared = TRUE;
  free_next(change);
}

static void on_progress(uint64_t done, uint64_t of, gpointer data) {
  DmChange *change = data;
  if (change->listener.freeing != NULL)
    change->listener.freeing(change, change->freeing, done, of, change->listener_data);
}

static void free_next(DmChange *change) {
  DmStep *step = change->stopped ? NULL : next_to_free(change);
  if (step == NULL) {
    end_free(change);
    return;
  }
  const DmMemoryDevice *device = device_to_free(change, step);
  gboolean any = (change->request->flags & DM_PLAN_TRY_UNMOVABLE) != 0;
  change->freeing = step;
  dm_agent_work(change->agent, any ? DM_AGENT_OFFLINE_ANY : DM_AGENT_OFFLINE, device->address, device->size,
    HOLD_SECONDS, change->patience, on_progress, on_freed, change);
}

/*
 * Each device has the whole timeout, as freeing a large one takes its time, but each that does not come free in its
 * time halves that of those after it: so however many are stuck, they take little more than twice the timeout.
 */
void inside_free(DmChange *change) {
  if (change->patience <= 0) /* for the first time: after a refusal, others are freed */
    change->patience = change->options.timeout;
  free_next(change);
}

void inside_stop(DmChange *change) {
  if (change->phase == PHASE_FREE && change->agent != NULL)
    dm_agent_cancel(change->agent);
}

/* ---- refusals ---- */

void inside_remember(DmChange *change, const char *alias) {
  const DmMemoryDevice *device = change->vm->live != NULL ? dm_config_find_alias(change->vm->live, alias) : NULL;
  if (device == NULL)
    return;
  DmRefusal *refusal = g_new0(DmRefusal, 1);
  refusal->alias = g_strdup(alias);
  refusal->at = g_get_real_time() / G_USEC_PER_SEC;
  refusal->guest = dm_vm_fingerprint(change->vm, device);
  g_ptr_array_add(change->refusals, refusal);
}

static void drop_refusal(DmVm *vm, const char *alias) {
  for (guint i = vm->refusals->len; i > 0; i--) {
    if (g_strcmp0(((DmRefusal *)vm->refusals->pdata[i - 1])->alias, alias) == 0)
      g_ptr_array_remove_index(vm->refusals, i - 1);
  }
}

void inside_merge_refusals(const DmChange *change, DmVm *vm) {
  for (guint i = 0; i < change->refusals->len; i++) {
    const DmRefusal *refusal = change->refusals->pdata[i];
    drop_refusal(vm, refusal->alias);
    g_ptr_array_add(vm->refusals, dm_refusal_copy(refusal));
  }
  for (guint i = vm->refusals->len; i > 0; i--) {
    const DmRefusal *refusal = vm->refusals->pdata[i - 1];
    if (vm->live == NULL || dm_config_find_alias(vm->live, refusal->alias) == NULL)
      g_ptr_array_remove_index(vm->refusals, i - 1);
  }
}
