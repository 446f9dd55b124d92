/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the inventory is kept
 * =========================
 *
 * Each host is listed whole when its connection stands; from then on libvirt's events tell which VM has changed, and
 * that VM alone is read again, at most once at a time (site.c). What an event says of a memory device is taken over at
 * once, so that memory falls with the event and not with the reading after it.
 *
 * A read takes time, and what it brings may be older than what a request has just written. So each replacement of an
 * entry's VM is counted, and a read that began before the last one is thrown away and done again.
 */
#include "base/error.h"
#include "inventory_private.h"

#define STATS_SECONDS 10
#define READY_SECONDS 10
#define LEAVING_FIRST 125 /* milliseconds, doubled each time */
#define LEAVING_LONGEST 64000

Slot *inventory_find(const DmInventory *inventory, const char *uuid) {
  return g_hash_table_lookup(inventory->slots, uuid);
}

static void drop_cached(DmInventory *inventory, DmEntry *entry) {
  gpointer cached = g_steal_pointer(&entry->cached);
  for (guint i = 0; cached != NULL && i < inventory->listeners->len; i++) {
    const Listener *listener = &g_array_index(inventory->listeners, Listener, i);
    if (listener->functions.drop_cached != NULL)
      listener->functions.drop_cached(cached);
  }
}

void inventory_touch(DmInventory *inventory, Slot *slot) {
  slot->entry.version++;
  drop_cached(inventory, &slot->entry);
  EACH_LISTENER(inventory, changed, &slot->entry)
}

static void forget_order(DmInventory *inventory) {
  g_clear_pointer(&inventory->sorted, g_ptr_array_unref);
}

/*
 * libvirt tells that a VM has moved away while it still has it, shut off; it takes leave of the other host, which may
 * last as long as that host likes, and then removes the VM without an event, even one that was defined here (9.0's
 * qemuMigrationSrcPerformJob). So a VM that has moved is looked at until it is gone, runs, or simply stays.
 */
static void forget_leaving(Slot *slot) {
  if (slot->leaving_timer != 0)
    g_source_remove(slot->leaving_timer);
  slot->leaving_timer = slot->leaving_pause = 0;
}

static gboolean on_leaving(gpointer data) {
  Slot *slot = data;
  slot->leaving_pause *= 2;
  slot->leaving_timer = 0;
  if (slot->leaving_pause <= LEAVING_LONGEST)
    slot->leaving_timer = g_timeout_add(slot->leaving_pause, on_leaving, slot);
  dm_inventory_refresh(slot->inventory, &slot->entry);
  return G_SOURCE_REMOVE;
}

static void expect_leaving(Slot *slot) {
  forget_leaving(slot);
  slot->leaving_pause = LEAVING_FIRST;
  slot->leaving_timer = g_timeout_add(slot->leaving_pause, on_leaving, slot);
}

static void slot_free(gpointer data) {
  Slot *slot = data;
  inventory_forget_cold(slot);
  forget_leaving(slot);
  dm_vm_free(slot->entry.vm);
  g_free(slot);
}

static gboolean have_same_devices(const DmVm *a, const DmVm *b) {
  if (a->live == NULL || b->live == NULL || a->live->devices->len != b->live->devices->len)
    return FALSE;
  for (guint i = 0; i < a->live->devices->len; i++) {
    const DmMemoryDevice *device = a->live->devices->pdata[i], *other = dm_config_find_alias(b->live, device->alias);
    if (other == NULL || dm_memory_device_memory(device) != dm_memory_device_memory(other))
      return FALSE;
  }
  return TRUE;
}

/*
 * What its guest told holds while it runs on with the same devices. A later look may have found its agents silent, or
 * in use: that takes nothing back.
 */
static gboolean still_tells_more(const DmVm *before, const DmVm *vm) {
  return before->guest != NULL && have_same_devices(before, vm) &&
    (vm->guest == NULL || (dm_guest_tells_movable(before->guest) && !dm_guest_tells_movable(vm->guest)));
}

static void keep_guest(const DmVm *before, DmVm *vm) {
  if (still_tells_more(before, vm))
    dm_vm_take_guest(vm, dm_guest_copy(before->guest));
}

void inventory_replace(DmInventory *inventory, Slot *slot, DmVm *vm) {
  if (g_strcmp0(slot->entry.vm->name, vm->name) != 0)
    forget_order(inventory);
  keep_guest(slot->entry.vm, vm);
  dm_vm_free(slot->entry.vm);
  slot->entry.vm = vm;
  slot->puts++;
  inventory_touch(inventory, slot);
}

/* A VM that two hosts know (in a migration, or as two connections lead to one libvirt) belongs to where it runs. */
static gboolean belongs_here(const Slot *slot, const Site *site, const DmVm *vm) {
  return slot->entry.host == &site->host || slot->entry.host->status != DM_HOST_UP ||
    (vm->live != NULL && slot->entry.vm->live == NULL);
}

Slot *inventory_take(DmInventory *inventory, Site *site, DmVm *vm) {
  Slot *slot = inventory_find(inventory, vm->uuid);
  if (slot != NULL && !belongs_here(slot, site, vm)) {
    dm_vm_free(vm);
    return slot;
  }
  if (slot == NULL) {
    slot = g_new0(Slot, 1);
    slot->entry.vm = vm;
    slot->entry.host = &site->host;
    slot->inventory = inventory;
    slot->puts = 1;
    g_hash_table_insert(inventory->slots, g_strdup(vm->uuid), slot);
    forget_order(inventory);
    inventory_touch(inventory, slot);
    return slot;
  }
  if (vm->live != NULL)
    forget_leaving(slot);
  slot->entry.host = &site->host;
  inventory_replace(inventory, slot, vm);
  return slot;
}

void inventory_remove(DmInventory *inventory, Slot *slot) {
  drop_cached(inventory, &slot->entry);
  EACH_LISTENER(inventory, removed, &slot->entry)
  forget_order(inventory);
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
  inventory->ready_timer = 0; /* so it waits for no host any more */
  tell_ready(inventory);
  return G_SOURCE_REMOVE;
}

void inventory_host_changed(DmInventory *inventory, Site *site) {
  if (site->told && site->told_status == site->host.status) { /* down still: one more attempt has failed */
    tell_ready(inventory);
    return;
  }
  site->told = TRUE;
  site->told_status = site->host.status;
  g_autoptr(GList) slots = g_hash_table_get_values(inventory->slots);
  for (GList *link = slots; link != NULL; link = link->next) {
    Slot *slot = link->data;
    if (slot->entry.host == &site->host)
      inventory_touch(inventory, slot);
  }
  EACH_LISTENER(inventory, host_changed, &site->host)
  tell_ready(inventory);
}

/* ---- events ---- */

/* What the event itself says of a memory device. */
static gboolean apply_device(DmVm *vm, const DmEvent *event) {
  DmMemoryDevice *device =
    vm->live != NULL && event->alias != NULL ? dm_config_find_alias(vm->live, event->alias) : NULL;
  if (device == NULL)
    return FALSE;
  if (event->kind != DM_EVENT_DEVICE_REMOVED && event->kind != DM_EVENT_DEVICE_RESIZED)
    return FALSE;
  /* The reading that follows finds the same devices as are left here, and would keep what was told of others. */
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
    default:
      return FALSE;
  }
}

/* Another system runs in it from now on, or none. */
static gboolean begins_anew(DmEventKind kind) {
  return kind == DM_EVENT_VM_STARTED || kind == DM_EVENT_VM_STOPPED || kind == DM_EVENT_VM_CRASHED ||
    kind == DM_EVENT_VM_REBOOTED;
}

static void started_again(DmEntry *entry, const GError *error, gpointer data) {
}

/* libvirt tells that a VM which it starts has been resumed, and after that that it has been started. */
static gboolean is_starting(const DmEntry *entry) {
  return entry->starting || entry->vm->live == NULL || (entry->stopped != 0 && entry->started == 0);
}

static void take_event(DmInventory *inventory, Slot *slot, const DmEvent *event) {
  DmLife life;
  gboolean part_of_start = event->kind == DM_EVENT_VM_RESUMED && is_starting(&slot->entry);
  if (event->kind == DM_EVENT_VM_STARTED)
    slot->entry.started = g_get_real_time() / 1000;
  if (event->kind == DM_EVENT_VM_STOPPED || event->kind == DM_EVENT_VM_CRASHED) {
    slot->entry.started = 0;
    slot->entry.stopped = g_get_real_time() / 1000;
    slot->entry.stats = (DmMemoryStats){0};
  }
  if (event->kind == DM_EVENT_VM_MOVED) {
    inventory_forget_cold(slot);
    expect_leaving(slot);
  }
  if (begins_anew(event->kind))
    dm_vm_take_guest(slot->entry.vm, NULL);
  if (apply_device(slot->entry.vm, event))
    inventory_touch(inventory, slot);
  if (event->kind <= DM_EVENT_DEVICE_RESIZED)
    EACH_LISTENER(inventory, device, &slot->entry, event)
  if (life_of(event->kind, &life) && !part_of_start)
    EACH_LISTENER(inventory, life, &slot->entry, life)
  gboolean down = event->kind == DM_EVENT_VM_STOPPED || event->kind == DM_EVENT_VM_CRASHED;
  if (down && inventory_forget_cold(slot) && event->by_guest)
    dm_inventory_power(inventory, &slot->entry, DM_POWER_START, started_again, NULL);
}

void inventory_event(DmInventory *inventory, Site *site, const DmEvent *event) {
  Slot *slot = inventory_find(inventory, event->uuid);
  if (slot != NULL && slot->entry.host == &site->host)
    take_event(inventory, slot, event);
  site_read(site, event->uuid);
}

/* ---- for callers ---- */

static gboolean on_stats(gpointer data) {
  DmInventory *inventory = data;
  for (guint i = 0; i < inventory->sites->len; i++)
    site_count_memory(inventory->sites->pdata[i]);
  return G_SOURCE_CONTINUE;
}

DmInventory *dm_inventory_new(const char *const *uris, double shutdown_seconds) {
  DmInventory *inventory = g_new0(DmInventory, 1);
  inventory->shutdown_seconds = shutdown_seconds;
  inventory->sites = g_ptr_array_new_with_free_func(site_free);
  inventory->slots = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, slot_free);
  inventory->listeners = g_array_new(FALSE, FALSE, sizeof(Listener));
  for (; *uris != NULL; uris++)
    g_ptr_array_add(inventory->sites, site_new(inventory, *uris));
  return inventory;
}

void dm_inventory_free(DmInventory *inventory) {
  if (inventory == NULL)
    return;
  if (inventory->stats_timer != 0)
    g_source_remove(inventory->stats_timer);
  if (inventory->ready_timer != 0)
    g_source_remove(inventory->ready_timer);
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, inventory->slots);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    drop_cached(inventory, value);
  forget_order(inventory);
  g_hash_table_unref(inventory->slots);
  g_ptr_array_unref(inventory->sites);
  g_array_unref(inventory->listeners);
  g_free(inventory);
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

static gboolean tell_answered(gpointer data) {
  DmInventory *inventory = data;
  inventory->answered(inventory->answered_data);
  return G_SOURCE_REMOVE;
}

void inventory_host_answered(DmInventory *inventory) {
  if (--inventory->asked == 0)
    tell_answered(inventory);
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
    g_idle_add(tell_answered, inventory);
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

static int by_name(gconstpointer a, gconstpointer b) {
  const DmEntry *left = *(const DmEntry *const *)a, *right = *(const DmEntry *const *)b;
  int order = g_strcmp0(left->vm->name, right->vm->name);
  return order != 0 ? order : g_strcmp0(left->vm->uuid, right->vm->uuid);
}

const GPtrArray *dm_inventory_entries(DmInventory *inventory) {
  if (inventory->sorted != NULL)
    return inventory->sorted;
  GHashTableIter iter;
  gpointer slot;
  inventory->sorted = g_ptr_array_sized_new(g_hash_table_size(inventory->slots));
  g_hash_table_iter_init(&iter, inventory->slots);
  while (g_hash_table_iter_next(&iter, NULL, &slot))
    g_ptr_array_add(inventory->sorted, slot);
  g_ptr_array_sort(inventory->sorted, by_name);
  return inventory->sorted;
}

DmEntry *dm_inventory_find(const DmInventory *inventory, const char *vm_id) {
  Slot *slot = inventory_find(inventory, vm_id);
  if (slot != NULL)
    return &slot->entry;
  g_autofree char *lower = g_ascii_strdown(vm_id, -1); /* as libvirt spells it */
  slot = inventory_find(inventory, lower);
  return slot != NULL ? &slot->entry : NULL;
}

void dm_inventory_put(DmInventory *inventory, DmEntry *entry, DmVm *vm) {
  inventory_replace(inventory, (Slot *)entry, vm);
}

void dm_inventory_put_guest(DmInventory *inventory, DmEntry *entry, const DmVm *seen) {
  if (!have_same_devices(entry->vm, seen) || still_tells_more(entry->vm, seen))
    return;
  for (guint i = 0; i < seen->live->devices->len; i++) {
    const DmMemoryDevice *device = seen->live->devices->pdata[i];
    /* libvirt tells of a new DIMM a moment before it knows the address, by which its blocks are found */
    dm_config_find_alias(entry->vm->live, device->alias)->address = device->address;
  }
  dm_vm_take_guest(entry->vm, dm_guest_copy(seen->guest));
  inventory_touch(inventory, (Slot *)entry);
}

void dm_inventory_refresh(DmInventory *inventory, DmEntry *entry) {
  site_read((Site *)entry->host, entry->vm->uuid);
}

void dm_inventory_hold(DmInventory *inventory, DmEntry *entry) {
  ((Slot *)entry)->holds++;
}

void dm_inventory_release(DmInventory *inventory, DmEntry *entry) {
  Slot *slot = (Slot *)entry;
  if (slot->holds == 0) /* held was another entry of this VM: it had gone, and came again */
    return;
  slot->holds--;
  if (slot->holds > 0 || !slot->stale)
    return;
  slot->stale = FALSE;
  dm_inventory_refresh(inventory, entry);
}
