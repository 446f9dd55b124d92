/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One picture of a VM's inside, from whoever answers: dimmer-guest, else qemu-guest-agent, and for spare memory the
 * balloon's statistics where neither tells.
 */
#pragma once

#include <glib.h>

#include "guest/dimmer_guest.h"
#include "model/vm.h"

/*
 * @guest: what was told (owned by the caller; with notes where somebody did not answer). @agent: the conversation with
 * dimmer-guest, open (owned by the caller; NULL: there is none, or it is over, so that others have their turn, as in
 * DM_LOOK_COUNTING).
 */
typedef void (*DmLookFunc)(DmGuest *guest, DmAgent *agent, gpointer data);

typedef enum {
  DM_LOOK_BRIEF,    /* for a change: whoever tells what it needs */
  DM_LOOK_WHOLE,    /* for work: both agents are asked */
  DM_LOOK_COUNTING, /* for people: the same, and a balloon that does not count is told to, for the next look */
} DmLookDepth;

/*
 * Asks whoever is there in @vm, a running VM as it was just read. @done is called in the main loop's thread, later than
 * this returns, and within seconds of the hypervisor's own answers. In that thread; does not block.
 */
void dm_look(DmConnection *connection, const DmVm *vm, DmLookDepth depth, DmLookFunc done, gpointer data);
