/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the inventory works
 * =======================
 *
 * Each host is listed completely when its connection is up; from then on libvirt's events say which VM has changed, and
 * only that VM is re-read, one read at a time (site.c). What an event says about a memory device is applied at once, so
 * that memory changes with the event, not with the read after it.
 *
 * A read takes time, and its result may be older than what a request has just written. So replacements of an entry's VM
 * are counted, and a read that began before the last one is discarded and repeated.
 */
#include "base/error.h"
#include "inventory_private.h"

#define STATS_SECONDS 10
#define READY_SECONDS 10
#define LEAVING_FIRST 125 /* milliseconds, doubled each time */
#define LEAVING_LONGEST 64000
#define FIRMWARE_SECONDS 3

/*
 * libvirt reports that a VM has moved away while it still has it, shut off; it closes the connection to the other host,
 * which may take any time, and then removes the VM without an event, even one that was defined here (9.0's
 * qemuMigrationSrcPerformJob). So a VM that has moved is polled until it is gone, runs, or evidently stays.
 */
static void forget_leaving(Slot *slot) {
  if (slot->leaving_timer != 0)
    g_source_remove(slot->leaving_timer);
  slot->leaving_timer = slot->leaving_pause_ms = 0;
}

static gboolean on_leaving(gpointer data) {
  Slot *slot = data;
  slot->leaving_pause_ms *= 2;
  slot->leaving_timer = 0;
  if (slot->leaving_pause_ms <= LEAVING_LONGEST)
    slot->leaving_timer = g_timeout_add(slot->leaving_pause_ms, on_leaving, slot);
  dm_inventory_refresh(slot->inventory, &slot->entry);
  return G_SOURCE_REMOVE;
}

static void expect_leaving(Slot *slot) {
  forget_leaving(slot);
  slot->leaving_pause_ms = LEAVING_FIRST;
  slot->leaving_timer = g_timeout_add(slot->leaving_pause_ms, on_leaving, slot);
}

static void on_passing_changed(DmPassing stage, gpointer data) {
  Slot *slot = data;
  slot->entry.passing = stage;
  inventory_touch(slot->inventory, slot);
}

static void on_passing_look(gpointer data) {
  Slot *slot = data;
  const DmVm *vm = slot->entry.vm;
  if (vm->agent_port != DM_PORT_NONE || vm->qemu_agent_port != DM_PORT_NONE)
    dm_inventory_refresh(slot->inventory, &slot->entry);
}

static void on_passing_press(DmPower power, gpointer data) {
  power_press(data, power);
}

static void on_passing_ignored(gpointer data) {
  Slot *slot = data;
  EACH_LISTENER(slot->inventory, life, &slot->entry, DM_LIFE_SHUTDOWN_IGNORED)
}

static Slot *slot_new(DmInventory *inventory, Site *site, DmVm *vm) {
  static const PassingListener listener = {on_passing_changed, on_passing_look, on_passing_press, on_passing_ignored};
  Slot *slot = g_new0(Slot, 1);
  slot->entry.vm = vm;
  slot->entry.host = &site->host;
  slot->inventory = inventory;
  slot->puts = 1;
  slot->passing = passing_new(
    inventory->passings != NULL ? g_build_filename(inventory->passings, vm->uuid, NULL) : NULL, &listener, slot);
  slot->entry.passing =
    passing_resume(slot->passing, vm, g_hash_table_contains(inventory->reboots, vm->uuid), inventory->began_ms);
  inventory_take_start(&slot->entry);
  return slot;
}

static void slot_free(gpointer data) {
  Slot *slot = data;
  reboot_forget(slot);
  forget_leaving(slot);
  passing_free(slot->passing);
  dm_vm_free(slot->entry.vm);
  g_free(slot);
}

/* A VM that two hosts know (in a migration, or if two URIs lead to one libvirt) belongs to the one where it runs. */
static gboolean belongs_here(const Slot *slot, const Site *site, const DmVm *vm) {
  return slot->entry.host == &site->host || slot->entry.host->status != DM_HOST_UP ||
    (vm->live != NULL && slot->entry.vm->live == NULL);
}

/* Takes ownership of @vm; creates the entry if it is new. */
static void on_seen(Site *site, DmVm *vm) {
  DmInventory *inventory = site->inventory;
  Slot *slot = inventory_find(inventory, vm->uuid);
  if (slot != NULL && !belongs_here(slot, site, vm)) {
    dm_vm_free(vm);
    return;
  }
  if (slot == NULL) {
    slot = slot_new(inventory, site, vm);
    g_hash_table_insert(inventory->slots, g_strdup(vm->uuid), slot);
    inventory_forget_order(inventory);
    inventory_touch(inventory, slot);
  } else {
    if (vm->live != NULL)
      forget_leaving(slot);
    slot->entry.host = &site->host;
    inventory_replace(inventory, slot, vm);
  }
  reboot_resume(inventory, slot);
}

static void on_gone(Slot *slot) {
  DmInventory *inventory = slot->inventory;
  inventory_drop_cached(inventory, &slot->entry);
  EACH_LISTENER(inventory, removed, &slot->entry)
  inventory_forget_order(inventory);
  passing_drop(slot->passing);
  g_autofree char *uuid = g_strdup(slot->entry.vm->uuid);
  g_hash_table_remove(inventory->slots, uuid);
}

/* ---- hosts ---- */

static void tell_ready(DmInventory *inventory) {
  for (guint i = 0; inventory->ready_timer != 0 && i < inventory->sites->len; i++) {
    if (!((Site *)inventory->sites->pdata[i])->tried)
      return;
  }
  if (inventory->ready_timer != 0)
    g_source_remove(inventory->ready_timer);
  inventory->ready_timer = 0;
  void (*ready)(gpointer) = g_steal_pointer(&inventory->ready);
  if (ready != NULL)
    ready(inventory->ready_data);
}

static gboolean on_ready_due(gpointer data) {
  DmInventory *inventory = data;
  inventory->ready_timer = 0; /* so it no longer waits for any host */
  tell_ready(inventory);
  return G_SOURCE_REMOVE;
}

static void on_host_changed(Site *site) {
  DmInventory *inventory = site->inventory;
  if (site->notified && site->notified_status == site->host.status) { /* still down: another attempt failed */
    tell_ready(inventory);
    return;
  }
  site->notified = TRUE;
  site->notified_status = site->host.status;
  g_autoptr(GList) slots = g_hash_table_get_values(inventory->slots);
  for (GList *link = slots; link != NULL; link = link->next) {
    Slot *slot = link->data;
    if (slot->entry.host == &site->host)
      inventory_touch(inventory, slot);
  }
  EACH_LISTENER(inventory, host_changed, &site->host)
  tell_ready(inventory);
}

static gboolean tell_answered(gpointer data) {
  DmInventory *inventory = data;
  inventory->answered_source = 0;
  inventory->answered(inventory->answered_data);
  return G_SOURCE_REMOVE;
}

static void on_host_answered(DmInventory *inventory) {
  if (--inventory->asked == 0)
    tell_answered(inventory);
}

/* ---- events ---- */

/* Applies what the event itself says about a memory device. */
static gboolean apply_device(DmVm *vm, const DmEvent *event) {
  DmMemoryDevice *device =
    vm->live != NULL && event->alias != NULL ? dm_config_find_alias(vm->live, event->alias) : NULL;
  if (device == NULL)
    return FALSE;
  if (event->kind != DM_EVENT_DEVICE_REMOVED && event->kind != DM_EVENT_DEVICE_RESIZED)
    return FALSE;
  /* The read that follows finds the devices left here, and would keep the report about removed ones. */
  dm_vm_take_guest(vm, NULL);
  if (event->kind == DM_EVENT_DEVICE_REMOVED)
    return g_ptr_array_remove(vm->live->devices, device);
  device->current = event->size;
  return TRUE;
}

static gboolean life_of(DmEventKind kind, DmLife *life) {
  switch (kind) {
    case DM_EVENT_VM_STARTED:
      *life = DM_LIFE_STARTED;
      return TRUE;
    case DM_EVENT_VM_STOPPED:
      *life = DM_LIFE_STOPPED;
      return TRUE;
    case DM_EVENT_VM_CRASHED:
      *life = DM_LIFE_CRASHED;
      return TRUE;
    case DM_EVENT_VM_MOVED:
      *life = DM_LIFE_MOVED;
      return TRUE;
    case DM_EVENT_VM_PAUSED:
      *life = DM_LIFE_PAUSED;
      return TRUE;
    case DM_EVENT_VM_RESUMED:
      *life = DM_LIFE_RESUMED;
      return TRUE;
    case DM_EVENT_VM_REBOOTED:
      *life = DM_LIFE_REBOOTED;
      return TRUE;
    case DM_EVENT_DEVICE_REMOVED:
    case DM_EVENT_DEVICE_REFUSED:
    case DM_EVENT_DEVICE_ADDED:
    case DM_EVENT_DEVICE_RESIZED:
    case DM_EVENT_VM_BALLOONED:
    case DM_EVENT_VM_CHANGED:
    case DM_EVENT_VM_UNDEFINED:
    case DM_EVENT_CONNECTION_LOST:
      break;
  }
  return FALSE;
}

/* From now on it runs another system, or none. */
static gboolean begins_anew(DmEventKind kind) {
  return kind == DM_EVENT_VM_STARTED || kind == DM_EVENT_VM_STOPPED || kind == DM_EVENT_VM_CRASHED ||
    kind == DM_EVENT_VM_REBOOTED;
}

/* For a VM that it starts, libvirt first reports "resumed", then "started". */
static gboolean is_starting(const DmEntry *entry) {
  return entry->starting || entry->vm->live == NULL || (entry->stopped_ms != 0 && entry->started_ms == 0);
}

/*
 * A BIOS started by a reset resets the machine once more (SeaBIOS: HaveRunPost), some tenths of a second later: the
 * same reboot. libvirt does not report the origin of a reset, and QEMU attributes both to the guest.
 */
static gboolean is_of_firmware(Slot *slot, DmEventKind kind) {
  gint64 now = g_get_monotonic_time(), before = slot->reset_at_us;
  if (kind != DM_EVENT_VM_REBOOTED)
    return FALSE;
  slot->reset_at_us = now;
  return before != 0 && now - before < FIRMWARE_SECONDS * G_TIME_SPAN_SECOND;
}

static void take_event(DmInventory *inventory, Slot *slot, const DmEvent *event) {
  DmLife life;
  gboolean same_reboot = is_of_firmware(slot, event->kind);
  gboolean part_of_start = event->kind == DM_EVENT_VM_RESUMED && is_starting(&slot->entry);
  if (event->kind == DM_EVENT_VM_STARTED) {
    gint64 began = dm_domain_started(slot->entry.host->connection, slot->entry.vm->name);
    slot->entry.started_ms = began != 0 ? began : g_get_real_time() / 1000;
  }
  if (event->kind == DM_EVENT_VM_STOPPED || event->kind == DM_EVENT_VM_CRASHED) {
    slot->entry.started_ms = 0;
    slot->entry.stopped_ms = g_get_real_time() / 1000;
    slot->entry.stats = (DmMemoryStats){0};
  }
  if (event->kind == DM_EVENT_VM_MOVED) {
    reboot_drop(slot);
    expect_leaving(slot);
  }
  if (begins_anew(event->kind))
    dm_vm_take_guest(slot->entry.vm, NULL);
  if (apply_device(slot->entry.vm, event))
    inventory_touch(inventory, slot);
  if (event->kind <= DM_EVENT_DEVICE_RESIZED)
    EACH_LISTENER(inventory, device, &slot->entry, event)
  if (life_of(event->kind, &life) && !part_of_start && !same_reboot)
    EACH_LISTENER(inventory, life, &slot->entry, life)
  gboolean down = event->kind == DM_EVENT_VM_STOPPED || event->kind == DM_EVENT_VM_CRASHED;
  gboolean comes_back = down && event->by_guest && reboot_forget(slot);
  passing_event(slot->passing, event, comes_back);
  if (comes_back)
    reboot_went_down(inventory, slot);
  else if (down)
    reboot_drop(slot);
}

static void on_event(Site *site, const DmEvent *event) {
  Slot *slot = inventory_find(site->inventory, event->uuid);
  if (slot != NULL && slot->entry.host == &site->host)
    take_event(site->inventory, slot, event);
  site_read(site, event->uuid);
}

/* ---- for callers ---- */

static gboolean on_stats(gpointer data) {
  DmInventory *inventory = data;
  for (guint i = 0; i < inventory->sites->len; i++)
    site_count_memory(inventory->sites->pdata[i]);
  return G_SOURCE_CONTINUE;
}

DmInventory *dm_inventory_new(const char *const *uris, double shutdown_s, guint balloon_period_s) {
  static const SiteListener listener = {on_seen, on_gone, on_event, on_host_changed, on_host_answered};
  DmInventory *inventory = g_new0(DmInventory, 1);
  inventory->references = 1;
  inventory->began_ms = g_get_real_time() / 1000;
  inventory->shutdown_s = shutdown_s;
  inventory->balloon_period_s = balloon_period_s;
  inventory->sites = g_ptr_array_new_with_free_func(site_free);
  inventory->slots = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, slot_free);
  inventory->reboots = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  inventory->listeners = g_array_new(FALSE, FALSE, sizeof(Listener));
  for (; *uris != NULL; uris++)
    g_ptr_array_add(inventory->sites, site_new(inventory, *uris, &listener));
  return inventory;
}

void dm_inventory_keep_in(DmInventory *inventory, const char *folder, const char *passings) {
  g_free(inventory->folder);
  g_free(inventory->passings);
  inventory->folder = g_strdup(folder);
  inventory->passings = g_strdup(passings);
  reboot_find_kept(inventory);
}

void dm_inventory_free(DmInventory *inventory) {
  if (inventory == NULL)
    return;
  inventory->closed = TRUE;
  for (guint i = 0; i < inventory->sites->len; i++)
    site_close(inventory->sites->pdata[i]);
  if (inventory->answered_source != 0)
    g_source_remove(inventory->answered_source);
  if (inventory->stats_timer != 0)
    g_source_remove(inventory->stats_timer);
  if (inventory->ready_timer != 0)
    g_source_remove(inventory->ready_timer);
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, inventory->slots);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    inventory_drop_cached(inventory, value);
  inventory_forget_order(inventory);
  g_hash_table_unref(inventory->slots);
  g_array_unref(inventory->listeners);
  g_hash_table_unref(inventory->reboots);
  inventory_unref(inventory);
}

void dm_inventory_listen(DmInventory *inventory, const DmInventoryListener *listener, gpointer data) {
  Listener added = {*listener, data};
  g_array_append_val(inventory->listeners, added);
}

void dm_inventory_start(DmInventory *inventory, void (*ready)(gpointer data), gpointer data) {
  inventory->ready = ready;
  inventory->ready_data = data;
  inventory->stats_timer = g_timeout_add_seconds(STATS_SECONDS, on_stats, inventory);
  inventory->ready_timer = g_timeout_add_seconds(READY_SECONDS, on_ready_due, inventory);
  for (guint i = 0; i < inventory->sites->len; i++)
    site_connect(inventory->sites->pdata[i]);
}

void dm_inventory_ask_hosts(DmInventory *inventory, void (*answered)(gpointer data), gpointer data) {
  inventory->answered = answered;
  inventory->answered_data = data;
  for (guint i = 0; i < inventory->sites->len; i++) {
    Site *site = inventory->sites->pdata[i];
    if (site->host.connection == NULL)
      continue;
    inventory->asked++;
    site_ask(site);
  }
  if (inventory->asked == 0)
    inventory->answered_source = g_idle_add(tell_answered, inventory);
}

const GPtrArray *dm_inventory_hosts(const DmInventory *inventory) {
  return inventory->sites;
}

DmHost *dm_inventory_find_host(const DmInventory *inventory, const char *id) {
  for (guint i = 0; i < inventory->sites->len; i++) {
    Site *site = inventory->sites->pdata[i];
    if (g_ascii_strcasecmp(site->host.id, id) == 0)
      return &site->host;
  }
  return NULL;
}
