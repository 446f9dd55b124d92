/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/checkup.h"

#include "hypervisor/balloon.h"
#include "hypervisor/domain.h"

typedef struct {
  DmConnection *connection;
  char *vm_name;
  DmLookDepth depth;
  DmCheckupFunc done;
  gpointer data;
  DmVm *vm;
  GError *error;
} Checkup;

static void finish(Checkup *checkup, DmAgent *agent) {
  checkup->done(checkup->vm, agent, checkup->error, checkup->data);
  dm_connection_close(checkup->connection);
  g_free(checkup->vm_name);
  g_free(checkup);
}

static void on_look(DmGuest *guest, DmAgent *agent, gpointer data) {
  Checkup *checkup = data;
  dm_vm_take_guest(checkup->vm, guest);
  finish(checkup, agent);
}

static void work_read(gpointer data) {
  Checkup *checkup = data;
  checkup->vm = dm_domain_read(checkup->connection, checkup->vm_name, &checkup->error);
  if (checkup->vm == NULL)
    return;
  dm_domain_read_job(checkup->connection, checkup->vm);
  dm_balloon_find_out(checkup->connection, checkup->vm);
  dm_balloon_find_driver(checkup->connection, checkup->vm);
}

static void on_read(gpointer data) {
  Checkup *checkup = data;
  if (checkup->vm == NULL || checkup->vm->state != DM_VM_RUNNING)
    finish(checkup, NULL);
  else
    dm_look(checkup->connection, checkup->vm, checkup->depth, on_look, checkup);
}

void dm_checkup(DmConnection *connection, const char *vm_name, DmLookDepth depth, DmCheckupFunc done, gpointer data) {
  Checkup *checkup = g_new0(Checkup, 1);
  checkup->connection = dm_connection_ref(connection);
  checkup->vm_name = g_strdup(vm_name);
  checkup->depth = depth;
  checkup->done = done;
  checkup->data = data;
  dm_connection_run(connection, vm_name, work_read, on_read, checkup);
}
