/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reboot that applies the next run
 * ==================================
 *
 * QEMU cannot apply a next run while it runs: the VM has to stop, and dimmerd has to start it again. The VM must not be
 * left down in between, whatever the next run contains and whenever dimmerd exits. So:
 *
 *   begin     tries the next run beside the VM, as a copy without anything that only one VM can use. If QEMU rejects
 *             it, that is an error, and the VM runs on. Saves the running configuration durably in a file, and only
 *             then asks the guest to shut down
 *   go on     the guest shut down: starts the VM. If that fails (a disk is missing, the host has no memory), saves
 *             the failed definition in a second file, defines the saved one again, and starts the VM as before
 *   call off  the guest did not shut down in time: leaves it alone, and makes a reset by it a reset again
 *   resume    dimmerd was down meanwhile: the file shows that a reboot is under way; continues from the VM's state
 *
 * The file is removed last. Its modification time is that of the shutdown request.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "base/debug.h"
#include "base/error.h"
#include "hypervisor/reboot.h"
#include "inventory_private.h"

#define FAILED_SUFFIX ".failed.xml"
#define KEPT_SUFFIX ".xml"

/* An old reboot request is no reason to start a VM. */
#define FORGOTTEN_SECONDS 3600

typedef struct {
  DmInventory *inventory;
  DmConnection *connection;
  char *uuid, *kept, *failed; /* the two files; NULL: nothing is saved */
  gboolean resumes;
  DmPowerDone done; /* NULL: no caller */
  gpointer data;
  DmVm *vm;
  GError *error;
  gboolean waits; /* the guest has @left_s left */
  double left_s;
  DmReboot end; /* runs, reason, failed_file */
  char *reason;
} RebootTask;

static char *file_of(const DmInventory *inventory, const char *uuid, const char *suffix) {
  g_autofree char *name = g_strconcat(uuid, suffix, NULL);
  return inventory->folder != NULL ? g_build_filename(inventory->folder, name, NULL) : NULL;
}

static RebootTask *task_new(DmInventory *inventory, const Slot *slot) {
  RebootTask *task = g_new0(RebootTask, 1);
  task->inventory = inventory_ref(inventory);
  task->connection = dm_connection_ref(slot->entry.host->connection);
  task->uuid = g_strdup(slot->entry.vm->uuid);
  task->kept = file_of(inventory, task->uuid, KEPT_SUFFIX);
  task->failed = file_of(inventory, task->uuid, FAILED_SUFFIX);
  return task;
}

static void task_free(RebootTask *task) {
  dm_connection_close(task->connection);
  g_free(task->uuid);
  g_free(task->kept);
  g_free(task->failed);
  dm_vm_free(task->vm);
  g_clear_error(&task->error);
  g_free(task->reason);
  inventory_unref(task->inventory);
  g_free(task);
}

static gboolean keep(const char *file, const char *text, GError **error) {
  const GFileSetContentsFlags flags = G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE;
  g_autoptr(GError) failed = NULL;
  if (file == NULL || g_file_set_contents_full(file, text, -1, flags, 0600, &failed))
    return TRUE;
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "the definition of a VM cannot be kept: %s", failed->message);
  return FALSE;
}

static void forget_file(const char *file) {
  if (file != NULL)
    g_unlink(file);
}

/* ---- begin ---- */

static void begin_work(gpointer data) {
  RebootTask *task = data;
  if (!dm_reboot_try(task->connection, task->uuid, &task->error))
    return;
  g_autofree char *present = dm_reboot_present(task->connection, task->uuid, &task->error);
  if (present == NULL)
    return;
  forget_file(task->failed);
  if (!keep(task->kept, present, &task->error))
    return;
  if (dm_reboot_ask(task->connection, task->uuid, &task->error)) {
    task->vm = dm_domain_read(task->connection, task->uuid, NULL);
    return;
  }
  if (dm_reboot_call_off(task->connection, task->uuid, present, NULL))
    forget_file(task->kept);
}

/* The VM may have stopped since: its events came earlier. */
static void take_vm(RebootTask *task, Slot *slot) {
  slot->entry.starting = FALSE;
  slot->rebooting = FALSE;
  if (task->vm != NULL)
    inventory_replace(task->inventory, slot, g_steal_pointer(&task->vm));
  else
    inventory_touch(task->inventory, slot);
  dm_inventory_refresh(task->inventory, &slot->entry);
}

static gboolean on_due(gpointer data);

static void wait_for_guest(Slot *slot, double wait_s) {
  reboot_forget(slot);
  slot->cold = g_timeout_add((guint)(MAX(wait_s, 0.001) * 1000), on_due, slot);
}

static void begin_done(gpointer data) {
  RebootTask *task = data;
  if (task->inventory->closed) { /* the file stays: the next dimmerd continues */
    task_free(task);
    return;
  }
  Slot *slot = inventory_find(task->inventory, task->uuid);
  if (slot != NULL) {
    take_vm(task, slot);
    if (task->error != NULL) {
      reboot_forget(slot);
      passing_failed(slot->passing);
    } else if (slot->cold != 0) /* else it is down already */
      wait_for_guest(slot, task->inventory->shutdown_s);
  }
  task->done(slot != NULL ? &slot->entry : NULL, task->error, task->data);
  task_free(task);
}

void reboot_begin(DmInventory *inventory, Slot *slot, DmPowerDone done, gpointer data) {
  if (slot->rebooting) {
    g_autoptr(GError) error =
      g_error_new(DM_ERROR, DM_ERROR_BUSY, "%s is already being rebooted; wait for that", slot->entry.vm->name);
    done(&slot->entry, error, data);
    return;
  }
  RebootTask *task = task_new(inventory, slot);
  task->done = done;
  task->data = data;
  slot->rebooting = TRUE;
  /* Counted from the request; but the guest may be down before this gets the event. */
  wait_for_guest(slot, inventory->shutdown_s + FORGOTTEN_SECONDS);
  dm_connection_run(task->connection, task->uuid, begin_work, begin_done, task);
}

/* ---- go on ---- */

/* Started by another program meanwhile, it runs too. */
static gboolean start(RebootTask *task, GError **error) {
  g_autoptr(GError) failed = NULL;
  if (dm_reboot_start(task->connection, task->uuid, &failed) ||
    dm_reboot_look(task->connection, task->uuid, NULL) == DM_REBOOT_WAITS)
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&failed));
  return FALSE;
}

/* Back from the definition that does not start to @present. If that does not start either, the first one stays. */
static gboolean fall_back(RebootTask *task, const char *present, GError **error) {
  g_autofree char *failed = NULL;
  if (g_file_test(task->failed, G_FILE_TEST_EXISTS)) /* dimmerd was killed during this */
    g_file_get_contents(task->failed, &failed, NULL, NULL);
  else
    failed = dm_reboot_definition(task->connection, task->uuid, error);
  if (failed == NULL || !keep(task->failed, failed, error) || !dm_reboot_define(task->connection, present, error))
    return FALSE;
  if (start(task, error))
    return TRUE;
  if (dm_connection_is_alive(task->connection) && dm_reboot_define(task->connection, failed, NULL))
    forget_file(task->failed);
  return FALSE;
}

static const char *const in_the_middle = "dimmerd ended in the middle of its start";

/* An earlier dimmerd had restored the former configuration, and not reported it. */
static void notice_fallen_back(RebootTask *task) {
  if (!task->resumes || task->vm == NULL || task->vm->live == NULL || !g_file_test(task->failed, G_FILE_TEST_EXISTS))
    return;
  task->end = (DmReboot){.reports = TRUE, .runs = TRUE};
  task->reason = g_strdup(in_the_middle);
}

static void bring_up(RebootTask *task, const char *present) {
  g_autoptr(GError) failed = NULL;
  gboolean fell = task->failed != NULL && g_file_test(task->failed, G_FILE_TEST_EXISTS);
  task->end.reports = TRUE;
  if (!fell && start(task, &failed)) {
    task->end.runs = TRUE;
    task->end.reports = FALSE;
    return;
  }
  task->reason = g_strdup(failed != NULL ? failed->message : in_the_middle);
  g_clear_error(&failed);
  if (present == NULL || !dm_connection_is_alive(task->connection))
    return;
  task->end.runs = fall_back(task, present, &failed);
  if (failed == NULL)
    return;
  g_autofree char *first = g_steal_pointer(&task->reason);
  task->reason = g_strdup_printf("%s; nor as it ran before: %s", first, failed->message);
}

/* The time left for its guest. FALSE: the request is too old to act on. */
static gboolean read_time_left(RebootTask *task) {
  GStatBuf status;
  if (task->kept == NULL || g_stat(task->kept, &status) != 0)
    return !task->resumes;
  double gone = (double)g_get_real_time() / G_USEC_PER_SEC - (double)status.st_mtime;
  task->left_s = task->inventory->shutdown_s - gone;
  return gone < task->inventory->shutdown_s + FORGOTTEN_SECONDS;
}

static void go_on_work(gpointer data) {
  RebootTask *task = data;
  g_autofree char *present = NULL;
  if (task->kept != NULL)
    g_file_get_contents(task->kept, &present, NULL, NULL);
  DmRebootStanding standing = dm_reboot_look(task->connection, task->uuid, present);
  if (!dm_connection_is_alive(task->connection))
    return;
  task->waits = standing == DM_REBOOT_WAITS && task->resumes;
  if (!read_time_left(task))
    standing = DM_REBOOT_OVER;
  if (standing == DM_REBOOT_WENT_DOWN)
    bring_up(task, present);
  if (!dm_connection_is_alive(task->connection)) /* retried when the host is back */
    return;
  task->vm = dm_domain_read(task->connection, task->uuid, NULL);
  if (standing == DM_REBOOT_OVER)
    notice_fallen_back(task);
  if (!task->waits)
    forget_file(task->kept);
}

static void tell_end(RebootTask *task, Slot *slot) {
  task->end.reason = task->reason;
  task->end.failed_file = task->end.runs ? task->failed : NULL;
  EACH_LISTENER(task->inventory, reboot, &slot->entry, &task->end)
}

static void go_on_done(gpointer data) {
  RebootTask *task = data;
  if (task->inventory->closed) {
    task_free(task);
    return;
  }
  Slot *slot = inventory_find(task->inventory, task->uuid);
  gboolean alive = dm_connection_is_alive(task->connection);
  if (!alive)
    g_hash_table_add(task->inventory->reboots, g_strdup(task->uuid));
  if (slot != NULL) {
    take_vm(task, slot);
    if (task->waits && alive)
      wait_for_guest(slot, task->left_s);
    else if (task->end.reports && alive)
      tell_end(task, slot);
    if (task->end.reports && !task->end.runs)
      passing_failed(slot->passing);
  }
  task_free(task);
}

static void go_on(DmInventory *inventory, Slot *slot, gboolean resumes) {
  RebootTask *task = task_new(inventory, slot);
  task->resumes = resumes;
  slot->rebooting = TRUE;
  slot->entry.starting = !resumes;
  inventory_touch(inventory, slot);
  dm_connection_run(task->connection, task->uuid, go_on_work, go_on_done, task);
}

void reboot_went_down(DmInventory *inventory, Slot *slot) {
  if (slot->entry.host->connection != NULL)
    go_on(inventory, slot, FALSE);
  else
    g_hash_table_add(inventory->reboots, g_strdup(slot->entry.vm->uuid));
}

/* ---- call off ---- */

static void call_off_work(gpointer data) {
  RebootTask *task = data;
  g_autofree char *present = NULL;
  if (task->kept != NULL)
    g_file_get_contents(task->kept, &present, NULL, NULL);
  g_autoptr(GError) failed = NULL;
  if (!dm_reboot_call_off(task->connection, task->uuid, present != NULL ? present : "", &failed))
    dm_debug("libvirt", "the reboot of VM %s is not called off: %s", task->uuid, failed->message);
  if (dm_connection_is_alive(task->connection))
    forget_file(task->kept);
}

static void call_off_done(gpointer data) {
  RebootTask *task = data;
  if (task->inventory->closed) {
    task_free(task);
    return;
  }
  Slot *slot = inventory_find(task->inventory, task->uuid);
  if (slot != NULL)
    slot->rebooting = FALSE;
  task_free(task);
}

/* If it shuts down after this, it is for another reason. */
static gboolean on_due(gpointer data) {
  Slot *slot = data;
  slot->cold = 0;
  EACH_LISTENER(slot->inventory, life, &slot->entry, DM_LIFE_REBOOT_IGNORED)
  if (slot->entry.host->connection == NULL)
    return G_SOURCE_REMOVE;
  RebootTask *task = task_new(slot->inventory, slot);
  slot->rebooting = TRUE;
  dm_connection_run(task->connection, task->uuid, call_off_work, call_off_done, task);
  return G_SOURCE_REMOVE;
}

gboolean reboot_forget(Slot *slot) {
  guint timer = slot->cold;
  slot->cold = 0;
  return timer != 0 && g_source_remove(timer);
}

void reboot_drop(Slot *slot) {
  g_autofree char *kept = file_of(slot->inventory, slot->entry.vm->uuid, KEPT_SUFFIX);
  if (reboot_forget(slot))
    forget_file(kept);
}

/* ---- resume ---- */

void reboot_find_kept(DmInventory *inventory) {
  g_autoptr(GDir) folder = inventory->folder != NULL ? g_dir_open(inventory->folder, 0, NULL) : NULL;
  for (const char *name; folder != NULL && (name = g_dir_read_name(folder)) != NULL;) {
    gsize length = strlen(name);
    if (!g_str_has_suffix(name, KEPT_SUFFIX) || g_str_has_suffix(name, FAILED_SUFFIX))
      continue;
    g_autofree char *uuid = g_strndup(name, length - strlen(KEPT_SUFFIX));
    if (g_uuid_string_is_valid(uuid))
      g_hash_table_add(inventory->reboots, g_steal_pointer(&uuid));
  }
}

void reboot_resume(DmInventory *inventory, Slot *slot) {
  if (slot->entry.host->connection != NULL && g_hash_table_remove(inventory->reboots, slot->entry.vm->uuid))
    go_on(inventory, slot, TRUE);
}
