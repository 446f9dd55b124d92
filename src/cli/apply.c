/* SPDX-License-Identifier: Apache-2.0 */
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/shell.h"
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

static void print_values(const char *what, uint64_t memory, uint64_t guaranteed) {
  g_autofree char *memory_text = dm_size_format(memory);
  g_autofree char *guaranteed_text = dm_size_format(guaranteed);
  printf("  %-12s %s, guaranteed %s\n", what, memory_text, guaranteed_text);
}

static void print_next_run(const DmConfig *config, const char *what) {
  g_autofree char *memory = dm_size_format(dm_config_memory(config));
  g_autofree char *guaranteed = dm_size_format(dm_config_guaranteed(config));
  g_autofree char *maximum = dm_size_format(dm_config_maximum(config));
  printf("  %-12s %s, guaranteed %s", what, memory, guaranteed);
  if (config->maximum != 0)
    printf(", maximum %s in %u slot%s", maximum, config->slots, config->slots == 1 ? "" : "s");
  putchar('\n');
}

/* Those that came since the last time. */
static void print_notes(Apply *apply) {
  const DmPlan *plan = dm_change_plan(apply->change);
  for (; apply->notes < plan->notes->len; apply->notes++)
    printf("  note: %s\n", (const char *)plan->notes->pdata[apply->notes]);
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
  if (vm->live != NULL) {
    print_values("now", plan->memory_before, dm_config_guaranteed(vm->live));
    print_values("then", plan->memory_after, plan->guaranteed_after);
  }
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

static void on_freeing(DmChange *change, const DmStep *step, uint64_t done, uint64_t of, gpointer data) {
  Apply *apply = data;
  if (!apply->common->json)
    progress_freeing(apply->progress, change, step, done, of);
}

static void on_ended(DmChange *change, gpointer data) {
  Apply *apply = data;
  g_main_loop_quit(apply->loop);
}

static int exit_status(const DmChange *change) {
  static const int statuses[] = {
    [DM_OUTCOME_DONE] = DM_EXIT_DONE,
    [DM_OUTCOME_PARTLY] = DM_EXIT_PARTLY,
    [DM_OUTCOME_REFUSED] = DM_EXIT_REFUSED,
    [DM_OUTCOME_OVERDUE] = DM_EXIT_OVERDUE,
    [DM_OUTCOME_CALLED_OFF] = DM_EXIT_INTERRUPTED,
    [DM_OUTCOME_FAILED] = DM_EXIT_FAILED,
  };
  return statuses[dm_change_outcome(change)];
}

static void print_pending(const DmChange *change) {
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
  if (!any)
    return;
  g_autofree char *show = dm_shell_command("dimmer", "show", vm->name, NULL);
  g_autofree char *settle = dm_shell_command("dimmer", "settle", vm->name, NULL);
  if (dm_request_asks_again(request))
    printf("  the guest can still answer; '%s' tells, '%s' asks again\n", show, settle);
  else
    printf("  the guest can still answer; '%s' tells\n", show);
}

/* A guest that was asked gives no reason; the usual one is worth a word, once. */
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
      puts("        Linux before 4.13 refuses in passing too: the same request may succeed when it is repeated");
    return;
  }
}

/* A running VM that stays as it is, while its next run does not. */
static gboolean only_next_run(const DmChange *change) {
  const DmVm *before = dm_change_vm_before(change), *vm = dm_change_vm(change);
  const DmPlan *plan = dm_change_plan(change);
  return vm->live != NULL && vm->next_run != NULL && plan->steps->len == 0 && plan->guaranteed == 0 &&
    dm_change_outcome(change) == DM_OUTCOME_DONE && !dm_config_equal_values(before->next_run, vm->next_run);
}

static const char *word_of(const DmChange *change) {
  static const char *const words[] = {
    [DM_OUTCOME_DONE] = "done",
    [DM_OUTCOME_PARTLY] = "partly done",
    [DM_OUTCOME_REFUSED] = "refused",
    [DM_OUTCOME_OVERDUE] = "no answer yet",
    [DM_OUTCOME_CALLED_OFF] = "called off",
    [DM_OUTCOME_FAILED] = "failed",
  };
  if (only_next_run(change))
    return "only the next run changed";
  return words[dm_change_outcome(change)];
}

static void print_result(Apply *apply) {
  const DmChange *change = apply->change;
  const DmVm *vm = dm_change_vm(change);
  print_notes(apply);
  print_pending(change);
  print_refusal_hint(change);
  printf("%s: %s\n", vm->name, word_of(change));
  if (vm->live != NULL)
    print_values("memory", dm_config_memory(vm->live), dm_config_guaranteed(vm->live));
  if (vm->next_run != NULL)
    print_next_run(vm->next_run, vm->live != NULL ? "next run" : "configured");
}

static int report(Apply *apply) {
  const DmChange *change = apply->change;
  const GError *error = dm_change_error(change);
  if (error != NULL)
    return options_fail(apply->common, error);
  if (dm_change_was_stopped(change) && dm_change_request(change) == NULL) {
    g_autoptr(GError) stopped = g_error_new(DM_ERROR, DM_ERROR_INTERRUPTED, "interrupted before anything was touched");
    return options_fail(apply->common, stopped);
  }
  if (apply->common->json)
    json_print(json_from_change(change, apply->options->dry_run));
  else if (apply->options->dry_run)
    print_plan(apply);
  else
    print_result(apply);
  return exit_status(change);
}

static gboolean on_interrupt(gpointer data) {
  Apply *apply = data;
  if (apply->interrupted) /* the second time: leaves at once; the VM carries the request */
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
  return (options->try_unmovable ? DM_PLAN_TRY_UNMOVABLE : 0) | (options->force ? DM_PLAN_FORCE : 0);
}

int apply_change(
  const CommonOptions *common, const ApplyOptions *options, const char *vm_name, DmPlanFunc plan, gpointer plan_data) {
  static const DmChangeListener listener = {
    .planned = on_planned, .asked = on_asked, .moved = on_moved, .freeing = on_freeing, .ended = on_ended};
  const DmChangeOptions change_options = {options->dry_run, options->no_retry, options->timeout};
  g_autoptr(GError) error = NULL;
  DmConnection *connection = options_connect(common, options->dry_run, &error);
  if (connection == NULL)
    return options_fail(common, error);

  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  g_autoptr(Progress) progress = progress_new();
  Apply apply = {.common = common, .options = options, .loop = loop, .progress = progress};
  g_autoptr(DmChange) change = dm_change_new(connection, vm_name, plan, plan_data, &change_options, &listener, &apply);
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
