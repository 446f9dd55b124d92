/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/checkup.h"

#include "cli.h"

typedef struct {
  GMainLoop *loop;
  DmVm *vm;
  GError *error;
} Visit;

static void on_checkup(DmVm *vm, DmAgent *agent, GError *error, gpointer data) {
  Visit *visit = data;
  visit->vm = vm;
  visit->error = error;
  dm_agent_free(agent);
  g_main_loop_quit(visit->loop);
}

DmVm *checkup_vm(DmConnection *connection, const char *name, DmLookDepth depth, GError **error) {
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  Visit visit = {.loop = loop};
  dm_checkup(connection, name, depth, on_checkup, &visit);
  g_main_loop_run(loop);
  if (visit.error != NULL)
    g_propagate_error(error, visit.error);
  return visit.vm;
}
