/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of oVirt's objects without a counterpart here: empty collections, the tag of each engine, a VM's CD drive and
 * console. Clients walk through them, and use the first element of those never empty in oVirt.
 */
#include <string.h>

#include "handlers.h"
#include "views.h"

/* The collection's parent object exists. */
static gboolean has_parent(Call *call) {
  const char *path = call->route->path;
  if (g_str_has_prefix(path, "vms/{}"))
    return dm_inventory_find(call->api->inventory, call->ids[0]) != NULL;
  if (g_str_has_prefix(path, "hosts/{}"))
    return dm_inventory_find_host(call->api->inventory, call->ids[0]) != NULL;
  if (call->ids[0] == NULL)
    return TRUE;
  g_autofree char *kind = g_strdup_printf("%.*s", (int)(strstr(path, "{}") + 2 - path), path);
  g_autoptr(DmNode) parent =
    g_str_equal(kind, "users/{}") ? user_node_of(call->api, call->ids[0]) : fixed_node(call->api, kind, call->ids[0]);
  return parent != NULL;
}

void handle_empty(Call *call) {
  if (has_parent(call))
    reply_node(call, 200, dm_node_new(call->route->element));
  else
    reply_empty(call, 404);
}

static DmNode *tag_node(void) {
  DmNode *node = dm_node_new("tag");
  set_link(node, "tags", TAG_ID);
  dm_node_add_text(node, "description", "root");
  dm_node_add_text(node, "name", "root");
  return node;
}

/* All, or the one requested. */
void handle_tags(Call *call) {
  DmNode *nodes = call->ids[0] == NULL ? dm_node_new("tags") : NULL;
  if (nodes != NULL) {
    dm_node_adopt(nodes, tag_node(), TRUE);
    reply_node(call, 200, nodes);
  } else if (g_ascii_strcasecmp(call->ids[0], TAG_ID) == 0) {
    reply_node(call, 200, tag_node());
  } else {
    reply_empty(call, 404);
  }
}

/* oVirt: each VM has just the one, of this id, with a disk in it or without (BackendVmCdromsResource). */
static DmNode *cdrom_node(const DmEntry *entry) {
  DmNode *node = dm_node_new("cdrom");
  g_autofree char *collection = g_strdup_printf("vms/%s/cdroms", entry->vm->uuid);
  set_link(node, collection, CDROM_ID);
  add_link(node, "vm", "vms", entry->vm->uuid);
  return node;
}

DmNode *cdroms_node(const DmEntry *entry) {
  DmNode *nodes = dm_node_new("cdroms");
  dm_node_adopt(nodes, cdrom_node(entry), TRUE);
  return nodes;
}

void handle_cdroms(Call *call) {
  const DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  if (call->ids[1] == NULL)
    reply_node(call, 200, cdroms_node(entry));
  else if (g_ascii_strcasecmp(call->ids[1], CDROM_ID) == 0)
    reply_node(call, 200, cdrom_node(entry));
  else
    reply_empty(call, 404);
}

/* oVirt: each VM has this one, the running VM; ovirt_exporter skips the first, and crashes without. */
static DmNode *snapshot_node(const DmApi *api, const DmEntry *entry, const char *id) {
  DmNode *node = dm_node_new("snapshot");
  g_autofree char *collection = g_strdup_printf("vms/%s/snapshots", entry->vm->uuid);
  set_link(node, collection, id);
  dm_node_add_text(node, "description", "Active VM");
  dm_node_add_date(node, "date", dm_store_first_seen(api->store, entry->vm->uuid));
  dm_node_add_boolean(node, "persist_memorystate", FALSE);
  dm_node_add_text(node, "snapshot_status", "ok");
  dm_node_add_text(node, "snapshot_type", "active");
  add_link(node, "vm", "vms", entry->vm->uuid);
  return node;
}

DmNode *snapshots_node(const DmApi *api, const DmEntry *entry) {
  DmNode *nodes = dm_node_new("snapshots");
  g_autofree char *id = uuid_of("active snapshot ", entry->vm->uuid);
  dm_node_adopt(nodes, snapshot_node(api, entry, id), TRUE);
  return nodes;
}

void handle_snapshots(Call *call) {
  const DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  g_autofree char *id = uuid_of("active snapshot ", entry->vm->uuid);
  if (call->ids[1] == NULL)
    reply_node(call, 200, snapshots_node(call->api, entry));
  else if (g_ascii_strcasecmp(call->ids[1], id) == 0)
    reply_node(call, 200, snapshot_node(call->api, entry, id));
  else
    reply_empty(call, 404);
}

/* ---- graphics consoles ---- */

/* oVirt: its id is the protocol, in capitals, in hexadecimal digits (BackendGraphicsConsoleHelper). NULL: the VM has
 * none. Caller frees. */
static char *console_id(const DmEntry *entry) {
  const char *protocol = entry->vm->facts.display;
  if (g_strcmp0(protocol, "vnc") != 0 && g_strcmp0(protocol, "spice") != 0)
    return NULL;
  GString *id = g_string_new(NULL);
  for (; *protocol != '\0'; protocol++)
    g_string_append_printf(id, "%02x", (guint)g_ascii_toupper(*protocol));
  return g_string_free(id, FALSE);
}

static DmNode *console_node(const DmEntry *entry, const char *id) {
  DmNode *node = dm_node_new("graphics_console");
  g_autofree char *collection = g_strdup_printf("vms/%s/graphicsconsoles", entry->vm->uuid);
  set_link(node, collection, id);
  dm_node_add_text(node, "protocol", entry->vm->facts.display);
  add_link(node, "vm", "vms", entry->vm->uuid);
  return node;
}

DmNode *consoles_node(const DmEntry *entry) {
  DmNode *nodes = dm_node_new("graphics_consoles");
  g_autofree char *id = console_id(entry);
  if (id != NULL)
    dm_node_adopt(nodes, console_node(entry, id), TRUE);
  return nodes;
}

void handle_consoles(Call *call) {
  const DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  g_autofree char *id = console_id(entry);
  if (call->ids[1] == NULL)
    reply_node(call, 200, consoles_node(entry));
  else if (id != NULL && g_ascii_strcasecmp(call->ids[1], id) == 0)
    reply_node(call, 200, console_node(entry, id));
  else
    reply_empty(call, 404);
}
