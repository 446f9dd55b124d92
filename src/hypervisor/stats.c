/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/size.h"
#include "domain_private.h"
#include "hypervisor/domain.h"

static uint64_t kib_of(const virDomainStatsRecord *record, const char *name) {
  unsigned long long kib = 0;
  return virTypedParamsGetULLong(record->params, record->nparams, name, &kib) == 1 ? kib * DM_KIB : 0;
}

/* The call waits up to 30 s for any other job, so a VM in migration is left for later. */
gboolean dm_domain_count_memory(DmConnection *connection, const char *uuid, guint period_s) {
  g_autoptr(GError) error = NULL;
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, &error);
  if (domain == NULL) /* it is gone, or retried later */
    return g_error_matches(error, DM_ERROR, DM_ERROR_NO_SUCH_VM);
  if (domain_job(domain) != NULL)
    return FALSE;
  virDomainSetMemoryStatsPeriod(domain, (int)period_s, VIR_DOMAIN_AFFECT_LIVE); /* it may have no balloon */
  return TRUE;
}

/* Without a balloon driver in the guest libvirt knows rss only. */
GHashTable *dm_domain_memory_stats(DmConnection *connection, GError **error) {
  virDomainStatsRecordPtr *records = NULL;
  virConnectPtr virt = connection_get_virt(connection, error);
  if (virt == NULL)
    return NULL;
  int count = virConnectGetAllDomainStats(virt, VIR_DOMAIN_STATS_BALLOON, &records,
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
    stats->run = virDomainGetID(records[i]->dom);
    g_hash_table_replace(all, g_strdup(uuid), stats);
  }
  virDomainStatsRecordListFree(records);
  return all;
}
