/* SPDX-License-Identifier: Apache-2.0 */
/* The root: links to everything, the oVirt version, and the user. */
#include <string.h>

#include "handlers.h"
#include "sign_on.h"
#include "views.h"

/* The version reported to clients: that of the oVirt API. */
#define MAJOR 4
#define MINOR 5
#define BUILD 5

static const char *const searchable[] = {"clusters", "datacenters", "events", "hosts", "templates", "vms"};
static const char *const plain[] = {"jobs", "operatingsystems", "tags", "users"};

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
  for (const Route *route = call->api->routes; route->path != NULL; route++) {
    if (route->element != NULL && strchr(route->path, '/') == NULL)
      add_root_link(api, route->path, "", "");
  }
  add_product(api);
  DmNode *special = dm_node_add_object(api, "special_objects");
  add_link(special, "blank_template", "templates", TEMPLATE_ID);
  add_link(special, "root_tag", "tags", TAG_ID);
  add_summary(api, call->api);
  dm_node_add_date(api, "time", g_get_real_time() / 1000);
  g_autofree char *user = uuid_of(USER_ID_SPACE, call->user);
  add_link(api, "authenticated_user", "users", user);
  add_link(api, "effective_user", "users", user);
  reply_node(call, 200, api);
}
