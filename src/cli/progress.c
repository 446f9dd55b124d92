/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/size.h"

#define BAR_WIDTH 32
#define SHORTEST_BAR 4
#define REDRAW_MS 200

struct Progress {
  gboolean terminal, drawn;
  guint timer;
  gint64 started;
  const DmChange *change; /* from the first step on */
};

Progress *progress_new(void) {
  Progress *progress = g_new0(Progress, 1);
  progress->terminal = isatty(STDOUT_FILENO);
  progress->started = g_get_monotonic_time();
  return progress;
}

void progress_free(Progress *progress) {
  if (progress == NULL)
    return;
  progress_end(progress);
  g_free(progress);
}

char *progress_describe(const DmStep *step) {
  g_autofree char *from = dm_size_format(step->run.size_before), *to = dm_size_format(step->to);
  const char *kind = dm_device_kind_name(step->kind);
  if (step->op == DM_OP_BALLOON) {
    g_autofree char *left = dm_size_format(dm_size_floor_mib(step->run.size_before));
    return g_strdup_printf("balloon, %s to %s left", left, to);
  }
  if (step->op == DM_OP_RESIZE)
    return g_strdup_printf("%s %.8s, %s to %s, node %d", kind, step->id, from, to, step->node);
  return g_strdup_printf("%s %.8s, %s, node %d", kind, step->id, step->op == DM_OP_PLUG ? to : from, step->node);
}

/* How much of a step is done, and its total, in bytes. */
static void measure(const DmStep *step, uint64_t *done, uint64_t *all) {
  uint64_t low = MIN(step->run.size_before, step->to), high = MAX(step->run.size_before, step->to);
  uint64_t went = step->op != DM_OP_UNPLUG ? (step->to > step->run.size_before ? dm_size_minus(step->run.reached, low)
                                                                               : dm_size_minus(high, step->run.reached))
                                           : 0;
  *all += high - low;
  *done += step->state == DM_STEP_DONE ? high - low : MIN(went, high - low);
}

static void wipe(Progress *progress) {
  if (progress->drawn)
    fputs("\r\033[K", stdout);
  progress->drawn = FALSE;
}

/* The bar width that fits beside @text on one terminal line, as a wrapped line cannot be erased. 0: none. */
static guint bar_width(const char *text) {
  struct winsize size;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return BAR_WIDTH;
  glong others = g_utf8_strlen(text, -1) + 5; /* "  [", "]" and the last column */
  guint left = size.ws_col > others ? size.ws_col - (guint)others : 0;
  return left < SHORTEST_BAR ? 0 : MIN(left, BAR_WIDTH);
}

static void draw(Progress *progress) {
  const char *charset;
  gboolean unicode = g_get_charset(&charset);
  const DmRequest *request = dm_change_request(progress->change);
  uint64_t done = 0, all = 0;
  for (guint i = 0; request != NULL && i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->origin == NULL && step->state != DM_STEP_REFUSED)
      measure(step, &done, &all);
  }
  if (request != NULL && request->balloon != NULL && request->balloon->state != DM_STEP_REFUSED)
    measure(request->balloon, &done, &all);
  if (!progress->terminal || all == 0)
    return;
  g_autofree char *done_text = dm_size_format(done), *all_text = dm_size_format(all);
  double seconds = (double)(g_get_monotonic_time() - progress->started) / G_USEC_PER_SEC;
  g_autofree char *text = g_strdup_printf(" %s of %s, %.0f s", done_text, all_text, seconds);
  guint width = bar_width(text), full = (guint)((double)done / (double)all * width);
  if (width == 0)
    return;
  fputs("\r\033[K  [", stdout);
  for (guint i = 0; i < width; i++)
    fputs(i < full ? (unicode ? "█" : "#") : (unicode ? "·" : "."), stdout);
  printf("]%s", text);
  fflush(stdout);
  progress->drawn = TRUE;
}

static gboolean redraw(gpointer data) {
  draw(data);
  return G_SOURCE_CONTINUE;
}

void progress_asked(Progress *progress, const DmChange *change, const DmStep *step) {
  static const char *const asked[] = {[DM_OP_UNPLUG] = "asked to go",
    [DM_OP_RESIZE] = "asked to resize",
    [DM_OP_PLUG] = "plugged, for the guest to take",
    [DM_OP_BALLOON] = "moving"};
  G_STATIC_ASSERT(G_N_ELEMENTS(asked) == DM_OPS);
  g_autofree char *what = progress_describe(step);
  progress->change = change;
  wipe(progress);
  if (!dm_step_is_at_once(step))
    printf("  %-50s %s\n", what, asked[step->op]);
  draw(progress);
  fflush(stdout);
  if (progress->terminal && progress->timer == 0)
    progress->timer = g_timeout_add(REDRAW_MS, redraw, progress);
}

void progress_freeing(Progress *progress, const DmChange *change, const DmStep *step, uint64_t done, uint64_t of) {
  g_autofree char *what = progress_describe(step);
  progress->change = change;
  if (!progress->terminal)
    return;
  wipe(progress);
  printf("  %s: the guest has freed %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " blocks", what, done, of);
  fflush(stdout);
  progress->drawn = TRUE;
}

gboolean progress_guest_refused(const DmStep *step) {
  return step->run.reason != NULL && step->run.reason->code == DM_NOTE_GUEST_REFUSED;
}

/* The host and dimmer-guest give a reason; a guest's own refusal has none. */
static void print_refused(const DmStep *step) {
  if (progress_guest_refused(step))
    printf("refused by the guest after %.2f s\n", step->run.answer_s);
  else if (step->run.answer_s >= 0)
    printf("%s after %.2f s: %s\n", step->run.by_host ? "failed" : "refused", step->run.answer_s, dm_step_reason(step));
  else
    printf("stays: %s\n", dm_step_reason(step));
}

static void print_ballooned(const DmStep *step) {
  g_autofree char *what = progress_describe(step);
  g_autofree char *reached = dm_size_format(dm_size_floor_mib(step->run.reached));
  printf("  %-50s ", what);
  if (step->state == DM_STEP_DONE)
    printf("done after %.2f s\n", step->run.answer_s);
  else if (dm_step_reason(step) != NULL)
    printf("%s\n", dm_step_reason(step));
  else if (step->run.reached == step->run.size_before)
    puts("moving");
  else
    printf("at %s\n", reached);
}

static void print_moved(const DmStep *step) {
  g_autofree char *what = progress_describe(step);
  g_autofree char *reached = dm_size_format(step->run.reached);
  printf("  %-50s ", what);
  if (step->state == DM_STEP_ASKED)
    printf("at %s\n", reached);
  else if (step->state == DM_STEP_OVERDUE && step->op != DM_OP_UNPLUG)
    printf("overdue at %s: the guest can still go on\n", reached);
  else if (step->state == DM_STEP_OVERDUE)
    puts("overdue: no answer yet; the guest can still release it");
  else if (step->state == DM_STEP_REFUSED)
    print_refused(step);
  else if (step->run.answer_s >= 0)
    printf("%s after %.2f s\n", dm_step_state_name(step), step->run.answer_s);
  else
    printf("%s\n", dm_step_state_name(step));
}

void progress_moved(Progress *progress, const DmChange *change, const DmStep *step) {
  progress->change = change;
  wipe(progress);
  /* On a terminal the bar shows how far a virtio-mem device is. */
  if (step->state != DM_STEP_ASKED || !progress->terminal)
    print_moved(step);
  draw(progress);
  fflush(stdout);
}

void progress_ballooned(Progress *progress, const DmChange *change, const DmStep *step) {
  progress->change = change;
  wipe(progress);
  if (step->state != DM_STEP_ASKED || !progress->terminal)
    print_ballooned(step);
  draw(progress);
  fflush(stdout);
  if (progress->terminal && progress->timer == 0)
    progress->timer = g_timeout_add(REDRAW_MS, redraw, progress);
}

void progress_end(Progress *progress) {
  if (progress->timer != 0)
    g_source_remove(progress->timer);
  progress->timer = 0;
  wipe(progress);
  fflush(stdout);
}
