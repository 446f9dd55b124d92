/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a change goes
 * =================
 *
 * A change is a walk through the phases of the table below. Each phase has work, which calls the hypervisor and runs in
 * a worker thread, and a next function, which runs in the main loop once the work is done and says where to go. While
 * work is under way, the main loop leaves everything alone that the work may touch: events are put into a queue.
 *
 *   FIND       which VM is meant, unless that is known; then the lock: one dimmer at a time changes a VM
 *   READ       the VM as it is. What an earlier dimmer left unfinished is settled first
 *   LOOK       what the guest tells of its memory blocks and of what it can spare, from whoever answers inside
 *   (plan)     pure: every rule is checked. A dry run ends here
 *   RECORD     the request goes into the VM's metadata, the guaranteed memory asked for with it: from here on a
 *              crash leaves a trace that the next dimmer finishes
 *   CONFIGURE  the next-run configuration takes its values. Where the request names none, RECORD and CONFIGURE are
 *              left out, as ASK records it all the same
 *   FREE       where dimmer-guest runs: the blocks of each device go offline first, which can be watched and called
 *              off; a device with a block that stays is refused, whole and online again, without having been asked
 *   ASK        the record says "asked", then all devices are asked at once
 *   WAIT       the outcome is never a return value: it comes as events, or is seen in the VM itself
 *   AGAIN      after a refusal: another plan with what is left, and ASK once more
 *   CLOSE      what really happened is accounted for; the record is cleared, or cut down to what is still out
 *   UNDO       nothing could be asked: the running VM gets back what RECORD changed
 *
 * A device that does not answer in time is overdue, never failed: it stays in the record, because the guest can still
 * release it.
 *
 * Here are the machine itself, the waiting, and what callers use; change_begin.c has FIND and READ, change_ask.c
 * RECORD, CONFIGURE, ASK and AGAIN, change_close.c UNDO and CLOSE, inside.c LOOK and FREE.
 */
#include "base/error.h"
#include "change_private.h"
#include "hypervisor/domain.h"
#include "outcome.h"

/* As people know it; it may have been asked for by its UUID. */
const char *change_name(const DmChange *change) {
  if (change->vm != NULL)
    return change->vm->name;
  return change->title != NULL ? change->title : change->name;
}

static void keep_first_error(DmChange *change, GError *error) {
  if (change->error == NULL)
    change->error = error;
  else
    g_error_free(error);
}

gboolean change_read_vm(DmChange *change, GError **error) {
  DmVm *vm = dm_domain_read(change->connection, change->vm != NULL ? change->vm->uuid : change->name, error);
  if (vm == NULL)
    return FALSE;
  inside_take(change, vm);
  dm_vm_free(change->vm);
  change->vm = vm;
  return TRUE;
}

gboolean change_is_final(const DmChange *change) {
  return change->vm_stopped || change->vm_moved || change->connection_lost;
}

/* ---- waiting ---- */

static void stop_timer(DmChange *change) {
  if (change->timer != 0)
    g_source_remove(change->timer);
  change->timer = 0;
}

static gboolean has_retry(const DmChange *change) {
  return !change->options.no_retry && !change->stopped && change->agent_lost == NULL &&
    change->request->action == DM_ACTION_SET;
}

/* A refusal leads to AGAIN once, wherever it came from: dimmer-guest can tell one while other devices are still asked.
 */
Phase change_after_answers(DmChange *change) {
  if (change_is_final(change))
    return PHASE_CLOSE;
  if (answers_count_refused(change) > change->refused_seen && has_retry(change))
    return PHASE_AGAIN;
  if (change->stopped || change->options.timeout <= 0) /* <= 0: does not wait at all */
    answers_expire(change);
  return answers_missing(change) ? PHASE_WAIT : PHASE_CLOSE;
}

static gboolean on_timeout(gpointer data) {
  DmChange *change = data;
  change->timer = 0;
  answers_expire(change);
  change_enter(change, PHASE_CLOSE);
  return G_SOURCE_REMOVE;
}

void change_on_event(const DmEvent *event, gpointer data) {
  DmChange *change = data;
  answers_add(change, event);
  if (change->phase == PHASE_FREE)
    inside_on_event(change);
  if (change->working || change->phase != PHASE_WAIT)
    return;
  answers_take(change);
  Phase next = change_after_answers(change);
  if (next != PHASE_WAIT)
    change_enter(change, next);
}

/* ---- the table ---- */

typedef struct {
  gboolean (*work)(DmChange *change, GError **error); /* in a worker thread */
  Phase (*then)(DmChange *change);                    /* in the main loop; change->error is set if the work failed */
} PhaseRow;

static const PhaseRow phases[] = {
  [PHASE_FIND] = {change_work_find, change_then_find},
  [PHASE_READ] = {change_work_read, change_then_read},
  [PHASE_RECORD] = {change_work_record, change_then_record},
  [PHASE_CONFIGURE] = {change_work_configure, change_then_configure},
  [PHASE_ASK] = {change_work_ask, change_then_ask},
  [PHASE_AGAIN] = {change_work_again, change_then_again},
  [PHASE_CLOSE] = {change_work_close, change_then_close},
  [PHASE_UNDO] = {change_work_undo, change_then_undo},
};

static void work(gpointer data) {
  DmChange *change = data;
  if (phases[change->phase].work(change, &change->failed))
    return;
  if (!dm_connection_is_alive(change->connection)) { /* then libvirt's own words are only about a socket */
    g_clear_error(&change->failed);
    change_lost(change, &change->failed);
  }
}

/* Where to go after work failed. A VM that is gone in the middle has stopped: CLOSE sees to what that means. */
static Phase after_failure(DmChange *change, GError *error) {
  gboolean gone = g_error_matches(error, DM_ERROR, DM_ERROR_NO_SUCH_VM);
  if (gone && change->phase > PHASE_READ && change->phase < PHASE_CLOSE) {
    g_error_free(error);
    answers_take(change); /* it may be gone to another host */
    change->vm_stopped = !change->vm_moved;
    return PHASE_CLOSE;
  }
  keep_first_error(change, error);
  return change->phase <= PHASE_READ ? PHASE_END : phases[change->phase].then(change);
}

static void on_worked(gpointer data) {
  DmChange *change = data;
  change->working = FALSE;
  GError *failed = g_steal_pointer(&change->failed);
  change_enter(change, failed == NULL ? phases[change->phase].then(change) : after_failure(change, failed));
}

static void end(DmChange *change) {
  if (change->watch != 0)
    dm_connection_unwatch(change->connection, change->watch);
  change->watch = 0;
  g_clear_pointer(&change->agent, dm_agent_free); /* which brings back online what has not gone */
  g_clear_pointer(&change->lock, dm_lock_free);
  change->listener.ended(change, change->listener_data);
}

void change_enter(DmChange *change, Phase phase) {
  change->phase = phase;
  stop_timer(change);
  if (phase == PHASE_END) {
    end(change);
    return;
  }
  if (phase == PHASE_WAIT) {
    double left = change->options.timeout - (double)(g_get_monotonic_time() - change->asked_at) / G_USEC_PER_SEC;
    change->timer = g_timeout_add((guint)(MAX(left, 0) * 1000), on_timeout, change);
    return;
  }
  if (phase == PHASE_LOOK) {
    inside_look(change);
    return;
  }
  if (phase == PHASE_FREE) {
    inside_free(change);
    return;
  }
  change->working = TRUE;
  dm_connection_run(change->connection, work, on_worked, change);
}

/* ---- for callers ---- */

DmChange *dm_change_new(DmConnection *connection, const char *vm_name, DmPlanFunc plan, gpointer plan_data,
  const DmChangeOptions *options, const DmChangeListener *listener, gpointer listener_data) {
  DmChange *change = g_new0(DmChange, 1);
  change->connection = dm_connection_ref(connection);
  change->name = g_strdup(vm_name);
  change->plan_func = plan;
  change->plan_data = plan_data;
  change->options = *options;
  change->title = g_strdup(options->title);
  change->id = g_strdup(options->id);
  change->user = g_strdup(options->user);
  change->refused = g_strdup(options->refused);
  change->listener = *listener;
  change->listener_data = listener_data;
  change->events = g_ptr_array_new_with_free_func(answers_free);
  change->found = g_ptr_array_new_with_free_func(g_free);
  change->refusals = g_ptr_array_new_with_free_func((GDestroyNotify)dm_refusal_free);
  return change;
}

void dm_change_free(DmChange *change) {
  if (change == NULL)
    return;
  g_free(change->name);
  g_free(change->title);
  g_free(change->id);
  g_free(change->user);
  g_free(change->refused);
  g_free(change->agent_lost);
  g_ptr_array_unref(change->events);
  g_ptr_array_unref(change->found);
  g_ptr_array_unref(change->refusals);
  dm_agent_free(change->agent);
  dm_guest_free(change->guest);
  dm_vm_free(change->vm_before);
  dm_vm_free(change->vm);
  dm_plan_free(change->plan);
  dm_request_free(change->request);
  dm_request_free(change->recovered);
  g_clear_error(&change->error);
  dm_connection_close(change->connection);
  g_free(change);
}

void dm_change_start(DmChange *change) {
  change_enter(change, change->title != NULL ? change_then_find(change) : PHASE_FIND);
}

void dm_change_stop_waiting(DmChange *change) {
  change->stopped = TRUE;
  inside_stop(change);
  if (change->working || change->phase != PHASE_WAIT)
    return;
  answers_expire(change);
  change_enter(change, PHASE_CLOSE);
}

const DmPlan *dm_change_plan(const DmChange *change) {
  return change->plan;
}

const DmRequest *dm_change_request(const DmChange *change) {
  return change->request;
}

const DmRequest *dm_change_recovered(const DmChange *change) {
  return change->recovered;
}

const DmVm *dm_change_vm(const DmChange *change) {
  return change->vm;
}

const DmVm *dm_change_vm_before(const DmChange *change) {
  return change->vm_before;
}

/* Stopped before anything was asked for: then nobody has refused. */
static gboolean was_called_off(const DmChange *change) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    if (((const DmStep *)change->request->steps->pdata[i])->asked_at != 0)
      return FALSE;
  }
  return change->stopped;
}

DmOutcome dm_change_outcome(const DmChange *change) {
  if (change->error != NULL)
    return DM_OUTCOME_FAILED;
  DmOutcome outcome = change->request != NULL ? outcome_of(change->plan, change->request) : DM_OUTCOME_DONE;
  return outcome == DM_OUTCOME_REFUSED && was_called_off(change) ? DM_OUTCOME_CALLED_OFF : outcome;
}

gboolean dm_change_timing(const DmChange *change, double *request, double *guest) {
  gint64 first = G_MAXINT64, last = 0;
  for (guint i = 0; change->request != NULL && i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->asked_at != 0)
      first = MIN(first, step->asked_at);
    if (step->seconds >= 0)
      last = MAX(last, step->asked_at + (gint64)(step->seconds * G_USEC_PER_SEC));
  }
  if (last == 0)
    return FALSE;
  *request = (double)(last - change->planned_at) / G_USEC_PER_SEC;
  *guest = (double)(last - first) / G_USEC_PER_SEC;
  return TRUE;
}

const GError *dm_change_error(const DmChange *change) {
  return change->error;
}

gboolean dm_change_was_stopped(const DmChange *change) {
  return change->stopped;
}
