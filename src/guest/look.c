/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look goes: hypervisor (a worker: balloon statistics, and the port to dimmer-guest opened) → dimmer-guest, if it
 * is there → qemu-guest-agent (a worker), if dimmer-guest did not tell, or for a whole picture → done.
 */
#include "guest/look.h"

#include "base/error.h"
#include "base/size.h"
#include "guest/qemu_agent.h"

#define BUSY_TRIES 40
#define BUSY_PAUSE_US 50000

#define UNCOUNTED (128 * DM_MIB)

typedef struct {
  DmConnection *connection;
  DmVm *vm;
  DmLookFunc done;
  gpointer data;
  DmGuest *guest;
  DmChannel *channel;
  DmAgent *agent;
  DmDomainLook domain;
  DmLookDepth depth;
  gboolean started; /* the balloon counts from now on */
} Look;

static void note(Look *look, const char *text) {
  g_ptr_array_add(look->guest->notes, g_strdup(text));
}

/*
 * Statistics are up to a period old. Where they count far less than the VM has, a device came since, or the guest has
 * some offline: then they say nothing of what it can spare now. A kernel keeps some per cent for itself at boot.
 */
static gboolean statistics_fit(const Look *look) {
  uint64_t memory = dm_config_memory(look->vm->live);
  return look->domain.total != 0 && look->domain.total + UNCOUNTED >= memory - memory / 10;
}

static void finish(Look *look) {
  DmGuest *guest = look->guest;
  if (guest->memory_source == DM_SOURCE_NONE && statistics_fit(look)) {
    guest->total = look->domain.total;
    guest->available = look->domain.usable;
    guest->memory_source = DM_SOURCE_BALLOON;
  } else if (guest->memory_source == DM_SOURCE_NONE && look->started) {
    note(look, "the balloon's statistics were turned on just now: in a few seconds they tell what the guest can spare");
  }
  look->done(guest, look->agent, look->data);
  dm_vm_free(look->vm);
  dm_connection_close(look->connection);
  g_free(look);
}

/* ---- qemu-guest-agent ---- */

static void work_qemu_agent(gpointer data) {
  Look *look = data;
  g_autoptr(GError) error = NULL;
  if (!dm_qemu_agent_look(look->connection, look->vm, look->guest, &error))
    note(look, error->message);
}

static void on_qemu_agent(gpointer data) {
  finish(data);
}

static void ask_qemu_agent(Look *look) {
  if (look->vm->qemu_agent_port == DM_PORT_OPEN)
    dm_connection_run(look->connection, work_qemu_agent, on_qemu_agent, look);
  else
    finish(look);
}

/* ---- dimmer-guest ---- */

static void on_agent(GError *error, gpointer data) {
  Look *look = data;
  if (error == NULL && look->depth == DM_LOOK_BRIEF) {
    finish(look);
    return;
  }
  if (error == NULL) { /* which system it is, only the other one tells */
    if (look->depth == DM_LOOK_COUNTING)
      g_clear_pointer(&look->agent, dm_agent_free);
    ask_qemu_agent(look);
    return;
  }
  dm_guest_free(look->guest); /* half a picture is none */
  look->guest = dm_guest_new();
  note(look, error->message);
  g_error_free(error);
  g_clear_pointer(&look->agent, dm_agent_free);
  ask_qemu_agent(look);
}

/* ---- the hypervisor ---- */

/*
 * The port takes one host at a time. Another look of ours, or of another process, is over soon; libvirt has no event
 * for that.
 */
static DmChannel *open_agent(Look *look, GError **error) {
  for (guint try = 1;; try++) {
    g_autoptr(GError) failed = NULL;
    DmChannel *channel = dm_channel_open(look->connection, look->vm->uuid, DM_AGENT_PORT, &failed);
    if (channel != NULL)
      return channel;
    if (!g_error_matches(failed, DM_ERROR, DM_ERROR_BUSY) || try == BUSY_TRIES) {
      g_propagate_error(error, g_steal_pointer(&failed));
      return NULL;
    }
    g_usleep(BUSY_PAUSE_US);
  }
}

static void work_hypervisor(gpointer data) {
  Look *look = data;
  g_autoptr(GError) error = NULL;
  if (!dm_domain_look(look->connection, look->vm, &look->domain, &error))
    note(look, error->message);
  if (look->depth == DM_LOOK_COUNTING && look->vm->balloon && look->vm->balloon_period == 0 && look->vm->job == NULL)
    look->started = dm_domain_start_counting(look->connection, look->vm, NULL);
  g_clear_error(&error);
  if (look->vm->agent_port != DM_PORT_OPEN)
    return;
  look->channel = open_agent(look, &error);
  look->guest->busy = g_error_matches(error, DM_ERROR, DM_ERROR_BUSY);
  if (look->channel == NULL)
    note(look, look->guest->busy ? "another program speaks to dimmer-guest at this moment" : error->message);
}

static void on_hypervisor(gpointer data) {
  Look *look = data;
  if (look->channel == NULL) {
    ask_qemu_agent(look);
    return;
  }
  look->agent = dm_agent_new(look->channel);
  dm_agent_look(look->agent, look->guest, on_agent, look);
}

void dm_look(DmConnection *connection, const DmVm *vm, DmLookDepth depth, DmLookFunc done, gpointer data) {
  Look *look = g_new0(Look, 1);
  look->connection = dm_connection_ref(connection);
  look->vm = dm_vm_copy(vm);
  look->depth = depth;
  look->done = done;
  look->data = data;
  look->guest = dm_guest_new();
  dm_connection_run(connection, work_hypervisor, on_hypervisor, look);
}
