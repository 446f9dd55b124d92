/* SPDX-License-Identifier: Apache-2.0 */
/* What a host has, and has free, by NUMA cell. */
#include "base/size.h"
#include "connection_private.h"
#include "host_xml.h"
#include "hypervisor/host.h"

static void clear_cell(gpointer data) {
  g_array_unref(((DmHostCell *)data)->pages);
}

static GArray *host_cells_new(void) {
  GArray *cells = g_array_new(FALSE, FALSE, sizeof(DmHostCell));
  g_array_set_clear_func(cells, clear_cell);
  return cells;
}

void dm_host_memory_free(DmHostMemory *memory) {
  if (memory == NULL)
    return;
  g_clear_pointer(&memory->cells, g_array_unref);
  g_free(memory);
}

static void read_pages(DmHostCell *cell, const xmlNode *node) {
  for (const xmlNode *pages = xml_child(node, "pages"); pages != NULL; pages = xml_next(pages)) {
    DmHostPages found = {.size = xml_attribute_bytes(pages, "size"), .count = xml_number(pages, 0)};
    if (found.size > 64 * DM_KIB && found.count > 0) /* else they are the ordinary ones of some machine */
      g_array_append_val(cell->pages, found);
  }
}

GArray *host_cells_from_xml(const char *xml, GError **error) {
  g_autoptr(xmlDoc) doc = xml_parse(xml, error);
  if (doc == NULL)
    return NULL;
  const xmlNode *host = xml_child(xmlDocGetRootElement(doc), "host");
  const xmlNode *cells = xml_child(xml_child(host, "topology"), "cells");
  GArray *found = host_cells_new();
  for (const xmlNode *node = xml_child(cells, "cell"); node != NULL; node = xml_next(node)) {
    DmHostCell cell = {.id = (guint)xml_attribute_number(node, "id", 0),
      .memory = xml_bytes(xml_child(node, "memory")),
      .pages = g_array_new(FALSE, FALSE, sizeof(DmHostPages))};
    read_pages(&cell, node);
    g_array_append_val(found, cell);
  }
  return found;
}

/* A statistic of a cell, or of all; 0: there is none. */
static uint64_t find(const virNodeMemoryStats *stats, int count, const char *field) {
  for (int i = 0; i < count; i++) {
    if (g_str_equal(stats[i].field, field))
      return stats[i].value * DM_KIB;
  }
  return 0;
}

/* As many as there are: NULL with libvirt's error. */
static virNodeMemoryStatsPtr read_stats(virConnectPtr virt, int cell, int *count) {
  *count = 0;
  if (virNodeGetMemoryStats(virt, cell, NULL, count, 0) < 0)
    return NULL;
  g_autofree virNodeMemoryStatsPtr stats = g_new0(virNodeMemoryStats, *count);
  return virNodeGetMemoryStats(virt, cell, stats, count, 0) < 0 ? NULL : g_steal_pointer(&stats);
}

static gboolean read_free(virConnectPtr virt, DmHostCell *cell) {
  int count;
  g_autofree virNodeMemoryStatsPtr stats = read_stats(virt, (int)cell->id, &count);
  if (stats == NULL)
    return FALSE;
  cell->free = find(stats, count, VIR_NODE_MEMORY_STATS_FREE);
  for (guint i = 0; i < cell->pages->len; i++) {
    DmHostPages *pages = &g_array_index(cell->pages, DmHostPages, i);
    unsigned int size = (unsigned int)(pages->size / DM_KIB);
    unsigned long long free_pages = 0;
    if (virNodeGetFreePages(virt, 1, &size, (int)cell->id, 1, &free_pages, 0) < 0)
      return FALSE;
    pages->free = free_pages;
  }
  return TRUE;
}

static gboolean read_all(virConnectPtr virt, DmHostMemory *memory, GError **error) {
  int count;
  g_autofree virNodeMemoryStatsPtr stats = read_stats(virt, VIR_NODE_MEMORY_STATS_ALL_CELLS, &count);
  char *xml = stats != NULL ? virConnectGetCapabilities(virt) : NULL;
  if (xml == NULL)
    return FALSE;
  memory->total = find(stats, count, VIR_NODE_MEMORY_STATS_TOTAL);
  memory->free = find(stats, count, VIR_NODE_MEMORY_STATS_FREE);
  memory->cached =
    dm_size_plus(find(stats, count, VIR_NODE_MEMORY_STATS_BUFFERS), find(stats, count, VIR_NODE_MEMORY_STATS_CACHED));
  memory->cells = host_cells_from_xml(xml, error);
  free(xml);
  for (guint i = 0; memory->cells != NULL && i < memory->cells->len; i++) {
    if (!read_free(virt, &g_array_index(memory->cells, DmHostCell, i)))
      return FALSE;
  }
  return memory->cells != NULL;
}

DmHostMemory *dm_host_read_memory(DmConnection *connection, GError **error) {
  virConnectPtr virt = connection_get_virt(connection, error);
  g_autoptr(DmHostMemory) memory = g_new0(DmHostMemory, 1);
  if (virt == NULL)
    return NULL;
  if (read_all(virt, memory, error))
    return g_steal_pointer(&memory);
  if (error == NULL || *error == NULL)
    virt_error_set(error, "cannot read the memory of the host of %s", dm_connection_uri(connection));
  return NULL;
}
