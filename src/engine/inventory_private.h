/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internals of the inventory, each file using those before it: entries.c has the VMs, counts.c and site.c their hosts,
 * reboot.c and power.c start and stop them, inventory.c gets their callbacks. Not for other layers.
 */
#pragma once

#include "engine/inventory.h"
#include "passing.h"

typedef struct {
  DmEntry entry; /* first: a DmEntry of ours is a Slot */
  guint holds;   /* while it is driven, it is not read */
  gboolean stale;
  DmInventory *inventory;
  guint cold; /* a cold reboot is under way: if the guest shuts down before this timer fires, it is started; 0: none */
  gint64 reset_at_us; /* time of its last reset, monotonic; 0: never */
  gboolean rebooting; /* a call for that is under way */
  guint asking;       /* calls of dm_inventory_power() under way */
  guint puts;         /* number of replacements of vm: a read that began before a put is outdated */
  Passing *passing;
  guint leaving_timer,
    leaving_pause_ms; /* it has moved away and may be removed without an event; 0: not polled any more */
} Slot;

typedef struct Site Site;

/* Callbacks from a host to the inventory. */
typedef struct {
  void (*seen)(Site *site, DmVm *vm); /* as read; takes ownership of @vm */
  void (*gone)(Slot *slot);
  void (*event)(Site *site, const DmEvent *event); /* of a VM, known or not */
  void (*changed)(Site *site);                     /* its status */
  void (*answered)(DmInventory *inventory);        /* site_ask(), or it was lost */
} SiteListener;

struct Site {
  DmHost host; /* first */
  DmInventory *inventory;
  const SiteListener *listener;
  GHashTable *reads;               /* UUID → Read: at most one at a time for each VM */
  GHashTable *balloons;            /* counts.c: runs of VMs whose balloon period is set, or being set: "UUID number" */
  GQueue unstarted;                /* of these, those queued for that */
  guint starting;                  /* calls for that, under way */
  guint counts, counted, counting; /* rounds of statistics: begun, newest completed, under way */
  guint watch, timer;
  guint pause_s; /* until the next attempt */
  gboolean listing, tried;
  gboolean notified; /* listeners were notified */
  DmHostStatus notified_status;
};

typedef struct {
  DmInventoryListener functions;
  gpointer data;
} Listener;

/*
 * A call under way holds a reference to it (site_hold()) and its sites, so that returning calls find their data. After
 * it is closed, their results are dropped.
 */
struct DmInventory {
  guint references;
  gboolean closed;
  gint64 began_ms;   /* this process watches, since 1970 */
  GPtrArray *sites;  /* Site */
  GHashTable *slots; /* UUID → Slot */
  GPtrArray *sorted; /* DmEntry; NULL: to be rebuilt */
  GArray *listeners;
  double shutdown_s;
  guint balloon_period_s; /* 0: balloons are left alone */
  char *folder;           /* where definitions are saved while a VM reboots; NULL: nowhere */
  char *passings;         /* where the VMs' transitions are saved; NULL: nowhere */
  GHashTable *reboots;    /* UUID: a cold reboot was under way when last seen */
  guint stats_timer;
  guint ready_timer;
  void (*ready)(gpointer data);
  gpointer ready_data;
  guint asked; /* hosts that have not answered yet */
  void (*answered)(gpointer data);
  gpointer answered_data;
  guint answered_source;
};

/* Calls all listeners, in the order they were added. */
#define EACH_LISTENER(inventory, function, ...)                                       \
  for (guint i_ = 0; i_ < (inventory)->listeners->len; i_++) {                        \
    const Listener *listener_ = &g_array_index((inventory)->listeners, Listener, i_); \
    if (listener_->functions.function != NULL)                                        \
      listener_->functions.function(__VA_ARGS__, listener_->data);                    \
  }

/* ---- entries.c ---- */

DmInventory *inventory_ref(DmInventory *inventory);
void inventory_unref(DmInventory *inventory);
Slot *inventory_find(const DmInventory *inventory, const char *uuid);
/* Takes ownership of @vm as the entry's newest state. */
void inventory_replace(DmInventory *inventory, Slot *slot, DmVm *vm);
/* Something of the entry has changed. */
void inventory_touch(DmInventory *inventory, Slot *slot);
/* Updates it from its VM. */
void inventory_take_start(DmEntry *entry);
void inventory_drop_cached(DmInventory *inventory, DmEntry *entry);
/* An entry was added or renamed. */
void inventory_forget_order(DmInventory *inventory);

/* ---- site.c: a connection's life cycle and its reads; counts.c ---- */

Site *site_new(DmInventory *inventory, const char *uri, const SiteListener *listener) G_GNUC_WARN_UNUSED_RESULT;
void site_free(gpointer site);
/* Releases its host: no further events or timers. */
void site_close(Site *site);
void site_connect(Site *site);
void site_read(Site *site, const char *uuid);
void site_count_memory(Site *site);
void site_ask(Site *site);

/* For each call handed to a thread, until it returns. */
static inline Site *site_hold(Site *site) {
  inventory_ref(site->inventory);
  return site;
}

static inline void site_release(Site *site) {
  inventory_unref(site->inventory);
}

/* ---- reboot.c: cold reboots ---- */

void reboot_begin(DmInventory *inventory, Slot *slot, DmPowerDone done, gpointer data);
/* The guest of one shut down. */
void reboot_went_down(DmInventory *inventory, Slot *slot);
/* Drops it here. Returns whether one was under way. */
gboolean reboot_forget(Slot *slot);
/* The same, also for after a restart of dimmerd. */
void reboot_drop(Slot *slot);
/* Those under way when dimmerd exited; and when such a VM has been read. */
void reboot_find_kept(DmInventory *inventory);
void reboot_resume(DmInventory *inventory, Slot *slot);

/* ---- power.c ---- */

/* Asks its guest once more for what dm_inventory_power() has asked for, if that still waits for it. */
void power_press(Slot *slot, DmPower power);
