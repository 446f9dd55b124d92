/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's statistics: memory from balloon statistics; unknown ones, such as oVirt's others, have no value. */
#include <string.h>

#include "handlers.h"
#include "views.h"

static uint64_t installed(const DmEntry *entry) {
  return dm_config_memory(dm_vm_current(entry->vm));
}

uint64_t vm_memory_used(const DmEntry *entry) {
  const DmMemoryStats *stats = &entry->stats;
  return stats->available > stats->usable && stats->usable > 0 ? stats->available - stats->usable : 0;
}

static uint64_t unused(const DmEntry *entry) {
  return entry->stats.unused;
}

static uint64_t usable(const DmEntry *entry) {
  return entry->stats.usable;
}

static uint64_t cached(const DmEntry *entry) {
  return entry->stats.caches;
}

static uint64_t resident(const DmEntry *entry) {
  return entry->stats.rss;
}

/* As far as known. */
static uint64_t ballooned(const DmEntry *entry) {
  uint64_t held = 0;
  return dm_vm_ballooned(entry->vm, &held) ? held : 0;
}

/* Its first second counts as a whole one; tolerates a clock that was set back. */
static uint64_t elapsed(const DmEntry *entry) {
  gint64 milliseconds = g_get_real_time() / 1000 - entry->started_ms;
  return entry->started_ms != 0 ? (uint64_t)MAX(milliseconds / 1000, 1) : 0;
}

static const struct {
  const char *name, *description, *kind, *type, *unit;
  uint64_t (*value)(const DmEntry *entry); /* 0: not known; NULL: known in oVirt, not here */
} table[] = {
  {"memory.installed", "Total memory configured", "gauge", "integer", "bytes", installed},
  {"memory.used", "Memory used (agent)", "gauge", "integer", "bytes", vm_memory_used},
  {"memory.free", "Memory free (agent)", "gauge", "integer", "bytes", unused},
  {"memory.buffered", "Memory buffered (agent)", "gauge", "integer", "bytes", NULL},
  {"memory.cached", "Memory cached (agent)", "gauge", "integer", "bytes", cached},
  {"memory.unused", "Memory unused (agent)", "gauge", "integer", "bytes", unused},
  {"memory.usable", "Memory that the guest could give without swapping", "gauge", "integer", "bytes", usable},
  {"memory.resident", "Memory of the host that the VM takes", "gauge", "integer", "bytes", resident},
  {"memory.ballooned", "Memory of the VM that its balloon holds", "gauge", "integer", "bytes", ballooned},
  {"cpu.current.guest", "CPU used by guest", "gauge", "decimal", "percent", NULL},
  {"cpu.current.hypervisor", "CPU overhead", "gauge", "decimal", "percent", NULL},
  {"cpu.current.total", "Total CPU used", "gauge", "decimal", "percent", NULL},
  {"migration.progress", "Migration progress", "gauge", "decimal", "percent", NULL},
  {"network.current.total", "Total network used", "gauge", "decimal", "percent", NULL},
  {"disks.usage", "Disk usage", "gauge", "string", "none", NULL},
  {"cpu.usage.history", "List of CPU usage history, sorted by date", "gauge", "decimal", "percent", NULL},
  {"memory.usage.history", "List of memory usage history, sorted by date", "gauge", "decimal", "percent", NULL},
  {"network.usage.history", "List of network usage history, sorted by date", "gauge", "decimal", "percent", NULL},
  {"elapsed.time", "Elapsed VM run time", "counter", "integer", "seconds", elapsed},
};

static DmNode *statistic_node(const DmEntry *entry, gsize i, const char *id) {
  DmNode *node = dm_node_new("statistic");
  g_autofree char *href = api_href("vms/%s/statistics/%s", entry->vm->uuid, id);
  dm_node_set_attribute(node, "href", href);
  dm_node_set_attribute(node, "id", id);
  dm_node_add_text(node, "name", table[i].name);
  dm_node_add_text(node, "description", table[i].description);
  dm_node_add_text(node, "kind", table[i].kind);
  dm_node_add_text(node, "type", table[i].type);
  dm_node_add_text(node, "unit", table[i].unit);
  DmNode *values = dm_node_add_object(node, "values");
  uint64_t value = table[i].value != NULL ? table[i].value(entry) : 0;
  if (value != 0)
    dm_node_add_plain_number(dm_node_add_item(values, "value"), "datum", (gint64)value);
  add_link(node, "vm", "vms", entry->vm->uuid);
  return node;
}

/* oVirt: a name-based UUID of the statistic's name alone. */
static char *id_of(gsize i) {
  return uuid_of("", table[i].name);
}

DmNode *statistics_node(const DmEntry *entry) {
  DmNode *nodes = dm_node_new("statistics");
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autofree char *id = id_of(i);
    dm_node_adopt(nodes, statistic_node(entry, i, id), TRUE);
  }
  return nodes;
}

void handle_vm_statistics(Call *call) {
  const DmEntry *entry = find_entry(call);
  if (entry != NULL)
    reply_node(call, 200, statistics_node(entry));
}

void handle_vm_statistic(Call *call) {
  DmEntry *entry = find_entry(call);
  for (gsize i = 0; entry != NULL && i < G_N_ELEMENTS(table); i++) {
    g_autofree char *id = id_of(i);
    if (g_ascii_strcasecmp(id, call->ids[1]) == 0) {
      reply_node(call, 200, statistic_node(entry, i, id));
      return;
    }
  }
  if (entry != NULL)
    reply_empty(call, 404);
}

/* ---- of a host: only known ones, as the Python SDK's example needs a value in each ---- */

static DmNode *host_memory_node(const DmHost *host) {
  DmNode *node = dm_node_new("statistic");
  g_autofree char *id = uuid_of("", "memory.total"), *collection = g_strdup_printf("hosts/%s/statistics", host->id);
  set_link(node, collection, id);
  dm_node_add_text(node, "name", "memory.total");
  dm_node_add_text(node, "description", "Total memory");
  dm_node_add_text(node, "kind", "gauge");
  dm_node_add_text(node, "type", "integer");
  dm_node_add_text(node, "unit", "bytes");
  DmNode *values = dm_node_add_object(node, "values");
  dm_node_add_plain_number(dm_node_add_item(values, "value"), "datum", (gint64)host->memory);
  add_link(node, "host", "hosts", host->id);
  return node;
}

DmNode *host_statistics_node(const DmHost *host) {
  DmNode *nodes = dm_node_new("statistics");
  if (host->memory != 0)
    dm_node_adopt(nodes, host_memory_node(host), TRUE);
  return nodes;
}

/* All, or the one requested. */
void handle_host_statistics(Call *call) {
  const DmHost *host = dm_inventory_find_host(call->api->inventory, call->ids[0]);
  g_autofree char *id = uuid_of("", "memory.total");
  if (host != NULL && call->ids[1] == NULL)
    reply_node(call, 200, host_statistics_node(host));
  else if (host != NULL && host->memory != 0 && g_ascii_strcasecmp(call->ids[1], id) == 0)
    reply_node(call, 200, host_memory_node(host));
  else
    reply_empty(call, 404);
}
