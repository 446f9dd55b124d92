/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One host of the inventory. Its connection is opened in a thread and watched from the start, then all VMs are listed;
 * VMs with events meanwhile are re-read afterwards. When it is lost, its VMs stay as last seen, and it is retried with
 * increasing delays; then everything is compared again.
 */
#include "base/debug.h"
#include "base/error.h"
#include "hypervisor/balloon.h"
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
  gboolean again; /* something has changed since it began */
  DmVm *vm;
  GError *error;
} Read;

static void read_free(gpointer data) {
  Read *read = data;
  dm_connection_close(read->connection);
  g_free(read->uuid);
  dm_vm_free(read->vm);
  g_clear_error(&read->error);
  site_release(read->site);
  g_free(read);
}

static void read_work(gpointer data) {
  Read *read = data;
  read->vm = dm_domain_read(read->connection, read->uuid, &read->error);
  if (read->vm != NULL)
    dm_balloon_find_out(read->connection, read->vm);
}

/* It ran on this host and no longer does. */
static gboolean is_gone(const Slot *slot, const Read *read) {
  if (slot == NULL || slot->entry.host != &read->site->host || slot->entry.vm->live == NULL)
    return FALSE;
  return read->vm != NULL ? read->vm->live == NULL : g_error_matches(read->error, DM_ERROR, DM_ERROR_NO_SUCH_VM);
}

/* Whether it has moved to one of the hosts that reported it while it still belonged to this one. */
static void ask_others(const Site *site, const char *uuid) {
  for (guint i = 0; i < site->inventory->sites->len; i++) {
    if (site->inventory->sites->pdata[i] != site)
      site_read(site->inventory->sites->pdata[i], uuid);
  }
}

static void read_done(gpointer data) {
  Read *read = data;
  Site *site = read->site;
  if (site->inventory->closed) {
    read_free(read);
    return;
  }
  g_autofree char *uuid = g_strdup(read->uuid);
  Slot *slot = inventory_find(site->inventory, uuid);
  gboolean current = site->host.connection == read->connection;
  gboolean again = read->again || (slot != NULL && slot->puts != read->puts);
  if (current && !again && is_gone(slot, read))
    ask_others(site, uuid);
  if (current && !again && read->vm != NULL)
    site->listener->seen(site, g_steal_pointer(&read->vm));
  else if (current && !again && slot != NULL && slot->entry.host == &site->host &&
    g_error_matches(read->error, DM_ERROR, DM_ERROR_NO_SUCH_VM))
    site->listener->gone(slot);
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
  read->site = site_hold(site);
  read->connection = dm_connection_ref(site->host.connection);
  read->uuid = g_strdup(uuid);
  read->puts = slot != NULL ? slot->puts : 0;
  g_hash_table_insert(site->reads, read->uuid, read);
  dm_connection_run(site->host.connection, uuid, read_work, read_done, read);
}

/* ---- listing all VMs ---- */

typedef struct {
  Site *site;
  DmConnection *connection;
  GHashTable *puts; /* UUID → number of replacements of the entry when the listing began */
  GPtrArray *vms;
  GError *error;
} List;

static void list_free(List *list) {
  dm_connection_close(list->connection);
  g_hash_table_unref(list->puts);
  g_clear_pointer(&list->vms, g_ptr_array_unref);
  g_clear_error(&list->error);
  site_release(list->site);
  g_free(list);
}

static void list_work(gpointer data) {
  List *list = data;
  list->vms = dm_domain_list(list->connection, &list->error);
}

/* Entries of this host missing from the list are gone. */
static void remove_missing(Site *site, GHashTable *listed) {
  g_autoptr(GList) slots = g_hash_table_get_values(site->inventory->slots);
  for (GList *link = slots; link != NULL; link = link->next) {
    Slot *slot = link->data;
    if (slot->entry.host == &site->host && !g_hash_table_contains(listed, slot->entry.vm->uuid))
      site->listener->gone(slot);
  }
}

static void take_list(List *list) {
  Site *site = list->site;
  g_autoptr(GHashTable) listed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_ptr_array_set_free_func(list->vms, NULL); /* each is moved to its entry */
  for (guint i = 0; i < list->vms->len; i++) {
    DmVm *vm = list->vms->pdata[i];
    Slot *slot = inventory_find(site->inventory, vm->uuid);
    g_hash_table_add(listed, g_strdup(vm->uuid));
    if (slot != NULL && slot->puts != GPOINTER_TO_UINT(g_hash_table_lookup(list->puts, vm->uuid)))
      dm_vm_free(vm); /* outdated */
    else
      site->listener->seen(site, vm);
  }
  remove_missing(site, listed);
}

static void list_done(gpointer data) {
  List *list = data;
  Site *site = list->site;
  site->listing = FALSE;
  gboolean current = !site->inventory->closed && site->host.connection == list->connection;
  if (current && list->vms != NULL) {
    take_list(list);
    site->host.status = DM_HOST_UP;
    g_clear_pointer(&site->host.problem, g_free);
    site->pause_s = FIRST_PAUSE;
    site->tried = TRUE;
    site->listener->changed(site);
    site_count_memory(site);
  } else if (current) {
    fail(site, list->error->message);
  }
  list_free(list);
}

static void begin_list(Site *site) {
  List *list = g_new0(List, 1);
  list->site = site_hold(site);
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
  dm_connection_run(site->host.connection, NULL, list_work, list_done, list);
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
    site->listener->event(site, event);
    return;
  }
  g_autofree char *problem =
    g_strdup_printf("the connection to %s was lost: %s", site->host.uri, dm_connection_loss(site->host.connection));
  fail(site, problem);
}

static void attempt_free(Attempt *attempt) {
  dm_connection_close(attempt->connection);
  dm_host_facts_clear(&attempt->facts);
  g_clear_error(&attempt->error);
  g_free(attempt->uri);
  site_release(attempt->site);
  g_free(attempt);
}

static void take_connection(Attempt *attempt) {
  Site *site = attempt->site;
  g_free(site->host.name);
  site->host.name = g_steal_pointer(&attempt->facts.name);
  site->host.memory = attempt->facts.memory;
  site->host.cpus = attempt->facts.cpus;
  site->host.connection = g_steal_pointer(&attempt->connection);
  site->watch = dm_connection_watch(site->host.connection, NULL, on_event, site);
  begin_list(site);
}

static void attempt_done(gpointer data) {
  Attempt *attempt = data;
  if (!attempt->site->inventory->closed && attempt->connection != NULL)
    take_connection(attempt);
  else if (!attempt->site->inventory->closed)
    fail(attempt->site, attempt->error->message);
  attempt_free(attempt);
}

/* In a thread of its own: a host that does not answer may block it for minutes. */
static void attempt_work(gpointer data) {
  Attempt *attempt = data;
  attempt->connection = dm_connection_open(attempt->uri, DM_CONNECTION_SERVES, &attempt->error);
  if (attempt->connection != NULL && !dm_host_read(attempt->connection, &attempt->facts, &attempt->error))
    g_clear_pointer(&attempt->connection, dm_connection_close);
}

void site_connect(Site *site) {
  Attempt *attempt = g_new0(Attempt, 1);
  attempt->site = site_hold(site);
  attempt->uri = g_strdup(site->host.uri);
  dm_hypervisor_run(attempt_work, attempt_done, attempt);
}

static gboolean on_retry(gpointer data) {
  Site *site = data;
  site->timer = 0;
  site_connect(site);
  return G_SOURCE_REMOVE;
}

/*
 * libvirt is still inside this callback, so the connection is released a little later; and as its host may only hang,
 * the main loop does not wait for it.
 */
static gboolean let_go(gpointer connection) {
  dm_connection_abandon(connection);
  return G_SOURCE_REMOVE;
}

static void fail(Site *site, const char *problem) {
  DmConnection *connection = g_steal_pointer(&site->host.connection);
  if (connection != NULL) {
    dm_connection_unwatch(connection, site->watch);
    g_hash_table_steal_all(site->reads); /* each frees itself when it returns */
    g_idle_add(let_go, connection);
  }
  g_free(site->host.problem);
  site->host.problem = g_strdup(problem);
  site->host.status = DM_HOST_DOWN;
  site->tried = TRUE;
  if (site->timer == 0)
    site->timer = g_timeout_add_seconds(site->pause_s, on_retry, site);
  site->pause_s = MIN(site->pause_s * 2, LONGEST_PAUSE);
  site->listener->changed(site);
}

/* ---- whether it answers ---- */

typedef struct {
  Site *site;
  DmConnection *connection;
} Question;

static void ask_work(gpointer data) {
  const Question *question = data;
  DmHostFacts facts = {0};
  g_autoptr(GError) failed = NULL;
  if (dm_host_read(question->connection, &facts, &failed))
    dm_host_facts_clear(&facts);
  else
    dm_debug("libvirt", "host %s does not answer: %s", question->site->host.uri, failed->message);
}

static void ask_done(gpointer data) {
  Question *question = data;
  dm_connection_close(question->connection);
  if (!question->site->inventory->closed)
    question->site->listener->answered(question->site->inventory);
  site_release(question->site);
  g_free(question);
}

void site_ask(Site *site) {
  Question *question = g_new(Question, 1);
  *question = (Question){site_hold(site), dm_connection_ref(site->host.connection)};
  dm_connection_run(question->connection, NULL, ask_work, ask_done, question);
}

/* ---- creation ---- */

/* A UUID derived from the URI (like version 5), so that a host has the same id after every start. */
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

Site *site_new(DmInventory *inventory, const char *uri, const SiteListener *listener) {
  Site *site = g_new0(Site, 1);
  site->inventory = inventory;
  site->listener = listener;
  site->host.id = id_of(uri);
  site->host.uri = g_strdup(uri);
  site->host.name = g_strdup(uri);
  site->pause_s = FIRST_PAUSE;
  site->balloons = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  site->reads = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, read_free);
  return site;
}

void site_close(Site *site) {
  if (site->host.connection != NULL)
    dm_connection_unwatch(site->host.connection, site->watch);
  g_clear_pointer(&site->host.connection, dm_connection_close);
  g_clear_handle_id(&site->timer, g_source_remove);
  g_hash_table_steal_all(site->reads); /* each frees itself when it returns */
}

void site_free(gpointer data) {
  Site *site = data;
  g_hash_table_unref(site->reads);
  g_hash_table_unref(site->balloons);
  g_queue_clear_full(&site->unstarted, g_free);
  g_free(site->host.id);
  g_free(site->host.uri);
  g_free(site->host.name);
  g_free(site->host.problem);
  g_free(site);
}

/* ---- for callers ---- */

void dm_inventory_refresh(DmInventory *inventory, DmEntry *entry) {
  site_read((Site *)entry->host, entry->vm->uuid);
}

void dm_inventory_hold(DmInventory *inventory, DmEntry *entry) {
  ((Slot *)entry)->holds++;
}

void dm_inventory_release(DmInventory *inventory, DmEntry *entry) {
  Slot *slot = (Slot *)entry;
  if (slot->holds == 0) /* another entry of this VM was held: it had gone and come back */
    return;
  slot->holds--;
  if (slot->holds > 0 || !slot->stale)
    return;
  slot->stale = FALSE;
  dm_inventory_refresh(inventory, entry);
}
