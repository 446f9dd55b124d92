/* SPDX-License-Identifier: Apache-2.0 */
/* A balloon under way: how far it may go next, and when it has ended. balloon.c plans it. */
#include "base/size.h"
#include "change.h"
#include "plan/balloon.h"

/* As for memory devices: a kernel swaps and kills before memory is used up; more than the maximum is useless. */
#define RESERVE_PARTS 20
#define RESERVE_LEAST (64 * DM_MIB)
#define RESERVE_MOST (1 * DM_GIB)
#define RESERVE_MORE 8 /* without autodeflate, an eighth of it is added */

/* The balloon's unit in virtio, whatever the guest's pages. */
#define PAGE (4 * DM_KIB)

/* Larger steps take half of what the guest can spare, as its report is up to a second old. */
#define WHOLE_STEP (64 * DM_MIB)
#define LEAST_STEP (4 * DM_MIB)

/* Enough to have the driver report what it holds. */
#define NUDGE DM_MIB

/*
 * How long a driver may take to report, at first and later, and a balloon under way may stand still. QEMU asks every
 * second; but an emulated guest on a loaded host is slow, so time alone decides only where nothing is reported.
 */
#define SILENT_US (10 * G_TIME_SPAN_SECOND)
#define STILL_US (5 * G_TIME_SPAN_SECOND)
#define RETRACT_US (10 * G_TIME_SPAN_SECOND)

/* A look that comes later counts as that: the host is loaded, so its guest is slow too, or dimmer was stopped. */
#define LOOK_MOST_US G_TIME_SPAN_SECOND

/* By the second report after a target the driver has seen it: the first may have been on its way. */
#define SEEN_REPORTS 2

/* So many reports of a driver that does not move: it is not slow, it does not want to. */
#define STILL_REPORTS 4

uint64_t dm_balloon_reserve(uint64_t memory, gboolean autodeflate) {
  uint64_t reserve = CLAMP(memory / RESERVE_PARTS, RESERVE_LEAST, RESERVE_MOST);
  return autodeflate ? reserve : reserve + reserve / RESERVE_MORE;
}

static void begin(DmBalloonWatch *watch, const DmBalloonStats *stats, gint64 now_us) {
  watch->begun = TRUE;
  watch->first_s = watch->updated_s = stats->updated_s;
  watch->actual = stats->actual;
  watch->looked_us = now_us;
}

static gboolean is_deflating(const DmBalloonWatch *watch) {
  return watch->target > watch->from;
}

static void take(DmBalloonWatch *watch, const DmBalloonStats *stats, gint64 now_us) {
  if (!watch->begun)
    begin(watch, stats, now_us);
  watch->clock_us += MIN(now_us - watch->looked_us, LOOK_MOST_US);
  watch->looked_us = now_us;
  if (stats->updated_s != watch->updated_s) {
    watch->proven = TRUE;
    watch->reported_us = watch->clock_us;
    watch->heard++;
    watch->still++;
  }
  if (stats->actual != watch->actual) {
    watch->moved_us = watch->clock_us;
    watch->still = 0;
    watch->rises = stats->actual > watch->actual;
  }
  watch->actual = stats->actual;
  watch->lowest = MIN(watch->lowest, watch->actual);
  watch->updated_s = stats->updated_s;
  if (!watch->looked && is_deflating(watch)) /* only now it is known where it was when the target was set */
    watch->from = MIN(watch->from, watch->actual);
  watch->looked = TRUE;
}

static DmBalloonMove set(DmBalloonWatch *watch, uint64_t target) {
  watch->from = watch->actual;
  watch->replaced = watch->target;
  watch->target = target;
  watch->set_us = watch->moved_us = watch->clock_us;
  watch->heard = watch->still = 0;
  watch->fresh = watch->rose = watch->rises = watch->looked = FALSE;
  watch->lowest = watch->actual;
  return (DmBalloonMove){.what = DM_BALLOON_SET, .target = target};
}

/* The driver has run since the last target was set. */
static gboolean has_seen_target(const DmBalloonWatch *watch) {
  return watch->heard >= SEEN_REPORTS;
}

static gboolean has_reached(const DmBalloonWatch *watch) {
  return watch->target == 0 || (is_deflating(watch) ? watch->actual >= watch->target : watch->actual <= watch->target);
}

/* The guest has its memory back whenever its driver comes. */
static gboolean stands(const DmBalloonWatch *watch, DmBalloonEnd why) {
  return watch->stands && is_deflating(watch) &&
    (why == DM_BALLOON_SHORT || why == DM_BALLOON_SILENT || why == DM_BALLOON_TIME);
}

/* By less than the MiB in which all is counted. */
static gboolean is_short_of_nothing(const DmBalloonWatch *watch, DmBalloonEnd why) {
  uint64_t rest = watch->actual > watch->goal ? watch->actual - watch->goal : watch->goal - watch->actual;
  return rest < DM_MIB && (why == DM_BALLOON_SHORT || why == DM_BALLOON_SPARE);
}

/* What is still pending becomes what was reached. */
static DmBalloonMove end(DmBalloonWatch *watch, DmBalloonEnd why) {
  if (is_short_of_nothing(watch, why))
    why = DM_BALLOON_REACHED;
  watch->end = why;
  if (!has_reached(watch) && stands(watch, why) && watch->target != watch->goal) {
    watch->standing = TRUE;
    return set(watch, watch->goal);
  }
  if (!has_reached(watch) && stands(watch, why))
    return (DmBalloonMove){.what = DM_BALLOON_END, .end = DM_BALLOON_LATER};
  if (has_reached(watch))
    return (DmBalloonMove){.what = DM_BALLOON_END, .end = why};
  watch->retracting = TRUE;
  return set(watch, watch->actual);
}

/*
 * A driver that started anew, as its guest did, has an empty balloon, while QEMU still reports what was reached before;
 * then it comes down to our target. So does one that was on its way to the target of a process that was killed. Another
 * program's target stays up; with autodeflate a guest that is short of memory takes some back by itself.
 */
static void follow_rise(DmBalloonWatch *watch) {
  if (watch->target == 0 || watch->autodeflate || watch->actual < MAX(watch->from, watch->target) + DM_MIB)
    return;
  watch->from = watch->actual;
  watch->rose = TRUE;
}

/*
 * It went below our target, or, while it gives back, below where it was. A driver that has not seen our target yet may
 * still be on its way to the one before, or to that of a process that was killed; and one that comes up again has.
 */
static gboolean is_lowered_by_others(const DmBalloonWatch *watch) {
  uint64_t lowest = MIN(watch->from, watch->target);
  if (watch->target == 0 || watch->rises || (is_deflating(watch) && !has_seen_target(watch)))
    return FALSE;
  if (watch->replaced != 0 && !has_seen_target(watch))
    lowest = MIN(lowest, watch->replaced);
  return watch->actual + DM_MIB <= lowest;
}

/*
 * The driver reports and does not move: it may have started anew, with an empty balloon, of which it tells QEMU only
 * once it moves.
 */
static gboolean needs_nudge(const DmBalloonWatch *watch) {
  return is_deflating(watch) && watch->target == watch->goal && watch->goal - watch->actual >= 2 * NUDGE &&
    watch->actual == watch->from && has_seen_target(watch);
}

/* It does not move any more. A balloon that came back was set so by others: their target stands, as it is reached. */
static DmBalloonEnd find_obstacle(const DmBalloonWatch *watch, gboolean silent) {
  gboolean came_back = !is_deflating(watch) && !watch->autodeflate && watch->actual >= watch->lowest + DM_MIB;
  return silent ? DM_BALLOON_SILENT : came_back || watch->rose ? DM_BALLOON_OTHERS : DM_BALLOON_SHORT;
}

static gboolean is_silent(const DmBalloonWatch *watch) {
  return watch->clock_us - watch->reported_us > SILENT_US;
}

/* On its way it may be slow, or move in bursts: only its own reports tell that it stays. */
static gboolean stands_still(const DmBalloonWatch *watch) {
  return watch->clock_us - watch->moved_us > STILL_US && (watch->still >= STILL_REPORTS || is_silent(watch));
}

/* Until it is where it was when the target was taken back: it may have gone on meanwhile. */
static gboolean comes_back(const DmBalloonWatch *watch) {
  return watch->actual != watch->target && watch->clock_us - watch->moved_us <= STILL_US &&
    watch->clock_us - watch->set_us <= RETRACT_US;
}

static DmBalloonMove next_step(DmBalloonWatch *watch, const DmBalloonStats *stats) {
  uint64_t rest = dm_size_minus(watch->actual, watch->goal), spare = dm_size_minus(stats->usable, watch->reserve);
  if (watch->goal > watch->actual && watch->goal - watch->actual >= PAGE)
    return set(watch, watch->goal);
  if (rest < PAGE)
    return end(watch, DM_BALLOON_REACHED);
  if (!watch->proven && is_silent(watch))
    return end(watch, watch->first_s == 0 ? DM_BALLOON_NO_DRIVER : DM_BALLOON_SILENT);
  if (!watch->proven)
    return (DmBalloonMove){.what = DM_BALLOON_WAIT};
  if (spare < MIN(rest, LEAST_STEP))
    return end(watch, DM_BALLOON_SPARE);
  uint64_t step = MIN(rest, spare <= WHOLE_STEP ? spare : MAX(spare / 2, WHOLE_STEP));
  return set(watch, step == rest ? watch->goal : watch->actual - step + step % PAGE);
}

DmBalloonMove dm_balloon_next(DmBalloonWatch *watch, const DmBalloonStats *stats, gint64 now_us) {
  const DmBalloonMove wait = {.what = DM_BALLOON_WAIT};
  take(watch, stats, now_us);
  if (watch->standing)
    return (DmBalloonMove){.what = DM_BALLOON_END, .end = DM_BALLOON_LATER};
  if (watch->retracting)
    return comes_back(watch) ? wait : (DmBalloonMove){.what = DM_BALLOON_END, .end = watch->end};
  follow_rise(watch);
  if (watch->rose && watch->actual + DM_MIB <= watch->from) /* it is ours: no further than its next report allows */
    return set(watch, watch->actual);
  if (is_lowered_by_others(watch))
    return (DmBalloonMove){.what = DM_BALLOON_END, .end = DM_BALLOON_OTHERS}; /* their target has replaced ours */
  if (watch->target == watch->goal && has_reached(watch))
    return end(watch, DM_BALLOON_REACHED);
  if (watch->stop || now_us >= watch->until_us)
    return end(watch, watch->stop ? DM_BALLOON_STOPPED : DM_BALLOON_TIME);
  if (!has_reached(watch)) {
    if (needs_nudge(watch))
      return set(watch, watch->goal - NUDGE);
    return stands_still(watch) ? end(watch, find_obstacle(watch, is_silent(watch))) : wait;
  }
  if (!watch->fresh) {
    watch->fresh = TRUE;
    watch->reached_s = watch->updated_s;
  }
  if (watch->target != 0 && watch->updated_s == watch->reached_s)
    return is_silent(watch) ? end(watch, DM_BALLOON_SILENT) : wait;
  return next_step(watch, stats);
}

DmNote *dm_balloon_reason(const DmVm *vm, DmBalloonEnd why, uint64_t actual) {
  g_autofree char *left = dm_size_format(dm_size_floor_mib(actual));
  switch (why) {
    case DM_BALLOON_REACHED:
      break;
    case DM_BALLOON_SHORT:
      return dm_note_new(DM_NOTE_BALLOON_SHORT, left);
    case DM_BALLOON_SPARE:
      return dm_note_new(DM_NOTE_BALLOON_SPARE_ENDS, left);
    case DM_BALLOON_NO_DRIVER:
      return dm_note_new(DM_NOTE_BALLOON_NO_DRIVER);
    case DM_BALLOON_SILENT:
      return dm_note_new(DM_NOTE_BALLOON_SILENT, left);
    case DM_BALLOON_OTHERS:
      return dm_note_new(DM_NOTE_BALLOON_OTHERS, left);
    case DM_BALLOON_LATER:
      return dm_note_new(DM_NOTE_BALLOON_LATER, left);
    case DM_BALLOON_TIME:
      return dm_note_new(DM_NOTE_BALLOON_TIME, left);
    case DM_BALLOON_STOPPED:
      return dm_note_new(DM_NOTE_BALLOON_STOPPED, left);
  }
  return NULL;
}
