/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a total is taken back
 * =========================
 *
 * Each VM walks through the stages below by itself, and after each step of any of them go_on() looks at all:
 *
 *   TO_LOOK  is to be read, with its guest's report, before it is asked for anything
 *   LOOKING  that is under way. One that does not answer in time is left out, and no longer waited for
 *   READY    it is known what it could give
 *   ASKED    a change takes its share: a DmChange as for 'set --live', with its own lock, record and account in the VM
 *   OUT      it has nothing to give, or gave less than its share
 *
 * Once nobody is looked at any more, what is missing of the total is shared out among those that are READY
 * (plan/reclaim.h). Missing is what was neither given, nor may still come: of a change that is under way its share, and
 * later what its guest has not answered. So whatever guests do, and whenever, never more than the total and a device
 * goes; and a refusal is made up for by others at once, without waiting for the slow ones. A VM that gave all of its
 * share may be asked for more, after another look.
 *
 * The memory in each VM's metadata is the account of its own request: a process that is killed leaves each VM as a
 * change does that was killed, and nothing else.
 */
#include "engine/reclaim.h"

#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "engine/checkup.h"
#include "hypervisor/balloon.h"
#include "hypervisor/domain.h"

/* VMs that are looked at, and that are asked, side by side: each takes some descriptors while it lasts. */
#define SIDE_BY_SIDE 64

/* How long one may take to answer a look. */
#define LOOK_SECONDS 15

typedef enum {
  TO_LOOK,
  LOOKING,
  READY,
  ASKED,
  OUT
} Stage;

typedef struct {
  DmReclaimVm vm; /* first: a DmReclaimVm of ours is a Member */
  DmReclaim *reclaim;
  Stage stage;
  struct Look *look; /* LOOKING */
  DmReclaimOffer *offer;
  DmChange *change;         /* ASKED */
  DmReclaimShare asking;    /* ASKED: its share */
  gboolean devices_are_out; /* they gave less than was asked: only its balloon is left */
} Member;

/* It may outlast the member, as a host that hangs cannot be told to stop. */
typedef struct Look {
  Member *member; /* NULL: it is not waited for any longer */
  guint timer;
  DmConnection *connection;
  DmVm *vm;
  GError *error;
} Look;

struct DmReclaim {
  DmConnection *connection;
  DmReclaimOptions options;
  char **names;
  DmReclaimListener listener;
  gpointer listener_data;
  GPtrArray *members; /* Member */
  GPtrArray *found;   /* DmVm: of the connection, until they are members */
  GError *error;
  guint going_on; /* source */
  gboolean stopped, ended;
};

static void go_on(DmReclaim *reclaim);

static gboolean on_going_on(gpointer data) {
  DmReclaim *reclaim = data;
  reclaim->going_on = 0;
  go_on(reclaim);
  return G_SOURCE_REMOVE;
}

/* Later, as whoever has news is still calling. */
static void go_on_soon(DmReclaim *reclaim) {
  if (reclaim->going_on == 0 && !reclaim->ended)
    reclaim->going_on = g_idle_add_full(G_PRIORITY_DEFAULT, on_going_on, reclaim, NULL);
}

static guint count(const DmReclaim *reclaim, Stage stage) {
  guint found = 0;
  for (guint i = 0; i < reclaim->members->len; i++)
    found += ((const Member *)reclaim->members->pdata[i])->stage == stage;
  return found;
}

static void take_reason(Member *member, DmNote *reason) {
  dm_note_free(member->vm.reason);
  member->vm.reason = reason;
}

/* ---- LOOKING ---- */

static void end_look(Member *member) {
  g_clear_handle_id(&member->look->timer, g_source_remove);
  member->look->member = NULL;
  member->look = NULL;
}

/* The guest's last report stays with it. */
static void take_vm(Member *member, const DmVm *vm) {
  DmVm *copy = dm_vm_copy(vm);
  if (copy->guest == NULL && member->vm.vm != NULL)
    copy->guest = g_steal_pointer(&member->vm.vm->guest);
  dm_vm_free(member->vm.vm);
  member->vm.vm = copy;
}

static void consider(Member *member, const DmVm *vm) {
  DmNote *reason;
  take_vm(member, vm);
  g_clear_pointer(&member->offer, dm_reclaim_offer_free);
  member->offer = dm_reclaim_offer(vm, member->reclaim->options.balloon, &reason);
  if (member->devices_are_out)
    g_array_set_size(member->offer->parts, 0);
  member->stage = reason == NULL ? READY : OUT;
  if (member->vm.reason == NULL) /* that it gave less than was asked is more to the point */
    member->vm.reason = reason;
  else
    dm_note_free(reason);
}

static void look_free(Look *look) {
  dm_connection_close(look->connection);
  dm_vm_free(look->vm);
  g_clear_error(&look->error);
  g_free(look);
}

static void finish_look(gpointer data) {
  Look *look = data;
  Member *member = look->member;
  if (member != NULL) {
    end_look(member);
    if (look->error == NULL)
      consider(member, look->vm);
    else
      member->stage = OUT;
    g_clear_error(&member->vm.error);
    member->vm.error = g_steal_pointer(&look->error);
    go_on_soon(member->reclaim);
  }
  look_free(look);
}

/* libvirt's own number comes up to a second late, and what is asked for goes by what the balloon holds. */
static void work_balloon(gpointer data) {
  Look *look = data;
  DmBalloonStats stats;
  if (dm_balloon_read(look->connection, look->vm, &stats, &look->error))
    look->vm->balloon_actual = stats.actual;
}

static void on_looked(DmVm *vm, DmAgent *agent, GError *error, gpointer data) {
  Look *look = data;
  look->vm = vm;
  look->error = error;
  dm_agent_free(agent);
  if (look->member != NULL && error == NULL && vm->state == DM_VM_RUNNING && vm->balloon)
    dm_connection_run(look->connection, vm->uuid, work_balloon, finish_look, look);
  else
    finish_look(look);
}

static gboolean on_silent(gpointer data) {
  Look *look = data;
  Member *member = look->member;
  look->timer = 0;
  end_look(member);
  member->stage = OUT;
  take_reason(member, dm_note_new(DM_NOTE_OFFER_SILENT, member->vm.name));
  go_on_soon(member->reclaim);
  return G_SOURCE_REMOVE;
}

static void look_at(Member *member) {
  Look *look = g_new0(Look, 1);
  look->member = member;
  look->connection = dm_connection_ref(member->reclaim->connection);
  look->timer = g_timeout_add_seconds(LOOK_SECONDS, on_silent, look);
  member->look = look;
  member->stage = LOOKING;
  dm_checkup(member->reclaim->connection, member->vm.uuid, DM_LOOK_BRIEF, on_looked, look);
}

static void look_at_more(DmReclaim *reclaim) {
  guint looking = count(reclaim, LOOKING);
  for (guint i = 0; i < reclaim->members->len && looking < SIDE_BY_SIDE; i++) {
    Member *member = reclaim->members->pdata[i];
    if (member->stage != TO_LOOK)
      continue;
    look_at(member);
    looking++;
  }
}

/* ---- ASKED ---- */

/* What the guest can use; 0: not known. */
static uint64_t usable(const DmVm *vm) {
  uint64_t held = 0;
  if (vm == NULL || vm->live == NULL || !dm_vm_ballooned(vm, &held))
    return 0;
  return dm_size_minus(dm_config_memory(vm->live), held);
}

static uint64_t left_of(const DmStep *step) {
  if (!dm_step_is_pending(step) || step->origin != NULL)
    return 0;
  return step->op == DM_OP_UNPLUG ? step->run.size_before : dm_size_minus(step->run.reached, step->to);
}

/* What its guest has not answered, and may still release. */
static uint64_t pending_of(const DmChange *change, uint64_t asked) {
  const DmRequest *request = dm_change_request(change);
  if (request != NULL && request->asked && g_error_matches(dm_change_error(change), DM_ERROR, DM_ERROR_CONNECTION))
    return asked;
  if (dm_change_error(change) != NULL || request == NULL)
    return 0;
  uint64_t sum = request->balloon != NULL ? left_of(request->balloon) : 0;
  for (guint i = 0; i < request->steps->len; i++)
    sum += left_of(request->steps->pdata[i]);
  return sum;
}

static DmNote *first_refusal(const DmRequest *request) {
  for (guint i = 0; request != NULL && i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->state == DM_STEP_REFUSED && step->run.reason != NULL)
      return dm_note_copy(step->run.reason);
  }
  const DmStep *balloon = request != NULL ? request->balloon : NULL;
  return balloon != NULL && balloon->run.reason != NULL ? dm_note_copy(balloon->run.reason) : NULL;
}

/* It gave less than its share. */
static void fall_short(Member *member, const DmChange *change) {
  gboolean may_balloon = member->reclaim->options.balloon ||
    (member->vm.vm->live != NULL && member->vm.vm->live->balloon_use == DM_BALLOON_USE_ALLOW);
  gboolean again = dm_change_error(change) == NULL && may_balloon && member->asking.balloon == 0;
  take_reason(member, first_refusal(dm_change_request(change)));
  member->devices_are_out = TRUE;
  member->stage = again ? TO_LOOK : OUT;
}

static gboolean free_change(gpointer change) {
  dm_change_free(change);
  return G_SOURCE_REMOVE;
}

static void on_changed(DmChange *change, gpointer data) {
  Member *member = data;
  DmReclaimVm *vm = &member->vm;
  uint64_t asked = dm_reclaim_share_sum(&member->asking), before = usable(dm_change_vm_before(change));
  uint64_t after = dm_change_error(change) == NULL ? usable(dm_change_vm(change)) : 0;
  uint64_t given = after != 0 ? dm_size_minus(before, after) : 0;
  vm->given = dm_size_minus(vm->given + given, after != 0 ? dm_size_minus(after, before) : 0);
  vm->pending += MIN(pending_of(change, asked), dm_size_minus(asked, given));
  vm->outcome = dm_change_outcome(change);
  if (dm_change_vm(change) != NULL)
    take_vm(member, dm_change_vm(change));
  if (dm_change_error(change) != NULL)
    vm->error = g_error_copy(dm_change_error(change));
  if (given < asked)
    fall_short(member, change);
  else
    member->stage = TO_LOOK;
  member->change = NULL;
  member->asking = (DmReclaimShare){0};
  g_idle_add(free_change, change); /* it is still calling us */
  if (member->reclaim->listener.answered != NULL)
    member->reclaim->listener.answered(vm, given, member->reclaim->listener_data);
  go_on_soon(member->reclaim);
}

static void ask(Member *member, const DmReclaimShare *share) {
  static const DmChangeListener listener = {.ended = on_changed};
  const DmReclaim *reclaim = member->reclaim;
  const DmVm *vm = member->vm.vm;
  const DmChangeOptions options = {.title = member->vm.name, .timeout_s = reclaim->options.timeout_s};
  const DmWish wish = {.action = DM_ACTION_SET,
    .flags = share->balloon > 0 ? DM_PLAN_BALLOON : 0,
    .seen = dm_config_memory(vm->live),
    .set = {.has_memory = TRUE, .memory = dm_reclaim_memory(vm, share), .live_only = TRUE}};
  member->asking = *share;
  member->stage = ASKED;
  member->vm.is_asked = TRUE;
  if (reclaim->listener.asked != NULL)
    reclaim->listener.asked(&member->vm, share, reclaim->listener_data);
  member->change = dm_change_new(reclaim->connection, member->vm.uuid, &wish, &options, &listener, member);
  dm_change_start(member->change);
}

/* ---- sharing out ---- */

static uint64_t missing(const DmReclaim *reclaim) {
  uint64_t sum = 0;
  for (guint i = 0; i < reclaim->members->len; i++) {
    const Member *member = reclaim->members->pdata[i];
    sum += member->vm.given + member->vm.pending + dm_reclaim_share_sum(&member->asking);
  }
  return dm_size_minus(reclaim->options.total, sum);
}

static void share_out(DmReclaim *reclaim) {
  g_autoptr(GPtrArray) ready = g_ptr_array_new(), offers = g_ptr_array_new();
  for (guint i = 0; i < reclaim->members->len; i++) {
    Member *member = reclaim->members->pdata[i];
    if (member->stage != READY)
      continue;
    g_ptr_array_add(ready, member);
    g_ptr_array_add(offers, member->offer);
  }
  g_autofree DmReclaimShare *shares = g_new0(DmReclaimShare, ready->len);
  dm_reclaim_share_out((const DmReclaimOffer *const *)offers->pdata, offers->len, missing(reclaim), shares);
  guint asked = count(reclaim, ASKED);
  for (guint i = 0; i < ready->len; i++) {
    Member *member = ready->pdata[i];
    if (dm_reclaim_share_sum(&shares[i]) == 0 || (!reclaim->options.dry_run && asked == SIDE_BY_SIDE))
      continue;
    member->vm.share.devices += shares[i].devices;
    member->vm.share.balloon += shares[i].balloon;
    if (reclaim->options.dry_run)
      continue;
    ask(member, &shares[i]);
    asked++;
  }
}

static void end(DmReclaim *reclaim) {
  reclaim->ended = TRUE;
  for (guint i = 0; i < reclaim->members->len; i++) {
    Member *member = reclaim->members->pdata[i];
    if (member->look != NULL)
      end_look(member);
  }
  reclaim->listener.ended(reclaim->listener_data);
}

static void go_on(DmReclaim *reclaim) {
  gboolean wants = !reclaim->stopped && reclaim->error == NULL && missing(reclaim) > 0;
  if (wants)
    look_at_more(reclaim);
  if (wants && count(reclaim, LOOKING) > 0)
    return;
  if (wants)
    share_out(reclaim);
  if (count(reclaim, ASKED) == 0 && reclaim->going_on == 0) /* a change may fail at once */
    end(reclaim);
}

/* ---- the VMs of the connection ---- */

static void free_member(gpointer data) {
  Member *member = data;
  g_free(member->vm.name);
  g_free(member->vm.uuid);
  dm_vm_free(member->vm.vm);
  dm_note_free(member->vm.reason);
  g_clear_error(&member->vm.error);
  dm_reclaim_offer_free(member->offer);
  g_free(member);
}

static gboolean is_named(const DmVm *vm, const char *name) {
  return g_pattern_match_simple(name, vm->name) || g_ascii_strcasecmp(name, vm->uuid) == 0;
}

static gboolean is_wanted(const DmReclaim *reclaim, const DmVm *vm) {
  for (guint i = 0; reclaim->names != NULL && reclaim->names[i] != NULL; i++) {
    if (is_named(vm, reclaim->names[i]))
      return TRUE;
  }
  return reclaim->names == NULL && vm->state == DM_VM_RUNNING && !vm->trial;
}

/* Each name has to name somebody. */
static gboolean check_names(const DmReclaim *reclaim, GError **error) {
  for (guint i = 0; reclaim->names != NULL && reclaim->names[i] != NULL; i++) {
    gboolean any = FALSE;
    for (guint k = 0; k < reclaim->found->len && !any; k++)
      any = is_named(reclaim->found->pdata[k], reclaim->names[i]);
    if (any)
      continue;
    g_set_error(error, DM_ERROR, DM_ERROR_NO_SUCH_VM, "no VM on %s is named '%s'; list them",
      dm_connection_uri(reclaim->connection), reclaim->names[i]);
    dm_error_add_command(error, "dimmer", "list", NULL);
    return FALSE;
  }
  return TRUE;
}

static void add_member(DmReclaim *reclaim, const DmVm *vm) {
  Member *member = g_new0(Member, 1);
  member->reclaim = reclaim;
  take_vm(member, vm);
  member->vm.name = g_strdup(vm->name);
  member->vm.uuid = g_strdup(vm->uuid);
  g_ptr_array_add(reclaim->members, member);
  if (vm->state != DM_VM_RUNNING)
    consider(member, vm);
}

static void work_list(gpointer data) {
  DmReclaim *reclaim = data;
  reclaim->found = dm_domain_list(reclaim->connection, &reclaim->error);
}

static void on_listed(gpointer data) {
  DmReclaim *reclaim = data;
  if (reclaim->found != NULL && check_names(reclaim, &reclaim->error)) {
    for (guint i = 0; i < reclaim->found->len; i++) {
      if (is_wanted(reclaim, reclaim->found->pdata[i]))
        add_member(reclaim, reclaim->found->pdata[i]);
    }
  }
  g_clear_pointer(&reclaim->found, g_ptr_array_unref);
  go_on(reclaim);
}

/* ---- for callers ---- */

DmReclaim *dm_reclaim_new(DmConnection *connection, const DmReclaimOptions *options, const DmReclaimListener *listener,
  gpointer listener_data) {
  DmReclaim *reclaim = g_new0(DmReclaim, 1);
  reclaim->connection = dm_connection_ref(connection);
  reclaim->options = *options;
  reclaim->names = g_strdupv((char **)options->names);
  reclaim->listener = *listener;
  reclaim->listener_data = listener_data;
  reclaim->members = g_ptr_array_new_with_free_func(free_member);
  return reclaim;
}

void dm_reclaim_free(DmReclaim *reclaim) {
  if (reclaim == NULL)
    return;
  g_clear_handle_id(&reclaim->going_on, g_source_remove);
  g_ptr_array_unref(reclaim->members);
  g_strfreev(reclaim->names);
  g_clear_error(&reclaim->error);
  dm_connection_close(reclaim->connection);
  g_free(reclaim);
}

void dm_reclaim_start(DmReclaim *reclaim) {
  dm_connection_run(reclaim->connection, NULL, work_list, on_listed, reclaim);
}

void dm_reclaim_stop(DmReclaim *reclaim) {
  reclaim->stopped = TRUE;
  for (guint i = 0; i < reclaim->members->len; i++) {
    Member *member = reclaim->members->pdata[i];
    if (member->change != NULL)
      dm_change_stop_waiting(member->change);
  }
  if (reclaim->members->len > 0)
    go_on_soon(reclaim);
}

const GError *dm_reclaim_error(const DmReclaim *reclaim) {
  return reclaim->error;
}

const GPtrArray *dm_reclaim_vms(const DmReclaim *reclaim) {
  return reclaim->members;
}

gboolean dm_reclaim_was_stopped(const DmReclaim *reclaim) {
  return reclaim->stopped;
}

DmReclaimVm dm_reclaim_sums(const DmReclaim *reclaim) {
  DmReclaimVm sums = {0};
  for (guint i = 0; i < reclaim->members->len; i++) {
    const DmReclaimVm *vm = reclaim->members->pdata[i];
    sums.share.devices += vm->share.devices;
    sums.share.balloon += vm->share.balloon;
    sums.given += vm->given;
    sums.pending += vm->pending;
    sums.is_asked |= vm->is_asked;
  }
  return sums;
}

static gboolean any_was(const DmReclaim *reclaim, DmOutcome outcome) {
  for (guint i = 0; i < reclaim->members->len; i++) {
    const DmReclaimVm *vm = reclaim->members->pdata[i];
    if (vm->is_asked && vm->outcome == outcome)
      return TRUE;
  }
  return FALSE;
}

static gboolean is_lost(const DmReclaim *reclaim) {
  for (guint i = 0; i < reclaim->members->len; i++) {
    const DmReclaimVm *vm = reclaim->members->pdata[i];
    if (g_error_matches(vm->error, DM_ERROR, DM_ERROR_CONNECTION))
      return TRUE;
  }
  return FALSE;
}

DmOutcome dm_reclaim_outcome(const DmReclaim *reclaim) {
  DmReclaimVm sums = dm_reclaim_sums(reclaim);
  if (sums.given >= reclaim->options.total)
    return DM_OUTCOME_DONE;
  if (sums.given > 0)
    return DM_OUTCOME_PARTLY;
  if (is_lost(reclaim))
    return DM_OUTCOME_FAILED;
  if (sums.pending > 0)
    return DM_OUTCOME_OVERDUE;
  if (any_was(reclaim, DM_OUTCOME_REFUSED))
    return DM_OUTCOME_REFUSED;
  if (reclaim->stopped)
    return DM_OUTCOME_CALLED_OFF;
  return any_was(reclaim, DM_OUTCOME_FAILED) ? DM_OUTCOME_FAILED : DM_OUTCOME_KEPT;
}
