/* SPDX-License-Identifier: Apache-2.0 */
/* The inventory's inside: hosts and entries. Not for other layers. */
#pragma once

#include "engine/inventory.h"

typedef struct {
  DmEntry entry; /* first: a DmEntry of ours is a Slot */
  guint holds;   /* while it is driven, it is not read */
  gboolean stale;
  DmInventory *inventory;
  guint cold; /* a cold reboot is under way: when its guest goes down before this timer, it is started; 0: none */
  guint puts; /* how often vm was replaced: a read that began before a put is older than it */
  guint leaving_timer, leaving_pause; /* it has moved away, and may be removed without an event; 0: looked at no more */
} Slot;

typedef struct {
  DmHost host; /* first */
  DmInventory *inventory;
  GHashTable *reads;    /* UUID → Read: at most one at a time for each VM */
  GHashTable *balloons; /* whose statistics were asked for; of the one round that is under way */
  guint watch, timer;
  guint pause; /* seconds until the next attempt */
  gboolean listing, counting, tried;
  gboolean told; /* the listeners know */
  DmHostStatus told_status;
} Site;

typedef struct {
  DmInventoryListener functions;
  gpointer data;
} Listener;

struct DmInventory {
  GPtrArray *sites;  /* Site */
  GHashTable *slots; /* UUID → Slot */
  GPtrArray *sorted; /* DmEntry; NULL: to be made again */
  GArray *listeners;
  double shutdown_seconds;
  guint stats_timer;
  guint ready_timer;
  void (*ready)(gpointer data);
  gpointer ready_data;
  guint asked; /* hosts that have yet to answer */
  void (*answered)(gpointer data);
  gpointer answered_data;
};

/* site.c: a connection's life, and what it reads. */
Site *site_new(DmInventory *inventory, const char *uri);
void site_free(gpointer site);
void site_connect(Site *site);
void site_read(Site *site, const char *uuid);
void site_count_memory(Site *site);
/* Tells inventory_host_answered() once it has answered anything at all, or was lost. */
void site_ask(Site *site);

/* inventory.c: what the sites tell. */
Slot *inventory_find(const DmInventory *inventory, const char *uuid);
/* Takes @vm; makes the entry if it is new. */
Slot *inventory_take(DmInventory *inventory, Site *site, DmVm *vm);
void inventory_remove(DmInventory *inventory, Slot *slot);
/* Something of the entry has changed. */
void inventory_touch(DmInventory *inventory, Slot *slot);
void inventory_host_changed(DmInventory *inventory, Site *site);
void inventory_host_answered(DmInventory *inventory);
/* An event of a VM, whether it is known or not. */
void inventory_event(DmInventory *inventory, Site *site, const DmEvent *event);

/* Of all that listen, in the order they came. */
#define EACH_LISTENER(inventory, function, ...)                                       \
  for (guint i_ = 0; i_ < (inventory)->listeners->len; i_++) {                        \
    const Listener *listener_ = &g_array_index((inventory)->listeners, Listener, i_); \
    if (listener_->functions.function != NULL)                                        \
      listener_->functions.function(__VA_ARGS__, listener_->data);                    \
  }

/* Takes @vm as the entry's newest. */
void inventory_replace(DmInventory *inventory, Slot *slot, DmVm *vm);

/* power.c: no cold reboot is under way any more. Whether there was one. */
gboolean inventory_forget_cold(Slot *slot);
