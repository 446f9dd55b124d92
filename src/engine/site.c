/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One host of the inventory. Its connection is opened in a thread, watched from the first moment, and then listed
 * whole; what events tell meanwhile is read again afterwards. When it is lost, its VMs stay, as they were last seen,
 * and it is tried again with growing pauses; then all is compared afresh.
 */
#include "base/error.h"
#include "base/handoff.h"
#include "hypervisor/domain.h"
#include "hypervisor/host.h"
#include "inventory_private.h"

#define FIRST_PAUSE 1
#define LONGEST_PAUSE 60

static void fail(Site *site, const char *problem);

/* ---- reading one VM ---- */

typedef struct {
  Site *site;
  DmConnection *connection;
  char *uuid;
  guint puts;
  gboolean again; /* something happened since it began */
  DmVm *vm;
  GError *error;
} Read;

static void read_free(gpointer data) {
  Read *read = data;
  dm_connection_close(read->connection);
  g_free(read->uuid);
  dm_vm_free(read->vm);
  g_clear_error(&read->error);
  g_free(read);
}

static void read_work(gpointer data) {
  Read *read = data;
  read->vm = dm_domain_read(read->connection, read->uuid, &read->error);
}

/* It ran on this host and does not any more. */
static gboolean is_gone(const Slot *slot, const Read *read) {
  if (slot == NULL || slot->entry.host != &read->site->host || slot->entry.vm->live == NULL)
    return FALSE;
  return read->vm != NULL ? read->vm->live == NULL : g_error_matches(read->error, DM_ERROR, DM_ERROR_NO_SUCH_VM);
}

/* Whether it has moved there: those hosts told of it while it still belonged to this one. */
static void ask_others(const Site *site, const char *uuid) {
  for (guint i = 0; i < site->inventory->sites->len; i++) {
    if (site->inventory->sites->pdata[i] != site)
      site_read(site->inventory->sites->pdata[i], uuid);
  }
}

static void read_done(gpointer data) {
  Read *read = data;
  Site *site = read->site;
  g_autofree char *uuid = g_strdup(read->uuid);
  Slot *slot = inventory_find(site->inventory, uuid);
  gboolean current = site->host.connection == read->connection;
  gboolean again = read->again || (slot != NULL && slot->puts != read->puts);
  if (current && !again && is_gone(slot, read))
    ask_others(site, uuid);
  if (current && !again && read->vm != NULL)
    inventory_take(site->inventory, site, g_steal_pointer(&read->vm));
  else if (current && !again && slot != NULL && slot->entry.host == &site->host &&
    g_error_matches(read->error, DM_ERROR, DM_ERROR_NO_SUCH_VM))
    inventory_remove(site->inventory, slot);
  if (g_hash_table_lookup(site->reads, uuid) == read)
    g_hash_table_remove(site->reads, uuid); /* frees it */
  else
    read_free(read); /* of a connection that was lost since */
  if (current && again)
    site_read(site, uuid);
}

void site_read(Site *site, const char *uuid) {
  Slot *slot = inventory_find(site->inventory, uuid);
  if (slot != NULL && slot->holds > 0) {
    slot->stale = TRUE;
    return;
  }
  if (site->host.connection == NULL)
    return;
  Read *read = g_hash_table_lookup(site->reads, uuid);
  if (read != NULL) {
    read->again = TRUE;
    return;
  }
  read = g_new0(Read, 1);
  read->site = site;
  read->connection = dm_connection_ref(site->host.connection);
  read->uuid = g_strdup(uuid);
  read->puts = slot != NULL ? slot->puts : 0;
  g_hash_table_insert(site->reads, read->uuid, read);
  dm_connection_run(site->host.connection, read_work, read_done, read);
}

/* ---- listing all VMs ---- */

typedef struct {
  Site *site;
  DmConnection *connection;
  GHashTable *puts; /* UUID → how often the entry had been replaced when the list was begun */
  GPtrArray *vms;
  GError *error;
} List;

static void list_free(List *list) {
  dm_connection_close(list->connection);
  g_hash_table_unref(list->puts);
  g_clear_pointer(&list->vms, g_ptr_array_unref);
  g_clear_error(&list->error);
  g_free(list);
}

static void list_work(gpointer data) {
  List *list = data;
  list->vms = dm_domain_list(list->connection, &list->error);
}

/* Entries of this host that the list does not have are gone. */
static void remove_missing(Site *site, GHashTable *listed) {
  g_autoptr(GList) slots = g_hash_table_get_values(site->inventory->slots);
  for (GList *link = slots; link != NULL; link = link->next) {
    Slot *slot = link->data;
    if (slot->entry.host == &site->host && !g_hash_table_contains(listed, slot->entry.vm->uuid))
      inventory_remove(site->inventory, slot);
  }
}

static void take_list(List *list) {
  Site *site = list->site;
  g_autoptr(GHashTable) listed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_ptr_array_set_free_func(list->vms, NULL); /* each goes to its entry */
  for (guint i = 0; i < list->vms->len; i++) {
    DmVm *vm = list->vms->pdata[i];
    Slot *slot = inventory_find(site->inventory, vm->uuid);
    g_hash_table_add(listed, g_strdup(vm->uuid));
    if (slot != NULL && slot->puts != GPOINTER_TO_UINT(g_hash_table_lookup(list->puts, vm->uuid)))
      dm_vm_free(vm); /* there is newer */
    else
      inventory_take(site->inventory, site, vm);
  }
  remove_missing(site, listed);
}

static void list_done(gpointer data) {
  List *list = data;
  Site *site = list->site;
  site->listing = FALSE;
  if (site->host.connection == list->connection && list->vms != NULL) {
    take_list(list);
    site->host.status = DM_HOST_UP;
    g_clear_pointer(&site->host.problem, g_free);
    site->pause = FIRST_PAUSE;
    site->tried = TRUE;
    inventory_host_changed(site->inventory, site);
    site_count_memory(site);
  } else if (site->host.connection == list->connection) {
    fail(site, list->error->message);
  }
  list_free(list);
}

static void begin_list(Site *site) {
  List *list = g_new0(List, 1);
  list->site = site;
  list->connection = dm_connection_ref(site->host.connection);
  list->puts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, site->inventory->slots);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    Slot *slot = value;
    g_hash_table_insert(list->puts, g_strdup(slot->entry.vm->uuid), GUINT_TO_POINTER(slot->puts));
  }
  site->listing = TRUE;
  dm_connection_run(site->host.connection, list_work, list_done, list);
}

/* ---- the connection ---- */

typedef struct {
  Site *site;
  char *uri;
  DmConnection *connection;
  DmHostFacts facts;
  GError *error;
} Attempt;

static void on_event(const DmEvent *event, gpointer data) {
  Site *site = data;
  if (event->kind != DM_EVENT_CONNECTION_LOST) {
    inventory_event(site->inventory, site, event);
    return;
  }
  g_autofree char *problem = g_strdup_printf("the connection to %s was lost", site->host.uri);
  fail(site, problem);
}

static gboolean attempt_done(gpointer data) {
  Attempt *attempt = data;
  DM_TAKE_OVER(attempt);
  Site *site = attempt->site;
  if (attempt->connection != NULL) {
    g_free(site->host.name);
    site->host.name = g_steal_pointer(&attempt->facts.name);
    site->host.memory = attempt->facts.memory;
    site->host.cpus = attempt->facts.cpus;
    site->host.connection = attempt->connection;
    site->watch = dm_connection_watch(site->host.connection, NULL, on_event, site);
    begin_list(site);
  } else {
    fail(site, attempt->error->message);
  }
  g_clear_error(&attempt->error);
  g_free(attempt->uri);
  g_free(attempt);
  return G_SOURCE_REMOVE;
}

/* A thread of its own: a host that does not answer may hold it for minutes. */
static gpointer attempt_work(gpointer data) {
  Attempt *attempt = data;
  attempt->connection = dm_connection_open(attempt->uri, DM_CONNECTION_SERVES, &attempt->error);
  if (attempt->connection != NULL && !dm_host_read(attempt->connection, &attempt->facts, &attempt->error))
    g_clear_pointer(&attempt->connection, dm_connection_close);
  DM_HAND_OVER(attempt);
  g_idle_add_full(G_PRIORITY_DEFAULT, attempt_done, attempt, NULL);
  return NULL;
}

void site_connect(Site *site) {
  Attempt *attempt = g_new0(Attempt, 1);
  attempt->site = site;
  attempt->uri = g_strdup(site->host.uri);
  g_thread_unref(g_thread_new("connect", attempt_work, attempt));
}

static gboolean on_retry(gpointer data) {
  Site *site = data;
  site->timer = 0;
  site_connect(site);
  return G_SOURCE_REMOVE;
}

/*
 * libvirt is still in the middle of telling us, so the connection is let go of a little later; and as its host may just
 * hang, the main loop does not wait for that.
 */
static gboolean let_go(gpointer connection) {
  dm_connection_abandon(connection);
  return G_SOURCE_REMOVE;
}

static void fail(Site *site, const char *problem) {
  DmConnection *connection = g_steal_pointer(&site->host.connection);
  if (connection != NULL) {
    dm_connection_unwatch(connection, site->watch);
    g_hash_table_steal_all(site->reads); /* each frees itself when it comes back */
    g_idle_add(let_go, connection);
  }
  g_free(site->host.problem);
  site->host.problem = g_strdup(problem);
  site->host.status = DM_HOST_DOWN;
  site->tried = TRUE;
  if (site->timer == 0)
    site->timer = g_timeout_add_seconds(site->pause, on_retry, site);
  site->pause = MIN(site->pause * 2, LONGEST_PAUSE);
  inventory_host_changed(site->inventory, site);
}

/* ---- memory statistics ---- */

typedef struct {
  Site *site;
  DmConnection *connection;
  GHashTable *balloons;
  GHashTable *stats;
} Count;

static void count_work(gpointer data) {
  Count *count = data;
  count->stats = dm_domain_memory_stats(
    count->connection, count->balloons, NULL); /* a driver may have none: then nothing is known */
}

static void count_done(gpointer data) {
  Count *count = data;
  GHashTableIter iter;
  gpointer uuid, stats;
  count->site->counting = FALSE;
  if (count->stats != NULL) {
    g_hash_table_iter_init(&iter, count->stats);
    while (g_hash_table_iter_next(&iter, &uuid, &stats)) {
      Slot *slot = inventory_find(count->site->inventory, uuid);
      if (slot != NULL && slot->entry.host == &count->site->host)
        slot->entry.stats = *(DmMemoryStats *)stats;
    }
    g_hash_table_unref(count->stats);
  }
  g_hash_table_unref(count->balloons);
  dm_connection_close(count->connection);
  g_free(count);
}

void site_count_memory(Site *site) {
  if (site->counting || site->host.connection == NULL)
    return;
  Count *count = g_new0(Count, 1);
  count->site = site;
  count->connection = dm_connection_ref(site->host.connection);
  count->balloons = g_hash_table_ref(site->balloons);
  site->counting = TRUE;
  dm_connection_run(site->host.connection, count_work, count_done, count);
}

/* ---- whether it answers ---- */

typedef struct {
  Site *site;
  DmConnection *connection;
} Question;

static void ask_work(gpointer data) {
  const Question *question = data;
  DmHostFacts facts = {0};
  dm_host_read(question->connection, &facts, NULL);
  dm_host_facts_clear(&facts);
}

static void ask_done(gpointer data) {
  Question *question = data;
  DmInventory *inventory = question->site->inventory;
  dm_connection_close(question->connection);
  g_free(question);
  inventory_host_answered(inventory);
}

void site_ask(Site *site) {
  Question *question = g_new(Question, 1);
  *question = (Question){site, dm_connection_ref(site->host.connection)};
  dm_connection_run(question->connection, ask_work, ask_done, question);
}

/* ---- making ---- */

/* A UUID made of the URI (as version 5 does), so that a host has the same id after every start. */
static char *id_of(const char *uri) {
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA1);
  guint8 digest[20];
  gsize length = sizeof digest;
  g_checksum_update(sum, (const guchar *)"dimmer host ", -1);
  g_checksum_update(sum, (const guchar *)uri, -1);
  g_checksum_get_digest(sum, digest, &length);
  digest[6] = (digest[6] & 0x0f) | 0x50;
  digest[8] = (digest[8] & 0x3f) | 0x80;
  return g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", digest[0], digest[1],
    digest[2], digest[3], digest[4], digest[5], digest[6], digest[7], digest[8], digest[9], digest[10], digest[11],
    digest[12], digest[13], digest[14], digest[15]);
}

Site *site_new(DmInventory *inventory, const char *uri) {
  Site *site = g_new0(Site, 1);
  site->inventory = inventory;
  site->host.id = id_of(uri);
  site->host.uri = g_strdup(uri);
  site->host.name = g_strdup(uri);
  site->pause = FIRST_PAUSE;
  site->balloons = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  site->reads = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, read_free);
  return site;
}

void site_free(gpointer data) {
  Site *site = data;
  if (site->host.connection != NULL)
    dm_connection_unwatch(site->host.connection, site->watch);
  if (site->timer != 0)
    g_source_remove(site->timer);
  dm_connection_close(site->host.connection);
  g_hash_table_unref(site->reads);
  g_hash_table_unref(site->balloons);
  g_free(site->host.id);
  g_free(site->host.uri);
  g_free(site->host.name);
  g_free(site->host.problem);
  g_free(site);
}
