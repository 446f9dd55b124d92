/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's part in a change: its report, and dimmer-guest's help. */
#include "base/error.h"
#include "base/size.h"
#include "change_private.h"
#include "record.h"

/* How long (s) and how often (ms) a guest is queried about the onlining of plugged memory. */
#define SEE_SECONDS 5
#define SEE_PAUSE 250

/* ---- LOOK ---- */

/* What was removed since the guest reported its spare memory. */
static uint64_t released_so_far(const DmChange *change) {
  uint64_t sum = 0;
  for (guint i = 0; change->request != NULL && i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    if (step->state == DM_STEP_DONE && step->op != DM_OP_PLUG)
      sum += dm_size_minus(step->run.size_before, step->to);
  }
  return sum;
}

void change_guest_take(const DmChange *change, DmVm *vm) {
  if (change->guest == NULL || change->phase == PHASE_CLOSE) /* it does not know of later changes */
    return;
  DmGuest *guest = dm_guest_copy(change->guest);
  dm_guest_lose(guest, released_so_far(change));
  dm_vm_take_guest(vm, guest);
}

/* Its port is open, but it cannot help; the reason was noted. */
static void note_no_help(const DmChange *change) {
  if (change->freeing != NULL || change->vm->agent_port != DM_PORT_OPEN)
    return;
  for (guint i = 0; i < change->guest->notes->len; i++)
    g_ptr_array_add(change->found, dm_note_copy(change->guest->notes->pdata[i]));
}

gboolean change_guest_is_free(const DmChange *change, GError **error) {
  gboolean unplugs = FALSE;
  for (guint i = 0; i < change->plan->steps->len; i++)
    unplugs |= ((const DmStep *)change->plan->steps->pdata[i])->op == DM_OP_UNPLUG;
  if (change->guest == NULL || !change->guest->busy || !unplugs)
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_BUSY,
    "dimmer-guest in %s is busy with another program; no device was requested, retry later", change->vm->name);
  return FALSE;
}

static void on_freeing(const FreeingEvent *event, gpointer data);

static void on_look(DmGuest *guest, DmAgent *agent, gpointer data) {
  DmChange *change = data;
  change->guest = guest;
  change->freeing = agent != NULL ? freeing_new(agent, change->options.timeout_s, on_freeing, change) : NULL;
  note_no_help(change);
  change_guest_take(change, change->vm);
  change->go_on(change);
}

void change_guest_look(DmChange *change, void (*go_on)(DmChange *change)) {
  change->go_on = go_on;
  dm_look(change->connection, change->vm, DM_LOOK_BRIEF, on_look, change);
}

/* ---- FREE ---- */

gboolean change_guest_frees(const DmChange *change) {
  return freeing_can(change->freeing, change->request, change->vm) && change->guest->hot_remove != DM_FACT_NO;
}

static void on_freeing(const FreeingEvent *event, gpointer data) {
  DmChange *change = data;
  switch (event->kind) {
    case FREEING_GOES_ON:
      if (change->listener.freeing != NULL)
        change->listener.freeing(change, event->step, event->done, event->of, change->listener_data);
      break;
    case FREEING_LEAVES:
      if (event->verdict)
        record_remember(change->refusals, change->vm, event->step->alias);
      change_leave(change, event->step, event->reason);
      break;
    case FREEING_ENDED:
      change->go_on(change);
      break;
  }
}

void change_guest_free(DmChange *change, void (*freed)(DmChange *change)) {
  change_take_answers(change);
  if (change_is_final(change)) { /* it stopped while the request was recorded; no event will come */
    freed(change);
    return;
  }
  change->go_on = freed;
  freeing_start(change->freeing, change->request, change->vm);
}

/* ---- SEE ---- */

/* A virtio-mem device is there before its guest has taken what was asked. */
static gboolean was_plugged(const DmStep *step) {
  return dm_step_adds(step) && (step->state == DM_STEP_DONE || dm_step_is_pending(step)) && step->origin == NULL;
}

gboolean change_guest_sees(const DmChange *change) {
  gboolean tells = change->guest != NULL && change->guest->runs != NULL && !dm_vm_is_windows(change->vm);
  if (!tells || change->stopped || change->options.timeout_s <= 0 || change->see_until_us != 0)
    return FALSE;
  for (guint i = 0; i < change->request->steps->len; i++) {
    if (was_plugged(change->request->steps->pdata[i]))
      return TRUE;
  }
  return FALSE;
}

static void end_see(DmChange *change, const DmVm *vm) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    DmStep *step = change->request->steps->pdata[i];
    const DmMemoryDevice *device = was_plugged(step) ? dm_config_find_alias(vm->live, step->alias) : NULL;
    if (device == NULL)
      continue;
    step->run.use = dm_vm_device_use(vm, device);
    dm_plan_note_made(change->plan, vm, device);
  }
  dm_vm_free(change->seen);
  change->seen = dm_vm_copy(vm);
  change->go_on(change);
}

/* The guest is apparently still onlining. */
static gboolean is_coming(const DmChange *change, const DmVm *vm) {
  for (guint i = 0; i < change->request->steps->len; i++) {
    const DmStep *step = change->request->steps->pdata[i];
    const DmMemoryDevice *device = was_plugged(step) ? dm_config_find_alias(vm->live, step->alias) : NULL;
    if (device != NULL && dm_plan_is_coming(vm, device))
      return TRUE;
  }
  return FALSE;
}

static void look_again(DmChange *change);

static gboolean on_see_again(gpointer data) {
  DmChange *change = data;
  change->timer = 0;
  look_again(change);
  return G_SOURCE_REMOVE;
}

static void on_seen(DmGuest *guest, DmAgent *agent, gpointer data) {
  DmChange *change = data;
  g_autoptr(DmVm) vm = dm_vm_copy(change->vm);
  dm_agent_free(agent);
  dm_vm_take_guest(vm, guest);
  if (is_coming(change, vm) && !change->stopped && g_get_monotonic_time() < change->see_until_us)
    change->timer = g_timeout_add(SEE_PAUSE, on_see_again, change);
  else
    end_see(change, vm);
}

static void look_again(DmChange *change) {
  dm_look(change->connection, change->vm, DM_LOOK_BRIEF, on_seen, change);
}

/* The kernel does not signal when it is done with new memory, not even to an agent; so poll. */
void change_guest_see(DmChange *change, void (*seen)(DmChange *change)) {
  change->go_on = seen;
  change->see_until_us =
    g_get_monotonic_time() + (gint64)(MIN(change->options.timeout_s, SEE_SECONDS) * G_USEC_PER_SEC);
  g_clear_pointer(&change->freeing, freeing_free); /* its port takes one client at a time, and nothing is left to
                                                    * free */
  look_again(change);
}
