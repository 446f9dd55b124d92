/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transitions of a running VM: libvirt reports it as running from its start or the reset of a reboot on, and all
 * the time its guest is shutting down on request. Clients wait for a start and a reboot by its status, so it is tracked
 * here.
 *
 * A start or reboot ends when an agent is back: its port was closed, by the reset, and is open again. libvirt sends
 * events for qemu-guest-agent's port only, so a VM with one of dimmer-guest is polled. Most guests have neither, and
 * some ignore the request: so a stage ends by itself. A start takes no longer than BOOT_SECONDS, which oVirt's hosts
 * give an agent (vdsm, _getVmStatus()), nor does a reboot, whose two stages have PASSING_SECONDS each.
 *
 * A guest that still boots does not hear the power button, and nothing tells that it has not. So a shutdown or reboot
 * requested meanwhile is pressed again every PRESS_SECONDS, until the guest goes or the stage ends. One that hears
 * several presses takes them as one: it is on its way down.
 *
 * Each stage is saved in a small file until it ends, so that a dimmerd started meanwhile continues it for the time
 * left. The file is not synced: if the machine goes down, so do its VMs.
 */
#include "passing.h"

#include <glib/gstdio.h>
#include <stdio.h>

#define PASSING_SECONDS 30
#define BOOT_SECONDS 60
#define LOOK_SECONDS 2
#define PRESS_SECONDS 4

struct Passing {
  char *file;
  PassingListener listener;
  gpointer data;
  DmPassing stage;
  DmPower asked;        /* DOWN, REBOOT: what was requested */
  gboolean presses;     /* while its guest was booting: it is pressed again */
  guint lasts_s;        /* the stage, at most */
  guint looks;          /* since it began */
  guint timer;          /* the stage ends by itself; 0: no stage */
  gint64 began_ms;      /* since 1970 */
  gint64 until_us;      /* of the monotonic clock */
  gboolean port_closed; /* no agent's port was open at some time since the start */
};

static gboolean has_open_port(const DmVm *vm) {
  return vm->agent_port == DM_PORT_OPEN || vm->qemu_agent_port == DM_PORT_OPEN;
}

static void stop_timer(Passing *passing) {
  if (passing->timer != 0)
    g_source_remove(passing->timer);
  passing->timer = 0;
}

/* ---- the file ---- */

/* If it cannot be written, the next process does not know of it. */
static void keep(const Passing *passing) {
  g_autofree char *text = g_strdup_printf("%d %" G_GINT64_FORMAT " %d %u %d %d\n", (int)passing->stage,
    passing->began_ms, passing->port_closed ? 1 : 0, passing->lasts_s, (int)passing->asked, passing->presses ? 1 : 0);
  if (passing->file != NULL)
    g_file_set_contents_full(passing->file, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL);
}

void passing_drop(const Passing *passing) {
  if (passing->file != NULL)
    g_unlink(passing->file);
}

/* Earlier versions wrote the first three numbers only. */
static gboolean read_kept(Passing *passing, DmPassing *kept, gint64 *began_ms) {
  g_autofree char *text = NULL;
  int stage = 0, closed = 0, asked = DM_POWER_START, presses = 0;
  guint lasts_s = PASSING_SECONDS;
  if (passing->file == NULL || !g_file_get_contents(passing->file, &text, NULL, NULL) ||
    sscanf(text, "%d %" G_GINT64_FORMAT " %d %u %d %d", &stage, began_ms, &closed, &lasts_s, &asked, &presses) < 3 ||
    stage <= DM_PASSING_NOTHING || stage > DM_PASSING_UP || lasts_s > BOOT_SECONDS || asked < 0 || asked >= DM_POWERS)
    return FALSE;
  *kept = (DmPassing)stage;
  passing->port_closed = closed != 0;
  passing->lasts_s = lasts_s;
  passing->asked = (DmPower)asked;
  passing->presses = presses != 0;
  return TRUE;
}

/* ---- the stages ---- */

static void end(Passing *passing) {
  stop_timer(passing);
  if (passing->stage == DM_PASSING_NOTHING)
    return;
  passing->stage = DM_PASSING_NOTHING;
  passing->presses = FALSE;
  passing_drop(passing);
  passing->listener.changed(passing->stage, passing->data);
}

static gboolean on_look(gpointer data) {
  Passing *passing = data;
  if (g_get_monotonic_time() >= passing->until_us) {
    gboolean ignored = passing->stage == DM_PASSING_DOWN && passing->asked == DM_POWER_SHUTDOWN;
    passing->timer = 0;
    end(passing);
    if (ignored)
      passing->listener.ignored(passing->data);
    return G_SOURCE_REMOVE;
  }
  passing->looks++;
  if (passing->stage == DM_PASSING_UP)
    passing->listener.look(passing->data);
  else if (passing->presses && passing->looks % (PRESS_SECONDS / LOOK_SECONDS) == 0)
    passing->listener.press(passing->asked, passing->data);
  return G_SOURCE_CONTINUE;
}

/* @gone_ms: how long ago. */
static void go_on(Passing *passing, DmPassing stage, gint64 gone_ms) {
  passing->began_ms = g_get_real_time() / 1000 - gone_ms;
  passing->until_us = g_get_monotonic_time() + passing->lasts_s * G_TIME_SPAN_SECOND - gone_ms * 1000;
  passing->looks = 0;
  passing->timer = g_timeout_add_seconds(LOOK_SECONDS, on_look, passing);
  passing->stage = stage;
  keep(passing);
}

static void begin(Passing *passing, DmPassing stage, guint lasts_s) {
  stop_timer(passing);
  passing->port_closed = FALSE;
  passing->lasts_s = lasts_s;
  go_on(passing, stage, 0);
  passing->listener.changed(stage, passing->data);
}

Passing *passing_new(char *file, const PassingListener *listener, gpointer data) {
  Passing *passing = g_new0(Passing, 1);
  passing->file = file;
  passing->listener = *listener;
  passing->data = data;
  return passing;
}

void passing_free(Passing *passing) {
  stop_timer(passing);
  g_free(passing->file);
  g_free(passing);
}

/* New here, it was started a moment ago: @since_ms, when this process began to watch, tells it from one that is up. */
static gboolean is_booting(const DmVm *vm, gint64 since_ms) {
  return vm->booted && vm->started_ms > since_ms && !has_open_port(vm);
}

static DmPassing resume_at(Passing *passing, const DmVm *vm, DmPassing stage, gint64 began_ms, gboolean rebooting) {
  gint64 now = g_get_real_time() / 1000;
  if (stage == DM_PASSING_NOTHING || began_ms > now || now - began_ms >= (gint64)passing->lasts_s * 1000 ||
    (vm->live == NULL && !rebooting))
    passing_drop(passing);
  else
    go_on(passing, stage, now - began_ms);
  return passing->stage;
}

/*
 * If another run began meanwhile, that is starting up. An unobserved reset leaves no trace: then the stage lasts its
 * maximum.
 */
DmPassing passing_resume(Passing *passing, const DmVm *vm, gboolean rebooting, gint64 since_ms) {
  DmPassing stage = DM_PASSING_NOTHING;
  gint64 began_ms = 0;
  gboolean kept = read_kept(passing, &stage, &began_ms);
  if (kept && (stage == DM_PASSING_UP || vm->started_ms <= began_ms))
    return resume_at(passing, vm, stage, began_ms, rebooting);
  passing->port_closed = TRUE;
  passing->lasts_s = stage == DM_PASSING_REBOOT ? PASSING_SECONDS : BOOT_SECONDS;
  stage = stage == DM_PASSING_REBOOT || is_booting(vm, since_ms) ? DM_PASSING_UP : DM_PASSING_NOTHING;
  return resume_at(passing, vm, stage, vm->started_ms, rebooting);
}

void passing_asked(Passing *passing, const DmVm *vm, DmPower power) {
  gboolean starts = power == DM_POWER_START, boots = passing->stage == DM_PASSING_UP || passing->presses;
  if (starts && vm->live == NULL && !vm->saved)
    begin(passing, DM_PASSING_UP, BOOT_SECONDS);
  if (starts || vm->live == NULL)
    return;
  gboolean reboots = power == DM_POWER_REBOOT || power == DM_POWER_COLD_REBOOT;
  passing->asked = power;
  passing->presses = boots && power != DM_POWER_STOP;
  begin(passing, reboots ? DM_PASSING_REBOOT : DM_PASSING_DOWN, passing->presses ? BOOT_SECONDS : PASSING_SECONDS);
}

void passing_failed(Passing *passing) {
  end(passing);
}

static void note_closed(Passing *passing) {
  if (passing->port_closed)
    return;
  passing->port_closed = TRUE;
  if (passing->stage != DM_PASSING_NOTHING)
    keep(passing);
}

static void begin_up(Passing *passing, guint lasts_s) {
  passing->presses = FALSE;
  begin(passing, DM_PASSING_UP, lasts_s);
}

void passing_event(Passing *passing, const DmEvent *event, gboolean comes_back) {
  DmEventKind kind = event->kind;
  gboolean down = kind == DM_EVENT_VM_STOPPED || kind == DM_EVENT_VM_CRASHED || kind == DM_EVENT_VM_MOVED;
  gboolean started = kind == DM_EVENT_VM_STARTED, again = started && passing->stage == DM_PASSING_REBOOT;
  if (kind == DM_EVENT_VM_REBOOTED || again)
    begin_up(passing, PASSING_SECONDS);
  else if (started && event->boots)
    begin_up(passing, BOOT_SECONDS);
  else if (started || (down && !comes_back))
    end(passing);
  if (started) /* no agent can have opened it before */
    note_closed(passing);
}

/* No agent will tell. */
static void shorten(Passing *passing) {
  if (passing->stage != DM_PASSING_UP || passing->lasts_s <= PASSING_SECONDS)
    return;
  passing->until_us -= (passing->lasts_s - PASSING_SECONDS) * G_TIME_SPAN_SECOND;
  passing->lasts_s = PASSING_SECONDS;
  keep(passing);
}

void passing_seen(Passing *passing, const DmVm *vm) {
  if (passing->stage != DM_PASSING_UP)
    return;
  if (vm->live != NULL && passing->port_closed && has_open_port(vm))
    end(passing);
  if (passing->stage == DM_PASSING_UP && !has_open_port(vm))
    note_closed(passing);
  if (vm->live != NULL && vm->agent_port == DM_PORT_NONE && vm->qemu_agent_port == DM_PORT_NONE)
    shorten(passing);
}
