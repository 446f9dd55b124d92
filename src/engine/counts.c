/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory statistics of a host's VMs
 * =================================
 *
 * All are read in one call, every few seconds. A VM whose QEMU hangs blocks that call until it continues; the next call
 * skips it, as it has a libvirt job by then (dm_domain_memory_stats()), and gets the others. So several calls may be
 * under way, and results older than the newest ones are dropped.
 *
 * QEMU polls a guest's balloon driver only if a period is set. If configured, it is set once per run of each VM without
 * a period, by a separate call per VM, as that waits for the VM's libvirt jobs.
 */
#include <string.h>

#include "hypervisor/domain.h"
#include "inventory_private.h"

/* One more than the number of hanging VMs that may each block a call. */
#define MOST_COUNTS 6
/* Balloons set at a time, so that other calls to the host do not queue behind thousands of these. */
#define MOST_STARTS 3

/* ---- balloons ---- */

typedef struct {
  Site *site;
  DmConnection *connection;
  char *uuid, *run;
  gboolean started;
} Start;

static void start_work(gpointer data) {
  Start *start = data;
  start->started = dm_domain_count_memory(start->connection, start->uuid, start->site->inventory->balloon_period_s);
}

static void start_some(Site *site);

static void start_done(gpointer data) {
  Start *start = data;
  Site *site = start->site;
  site->starting--;
  if (!start->started)
    g_hash_table_remove(site->balloons, start->run); /* retried later */
  if (!site->inventory->closed)
    start_some(site);
  g_free(start->uuid);
  g_free(start->run);
  dm_connection_close(start->connection);
  g_free(start);
  site_release(site);
}

static void start_some(Site *site) {
  while (site->starting < MOST_STARTS && !g_queue_is_empty(&site->unstarted)) {
    g_autofree char *run = g_queue_pop_head(&site->unstarted);
    if (site->host.connection == NULL) {
      g_hash_table_remove(site->balloons, run);
      continue;
    }
    Start *start = g_new0(Start, 1);
    start->uuid = g_strndup(run, strcspn(run, " "));
    start->run = g_steal_pointer(&run);
    start->site = site_hold(site);
    start->connection = dm_connection_ref(site->host.connection);
    site->starting++;
    dm_connection_run(start->connection, start->uuid, start_work, start_done, start);
  }
}

static void start_balloon(Site *site, const char *uuid, guint run) {
  g_autofree char *key = g_strdup_printf("%s %u", uuid, run);
  if (g_hash_table_contains(site->balloons, key))
    return;
  g_queue_push_tail(&site->unstarted, g_strdup(key));
  g_hash_table_add(site->balloons, g_steal_pointer(&key));
}

/* ---- statistics ---- */

typedef struct {
  Site *site;
  DmConnection *connection;
  guint number;
  GHashTable *stats;
} Count;

static void count_work(gpointer data) {
  Count *count = data;
  count->stats = dm_domain_memory_stats(count->connection, NULL); /* a driver may have none: then not known */
}

static void take_stats(Site *site, GHashTable *all) {
  GHashTableIter iter;
  gpointer uuid, value;
  g_hash_table_iter_init(&iter, all);
  while (g_hash_table_iter_next(&iter, &uuid, &value)) {
    const DmMemoryStats *stats = value;
    Slot *slot = inventory_find(site->inventory, uuid);
    if (slot == NULL || slot->entry.host != &site->host)
      continue;
    slot->entry.stats = *stats;
    if (site->inventory->balloon_period_s != 0 && slot->entry.vm->balloon && slot->entry.vm->balloon_period_s == 0)
      start_balloon(site, uuid, stats->run);
  }
  start_some(site);
}

static void count_done(gpointer data) {
  Count *count = data;
  Site *site = count->site;
  site->counting--;
  if (count->stats != NULL && !site->inventory->closed && count->number > site->counted) {
    site->counted = count->number;
    take_stats(site, count->stats);
  }
  g_clear_pointer(&count->stats, g_hash_table_unref);
  dm_connection_close(count->connection);
  g_free(count);
  site_release(site);
}

void site_count_memory(Site *site) {
  if (site->counting >= MOST_COUNTS || site->host.connection == NULL)
    return;
  Count *count = g_new0(Count, 1);
  count->site = site_hold(site);
  count->connection = dm_connection_ref(site->host.connection);
  count->number = ++site->counts;
  site->counting++;
  dm_connection_run(site->host.connection, NULL, count_work, count_done, count);
}
