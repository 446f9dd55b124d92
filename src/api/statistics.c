/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's statistics: memory by the balloon's statistics; the others that oVirt has, without values. */
#include <string.h>

#include "api_private.h"

static uint64_t installed(const DmEntry *entry) {
  return dm_config_memory(dm_vm_current(entry->vm));
}

static uint64_t used(const DmEntry *entry) {
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

static uint64_t nothing(const DmEntry *entry) {
  return 0;
}

static uint64_t elapsed(const DmEntry *entry) {
  return entry->started != 0 ? (uint64_t)(g_get_real_time() / 1000 - entry->started) / 1000 : 0;
}

static const struct {
  const char *name, *description, *kind, *type, *unit;
  uint64_t (*value)(const DmEntry *entry); /* NULL: oVirt has it, libvirt's inventory here does not */
} table[] = {
  {"memory.installed", "Total memory configured", "gauge", "integer", "bytes", installed},
  {"memory.used", "Memory used (agent)", "gauge", "integer", "bytes", used},
  {"memory.free", "Memory free (agent)", "gauge", "integer", "bytes", unused},
  {"memory.buffered", "Memory buffered (agent)", "gauge", "integer", "bytes", nothing},
  {"memory.cached", "Memory cached (agent)", "gauge", "integer", "bytes", cached},
  {"memory.unused", "Memory unused (agent)", "gauge", "integer", "bytes", unused},
  {"memory.usable", "Memory that the guest could give without swapping", "gauge", "integer", "bytes", usable},
  {"memory.resident", "Memory of the host that the VM takes", "gauge", "integer", "bytes", resident},
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
  if (table[i].value != NULL)
    dm_node_add_plain_number(dm_node_add_item(values, "value"), "datum", (gint64)table[i].value(entry));
  add_link(node, "vm", "vms", entry->vm->uuid);
  return node;
}

/* oVirt: a name-based UUID of the statistic's name alone. */
static char *id_of(gsize i) {
  return uuid_of("", table[i].name);
}

void add_statistics(DmNode *parent, const DmEntry *entry) {
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autofree char *id = id_of(i);
    dm_node_adopt(parent, statistic_node(entry, i, id), TRUE);
  }
}

void handle_vm_statistics(Call *call) {
  DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  DmNode *nodes = dm_node_new("statistics");
  add_statistics(nodes, entry);
  reply_node(call, 200, nodes);
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
