/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/prepare.h"

#include "engine/checkup.h"
#include "engine/lock.h"
#include "hypervisor/domain.h"
#include "plan/doctor.h"
#include "plan/rules.h"

typedef struct {
  DmConnection *connection;
  char *vm_name;
  DmLock *lock;
  DmVm *vm;
  DmAgent *agent;
  DmPrepared *prepared;
  GError *error;
  DmPreparationFunc done;
  gpointer data;
} Preparation;

static gboolean is_ready(const DmVm *vm) {
  g_autoptr(GPtrArray) findings = dm_plan_doctor(vm, 0);
  for (guint i = 0; i < findings->len; i++) {
    const DmFinding *finding = findings->pdata[i];
    if (dm_finding_check(finding->code) == DM_CHECK_ONLINING)
      return finding->verdict == DM_VERDICT_GOOD;
  }
  return FALSE;
}

static void finish(Preparation *preparation) {
  const DmPreparation end = {
    .vm = preparation->vm,
    .prepared = preparation->prepared,
    .ready = preparation->error == NULL && is_ready(preparation->vm),
    .error = preparation->error,
  };
  g_clear_pointer(&preparation->agent, dm_agent_free);
  g_clear_pointer(&preparation->lock, dm_lock_free);
  preparation->done(&end, preparation->data);
  dm_vm_free(preparation->vm);
  dm_prepared_free(preparation->prepared);
  g_clear_error(&preparation->error);
  dm_connection_close(preparation->connection);
  g_free(preparation->vm_name);
  g_free(preparation);
}

static void on_looked_again(DmVm *vm, DmAgent *agent, GError *error, gpointer data) {
  Preparation *preparation = data;
  dm_vm_free(preparation->vm);
  preparation->vm = vm;
  preparation->agent = agent;
  preparation->error = error;
  if (error == NULL && !dm_rule_preparable(vm, &preparation->error)) /* it shut down meanwhile */
    g_assert(preparation->error != NULL);
  finish(preparation);
}

static void on_prepared(GError *error, gpointer data) {
  Preparation *preparation = data;
  preparation->error = error;
  g_clear_pointer(&preparation->agent, dm_agent_free); /* its port takes one client at a time */
  if (error != NULL)
    finish(preparation);
  else
    dm_checkup(preparation->connection, preparation->vm->uuid, DM_LOOK_WHOLE, on_looked_again, preparation);
}

static void on_looked(DmVm *vm, DmAgent *agent, GError *error, gpointer data) {
  Preparation *preparation = data;
  dm_vm_free(preparation->vm);
  preparation->vm = vm;
  preparation->agent = agent;
  preparation->error = error;
  if (vm != NULL && dm_rule_preparable(vm, &preparation->error) && dm_rule_idle(vm, &preparation->error) &&
    dm_rule_agent_free(vm, &preparation->error))
    dm_prepare(preparation->connection, vm, agent, preparation->prepared, on_prepared, preparation);
  else
    finish(preparation);
}

static void work_read(gpointer data) {
  Preparation *preparation = data;
  preparation->vm = dm_domain_read(preparation->connection, preparation->vm_name, &preparation->error);
}

/*
 * Lock before the first query: a request may have taken memory offline to unplug it, and the query occupies the agent's
 * port.
 */
static void on_read(gpointer data) {
  Preparation *preparation = data;
  const DmVm *vm = preparation->vm;
  if (vm != NULL && dm_rule_preparable(vm, &preparation->error))
    preparation->lock = dm_lock_take(vm->uuid, vm->name, &preparation->error);
  if (preparation->lock != NULL)
    dm_checkup(preparation->connection, vm->uuid, DM_LOOK_WHOLE, on_looked, preparation);
  else
    finish(preparation);
}

void dm_prepare_guest(
  DmConnection *connection, const char *vm_name, const char *uri, DmPreparationFunc done, gpointer data) {
  Preparation *preparation = g_new0(Preparation, 1);
  preparation->connection = dm_connection_ref(connection);
  preparation->vm_name = g_strdup(vm_name);
  preparation->prepared = dm_prepared_new(uri);
  preparation->done = done;
  preparation->data = data;
  dm_connection_run(connection, vm_name, work_read, on_read, preparation);
}
