/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host of the connection has, and what its VMs have of it. What they could give is a reclaim of everything,
 * planned and not carried out; their resident memory is asked for meanwhile, as a QEMU that hangs holds that call up.
 */
#include "hypervisor/host.h"

#include <stdio.h>

#include "base/size.h"
#include "cli.h"
#include "engine/reclaim.h"
#include "json.h"
#include "table.h"

#define PATIENCE_MS 2000

/* The question for resident memory, which may outlast the verb. */
typedef struct {
  DmConnection *connection;
  GHashTable *stats; /* UUID → DmMemoryStats; NULL: not answered */
  gboolean answered, given_up;
} Question;

typedef struct {
  DmHostFacts facts;
  DmHostMemory *memory;   /* NULL: the connection does not tell */
  guint running, unknown; /* VMs; those of which it is not known what they could give */
  uint64_t vm_memory, guaranteed, by_devices, by_balloon;
  uint64_t resident; /* 0: not known */
} Host;

static void question_free(Question *question) {
  g_clear_pointer(&question->stats, g_hash_table_unref);
  dm_connection_close(question->connection);
  g_free(question);
}

static void work_ask(gpointer data) {
  Question *question = data;
  question->stats = dm_domain_memory_stats(question->connection, NULL);
}

static void on_answered(gpointer data) {
  Question *question = data;
  question->answered = TRUE;
  if (question->given_up)
    question_free(question);
}

static Question *ask_resident(DmConnection *connection) {
  Question *question = g_new0(Question, 1);
  question->connection = dm_connection_ref(connection);
  dm_connection_run(connection, NULL, work_ask, on_answered, question);
  return question;
}

static gboolean on_late(gpointer data) {
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

/* Their sum, and frees the question, now or when it is answered. */
static uint64_t sum_resident(Question *question) {
  gboolean late = FALSE;
  guint timer = g_timeout_add(PATIENCE_MS, on_late, &late);
  while (!question->answered && !late)
    g_main_context_iteration(NULL, TRUE);
  if (!late)
    g_source_remove(timer);
  question->given_up = TRUE;
  if (!question->answered)
    return 0;
  uint64_t sum = 0;
  GHashTableIter iter;
  gpointer stats;
  if (question->stats != NULL)
    g_hash_table_iter_init(&iter, question->stats);
  while (question->stats != NULL && g_hash_table_iter_next(&iter, NULL, &stats))
    sum += ((const DmMemoryStats *)stats)->rss;
  question_free(question);
  return sum;
}

static void on_ended(gpointer loop) {
  g_main_loop_quit(loop);
}

/* It is not known what that VM could give: it or its guest does not tell. */
static gboolean is_unknown(const DmReclaimVm *vm) {
  return vm->error != NULL ||
    (vm->reason != NULL && (vm->reason->code == DM_NOTE_OFFER_UNKNOWN || vm->reason->code == DM_NOTE_OFFER_SILENT));
}

static void add_vms(Host *host, const DmReclaim *reclaim) {
  const GPtrArray *vms = dm_reclaim_vms(reclaim);
  for (guint i = 0; i < vms->len; i++) {
    const DmReclaimVm *vm = vms->pdata[i];
    host->running++;
    host->unknown += is_unknown(vm);
    host->vm_memory = dm_size_plus(host->vm_memory, dm_config_memory(dm_vm_current(vm->vm)));
    host->guaranteed = dm_size_plus(host->guaranteed, dm_config_guaranteed(dm_vm_current(vm->vm)));
    host->by_devices += vm->share.devices;
    host->by_balloon += vm->share.balloon;
  }
}

static gboolean read_vms(Host *host, DmConnection *connection, GError **error) {
  static const DmReclaimListener listener = {.ended = on_ended};
  const DmReclaimOptions all = {.total = UINT64_MAX, .balloon = TRUE, .dry_run = TRUE};
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  g_autoptr(DmReclaim) reclaim = dm_reclaim_new(connection, &all, &listener, loop);
  Question *question = ask_resident(connection);
  dm_reclaim_start(reclaim);
  g_main_loop_run(loop);
  host->resident = sum_resident(question);
  if (dm_reclaim_error(reclaim) != NULL) {
    g_propagate_error(error, g_error_copy(dm_reclaim_error(reclaim)));
    return FALSE;
  }
  add_vms(host, reclaim);
  return TRUE;
}

/* ---- printing ---- */

static void print_line(const char *what, uint64_t bytes, const char *note) {
  g_autofree char *size = table_size(bytes);
  printf("  %-13s %s%s\n", what, size, note);
}

static void print_pages(const GArray *pages) {
  for (guint i = 0; i < pages->len; i++) {
    const DmHostPages *found = &g_array_index(pages, DmHostPages, i);
    g_autofree char *size = dm_size_format(found->size);
    printf(", huge pages of %s: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " free", size, found->free, found->count);
  }
}

static void print_memory(const DmHostMemory *memory) {
  print_line("free", memory->free, "");
  print_line("disk caches", memory->cached, "");
  for (guint i = 0; i < memory->cells->len; i++) {
    const DmHostCell *cell = &g_array_index(memory->cells, DmHostCell, i);
    g_autofree char *all = table_size(cell->memory), *free_text = table_size(cell->free);
    printf("  node %-8u %s, free %s", cell->id, all, free_text);
    print_pages(cell->pages);
    putchar('\n');
  }
}

static void print_text(const Host *host) {
  printf("%s: %u running VM%s\n", host->facts.name, host->running, host->running == 1 ? "" : "s");
  print_line("installed", host->facts.memory, "");
  if (host->memory != NULL)
    print_memory(host->memory);
  print_line("VMs have", host->vm_memory, "");
  print_line("resident", host->resident, "");
  print_line("guaranteed", host->guaranteed, "");
  print_line("could give", host->by_devices, " by devices");
  print_line("", host->by_balloon, " by balloons");
  if (host->unknown > 0)
    printf("  %-13s not known of %u VM%s\n", "", host->unknown, host->unknown == 1 ? "" : "s");
}

static json_t *size_of(uint64_t bytes) {
  return json_integer((json_int_t)bytes);
}

static json_t *from_cell(const DmHostCell *cell) {
  json_t *object = json_object(), *pages = json_array();
  for (guint i = 0; i < cell->pages->len; i++) {
    const DmHostPages *found = &g_array_index(cell->pages, DmHostPages, i);
    json_array_append_new(pages,
      json_pack("{s:I, s:I, s:I}", "size", (json_int_t)found->size, "count", (json_int_t)found->count, "free_count",
        (json_int_t)found->free));
  }
  json_object_set_new(object, "node", json_integer(cell->id));
  json_object_set_new(object, "installed", size_of(cell->memory));
  json_object_set_new(object, "free", size_of(cell->free));
  json_object_set_new(object, "huge_pages", pages);
  return object;
}

static json_t *from_vms(const Host *host) {
  json_t *object = json_object();
  json_object_set_new(object, "running", json_integer(host->running));
  json_object_set_new(object, "memory", size_of(host->vm_memory));
  json_object_set_new(object, "resident", host->resident > 0 ? size_of(host->resident) : json_null());
  json_object_set_new(object, "guaranteed", size_of(host->guaranteed));
  json_object_set_new(object, "by_devices", size_of(host->by_devices));
  json_object_set_new(object, "by_balloon", size_of(host->by_balloon));
  json_object_set_new(object, "unknown", json_integer(host->unknown));
  return object;
}

static json_t *from_host(const Host *host, const char *uri) {
  json_t *object = json_object(), *nodes = host->memory != NULL ? json_array() : json_null();
  for (guint i = 0; host->memory != NULL && i < host->memory->cells->len; i++)
    json_array_append_new(nodes, from_cell(&g_array_index(host->memory->cells, DmHostCell, i)));
  json_object_set_new(object, "name", json_string(host->facts.name));
  json_object_set_new(object, "connection", json_string(uri));
  json_object_set_new(object, "installed", size_of(host->facts.memory));
  json_object_set_new(object, "free", host->memory != NULL ? size_of(host->memory->free) : json_null());
  json_object_set_new(object, "cached", host->memory != NULL ? size_of(host->memory->cached) : json_null());
  json_object_set_new(object, "nodes", nodes);
  json_object_set_new(object, "vms", from_vms(host));
  return object;
}

static void print_json(const Host *host, const char *uri) {
  json_t *hosts = json_array(), *object = json_object();
  json_array_append_new(hosts, from_host(host, uri));
  json_object_set_new(object, "hosts", hosts);
  json_print(object);
}

int verb_hosts(const DmVerb *verb, int argc, char **argv) {
  g_auto(CommonOptions) common = {0};
  g_autoptr(GError) error = NULL;
  Host host = {0};
  if (!options_parse(verb,

        "What is free is by libvirt's node statistics. What the VMs could give is what their\n"
        "guests can spare at this moment, above their guaranteed memory: see 'dimmer reclaim'.",
        NULL, &common, &argc, &argv, 0, 0, &error))
    return options_fail(&common, error);
  g_autoptr(DmConnection) connection = options_connect(&common, TRUE, &error);
  if (connection == NULL || !dm_host_read(connection, &host.facts, &error))
    return options_fail(&common, error);
  host.memory = dm_host_read_memory(connection, NULL);
  if (host.memory != NULL) /* memory plugged into the host later is not in what libvirt tells of its cells */
    host.facts.memory = host.memory->total;
  gboolean well = read_vms(&host, connection, &error);
  if (well && common.json)
    print_json(&host, dm_connection_uri(connection));
  else if (well)
    print_text(&host);
  dm_host_facts_clear(&host.facts);
  dm_host_memory_free(host.memory);
  return well ? DM_EXIT_DONE : options_fail(&common, error);
}
