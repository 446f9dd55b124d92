/* SPDX-License-Identifier: Apache-2.0 */
/* All routes. docs/api.md describes each row, and a test checks that the two agree. */
#include <string.h>

#include "handlers.h"

static const Route routes[] = {
  {"GET", "", handle_root},
  {"GET", "openapi.json", handle_openapi, .stream = TRUE},
  {"GET", "vms", handle_vms},
  {"GET", "vms/{}", handle_vm},
  {"PUT", "vms/{}", handle_vm_update, .changes = TRUE},
  {"POST", "vms/{}/start", handle_vm_action, .changes = TRUE, .action = TRUE},
  {"POST", "vms/{}/stop", handle_vm_action, .changes = TRUE, .action = TRUE},
  {"POST", "vms/{}/shutdown", handle_vm_action, .changes = TRUE, .action = TRUE},
  {"POST", "vms/{}/reboot", handle_vm_action, .changes = TRUE, .action = TRUE},
  {"POST", "vms/{}/enablehotplug", handle_vm_enable_hot_plug, .changes = TRUE, .action = TRUE},
  {"POST", "vms/{}/prepareguest", handle_vm_prepare_guest, .changes = TRUE, .action = TRUE},
  {"POST", "vms/{}/autopincpuandnumanodes", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/cancelmigration", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/clone", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/commitsnapshot", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/detach", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/export", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/freezefilesystems", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/logon", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/maintenance", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/migrate", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/previewsnapshot", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/reordermacaddresses", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/reset", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/screenshot", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/suspend", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/thawfilesystems", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/ticket", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms/{}/undosnapshot", handle_vm_other_action, .changes = TRUE, .action = TRUE, .hidden = TRUE},
  {"POST", "vms", handle_vm_elsewhere, .changes = TRUE, .hidden = TRUE},
  {"DELETE", "vms/{}", handle_vm_elsewhere, .changes = TRUE, .hidden = TRUE},
  {"GET", "vms/{}/memorydevices", handle_devices},
  {"POST", "vms/{}/memorydevices", handle_device_plug, .changes = TRUE},
  {"GET", "vms/{}/memorydevices/{}", handle_device},
  {"DELETE", "vms/{}/memorydevices/{}", handle_device_unplug, .changes = TRUE},
  {"GET", "vms/{}/memoryplan", handle_memory_plan},
  {"GET", "vms/{}/memorycheck", handle_memory_check},
  {"GET", "vms/{}/statistics", handle_vm_statistics},
  {"GET", "vms/{}/statistics/{}", handle_vm_statistic},
  {"GET", "vms/{}/numanodes", handle_vm_numas},
  {"GET", "vms/{}/numanodes/{}", handle_vm_numa},
  {"GET", "vms/{}/cdroms", handle_cdroms},
  {"GET", "vms/{}/cdroms/{}", handle_cdroms},
  {"GET", "vms/{}/affinitylabels", handle_empty, .element = "affinity_labels"},
  {"GET", "vms/{}/applications", handle_empty, .element = "applications"},
  {"GET", "vms/{}/backups", handle_empty, .element = "backups"},
  {"GET", "vms/{}/checkpoints", handle_empty, .element = "checkpoints"},
  {"GET", "vms/{}/diskattachments", handle_empty, .element = "disk_attachments"},
  {"GET", "vms/{}/graphicsconsoles", handle_consoles},
  {"GET", "vms/{}/graphicsconsoles/{}", handle_consoles},
  {"GET", "vms/{}/hostdevices", handle_empty, .element = "host_devices"},
  {"GET", "vms/{}/katelloerrata", handle_empty, .element = "katello_errata"},
  {"GET", "vms/{}/mediateddevices", handle_empty, .element = "vm_mediated_devices"},
  {"GET", "vms/{}/nics", handle_empty, .element = "nics"},
  {"GET", "vms/{}/permissions", handle_empty, .element = "permissions"},
  {"GET", "vms/{}/reporteddevices", handle_empty, .element = "reported_devices"},
  {"GET", "vms/{}/sessions", handle_empty, .element = "sessions"},
  {"GET", "vms/{}/snapshots", handle_snapshots},
  {"GET", "vms/{}/snapshots/{}", handle_snapshots},
  {"GET", "vms/{}/tags", handle_empty, .element = "tags"},
  {"GET", "vms/{}/watchdogs", handle_empty, .element = "watchdogs"},
  {"GET", "hosts", handle_hosts},
  {"GET", "hosts/{}", handle_host},
  {"GET", "hosts/{}/statistics", handle_host_statistics, .link = TRUE},
  {"GET", "hosts/{}/statistics/{}", handle_host_statistics},
  {"GET", "hosts/{}/affinitylabels", handle_empty, .element = "affinity_labels"},
  {"GET", "hosts/{}/cpuunits", handle_empty, .element = "host_cpu_units"},
  {"GET", "hosts/{}/devices", handle_empty, .element = "host_devices"},
  {"GET", "hosts/{}/externalnetworkproviderconfigurations", handle_empty,
    .element = "external_network_provider_configurations"},
  {"GET", "hosts/{}/fenceagents", handle_empty, .element = "agents"},
  {"GET", "hosts/{}/hooks", handle_empty, .element = "hooks"},
  {"GET", "hosts/{}/katelloerrata", handle_empty, .element = "katello_errata"},
  {"GET", "hosts/{}/networkattachments", handle_empty, .element = "network_attachments"},
  {"GET", "hosts/{}/nics", handle_empty, .element = "host_nics"},
  {"GET", "hosts/{}/numanodes", handle_empty, .element = "host_numa_nodes"},
  {"GET", "hosts/{}/permissions", handle_empty, .element = "permissions"},
  {"GET", "hosts/{}/storage", handle_empty, .element = "host_storages"},
  {"GET", "hosts/{}/storageconnectionextensions", handle_empty, .element = "storage_connection_extensions"},
  {"GET", "hosts/{}/tags", handle_empty, .element = "tags"},
  {"GET", "hosts/{}/unmanagednetworks", handle_empty, .element = "unmanaged_networks"},
  {"GET", "clusters", handle_places},
  {"GET", "clusters/{}", handle_place},
  {"GET", "clusters/{}/affinitygroups", handle_empty, .element = "affinity_groups"},
  {"GET", "clusters/{}/cpuprofiles", handle_empty, .element = "cpu_profiles"},
  {"GET", "clusters/{}/enabledfeatures", handle_empty, .element = "cluster_features"},
  {"GET", "clusters/{}/externalnetworkproviders", handle_empty, .element = "external_providers"},
  {"GET", "clusters/{}/glusterhooks", handle_empty, .element = "gluster_hooks"},
  {"GET", "clusters/{}/glustervolumes", handle_empty, .element = "gluster_volumes"},
  {"GET", "clusters/{}/networkfilters", handle_empty, .element = "network_filters"},
  {"GET", "clusters/{}/networks", handle_empty, .element = "networks"},
  {"GET", "clusters/{}/permissions", handle_empty, .element = "permissions"},
  {"GET", "datacenters", handle_places},
  {"GET", "datacenters/{}", handle_place},
  {"GET", "datacenters/{}/clusters", handle_places, .link = TRUE},
  {"GET", "datacenters/{}/iscsibonds", handle_empty, .element = "iscsi_bonds"},
  {"GET", "datacenters/{}/networks", handle_empty, .element = "networks"},
  {"GET", "datacenters/{}/permissions", handle_empty, .element = "permissions"},
  {"GET", "datacenters/{}/qoss", handle_empty, .element = "qoss"},
  {"GET", "datacenters/{}/quotas", handle_empty, .element = "quotas"},
  {"GET", "datacenters/{}/storagedomains", handle_empty, .element = "storage_domains"},
  {"GET", "templates", handle_templates},
  {"GET", "templates/{}", handle_templates},
  {"GET", "templates/{}/cdroms", handle_empty, .element = "cdroms"},
  {"GET", "templates/{}/diskattachments", handle_empty, .element = "disk_attachments"},
  {"GET", "templates/{}/graphicsconsoles", handle_empty, .element = "graphics_consoles"},
  {"GET", "templates/{}/mediateddevices", handle_empty, .element = "vm_mediated_devices"},
  {"GET", "templates/{}/nics", handle_empty, .element = "nics"},
  {"GET", "templates/{}/permissions", handle_empty, .element = "permissions"},
  {"GET", "templates/{}/tags", handle_empty, .element = "tags"},
  {"GET", "templates/{}/watchdogs", handle_empty, .element = "watchdogs"},
  {"GET", "operatingsystems", handle_operating_systems},
  {"GET", "operatingsystems/{}", handle_operating_systems},
  {"GET", "users", handle_users},
  {"GET", "users/{}", handle_user},
  {"GET", "users/{}/eventsubscriptions", handle_empty, .element = "event_subscriptions"},
  {"GET", "users/{}/groups", handle_empty, .element = "groups"},
  {"GET", "users/{}/options", handle_empty, .element = "user_options"},
  {"GET", "users/{}/permissions", handle_empty, .element = "permissions"},
  {"GET", "users/{}/roles", handle_empty, .element = "roles"},
  {"GET", "users/{}/sshpublickeys", handle_empty, .element = "ssh_public_keys"},
  {"GET", "users/{}/tags", handle_empty, .element = "tags"},
  {"GET", "tags", handle_tags},
  {"GET", "tags/{}", handle_tags},
  {"GET", "affinitylabels", handle_empty, .element = "affinity_labels"},
  {"GET", "bookmarks", handle_empty, .element = "bookmarks"},
  {"GET", "clusterlevels", handle_empty, .element = "cluster_levels"},
  {"GET", "cpuprofiles", handle_empty, .element = "cpu_profiles"},
  {"GET", "diskprofiles", handle_empty, .element = "disk_profiles"},
  {"GET", "disks", handle_empty, .element = "disks"},
  {"GET", "domains", handle_empty, .element = "domains"},
  {"GET", "externalhostproviders", handle_empty, .element = "external_host_providers"},
  {"GET", "externaltemplateimports", handle_empty, .element = "external_template_imports"},
  {"GET", "externalvmimports", handle_empty, .element = "external_vm_imports"},
  {"GET", "groups", handle_empty, .element = "groups"},
  {"GET", "icons", handle_empty, .element = "icons"},
  {"GET", "imagetransfers", handle_empty, .element = "image_transfers"},
  {"GET", "instancetypes", handle_empty, .element = "instance_types"},
  {"GET", "katelloerrata", handle_empty, .element = "katello_errata"},
  {"GET", "macpools", handle_empty, .element = "mac_pools"},
  {"GET", "networkfilters", handle_empty, .element = "network_filters"},
  {"GET", "networks", handle_empty, .element = "networks"},
  {"GET", "openstackimageproviders", handle_empty, .element = "openstack_image_providers"},
  {"GET", "openstacknetworkproviders", handle_empty, .element = "openstack_network_providers"},
  {"GET", "openstackvolumeproviders", handle_empty, .element = "openstack_volume_providers"},
  {"GET", "permissions", handle_empty, .element = "permissions"},
  {"GET", "roles", handle_empty, .element = "roles"},
  {"GET", "schedulingpolicies", handle_empty, .element = "scheduling_policies"},
  {"GET", "schedulingpolicyunits", handle_empty, .element = "scheduling_policy_units"},
  {"GET", "storageconnections", handle_empty, .element = "storage_connections"},
  {"GET", "storagedomains", handle_empty, .element = "storage_domains"},
  {"GET", "vmpools", handle_empty, .element = "vm_pools"},
  {"GET", "vnicprofiles", handle_empty, .element = "vnic_profiles"},
  {"GET", "events", handle_events},
  {"GET", "events/{}", handle_event},
  {"GET", "jobs", handle_jobs},
  {"GET", "jobs/{}", handle_job},
  {"GET", "jobs/{}/steps", handle_steps},
  {"GET", "jobs/{}/steps/{}", handle_step},
  {"GET", "live", handle_live, .stream = TRUE},
  {"POST", "/ovirt-engine/sso/oauth/token", handle_token, .open = TRUE},
  {"GET", "/ovirt-engine/sso/oauth/token", handle_token, .open = TRUE, .hidden = TRUE},
  {"GET", "/ovirt-engine/sso/oauth/token-http-auth", handle_token_http, .hidden = TRUE},
  {"POST", "/ovirt-engine/sso/oauth/token-http-auth", handle_token_http},
  {"POST", "/ovirt-engine/sso/oauth/token-info", handle_token_info, .open = TRUE},
  {"POST", "/ovirt-engine/sso/oauth/revoke", handle_logout, .open = TRUE},
  {"POST", "/ovirt-engine/services/sso-logout", handle_logout, .open = TRUE},
  {"GET", "/ovirt-engine/services/pki-resource", handle_ca, .open = TRUE},
  {"GET", "/ca.crt", handle_ca, .open = TRUE},
  {"GET", "/", handle_web_root, .open = TRUE},
  {"GET", "/favicon.ico", handle_web_icon, .open = TRUE},
  {"GET", "/ovirt-engine/webadmin/", handle_web_index, .open = TRUE},
  {"GET", "/ovirt-engine/webadmin/index.html", handle_web_root, .open = TRUE},
  {"GET", "/ovirt-engine/webadmin/session", handle_session, .open = TRUE},
  {"POST", "/ovirt-engine/webadmin/session", handle_session_begin, .open = TRUE},
  {"DELETE", "/ovirt-engine/webadmin/session", handle_session_end, .open = TRUE},
  {"GET", "/ovirt-engine/webadmin/{}/{}", handle_web_file, .open = TRUE},
  {"GET", "/health", handle_health, .open = TRUE},
  {"GET", "/ovirt-engine/services/health", handle_health, .open = TRUE},
  {"GET", "/metrics", handle_metrics, .open = TRUE},
  {NULL},
};

const Route *routes_all(void) {
  return routes;
}

/* The number of segments of the base; -1: not the API. */
static int base_length(const char *const *segments) {
  int base = -1;
  if (g_strcmp0(segments[0], "api") == 0)
    base = 1;
  else if (g_strcmp0(segments[0], "ovirt-engine") == 0 && g_strcmp0(segments[1], "api") == 0)
    base = 2;
  if (base > 0 && (g_strcmp0(segments[base], "v4") == 0 || g_strcmp0(segments[base], "v3") == 0))
    base++;
  return base;
}

/* Segment by segment; "{}" matches any. */
static gboolean matches(const char *path, const char *const *segments, const char *ids[2]) {
  guint id = 0;
  while (*path != '\0' && *segments != NULL) {
    gsize length = strcspn(path, "/");
    if (length == 2 && strncmp(path, "{}", 2) == 0)
      ids[id++] = *segments;
    else if (strlen(*segments) != length || strncmp(path, *segments, length) != 0)
      return FALSE;
    path += length;
    path += *path == '/';
    segments++;
  }
  return *path == '\0' && *segments == NULL;
}

const Route *routes_find(const char *method, const char *const *segments, const char *ids[2], char **allow) {
  int base = base_length(segments);
  g_autoptr(GString) methods = g_string_new(NULL);
  for (const Route *route = routes; route->path != NULL; route++) {
    gboolean absolute = route->path[0] == '/';
    if (!absolute && base < 0)
      continue;
    const char *const *rest = absolute ? segments : segments + base;
    if (!matches(absolute ? route->path + 1 : route->path, rest, ids))
      continue;
    if (g_str_equal(route->method, method))
      return route;
    if (route->hidden)
      continue;
    if (g_str_equal(route->method, "GET"))
      g_string_append(methods, methods->len > 0 ? ", GET, HEAD" : "GET, HEAD");
    else
      g_string_append_printf(methods, "%s%s", methods->len > 0 ? ", " : "", route->method);
  }
  *allow = methods->len > 0 ? g_strdup(methods->str) : NULL;
  return NULL;
}

gboolean routes_is_api(const char *const *segments) {
  return base_length(segments) > 0;
}
