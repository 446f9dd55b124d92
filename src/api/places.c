/* SPDX-License-Identifier: Apache-2.0 */
/* The root, hosts, and what oVirt has and libvirt has not: one cluster, one data center, one template, users. */
#include <string.h>

#include "api_private.h"
#include "base/error.h"
#include "base/size.h"

/* What the version says to clients: the oVirt whose API this is. */
#define MAJOR 4
#define MINOR 5
#define BUILD 5

static const char *const searchable[] = {"clusters", "datacenters", "events", "hosts", "templates", "vms"};
static const char *const plain[] = {"jobs", "operatingsystems"};

static void add_root_link(DmNode *api, const char *rel, const char *suffix, const char *query) {
  g_autofree char *name = g_strconcat(rel, suffix, NULL), *href = api_href("%s%s", rel, query);
  DmNode *link = dm_node_add_item(api, "link");
  dm_node_set_attribute(link, "href", href);
  dm_node_set_attribute(link, "rel", name);
}

static void add_product(DmNode *api) {
  DmNode *product = dm_node_add_object(api, "product_info");
  dm_node_add_text(product, "name", "oVirt Engine"); /* clients look for it */
  dm_node_add_text(product, "vendor", "dimmer");
  DmNode *version = dm_node_add_object(product, "version");
  dm_node_add_number(version, "build", BUILD);
  dm_node_add_text(version, "full_version", "4.5.5-dimmer");
  dm_node_add_number(version, "major", MAJOR);
  dm_node_add_number(version, "minor", MINOR);
  dm_node_add_number(version, "revision", 0);
}

static void add_count(DmNode *summary, const char *name, guint active, guint total) {
  DmNode *node = dm_node_add_object(summary, name);
  dm_node_add_number(node, "active", active);
  dm_node_add_number(node, "total", total);
}

static void add_summary(DmNode *api, const DmApi *of) {
  const GPtrArray *hosts = dm_inventory_hosts(of->inventory), *entries = dm_inventory_entries(of->inventory);
  guint up = 0, running = 0, users = sign_on_count(of->sign_on);
  for (guint i = 0; i < hosts->len; i++)
    up += ((const DmHost *)hosts->pdata[i])->status == DM_HOST_UP;
  for (guint i = 0; i < entries->len; i++)
    running += ((const DmEntry *)entries->pdata[i])->vm->live != NULL;
  DmNode *summary = dm_node_add_object(api, "summary");
  add_count(summary, "hosts", up, hosts->len);
  add_count(summary, "storage_domains", 0, 0);
  add_count(summary, "users", users, users);
  add_count(summary, "vms", running, entries->len);
}

void handle_root(Call *call) {
  DmNode *api = dm_node_new("api");
  for (gsize i = 0; i < G_N_ELEMENTS(searchable); i++) {
    add_root_link(api, searchable[i], "", "");
    gboolean events = g_str_equal(searchable[i], "events");
    add_root_link(api, searchable[i], "/search", events ? ";from={event_id}?search={query}" : "?search={query}");
  }
  for (gsize i = 0; i < G_N_ELEMENTS(plain); i++)
    add_root_link(api, plain[i], "", "");
  add_product(api);
  add_link(dm_node_add_object(api, "special_objects"), "blank_template", "templates", TEMPLATE_ID);
  add_summary(api, call->api);
  dm_node_add_date(api, "time", g_get_real_time() / 1000);
  g_autofree char *user = uuid_of(USER_ID_SPACE, call->user);
  add_link(api, "authenticated_user", "users", user);
  add_link(api, "effective_user", "users", user);
  reply_node(call, 200, api);
}

/* ---- hosts ---- */

DmNode *host_node(const DmHost *host) {
  DmNode *node = dm_node_new("host");
  set_link(node, "hosts", host->id);
  dm_node_add_text(node, "name", host->name);
  dm_node_add_text(node, "address", host->name);
  dm_node_add_text(node, "comment", host->uri);
  if (host->cpus != 0) {
    DmNode *topology = dm_node_add_object(dm_node_add_object(node, "cpu"), "topology");
    dm_node_add_number(topology, "cores", host->cpus);
    dm_node_add_number(topology, "sockets", 1);
    dm_node_add_number(topology, "threads", 1);
  }
  if (host->memory != 0)
    dm_node_add_number(node, "memory", (gint64)host->memory);
  static const char *const statuses[] = {
    [DM_HOST_CONNECTING] = "connecting", [DM_HOST_UP] = "up", [DM_HOST_DOWN] = "non_responsive"};
  dm_node_add_text(node, "status", statuses[host->status]);
  dm_node_add_text(node, "status_detail", host->problem);
  dm_node_add_text(node, "type", "rhel");
  add_link(node, "cluster", "clusters", CLUSTER_ID);
  return node;
}

enum {
  FIELD_NAME,
  FIELD_ID,
  FIELD_STATUS,
};

static const DmSearchField host_fields[] = {{"name", DM_FIELD_TEXT, FIELD_NAME, TRUE}, {"id", DM_FIELD_TEXT, FIELD_ID},
  {"status", DM_FIELD_ENUM, FIELD_STATUS, TRUE}, {"cluster", DM_FIELD_TEXT, -1}, {NULL}};

static const char *get_host_field(gconstpointer object, int field, gint64 *number) {
  const DmHost *host = object;
  if (field == FIELD_STATUS)
    return host->status == DM_HOST_UP ? "up" : "nonresponsive";
  return field == FIELD_NAME ? host->name : field == FIELD_ID ? host->id : "Default";
}

/* The search of the request; NULL: it was answered. */
static DmSearch *read_search(Call *call, const DmSearchField *fields) {
  g_autoptr(GError) error = NULL;
  DmSearch *search = dm_search_parse(dm_target_parameter(call->target, "search"), fields,
    dm_target_boolean(call->target, "case_sensitive", FALSE), &error);
  if (search == NULL)
    reply_error(call, error);
  return search;
}

static gboolean is_full(const Call *call, guint count) {
  gint64 max = dm_target_number(call->target, "max", -1);
  return max >= 0 && count >= max;
}

void handle_hosts(Call *call) {
  const GPtrArray *hosts = dm_inventory_hosts(call->api->inventory);
  g_autoptr(DmSearch) search = read_search(call, host_fields);
  if (search == NULL)
    return;
  DmNode *nodes = dm_node_new("hosts");
  guint count = 0;
  for (guint i = 0; i < hosts->len && !is_full(call, count); i++) {
    if (!dm_search_matches(search, get_host_field, hosts->pdata[i]))
      continue;
    dm_node_adopt(nodes, host_node(hosts->pdata[i]), TRUE);
    count++;
  }
  reply_node(call, 200, nodes);
}

void handle_host(Call *call) {
  const DmHost *host = dm_inventory_find_host(call->api->inventory, call->ids[0]);
  if (host != NULL)
    reply_node(call, 200, host_node(host));
  else
    reply_empty(call, 404);
}

/* ---- the one cluster, data center and template ---- */

typedef struct {
  const char *collection, *root, *item, *id, *name;
} Place;

static const Place cluster = {"clusters", "clusters", "cluster", CLUSTER_ID, "Default"};
static const Place datacenter = {"datacenters", "data_centers", "data_center", DATACENTER_ID, "Default"};
static const Place template = {"templates", "templates", "template", TEMPLATE_ID, "Blank"};

static const Place *place_of(const Call *call) {
  if (g_str_has_prefix(call->route->path, "clusters"))
    return &cluster;
  return g_str_has_prefix(call->route->path, "datacenters") ? &datacenter : &template;
}

static DmNode *place_node(const Place *place) {
  DmNode *node = dm_node_new(place->item);
  set_link(node, place->collection, place->id);
  dm_node_add_text(node, "name", place->name);
  if (place == &cluster) {
    dm_node_add_text(dm_node_add_object(node, "cpu"), "architecture", "x86_64");
    add_link(node, "data_center", "datacenters", DATACENTER_ID);
    DmNode *version = dm_node_add_object(node, "version");
    dm_node_add_number(version, "major", 4);
    dm_node_add_number(version, "minor", 7);
  } else if (place == &datacenter) {
    dm_node_add_text(node, "status", "up");
  } else {
    dm_node_add_number(dm_node_add_object(node, "version"), "version_number", 1);
  }
  return node;
}

enum {
  FIELD_VM_NAME = FIELD_STATUS + 1,
};

static const DmSearchField place_fields[] = {{"name", DM_FIELD_TEXT, FIELD_NAME, TRUE}, {"id", DM_FIELD_TEXT, FIELD_ID},
  {"vm.name", DM_FIELD_TEXT, FIELD_VM_NAME}, {"vms.name", DM_FIELD_TEXT, FIELD_VM_NAME}, {NULL}};

/* No VM here was made of a template: with "vm.name" none is found, and Ansible's PUT names none. */
static const char *get_place_field(gconstpointer object, int field, gint64 *number) {
  const Place *place = object;
  return field == FIELD_NAME ? place->name : field == FIELD_ID ? place->id : NULL;
}

void handle_places(Call *call) {
  const Place *place = place_of(call);
  g_autoptr(DmSearch) search = read_search(call, place_fields);
  if (search == NULL)
    return;
  DmNode *nodes = dm_node_new(place->root);
  if (dm_search_matches(search, get_place_field, place) && !is_full(call, 0))
    dm_node_adopt(nodes, place_node(place), TRUE);
  reply_node(call, 200, nodes);
}

void handle_place(Call *call) {
  const Place *place = place_of(call);
  if (g_ascii_strcasecmp(call->ids[0], place->id) == 0)
    reply_node(call, 200, place_node(place));
  else
    reply_empty(call, 404);
}

void handle_templates(Call *call) {
  if (call->ids[0] != NULL)
    handle_place(call);
  else
    handle_places(call);
}

static DmNode *system_node(const char *const *system, const char *id) {
  DmNode *node = dm_node_new("operating_system");
  set_link(node, "operatingsystems", id);
  dm_node_add_text(node, "description", system[1]);
  dm_node_add_text(node, "name", system[0]);
  return node;
}

void handle_operating_systems(Call *call) {
  static const char *const systems[][2] = {
    {"other", "Other OS"}, {"other_linux", "Linux"}, {"windows_2019x64", "Windows"}};
  g_autoptr(DmNode) nodes = dm_node_new("operation_systems"); /* sic: oVirt's own spelling */
  for (gsize i = 0; i < G_N_ELEMENTS(systems); i++) {
    g_autofree char *id = uuid_of("operating system ", systems[i][0]);
    if (call->ids[0] != NULL && g_ascii_strcasecmp(call->ids[0], id) == 0) {
      reply_node(call, 200, system_node(systems[i], id));
      return;
    }
    dm_node_adopt(nodes, system_node(systems[i], id), TRUE);
  }
  if (call->ids[0] != NULL)
    reply_empty(call, 404);
  else
    reply_node(call, 200, g_steal_pointer(&nodes));
}

/* Oneself only. */
void handle_users(Call *call) {
  g_autofree char *id = uuid_of(USER_ID_SPACE, call->user);
  if (g_ascii_strcasecmp(call->ids[0], id) != 0) {
    reply_empty(call, 404);
    return;
  }
  const char *at = strrchr(call->user, '@');
  g_autofree char *name = at != NULL ? g_strndup(call->user, (gsize)(at - call->user)) : g_strdup(call->user);
  DmNode *node = dm_node_new("user");
  set_link(node, "users", id);
  dm_node_add_text(node, "name", name);
  dm_node_add_text(node, "user_name", call->user);
  dm_node_add_text(dm_node_add_item(dm_node_add_object(node, "roles"), "role"), "name", dm_role_name(call->role));
  reply_node(call, 200, node);
}

void handle_ca(Call *call) {
  if (call->api->ca != NULL)
    reply_text(call, 200, "application/x-x509-ca-cert", call->api->ca);
  else
    reply_empty(call, 404);
}
