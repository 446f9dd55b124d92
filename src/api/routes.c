/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked for. docs/api.md describes each row, and a test holds the two together. */
#include <string.h>

#include "api_private.h"

static const Route routes[] = {
  {"GET", "", handle_root},
  {"GET", "vms", handle_vms},
  {"GET", "vms/{}", handle_vm},
  {"PUT", "vms/{}", handle_vm_update, .changes = TRUE},
  {"POST", "vms/{}/start", handle_vm_action, .changes = TRUE},
  {"POST", "vms/{}/stop", handle_vm_action, .changes = TRUE},
  {"POST", "vms/{}/shutdown", handle_vm_action, .changes = TRUE},
  {"POST", "vms/{}/reboot", handle_vm_action, .changes = TRUE},
  {"GET", "vms/{}/memorydevices", handle_devices},
  {"POST", "vms/{}/memorydevices", handle_device_plug, .changes = TRUE},
  {"GET", "vms/{}/memorydevices/{}", handle_device},
  {"DELETE", "vms/{}/memorydevices/{}", handle_device_unplug, .changes = TRUE},
  {"GET", "vms/{}/memoryplan", handle_memory_plan},
  {"GET", "vms/{}/memorycheck", handle_memory_check},
  {"GET", "vms/{}/statistics", handle_vm_statistics},
  {"GET", "vms/{}/statistics/{}", handle_vm_statistic},
  {"GET", "vms/{}/numanodes", handle_vm_numa},
  {"GET", "vms/{}/numanodes/{}", handle_vm_numa},
  {"GET", "vms/{}/affinitylabels", handle_vm_empty},
  {"GET", "vms/{}/applications", handle_vm_empty},
  {"GET", "vms/{}/cdroms", handle_vm_empty},
  {"GET", "vms/{}/diskattachments", handle_vm_empty},
  {"GET", "vms/{}/graphicsconsoles", handle_vm_empty},
  {"GET", "vms/{}/hostdevices", handle_vm_empty},
  {"GET", "vms/{}/nics", handle_vm_empty},
  {"GET", "vms/{}/permissions", handle_vm_empty},
  {"GET", "vms/{}/reporteddevices", handle_vm_empty},
  {"GET", "vms/{}/sessions", handle_vm_empty},
  {"GET", "vms/{}/snapshots", handle_vm_empty},
  {"GET", "vms/{}/tags", handle_vm_empty},
  {"GET", "vms/{}/watchdogs", handle_vm_empty},
  {"GET", "hosts", handle_hosts},
  {"GET", "hosts/{}", handle_host},
  {"GET", "clusters", handle_places},
  {"GET", "clusters/{}", handle_place},
  {"GET", "clusters/{}/affinitygroups", handle_vm_empty},
  {"GET", "datacenters", handle_places},
  {"GET", "datacenters/{}", handle_place},
  {"GET", "templates", handle_templates},
  {"GET", "templates/{}", handle_templates},
  {"GET", "operatingsystems", handle_operating_systems},
  {"GET", "operatingsystems/{}", handle_operating_systems},
  {"GET", "users/{}", handle_users},
  {"GET", "events", handle_events},
  {"GET", "events/{}", handle_event},
  {"GET", "jobs", handle_jobs},
  {"GET", "jobs/{}", handle_job},
  {"GET", "jobs/{}/steps", handle_steps},
  {"GET", "jobs/{}/steps/{}", handle_step},
  {"GET", "live", handle_live, .stream = TRUE},
  {"POST", "/ovirt-engine/sso/oauth/token", handle_token, .open = TRUE},
  {"POST", "/ovirt-engine/services/sso-logout", handle_logout, .open = TRUE},
  {"GET", "/ovirt-engine/services/pki-resource", handle_ca, .open = TRUE},
  {"GET", "/ca.crt", handle_ca, .open = TRUE},
  {"GET", "/", handle_web_root, .open = TRUE},
  {"GET", "/favicon.ico", handle_web_icon, .open = TRUE},
  {"GET", "/ovirt-engine/webadmin/", handle_web_index, .open = TRUE},
  {"GET", "/ovirt-engine/webadmin/index.html", handle_web_root, .open = TRUE},
  {"GET", "/ovirt-engine/webadmin/{}/{}", handle_web_file, .open = TRUE},
  {"GET", "/health", handle_health, .open = TRUE},
  {"GET", "/metrics", handle_metrics, .open = TRUE},
  {NULL},
};

const Route *routes_all(void) {
  return routes;
}

/* How many segments stand for the base, -1: it is not the API. */
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

/* Segment by segment; "{}" takes any. */
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
