/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a total back from the running VMs of one connection, side by side. See reclaim.c for how it works.
 *
 * Everything here belongs to the thread that runs the default GLib main loop, and the listener is called there; nothing
 * blocks.
 */
#pragma once

#include <glib.h>

#include "engine/change.h"
#include "plan/reclaim.h"

typedef struct DmReclaim DmReclaim;

/* One VM. Valid until dm_reclaim_free(). */
typedef struct {
  char *name, *uuid;
  DmVm *vm;             /* as last read; without its guest's report until that has come */
  DmReclaimShare share; /* what it was asked for so far, or with dry_run would be */
  uint64_t given;       /* bytes that its guest has released of that */
  uint64_t pending;     /* bytes that it may still release */
  gboolean is_asked;
  DmOutcome outcome; /* of what it was asked for, once that has ended */
  DmNote *reason;    /* why it gives nothing, or no more; NULL: none is known */
  GError *error;     /* of its change; NULL: none */
} DmReclaimVm;

typedef struct {
  uint64_t total;           /* bytes */
  const char *const *names; /* of the VMs: patterns with * and ?, or UUIDs; NULL: all */
  gboolean balloon;         /* the balloon takes what no device can give, also where only asking for it allows that */
  gboolean dry_run;         /* only looks, and shares out */
  double timeout_s;         /* how long to wait for the answers of each guest */
} DmReclaimOptions;

typedef struct {
  void (*asked)(const DmReclaimVm *vm, const DmReclaimShare *share, gpointer data); /* is about to be */
  void (*answered)(const DmReclaimVm *vm, uint64_t given, gpointer data);           /* what came of it */
  void (*ended)(gpointer data);                                                     /* the last call */
} DmReclaimListener;

/* @options is copied. */
DmReclaim *dm_reclaim_new(DmConnection *connection, const DmReclaimOptions *options, const DmReclaimListener *listener,
  gpointer listener_data) G_GNUC_WARN_UNUSED_RESULT;
/* Only before the start or after the end. */
void dm_reclaim_free(DmReclaim *reclaim);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmReclaim, dm_reclaim_free)

/* From now on the listener is called, later than this returns. */
void dm_reclaim_start(DmReclaim *reclaim);

/* Asks no VM any more, and stops waiting for those that were: what they have not answered stays pending. */
void dm_reclaim_stop(DmReclaim *reclaim);

/* All below after the end, and owned by the reclaim. */
const GError *dm_reclaim_error(const DmReclaim *reclaim);  /* nothing could be asked at all; NULL: there is none */
const GPtrArray *dm_reclaim_vms(const DmReclaim *reclaim); /* DmReclaimVm, sorted by name */
gboolean dm_reclaim_was_stopped(const DmReclaim *reclaim);

/* Sums over all VMs. */
DmReclaimVm dm_reclaim_sums(const DmReclaim *reclaim);

/*
 * DONE: the total, or more; PARTLY: less; where nothing came, FAILED if the connection was lost, OVERDUE if a guest may
 * still answer, REFUSED if one did, CALLED_OFF if it was stopped before any was asked, FAILED if all that were asked
 * failed, as the first one's error says, and else KEPT: no VM had anything to give.
 */
DmOutcome dm_reclaim_outcome(const DmReclaim *reclaim);
