/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be asked of all VMs at once is: with thousands of them the round trips to libvirt are what takes the time.
 * Only the definitions have to be read one by one, some at a time.
 */
#include "base/error.h"
#include "base/handoff.h"
#include "domain_private.h"
#include "hypervisor/domain.h"

#define READERS 4 /* libvirtd works on five calls of one client at a time */

/* Adds UUID → Standing of those that the filter chooses. */
static gboolean add_states(DmConnection *connection, guint filter, gboolean persistent, GHashTable *standings) {
  virDomainStatsRecordPtr *records = NULL;
  int count = virConnectGetAllDomainStats(connection_get_virt(connection), VIR_DOMAIN_STATS_STATE, &records, filter);
  if (count < 0)
    return FALSE;
  for (int i = 0; i < count; i++) {
    char uuid[VIR_UUID_STRING_BUFLEN];
    Standing standing = {.persistent = persistent};
    if (virDomainGetUUIDString(records[i]->dom, uuid) == 0 &&
      virTypedParamsGetInt(records[i]->params, records[i]->nparams, "state.state", &standing.state) == 1)
      g_hash_table_replace(standings, g_strdup(uuid), g_memdup2(&standing, sizeof(standing)));
  }
  virDomainStatsRecordListFree(records);
  return TRUE;
}

static gboolean add_saved(DmConnection *connection, GHashTable *standings) {
  virDomainPtr *domains = NULL;
  int count = virConnectListAllDomains(connection_get_virt(connection), &domains, VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE);
  if (count < 0)
    return FALSE;
  for (int i = 0; i < count; i++) {
    char uuid[VIR_UUID_STRING_BUFLEN];
    Standing *standing = virDomainGetUUIDString(domains[i], uuid) == 0 ? g_hash_table_lookup(standings, uuid) : NULL;
    if (standing != NULL)
      standing->saved = TRUE;
    virDomainFree(domains[i]);
  }
  free(domains);
  return TRUE;
}

/* UUID → Standing. */
static GHashTable *read_standings(DmConnection *connection, GError **error) {
  g_autoptr(GHashTable) standings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  if (add_states(connection, VIR_CONNECT_GET_ALL_DOMAINS_STATS_PERSISTENT, TRUE, standings) &&
    add_states(connection, VIR_CONNECT_GET_ALL_DOMAINS_STATS_TRANSIENT, FALSE, standings) &&
    add_saved(connection, standings))
    return g_steal_pointer(&standings);
  virt_error_set(error, "cannot read the states of the VMs of %s", dm_connection_uri(connection));
  return NULL;
}

/* One VM on its way through a thread of the pool. */
typedef struct {
  virDomainPtr domain;
  const Standing *standing; /* NULL: it came up after the states were read */
  DmVm *vm;
  GError *error;
} Reading;

static void read_one(gpointer data, gpointer unused) {
  Reading *reading = data;
  DM_TAKE_OVER(reading);
  reading->vm = reading->standing != NULL ? domain_read_standing(reading->domain, reading->standing, &reading->error)
                                          : domain_read(reading->domain, &reading->error);
  virDomainFree(reading->domain);
  DM_HAND_OVER(reading);
}

/* Reads all; the domains are used up. */
static Reading *read_all(virDomainPtr *domains, guint count, GHashTable *standings) {
  Reading *readings = g_new0(Reading, count);
  GThreadPool *pool = g_thread_pool_new(read_one, NULL, READERS, FALSE, NULL);
  for (guint i = 0; i < count; i++) {
    char uuid[VIR_UUID_STRING_BUFLEN];
    readings[i].domain = domains[i];
    if (virDomainGetUUIDString(domains[i], uuid) == 0)
      readings[i].standing = g_hash_table_lookup(standings, uuid);
    DM_HAND_OVER(&readings[i]);
    g_thread_pool_push(pool, &readings[i], NULL);
  }
  g_thread_pool_free(pool, FALSE, TRUE); /* once all are read */
  return readings;
}

static void free_vm(gpointer vm) {
  dm_vm_free(vm);
}

static int by_name(gconstpointer a, gconstpointer b) {
  return g_strcmp0((*(const DmVm *const *)a)->name, (*(const DmVm *const *)b)->name);
}

GPtrArray *dm_domain_list(DmConnection *connection, GError **error) {
  virDomainPtr *domains = NULL;
  g_autoptr(GHashTable) standings = read_standings(connection, error);
  int count = standings != NULL ? virConnectListAllDomains(connection_get_virt(connection), &domains, 0) : 0;
  if (count < 0)
    virt_error_set(error, "cannot list the VMs of %s", dm_connection_uri(connection));
  if (standings == NULL || count < 0)
    return NULL;
  g_autofree Reading *readings = read_all(domains, (guint)count, standings);
  g_autoptr(GPtrArray) vms = g_ptr_array_new_with_free_func(free_vm);
  g_autoptr(GError) failed = NULL;
  free(domains);
  for (int i = 0; i < count; i++) {
    DM_TAKE_OVER(&readings[i]);
    if (readings[i].vm != NULL)
      g_ptr_array_add(vms, readings[i].vm);
    else if (failed == NULL && !g_error_matches(readings[i].error, DM_ERROR, DM_ERROR_NO_SUCH_VM)) /* gone meanwhile */
      failed = g_steal_pointer(&readings[i].error);
    g_clear_error(&readings[i].error);
  }
  if (failed != NULL) {
    g_propagate_error(error, g_steal_pointer(&failed));
    return NULL;
  }
  g_ptr_array_sort(vms, by_name);
  return g_steal_pointer(&vms);
}
