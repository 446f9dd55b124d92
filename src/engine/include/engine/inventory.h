/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All VMs of several libvirt connections, read completely once, then kept current by events. See inventory.c for how it
 * works.
 *
 * Everything here belongs to the thread that runs the default GLib main loop; libvirt is called in worker threads of
 * their own for each host, so a host that hangs blocks neither readers nor other hosts.
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
  DM_HOST_DOWN, /* the connection failed or was lost; it is retried with increasing delays */
#define DM_HOST_STATUSES (DM_HOST_DOWN + 1)
} DmHostStatus;

typedef struct {
  char *id;   /* a UUID derived from the URI: stable */
  char *uri;  /* as configured */
  char *name; /* the machine's, or the URI until that is known */
  DmHostStatus status;
  char *problem;            /* DOWN: why, in words that name the URI; else NULL */
  DmConnection *connection; /* UP: open; else NULL */
  uint64_t memory;          /* bytes; 0: not known */
  guint cpus;
} DmHost;

/* The transition a running VM is in; see passing.c for how long. */
typedef enum {
  DM_PASSING_NOTHING,
  DM_PASSING_DOWN,   /* its guest was asked to shut down */
  DM_PASSING_REBOOT, /* its guest was asked to reboot; it may be down for a moment */
  DM_PASSING_UP,     /* it was started or reset, and its guest boots */
} DmPassing;

/* One VM and where it is. Valid until removed() was called for it. */
typedef struct {
  DmVm *vm;            /* as last read; every change replaces it: do not keep it */
  DmHost *host;        /* DOWN: vm is out of date */
  DmMemoryStats stats; /* of the last round; all 0: not known */
  gint64 started_ms;   /* since 1970; 0: not running, or not known */
  gint64 stopped_ms;   /* the same; 0: before this process started watching */
  guint64 version;     /* incremented by each change of anything above */
  gboolean starting;   /* start requested, not done by libvirt yet */
  DmPassing passing;
  gpointer cached; /* the API's cached renderings; each change drops them by the listener's function */
} DmEntry;

typedef enum {
  DM_LIFE_STARTED,
  DM_LIFE_STOPPED, /* shut down, or destroyed */
  DM_LIFE_CRASHED,
  DM_LIFE_MOVED, /* to another host, which may be one of the inventory */
  DM_LIFE_PAUSED,
  DM_LIFE_RESUMED,
  DM_LIFE_REBOOTED,         /* by its guest or from outside: warm */
  DM_LIFE_REBOOT_IGNORED,   /* its guest did not shut down for a reboot in time: it will not be started again */
  DM_LIFE_SHUTDOWN_IGNORED, /* its guest did not shut down in time; it may still do so */
#define DM_LIVES (DM_LIFE_SHUTDOWN_IGNORED + 1)
} DmLife;

/* How a reboot for the next run ended that did not apply it. */
typedef struct {
  gboolean reports;        /* there is something to report */
  gboolean runs;           /* with its former configuration; else it is down */
  const char *reason;      /* why the next run did not start */
  const char *failed_file; /* file that has it; NULL: it is still in the VM's definition */
} DmReboot;

/* Any of them may be NULL. */
typedef struct {
  void (*changed)(DmEntry *entry, gpointer data); /* or new */
  void (*removed)(DmEntry *entry, gpointer data); /* freed right after */
  void (*host_changed)(DmHost *host, gpointer data);
  void (*life)(DmEntry *entry, DmLife life, gpointer data);
  void (*reboot)(DmEntry *entry, const DmReboot *end, gpointer data);
  void (*device)(DmEntry *entry, const DmEvent *event, gpointer data); /* as it arrives; entry->vm is up to date */
  void (*drop_cached)(gpointer cached);
} DmInventoryListener;

/*
 * Does not connect yet. @uris: NULL-terminated. @shutdown_s: how long a guest may take to shut down for a cold reboot.
 * @balloon_period_s: how often VMs without a period of their own report memory statistics; 0: unchanged.
 */
DmInventory *dm_inventory_new(
  const char *const *uris, double shutdown_s, guint balloon_period_s) G_GNUC_WARN_UNUSED_RESULT;
/*
 * Definitions are saved in @folder, which must exist, while VMs reboot: without it, a VM that cannot start again stays
 * down. Transitions are saved in @passings, so that the next process continues them. Call it before
 * dm_inventory_start().
 */
void dm_inventory_keep_in(DmInventory *inventory, const char *folder, const char *passings);

/*
 * No listener is called any more, nor the @done of dm_inventory_power(). Calls still under way free their data when
 * they return. Blocks on a host that hangs: see dm_inventory_ask_hosts().
 */
void dm_inventory_free(DmInventory *inventory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmInventory, dm_inventory_free)

/* Several listeners are allowed, called in the order they were added. @listener is copied. */
void dm_inventory_listen(DmInventory *inventory, const DmInventoryListener *listener, gpointer data);

/*
 * Connects. @ready is called once, when each host has been read completely or has failed for the first time, at the
 * latest after READY_SECONDS of inventory.c, as a host that hangs may do neither.
 */
void dm_inventory_start(DmInventory *inventory, void (*ready)(gpointer data), gpointer data);

/* @answered is called once each host connected now has answered or was lost; not while one hangs. */
void dm_inventory_ask_hosts(DmInventory *inventory, void (*answered)(gpointer data), gpointer data);

const GPtrArray *dm_inventory_hosts(const DmInventory *inventory); /* DmHost */
DmHost *dm_inventory_find_host(const DmInventory *inventory, const char *id);

/* DmEntry, sorted by name, then UUID; valid until the next change. */
const GPtrArray *dm_inventory_entries(DmInventory *inventory);
DmEntry *dm_inventory_find(const DmInventory *inventory, const char *vm_id); /* a UUID in any case; NULL: none */

/* Stores @vm (takes ownership) as newer than any read under way. */
void dm_inventory_put(DmInventory *inventory, DmEntry *entry, DmVm *vm);

/*
 * Stores what the VM's guest reported when the VM was as @seen, if it still has the same memory devices. It holds until
 * the guest boots again, the VM's devices change, or a newer report comes that says as much: one without devices does
 * not replace one with them.
 */
void dm_inventory_put_guest(DmInventory *inventory, DmEntry *entry, const DmVm *seen);

/* Reads the VM again soon; if it is held, once it is released. */
void dm_inventory_refresh(DmInventory *inventory, DmEntry *entry);

/* While a change is driven the VM is not re-read; events are still applied. Calls nest. */
void dm_inventory_hold(DmInventory *inventory, DmEntry *entry);
void dm_inventory_release(DmInventory *inventory, DmEntry *entry);

/*
 * Power. @done is called in the main loop (NULL error: it is done), with the entry as read again, or NULL if the VM is
 * gone by then.
 */
typedef void (*DmPowerDone)(DmEntry *entry, const GError *error, gpointer data);
void dm_inventory_power(DmInventory *inventory, DmEntry *entry, DmPower power, DmPowerDone done, gpointer data);
