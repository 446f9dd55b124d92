/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed objects that oVirt has and libvirt does not: one cluster, one data center, one template, operating systems.
 */
#include <string.h>

#include "base/size.h"
#include "finding.h"
#include "handlers.h"
#include "views.h"

const FixedPlace place_cluster = {"clusters", "clusters", "cluster", CLUSTER_ID, "Default"};
const FixedPlace place_datacenter = {"datacenters", "data_centers", "data_center", DATACENTER_ID, "Default", "up"};
const FixedPlace place_template = {"templates", "templates", "template", TEMPLATE_ID, "Blank", "ok"};

static const FixedPlace *place_of(const Call *call) {
  if (g_str_has_prefix(call->route->path, "clusters") || g_str_has_suffix(call->route->path, "clusters"))
    return &place_cluster;
  return g_str_has_prefix(call->route->path, "datacenters") ? &place_datacenter : &place_template;
}

/* As the Blank of an oVirt engine; go-ovirt-client rejects a template without CPU and status. */
static void add_blank(DmNode *node) {
  DmNode *topology = dm_node_add_object(dm_node_add_object(node, "cpu"), "topology");
  dm_node_add_number(topology, "cores", 1);
  dm_node_add_number(topology, "sockets", 1);
  dm_node_add_number(topology, "threads", 1);
  dm_node_add_number(node, "memory", DM_GIB);
  dm_node_add_text(dm_node_add_object(node, "os"), "type", "other");
  dm_node_add_text(node, "status", "ok");
  dm_node_add_text(node, "type", "server");
  dm_node_add_number(dm_node_add_object(node, "version"), "version_number", 1);
}

static DmNode *place_node(const DmApi *api, const FixedPlace *place) {
  DmNode *node = dm_node_new(place->item);
  set_link(node, place->collection, place->id);
  dm_node_add_text(node, "name", place->name);
  dm_node_add_text(node, "comment", "");
  dm_node_add_text(node, "description", "");
  add_links(api, node, place->collection, place->id);
  if (place == &place_cluster) {
    dm_node_add_text(dm_node_add_object(node, "cpu"), "architecture", CLUSTER_ARCHITECTURE);
    add_link(node, "data_center", "datacenters", DATACENTER_ID);
    DmNode *version = dm_node_add_object(node, "version");
    dm_node_add_number(version, "major", 4);
    dm_node_add_number(version, "minor", 7);
  } else if (place == &place_datacenter) {
    dm_node_add_text(node, "status", place->status);
  } else {
    add_blank(node);
  }
  return node;
}

DmNode *clusters_node(const DmApi *api) {
  DmNode *nodes = dm_node_new(place_cluster.root);
  dm_node_adopt(nodes, place_node(api, &place_cluster), TRUE);
  return nodes;
}

DmNode *fixed_node(const DmApi *api, const char *kind, const char *id) {
  static const FixedPlace *const all[] = {&place_cluster, &place_datacenter, &place_template};
  for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
    gsize length = strlen(all[i]->collection);
    if (strncmp(kind, all[i]->collection, length) == 0 && g_str_equal(kind + length, "/{}") &&
      g_ascii_strcasecmp(id, all[i]->id) == 0)
      return place_node(api, all[i]);
  }
  return NULL;
}

static void reply_places(Call *call, GPtrArray *found) {
  DmNode *nodes = dm_node_new(place_of(call)->root);
  if (found->len > 0)
    dm_node_adopt(nodes, place_node(call->api, place_of(call)), TRUE);
  reply_node(call, 200, nodes);
}

void handle_places(Call *call) {
  const FixedPlace *place = place_of(call);
  if (call->ids[0] != NULL && g_ascii_strcasecmp(call->ids[0], DATACENTER_ID) != 0) { /* the clusters of another one */
    reply_empty(call, 404);
    return;
  }
  g_autoptr(GPtrArray) places = g_ptr_array_new();
  g_ptr_array_add(places, (gpointer)place);
  const DmSearchKind *kind = place == &place_cluster ? &search_clusters
    : place == &place_datacenter                     ? &search_datacenters
                                                     : &search_templates;
  find_objects(call, kind, places, reply_places);
}

void handle_place(Call *call) {
  const FixedPlace *place = place_of(call);
  if (g_ascii_strcasecmp(call->ids[0], place->id) == 0)
    reply_node(call, 200, place_node(call->api, place));
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

void handle_ca(Call *call) {
  if (call->api->ca != NULL)
    reply_text(call, 200, "application/x-x509-ca-cert", call->api->ca);
  else
    reply_empty(call, 404);
}
