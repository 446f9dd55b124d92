/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/reclaim.h"

#include <glib-unix.h>
#include <stdio.h>
#include <unistd.h>

#include "base/size.h"
#include "cli.h"
#include "json.h"
#include "plan/rules.h"
#include "table.h"

typedef struct {
  const CommonOptions *common;
  const DmReclaimOptions *options;
  GMainLoop *loop;
  DmReclaim *reclaim;
  gboolean interrupted;
} Reclaim;

/* "512 MiB", and how much of it the balloon takes. The caller frees. */
static char *describe_share(const DmReclaimShare *share) {
  g_autofree char *all = dm_size_format(dm_reclaim_share_sum(share));
  g_autofree char *balloon = dm_size_format(share->balloon);
  if (share->balloon == 0)
    return g_steal_pointer(&all);
  return share->devices == 0 ? g_strdup_printf("%s by its balloon", all)
                             : g_strdup_printf("%s, %s of it by its balloon", all, balloon);
}

static void on_asked(const DmReclaimVm *vm, const DmReclaimShare *share, gpointer data) {
  const Reclaim *reclaim = data;
  g_autofree char *text = describe_share(share);
  if (reclaim->common->json)
    return;
  printf("  %s: asked for %s\n", vm->name, text);
  fflush(stdout);
}

/* Of a VM that was asked. */
static const char *word_of(DmOutcome outcome) {
  static const char *const words[] = {
    [DM_OUTCOME_DONE] = "done",
    [DM_OUTCOME_PARTLY] = "partly done",
    [DM_OUTCOME_REFUSED] = "refused",
    [DM_OUTCOME_OVERDUE] = "no answer yet",
    [DM_OUTCOME_KEPT] = "kept",
    [DM_OUTCOME_CALLED_OFF] = "called off",
    [DM_OUTCOME_FAILED] = "failed",
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(words) == DM_OUTCOMES);
  return words[outcome];
}

static void on_answered(const DmReclaimVm *vm, uint64_t given, gpointer data) {
  const Reclaim *reclaim = data;
  g_autofree char *text = dm_size_format(dm_size_floor_mib(given));
  if (reclaim->common->json)
    return;
  printf("  %s: %s, gave %s\n", vm->name, word_of(vm->outcome), text);
  fflush(stdout);
}

static void on_ended(gpointer data) {
  const Reclaim *reclaim = data;
  g_main_loop_quit(reclaim->loop);
}

static gboolean on_interrupt(gpointer data) {
  Reclaim *reclaim = data;
  if (reclaim->interrupted) /* the second time: exits at once; each VM carries its request */
    _exit(DM_EXIT_INTERRUPTED);
  reclaim->interrupted = TRUE;
  if (!reclaim->common->json)
    puts("  interrupted: no further VM is asked, and no longer waited for");
  fflush(stdout);
  dm_reclaim_stop(reclaim->reclaim);
  return G_SOURCE_CONTINUE;
}

/* ---- the result ---- */

/* What came of it, or why it was not asked. The caller frees. */
static char *explain(const CommonOptions *common, const DmReclaimVm *vm) {
  if (vm->error != NULL)
    return options_message(common, vm->error);
  if (!vm->is_asked)
    return g_strdup(vm->reason != NULL ? vm->reason->text : "-");
  if (vm->reason == NULL || vm->outcome == DM_OUTCOME_DONE)
    return g_strdup(word_of(vm->outcome));
  return g_strdup_printf("%s: %s", word_of(vm->outcome), vm->reason->text);
}

static void print_table(const Reclaim *reclaim) {
  static const char *const planned[] = {"NAME", "MEMORY", "AVAILABLE", "WOULD GIVE", "", NULL};
  static const char *const given[] = {"NAME", "MEMORY", "ASKED FOR", "GAVE", "OUTCOME", NULL};
  gboolean dry_run = reclaim->options->dry_run;
  const GPtrArray *vms = dm_reclaim_vms(reclaim->reclaim);
  g_autoptr(Table) table = table_new(dry_run ? planned : given);
  for (guint i = 0; i < vms->len; i++) {
    const DmReclaimVm *vm = vms->pdata[i];
    const DmGuest *guest = vm->vm->guest;
    uint64_t share = dm_reclaim_share_sum(&vm->share);
    table_add(table, g_strdup(vm->name));
    table_add(table, dm_size_format(dm_config_memory(dm_vm_current(vm->vm))));
    if (dry_run)
      table_add(table, table_size(guest != NULL ? guest->available : 0));
    table_add(table, table_size(share));
    if (!dry_run)
      table_add(table, table_size(vm->given));
    table_add(table, explain(reclaim->common, vm));
  }
  if (vms->len > 0)
    table_print(table, "");
}

static void print_pending(const Reclaim *reclaim) {
  const GPtrArray *vms = dm_reclaim_vms(reclaim->reclaim);
  for (guint i = 0; i < vms->len; i++) {
    const DmReclaimVm *vm = vms->pdata[i];
    if (vm->pending == 0)
      continue;
    g_autofree char *pending = dm_size_format(dm_size_floor_mib(vm->pending));
    g_autofree char *settle =
      options_command(reclaim->common, "dimmer", "settle", "--", dm_vm_handle_of(vm->name, vm->uuid), NULL);
    printf("%s may still give %s\n  ask it again: %s\n", vm->name, pending, settle);
  }
}

static void print_text(const Reclaim *reclaim) {
  DmReclaimVm sums = dm_reclaim_sums(reclaim->reclaim);
  gboolean dry_run = reclaim->options->dry_run;
  g_autofree char *total = dm_size_format(reclaim->options->total);
  g_autofree char *sum = dm_size_format(dm_size_floor_mib(dry_run ? dm_reclaim_share_sum(&sums.share) : sums.given));
  print_table(reclaim);
  print_pending(reclaim);
  if (dry_run)
    printf("dry run, nothing was changed: the VMs would give %s of %s\n", sum, total);
  else
    printf("%s: the VMs gave %s of %s\n", word_of(dm_reclaim_outcome(reclaim->reclaim)), sum, total);
}

/* ---- as JSON ---- */

static void set_size(json_t *object, const char *name, uint64_t bytes) {
  json_object_set_new(object, name, json_integer((json_int_t)bytes));
}

static void set_text(json_t *object, const char *name, const char *text) {
  json_object_set_new(object, name, text != NULL ? json_string(text) : json_null());
}

static void add_sums(json_t *object, const DmReclaimVm *vm) {
  set_size(object, "share", dm_reclaim_share_sum(&vm->share));
  set_size(object, "by_balloon", vm->share.balloon);
  set_size(object, "given", vm->given);
  set_size(object, "pending", vm->pending);
}

static json_t *json_from_vm_of(const DmReclaimVm *vm, const CommonOptions *common) {
  const DmGuest *guest = vm->vm->guest;
  g_autofree char *message = vm->error != NULL ? options_message(common, vm->error) : NULL;
  json_t *object = json_object();
  set_text(object, "name", vm->name);
  set_text(object, "uuid", vm->uuid);
  set_text(object, "outcome", vm->is_asked ? dm_outcome_name(vm->outcome) : NULL);
  set_size(object, "memory", dm_config_memory(dm_vm_current(vm->vm)));
  json_object_set_new(object, "available", json_null());
  if (guest != NULL && guest->memory_source != DM_SOURCE_NONE)
    set_size(object, "available", guest->available);
  add_sums(object, vm);
  set_text(object, "reason", vm->reason != NULL ? vm->reason->text : NULL);
  set_text(object, "reason_code", vm->reason != NULL ? dm_note_name(vm->reason) : NULL);
  json_object_set_new(object, "error", vm->error != NULL ? json_inner_error(vm->error, message) : json_null());
  return object;
}

static json_t *json_from_reclaim(const Reclaim *reclaim) {
  const GPtrArray *vms = dm_reclaim_vms(reclaim->reclaim);
  const DmReclaimVm sums = dm_reclaim_sums(reclaim->reclaim);
  DmOutcome outcome = dm_reclaim_outcome(reclaim->reclaim);
  json_t *object = json_object(), *array = json_array();
  for (guint i = 0; i < vms->len; i++)
    json_array_append_new(array, json_from_vm_of(vms->pdata[i], reclaim->common));
  set_text(object, "outcome", reclaim->options->dry_run ? "planned" : dm_outcome_name(outcome));
  json_object_set_new(object, "interrupted", json_boolean(dm_reclaim_was_stopped(reclaim->reclaim)));
  set_size(object, "wanted", reclaim->options->total);
  add_sums(object, &sums);
  json_object_set_new(object, "vms", array);
  return object;
}

/* ---- */

static const GError *first_error(const DmReclaim *reclaim) {
  const GPtrArray *vms = dm_reclaim_vms(reclaim);
  for (guint i = 0; i < vms->len; i++) {
    const DmReclaimVm *vm = vms->pdata[i];
    if (vm->error != NULL)
      return vm->error;
  }
  return NULL;
}

static int report(const Reclaim *reclaim) {
  gboolean dry_run = reclaim->options->dry_run;
  const DmReclaim *ended = reclaim->reclaim;
  DmOutcome outcome = dm_reclaim_error(ended) == NULL ? dm_reclaim_outcome(ended) : DM_OUTCOME_FAILED;
  if (dm_reclaim_error(ended) != NULL)
    return options_fail(reclaim->common, dm_reclaim_error(ended));
  if (outcome == DM_OUTCOME_CALLED_OFF || (dry_run && dm_reclaim_was_stopped(ended))) {
    g_autoptr(GError) stopped = g_error_new(DM_ERROR, DM_ERROR_INTERRUPTED, "interrupted before anything was changed");
    return options_fail(reclaim->common, stopped);
  }
  if (outcome == DM_OUTCOME_FAILED && !dry_run)
    return options_fail(reclaim->common, first_error(ended));
  if (reclaim->common->json)
    json_print(json_from_reclaim(reclaim));
  else
    print_text(reclaim);
  return dry_run ? DM_EXIT_DONE : options_outcome_status(outcome);
}

static int reclaim_from(const CommonOptions *common, const DmReclaimOptions *options) {
  static const DmReclaimListener listener = {.asked = on_asked, .answered = on_answered, .ended = on_ended};
  g_autoptr(GError) error = NULL;
  g_autoptr(DmConnection) connection = options_connect(common, options->dry_run, &error);
  if (connection == NULL)
    return options_fail(common, error);
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  Reclaim reclaim = {.common = common, .options = options, .loop = loop};
  g_autoptr(DmReclaim) owned = reclaim.reclaim = dm_reclaim_new(connection, options, &listener, &reclaim);
  guint interrupt = g_unix_signal_add(SIGINT, on_interrupt, &reclaim);
  guint terminate = g_unix_signal_add(SIGTERM, on_interrupt, &reclaim);
  dm_reclaim_start(owned);
  g_main_loop_run(loop);
  g_source_remove(interrupt);
  g_source_remove(terminate);
  return report(&reclaim);
}

static gboolean read_total(const char *text, uint64_t *total, GError **error) {
  uint64_t bytes;
  return options_size("--memory", text, &bytes, error) && dm_rule_size("memory", bytes, total, error);
}

int verb_reclaim(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  g_autofree char *memory = NULL, *timeout = NULL;
  g_auto(GStrv) names = NULL;
  DmReclaimOptions options = {.timeout_s = APPLY_DEFAULT_TIMEOUT};
  const GOptionEntry entries[] = {
    {"memory", 'm', 0, G_OPTION_ARG_STRING, &memory, "how much to take back in all", "SIZE"},
    {"vm", 0, 0, G_OPTION_ARG_STRING_ARRAY, &names, "only of VMs of that name; may be repeated", "PATTERN"},
    {"balloon", 0, 0, G_OPTION_ARG_NONE, &options.balloon, BALLOON_HELP, NULL},
    OPTION_DRY_RUN(&options.dry_run),
    OPTION_TIMEOUT(&timeout),
    {NULL},
  };
  if (!options_parse(verb,

        "The running VM with the largest unused share of its memory gives first, until these\n"
        "are level. None goes below its guaranteed memory, nor what its guest can spare;\n"
        "where one refuses, others give instead. The next start of each stays as it is.",
        entries, &common, &argc, &argv, 0, 0, &error) ||
    (memory != NULL && !read_total(memory, &options.total, &error)) ||
    (timeout != NULL && !options_seconds("--timeout", timeout, &options.timeout_s, &error)))
    return options_fail(&common, error);
  if (memory == NULL) {
    g_set_error(&error, DM_ERROR, DM_ERROR_USAGE, "how much to take back is missing: give --memory");
    return options_fail(&common, error);
  }
  options.names = (const char *const *)names;
  return reclaim_from(&common, &options);
}
