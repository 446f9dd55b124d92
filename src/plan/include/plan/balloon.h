/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon as the third way to lower a running VM: what it is to leave the guest, and how far it may go from one
 * moment to the next. Pure functions, so a test can play any guest.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/vm.h"
#include "plan/change.h"
#include "words/note.h"

/*
 * What the guest of a VM with that memory keeps available, in bytes, whatever of it the balloon holds already: its
 * kernel swaps and kills before memory is used up. An eighth more for a balloon that does not deflate by itself when
 * the guest is short of memory (autodeflate): more than an unplug leaves it, as a balloon takes all of the rest to the
 * page.
 */
uint64_t dm_balloon_reserve(uint64_t memory, gboolean autodeflate);

/* It leaves the guest more in the end: what else the plan lowers, that makes up for. */
gboolean dm_balloon_gives(const DmStep *planned);

/*
 * Where the balloon of @step, recorded for that of @plan, ends after the answers of the devices: by what @vm has of
 * them, for a request of @memory (0: any), with what is still to go. It @takes what is above that; else it holds again
 * what it held, but if that is dimmer's @own, no more than leaves the guest @memory. What it is to hold for other
 * programs it does not give.
 */
uint64_t dm_balloon_last_goal(const DmVm *vm, const DmStep *step, const DmPlan *plan, uint64_t memory, gboolean takes,
  gboolean own) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Writes into @live what its balloon holds now that a request has moved it. @own: it is dimmer's, but for
 * balloon_others; else another program has moved it meanwhile. @goes_on: the request is not at its end.
 */
void dm_balloon_account(DmConfig *live, uint64_t held, gboolean own, gboolean goes_on);

/* What the balloon of a VM of that configuration holds is what dimmer left in it: nobody has moved it since. */
gboolean dm_balloon_is_own(const DmConfig *live, uint64_t held);

/* Which part of that other programs had it take, by what dimmer left in it: all that it holds, if it was moved since.
 */
uint64_t dm_balloon_of_others(const DmConfig *live, uint64_t held);

typedef enum {
  DM_BALLOON_REACHED,
  DM_BALLOON_SHORT,     /* the guest gives no more */
  DM_BALLOON_SPARE,     /* it could give more, but only from its reserve */
  DM_BALLOON_NO_DRIVER, /* nothing ever reported */
  DM_BALLOON_SILENT,    /* the driver does not answer any more */
  DM_BALLOON_OTHERS,    /* another program moves the balloon */
  DM_BALLOON_LATER,     /* the guest has not taken all back yet; the target stands */
  DM_BALLOON_TIME,      /* the time is over */
  DM_BALLOON_STOPPED,   /* waiting was stopped */
#define DM_BALLOON_ENDS (DM_BALLOON_STOPPED + 1)
} DmBalloonEnd;

typedef enum {
  DM_BALLOON_WAIT, /* for the next report */
  DM_BALLOON_SET,  /* a new target */
  DM_BALLOON_END,
} DmBalloonDo;

typedef struct {
  DmBalloonDo what;
  uint64_t target;  /* to be set */
  DmBalloonEnd end; /* why it ends */
} DmBalloonMove;

/* A balloon under way. Times are monotonic, in microseconds. */
typedef struct {
  uint64_t goal;
  uint64_t reserve; /* dm_balloon_reserve() of the VM */
  gboolean autodeflate;
  gboolean stands; /* a target that gives back may stay pending, as it is what is asked for */
  gint64 until_us; /* the end of the time for it */
  gboolean stop;   /* waiting was stopped */
  /* All below is dm_balloon_next()'s own: 0 at first. */
  gboolean begun, proven, fresh, rose, standing, retracting;
  gboolean looked;                       /* since the last target */
  gboolean rises;                        /* its last move was upward */
  guint heard;                           /* reports since the last target */
  guint still;                           /* those since it moved */
  uint64_t from;                         /* what it left when the last target was set */
  uint64_t target;                       /* the last one; 0: none yet */
  uint64_t replaced;                     /* the one before it */
  uint64_t actual;                       /* as last reported */
  uint64_t lowest;                       /* since that target */
  int64_t first_s, updated_s, reached_s; /* by the host's clock, which may jump: only compared for being equal */
  gint64 looked_us, clock_us;            /* the last look; time as far as dimmer was looking */
  gint64 moved_us, reported_us, set_us;  /* by that clock */
  DmBalloonEnd end;
} DmBalloonWatch;

/*
 * What to do after that report. An inflation goes in steps, each within what the guest can spare by a report that came
 * after the step before; and only once the driver has reported at all, as QEMU keeps a target for a driver that comes
 * later. At its end no target is pending: where it stops short, the target becomes what was reached. Except where
 * memory is given back for good (stands): while a guest starts, QEMU still reports what the driver had reached before,
 * and that as a target would have it take the memory anew.
 */
DmBalloonMove dm_balloon_next(DmBalloonWatch *watch, const DmBalloonStats *stats, gint64 now_us);

/* Why it ended, for a step of @vm that reached @actual; NULL: it reached its goal. The caller owns it. */
DmNote *dm_balloon_reason(const DmVm *vm, DmBalloonEnd end, uint64_t actual) G_GNUC_WARN_UNUSED_RESULT;
