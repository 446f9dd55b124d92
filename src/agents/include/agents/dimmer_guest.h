/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation with dimmer-guest inside a VM (docs/guest-protocol.md). What the guest says is checked field by
 * field; a guest that breaks the protocol ends the conversation and harms nothing else.
 *
 * Everything here belongs to the main loop's thread, and nothing blocks.
 */
#pragma once

#include <glib.h>

#include "hypervisor/channel.h"
#include "model/guest.h"

typedef struct DmAgent DmAgent;

typedef struct {
  gboolean ok;        /* it was done */
  gboolean silent;    /* no answer: the conversation has ended, or the deadline has passed */
  gboolean cut;       /* silent because the VM or the connection to its host is gone */
  const char *code;   /* the error of the protocol: "stays", "cancelled", ...; NULL if ok or silent */
  const char *why;    /* of DM_AGENT_MOVABLE, where not all are movable: "kernel", "memory", ...; NULL: not reported */
  const char *detail; /* in words; never NULL where not ok, or where there is a reason */
  uint64_t block;     /* address of the block concerned; 0: none */
  gboolean restored;  /* after an error: everything is online again */
  uint64_t done, of;  /* of DM_AGENT_MOVABLE: blocks that are movable now */
} DmAgentAnswer;

/* Takes over the channel. */
DmAgent *dm_agent_new(DmChannel *channel) G_GNUC_WARN_UNUSED_RESULT;

/* Ends the conversation: what dimmer-guest holds offline for us comes back online. No function is called any more. */
void dm_agent_free(DmAgent *agent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmAgent, dm_agent_free)

/* Whether it still answers. */
gboolean dm_agent_is_alive(const DmAgent *agent);

/*
 * Queries all that it can report into @guest, which the caller keeps until @done is called. On an error (owned by the
 * caller) what was reported before it stays in @guest.
 */
typedef void (*DmAgentLookFunc)(GError *error, gpointer data);
void dm_agent_look(DmAgent *agent, DmGuest *guest, DmAgentLookFunc done, gpointer data);

typedef enum {
  DM_AGENT_OFFLINE,     /* takes a movable range offline and keeps it offline */
  DM_AGENT_OFFLINE_ANY, /* the same, movable or not */
  DM_AGENT_ONLINE,      /* brings it back */
  DM_AGENT_MOVABLE,     /* makes it movable where possible */
  DM_AGENT_POLICY,      /* has the kernel bring new memory online as movable, or leave that to dimmer-guest; takes no
                         * range */
#define DM_AGENT_WORKS (DM_AGENT_POLICY + 1)
} DmAgentWork;

typedef void (*DmAgentProgressFunc)(uint64_t done, uint64_t of, gpointer data); /* blocks */
typedef void (*DmAgentDoneFunc)(const DmAgentAnswer *answer, gpointer data);

/*
 * One at a time. @hold: of OFFLINE, for so many seconds at most. @timeout: seconds; after that the work is cancelled,
 * and the answer to that counts. @progress may be NULL. @done is called once, after this returns.
 */
void dm_agent_work(DmAgent *agent, DmAgentWork work, uint64_t start, uint64_t size, guint hold, double timeout,
  DmAgentProgressFunc progress, DmAgentDoneFunc done, gpointer data);

/* Cancels the work that is under way: its answer still comes, "cancelled" or what came first. */
void dm_agent_cancel(DmAgent *agent);
