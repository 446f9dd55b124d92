/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of the inventory: the state of each VM, its replacement, and the listeners' calls. */
#include "inventory_private.h"

DmInventory *inventory_ref(DmInventory *inventory) {
  inventory->references++;
  return inventory;
}

void inventory_unref(DmInventory *inventory) {
  if (--inventory->references > 0)
    return;
  g_ptr_array_unref(inventory->sites);
  g_free(inventory->folder);
  g_free(inventory->passings);
  g_free(inventory);
}

Slot *inventory_find(const DmInventory *inventory, const char *uuid) {
  return g_hash_table_lookup(inventory->slots, uuid);
}

void inventory_drop_cached(DmInventory *inventory, DmEntry *entry) {
  gpointer cached = g_steal_pointer(&entry->cached);
  for (guint i = 0; cached != NULL && i < inventory->listeners->len; i++) {
    const Listener *listener = &g_array_index(inventory->listeners, Listener, i);
    if (listener->functions.drop_cached != NULL)
      listener->functions.drop_cached(cached);
  }
}

void inventory_touch(DmInventory *inventory, Slot *slot) {
  slot->entry.version++;
  inventory_drop_cached(inventory, &slot->entry);
  EACH_LISTENER(inventory, changed, &slot->entry)
}

void inventory_forget_order(DmInventory *inventory) {
  g_clear_pointer(&inventory->sorted, g_ptr_array_unref);
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
 * A guest's report stays valid while the VM runs with the same devices. A later query that found its agents silent or
 * busy does not invalidate it.
 */
static gboolean still_tells_more(const DmVm *before, const DmVm *vm) {
  return before->guest != NULL && have_same_devices(before, vm) &&
    (vm->guest == NULL || (dm_guest_tells_movable(before->guest) && !dm_guest_tells_movable(vm->guest)));
}

static void keep_guest(const DmVm *before, DmVm *vm) {
  if (still_tells_more(before, vm))
    dm_vm_take_guest(vm, dm_guest_copy(before->guest));
}

/*
 * From its QEMU process if known, so that every dimmerd has the same value; a start whose event is about to come is
 * left to the event.
 */
void inventory_take_start(DmEntry *entry) {
  const DmVm *vm = entry->vm;
  if (vm->live == NULL)
    entry->started_ms = 0;
  else if (vm->started_ms != 0 && (entry->started_ms != 0 || entry->stopped_ms == 0))
    entry->started_ms = vm->started_ms;
}

void inventory_replace(DmInventory *inventory, Slot *slot, DmVm *vm) {
  if (g_strcmp0(slot->entry.vm->name, vm->name) != 0)
    inventory_forget_order(inventory);
  keep_guest(slot->entry.vm, vm);
  dm_vm_free(slot->entry.vm);
  slot->entry.vm = vm;
  slot->puts++;
  inventory_take_start(&slot->entry);
  passing_seen(slot->passing, vm);
  inventory_touch(inventory, slot);
}

/* ---- for callers ---- */

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
    /* libvirt reports a new DIMM a moment before its address, which is needed to find its blocks */
    dm_config_find_alias(entry->vm->live, device->alias)->address = device->address;
  }
  dm_vm_take_guest(entry->vm, dm_guest_copy(seen->guest));
  inventory_touch(inventory, (Slot *)entry);
}
