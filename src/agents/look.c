/* SPDX-License-Identifier: Apache-2.0 */
/* What each source reports of a VM's inside, and when it is queried: see agents.c. */
#include "agents.h"

#include "agents/qemu_agent.h"
#include "base/error.h"
#include "base/size.h"

#define BUSY_TRIES 40
#define BUSY_PAUSE_US 50000

#define UNCOUNTED (128 * DM_MIB)

/* ---- dimmer-guest ---- */

gboolean look_needs_dimmer_guest(const Look *look) {
  return look->vm->agent_port == DM_PORT_OPEN;
}

/*
 * The port takes one client at a time. Another query, ours or another process's, ends soon; libvirt has no event for
 * that.
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

void look_open_dimmer_guest(Look *look) {
  g_autoptr(GError) error = NULL;
  look->channel = open_agent(look, &error);
  look->guest->busy = g_error_matches(error, DM_ERROR, DM_ERROR_BUSY);
  if (look->guest->busy)
    dm_notes_add(look->guest->notes, DM_NOTE_AGENT_BUSY);
  else if (look->channel == NULL)
    dm_notes_add(look->guest->notes, DM_NOTE_AGENT_FAILED, error->message);
}

static void on_agent(GError *error, gpointer data) {
  Look *look = data;
  if (error != NULL) { /* discard a partial report */
    dm_guest_free(look->guest);
    look->guest = dm_guest_new();
    dm_notes_add(look->guest->notes, DM_NOTE_AGENT_FAILED, error->message);
    g_error_free(error);
    g_clear_pointer(&look->agent, dm_agent_free);
  } else if (look->depth == DM_LOOK_REPORT) {
    g_clear_pointer(&look->agent, dm_agent_free);
  }
  look->answered(look);
}

void look_ask_dimmer_guest(Look *look) {
  if (look->channel == NULL) {
    look->answered(look);
    return;
  }
  look->agent = dm_agent_new(look->channel);
  dm_agent_look(look->agent, look->guest, on_agent, look);
}

/* ---- qemu-guest-agent ---- */

/* dimmer-guest reports all that a change needs; only this agent reports the operating system. */
gboolean look_needs_qemu_agent(const Look *look) {
  return look->vm->qemu_agent_port == DM_PORT_OPEN && (look->agent == NULL || look->depth != DM_LOOK_BRIEF);
}

void look_at_qemu_agent(Look *look) {
  g_autoptr(GError) error = NULL;
  if (!dm_qemu_agent_look(look->connection, look->vm, look->guest, &error))
    dm_notes_add(look->guest->notes, DM_NOTE_QEMU_AGENT_FAILED, error->message);
}

/* ---- the balloon ---- */

/*
 * What an inflated balloon leaves the guest; without one, all of its memory. With virtio-mem, libvirt's number lags
 * behind what the guest holds.
 */
static uint64_t left_by_balloon(const DmVm *vm) {
  uint64_t memory = dm_config_memory(vm->live);
  for (guint i = 0; i < vm->live->devices->len; i++) {
    if (((DmMemoryDevice *)vm->live->devices->pdata[i])->kind == DM_DEVICE_VIRTIO_MEM)
      return memory;
  }
  return vm->live->balloon != 0 && vm->live->balloon + DM_MIB <= memory ? vm->live->balloon : memory;
}

/*
 * Statistics are up to a period old. If their total is far below the guest's memory, a device was added since or memory
 * is offline; if it is above what the balloon leaves, the balloon was inflated since: then they do not show what it can
 * spare now. A kernel reserves a few per cent at boot.
 */
static gboolean statistics_fit(const DmDomainLook *stats, uint64_t memory, uint64_t left) {
  return stats->total != 0 && stats->total + UNCOUNTED >= left - left / 10 && (left == memory || stats->total <= left);
}

/* Upper bound of available memory under an inflated balloon; the kernel itself uses the rest. */
static void bound_by_balloon(DmGuest *guest, uint64_t left) {
  guest->total = left;
  guest->available = left - MIN(left / 2, UNCOUNTED);
  guest->memory_source = DM_SOURCE_HYPERVISOR;
}

gboolean look_needs_balloon(const Look *look) {
  return look->guest->memory_source == DM_SOURCE_NONE;
}

void look_at_balloon(Look *look) {
  DmGuest *guest = look->guest;
  uint64_t memory = dm_config_memory(look->vm->live), left = left_by_balloon(look->vm);
  DmDomainLook stats = {0};
  g_autoptr(GError) error = NULL;
  if (!dm_domain_look(look->connection, look->vm, &stats, &error))
    dm_notes_add(guest->notes, DM_NOTE_HOST_FAILED, error->message);
  if (statistics_fit(&stats, memory, left)) {
    guest->total = stats.total;
    guest->available = stats.usable;
    guest->memory_source = DM_SOURCE_BALLOON;
  } else if (left < memory) {
    bound_by_balloon(guest, left);
  }
}
