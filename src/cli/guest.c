/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/shell.h"
#include "cli.h"
#include "engine/checkup.h"
#include "engine/lock.h"
#include "guest/prepare.h"
#include "hypervisor/channel.h"
#include "json.h"
#include "plan/doctor.h"
#include "plan/rules.h"

typedef struct {
  const CommonOptions *common;
  GMainLoop *loop;
  DmConnection *connection;
  DmVm *vm;
  DmAgent *agent;
  DmPrepared *prepared;
  gboolean print;
  gboolean inside; /* something was done inside */
  GError *error;
} Prepare;

static void on_step(gpointer data) {
  Prepare *prepare = data;
  g_main_loop_quit(prepare->loop);
}

static void on_checkup(DmVm *vm, DmAgent *agent, GError *error, gpointer data) {
  Prepare *prepare = data;
  dm_vm_free(prepare->vm);
  prepare->vm = vm;
  prepare->agent = agent;
  prepare->error = error;
  on_step(data);
}

static void look(Prepare *prepare, const char *name) {
  dm_checkup(prepare->connection, name, DM_LOOK_WHOLE, on_checkup, prepare);
  g_main_loop_run(prepare->loop);
}

static void work_qemu_agent(gpointer data) {
  Prepare *prepare = data;
  prepare->inside = dm_prepare_by_qemu_agent(prepare->connection, prepare->vm, prepare->prepared, &prepare->error);
}

/* The ports by which an agent can speak, those that are missing. */
static void work_ports(gpointer data) {
  static const char *const ports[] = {DM_AGENT_PORT, DM_QEMU_AGENT_PORT};
  Prepare *prepare = data;
  const DmPort there[] = {prepare->vm->agent_port, prepare->vm->qemu_agent_port};
  for (gsize i = 0; i < G_N_ELEMENTS(ports); i++) {
    if (there[i] != DM_PORT_NONE)
      continue;
    if (!dm_domain_add_port(prepare->connection, prepare->vm, ports[i], &prepare->error))
      return;
    g_ptr_array_add(prepare->prepared->did, g_strdup_printf("gave %s the port %s", prepare->vm->name, ports[i]));
  }
}

static void run_worker(Prepare *prepare, void (*work)(gpointer)) {
  dm_connection_run(prepare->connection, work, on_step, prepare);
  g_main_loop_run(prepare->loop);
}

static gboolean may_prepare(Prepare *prepare) {
  const DmVm *vm = prepare->vm;
  if (vm->state != DM_VM_RUNNING) {
    g_set_error(&prepare->error, DM_ERROR, DM_ERROR_NOT_RUNNING,
      "%s is %s, and only a running guest can be prepared; %s it", vm->name, dm_vm_state_name(vm->state),
      vm->live != NULL ? "resume" : "start");
    return FALSE;
  }
  if (!dm_vm_is_windows(vm))
    return TRUE;
  g_set_error(&prepare->error, DM_ERROR, DM_ERROR_NOT_REMOVABLE,
    "%s runs Windows%s, which cannot release memory while it runs: there is nothing to prepare", vm->name,
    vm->guest != NULL && vm->guest->windows == DM_FACT_YES ? "" : " by its definition");
  return FALSE;
}

static gboolean may_speak(Prepare *prepare) {
  if (!prepare->vm->guest->busy)
    return TRUE;
  g_set_error(&prepare->error, DM_ERROR, DM_ERROR_BUSY,
    "another program speaks to dimmer-guest in %s at this moment; repeat this once it is done", prepare->vm->name);
  return FALSE;
}

static void prepare_inside(Prepare *prepare) {
  if (prepare->agent != NULL) {
    dm_prepare_by_agent(prepare->agent, prepare->vm, prepare->prepared, on_step, prepare);
    g_main_loop_run(prepare->loop);
    prepare->inside = TRUE;
  }
  if (prepare->vm->guest->qemu_agent || (prepare->agent == NULL && prepare->vm->qemu_agent_port == DM_PORT_OPEN))
    run_worker(prepare, work_qemu_agent);
  if (prepare->inside || prepare->error != NULL)
    return;
  g_autofree char *print = dm_shell_command("dimmer", "guest", "prepare", prepare->vm->name, "--print", NULL);
  g_ptr_array_add(prepare->prepared->left,
    g_strdup_printf(
      "no agent answers in %s: start dimmer-guest or qemu-guest-agent inside and run this again, or do it "
      "by hand ('%s' shows how)",
      prepare->vm->name, print));
}

static void print_sentences(const char *what, const GPtrArray *sentences) {
  for (guint i = 0; i < sentences->len; i++)
    printf("  %-5s %s\n", what, (const char *)sentences->pdata[i]);
}

static json_t *json_from_sentences(const GPtrArray *sentences) {
  json_t *array = json_array();
  for (guint i = 0; i < sentences->len; i++)
    json_array_append_new(array, json_string(sentences->pdata[i]));
  return array;
}

static void report(const Prepare *prepare, gboolean ready) {
  const DmPrepared *prepared = prepare->prepared;
  if (prepare->common->json) {
    json_print(json_pack("{s:s, s:s, s:b, s:o, s:o}", "vm", prepare->vm->name, "uuid", prepare->vm->uuid, "ready",
      ready, "did", json_from_sentences(prepared->did), "left", json_from_sentences(prepared->left)));
    return;
  }
  printf("%s\n", prepare->vm->name);
  print_sentences("did", prepared->did);
  print_sentences("left", prepared->left);
  g_autofree char *doctor = dm_shell_command("dimmer", "doctor", prepare->vm->name, NULL);
  if (ready)
    printf("%s: memory that is hot plugged from now on can be hot unplugged\n", prepare->vm->name);
  else
    printf("%s: not ready; '%s' tells why\n", prepare->vm->name, doctor);
}

/* New memory will come online as movable, as far as the guest itself tells. */
static gboolean is_ready(const DmVm *vm) {
  g_autoptr(GPtrArray) findings = dm_plan_doctor(vm, 0);
  for (guint i = 0; i < findings->len; i++) {
    const DmFinding *finding = findings->pdata[i];
    if (strcmp(finding->check, "onlining") == 0)
      return finding->verdict == DM_VERDICT_GOOD;
  }
  return FALSE;
}

static int finish(Prepare *prepare) {
  int status = prepare->error != NULL ? options_fail(prepare->common, prepare->error) : DM_EXIT_DONE;
  g_clear_error(&prepare->error);
  dm_agent_free(prepare->agent);
  dm_vm_free(prepare->vm);
  dm_prepared_free(prepare->prepared);
  g_main_loop_unref(prepare->loop);
  dm_connection_close(prepare->connection);
  return status;
}

static int prepare_vm(Prepare *prepare, const char *name) {
  prepare->connection = dm_connection_open(prepare->common->uri, DM_CONNECTION_CHANGES, &prepare->error);
  prepare->loop = g_main_loop_new(NULL, FALSE);
  prepare->prepared = dm_prepared_new();
  if (prepare->connection == NULL)
    return finish(prepare);
  look(prepare, name);
  if (prepare->vm == NULL || !may_prepare(prepare))
    return finish(prepare);
  if (prepare->print) {
    g_autofree char *script = dm_prepare_script(prepare->vm);
    if (prepare->common->json)
      json_print(json_pack("{s:s, s:s, s:s}", "vm", prepare->vm->name, "uuid", prepare->vm->uuid, "script", script));
    else
      fputs(script, stdout);
    return finish(prepare);
  }
  /* A request may have memory offline at this moment, on its way out. */
  g_autoptr(DmLock) lock = dm_lock_take(prepare->vm->uuid, prepare->vm->name, &prepare->error);
  if (lock == NULL || !dm_rule_idle(prepare->vm, &prepare->error) || !may_speak(prepare))
    return finish(prepare);
  run_worker(prepare, work_ports);
  if (prepare->error == NULL)
    prepare_inside(prepare);
  if (prepare->error != NULL) {
    if (!prepare->common->json)
      print_sentences("did", prepare->prepared->did);
    return finish(prepare);
  }
  g_clear_pointer(&prepare->agent, dm_agent_free);
  g_autofree char *uuid = g_strdup(prepare->vm->uuid);
  look(prepare, uuid);
  if (prepare->vm == NULL)
    return finish(prepare);
  gboolean ready = is_ready(prepare->vm);
  report(prepare, ready);
  finish(prepare);
  return ready ? DM_EXIT_DONE : DM_EXIT_PARTLY;
}

int verb_guest(int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  Prepare prepare = {.common = &common};
  const GOptionEntry entries[] = {
    {"print", 0, 0, G_OPTION_ARG_NONE, &prepare.print, "print a script that does it by hand, and touch nothing", NULL},
    {NULL},
  };
  if (!options_parse(verb_find("guest"),

        "Makes hot plugged memory of a running VM come online as movable, through\n"
        "dimmer-guest or qemu-guest-agent, whichever is there: a udev rule, the running\n"
        "kernel's auto_online_blocks, and the memory that is plugged already. Gives the VM\n"
        "the virtio-serial ports that the agents need.",
        entries, &common, &argc, &argv, 2, 2, &error))
    return options_fail(&common, error);
  if (strcmp(argv[1], "prepare") != 0) {
    g_set_error(&error, DM_ERROR, DM_ERROR_USAGE, "there is no 'guest %s'; usage: dimmer guest prepare VM", argv[1]);
    return options_fail(&common, error);
  }
  return prepare_vm(&prepare, argv[2]);
}
