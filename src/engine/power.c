/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and stopping. A cold reboot is a shutdown and, once the guest has gone down for it, a start with the
 * next-run configuration: inventory.c sees to that. A guest that ignores the shutdown is left alone after a while.
 */
#include "base/error.h"
#include "inventory_private.h"

gboolean inventory_forget_cold(Slot *slot) {
  guint timer = slot->cold;
  slot->cold = 0;
  return timer != 0 && g_source_remove(timer);
}

typedef struct {
  DmInventory *inventory;
  DmConnection *connection;
  char *uuid;
  DmPower power;
  DmPowerDone done;
  gpointer data;
  DmVm *vm;
  GError *error;
} PowerTask;

static void power_work(gpointer data) {
  PowerTask *task = data;
  if (dm_domain_power(task->connection, task->uuid, task->power, &task->error))
    task->vm = dm_domain_read(task->connection, task->uuid, NULL); /* a transient VM that was stopped is gone */
}

static void power_done(gpointer data) {
  PowerTask *task = data;
  Slot *slot = inventory_find(task->inventory, task->uuid);
  if (slot != NULL) {
    slot->entry.starting = FALSE;
    if (task->vm != NULL)
      inventory_replace(task->inventory, slot, g_steal_pointer(&task->vm));
    else
      inventory_touch(task->inventory, slot);
    dm_inventory_refresh(task->inventory, &slot->entry);
  }
  task->done(slot != NULL ? &slot->entry : NULL, task->error, task->data);
  dm_connection_close(task->connection);
  g_free(task->uuid);
  dm_vm_free(task->vm);
  g_clear_error(&task->error);
  g_free(task);
}

/* When it goes down after this, it was for another reason. */
static gboolean on_cold_due(gpointer data) {
  Slot *slot = data;
  slot->cold = 0;
  EACH_LISTENER(slot->inventory, life, &slot->entry, DM_LIFE_REBOOT_IGNORED)
  return G_SOURCE_REMOVE;
}

void dm_inventory_power(DmInventory *inventory, DmEntry *entry, DmPower power, DmPowerDone done, gpointer data) {
  Slot *slot = (Slot *)entry;
  inventory_forget_cold(slot);
  if (power == DM_POWER_COLD_REBOOT)
    slot->cold = g_timeout_add((guint)(inventory->shutdown_seconds * 1000), on_cold_due, slot);
  if (entry->host->connection == NULL) {
    g_autoptr(GError) error = g_error_new(DM_ERROR, DM_ERROR_CONNECTION, "cannot %s %s: %s", dm_power_name(power),
      entry->vm->name, entry->host->problem != NULL ? entry->host->problem : "its host is not connected yet");
    done(entry, error, data);
    return;
  }
  PowerTask *task = g_new0(PowerTask, 1);
  task->inventory = inventory;
  task->connection = dm_connection_ref(entry->host->connection);
  task->uuid = g_strdup(entry->vm->uuid);
  task->power = power;
  task->done = done;
  task->data = data;
  if (power == DM_POWER_START && entry->vm->state != DM_VM_PAUSED) {
    slot->entry.starting = TRUE;
    inventory_touch(inventory, slot);
  }
  dm_connection_run(task->connection, power_work, power_done, task);
}
