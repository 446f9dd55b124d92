/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a VM as its agents report it: dimmer-guest, else qemu-guest-agent; for spare memory, balloon statistics
 * if neither reports it.
 */
#pragma once

#include <glib.h>

#include "agents/dimmer_guest.h"
#include "model/vm.h"

/*
 * @guest: what was reported (owned by the caller; with notes about agents that did not answer). @agent: the
 * conversation with dimmer-guest, open (owned by the caller; NULL: none, or closed so that others can use the port, as
 * for DM_LOOK_REPORT).
 */
typedef void (*DmLookFunc)(DmGuest *guest, DmAgent *agent, gpointer data);

typedef enum {
  DM_LOOK_BRIEF,  /* for a change: the first agent that reports what it needs */
  DM_LOOK_WHOLE,  /* for work inside: queries both agents */
  DM_LOOK_REPORT, /* for display: the same, and releases dimmer-guest */
} DmLookDepth;

/*
 * Queries the agents of @vm, a running VM as just read. @done is called in the main loop's thread, after this returns
 * and within seconds of the hypervisor's own answers. Call it in that thread; does not block.
 */
void dm_look(DmConnection *connection, const DmVm *vm, DmLookDepth depth, DmLookFunc done, gpointer data);
