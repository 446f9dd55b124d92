/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "engine/prepare.h"
#include "json.h"
#include "plan/rules.h"

typedef struct {
  const CommonOptions *common;
  GMainLoop *loop;
  int status;
} Prepare;

/* Prints the script to do it by hand, and changes nothing. */
static int print_script(const CommonOptions *common, DmConnection *connection, const char *name) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmVm) vm = checkup_vm(connection, name, DM_LOOK_WHOLE, &error);
  if (vm == NULL || !dm_rule_preparable(vm, &error))
    return options_fail(common, error);
  g_autofree char *script = dm_prepare_script(vm);
  if (common->json) {
    json_t *object = json_about_vm(vm);
    json_object_set_new(object, "script", json_string(script));
    json_print(object);
  } else {
    fputs(script, stdout);
  }
  return DM_EXIT_DONE;
}

static void print_notes(const char *what, const GPtrArray *notes) {
  for (guint i = 0; i < notes->len; i++)
    printf("  %-5s %s\n", what, ((const DmNote *)notes->pdata[i])->text);
}

static void report(const CommonOptions *common, const DmPreparation *done) {
  const DmVm *vm = done->vm;
  if (common->json) {
    json_t *object = json_about_vm(vm);
    json_object_set_new(object, "ready", json_boolean(done->ready));
    json_add_notes(object, "did", "did_codes", done->prepared->did);
    json_add_notes(object, "left", "left_codes", done->prepared->left);
    json_print(object);
    return;
  }
  printf("%s\n", vm->name);
  print_notes("did", done->prepared->did);
  print_notes("left", done->prepared->left);
  g_autofree char *doctor = options_command(common, "dimmer", "doctor", "--", dm_vm_handle(vm), NULL);
  if (done->ready)
    printf("%s: memory that is hot plugged from now on can be hot unplugged\n", vm->name);
  else
    printf("%s: not ready; see why: %s\n", vm->name, doctor);
}

static void on_prepared(const DmPreparation *done, gpointer data) {
  Prepare *prepare = data;
  if (done->error != NULL) {
    if (!prepare->common->json)
      print_notes("did", done->prepared->did);
    prepare->status = options_fail(prepare->common, done->error);
  } else {
    report(prepare->common, done);
    prepare->status = done->ready ? DM_EXIT_DONE : DM_EXIT_PARTLY;
  }
  g_main_loop_quit(prepare->loop);
}

static int prepare_vm(const CommonOptions *common, const char *name, gboolean print) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmConnection) connection = dm_connection_open(common->uri, DM_CONNECTION_CHANGES, &error);
  if (connection == NULL)
    return options_fail(common, error);
  if (print)
    return print_script(common, connection, name);
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  Prepare prepare = {.common = common, .loop = loop};
  dm_prepare_guest(connection, name, options_uri(common), on_prepared, &prepare);
  g_main_loop_run(loop);
  return prepare.status;
}

int verb_guest(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  gboolean print = FALSE;
  const GOptionEntry entries[] = {
    {"print", 0, 0, G_OPTION_ARG_NONE, &print, "print a script that does it by hand, and change nothing", NULL},
    {NULL},
  };
  if (!options_parse(verb,

        "Makes hot plugged memory of a running VM come online as movable, through\n"
        "dimmer-guest or qemu-guest-agent, whichever answers: a udev rule, the running\n"
        "kernel's auto_online_blocks, and the memory that is plugged already. Gives the VM\n"
        "the virtio-serial ports that the agents need.",
        entries, &common, &argc, &argv, 2, 2, &error))
    return options_fail(&common, error);
  if (strcmp(argv[1], "prepare") != 0) {
    g_set_error(&error, DM_ERROR, DM_ERROR_USAGE, "there is no 'guest %s'; usage: dimmer guest prepare VM", argv[1]);
    return options_fail(&common, error);
  }
  return prepare_vm(&common, argv[2], print);
}
