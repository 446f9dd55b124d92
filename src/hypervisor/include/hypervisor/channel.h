/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways to an agent inside a running VM: a conversation over a virtio-serial port, and qemu-guest-agent's commands.
 */
#pragma once

#include <glib.h>

#include "hypervisor/connection.h"
#include "model/vm.h"

/* The port that dimmer-guest opens inside (docs/guest-protocol.md). */
#define DM_AGENT_PORT "org.dimmer.guest.0"
#define DM_QEMU_AGENT_PORT "org.qemu.guest_agent.0"

typedef struct DmChannel DmChannel;

/* What arrived, or with @size 0 that the conversation has ended: nothing comes after that. */
typedef void (*DmChannelFunc)(const char *bytes, gsize size, gpointer data);

/*
 * Connects to that port of the running VM; whoever is connected to it already stays, and this fails with
 * DM_ERROR_BUSY. May block, in any thread. Nothing is delivered before dm_channel_start().
 */
DmChannel *dm_channel_open(DmConnection *connection, const char *uuid, const char *port, GError **error);

/* All below in the main loop's thread, and none of it blocks. */

void dm_channel_start(DmChannel *channel, DmChannelFunc func, gpointer data);

/* Sends @text after what was sent before, as soon as the other side takes it. */
void dm_channel_send(DmChannel *channel, const char *text);

/* Ends it; @func is not called any more. It may be called by @func itself. NULL is nothing. */
void dm_channel_close(DmChannel *channel);

/*
 * One command to qemu-guest-agent, and its answer: JSON texts. Waits at most @timeout seconds, a running command before
 * it included; may block longer behind another job of the VM, in any thread. The caller g_frees.
 */
char *dm_domain_qemu_agent(
  DmConnection *connection, const char *uuid, const char *command, int timeout, GError **error);

typedef struct {
  uint64_t total, usable; /* bytes; usable: what it could do without, without swapping. 0: not known */
} DmDomainLook;

/* What the hypervisor itself can tell of the inside of @vm, as it is now. May block, in any thread. */
gboolean dm_domain_look(DmConnection *connection, const DmVm *vm, DmDomainLook *look, GError **error);

/* Has the guest's balloon counted from now on, every few seconds. May block, in any thread. */
gboolean dm_domain_start_counting(DmConnection *connection, const DmVm *vm, GError **error);

/*
 * Gives the VM a virtio-serial port of that name, at once where it runs and for its next run where it is persistent;
 * what has it already stays as it is. May block, in any thread.
 */
gboolean dm_domain_add_port(DmConnection *connection, const DmVm *vm, const char *port, GError **error);
