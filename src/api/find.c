/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a request's search in time slices: a search of a few kilobytes over ten thousand VMs takes a second or more, and
 * must not block others. One done within the first slice is answered at once; else the request waits, without a thread,
 * and waiting ones run round-robin.
 *
 * First the relations: hosts?search=vms.name=web* checks all VMs once and collects their hosts. Events are collected
 * and searched in the store's thread, which owns the search meanwhile. Then the objects. VMs come and go while it
 * waits, so then they are kept by UUID.
 */
#include "base/error.h"
#include "finding.h"

#define SLICE (G_TIME_SPAN_MILLISECOND * 4)
#define MOST (G_TIME_SPAN_SECOND * 10) /* of work for one search */
#define AT_ONCE 16                     /* objects between two clock readings */
#define EVENTS_AT_ONCE 128
#define PAGE_OF_EVENTS 100 /* without max, as in the engine's own WebAdmin */
#define MOST_EVENTS 5000   /* maximum in one answer, whatever max is */
#define MOST_SORTED 10000  /* newest events searched, if not sorted by time */

/* Owners whose related objects match a group, and owners with any. */
typedef struct {
  DmSearchGroup *group;
  int number;                    /* of the reference */
  GHashTable *matching, *having; /* owners: UUIDs; "" for the one cluster and data center */
  guint at;                      /* the next VM */
} Relation;

struct Finding {
  guint references; /* the call's and the store's */
  DmApi *api;
  Call *call;
  const DmSearchKind *kind;
  DmSearch *search;
  GPtrArray *vms; /* all, as DmEntry; later as UUIDs; NULL: not needed */
  gboolean are_kept;
  GPtrArray *objects; /* the objects searched; may be the VMs */
  GPtrArray *relations;
  gboolean events_noted;
  guint relation, at; /* next ones */
  GArray *found;      /* guint: indexes of matching objects */
  GPtrArray *events;  /* from the store; NULL: none */
  gint64 spent;       /* microseconds */
  guint events_seen;  /* in the store's thread, with the next two */
  gint64 events_until;
  gboolean is_late; /* it took too long, so the result is incomplete */
  gboolean is_queued;
  FoundFunc done;
};

static void proceed(Finding *finding);

/* g_ptr_array_copy() would free them with the copy. */
static GPtrArray *borrow_all(const GPtrArray *objects) {
  GPtrArray *borrowed = g_ptr_array_sized_new(objects->len);
  for (guint i = 0; i < objects->len; i++)
    g_ptr_array_add(borrowed, objects->pdata[i]);
  return borrowed;
}

static void unref(gpointer data) {
  Finding *finding = data;
  if (--finding->references > 0)
    return;
  if (finding->objects != NULL && finding->objects != finding->vms)
    g_ptr_array_unref(finding->objects);
  if (finding->vms != NULL)
    g_ptr_array_unref(finding->vms);
  if (finding->events != NULL)
    g_ptr_array_unref(finding->events);
  g_ptr_array_unref(finding->relations);
  g_array_unref(finding->found);
  dm_search_free(finding->search);
  g_free(finding);
}

DmApi *finding_api(const Finding *finding) {
  return finding->api;
}

/* ---- relations ---- */

static void free_relation(gpointer data) {
  Relation *relation = data;
  g_hash_table_unref(relation->matching);
  g_hash_table_unref(relation->having);
  g_free(relation);
}

gboolean finding_knows_related(const Finding *finding, DmSearchGroup *group, const char *owner, gconstpointer related) {
  for (guint i = 0; i < finding->relations->len && owner != NULL; i++) {
    const Relation *relation = finding->relations->pdata[i];
    if (relation->group == group && g_hash_table_contains(relation->having, owner))
      return g_hash_table_contains(relation->matching, owner);
  }
  return dm_search_group_matches(group, related, (gpointer)finding);
}

gboolean finding_has_related(const Finding *finding, DmSearchGroup *group, const char *owner) {
  return finding_knows_related(finding, group, owner, NULL);
}

/* NULL: it is gone. */
static DmEntry *vm_at(const Finding *finding, guint i) {
  gpointer vm = finding->vms->pdata[i];
  return finding->are_kept ? dm_inventory_find(finding->api->inventory, vm) : vm;
}

static void keep_vms(Finding *finding) {
  if (finding->vms == NULL || finding->are_kept)
    return;
  for (guint i = 0; i < finding->vms->len; i++)
    finding->vms->pdata[i] = g_strdup(((const DmEntry *)finding->vms->pdata[i])->vm->uuid);
  g_ptr_array_set_free_func(finding->vms, g_free);
  finding->are_kept = TRUE;
}

static void note(Finding *finding, Relation *relation, const char *owner, gconstpointer related) {
  if (owner == NULL || g_hash_table_contains(relation->matching, owner))
    return;
  if (!g_hash_table_contains(relation->having, owner))
    g_hash_table_add(relation->having, g_strdup(owner));
  if (dm_search_group_matches(relation->group, related, finding))
    g_hash_table_add(relation->matching, g_strdup(owner));
}

static void note_vm(Finding *finding, Relation *relation, const DmEntry *entry) {
  const EventSubject subject = {.entry = entry};
  if (finding->kind == &search_events)
    note(finding, relation, entry->vm->uuid, &subject);
  else if (finding->kind == &search_hosts)
    note(finding, relation, entry->vm->live != NULL ? entry->host->id : NULL, entry);
  else
    note(finding, relation, "", entry);
}

/* Hosts are few. */
static void note_hosts(Finding *finding, Relation *relation) {
  const GPtrArray *hosts = dm_inventory_hosts(finding->api->inventory);
  for (guint i = 0; i < hosts->len; i++) {
    const EventSubject subject = {.host = hosts->pdata[i]};
    note(finding, relation, subject.host->id, &subject);
  }
}

/* FALSE: there is more to do. */
static gboolean note_until(Finding *finding, Relation *relation, gint64 until) {
  if (relation->number == REFERENCE_HOST)
    note_hosts(finding, relation);
  for (; relation->number == REFERENCE_VM && relation->at < finding->vms->len; relation->at++) {
    if (relation->at % AT_ONCE == 0 && g_get_monotonic_time() >= until)
      return FALSE;
    const DmEntry *entry = vm_at(finding, relation->at);
    if (entry != NULL)
      note_vm(finding, relation, entry);
  }
  return TRUE;
}

/* In the store's thread: whether it has taken too long. */
static gboolean is_late(Finding *finding) {
  if (finding->events_seen++ % EVENTS_AT_ONCE != 0)
    return finding->is_late;
  gint64 now = g_get_monotonic_time();
  if (finding->events_until == 0)
    finding->events_until = now + MOST;
  finding->is_late |= now >= finding->events_until;
  return finding->is_late;
}

/* In the store's thread: collects it for all relations to events. Does not return it. */
static gboolean note_event(const DmAuditEvent *event, gpointer data) {
  Finding *finding = data;
  if (is_late(finding))
    return FALSE;
  gboolean placed = event->vm_id != NULL || event->host_id != NULL;
  const char *owner = finding->kind == &search_vms ? event->vm_id
    : finding->kind == &search_hosts               ? event->host_id
    : finding->kind == &search_users               ? event->user
                                                   : (placed ? "" : NULL);
  for (guint i = 0; i < finding->relations->len; i++) {
    Relation *relation = finding->relations->pdata[i];
    if (relation->number == REFERENCE_EVENT)
      note(finding, relation, owner, event);
  }
  return FALSE;
}

/* What has to be collected first: the object itself provides the rest. */
static gboolean is_ahead(const DmSearchKind *kind, int number) {
  if (kind == &search_templates) /* has nothing related, see there */
    return FALSE;
  if (kind == &search_events)
    return number == REFERENCE_VM || number == REFERENCE_HOST;
  return number == REFERENCE_EVENT || (number == REFERENCE_VM && kind != &search_vms && kind != &search_users);
}

static void add_relations(Finding *finding) {
  const GPtrArray *groups = dm_search_groups(finding->search);
  finding->events_noted = TRUE;
  for (guint i = 0; i < groups->len; i++) {
    int number = dm_search_group_reference(groups->pdata[i])->number;
    if (!is_ahead(finding->kind, number))
      continue;
    Relation *relation = g_new0(Relation, 1);
    relation->group = groups->pdata[i];
    relation->number = number;
    relation->matching = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    relation->having = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_ptr_array_add(finding->relations, relation);
    if (number == REFERENCE_EVENT)
      finding->events_noted = FALSE;
  }
}

/* ---- slices ---- */

static gpointer object_at(const Finding *finding, guint i) {
  return finding->objects == finding->vms ? vm_at(finding, i) : finding->objects->pdata[i];
}

/* FALSE: there is more to do. */
static gboolean look_until(Finding *finding, gint64 until) {
  for (; finding->relation < finding->relations->len; finding->relation++) {
    if (!note_until(finding, finding->relations->pdata[finding->relation], until))
      return FALSE;
  }
  for (; finding->events_noted && finding->at < finding->objects->len; finding->at++) {
    if (finding->at % AT_ONCE == 0 && g_get_monotonic_time() >= until)
      return FALSE;
    gpointer object = object_at(finding, finding->at);
    if (object != NULL && dm_search_matches(finding->search, object, finding))
      g_array_append_val(finding->found, finding->at);
  }
  return TRUE;
}

/* The found objects that still exist, in order. */
static GPtrArray *found_objects(Finding *finding) {
  GPtrArray *objects = g_ptr_array_sized_new(finding->found->len);
  for (guint i = 0; i < finding->found->len; i++) {
    gpointer object = object_at(finding, g_array_index(finding->found, guint, i));
    if (object != NULL)
      g_ptr_array_add(objects, object);
  }
  return objects;
}

/* The maximum requested; -1: all. Events may be very many, so they default to a page. */
static gint64 most_of(const Finding *finding) {
  gboolean events = finding->kind == &search_events;
  gint64 max = dm_target_number(finding->call->target, "max", events ? PAGE_OF_EVENTS : -1);
  return events ? MIN(max, MOST_EVENTS) : max;
}

static guint64 first_of(const Finding *finding) {
  gint64 most = most_of(finding);
  gint64 page = dm_target_number(finding->call->target, "page", dm_search_page(finding->search));
  if (most < 0) /* all are on the first; clients read on until a page is empty */
    return page > 1 ? G_MAXUINT64 : 0;
  guint64 first;
  return g_uint64_checked_mul(&first, (guint64)MAX(most, 0), (guint64)MAX(page, 1) - 1) ? first : G_MAXUINT64;
}

/* An empty search, which is frequent. */
static gboolean finds_all(const Finding *finding) {
  return dm_search_is_empty(finding->search) && finding->kind != &search_events;
}

/* Sorts the result and reduces it to the requested page. */
static void tell(Finding *finding, GPtrArray *found) {
  Call *call = finding->call;
  dm_search_sort(finding->search, found, finding);
  g_autofree char *count = g_strdup_printf("%u", found->len);
  if (finding->kind != &search_events) /* of which only a page was read */
    dm_http_reply_header(call->http, "Total-Count", count);
  g_ptr_array_remove_range(found, 0, (guint)MIN(first_of(finding), found->len));
  if (most_of(finding) >= 0 && found->len > most_of(finding))
    g_ptr_array_set_size(found, (gint)most_of(finding));
  finding->done(call, found);
}

/* ---- events ---- */

static gboolean event_matches(const DmAuditEvent *event, gpointer data) {
  Finding *finding = data;
  return !is_late(finding) && dm_search_matches(finding->search, event, finding);
}

static void give_up(Finding *finding) {
  g_autoptr(GError) error = g_error_new(DM_ERROR, DM_ERROR_BAD_SEARCH,
    "the search takes longer than %d s; ask for less in one search", (int)(MOST / G_TIME_SPAN_SECOND));
  reply_error(finding->call, error);
}

/* "sortby time", in either direction; or none, which means "sortby time desc". */
static gboolean is_by_time(const DmSearch *search) {
  return dm_search_order(search) < 0 || dm_search_order(search) == search_field_time;
}

static void answer_events(Call *call) {
  if (!were_events_read(call))
    return;
  Finding *finding = call->finding;
  if (finding->is_late) {
    give_up(finding);
    return;
  }
  finding->events = g_ptr_array_ref((GPtrArray *)call->events);
  g_autoptr(GPtrArray) found = borrow_all(call->events);
  if (is_by_time(finding->search))
    finding->done(call, found);
  else
    tell(finding, found);
}

static void go_on(Call *call) {
  if (!were_events_read(call))
    return;
  if (call->finding->is_late) {
    give_up(call->finding);
    return;
  }
  call->finding->events_noted = TRUE;
  proceed(call->finding);
}

/* Has the store scan its events: to collect or to find them. */
static void read_events(Finding *finding) {
  Call *call = finding->call;
  const DmSearch *search = finding->search;
  gboolean finds = finding->kind == &search_events, by_time = is_by_time(search);
  const DmEventQuery query = {
    .from = finds ? dm_target_number(call->target, "from", 0) : 0,
    .oldest_first = by_time && dm_search_order(search) >= 0 && !dm_search_is_descending(search),
    .skip = finds && by_time ? first_of(finding) : 0,
    .most = !by_time ? MOST_SORTED
      : finds        ? (guint)most_of(finding)
                     : G_MAXUINT,
    .match = finds ? event_matches : note_event,
    .data = finding,
    .destroy = unref,
  };
  keep_vms(finding);
  finding->references++;
  wait_for_store(
    call, dm_store_read_events(call->api->store, &query, take_events, call), finds ? answer_events : go_on);
}

/* ---- turns ---- */

static gboolean on_turn(gpointer data) {
  DmApi *api = data;
  Finding *finding = g_queue_pop_head(&api->findings);
  finding->is_queued = FALSE;
  proceed(finding);
  if (!g_queue_is_empty(&api->findings))
    return G_SOURCE_CONTINUE;
  api->finding_source = 0;
  return G_SOURCE_REMOVE;
}

static void wait_for_turn(Finding *finding) {
  DmApi *api = finding->api;
  keep_vms(finding);
  finding->is_queued = TRUE;
  g_queue_push_tail(&api->findings, finding);
  if (api->finding_source == 0)
    api->finding_source = g_idle_add_full(G_PRIORITY_DEFAULT, on_turn, api, NULL);
}

static void proceed(Finding *finding) {
  gint64 now = g_get_monotonic_time();
  gboolean done = look_until(finding, now + SLICE);
  finding->spent += g_get_monotonic_time() - now;
  if (!done && finding->spent < MOST) {
    wait_for_turn(finding);
  } else if (!done) {
    give_up(finding);
  } else if (!finding->events_noted || finding->kind == &search_events) {
    read_events(finding);
  } else {
    g_autoptr(GPtrArray) found = found_objects(finding);
    tell(finding, found);
  }
}

/* ---- life cycle ---- */

static void let_go(Call *call) {
  Finding *finding = call->finding;
  if (finding->is_queued)
    g_queue_remove(&finding->api->findings, finding);
  finding->is_queued = FALSE;
  unref(finding);
}

static Finding *finding_new(Call *call, const DmSearchKind *kind) {
  g_autoptr(GError) error = NULL;
  const char *max = dm_target_parameter(call->target, "max");
  if (max != NULL && max[0] == '-') {
    reply_fault(call, 400, FAULT_BAD_VALUE, "Invalid value", "max must not be negative");
    return NULL;
  }
  DmSearch *search = dm_search_parse(dm_target_parameter(call->target, "search"), kind,
    dm_target_boolean(call->target, "case_sensitive", FALSE), &error);
  if (search == NULL) {
    reply_error(call, error);
    return NULL;
  }
  Finding *finding = g_new0(Finding, 1);
  finding->references = 1;
  finding->api = call->api;
  finding->call = call;
  finding->kind = kind;
  finding->search = search;
  finding->relations = g_ptr_array_new_with_free_func(free_relation);
  finding->found = g_array_new(FALSE, FALSE, sizeof(guint));
  add_relations(finding);
  call->finding = finding;
  call_on_end(call, let_go);
  return finding;
}

void find_objects(Call *call, const DmSearchKind *kind, const GPtrArray *objects, FoundFunc done) {
  Finding *finding = finding_new(call, kind);
  if (finding == NULL)
    return;
  finding->done = done;
  if (kind == &search_vms || finding->relations->len > 0)
    finding->vms = borrow_all(dm_inventory_entries(call->api->inventory));
  finding->objects = kind == &search_vms ? finding->vms : objects != NULL ? borrow_all(objects) : g_ptr_array_new();
  if (!finds_all(finding)) {
    proceed(finding);
    return;
  }
  g_autoptr(GPtrArray) found = borrow_all(finding->objects);
  tell(finding, found);
}
