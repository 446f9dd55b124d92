/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All VMs of several libvirt connections, read whole once and then kept by events. See inventory.c for how it goes.
 *
 * Everything here belongs to the thread that runs the default GLib main loop; libvirt is called in worker threads of
 * each host's own, so a host that hangs holds up neither a reader nor another host.
 */
#pragma once

#include <glib.h>

#include "hypervisor/connection.h"
#include "hypervisor/domain.h"
#include "model/vm.h"

typedef struct DmInventory DmInventory;

typedef enum {
  DM_HOST_CONNECTING, /* for the first time */
  DM_HOST_UP,
  DM_HOST_DOWN, /* the connection failed or was lost; it is tried again with growing pauses */
} DmHostStatus;

typedef struct {
  char *id;   /* a UUID made of the URI: stable */
  char *uri;  /* as configured */
  char *name; /* the machine's, or the URI while it is not known */
  DmHostStatus status;
  char *problem;            /* DOWN: why, in words that name the URI; else NULL */
  DmConnection *connection; /* UP: stands; else NULL */
  uint64_t memory;          /* bytes; 0: not known */
  guint cpus;
} DmHost;

/* One VM and where it is. Valid until its removed() has been told. */
typedef struct {
  DmVm *vm;            /* as last read; replaced by every change: do not keep it */
  DmHost *host;        /* DOWN: what vm says is old */
  DmMemoryStats stats; /* of the last round; all 0: not known */
  gint64 started;      /* milliseconds since 1970; 0: before this process watched */
  gint64 stopped;      /* the same */
  guint64 version;     /* grows with each change of anything above */
  gboolean starting;   /* asked to start, and libvirt has not done it yet */
  gpointer cached;     /* the API's renderings; taken away by each change with the function of the listener */
} DmEntry;

typedef enum {
  DM_LIFE_STARTED,
  DM_LIFE_STOPPED, /* shut down, or destroyed */
  DM_LIFE_CRASHED,
  DM_LIFE_MOVED, /* to another host, which may be one of the inventory */
  DM_LIFE_PAUSED,
  DM_LIFE_RESUMED,
  DM_LIFE_REBOOTED,       /* by its guest, or from outside: warm */
  DM_LIFE_REBOOT_IGNORED, /* its guest was to go down for a reboot, and has not: it is not started again any more */
} DmLife;

/* Any of them may be NULL. */
typedef struct {
  void (*changed)(DmEntry *entry, gpointer data); /* or new */
  void (*removed)(DmEntry *entry, gpointer data); /* is freed right after */
  void (*host_changed)(DmHost *host, gpointer data);
  void (*life)(DmEntry *entry, DmLife life, gpointer data);
  void (*device)(DmEntry *entry, const DmEvent *event, gpointer data); /* as it comes, after entry->vm took it in */
  void (*drop_cached)(gpointer cached);
} DmInventoryListener;

/* Connects to nothing yet. @uris: NULL-terminated. @shutdown_seconds: a guest has to go down for a cold reboot. */
DmInventory *dm_inventory_new(const char *const *uris, double shutdown_seconds);
/*
 * At the end only: the main loop must not run again, as calls may still be under way. Blocks on a host that hangs: see
 * dm_inventory_ask_hosts().
 */
void dm_inventory_free(DmInventory *inventory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmInventory, dm_inventory_free)

/* Several may listen; they are called in the order they came. @listener is copied. */
void dm_inventory_listen(DmInventory *inventory, const DmInventoryListener *listener, gpointer data);

/*
 * Connects. @ready is called once, when each host has been read whole or has failed for the first time; at the latest
 * after READY_SECONDS of inventory.c, as one that hangs may do neither.
 */
void dm_inventory_start(DmInventory *inventory, void (*ready)(gpointer data), gpointer data);

/* @answered is called when each host that is connected now has answered or was lost; not while one hangs. */
void dm_inventory_ask_hosts(DmInventory *inventory, void (*answered)(gpointer data), gpointer data);

const GPtrArray *dm_inventory_hosts(const DmInventory *inventory); /* DmHost */
DmHost *dm_inventory_find_host(const DmInventory *inventory, const char *id);

/* DmEntry, sorted by name, then UUID; valid until the next change. */
const GPtrArray *dm_inventory_entries(DmInventory *inventory);
DmEntry *dm_inventory_find(const DmInventory *inventory, const char *vm_id); /* a UUID in any case; NULL: none */

/* Takes @vm (owned) as newer than anything that is being read at this moment. */
void dm_inventory_put(DmInventory *inventory, DmEntry *entry, DmVm *vm);

/*
 * Takes what the guest of the VM told when that was as @seen, if it has the same memory devices still. It holds until
 * the guest boots anew, or the VM has other devices, or it tells as much again: one that tells nothing of its devices
 * does not take the place of one that does.
 */
void dm_inventory_put_guest(DmInventory *inventory, DmEntry *entry, const DmVm *seen);

/* Reads the VM again soon; while it is held: as soon as it is not. */
void dm_inventory_refresh(DmInventory *inventory, DmEntry *entry);

/* While a change is driven the VM is not read by the way; events still show. Calls nest. */
void dm_inventory_hold(DmInventory *inventory, DmEntry *entry);
void dm_inventory_release(DmInventory *inventory, DmEntry *entry);

/*
 * Power. @done is called in the main loop (NULL error: it is done), with the entry as read again, or NULL if the VM is
 * gone by then.
 */
typedef void (*DmPowerDone)(DmEntry *entry, const GError *error, gpointer data);
void dm_inventory_power(DmInventory *inventory, DmEntry *entry, DmPower power, DmPowerDone done, gpointer data);
