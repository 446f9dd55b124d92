/* SPDX-License-Identifier: Apache-2.0 */
/* The list of VMs, with search, and one VM. */
#include <string.h>

#include "base/size.h"
#include "finding.h"
#include "follow.h"
#include "handlers.h"
#include "views.h"

/* One VM as text. The caller unrefs. NULL with an error: invalid follow. */
static GBytes *entry_text(Call *call, DmEntry *entry, GError **error) {
  const char *wanted = dm_target_parameter(call->target, "follow");
  if ((wanted == NULL || *wanted == '\0') && !is_libgovirt(call))
    return g_bytes_ref(vm_text(call->api, entry, call->format));
  return text_of_node(call, vm_node(call->api, entry, FALSE), error);
}

/* ---- the list ---- */

/* VMs come and go while it is read. */
static GBytes *text_of_id(Call *call, gpointer id, GError **error) {
  DmEntry *entry = dm_inventory_find(call->api->inventory, id);
  return entry != NULL ? entry_text(call, entry, error) : NULL;
}

static void reply_vms(Call *call, GPtrArray *found) {
  GPtrArray *ids = g_ptr_array_new_full(found->len, g_free);
  for (guint i = 0; i < found->len; i++)
    g_ptr_array_add(ids, g_strdup(((const DmEntry *)found->pdata[i])->vm->uuid));
  reply_list(call, "vms", "vm", ids, text_of_id);
}

void handle_vms(Call *call) {
  find_objects(call, &search_vms, NULL, reply_vms);
}

/* ---- one VM ---- */

void handle_vm(Call *call) {
  g_autoptr(GError) error = NULL;
  DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  if (dm_target_boolean(call->target, "next_run", FALSE)) {
    reply_node(call, 200, vm_node(call->api, entry, TRUE));
    return;
  }
  GBytes *text = entry_text(call, entry, &error);
  if (text == NULL) {
    reply_error(call, error);
    return;
  }
  reply_one(call, text);
}

static DmNode *numa_node(const DmEntry *entry, guint i, const char *id) {
  const DmConfig *config = dm_vm_current(entry->vm);
  g_autofree char *href = api_href("vms/%s/numanodes/%s", entry->vm->uuid, id);
  uint64_t memory = g_array_index(config->cells, uint64_t, i);
  DmNode *node = dm_node_new("vm_numa_node");
  for (guint d = 0; d < config->devices->len; d++) {
    const DmMemoryDevice *device = config->devices->pdata[d];
    memory += device->node == (int)i ? dm_memory_device_memory(device) : 0;
  }
  dm_node_set_attribute(node, "href", href);
  dm_node_set_attribute(node, "id", id);
  dm_node_add_number(node, "index", i);
  dm_node_add_number(node, "memory", (gint64)(memory / DM_MIB)); /* oVirt: in MiB here */
  add_link(node, "vm", "vms", entry->vm->uuid);
  return node;
}

static char *numa_id(const DmEntry *entry, guint i) {
  g_autofree char *name = g_strdup_printf("%s numa %u", entry->vm->uuid, i);
  return uuid_of("", name);
}

DmNode *numa_nodes_node(const DmEntry *entry) {
  const DmConfig *config = dm_vm_current(entry->vm);
  DmNode *nodes = dm_node_new("vm_numa_nodes");
  for (guint i = 0; config->has_numa && i < config->cells->len; i++) {
    g_autofree char *id = numa_id(entry, i);
    dm_node_adopt(nodes, numa_node(entry, i, id), TRUE);
  }
  return nodes;
}

void handle_vm_numas(Call *call) {
  const DmEntry *entry = find_entry(call);
  if (entry != NULL)
    reply_node(call, 200, numa_nodes_node(entry));
}

void handle_vm_numa(Call *call) {
  const DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  const DmConfig *config = dm_vm_current(entry->vm);
  for (guint i = 0; config->has_numa && i < config->cells->len; i++) {
    g_autofree char *id = numa_id(entry, i);
    if (g_ascii_strcasecmp(call->ids[1], id) == 0) {
      reply_node(call, 200, numa_node(entry, i, id));
      return;
    }
  }
  reply_empty(call, 404);
}
