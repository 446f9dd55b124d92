/* SPDX-License-Identifier: Apache-2.0 */
#include "freeing.h"

/*
 * How long dimmer-guest keeps memory offline, in seconds: its maximum, as other devices are freed meanwhile. Closing
 * the conversation onlines what is left.
 */
#define HOLD_SECONDS 3600

/* How long to wait, in seconds, for an event that explains the end of the conversation. */
#define EVENT_SECONDS 10

/* Minimum time for a device, in seconds: many stuck devices share what is left. */
#define LEAST_PATIENCE 2

struct Freeing {
  DmAgent *agent; /* NULL: it stopped answering, */
  char *lost;     /* for this reason */
  FreeingFunc func;
  gpointer data;
  double timeout_s;
  double patience_s; /* the next device's share of that */
  const DmRequest *request;
  const DmVm *vm;
  DmStep *step; /* whose memory is being taken offline, or was when it stopped answering */
  guint timer;  /* for the event that explains it */
  gboolean stopped, vm_gone;
};

Freeing *freeing_new(DmAgent *agent, double timeout_s, FreeingFunc func, gpointer data) {
  Freeing *freeing = g_new0(Freeing, 1);
  freeing->agent = agent;
  freeing->func = func;
  freeing->data = data;
  freeing->timeout_s = freeing->patience_s = timeout_s;
  return freeing;
}

void freeing_free(Freeing *freeing) {
  if (freeing == NULL)
    return;
  g_clear_handle_id(&freeing->timer, g_source_remove);
  dm_agent_free(freeing->agent);
  g_free(freeing->lost);
  g_free(freeing);
}

/* Its device, if dimmer-guest can take the memory of it offline. */
static const DmMemoryDevice *device_to_free(const DmVm *vm, const DmStep *step) {
  if (step->op != DM_OP_UNPLUG || step->state != DM_STEP_PLANNED || step->run.prepared || vm->live == NULL)
    return NULL;
  const DmMemoryDevice *device = dm_config_find_alias(vm->live, step->alias);
  return device != NULL && device->kind == DM_DEVICE_DIMM && device->address != 0 ? device : NULL;
}

static DmStep *next_to_free(const DmRequest *request, const DmVm *vm) {
  for (guint i = 0; i < request->steps->len; i++) {
    DmStep *step = request->steps->pdata[i];
    if (device_to_free(vm, step) != NULL)
      return step;
  }
  return NULL;
}

gboolean freeing_can(const Freeing *freeing, const DmRequest *request, const DmVm *vm) {
  return freeing != NULL && freeing->agent != NULL && dm_agent_is_alive(freeing->agent) && freeing->timeout_s > 0 &&
    next_to_free(request, vm) != NULL;
}

gboolean freeing_is_lost(const Freeing *freeing) {
  return freeing != NULL && freeing->lost != NULL;
}

static void leave(Freeing *freeing, DmStep *step, const DmNote *reason, gboolean verdict) {
  freeing->func(
    &(FreeingEvent){.kind = FREEING_LEAVES, .step = step, .reason = reason, .verdict = verdict}, freeing->data);
}

static void end(Freeing *freeing) {
  freeing->func(&(FreeingEvent){.kind = FREEING_ENDED}, freeing->data);
}

/* ---- what is left ---- */

/* @touched: for those whose memory dimmer-guest took offline. */
static void leave_planned(Freeing *freeing, const DmNote *untouched, const DmNote *touched) {
  for (guint i = 0; i < freeing->request->steps->len; i++) {
    DmStep *step = freeing->request->steps->pdata[i];
    if (step->state == DM_STEP_PLANNED)
      leave(freeing, step, step->run.prepared || step == freeing->step ? touched : untouched, FALSE);
  }
}

static void call_off(Freeing *freeing) {
  g_autoptr(DmNote) untouched = dm_note_new(DM_NOTE_NOT_ASKED), touched = dm_note_new(DM_NOTE_NOT_ASKED_OFFLINE);
  leave_planned(freeing, untouched, touched);
}

/*
 * dimmer-guest has died or hangs, or its VM is paused. Requesting a device that it could not free may hang the whole
 * guest: Linux retries forever, and no signal stops it. So nothing is requested; a retry finds out again which agents
 * answer. Memory it took offline comes back by itself: see the lease in docs/guest-protocol.md.
 */
static void leave_to_itself(Freeing *freeing, gboolean paused) {
  const char *why = freeing->lost;
  g_autoptr(DmNote) untouched = paused ? dm_note_new(DM_NOTE_VM_PAUSED) : dm_note_new(DM_NOTE_AGENT_LOST, why);
  g_autoptr(DmNote) touched =
    paused ? dm_note_new(DM_NOTE_VM_PAUSED_OFFLINE) : dm_note_new(DM_NOTE_AGENT_LOST_OFFLINE, why);
  leave_planned(freeing, untouched, touched);
}

void freeing_leave_planned(Freeing *freeing, gboolean vm_paused) {
  if (freeing->lost != NULL)
    leave_to_itself(freeing, vm_paused);
  else if (freeing->stopped)
    call_off(freeing);
}

static gboolean was_cancelled(const DmAgentAnswer *answer) {
  return g_strcmp0(answer->code, "cancelled") == 0;
}

static DmNote *reason_of(const Freeing *freeing, const DmAgentAnswer *answer) {
  g_autofree char *block = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", answer->block);
  if (freeing->stopped)
    return answer->restored ? dm_note_new(DM_NOTE_NOT_ASKED) : dm_note_new(DM_NOTE_NOT_ASKED_LEFT);
  if (was_cancelled(answer))
    return answer->restored ? dm_note_new(DM_NOTE_NOT_FREED_IN_TIME, freeing->patience_s)
                            : dm_note_new(DM_NOTE_NOT_FREED_IN_TIME_LEFT, freeing->patience_s);
  if (answer->block != 0)
    return dm_note_new(DM_NOTE_BLOCK_NOT_FREED, block, answer->detail);
  return dm_note_new(DM_NOTE_NOT_FREED, answer->detail);
}

/*
 * Each device has the whole timeout, as a large one takes long, but each that fails in its time halves that of the
 * following ones: so any number of stuck devices takes little more than twice the timeout.
 */
static void leave_step(Freeing *freeing, DmStep *step, const DmAgentAnswer *answer) {
  g_autoptr(DmNote) reason = reason_of(freeing, answer);
  gboolean verdict = !freeing->stopped && !was_cancelled(answer);
  if (!verdict)
    freeing->patience_s = MAX(freeing->patience_s / 2, MIN(freeing->timeout_s, LEAST_PATIENCE));
  leave(freeing, step, reason, verdict);
}

/* ---- one after the other ---- */

static gboolean on_no_event(gpointer data) {
  Freeing *freeing = data;
  freeing->timer = 0;
  end(freeing);
  return G_SOURCE_REMOVE;
}

/* An event reports the fate of the VM or the connection, one of which ended a conversation that was cut. */
static void lose_agent(Freeing *freeing, const DmAgentAnswer *answer) {
  freeing->lost = g_strdup(answer->detail);
  g_clear_pointer(&freeing->agent, dm_agent_free);
  if (answer->cut && !freeing->vm_gone)
    freeing->timer = g_timeout_add_seconds(EVENT_SECONDS, on_no_event, freeing);
  else
    end(freeing);
}

void freeing_vm_gone(Freeing *freeing) {
  freeing->vm_gone = TRUE;
  if (freeing->timer == 0)
    return;
  g_clear_handle_id(&freeing->timer, g_source_remove);
  end(freeing);
}

/* Other errors mean that it cannot help with this device, but say nothing about the device. */
static gboolean is_verdict(const DmAgentAnswer *answer) {
  static const char *const verdicts[] = {"stays", "not-movable", "cancelled", NULL};
  return answer->code != NULL && g_strv_contains(verdicts, answer->code);
}

static void free_next(Freeing *freeing);

static void on_freed(const DmAgentAnswer *answer, gpointer data) {
  Freeing *freeing = data;
  if (answer->silent) {
    lose_agent(freeing, answer);
    return;
  }
  DmStep *step = g_steal_pointer(&freeing->step);
  if (!answer->ok && (freeing->stopped || is_verdict(answer)))
    leave_step(freeing, step, answer);
  step->run.prepared = TRUE;
  free_next(freeing);
}

static void on_progress(uint64_t done, uint64_t of, gpointer data) {
  Freeing *freeing = data;
  freeing->func(&(FreeingEvent){.kind = FREEING_GOES_ON, .step = freeing->step, .done = done, .of = of}, freeing->data);
}

static void free_next(Freeing *freeing) {
  DmStep *step = freeing->stopped ? NULL : next_to_free(freeing->request, freeing->vm);
  if (step == NULL) {
    end(freeing);
    return;
  }
  const DmMemoryDevice *device = device_to_free(freeing->vm, step);
  gboolean any = (freeing->request->flags & DM_PLAN_TRY_UNMOVABLE) != 0;
  freeing->step = step;
  dm_agent_work(freeing->agent, any ? DM_AGENT_OFFLINE_ANY : DM_AGENT_OFFLINE, device->address, device->size,
    HOLD_SECONDS, freeing->patience_s, on_progress, on_freed, freeing);
}

void freeing_start(Freeing *freeing, const DmRequest *request, const DmVm *vm) {
  freeing->request = request;
  freeing->vm = vm;
  free_next(freeing);
}

void freeing_stop(Freeing *freeing) {
  if (freeing == NULL)
    return;
  freeing->stopped = TRUE;
  if (freeing->step != NULL && freeing->agent != NULL)
    dm_agent_cancel(freeing->agent);
}
