/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a change works
 * ==================
 *
 * A change is a walk through the phases of the table below. Each phase has work, which calls the hypervisor and runs in
 * a worker thread, and a next function, which runs in the main loop once the work is done and returns the next phase.
 * While work is under way, the main loop does not touch anything that the work may use: events are queued.
 *
 *   FIND       finds the VM, unless it is known; then takes the lock: one dimmer at a time changes a VM
 *   READ       reads the VM. What an earlier dimmer left unfinished is accounted for first: then KEEP and CLEAR
 *              follow, and lead back here
 *   LOOK       queries the guest's agents for its memory blocks and spare memory
 *   (plan)     pure: every rule is checked. A dry run ends here
 *   RECORD     writes the request into the VM's metadata, with the requested guaranteed memory: from here on a
 *              crash leaves a trace that the next dimmer finishes
 *   CONFIGURE  writes the next-run configuration and the VM's title and description. Without values for the next
 *              run, RECORD and CONFIGURE are skipped, as ASK writes the record anyway
 *   DEFLATE    the balloon gives back first what the devices take, or what is wanted of it: see change_balloon.c
 *   FREE       if dimmer-guest runs: each device's blocks go offline first, which shows progress and can be
 *              cancelled; a device with a block that stays is refused, online again, and never requested
 *   ASK        records "asked", then requests all devices at once
 *   WAIT       the outcome is never a return value: it comes as events, or is seen in the VM itself. A virtio-mem
 *              device that stands still within a piece of its guest's is asked for what it has: ASK once more
 *   DESCRIBE   out of WAIT and back: another request's title and description, which need no guest
 *   AGAIN      after a refusal: another plan with what is left, and ASK once more
 *   RESCUE     out of WAIT, where another program has inflated the balloon meanwhile, or its time is over: a guest
 *              without room for what that holds of a DIMM neither releases nor refuses it. Then the balloon gives it
 *              back; and WAIT comes once more
 *   INFLATE    the balloon takes what no device could give, or is set anew
 *   SEE        queries how the guest onlined plugged memory, if an agent can report it: for the notes
 *   CLOSE      accounts for what really happened: the next run follows
 *   KEEP       the listener saves what it was given, as the VM has no record of it after this
 *   CLEAR      clears the record, or reduces it to what is outstanding
 *   UNDO       nothing could be requested: restores what RECORD changed in the running VM
 *
 * A device that does not answer in time is overdue, never failed: it stays in the record, because the guest can still
 * release it.
 *
 * change_steps.c has the steps and their answers, change_guest.c what LOOK, FREE and SEE do with the guest's agents,
 * change_balloon.c what DEFLATE, RESCUE and INFLATE do with the balloon, change_close.c the end.
 */
#include "base/debug.h"
#include "base/error.h"
#include "base/size.h"
#include "change_private.h"
#include "hypervisor/domain.h"
#include "plan/rules.h"
#include "record.h"

static void enter(DmChange *change, Phase phase);
static Phase before_close(DmChange *change);
static Phase after_answers(DmChange *change);
static void enter_wait(DmChange *change);

static void keep_first_error(DmChange *change, GError *error) {
  if (change->error == NULL)
    change->error = error;
  else
    g_error_free(error);
}

static gboolean names_words(const DmChange *change) {
  return change->plan->title != NULL || change->plan->description != NULL;
}

/* ---- FIND, READ, and the plan ---- */

static void on_event(const DmEvent *event, gpointer change);

static gboolean work_find(DmChange *change, GError **error) {
  return change_read_vm(change, error);
}

static Phase then_find(DmChange *change) {
  if (change->options.dry_run)
    return PHASE_READ;
  change->lock = dm_lock_take(change_uuid(change), change_name(change), &change->error);
  if (change->lock == NULL)
    return PHASE_END;
  change->watch = dm_connection_watch(change->connection, change_uuid(change), on_event, change);
  return PHASE_READ;
}

/* We hold the lock, so the process of a request from this host is gone. One of another host may be alive. */
static gboolean belongs_to_other_host(const DmRequest *request) {
  return request->pid != 0 && g_strcmp0(request->host, g_get_host_name()) != 0 &&
    g_get_real_time() / G_USEC_PER_SEC < request->deadline_s;
}

static gboolean work_read(DmChange *change, GError **error) {
  if (!change_read_vm(change, error))
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
      "process %d on host %s is changing %s at this moment; wait for it, or see how far it is", (int)request->pid,
      request->host, change->vm->name);
    dm_error_add_command(error, "dimmer", "show", "--", dm_vm_handle(change->vm), NULL);
    return FALSE;
  }
  change->recovered = dm_request_copy(request);
  DmStep *step = change->refused != NULL ? dm_request_find_step(change->recovered, change->refused) : NULL;
  if (step != NULL)
    dm_step_advance(step, DM_STEP_REFUSED);
  if (!change_balloon_recover(change, error))
    return FALSE;
  return record_recover(change->connection, change->vm, change->recovered, change->found, error);
}

static Phase then_plan(DmChange *change);

/* An earlier dimmer's request is settled, or there was none. */
static Phase after_earlier(DmChange *change) {
  if (change->vm->state != DM_VM_RUNNING || !dm_wish_concerns_guest(change->wish))
    return then_plan(change);
  return PHASE_LOOK;
}

static Phase then_read(DmChange *change) {
  return change->recovered != NULL ? PHASE_KEEP : after_earlier(change);
}

static void on_looked(DmChange *change) {
  enter(change, then_plan(change));
}

static void enter_look(DmChange *change) {
  change_guest_look(change, on_looked);
}

/* The phase for ASK. */
static Phase before_ask(DmChange *change) {
  if (change_balloon_deflates(change))
    return PHASE_DEFLATE;
  if (!answers_has_planned(change->request) && change->plan->balloon != NULL)
    return before_close(change);
  return change_guest_frees(change) ? PHASE_FREE : PHASE_ASK;
}

static Phase then_plan(DmChange *change) {
  g_autofree char *wish = dm_wish_format(change->wish);
  dm_debug("change", "%s: planning %s", change->vm->name, wish);
  change->vm_before = dm_vm_copy(change->vm);
  change->plan = dm_plan(change->vm, change->wish, &change->error);
  change->planned_at_us = g_get_monotonic_time();
  if (change->plan == NULL)
    return PHASE_END;
  change->balloon_left = change->plan->ballooned_before;
  for (guint i = 0; i < change->found->len; i++)
    g_ptr_array_insert(change->plan->notes, (int)i, dm_note_copy(change->found->pdata[i]));
  if (change->listener.planned != NULL)
    change->listener.planned(change, change->listener_data);
  if (change->options.dry_run || change->stopped || !change_guest_is_free(change, &change->error))
    return PHASE_END;
  /* dimmer-guest may take up to twice the timeout to free devices before they are requested: see freeing.c. */
  double timeout_s = change->options.timeout_s;
  change->request =
    record_new(change->vm, change->plan, change->id, change->freeing != NULL ? timeout_s * 2 : timeout_s);
  change->request->user = g_strdup(change->user);
  change->request->correlation_id = g_strdup(change->correlation_id);
  if (change_goes_on(change))
    change->request->started_s = change->recovered->started_s;
  if (!change_touches_live(change))
    return PHASE_CONFIGURE;
  gboolean configures = record_changes_next_run(change->request) || names_words(change);
  return configures ? PHASE_RECORD : before_ask(change);
}

/* ---- RECORD, CONFIGURE, ASK and AGAIN ---- */

static gboolean work_record(DmChange *change, GError **error) {
  return change_store(change, error);
}

/* libvirt has the record in memory even if it could not write its file, as on a full disk. */
static Phase then_record(DmChange *change) {
  return change->error != NULL ? PHASE_UNDO : PHASE_CONFIGURE;
}

/* Title and description first: the definition rewritten at the end must be as left here. */
static gboolean work_configure(DmChange *change, GError **error) {
  const DmPlan *plan = change->plan;
  return (!names_words(change) ||
           dm_domain_describe(change->connection, change->vm, plan->title, plan->description, error)) &&
    record_configure(change->connection, change->vm, change->request, &change->rewrite, error);
}

static Phase then_configure(DmChange *change) {
  if (change->error != NULL)
    return change_touches_live(change) ? PHASE_UNDO : PHASE_END;
  return change_touches_live(change) ? before_ask(change) : PHASE_CLOSE;
}

/* The steps to request now (borrowed). The caller unrefs. */
static GPtrArray *mark_asked(DmChange *change) {
  GPtrArray *fresh = g_ptr_array_new();
  change->request->asked = TRUE;
  record_extend(change->request, change->options.timeout_s);
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_PLANNED && dm_step_advance(step, DM_STEP_ASKED))
      g_ptr_array_add(fresh, step);
  }
  return fresh;
}

/* They were not requested after all; but what was requested before, by any request, can still go. */
static void unmark_asked(const DmChange *change, const GPtrArray *fresh) {
  for (guint i = 0; i < fresh->len; i++) {
    DmStep *step = fresh->pdata[i];
    gboolean before = step->run.asked_at_us != 0 || answers_asked_before(change->vm_before->request, step->alias);
    step->state = before ? DM_STEP_OVERDUE : DM_STEP_PLANNED;
  }
}

static gboolean has_dimm_to_go(const DmChange *change) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->op == DM_OP_UNPLUG && step->state == DM_STEP_PLANNED)
      return TRUE;
  }
  return FALSE;
}

/* Reading the VM right after the request would delay the guest's answers, so only if no event may come. */
static gboolean work_ask(DmChange *change, GError **error) {
  if (has_dimm_to_go(change) && change_balloon_rose(change))
    return TRUE;
  g_autoptr(GPtrArray) fresh = mark_asked(change);
  change->look = FALSE;
  if (!work_record(change, error)) {
    if (dm_connection_is_alive(change->connection)) /* else it is not known whether the VM carries it */
      unmark_asked(change, fresh);
    return FALSE;
  }
  change->asked_at_us = g_get_monotonic_time();
  return dm_domain_ask(change->connection, change->vm, fresh, &change->look, error) &&
    (!change->look || change_read_vm(change, error));
}

static void tell_asked(DmChange *change) {
  for (guint i = 0; change->listener.asked != NULL && i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->run.asked_at_us >= change->asked_at_us)
      change->listener.asked(change, step, change->listener_data);
  }
}

static Phase then_ask(DmChange *change) {
  if (change->error != NULL)
    return PHASE_CLOSE;
  if (change_balloon_deflates(change))
    return PHASE_DEFLATE;
  tell_asked(change);
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    g_autoptr(DmNote) reason = step->state == DM_STEP_ASKED ? g_steal_pointer(&step->run.reason) : NULL;
    if (reason != NULL)
      change_leave(change, step, reason);
  }
  change_take_answers(change);
  if (change->look)
    change_look_for_answers(change);
  return after_answers(change);
}

static gboolean work_again(DmChange *change, GError **error) {
  return change_read_vm(change, error);
}

/* A further step of a virtio-mem device replaces its old one. */
static void adopt_step(DmChange *change, DmStep *step) {
  DmStep *old = dm_request_find_step(change->request, step->alias);
  if (old != NULL) {
    step->from = old->from;
    step->run.size_before = old->run.size_before;
    step->run.asked_at_us = dm_step_is_pending(old) ? old->run.asked_at_us : 0;
    g_ptr_array_remove(change->request->steps, old);
  }
  g_ptr_array_add(change->request->steps, step);
}

static Phase then_again(DmChange *change) {
  if (change->error != NULL)
    return PHASE_CLOSE;
  change_take_answers(change);
  if (change_is_final(change))
    return PHASE_CLOSE;
  g_autoptr(GPtrArray) steps = dm_plan_again(change->vm, change->request);
  for (guint i = 0; i < steps->len; i++)
    adopt_step(change, steps->pdata[i]);
  if (steps->len > 0)
    change_balloon_reckon(change);
  change->refused_seen = answers_count_refused(change->request);
  return steps->len > 0 ? before_ask(change) : after_answers(change);
}

/* ---- WAIT ---- */

static void stop_timer(DmChange *change) {
  if (change->timer != 0)
    g_source_remove(change->timer);
  change->timer = 0;
}

static gboolean has_retry(const DmChange *change) {
  return !change->options.no_retry && !change->stopped && !freeing_is_lost(change->freeing) &&
    change->request->action == DM_ACTION_SET;
}

/* The phase for CLOSE. */
static Phase before_close(DmChange *change) {
  if (change_balloon_inflates(change))
    return PHASE_INFLATE;
  return change_guest_sees(change) ? PHASE_SEE : PHASE_CLOSE;
}

/* Each refusal leads to AGAIN once: dimmer-guest can report one while others are still requested. */
static Phase after_answers(DmChange *change) {
  if (change_is_final(change))
    return PHASE_CLOSE;
  if (answers_count_refused(change->request) > change->refused_seen && has_retry(change))
    return PHASE_AGAIN;
  if (change->stopped || change->options.timeout_s <= 0) /* <= 0: does not wait at all */
    change_expire(change);
  if (!answers_missing(change->request))
    return before_close(change);
  return change_balloon_may_rescue(change) && change_balloon_was_inflated(change) ? PHASE_RESCUE : PHASE_WAIT;
}

static void end_wait(DmChange *change) {
  change_expire(change);
  enter(change, before_close(change));
}

/* Its kernel may be one of those that have virtio-mem in larger pieces. */
static gboolean stops_between_pieces(const DmChange *change) {
  const DmGuest *guest = change->guest;
  gboolean newer = guest != NULL && guest->kernel != NULL && !dm_guest_is_before(guest, 5, 19);
  return !newer && answers_between_pieces(change->request);
}

static void note_pieces(DmChange *change) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->state != DM_STEP_ASKED || step->origin != NULL)
      continue;
    g_autofree char *wanted = dm_size_format(step->to);
    g_autofree char *reached = dm_size_format(step->run.reached);
    dm_notes_add(change->plan->notes, DM_NOTE_PIECES, change->vm->name, reached, wanted);
  }
}

static gboolean on_timeout(gpointer data) {
  DmChange *change = data;
  change->timer = 0;
  change->why = "the time to wait is over";
  if (stops_between_pieces(change)) {
    note_pieces(change);
    answers_take_pieces(change->request);
    enter(change, PHASE_ASK);
    return G_SOURCE_REMOVE;
  }
  change->waited = TRUE;
  if (change_balloon_may_rescue(change))
    enter(change, PHASE_RESCUE);
  else
    end_wait(change);
  return G_SOURCE_REMOVE;
}

static void on_event(const DmEvent *event, gpointer data) {
  DmChange *change = data;
  change_queue(change, event);
  if (change->phase == PHASE_FREE)
    change_take_answers(change);
  if (change->phase == PHASE_FREE && change_is_final(change))
    freeing_vm_gone(change->freeing);
  if (change->phase == PHASE_INFLATE || change->phase == PHASE_DEFLATE || change->phase == PHASE_RESCUE) {
    change_balloon_heed(change);
    return;
  }
  if (change->working || change->phase != PHASE_WAIT)
    return;
  change_take_answers(change);
  Phase next = after_answers(change);
  change->why = "an event answered";
  if (next != PHASE_WAIT) {
    enter(change, next);
    return;
  }
  stop_timer(change);
  enter_wait(change);
}

/* ---- DEFLATE, RESCUE and INFLATE ---- */

static void on_deflated(DmChange *change) {
  enter(change, change_is_final(change) || change->error != NULL ? PHASE_CLOSE : before_ask(change));
}

static void enter_deflate(DmChange *change) {
  change_balloon_deflate(change, on_deflated);
}

/* What it gave back lets a device go at once. */
static void on_rescued(DmChange *change) {
  change_take_answers(change);
  if (change->error != NULL)
    enter(change, PHASE_CLOSE);
  else if (change->waited && change->rescued_at_us == 0 && !change_is_final(change))
    end_wait(change);
  else
    enter(change, after_answers(change));
}

static void enter_rescue(DmChange *change) {
  change_balloon_rescue(change, on_rescued);
}

static void on_inflated(DmChange *change) {
  enter(change, before_close(change));
}

/* It goes by what the guest has available: what is offline of a device that was refused comes back before. */
static void enter_inflate(DmChange *change) {
  g_clear_pointer(&change->freeing, freeing_free);
  change_balloon_inflate(change, on_inflated);
}

/* ---- FREE and SEE ---- */

static void on_freed(DmChange *change) {
  change_take_answers(change);
  if (change_is_final(change)) {
    change->why = "the VM or its connection is gone";
    enter(change, PHASE_CLOSE);
    return;
  }
  freeing_leave_planned(change->freeing, change->vm_paused);
  enter(change, answers_has_planned(change->request) ? PHASE_ASK : after_answers(change));
}

static void enter_free(DmChange *change) {
  change_guest_free(change, on_freed);
}

static void on_seen(DmChange *change) {
  change_take_answers(change);
  enter(change, PHASE_CLOSE);
}

static void enter_see(DmChange *change) {
  change_guest_see(change, on_seen);
}

/* ---- DESCRIBE: another request meanwhile ---- */

static gboolean work_describe(DmChange *change, GError **error) {
  gboolean well = dm_domain_describe(
    change->connection, change->vm, change->new_title, change->new_description, &change->undescribed);
  return well || change->undescribed != NULL; /* not a failure of this change */
}

static Phase then_describe(DmChange *change) {
  g_clear_pointer(&change->new_title, g_free);
  g_clear_pointer(&change->new_description, g_free);
  g_autoptr(GError) error = g_steal_pointer(&change->undescribed);
  DmDescribed described = g_steal_pointer(&change->described);
  described(error, change->described_data);
  change_take_answers(change);
  return after_answers(change);
}

gboolean dm_change_describe(
  DmChange *change, const char *title, const char *description, DmDescribed done, gpointer data) {
  if (change->working || change->phase != PHASE_WAIT)
    return FALSE;
  change->new_title = g_strdup(title);
  change->new_description = g_strdup(description);
  change->described = done;
  change->described_data = data;
  enter(change, PHASE_DESCRIBE);
  return TRUE;
}

/* How long a guest has at least that was rescued. */
#define RESCUED_S 20

static double seconds_since(gint64 at_us) {
  return (double)(g_get_monotonic_time() - at_us) / G_USEC_PER_SEC;
}

/* How long a virtio-mem device stands still before it counts as one that comes no nearer. */
#define PIECES_S 10

static void enter_wait(DmChange *change) {
  double left_s = change->options.timeout_s - seconds_since(change->asked_at_us);
  if (change->rescued_at_us != 0)
    left_s = MAX(left_s, RESCUED_S - seconds_since(change->rescued_at_us));
  if (stops_between_pieces(change))
    left_s = MIN(left_s, PIECES_S);
  change->timer = g_timeout_add((guint)(MAX(left_s, 0) * 1000), on_timeout, change);
}

/* ---- UNDO, CLOSE, KEEP, CLEAR and END ---- */

static Phase then_undo(DmChange *change) {
  return PHASE_END;
}

/* Also accounts for an answer that came during the accounting. */
static Phase unless_answered(DmChange *change, Phase next) {
  guint pending = answers_count_pending(change->request);
  change_take_answers(change);
  return change->error == NULL && answers_count_pending(change->request) < pending ? PHASE_CLOSE : next;
}

/* Also for a change that failed before: what it wrote into the VM must be removed. */
static Phase then_close(DmChange *change) {
  return unless_answered(change, change->accounted ? PHASE_KEEP : PHASE_END);
}

static Phase then_keep(DmChange *change) {
  change_take_answers(change);
  if (change->plan == NULL)
    return PHASE_CLEAR;
  if (change_is_final(change))
    return PHASE_CLOSE; /* which handles that */
  return change_stays_with_vm(change) ? PHASE_END : PHASE_CLEAR;
}

/* The VM carries a request for a device that went away after the accounting, unobserved. */
static gboolean lost_an_answer(const DmChange *change) {
  const DmVm *vm = change->vm;
  for (guint i = 0; vm->request != NULL && vm->live != NULL && i < vm->request->steps->len; i++) {
    const DmStep *step = vm->request->steps->pdata[i];
    if (step->op == DM_OP_UNPLUG && dm_step_is_pending(step) && dm_config_find_alias(vm->live, step->alias) == NULL)
      return TRUE;
  }
  return FALSE;
}

/* The continued request starts from its accounted state. */
static Phase go_on(DmChange *change) {
  dm_request_free(change->vm->request);
  change->vm->request = dm_request_copy(change->recovered);
  return after_earlier(change);
}

static Phase then_clear(DmChange *change) {
  if (change->plan != NULL)
    return unless_answered(change, PHASE_END);
  if (change->error != NULL)
    return PHASE_END;
  if (change_goes_on(change))
    return go_on(change);
  if (!lost_an_answer(change))
    return after_earlier(change);
  g_clear_pointer(&change->recovered, dm_request_free);
  return PHASE_READ;
}

static void enter_end(DmChange *change) {
  if (change->watch != 0)
    dm_connection_unwatch(change->connection, change->watch);
  change->watch = 0;
  g_clear_pointer(&change->freeing, freeing_free); /* which brings online again what was not removed */
  g_clear_pointer(&change->lock, dm_lock_free);
  change->listener.ended(change, change->listener_data);
}

static void enter_keep(DmChange *change) {
  if (change->listener.settling != NULL)
    change->listener.settling(change, change->listener_data);
  else
    dm_change_go_on(change);
}

/* ---- the table ---- */

typedef struct {
  const char *name;                                   /* as in the comment above and the debugging log */
  void (*enter)(DmChange *change);                    /* waits, then enters another phase itself; NULL: work, then */
  gboolean (*work)(DmChange *change, GError **error); /* in a worker thread */
  Phase (*then)(DmChange *change);                    /* in the main loop; change->error is set if the work failed */
} PhaseRow;

static const PhaseRow phases[] = {
  [PHASE_FIND] = {"FIND", NULL, work_find, then_find},
  [PHASE_READ] = {"READ", NULL, work_read, then_read},
  [PHASE_LOOK] = {"LOOK", enter_look},
  [PHASE_RECORD] = {"RECORD", NULL, work_record, then_record},
  [PHASE_CONFIGURE] = {"CONFIGURE", NULL, work_configure, then_configure},
  [PHASE_DEFLATE] = {"DEFLATE", enter_deflate},
  [PHASE_FREE] = {"FREE", enter_free},
  [PHASE_ASK] = {"ASK", NULL, work_ask, then_ask},
  [PHASE_AGAIN] = {"AGAIN", NULL, work_again, then_again},
  [PHASE_DESCRIBE] = {"DESCRIBE", NULL, work_describe, then_describe},
  [PHASE_RESCUE] = {"RESCUE", enter_rescue},
  [PHASE_INFLATE] = {"INFLATE", enter_inflate},
  [PHASE_SEE] = {"SEE", enter_see},
  [PHASE_CLOSE] = {"CLOSE", NULL, change_work_close, then_close},
  [PHASE_KEEP] = {"KEEP", enter_keep, NULL, then_keep},
  [PHASE_CLEAR] = {"CLEAR", NULL, change_work_clear, then_clear},
  [PHASE_UNDO] = {"UNDO", NULL, change_work_undo, then_undo},
  [PHASE_WAIT] = {"WAIT", enter_wait},
  [PHASE_END] = {"END", enter_end},
};
G_STATIC_ASSERT(G_N_ELEMENTS(phases) == PHASES);

static void work(gpointer data) {
  DmChange *change = data;
  if (phases[change->phase].work(change, &change->failed))
    return;
  if (!dm_connection_is_alive(change->connection)) { /* libvirt's own message then only mentions a socket */
    g_clear_error(&change->failed);
    change_tell_lost(change, &change->failed);
  }
}

/* The phase after work failed. A VM that disappeared meanwhile has stopped: CLOSE handles that. */
static Phase after_failure(DmChange *change, GError *error) {
  gboolean gone = g_error_matches(error, DM_ERROR, DM_ERROR_NO_SUCH_VM);
  gboolean in_between = change->phase > PHASE_READ && change->phase < PHASE_CLOSE;
  if (gone && (in_between || (change->phase == PHASE_CLEAR && change->plan != NULL))) {
    g_error_free(error);
    change_take_answers(change); /* it may have moved to another host */
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
  if (failed != NULL)
    dm_debug("change", "%s: %s failed: %s", change_name(change), phases[change->phase].name, failed->message);
  enter(change, failed == NULL ? phases[change->phase].then(change) : after_failure(change, failed));
}

/* Before the phase changes. */
static void tell_phase(const DmChange *change, Phase next) {
  const char *why = change->why != NULL ? change->why : "its work is done";
  if (change->entered_at_us == 0)
    dm_debug("change", "%s: %s", change_name(change), phases[next].name);
  else
    dm_debug("change", "%s: %s after %.1f ms in %s, as %s", change_name(change), phases[next].name,
      dm_debug_since(change->entered_at_us), phases[change->phase].name, why);
}

static void enter(DmChange *change, Phase phase) {
  const PhaseRow *row = &phases[phase];
  tell_phase(change, phase);
  change->entered_at_us = g_get_monotonic_time();
  change->why = NULL;
  change->phase = phase;
  stop_timer(change);
  if (row->enter != NULL) {
    row->enter(change);
    return;
  }
  change_run(change, work, on_worked);
}

/* ---- for callers ---- */

DmChange *dm_change_new(DmConnection *connection, const char *vm_name, const DmWish *wish,
  const DmChangeOptions *options, const DmChangeListener *listener, gpointer listener_data) {
  DmChange *change = g_new0(DmChange, 1);
  change->connection = dm_connection_ref(connection);
  change->name = g_strdup(vm_name);
  change->wish = dm_wish_copy(wish);
  change->options = *options;
  change->title = g_strdup(options->title);
  change->id = g_strdup(options->id);
  change->user = g_strdup(options->user);
  change->correlation_id = g_strdup(options->correlation_id);
  change->refused = g_strdup(options->refused);
  change->listener = *listener;
  change->listener_data = listener_data;
  change->events = g_ptr_array_new_with_free_func(answer_free);
  change->found = dm_notes_new();
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
  g_free(change->correlation_id);
  g_free(change->refused);
  dm_rewrite_clear(&change->rewrite);
  g_ptr_array_unref(change->events);
  g_ptr_array_unref(change->found);
  g_ptr_array_unref(change->refusals);
  freeing_free(change->freeing);
  ballooning_free(change->ballooning);
  dm_guest_free(change->guest);
  dm_wish_free(change->wish);
  dm_vm_free(change->vm_before);
  dm_vm_free(change->vm);
  dm_vm_free(change->seen);
  dm_plan_free(change->plan);
  dm_request_free(change->request);
  dm_request_free(change->shown);
  dm_request_free(change->recovered);
  g_clear_error(&change->error);
  g_clear_error(&change->undescribed);
  g_free(change->new_title);
  g_free(change->new_description);
  dm_connection_close(change->connection);
  g_free(change);
}

void dm_change_start(DmChange *change) {
  enter(change, change->title != NULL ? then_find(change) : PHASE_FIND);
}

void dm_change_go_on(DmChange *change) {
  enter(change, then_keep(change));
}

void dm_change_stop_waiting(DmChange *change) {
  change->stopped = TRUE;
  freeing_stop(change->freeing);
  ballooning_stop(change->ballooning);
  if (change->working || change->phase != PHASE_WAIT)
    return;
  change_expire(change);
  change->why = "dimmer stopped waiting";
  enter(change, PHASE_CLOSE);
}

const DmPlan *dm_change_plan(const DmChange *change) {
  return change->plan;
}

const DmRequest *dm_change_request(const DmChange *change) {
  return change->working ? change->shown : change->request;
}

const GPtrArray *dm_change_found(const DmChange *change) {
  return change->found;
}

const DmVm *dm_change_vm(const DmChange *change) {
  return change->vm;
}

const DmVm *dm_change_vm_before(const DmChange *change) {
  return change->vm_before;
}
