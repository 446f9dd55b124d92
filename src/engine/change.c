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
 */
#include "base/error.h"
#include "change_private.h"
#include "hypervisor/domain.h"
#include "outcome.h"
#include "plan/rules.h"
#include "record.h"

/* As people know it; it may have been asked for by its UUID. */
static const char *name_of(const DmChange *change) {
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

static gboolean replace_vm(DmChange *change, GError **error) {
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
  return !change->options.no_retry && !change->stopped && change->request->action == DM_ACTION_SET;
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

static void on_event(const DmEvent *event, gpointer data) {
  DmChange *change = data;
  answers_add(change, event);
  if (change->working || change->phase != PHASE_WAIT)
    return;
  answers_take(change);
  Phase next = change_after_answers(change);
  if (next != PHASE_WAIT)
    change_enter(change, next);
}

/* ---- FIND ---- */

static gboolean work_find(DmChange *change, GError **error) {
  return replace_vm(change, error);
}

static Phase then_find(DmChange *change) {
  if (change->options.dry_run)
    return PHASE_READ;
  const char *uuid = change->vm != NULL ? change->vm->uuid : change->name;
  change->lock = dm_lock_take(uuid, name_of(change), &change->error);
  if (change->lock == NULL)
    return PHASE_END;
  change->watch = dm_connection_watch(change->connection, uuid, on_event, change);
  return PHASE_READ;
}

/* ---- READ, and the plan ---- */

/* We have the lock, so a request of this host has lost its process. One of another host may be alive. */
static gboolean belongs_to_other_host(const DmRequest *request) {
  return request->pid != 0 && g_strcmp0(request->host, g_get_host_name()) != 0 &&
    g_get_real_time() / G_USEC_PER_SEC < request->deadline;
}

static gboolean work_read(DmChange *change, GError **error) {
  if (!replace_vm(change, error))
    return FALSE;
  dm_domain_read_job(change->connection, change->vm);
  if (!dm_rule_idle(change->vm, error))
    return FALSE;
  const DmRequest *request = change->vm->request;
  if (request == NULL)
    return TRUE;
  if (change->options.dry_run) {
    if (change->vm->live != NULL)
      record_preview(change->vm, change->found);
    return TRUE;
  }
  if (belongs_to_other_host(request)) {
    g_set_error(error, DM_ERROR, DM_ERROR_BUSY,
      "process %d on host %s is changing %s at this moment; wait for it and see how far it is", (int)request->pid,
      request->host, change->vm->name);
    dm_error_add_command(error, "show %s", change->vm->name);
    return FALSE;
  }
  change->recovered = dm_request_copy(request);
  DmStep *step = change->refused != NULL ? dm_request_find_step(change->recovered, change->refused) : NULL;
  if (step != NULL)
    dm_step_advance(step, DM_STEP_REFUSED);
  return record_recover(change->connection, change->vm, change->recovered, change->found, error) &&
    replace_vm(change, error);
}

/* What an earlier request asked for, and this one does not want to go. */
static gboolean withdraws(const DmChange *change) {
  return change->plan->action == DM_ACTION_SET && change->plan->memory != 0 && change->vm_before->request != NULL;
}

/* The running VM is touched: there are devices to ask, guaranteed changes, or what it carries does. */
static gboolean touches_live(const DmChange *change) {
  return change->vm->live != NULL &&
    (change->plan->steps->len > 0 || change->plan->guaranteed != 0 || withdraws(change));
}

static Phase then_read(DmChange *change) {
  if (change->vm->state != DM_VM_RUNNING || change->options.no_look)
    return change_then_plan(change);
  return PHASE_LOOK;
}

Phase change_then_plan(DmChange *change) {
  change->vm_before = dm_vm_copy(change->vm);
  change->plan = change->plan_func(change->vm, change->plan_data, &change->error);
  change->planned_at = g_get_monotonic_time();
  if (change->plan == NULL)
    return PHASE_END;
  for (guint i = 0; i < change->found->len; i++)
    g_ptr_array_insert(change->plan->notes, (int)i, g_strdup(change->found->pdata[i]));
  if (change->listener.planned != NULL)
    change->listener.planned(change, change->listener_data);
  if (change->options.dry_run || change->stopped)
    return PHASE_END;
  /* dimmer-guest may take up to twice the timeout to free devices before they are asked: see inside_free(). */
  double timeout = change->options.timeout;
  change->request = record_new(change->vm, change->plan, change->id, change->agent != NULL ? timeout * 2 : timeout);
  change->request->user = g_strdup(change->user);
  if (!touches_live(change))
    return PHASE_CONFIGURE;
  return record_changes_next_run(change->request) ? PHASE_RECORD : inside_before_ask(change);
}

/* ---- RECORD, CONFIGURE, UNDO ---- */

/* The guaranteed memory that can be promised at once; the account at the end sees to the rest. */
static uint64_t guaranteed_at_once(const DmChange *change) {
  uint64_t asked = change->plan->guaranteed;
  return asked != 0 ? MIN(asked, dm_config_memory(change->vm->live)) : change->vm->live->guaranteed;
}

static gboolean work_record(DmChange *change, GError **error) {
  change->recorded =
    dm_domain_store(change->connection, change->vm, guaranteed_at_once(change), change->request, error);
  return change->recorded;
}

static Phase then_record(DmChange *change) {
  return change->error != NULL ? PHASE_END : PHASE_CONFIGURE;
}

static gboolean work_configure(DmChange *change, GError **error) {
  return record_configure(change->connection, change->vm, change->request, error);
}

static Phase then_configure(DmChange *change) {
  if (change->error != NULL)
    return touches_live(change) ? PHASE_UNDO : PHASE_END;
  return touches_live(change) ? inside_before_ask(change) : PHASE_CLOSE;
}

static gboolean work_undo(DmChange *change, GError **error) {
  return dm_domain_store(
    change->connection, change->vm, change->vm_before->live->guaranteed, change->vm_before->request, error);
}

static Phase then_undo(DmChange *change) {
  return PHASE_END;
}

/* ---- ASK ---- */

/* The steps to ask now (borrowed). The caller unrefs. */
static GPtrArray *mark_asked(DmChange *change) {
  GPtrArray *fresh = g_ptr_array_new();
  change->request->asked = TRUE;
  record_extend(change->request, change->options.timeout);
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_PLANNED && dm_step_advance(step, DM_STEP_ASKED))
      g_ptr_array_add(fresh, step);
  }
  return fresh;
}

/* Reading the VM right after the asking would hold up the guest's answers, so only where no event may be coming. */
static gboolean work_ask(DmChange *change, GError **error) {
  g_autoptr(GPtrArray) fresh = mark_asked(change);
  change->look = FALSE;
  if (!work_record(change, error))
    return FALSE;
  change->asked_at = g_get_monotonic_time();
  return dm_domain_ask(change->connection, change->vm, fresh, &change->look, error) &&
    (!change->look || replace_vm(change, error));
}

static void tell_asked(DmChange *change) {
  for (guint i = 0; change->listener.asked != NULL && i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->asked_at >= change->asked_at)
      change->listener.asked(change, step, change->listener_data);
  }
}

static Phase then_ask(DmChange *change) {
  if (change->error != NULL)
    return PHASE_CLOSE;
  tell_asked(change);
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_ASKED && step->reason != NULL) {
      g_autofree char *reason = g_steal_pointer(&step->reason);
      answers_refuse(change, step, reason);
    }
  }
  answers_take(change);
  if (change->look)
    answers_look(change);
  return change_after_answers(change);
}

/* ---- AGAIN ---- */

static gboolean work_again(DmChange *change, GError **error) {
  return replace_vm(change, error);
}

/* A further step of a virtio-mem device takes the place of its old one. */
static void adopt_step(DmChange *change, DmStep *step) {
  DmStep *old = dm_request_find_step(change->request, step->alias);
  if (old != NULL) {
    step->from = old->from;
    step->size_before = old->size_before;
    g_ptr_array_remove(change->request->steps, old);
  }
  g_ptr_array_add(change->request->steps, step);
}

static Phase then_again(DmChange *change) {
  if (change->error != NULL)
    return PHASE_CLOSE;
  answers_take(change);
  if (change_is_final(change))
    return PHASE_CLOSE;
  g_autoptr(GPtrArray) steps = dm_plan_again(change->vm, change->request);
  for (guint i = 0; i < steps->len; i++)
    adopt_step(change, steps->pdata[i]);
  change->refused_seen = answers_count_refused(change);
  return steps->len > 0 ? inside_before_ask(change) : change_after_answers(change);
}

/* ---- CLOSE ---- */

/* The last that is known of a VM that has stopped: as it was, without what its guest released. */
static void drop_removed(DmVm *vm, const DmRequest *request) {
  for (guint i = 0; i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
    if (step->op == DM_OP_UNPLUG && step->state == DM_STEP_DONE && device != NULL)
      g_ptr_array_remove(vm->live->devices, device);
  }
}

static gboolean connection_lost(const DmChange *change, GError **error) {
  if (change->recorded) {
    g_set_error(error, DM_ERROR, DM_ERROR_CONNECTION,
      "the connection to %s was lost in the middle of the request; the VM carries it, to be settled when it is back",
      dm_connection_uri(change->connection));
    dm_error_add_command(error, "settle %s", name_of(change));
  } else {
    g_set_error(error, DM_ERROR, DM_ERROR_CONNECTION, "the connection to %s was lost; nothing was asked of %s",
      dm_connection_uri(change->connection), name_of(change));
  }
  return FALSE;
}

static gboolean close_moved(const DmChange *change, GError **error) {
  g_set_error(error, DM_ERROR, DM_ERROR_VM_MOVED, "%s was migrated to another host in the middle of the request%s",
    name_of(change),
    change->recorded ? ", which it took along, to be settled there"
                     : "; nothing was asked of it, so repeat that there");
  return FALSE;
}

static gboolean close_stopped(DmChange *change, GError **error) {
  g_autoptr(DmVm) last = dm_vm_copy(change->vm_before);
  drop_removed(last, change->request);
  last->state = DM_VM_SHUT_OFF;
  if (last->next_run != NULL && !record_settle(change->connection, last, change->request, NULL, error))
    return FALSE;
  if (!replace_vm(change, NULL)) {
    dm_vm_free(change->vm);
    change->vm = g_steal_pointer(&last);
  }
  g_set_error(error, DM_ERROR, DM_ERROR_VM_STOPPED,
    "%s stopped in the middle of the request; nothing more can be asked of it", name_of(change));
  return FALSE;
}

static gboolean work_close(DmChange *change, GError **error) {
  gboolean was_live = change->vm_before->live != NULL;
  if (change->connection_lost)
    return connection_lost(change, error);
  if (change->vm_moved)
    return close_moved(change, error);
  if (!change->vm_stopped && !replace_vm(change, error)) {
    if (!was_live || error == NULL || !g_error_matches(*error, DM_ERROR, DM_ERROR_NO_SUCH_VM))
      return FALSE;
    g_clear_error(error); /* a transient VM that stopped is gone altogether */
    change->vm_stopped = TRUE;
  }
  if (was_live && (change->vm_stopped || change->vm->live == NULL))
    return close_stopped(change, error);
  dm_domain_read_job(change->connection, change->vm);
  if (touches_live(change) && change->vm->job != NULL) { /* it lets nothing be written: the request stays with the VM */
    g_ptr_array_add(change->plan->notes,
      g_strdup_printf("%s is being %s, so what came of this is accounted for only when that is over and the request is "
                      "settled",
        change->vm->name, change->vm->job));
    return TRUE;
  }
  inside_merge_refusals(change, change->vm);
  if (was_live && touches_live(change) && !record_settle(change->connection, change->vm, change->request, NULL, error))
    return FALSE;
  return replace_vm(change, error);
}

/* An answer that came while the account was made is accounted for as well. */
static Phase then_close(DmChange *change) {
  guint pending = answers_count_pending(change);
  answers_take(change);
  return change->error == NULL && answers_count_pending(change) < pending ? PHASE_CLOSE : PHASE_END;
}

/* ---- the table ---- */

typedef struct {
  gboolean (*work)(DmChange *change, GError **error); /* in a worker thread */
  Phase (*then)(DmChange *change);                    /* in the main loop; change->error is set if the work failed */
} PhaseRow;

static const PhaseRow phases[] = {
  [PHASE_FIND] = {work_find, then_find},
  [PHASE_READ] = {work_read, then_read},
  [PHASE_RECORD] = {work_record, then_record},
  [PHASE_CONFIGURE] = {work_configure, then_configure},
  [PHASE_ASK] = {work_ask, then_ask},
  [PHASE_AGAIN] = {work_again, then_again},
  [PHASE_CLOSE] = {work_close, then_close},
  [PHASE_UNDO] = {work_undo, then_undo},
};

static void work(gpointer data) {
  DmChange *change = data;
  if (phases[change->phase].work(change, &change->failed))
    return;
  if (!dm_connection_is_alive(change->connection)) { /* then libvirt's own words are only about a socket */
    g_clear_error(&change->failed);
    connection_lost(change, &change->failed);
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
  change_enter(change, change->title != NULL ? then_find(change) : PHASE_FIND);
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
