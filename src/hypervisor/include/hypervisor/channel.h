/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways to an agent inside a running VM: a channel over a virtio-serial port, and qemu-guest-agent's commands.
 */
#pragma once

#include <glib.h>

#include "hypervisor/connection.h"
#include "model/vm.h"

/* The port that dimmer-guest opens inside (docs/guest-protocol.md). */
#define DM_AGENT_PORT "org.dimmer.guest.0"
#define DM_QEMU_AGENT_PORT "org.qemu.guest_agent.0"

typedef struct DmChannel DmChannel;

/* Data that arrived; @size 0: the channel was closed, and no call follows. */
typedef void (*DmChannelFunc)(const char *bytes, gsize size, gpointer data);

/*
 * Connects to that port of the running VM; if another program is connected to it, this fails with DM_ERROR_BUSY. May
 * block, in any thread. Nothing is delivered before dm_channel_start().
 */
DmChannel *dm_channel_open(
  DmConnection *connection, const char *uuid, const char *port, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* All below: in the main loop's thread; does not block. */

void dm_channel_start(DmChannel *channel, DmChannelFunc func, gpointer data);

/* Queues @text behind earlier data, to be sent as the other side takes it. */
void dm_channel_send(DmChannel *channel, const char *text);

/* Closes it; @func is not called any more. @func itself may call this. NULL is allowed. */
void dm_channel_close(DmChannel *channel);

/*
 * One command to qemu-guest-agent, and its answer: JSON texts. Waits at most @timeout seconds, including for a command
 * already running; may block longer behind another job of the VM. Any thread. The caller g_frees.
 */
char *dm_domain_qemu_agent(DmConnection *connection, const char *uuid, const char *command, int timeout,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
  uint64_t total, usable; /* bytes; usable: what it could release without swapping. 0: not known */
} DmDomainLook;

/* What the hypervisor itself knows of the inside of @vm now. May block; any thread. */
gboolean dm_domain_look(
  DmConnection *connection, const DmVm *vm, DmDomainLook *look, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Adds a virtio-serial port of that name to the VM: at once if it runs, and for its next run if it is persistent. A
 * configuration that has it stays unchanged. May block; any thread.
 */
gboolean dm_domain_add_port(
  DmConnection *connection, const DmVm *vm, const char *port, GError **error) G_GNUC_WARN_UNUSED_RESULT;
