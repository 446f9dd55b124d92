/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/host.h"

#include "base/size.h"
#include "connection_private.h"

gboolean dm_host_read(DmConnection *connection, DmHostFacts *facts, GError **error) {
  virConnectPtr virt = connection_get_virt(connection, error);
  virNodeInfo info;
  if (virt == NULL)
    return FALSE;
  char *name = virConnectGetHostname(virt);
  if (name == NULL || virNodeGetInfo(virt, &info) < 0) {
    virt_error_set(error, "cannot read about the host of %s", dm_connection_uri(connection));
    free(name);
    return FALSE;
  }
  *facts = (DmHostFacts){.name = g_strdup(name), .memory = info.memory * DM_KIB, .cpus = info.cpus};
  free(name);
  return TRUE;
}

void dm_host_facts_clear(DmHostFacts *facts) {
  g_clear_pointer(&facts->name, g_free);
}
