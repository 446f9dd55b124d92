/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bulk calls are used where possible: with thousands of VMs, round trips to libvirt dominate. Only definitions have to
 * be read one by one, several in parallel.
 */
#include "base/error.h"
#include "domain_private.h"
#include "hypervisor/domain.h"

/* Parallel readers, each on a connection of its own (connection.c says why), if there is enough work for each. */
#define READERS 4
#define SHARE 100

/* Adds UUID → Standing of those that match the filter. */
static gboolean add_states(virConnectPtr virt, guint filter, gboolean persistent, GHashTable *standings) {
  virDomainStatsRecordPtr *records = NULL;
  int count = virConnectGetAllDomainStats(virt, VIR_DOMAIN_STATS_STATE, &records, filter);
  if (count < 0)
    return FALSE;
  for (int i = 0; i < count; i++) {
    char uuid[VIR_UUID_STRING_BUFLEN];
    Standing standing = {.persistent = persistent};
    if (virDomainGetUUIDString(records[i]->dom, uuid) == 0 &&
      virTypedParamsGetInt(records[i]->params, records[i]->nparams, "state.state", &standing.state) == 1 &&
      virTypedParamsGetInt(records[i]->params, records[i]->nparams, "state.reason", &standing.reason) >= 0)
      g_hash_table_replace(standings, g_strdup(uuid), g_memdup2(&standing, sizeof(standing)));
  }
  virDomainStatsRecordListFree(records);
  return TRUE;
}

static gboolean add_saved(virConnectPtr virt, GHashTable *standings) {
  virDomainPtr *domains = NULL;
  int count = virConnectListAllDomains(virt, &domains, VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE);
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
static GHashTable *read_standings(DmConnection *connection, virConnectPtr virt, GError **error) {
  g_autoptr(GHashTable) standings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  if (add_states(virt, VIR_CONNECT_GET_ALL_DOMAINS_STATS_PERSISTENT, TRUE, standings) &&
    add_states(virt, VIR_CONNECT_GET_ALL_DOMAINS_STATS_TRANSIENT, FALSE, standings) && add_saved(virt, standings))
    return g_steal_pointer(&standings);
  virt_error_set(error, "cannot read the states of the VMs of %s", dm_connection_uri(connection));
  return NULL;
}

static void free_vm(gpointer vm) {
  dm_vm_free(vm);
}

static int by_name(gconstpointer a, gconstpointer b) {
  return g_strcmp0((*(const DmVm *const *)a)->name, (*(const DmVm *const *)b)->name);
}

/* Each reads the VMs whose UUIDs map to it, so that VMs that come and go meanwhile have exactly one reader. */
typedef struct {
  DmConnection *connection;
  virConnectPtr virt;
  GHashTable *standings; /* read-only */
  guint share, of;
  GPtrArray *vms;
  GError *error; /* of the first failure */
} Reader;

static gboolean is_mine(const Reader *reader, virDomainPtr domain) {
  unsigned char uuid[VIR_UUID_BUFLEN];
  return virDomainGetUUID(domain, uuid) == 0 && uuid[VIR_UUID_BUFLEN - 1] % reader->of == reader->share;
}

/* One without a state appeared after the states were read; one that disappeared meanwhile is skipped. */
static void read_one(Reader *reader, virDomainPtr domain) {
  g_autoptr(GError) failed = NULL;
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virDomainGetUUIDString(domain, uuid);
  const Standing *standing = g_hash_table_lookup(reader->standings, uuid);
  DmVm *vm = standing != NULL ? domain_read_standing(reader->connection, domain, standing, &failed)
                              : domain_read(reader->connection, domain, &failed);
  if (vm != NULL && vm->trial)
    dm_vm_free(vm);
  else if (vm != NULL)
    g_ptr_array_add(reader->vms, vm);
  else if (reader->error == NULL && !g_error_matches(failed, DM_ERROR, DM_ERROR_NO_SUCH_VM))
    reader->error = g_steal_pointer(&failed);
}

static gpointer read_share(gpointer data) {
  Reader *reader = data;
  virDomainPtr *domains = NULL;
  int count = virConnectListAllDomains(reader->virt, &domains, 0);
  if (count < 0)
    virt_error_set(&reader->error, "cannot list the VMs");
  for (int i = 0; i < count; i++) {
    if (is_mine(reader, domains[i]))
      read_one(reader, domains[i]);
    virDomainFree(domains[i]);
  }
  free(domains);
  return NULL;
}

/* The first reader has its virt; opens those of the others, as many as wanted and possible. Returns the number. */
static guint open_readers(DmConnection *connection, Reader *readers, guint wanted) {
  guint count = 1;
  while (count < wanted && (readers[count].virt = connection_open_another(connection)) != NULL)
    count++;
  return count;
}

/* All share the list; the first reader runs in this thread. */
static void read_all(Reader *readers, guint count, GPtrArray *vms, GHashTable *standings) {
  GThread *threads[READERS] = {NULL};
  for (guint i = count; i-- > 0;) {
    readers[i].connection = readers[0].connection;
    readers[i].standings = standings;
    readers[i].share = i;
    readers[i].of = count;
    readers[i].vms = i > 0 ? g_ptr_array_new() : vms;
    if (i > 0)
      threads[i] = g_thread_new("list", read_share, &readers[i]);
    else
      read_share(&readers[i]);
  }
  for (guint i = 1; i < count; i++) {
    g_thread_join(threads[i]);
    g_ptr_array_extend_and_steal(vms, readers[i].vms);
    virConnectClose(readers[i].virt);
    if (readers[0].error == NULL)
      readers[0].error = g_steal_pointer(&readers[i].error);
    g_clear_error(&readers[i].error);
  }
}

GPtrArray *dm_domain_list(DmConnection *connection, GError **error) {
  virConnectPtr virt = connection_get_virt(connection, error);
  g_autoptr(GHashTable) standings = virt != NULL ? read_standings(connection, virt, error) : NULL;
  if (standings == NULL)
    return NULL;
  Reader readers[READERS] = {{.connection = connection, .virt = virt}};
  guint wanted = CLAMP(g_hash_table_size(standings) / SHARE, 1, READERS);
  g_autoptr(GPtrArray) vms = g_ptr_array_new_with_free_func(free_vm);
  read_all(readers, open_readers(connection, readers, wanted), vms, standings);
  if (readers[0].error != NULL) {
    g_propagate_error(error, readers[0].error);
    return NULL;
  }
  uint64_t memory = connection_host_memory(connection);
  for (guint i = 0; i < vms->len; i++) {
    DmVm *vm = vms->pdata[i];
    vm->host_memory = memory;
    if (vm->live != NULL)
      vm->started_ms = dm_domain_started(connection, vm->name);
  }
  g_ptr_array_sort(vms, by_name);
  return g_steal_pointer(&vms);
}
