/* SPDX-License-Identifier: Apache-2.0 */
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "cli.h"
#include "json.h"
#include "progress.h"

typedef struct {
  const CommonOptions *common;
  const ApplyOptions *options;
  GMainLoop *loop;
  DmChange *change;
  Progress *progress;
  guint notes; /* printed so far */
  gboolean interrupted;
} Apply;

static void print_ballooned(uint64_t memory, uint64_t ballooned) {
  g_autofree char *text = dm_size_format(dm_size_floor_mib(ballooned));
  g_autofree char *left = dm_size_format(dm_size_floor_mib(dm_size_minus(memory, ballooned)));
  if (ballooned > 0)
    printf(", ballooned %s: the guest can use %s", text, left);
}

static void print_values(const char *what, uint64_t memory, uint64_t guaranteed, uint64_t ballooned) {
  g_autofree char *memory_text = dm_size_format(memory);
  g_autofree char *guaranteed_text = dm_size_format(guaranteed);
  printf("  %-12s %s, guaranteed %s", what, memory_text, guaranteed_text);
  print_ballooned(memory, ballooned);
  putchar('\n');
}

static void print_next_run(const DmConfig *config, const char *what) {
  g_autofree char *memory = dm_size_format(dm_config_memory(config));
  g_autofree char *guaranteed = dm_size_format(dm_config_guaranteed(config));
  g_autofree char *maximum = dm_size_format(dm_config_maximum(config));
  printf("  %-12s %s, guaranteed %s", what, memory, guaranteed);
  if (config->maximum != 0)
    printf(", maximum %s in %u slot%s", maximum, config->slots, config->slots == 1 ? "" : "s");
  print_ballooned(dm_config_memory(config), dm_config_ballooned(config));
  putchar('\n');
}

/* Those added since the last call. */
static void print_notes(Apply *apply) {
  const DmPlan *plan = dm_change_plan(apply->change);
  for (; apply->notes < plan->notes->len; apply->notes++)
    printf("  note: %s\n", ((const DmNote *)plan->notes->pdata[apply->notes])->text);
}

static void print_plan(Apply *apply) {
  const DmChange *change = apply->change;
  const DmPlan *plan = dm_change_plan(change);
  const DmVm *vm = dm_change_vm_before(change);
  printf("%s: dry run, nothing was changed\n", vm->name);
  for (guint i = 0; i < plan->steps->len; i++) {
    const DmStep *step = plan->steps->pdata[i];
    g_autofree char *what = progress_describe(step);
    printf("  %-7s %s\n", dm_op_name(step->op), what);
  }
  if (plan->balloon != NULL) {
    g_autofree char *what = progress_describe(plan->balloon);
    printf("  %-7s %s\n", "then", what);
  }
  if (vm->live != NULL) {
    print_values("now", plan->memory_before, dm_config_guaranteed(vm->live), plan->ballooned_before);
    print_values("then", plan->memory_after, plan->guaranteed_after, plan->ballooned_after);
  }
  if (plan->next_run_config == NULL && plan->balloon != NULL && vm->next_run != NULL)
    print_next_run(vm->next_run, "next run");
  if (plan->next_run_config != NULL)
    print_next_run(plan->next_run_config, vm->live != NULL ? "next run" : "configured");
  print_notes(apply);
}

static void on_planned(DmChange *change, gpointer data) {
  Apply *apply = data;
  const DmPlan *plan = dm_change_plan(change);
  if (apply->common->json || apply->options->dry_run)
    return;
  if (plan->steps->len > 0) {
    g_autofree char *before = dm_size_format(plan->memory_before);
    g_autofree char *after = dm_size_format(plan->memory_after);
    printf("%s: %s to %s by %u device%s\n", dm_change_vm(change)->name, before, after, plan->steps->len,
      plan->steps->len == 1 ? "" : "s");
  }
  print_notes(apply);
  fflush(stdout);
}

static void on_asked(DmChange *change, const DmStep *step, gpointer data) {
  Apply *apply = data;
  if (!apply->common->json)
    progress_asked(apply->progress, change, step);
}

static void on_moved(DmChange *change, const DmStep *step, gpointer data) {
  Apply *apply = data;
  if (!apply->common->json)
    progress_moved(apply->progress, change, step);
}

static void on_ballooned(DmChange *change, const DmStep *step, gpointer data) {
  Apply *apply = data;
  if (!apply->common->json)
    progress_ballooned(apply->progress, change, step);
}

static void on_freeing(DmChange *change, const DmStep *step, uint64_t done, uint64_t of, gpointer data) {
  Apply *apply = data;
  if (!apply->common->json)
    progress_freeing(apply->progress, change, step, done, of);
}

static void on_ended(DmChange *change, gpointer data) {
  Apply *apply = data;
  g_main_loop_quit(apply->loop);
}

int options_outcome_status(DmOutcome outcome) {
  switch (outcome) {
    case DM_OUTCOME_DONE:
      return DM_EXIT_DONE;
    case DM_OUTCOME_PARTLY:
      return DM_EXIT_PARTLY;
    case DM_OUTCOME_REFUSED:
      return DM_EXIT_REFUSED;
    case DM_OUTCOME_OVERDUE:
      return DM_EXIT_OVERDUE;
    case DM_OUTCOME_KEPT:
      return DM_EXIT_KEPT;
    case DM_OUTCOME_CALLED_OFF:
      return DM_EXIT_INTERRUPTED;
    case DM_OUTCOME_FAILED:
      return DM_EXIT_FAILED;
  }
  g_assert_not_reached();
}

static const char *balloon_text(const DmStep *step) {
  if (step->state == DM_STEP_ASKED)
    return "the balloon may still move: its target could not be taken back";
  if (step->run.reason != NULL && step->run.reason->code == DM_NOTE_BALLOON_LATER)
    return "the balloon gives the rest back as soon as its driver answers";
  return "the balloon stays where it is";
}

static void print_pending(const CommonOptions *common, const DmChange *change) {
  const DmRequest *request = dm_change_request(change);
  const DmVm *vm = dm_change_vm(change);
  gboolean any = FALSE;
  for (guint i = 0; request != NULL && i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->state != DM_STEP_OVERDUE)
      continue;
    g_autofree char *what = progress_describe(step);
    if (step->origin != NULL || dm_change_was_stopped(change))
      printf("  still pending: %s%s\n", what, step->origin != NULL ? " (of an earlier request)" : "");
    any = TRUE;
  }
  gboolean balloon = request != NULL && request->balloon != NULL && dm_step_is_pending(request->balloon);
  if (!any && !balloon)
    return;
  g_autofree char *show = options_command(common, "dimmer", "show", "--", dm_vm_handle(vm), NULL);
  g_autofree char *settle = options_command(common, "dimmer", "settle", "--", dm_vm_handle(vm), NULL);
  if (!any)
    printf("  %s\n  show it: %s\n  go on with it: %s\n", balloon_text(request->balloon), show, settle);
  else if (dm_request_asks_again(request))
    printf("  the guest can still answer\n  show it: %s\n  ask it again: %s\n", show, settle);
  else
    printf("  the guest can still answer\n  show it: %s\n", show);
}

/* The guest gives no reason for a refusal; so print the usual one, once. */
static void print_refusal_hint(const DmChange *change) {
  const DmRequest *request = dm_change_request(change);
  for (guint i = 0; request != NULL && i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->state != DM_STEP_REFUSED || !progress_guest_refused(step))
      continue;
    puts(
      "  note: a guest refuses where it keeps memory that it cannot move, mostly as the device is not online as\n"
      "        movable; see LIMITATIONS in dimmer(1)");
    const DmVm *before = dm_change_vm_before(change);
    if (before != NULL && before->guest != NULL && dm_guest_is_before(before->guest, 4, 13))
      puts("        Linux before 4.13 also refuses for passing reasons: the same request may succeed when repeated");
    return;
  }
}

/* The running VM stays unchanged, while its next run changes. */
static gboolean only_next_run(const DmChange *change) {
  const DmVm *before = dm_change_vm_before(change), *vm = dm_change_vm(change);
  const DmPlan *plan = dm_change_plan(change);
  return vm->live != NULL && vm->next_run != NULL && plan->steps->len == 0 && plan->guaranteed == 0 &&
    plan->balloon == NULL && dm_change_outcome(change) == DM_OUTCOME_DONE &&
    !dm_config_equal_values(before->next_run, vm->next_run);
}

/* The refusals did not come from the guest. */
static gboolean host_failed(const DmChange *change) {
  const DmRequest *request = dm_change_request(change);
  guint by_host = 0, refused = 0;
  if (request == NULL || dm_change_outcome(change) != DM_OUTCOME_REFUSED)
    return FALSE;
  for (guint i = 0; i <= request->steps->len; i++) {
    const DmStep *step = i < request->steps->len ? request->steps->pdata[i] : request->balloon;
    refused += step != NULL && step->state == DM_STEP_REFUSED;
    by_host += step != NULL && step->state == DM_STEP_REFUSED && step->run.by_host;
  }
  return refused > 0 && by_host == refused;
}

/* The guest owes no answer: its balloon was stopped on its way. */
static gboolean only_balloon_is_out(const DmChange *change) {
  const DmRequest *request = dm_change_request(change);
  for (guint i = 0; request != NULL && i < request->steps->len; i++) {
    if (((const DmStep *)request->steps->pdata[i])->state == DM_STEP_OVERDUE)
      return FALSE;
  }
  return request != NULL && request->balloon != NULL && dm_step_is_pending(request->balloon);
}

static const char *word_of(const DmChange *change) {
  static const char *const words[] = {
    [DM_OUTCOME_DONE] = "done",
    [DM_OUTCOME_PARTLY] = "partly done",
    [DM_OUTCOME_REFUSED] = "refused",
    [DM_OUTCOME_OVERDUE] = "no answer yet",
    [DM_OUTCOME_KEPT] = "kept: the running VM has nothing that could go",
    [DM_OUTCOME_CALLED_OFF] = "called off",
    [DM_OUTCOME_FAILED] = "failed",
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(words) == DM_OUTCOMES);
  if (only_next_run(change))
    return "only the next run changed";
  if (dm_change_outcome(change) == DM_OUTCOME_OVERDUE && only_balloon_is_out(change))
    return "the balloon is not finished";
  return host_failed(change) ? "failed, as the host could not do it" : words[dm_change_outcome(change)];
}

/* As far as known. */
static uint64_t ballooned_of(const DmVm *vm) {
  uint64_t held = 0;
  return dm_vm_ballooned(vm, &held) ? held : 0;
}

/* If a running VM was lowered by less than requested: "1408 of 1400 MiB", how far it got. NULL: fully. */
static char *how_far(const DmChange *change) {
  const DmPlan *plan = dm_change_plan(change);
  const DmVm *vm = dm_change_vm(change);
  uint64_t memory = vm->live != NULL ? dm_config_memory(vm->live) : 0;
  if (plan->balloon != NULL && memory != 0) /* what the guest can use */
    memory = dm_size_minus(memory, ballooned_of(vm));
  DmOutcome outcome = dm_change_outcome(change);
  if (plan->memory == 0 || memory <= plan->memory || plan->memory >= plan->memory_before ||
    (outcome != DM_OUTCOME_DONE && outcome != DM_OUTCOME_PARTLY))
    return NULL;
  return g_strdup_printf(
    ": %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " MiB", memory / DM_MIB, plan->memory / DM_MIB);
}

/* How the guest uses what was plugged. */
static void print_use(const DmChange *change) {
  const DmRequest *request = dm_change_request(change);
  uint64_t sums[DM_USES] = {0};
  for (guint i = 0; request != NULL && i < request->steps->len; i++) {
    const DmStep *step = request->steps->pdata[i];
    if (step->op == DM_OP_PLUG && step->origin == NULL && (step->state == DM_STEP_DONE || dm_step_is_pending(step)))
      sums[step->run.use] += step->to;
  }
  const char *label = "in use";
  for (guint use = 0; use < DM_USES; use++) {
    g_autofree char *size = dm_size_format(sums[use]);
    if (sums[use] == 0)
      continue;
    printf("  %-12s %s %s\n", label, size, dm_use_text(use));
    label = "";
  }
}

static void print_result(Apply *apply) {
  const DmChange *change = apply->change;
  const DmVm *vm = dm_change_vm(change);
  print_notes(apply);
  print_pending(apply->common, change);
  print_refusal_hint(change);
  g_autofree char *far = how_far(change);
  printf("%s: %s%s\n", vm->name, word_of(change), far != NULL ? far : "");
  if (vm->live != NULL)
    print_values("memory", dm_config_memory(vm->live), dm_config_guaranteed(vm->live), ballooned_of(vm));
  print_use(change);
  if (vm->next_run != NULL)
    print_next_run(vm->next_run, vm->live != NULL ? "next run" : "configured");
}

static int report(Apply *apply) {
  const DmChange *change = apply->change;
  const GError *error = dm_change_error(change);
  if (error != NULL) /* a plan's notes are printed already */
    return options_fail_noting(apply->common, error, dm_change_plan(change) == NULL ? dm_change_found(change) : NULL);
  if (dm_change_was_stopped(change) && dm_change_request(change) == NULL) {
    g_autoptr(GError) stopped = g_error_new(DM_ERROR, DM_ERROR_INTERRUPTED, "interrupted before anything was changed");
    return options_fail(apply->common, stopped);
  }
  if (apply->common->json)
    json_print(json_from_change(change, apply->options->dry_run));
  else if (apply->options->dry_run)
    print_plan(apply);
  else
    print_result(apply);
  return apply->options->dry_run ? DM_EXIT_DONE : options_outcome_status(dm_change_outcome(change));
}

static gboolean on_interrupt(gpointer data) {
  Apply *apply = data;
  if (apply->interrupted) /* the second time: exits at once; the VM carries the request */
    _exit(DM_EXIT_INTERRUPTED);
  apply->interrupted = TRUE;
  if (!apply->common->json) {
    progress_end(apply->progress);
    puts("  interrupted: no longer waiting for the guest");
  }
  dm_change_stop_waiting(apply->change);
  return G_SOURCE_CONTINUE;
}

DmPlanFlags options_plan_flags(const ApplyOptions *options) {
  return (options->try_unmovable ? DM_PLAN_TRY_UNMOVABLE : 0) | (options->force ? DM_PLAN_FORCE : 0) |
    (options->balloon ? DM_PLAN_BALLOON : 0);
}

int apply_change(const CommonOptions *common, const ApplyOptions *options, const char *vm_name, const DmWish *wish) {
  static const DmChangeListener listener = {.planned = on_planned,
    .asked = on_asked,
    .moved = on_moved,
    .ballooned = on_ballooned,
    .freeing = on_freeing,
    .ended = on_ended};
  const DmChangeOptions change_options = {options->dry_run, options->no_retry, options->timeout};
  g_autoptr(GError) error = NULL;
  DmConnection *connection = options_connect(common, options->dry_run, &error);
  if (connection == NULL)
    return options_fail(common, error);

  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  g_autoptr(Progress) progress = progress_new();
  Apply apply = {.common = common, .options = options, .loop = loop, .progress = progress};
  g_autoptr(DmChange) change = dm_change_new(connection, vm_name, wish, &change_options, &listener, &apply);
  apply.change = change;
  guint interrupt = g_unix_signal_add(SIGINT, on_interrupt, &apply);
  guint terminate = g_unix_signal_add(SIGTERM, on_interrupt, &apply);
  dm_change_start(change);
  g_main_loop_run(loop);
  g_source_remove(interrupt);
  g_source_remove(terminate);
  progress_end(progress);
  int status = report(&apply);
  dm_connection_close(connection);
  return status;
}
