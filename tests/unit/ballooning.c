/* SPDX-License-Identifier: Apache-2.0 */
/* A balloon under way, with any guest at its other end. */
#include "base/size.h"
#include "plan/balloon.h"

typedef struct {
  uint64_t actual, used; /* MiB: what it has, and what its programs hold */
  gboolean driver, silent, autodeflate;
  guint hidden;     /* MiB: what QEMU reports until the driver has moved */
  guint sticks;     /* MiB: it gives nothing below that */
  guint silent_at;  /* MiB: the driver hangs once it is there */
  guint others_at;  /* MiB: another program sets the balloon ... */
  guint others_set; /* ... to that */
  guint pursues;    /* MiB: the target of a killed process, until it sees another */
  /* In tenths of a second: */
  guint reports; /* between two of them; 0: 10 */
  guint bursts;  /* between two of its moves; 0: 1 */
  guint lags;    /* until it sees a target */
  guint looks;   /* between two looks of dimmer; 0: 1 */
} Guest;

typedef struct {
  DmBalloonEnd end;
  uint64_t actual, pending, least_free; /* MiB; pending: the target that QEMU is left with */
  guint targets;
} Run;

static uint64_t free_of(const Guest *guest) {
  return dm_size_minus(guest->actual, guest->used);
}

/* 64 MiB in each tenth of a second, as long as the guest has something free. */
static void let_guest(Guest *guest, uint64_t target) {
  if (!guest->driver || guest->silent)
    return;
  if (guest->actual != target)
    guest->hidden = 0;
  if (guest->actual < target)
    guest->actual = MIN(target, guest->actual + 64);
  uint64_t least = MAX(MAX(target, guest->sticks), guest->used);
  if (guest->actual > least)
    guest->actual = MAX(least, guest->actual - MIN(guest->actual, 64));
  if (guest->silent_at != 0 && guest->actual <= guest->silent_at)
    guest->silent = TRUE;
}

#define LONGEST 6000 /* tenths of a second */

static Run run(Guest guest, uint64_t goal) {
  uint64_t targets[LONGEST];
  uint64_t first = guest.pursues != 0 ? guest.pursues : guest.actual;
  guint reports = guest.reports != 0 ? guest.reports : 10, bursts = MAX(guest.bursts, 1);
  Run result = {.pending = guest.actual, .least_free = UINT64_MAX};
  DmBalloonWatch watch = {
    .goal = goal * DM_MIB,
    .reserve = dm_balloon_reserve(guest.actual * DM_MIB, guest.autodeflate),
    .autodeflate = guest.autodeflate,
    .until_us = LONGEST / 10 * G_USEC_PER_SEC,
  };
  DmBalloonStats stats = {0};
  for (gint64 tenth = 0; tenth < LONGEST; tenth++) {
    targets[tenth] = result.pending;
    if (tenth % bursts == 0)
      let_guest(&guest, tenth >= guest.lags ? targets[tenth - guest.lags] : first);
    if (guest.others_at != 0 && guest.actual <= guest.others_at)
      result.pending = guest.others_set;
    result.least_free = MIN(result.least_free, free_of(&guest));
    stats.actual = (guest.hidden != 0 ? guest.hidden : guest.actual) * DM_MIB;
    if (guest.driver && !guest.silent && tenth % reports == 0) {
      stats.updated_s = 1000 + tenth / 10;
      stats.usable = free_of(&guest) * DM_MIB;
    }
    if (tenth % MAX(guest.looks, 1) != 0)
      continue;
    DmBalloonMove move = dm_balloon_next(&watch, &stats, tenth * G_USEC_PER_SEC / 10);
    result.targets += move.what == DM_BALLOON_SET;
    if (move.what == DM_BALLOON_SET)
      result.pending = move.target / DM_MIB;
    if (move.what == DM_BALLOON_END) {
      result.end = move.end;
      result.actual = guest.actual;
      return result;
    }
  }
  g_assert_not_reached();
}

static void test_reaches(void) {
  Run result = run((Guest){.actual = 1024, .used = 200, .driver = TRUE}, 512);
  g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
  g_assert_cmpuint(result.actual, ==, 512);
  g_assert_cmpuint(result.targets, >, 1); /* in steps, */
  g_assert_cmpuint(result.targets, <, 6); /* none of which is taken back */
  result = run((Guest){.actual = 512, .used = 200, .driver = TRUE}, 1024);
  g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
  g_assert_cmpuint(result.actual, ==, 1024);
  result = run((Guest){.actual = 512, .used = 200}, 512);
  g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
  g_assert_cmpuint(result.targets, ==, 0);
}

/* Emulated guests on a loaded host: only late, neither silent, nor short of memory, nor moved by others. */
static void test_slow(void) {
  static const Guest guests[] = {
    {.reports = 60},
    {.bursts = 80, .reports = 30},
    {.bursts = 70, .reports = 70, .lags = 40},
    {.lags = 65, .reports = 40},
    {.looks = 70, .reports = 50, .lags = 90},
    {.looks = 60, .reports = 120, .bursts = 120},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(guests); i++) {
    Guest guest = guests[i];
    guest.driver = TRUE;
    guest.used = 100;
    guest.actual = 1024;
    Run result = run(guest, 600);
    g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
    g_assert_cmpuint(result.actual, ==, 600);
    guest.actual = 700;
    guest.pursues = 300;
    result = run(guest, 1024);
    g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
    g_assert_cmpuint(result.actual, ==, 1024);
    guest.pursues = 0;
    guest.actual = 1024;
    guest.hidden = 500; /* it started anew */
    result = run(guest, 300);
    g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
    g_assert_cmpuint(result.actual, ==, 300);
  }
}

/* A target that is taken back: what counts is where the driver is once it has seen that. */
static void test_taken_back(void) {
  DmBalloonWatch watch = {.goal = 512 * DM_MIB, .until_us = 10 * G_USEC_PER_SEC};
  DmBalloonStats stats = {1024 * DM_MIB, 900 * DM_MIB, 1000};
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_WAIT);
  stats.updated_s++;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 1).what, ==, DM_BALLOON_SET);
  stats.actual = 1000 * DM_MIB;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, watch.until_us);
  g_assert_cmpint(move.what, ==, DM_BALLOON_SET);
  g_assert_cmpuint(move.target, ==, 1000 * DM_MIB);
  for (guint tenth = 1; tenth < 30; tenth++) {
    stats.actual = (tenth < 15 ? 1000 - tenth : 970 + tenth) * DM_MIB;
    g_assert_cmpint(
      dm_balloon_next(&watch, &stats, watch.until_us + tenth * G_USEC_PER_SEC / 10).what, ==, DM_BALLOON_WAIT);
  }
  stats.actual = 1000 * DM_MIB;
  move = dm_balloon_next(&watch, &stats, watch.until_us + 3 * G_USEC_PER_SEC);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_TIME);
}

/* However much is wanted, the guest keeps its reserve: a larger one without autodeflate. */
static void test_reserve(void) {
  for (int autodeflate = 0; autodeflate < 2; autodeflate++) {
    uint64_t reserve = dm_balloon_reserve(2048 * DM_MIB, autodeflate) / DM_MIB;
    Run result = run((Guest){.actual = 2048, .used = 700, .driver = TRUE, .autodeflate = autodeflate}, 256);
    g_assert_cmpint(result.end, ==, DM_BALLOON_SPARE);
    g_assert_cmpuint(result.least_free, >=, reserve);
    /* At least 95% of what it can spare, also by the smaller reserve of an unplug. */
    g_assert_cmpuint(2048 - result.actual, >=, (2048 - 700 - reserve) * 99 / 100);
    g_assert_cmpuint(2048 - result.actual, >=, (2048 - 700 - 2048 / 20) * 95 / 100);
    g_assert_cmpuint(result.pending, ==, result.actual);
  }
  g_assert_cmpuint(dm_balloon_reserve(512 * DM_MIB, TRUE), ==, 64 * DM_MIB);
  g_assert_cmpuint(dm_balloon_reserve(2000 * DM_MIB, TRUE), ==, 100 * DM_MIB);
  g_assert_cmpuint(dm_balloon_reserve(2000 * DM_MIB, FALSE), ==, 112 * DM_MIB + DM_MIB / 2);
  g_assert_cmpuint(dm_balloon_reserve(64 * DM_GIB, TRUE), ==, 1 * DM_GIB);
}

/* No target before the driver has reported: QEMU would keep it for a driver that comes later. */
static void test_no_driver(void) {
  Run result = run((Guest){.actual = 1024}, 512);
  g_assert_cmpint(result.end, ==, DM_BALLOON_NO_DRIVER);
  g_assert_cmpuint(result.targets, ==, 0);
}

static void test_stops_short(void) {
  Run result = run((Guest){.actual = 1024, .used = 100, .driver = TRUE, .sticks = 800}, 400);
  g_assert_cmpint(result.end, ==, DM_BALLOON_SHORT);
  g_assert_cmpuint(result.actual, ==, 800);
  g_assert_cmpuint(result.pending, ==, 800);
}

/*
 * Looks five times a second, with a report each @every seconds (0: none), while the balloon moves by so many MiB from
 * one look to the next: until the watch does something, or for @most seconds.
 */
static DmBalloonMove drift(DmBalloonWatch *watch, DmBalloonStats *stats, int mib, guint every, guint most) {
  DmBalloonMove move = {.what = DM_BALLOON_WAIT};
  gint64 now_us = watch->looked_us;
  for (guint fifth = 1; fifth <= most * 5 && move.what == DM_BALLOON_WAIT; fifth++) {
    stats->updated_s += every != 0 && fifth % (5 * every) == 0;
    stats->actual += (uint64_t)((int64_t)mib * (int64_t)DM_MIB);
    move = dm_balloon_next(watch, stats, now_us += G_USEC_PER_SEC / 5);
  }
  return move;
}

/* It stays where it is. */
static DmBalloonMove look_on(DmBalloonWatch *watch, DmBalloonStats *stats, gboolean reports, guint most) {
  return drift(watch, stats, 0, reports, most);
}

static void assert_set(DmBalloonMove move, uint64_t target) {
  g_assert_cmpint(move.what, ==, DM_BALLOON_SET);
  g_assert_cmpuint(move.target, ==, target);
}

static void assert_end(DmBalloonMove move, DmBalloonEnd end) {
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, end);
}

static void assert_waits(DmBalloonMove move) {
  g_assert_cmpint(move.what, ==, DM_BALLOON_WAIT);
}

/* A balloon that has been told its only target, of a guest that can spare all. In MiB. */
static DmBalloonWatch under_way(uint64_t from, uint64_t goal, DmBalloonStats *stats) {
  DmBalloonWatch watch = {.goal = goal * DM_MIB, .until_us = G_MAXINT64};
  *stats = (DmBalloonStats){from * DM_MIB, from * DM_MIB, 1000};
  DmBalloonMove move = dm_balloon_next(&watch, stats, 0);
  stats->updated_s++;
  if (move.what == DM_BALLOON_WAIT)
    move = dm_balloon_next(&watch, stats, 1);
  assert_set(move, watch.goal);
  return watch;
}

/* One that stays within less than a page of its goal is there, and nothing is set. */
static void test_by_less_than_a_page(void) {
  for (int less = -1; less <= 1; less += 2) {
    DmBalloonWatch watch = {.goal = 512 * DM_MIB, .until_us = G_MAXINT64};
    DmBalloonStats stats = {512 * DM_MIB + (uint64_t)(less * 2 * (int)DM_KIB), 400 * DM_MIB, 1000};
    assert_end(dm_balloon_next(&watch, &stats, 0), DM_BALLOON_REACHED);
  }
}

/* Each target on the way is whole pages, whatever the guest reports. */
static void test_whole_pages(void) {
  DmBalloonWatch watch = {.goal = 200 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1024 * DM_MIB, 901 * DM_MIB + 3, 1000};
  assert_waits(dm_balloon_next(&watch, &stats, 0));
  stats.updated_s++;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, 1);
  g_assert_cmpint(move.what, ==, DM_BALLOON_SET);
  g_assert_cmpuint(move.target % (4 * DM_KIB), ==, 0);
}

/* The last MiB are taken though the guest can spare few; but it is not asked for each one that comes free. */
static void test_last_steps(void) {
  static const struct {
    guint rest, spare; /* KiB */
    DmBalloonEnd end;
  } cases[] = {
    {2048, 3072, DM_BALLOON_REACHED}, {2048, 1024, DM_BALLOON_SPARE}, {9000, 1024, DM_BALLOON_SPARE},
    {512, 256, DM_BALLOON_REACHED}, /* by less than is counted */
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    DmBalloonWatch watch = {.goal = 512 * DM_MIB, .until_us = G_MAXINT64};
    DmBalloonStats stats = {watch.goal + cases[i].rest * DM_KIB, cases[i].spare * DM_KIB, 1000};
    assert_waits(dm_balloon_next(&watch, &stats, 0));
    stats.updated_s++;
    DmBalloonMove move = dm_balloon_next(&watch, &stats, 1);
    if (cases[i].spare >= cases[i].rest) {
      assert_set(move, watch.goal);
      stats.actual = watch.goal;
      move = dm_balloon_next(&watch, &stats, 2);
    }
    assert_end(move, cases[i].end);
  }
}

/* What could be reported was reported long ago. */
static void test_silent_from_the_start(void) {
  DmBalloonWatch watch = {.goal = 512 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1024 * DM_MIB, 900 * DM_MIB, 1000};
  assert_end(look_on(&watch, &stats, FALSE, 12), DM_BALLOON_SILENT);
}

/* A step is reached, and nothing is reported any more: how far the next one may go is not known. */
static void test_silent_between_steps(void) {
  DmBalloonWatch watch = {.goal = 100 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1024 * DM_MIB, 900 * DM_MIB, 1000};
  assert_waits(dm_balloon_next(&watch, &stats, 0));
  stats.updated_s++;
  stats.actual = dm_balloon_next(&watch, &stats, 1).target;
  assert_end(look_on(&watch, &stats, FALSE, 12), DM_BALLOON_SILENT);
}

/* dimmer was stopped for an hour: that the guest has said nothing means nothing. */
static void test_late_look(void) {
  DmBalloonStats stats;
  DmBalloonWatch watch = under_way(1024, 600, &stats);
  assert_waits(dm_balloon_next(&watch, &stats, G_TIME_SPAN_HOUR));
  assert_waits(look_on(&watch, &stats, TRUE, 4));
  stats.actual = watch.goal;
  assert_end(look_on(&watch, &stats, TRUE, 1), DM_BALLOON_REACHED);
}

/* A target is taken back: for how long it is looked at, where the guest goes on, and where it stays beside it. */
static void test_taking_back_ends(void) {
  DmBalloonStats stats;
  DmBalloonWatch watch = under_way(1024, 600, &stats);
  assert_waits(drift(&watch, &stats, -2, 1, 20));
  watch.stop = TRUE;
  assert_set(look_on(&watch, &stats, TRUE, 1), stats.actual);
  DmBalloonWatch stays = watch;
  DmBalloonStats beside = stats;
  assert_waits(drift(&watch, &stats, -1, 1, 9));
  assert_end(drift(&watch, &stats, -1, 1, 2), DM_BALLOON_STOPPED);
  beside.actual -= DM_MIB;
  assert_waits(look_on(&stays, &beside, TRUE, 5));
  assert_end(look_on(&stays, &beside, TRUE, 1), DM_BALLOON_STOPPED);
}

/* It gives back, and is in fact still lower, on its way to the target of a killed process: not moved by others. */
static void test_gives_back_from_further_down(void) {
  DmBalloonStats stats;
  DmBalloonWatch watch = under_way(800, 1024, &stats);
  stats.actual = 700 * DM_MIB;
  assert_set(look_on(&watch, &stats, TRUE, 4), 1023 * DM_MIB); /* it stays there: nudged */
}

/* Slow reports: those before the last target do not count for it. */
static void test_still_since_the_last_target(void) {
  DmBalloonStats stats;
  DmBalloonWatch watch = under_way(500, 1024, &stats);
  assert_set(drift(&watch, &stats, 0, 3, 9), 1023 * DM_MIB);
  assert_waits(drift(&watch, &stats, 0, 3, 9));
  assert_set(drift(&watch, &stats, 0, 3, 6), 500 * DM_MIB);
}

/* A target that would not lead to any move is no nudge. */
static void test_last_mib_is_not_nudged(void) {
  DmBalloonStats stats;
  DmBalloonWatch watch = under_way(1023, 1024, &stats);
  assert_set(look_on(&watch, &stats, TRUE, 6), 1023 * DM_MIB);
  assert_end(look_on(&watch, &stats, TRUE, 1), DM_BALLOON_SHORT);
}

/* What is asked to take, and does not, is not nudged: that would be below what is wanted. */
static void test_takes_nothing(void) {
  DmBalloonStats stats;
  for (int stands = 0; stands < 2; stands++) {
    DmBalloonWatch watch = under_way(1024, 600, &stats);
    watch.stands = stands != 0; /* for what gives back alone */
    assert_set(look_on(&watch, &stats, TRUE, 6), 1024 * DM_MIB);
    assert_end(look_on(&watch, &stats, TRUE, 1), DM_BALLOON_SHORT);
  }
}

/* It gave back a part, and stays there. */
static void test_gives_back_in_part(void) {
  DmBalloonStats stats;
  DmBalloonWatch watch = under_way(500, 1024, &stats);
  assert_waits(drift(&watch, &stats, 40, 1, 1));
  assert_set(look_on(&watch, &stats, TRUE, 7), 700 * DM_MIB);
  assert_end(look_on(&watch, &stats, TRUE, 1), DM_BALLOON_SHORT);
}

/* A target that gives back for good stands when the time is over; one that its user calls off does not. */
static void test_stands_in_the_end(void) {
  for (int stop = 0; stop < 2; stop++) {
    DmBalloonStats stats;
    DmBalloonWatch watch = under_way(500, 1024, &stats);
    watch.stands = TRUE;
    watch.stop = stop != 0;
    watch.until_us = stop != 0 ? G_MAXINT64 : watch.looked_us;
    DmBalloonMove move = look_on(&watch, &stats, TRUE, 1);
    if (stop != 0)
      assert_set(move, 500 * DM_MIB);
    else
      assert_end(move, DM_BALLOON_LATER);
  }
}

/* The time is over within the last MiB: it may be on its way, so that is no plateau. */
static void test_time_over_near_the_end(void) {
  DmBalloonStats stats;
  DmBalloonWatch watch = under_way(1024, 600, &stats);
  stats.actual = 600 * DM_MIB + DM_MIB / 2;
  watch.until_us = watch.looked_us;
  assert_set(look_on(&watch, &stats, TRUE, 1), stats.actual);
  assert_end(look_on(&watch, &stats, TRUE, 1), DM_BALLOON_TIME);
}

/*
 * It rises above where it was, and stays there. By itself a driver does that only with autodeflate, where its guest is
 * short of memory; and a few pages are nothing.
 */
static void test_rises_and_stays(void) {
  static const struct {
    gboolean autodeflate;
    guint first, then; /* KiB above where it was */
    DmBalloonEnd end;
  } cases[] = {
    {FALSE, 51200, 51200, DM_BALLOON_OTHERS},
    {FALSE, 51200, 51712, DM_BALLOON_OTHERS},
    {FALSE, 512, 512, DM_BALLOON_SHORT},
    {TRUE, 51200, 51200, DM_BALLOON_SHORT},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    DmBalloonStats stats;
    DmBalloonWatch watch = under_way(1024, 600, &stats);
    watch.autodeflate = cases[i].autodeflate;
    stats.actual = 1024 * DM_MIB + cases[i].first * DM_KIB;
    assert_waits(look_on(&watch, &stats, TRUE, 1));
    stats.actual = 1024 * DM_MIB + cases[i].then * DM_KIB;
    assert_set(look_on(&watch, &stats, TRUE, 7), stats.actual);
    assert_end(look_on(&watch, &stats, TRUE, 1), cases[i].end);
  }
}

/* Half a MiB short is what was asked for, in the unit that is shown; and no target is left pending. */
static void test_short_of_nothing(void) {
  DmBalloonWatch watch = {.goal = 800 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1024 * DM_MIB, 900 * DM_MIB, 1000};
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_WAIT);
  stats.updated_s++;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, 1);
  g_assert_cmpuint(move.target, ==, 800 * DM_MIB);
  stats.actual = 800 * DM_MIB + DM_MIB / 2;
  g_assert_cmpint(look_on(&watch, &stats, TRUE, 5).what, ==, DM_BALLOON_WAIT);
  move = look_on(&watch, &stats, TRUE, 2);
  g_assert_cmpint(move.what, ==, DM_BALLOON_SET);
  g_assert_cmpuint(move.target, ==, stats.actual);
  g_assert_cmpint(look_on(&watch, &stats, TRUE, 1).end, ==, DM_BALLOON_REACHED);
}

static void test_goes_silent(void) {
  Run result = run((Guest){.actual = 1024, .used = 100, .driver = TRUE, .silent_at = 900}, 400);
  g_assert_cmpint(result.end, ==, DM_BALLOON_SILENT);
  g_assert_cmpuint(result.actual, ==, 896);
  g_assert_cmpuint(result.pending, ==, 896);
}

/* What another program sets meanwhile stands. */
static void test_others(void) {
  Run result = run((Guest){.actual = 1024, .used = 100, .driver = TRUE, .others_at = 700, .others_set = 1024}, 400);
  g_assert_cmpint(result.end, ==, DM_BALLOON_OTHERS);
  g_assert_cmpuint(result.pending, ==, 1024);
  result = run((Guest){.actual = 1024, .used = 50, .driver = TRUE, .others_at = 900, .others_set = 128}, 600);
  g_assert_cmpint(result.end, ==, DM_BALLOON_OTHERS);
  g_assert_cmpuint(result.pending, ==, 128);
}

/* A driver that is still on its way to the target of a killed process comes round. */
static void test_on_another_way(void) {
  DmBalloonWatch watch = {.goal = 1280 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1258 * DM_MIB, 900 * DM_MIB, 1000};
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_SET);
  stats.actual = 1250 * DM_MIB;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, G_USEC_PER_SEC / 5).what, ==, DM_BALLOON_WAIT);
  DmBalloonWatch later = watch, slow = watch;
  stats.actual = 1280 * DM_MIB;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, G_USEC_PER_SEC);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_REACHED);
  stats.actual = 1200 * DM_MIB;
  DmBalloonStats others = stats;
  g_assert_cmpint(look_on(&later, &others, TRUE, 1).what, ==, DM_BALLOON_WAIT);
  g_assert_cmpint(look_on(&later, &others, TRUE, 5).end, ==, DM_BALLOON_OTHERS);
  g_assert_cmpint(look_on(&slow, &stats, FALSE, 4).what, ==, DM_BALLOON_WAIT); /* it has not seen the target yet */
  stats.actual = 1210 * DM_MIB;                                                /* and now it has */
  g_assert_cmpint(look_on(&slow, &stats, TRUE, 3).what, ==, DM_BALLOON_WAIT);
}

/*
 * While a guest starts, QEMU reports what the driver had reached before: as a target it would have the driver take the
 * memory anew. Only a target that gives the memory back for good stays; before a DIMM goes it is taken back.
 */
static void test_gives_back_later(void) {
  for (int stands = 0; stands < 2; stands++) {
    DmBalloonWatch watch = {.goal = 1024 * DM_MIB, .stands = stands != 0, .until_us = G_MAXINT64};
    DmBalloonStats stats = {500 * DM_MIB, 900 * DM_MIB, 1000};
    g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_SET);
    g_assert_cmpint(look_on(&watch, &stats, FALSE, 5).what, ==, DM_BALLOON_WAIT);
    DmBalloonMove move = look_on(&watch, &stats, FALSE, 6);
    g_assert_cmpint(move.what, ==, stands != 0 ? DM_BALLOON_END : DM_BALLOON_SET);
    if (stands != 0)
      g_assert_cmpint(move.end, ==, DM_BALLOON_LATER);
    else
      g_assert_cmpuint(move.target, ==, 500 * DM_MIB);
  }
}

/* A driver that reports and stays still is nudged; the target that stands at last is the goal itself. */
static void test_nudged(void) {
  DmBalloonWatch watch = {.goal = 1024 * DM_MIB, .stands = TRUE, .until_us = G_MAXINT64};
  DmBalloonStats stats = {500 * DM_MIB, 900 * DM_MIB, 1000};
  g_assert_cmpuint(dm_balloon_next(&watch, &stats, 0).target, ==, 1024 * DM_MIB);
  g_assert_cmpuint(look_on(&watch, &stats, TRUE, 3).target, ==, 1023 * DM_MIB);
  g_assert_cmpint(look_on(&watch, &stats, TRUE, 4).what, ==, DM_BALLOON_WAIT);
  g_assert_cmpuint(look_on(&watch, &stats, TRUE, 3).target, ==, 1024 * DM_MIB);
  DmBalloonMove move = look_on(&watch, &stats, TRUE, 1);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_LATER);
}

/* It comes from above, as its guest started anew: it goes no further than its next report allows. */
static void test_comes_from_above(void) {
  DmBalloonWatch watch = {.goal = 1000 * DM_MIB, .reserve = 128 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1024 * DM_MIB, 450 * DM_MIB, 1000};
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_WAIT);
  stats.updated_s++;
  g_assert_cmpuint(dm_balloon_next(&watch, &stats, 1).target, ==, 1000 * DM_MIB);
  stats.actual = 2040 * DM_MIB;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 2).what, ==, DM_BALLOON_WAIT);
  stats.actual = 1900 * DM_MIB;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, 3);
  g_assert_cmpint(move.what, ==, DM_BALLOON_SET);
  g_assert_cmpuint(move.target, ==, 1900 * DM_MIB);
  stats.actual = 1890 * DM_MIB; /* on its way to the target before, until it sees this one */
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 4).what, ==, DM_BALLOON_WAIT);
  DmBalloonWatch lower = watch;
  stats.actual = 999 * DM_MIB; /* nothing of ours would lead there */
  g_assert_cmpint(dm_balloon_next(&lower, &stats, 4).end, ==, DM_BALLOON_OTHERS);
  lower = watch;
  DmBalloonStats later = {1900 * DM_MIB + DM_MIB / 2, stats.usable, stats.updated_s};
  g_assert_cmpint(look_on(&lower, &later, TRUE, 3).what, ==, DM_BALLOON_WAIT);
  later.actual = 1500 * DM_MIB; /* it has seen this one */
  g_assert_cmpint(look_on(&lower, &later, TRUE, 1).end, ==, DM_BALLOON_OTHERS);
  stats.actual = 1900 * DM_MIB;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 4).what, ==, DM_BALLOON_WAIT);
  stats.updated_s++;
  stats.usable = 120 * DM_MIB;
  move = dm_balloon_next(&watch, &stats, 5);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_SPARE);
}

/*
 * A guest that started anew: its driver's balloon is empty, while QEMU reports what was reached before, until the
 * driver moves. @goal below: it comes down to it from above.
 */
static void test_started_anew(void) {
  const uint64_t goals[] = {1024, 900, 300};
  for (gsize i = 0; i < G_N_ELEMENTS(goals); i++) {
    Run result = run((Guest){.actual = 1024, .hidden = 500, .used = 100, .driver = TRUE}, goals[i]);
    g_assert_cmpint(result.end, ==, DM_BALLOON_REACHED);
    g_assert_cmpuint(result.actual, ==, goals[i]);
    g_assert_cmpuint(result.pending, ==, goals[i]);
  }
}

static void test_stopped(void) {
  DmBalloonWatch watch = {.goal = 512 * DM_MIB, .until_us = G_MAXINT64};
  DmBalloonStats stats = {1024 * DM_MIB, 900 * DM_MIB, 1000};
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 0).what, ==, DM_BALLOON_WAIT);
  stats.updated_s++;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 1).what, ==, DM_BALLOON_SET);
  stats.actual = 1000 * DM_MIB;
  g_assert_cmpint(dm_balloon_next(&watch, &stats, 2).what, ==, DM_BALLOON_WAIT);
  watch.stop = TRUE;
  DmBalloonMove move = dm_balloon_next(&watch, &stats, 3);
  g_assert_cmpint(move.what, ==, DM_BALLOON_SET);
  g_assert_cmpuint(move.target, ==, 1000 * DM_MIB);
  move = dm_balloon_next(&watch, &stats, 4);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_STOPPED);
  /* The time of a change is over just so. */
  watch = (DmBalloonWatch){.goal = 512 * DM_MIB, .until_us = 5};
  move = dm_balloon_next(&watch, &stats, 5);
  g_assert_cmpint(move.what, ==, DM_BALLOON_END);
  g_assert_cmpint(move.end, ==, DM_BALLOON_TIME);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/ballooning/reaches", test_reaches);
  g_test_add_func("/ballooning/slow", test_slow);
  g_test_add_func("/ballooning/taken-back", test_taken_back);
  g_test_add_func("/ballooning/reserve", test_reserve);
  g_test_add_func("/ballooning/no-driver", test_no_driver);
  g_test_add_func("/ballooning/stops-short", test_stops_short);
  g_test_add_func("/ballooning/goes-silent", test_goes_silent);
  g_test_add_func("/ballooning/others", test_others);
  g_test_add_func("/ballooning/on-another-way", test_on_another_way);
  g_test_add_func("/ballooning/stopped", test_stopped);
  g_test_add_func("/ballooning/gives-back-later", test_gives_back_later);
  g_test_add_func("/ballooning/nudged", test_nudged);
  g_test_add_func("/ballooning/comes-from-above", test_comes_from_above);
  g_test_add_func("/ballooning/short-of-nothing", test_short_of_nothing);
  g_test_add_func("/ballooning/started-anew", test_started_anew);
  g_test_add_func("/ballooning/by-less-than-a-page", test_by_less_than_a_page);
  g_test_add_func("/ballooning/whole-pages", test_whole_pages);
  g_test_add_func("/ballooning/last-steps", test_last_steps);
  g_test_add_func("/ballooning/silent-from-the-start", test_silent_from_the_start);
  g_test_add_func("/ballooning/silent-between-steps", test_silent_between_steps);
  g_test_add_func("/ballooning/late-look", test_late_look);
  g_test_add_func("/ballooning/taking-back-ends", test_taking_back_ends);
  g_test_add_func("/ballooning/gives-back-from-further-down", test_gives_back_from_further_down);
  g_test_add_func("/ballooning/still-since-the-last-target", test_still_since_the_last_target);
  g_test_add_func("/ballooning/last-mib-is-not-nudged", test_last_mib_is_not_nudged);
  g_test_add_func("/ballooning/takes-nothing", test_takes_nothing);
  g_test_add_func("/ballooning/gives-back-in-part", test_gives_back_in_part);
  g_test_add_func("/ballooning/stands-in-the-end", test_stands_in_the_end);
  g_test_add_func("/ballooning/time-over-near-the-end", test_time_over_near_the_end);
  g_test_add_func("/ballooning/rises-and-stays", test_rises_and_stays);
  return g_test_run();
}
