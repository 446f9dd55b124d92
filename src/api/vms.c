/* SPDX-License-Identifier: Apache-2.0 */
/* The list of VMs, with search, and one VM. */
#include <string.h>

#include "api_private.h"
#include "base/size.h"

enum {
  FIELD_NAME,
  FIELD_ID,
  FIELD_STATUS,
  FIELD_MEMORY,
  FIELD_GUARANTEED,
  FIELD_CLUSTER,
  FIELD_DATACENTER,
  FIELD_HOST,
  FIELD_DESCRIPTION,
  FIELD_OS,
  FIELD_ARCHITECTURE,
  FIELD_NEXT_RUN,
  FIELD_TEMPLATE,
  FIELD_VCPUS,
  FIELD_DEVICES,
};

/* All of oVirt's, as clients ask for them, whether a VM here can have them or not. */
static const char *const statuses[] = {"up", "down", "paused", "suspended", "unknown", "wait_for_launch", "powering_up",
  "powering_down", "reboot_in_progress", "not_responding", "image_locked", "saving_state", "restoring_state",
  "migrating", "migrating_from", "migrating_to", "unassigned", NULL};
static const char *const booleans[] = {"true", "false", NULL};

/* oVirt's, as far as libvirt knows; memorydevices is dimmer's. */
static const DmSearchField fields[] = {
  {"name", DM_FIELD_TEXT, FIELD_NAME, TRUE},
  {"id", DM_FIELD_TEXT, FIELD_ID},
  {"status", DM_FIELD_ENUM, FIELD_STATUS, TRUE, .values = statuses},
  {"memory", DM_FIELD_NUMBER, FIELD_MEMORY},
  {"guaranteed_memory", DM_FIELD_NUMBER, FIELD_GUARANTEED},
  {"cluster", DM_FIELD_TEXT, FIELD_CLUSTER},
  {"cluster.name", DM_FIELD_TEXT, FIELD_CLUSTER},
  {"datacenter", DM_FIELD_TEXT, FIELD_DATACENTER},
  {"host", DM_FIELD_TEXT, FIELD_HOST, TRUE},
  {"host.name", DM_FIELD_TEXT, FIELD_HOST},
  {"on_host", DM_FIELD_TEXT, FIELD_HOST},
  {"description", DM_FIELD_TEXT, FIELD_DESCRIPTION, TRUE},
  {"os", DM_FIELD_TEXT, FIELD_OS},
  {"architecture", DM_FIELD_TEXT, FIELD_ARCHITECTURE},
  {"next_run_config_exists", DM_FIELD_ENUM, FIELD_NEXT_RUN, .values = booleans},
  {"template", DM_FIELD_TEXT, FIELD_TEMPLATE},
  {"template.name", DM_FIELD_TEXT, FIELD_TEMPLATE},
  {"vcpus", DM_FIELD_NUMBER, FIELD_VCPUS},
  {"memorydevices", DM_FIELD_NUMBER, FIELD_DEVICES},
  {NULL},
};

/* Free text and names for oVirt's status: its enum has none of the API's underscores, which search leaves out anyway.
 */
static const char *get_field(gconstpointer object, int field, gint64 *number) {
  const DmEntry *entry = object;
  const DmVm *vm = entry->vm;
  const DmConfig *config = dm_vm_current(vm);
  switch (field) {
    case FIELD_NAME:
      return vm->name;
    case FIELD_ID:
      return vm->uuid;
    case FIELD_STATUS:
      return vm_status(entry);
    case FIELD_MEMORY:
      *number = (gint64)(dm_config_memory(config) / DM_MIB);
      return "";
    case FIELD_GUARANTEED:
      *number = (gint64)(dm_config_guaranteed(config) / DM_MIB);
      return "";
    case FIELD_CLUSTER:
    case FIELD_DATACENTER:
      return "Default";
    case FIELD_HOST:
      return vm->live != NULL ? entry->host->name : NULL;
    case FIELD_DESCRIPTION:
      return vm->description;
    case FIELD_OS:
      return vm->facts.os;
    case FIELD_ARCHITECTURE:
      return vm->arch;
    case FIELD_NEXT_RUN:
      return dm_vm_has_next_run(vm) ? "true" : "false";
    case FIELD_TEMPLATE:
      return "Blank";
    case FIELD_VCPUS:
      *number = vm->facts.sockets * vm->facts.cores * vm->facts.threads;
      return "";
    case FIELD_DEVICES:
      *number = config->devices->len;
      return "";
    default:
      return NULL;
  }
}

/* ---- follow ---- */

static const char *const empties[][2] = {
  {"affinitylabels", "affinity_labels"},
  {"applications", "applications"},
  {"cdroms", "cdroms"},
  {"diskattachments", "disk_attachments"},
  {"graphicsconsoles", "graphics_consoles"},
  {"hostdevices", "host_devices"},
  {"nics", "nics"},
  {"permissions", "permissions"},
  {"reporteddevices", "reported_devices"},
  {"sessions", "sessions"},
  {"snapshots", "snapshots"},
  {"tags", "tags"},
  {"watchdogs", "watchdogs"},
  {"affinitygroups", "affinity_groups"},
};

static const char *element_of(const char *link) {
  for (gsize i = 0; i < G_N_ELEMENTS(empties); i++) {
    if (g_str_equal(empties[i][0], link))
      return empties[i][1];
  }
  return NULL;
}

static void follow(Call *call, DmNode *node, DmEntry *entry, const char *wanted) {
  g_auto(GStrv) names = g_strsplit(wanted, ",", -1);
  for (char **name = names; *name != NULL; name++) {
    g_autoptr(GString) link = g_string_new(NULL);
    for (const char *p = *name; *p != '\0' && *p != '.'; p++) {
      if (*p != '_')
        g_string_append_c(link, g_ascii_tolower(*p));
    }
    if (g_str_equal(link->str, "statistics"))
      add_statistics(dm_node_add_object(node, "statistics"), entry);
    else if (g_str_equal(link->str, "memorydevices"))
      dm_node_adopt(node, devices_node(call->api, entry), FALSE);
    else if (element_of(link->str) != NULL)
      dm_node_add_object(node, element_of(link->str));
  }
}

/* One VM of the list, as text. The caller unrefs. */
static GBytes *entry_text(Call *call, DmEntry *entry) {
  const char *wanted = dm_target_parameter(call->target, "follow");
  if (wanted == NULL || *wanted == '\0')
    return g_bytes_ref(vm_text(call->api, entry, call->format));
  g_autoptr(DmNode) node = vm_node(call->api, entry, FALSE);
  GString *text = g_string_new(NULL);
  follow(call, node, entry, wanted);
  dm_node_write(node, call->format, text);
  return g_string_free_to_bytes(text);
}

/* ---- the list ---- */

/* The entries that were asked for (borrowed); NULL: it was answered. */
static GPtrArray *find_entries(Call *call) {
  g_autoptr(GError) error = NULL;
  const GPtrArray *all = dm_inventory_entries(call->api->inventory);
  gint64 max = dm_target_number(call->target, "max", -1);
  const char *text = dm_target_parameter(call->target, "search");
  const char *sent_max = dm_target_parameter(call->target, "max");
  if (sent_max != NULL && sent_max[0] == '-') {
    reply_fault(call, 400, "Invalid value", "max must not be negative");
    return NULL;
  }
  g_autoptr(DmSearch) search =
    dm_search_parse(text, fields, dm_target_boolean(call->target, "case_sensitive", FALSE), &error);
  if (search == NULL) {
    reply_error(call, error);
    return NULL;
  }
  gboolean everything = text == NULL || *text == '\0';
  g_autoptr(GPtrArray) found = g_ptr_array_new();
  for (guint i = 0; i < all->len; i++) {
    if (everything || dm_search_matches(search, get_field, all->pdata[i]))
      g_ptr_array_add(found, all->pdata[i]);
  }
  dm_search_sort(search, get_field, found);
  g_autofree char *count = g_strdup_printf("%u", found->len);
  dm_http_reply_header(call->http, "Total-Count", count);
  if (max >= 0) {
    guint size = (guint)MIN(max, (gint64)found->len);
    gint64 page = dm_target_number(call->target, "page", dm_search_page(search));
    guint64 first = (guint64)max * ((guint64)MAX(page, 1) - 1);
    g_ptr_array_remove_range(found, 0, (guint)MIN(first, found->len));
    if (found->len > size)
      g_ptr_array_set_size(found, (gint)size);
  }
  return g_steal_pointer(&found);
}

static void add_piece(GPtrArray *pieces, const char *text) {
  if (*text != '\0')
    g_ptr_array_add(pieces, g_bytes_new_static(text, strlen(text)));
}

static void unref_bytes(gpointer bytes) {
  g_bytes_unref(bytes);
}

static void reply_pieces(Call *call, GPtrArray *pieces) {
  dm_http_reply_header(call->http, "Correlation-Id", call->correlation_id);
  metrics_answered(call->api->metrics, dm_http_request_method(call->http), 200, dm_http_request_started(call->http));
  dm_http_reply_pieces(call->http, 200, dm_format_content_type(call->format), pieces);
}

void handle_vms(Call *call) {
  g_autoptr(GPtrArray) found = find_entries(call);
  gboolean json = call->format == DM_FORMAT_JSON;
  if (found == NULL)
    return;
  g_autoptr(GPtrArray) pieces = g_ptr_array_new_full(2 * found->len + 4, unref_bytes);
  g_autoptr(GBytes) comma = g_bytes_new_static(",", 1);
  add_piece(pieces, dm_format_declaration(call->format));
  add_piece(pieces, !json ? "<vms>" : found->len > 0 ? "{\"vm\":[" : "{");
  for (guint i = 0; i < found->len; i++) {
    if (json && i > 0)
      g_ptr_array_add(pieces, g_bytes_ref(comma));
    g_ptr_array_add(pieces, entry_text(call, found->pdata[i]));
  }
  add_piece(pieces, !json ? "</vms>" : found->len > 0 ? "]}" : "}");
  reply_pieces(call, pieces);
}

/* ---- one VM ---- */

void handle_vm(Call *call) {
  DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  if (dm_target_boolean(call->target, "next_run", FALSE)) {
    reply_node(call, 200, vm_node(call->api, entry, TRUE));
    return;
  }
  g_autoptr(GPtrArray) pieces = g_ptr_array_new_full(2, unref_bytes);
  add_piece(pieces, dm_format_declaration(call->format));
  g_ptr_array_add(pieces, entry_text(call, entry));
  reply_pieces(call, pieces);
}

/* Collections of what libvirt has too, but dimmer has nothing to say of: empty, for clients that walk them. */
void handle_vm_empty(Call *call) {
  const char *link = strrchr(call->route->path, '/') + 1;
  if (g_str_has_prefix(call->route->path, "vms/") && find_entry(call) == NULL)
    return;
  reply_node(call, 200, dm_node_new(element_of(link)));
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

/* All of them, or the one that was named. */
void handle_vm_numa(Call *call) {
  DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  const DmConfig *config = dm_vm_current(entry->vm);
  g_autoptr(DmNode) nodes = dm_node_new("vm_numa_nodes");
  for (guint i = 0; config->has_numa && i < config->cells->len; i++) {
    g_autofree char *name = g_strdup_printf("%s numa %u", entry->vm->uuid, i), *id = uuid_of("", name);
    if (call->ids[1] != NULL && g_ascii_strcasecmp(call->ids[1], id) == 0) {
      reply_node(call, 200, numa_node(entry, i, id));
      return;
    }
    dm_node_adopt(nodes, numa_node(entry, i, id), TRUE);
  }
  if (call->ids[1] != NULL)
    reply_empty(call, 404);
  else
    reply_node(call, 200, g_steal_pointer(&nodes));
}
