/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: the libvirt connections, represented as oVirt's hosts. */
#include "finding.h"
#include "handlers.h"
#include "views.h"

const char *host_status(const DmHost *host) {
  static const char *const statuses[] = {
    [DM_HOST_CONNECTING] = "connecting", [DM_HOST_UP] = "up", [DM_HOST_DOWN] = "non_responsive"};
  G_STATIC_ASSERT(G_N_ELEMENTS(statuses) == DM_HOST_STATUSES);
  return statuses[host->status];
}

DmNode *host_node(const DmApi *api, const DmHost *host) {
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
  dm_node_add_text(node, "status", host_status(host));
  dm_node_add_text(node, "status_detail", host->problem);
  dm_node_add_text(node, "type", HOST_TYPE);
  add_link(node, "cluster", "clusters", CLUSTER_ID);
  add_links(api, node, "hosts", host->id);
  return node;
}

static void reply_hosts(Call *call, GPtrArray *found) {
  DmNode *nodes = dm_node_new("hosts");
  for (guint i = 0; i < found->len; i++)
    dm_node_adopt(nodes, host_node(call->api, found->pdata[i]), TRUE);
  reply_node(call, 200, nodes);
}

void handle_hosts(Call *call) {
  find_objects(call, &search_hosts, dm_inventory_hosts(call->api->inventory), reply_hosts);
}

void handle_host(Call *call) {
  const DmHost *host = dm_inventory_find_host(call->api->inventory, call->ids[0]);
  if (host != NULL)
    reply_node(call, 200, host_node(call->api, host));
  else
    reply_empty(call, 404);
}
