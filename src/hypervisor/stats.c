/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"
#include "domain_private.h"
#include "hypervisor/domain.h"

#define PERIOD_SECONDS 5

static uint64_t kib_of(const virDomainStatsRecord *record, const char *name) {
  unsigned long long kib = 0;
  return virTypedParamsGetULLong(record->params, record->nparams, name, &kib) == 1 ? kib * DM_KIB : 0;
}

/*
 * QEMU asks the guest's balloon driver only where it was told how often. Once for each run of a VM: it waits for any
 * other job, for up to 30 s, so that of a VM in migration is left for later.
 */
static void start_counting(virDomainPtr domain, const char *uuid, GHashTable *counting) {
  g_autofree char *run = g_strdup_printf("%s %u", uuid, virDomainGetID(domain));
  if (g_hash_table_contains(counting, run) || domain_job(domain) != NULL)
    return;
  virDomainSetMemoryStatsPeriod(domain, PERIOD_SECONDS, VIR_DOMAIN_AFFECT_LIVE); /* it may have no balloon */
  g_hash_table_add(counting, g_steal_pointer(&run));
}

/* Without a balloon driver in the guest libvirt knows rss only. */
GHashTable *dm_domain_memory_stats(DmConnection *connection, GHashTable *counting, GError **error) {
  virDomainStatsRecordPtr *records = NULL;
  int count = virConnectGetAllDomainStats(connection_get_virt(connection), VIR_DOMAIN_STATS_BALLOON, &records,
    VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
  if (count < 0) {
    virt_error_set(error, "no statistics from %s", dm_connection_uri(connection));
    return NULL;
  }
  GHashTable *all = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  for (int i = 0; i < count; i++) {
    char uuid[VIR_UUID_STRING_BUFLEN];
    if (virDomainGetUUIDString(records[i]->dom, uuid) < 0)
      continue;
    DmMemoryStats *stats = g_new0(DmMemoryStats, 1);
    stats->available = kib_of(records[i], "balloon.available");
    stats->unused = kib_of(records[i], "balloon.unused");
    stats->usable = kib_of(records[i], "balloon.usable");
    stats->caches = kib_of(records[i], "balloon.disk_caches");
    stats->rss = kib_of(records[i], "balloon.rss");
    if (stats->usable == 0)
      start_counting(records[i]->dom, uuid, counting);
    g_hash_table_replace(all, g_strdup(uuid), stats);
  }
  virDomainStatsRecordListFree(records);
  return all;
}
