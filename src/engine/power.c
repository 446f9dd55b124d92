/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and stopping. reboot.c has the reboot that applies the next run. */
#include "base/debug.h"
#include "base/error.h"
#include "inventory_private.h"

typedef struct {
  DmInventory *inventory;
  DmConnection *connection;
  char *uuid;
  DmPower power;
  DmPowerDone done; /* NULL: no caller, asked once more */
  gpointer data;
  DmVm *vm;
  GError *error;
} PowerTask;

static void power_work(gpointer data) {
  PowerTask *task = data;
  if (dm_domain_power(task->connection, task->uuid, task->power, &task->error))
    task->vm = dm_domain_read(task->connection, task->uuid, NULL); /* a transient VM that was stopped is gone */
}

static PowerTask *power_new(DmInventory *inventory, const Slot *slot, DmPower power) {
  PowerTask *task = g_new0(PowerTask, 1);
  task->inventory = inventory_ref(inventory);
  task->connection = dm_connection_ref(slot->entry.host->connection);
  task->uuid = g_strdup(slot->entry.vm->uuid);
  task->power = power;
  return task;
}

static void power_free(PowerTask *task) {
  dm_connection_close(task->connection);
  g_free(task->uuid);
  dm_vm_free(task->vm);
  g_clear_error(&task->error);
  inventory_unref(task->inventory);
  g_free(task);
}

static void power_done(gpointer data) {
  PowerTask *task = data;
  if (task->inventory->closed) {
    power_free(task);
    return;
  }
  Slot *slot = inventory_find(task->inventory, task->uuid);
  if (slot != NULL) {
    slot->entry.starting = FALSE;
    slot->asking -= MIN(slot->asking, 1); /* 0: the VM was gone meanwhile, and has come anew */
    if (task->error != NULL)
      passing_failed(slot->passing);
    if (task->vm != NULL)
      inventory_replace(task->inventory, slot, g_steal_pointer(&task->vm));
    else
      inventory_touch(task->inventory, slot);
    dm_inventory_refresh(task->inventory, &slot->entry);
  }
  task->done(slot != NULL ? &slot->entry : NULL, task->error, task->data);
  power_free(task);
}

void dm_inventory_power(DmInventory *inventory, DmEntry *entry, DmPower power, DmPowerDone done, gpointer data) {
  Slot *slot = (Slot *)entry;
  reboot_drop(slot);
  if (entry->host->connection == NULL) {
    g_autoptr(GError) error = g_error_new(DM_ERROR, DM_ERROR_CONNECTION, "cannot %s %s: %s", dm_power_name(power),
      entry->vm->name, entry->host->problem != NULL ? entry->host->problem : "its host is not connected yet");
    done(entry, error, data);
    return;
  }
  passing_asked(slot->passing, entry->vm, power);
  if (power == DM_POWER_COLD_REBOOT) {
    reboot_begin(inventory, slot, done, data);
    return;
  }
  PowerTask *task = power_new(inventory, slot, power);
  slot->asking++;
  task->done = done;
  task->data = data;
  if (power == DM_POWER_START && entry->vm->state != DM_VM_PAUSED) {
    slot->entry.starting = TRUE;
    inventory_touch(inventory, slot);
  }
  dm_connection_run(task->connection, task->uuid, power_work, power_done, task);
}

static void press_work(gpointer data) {
  const PowerTask *task = data;
  g_autoptr(GError) failed = NULL;
  if (!dm_domain_power(task->connection, task->uuid, task->power, &failed)) /* it has gone down, or still boots */
    dm_debug("libvirt", "once more: %s", failed->message);
}

static void press_done(gpointer data) {
  PowerTask *task = data;
  Slot *slot = task->inventory->closed ? NULL : inventory_find(task->inventory, task->uuid);
  if (slot != NULL)
    slot->asking -= MIN(slot->asking, 1); /* 0: the VM was gone meanwhile, and has come anew */
  power_free(task);
}

/* A VM that went down for a cold reboot, and may be started by now, is not to hear it again. */
void power_press(Slot *slot, DmPower power) {
  gboolean cold = power == DM_POWER_COLD_REBOOT;
  if (slot->asking > 0 || slot->rebooting || slot->entry.host->connection == NULL ||
    slot->entry.vm->state != DM_VM_RUNNING || (cold && slot->cold == 0))
    return;
  PowerTask *task = power_new(slot->inventory, slot, cold ? DM_POWER_REBOOT : power);
  slot->asking++;
  dm_connection_run(task->connection, task->uuid, press_work, press_done, task);
}
