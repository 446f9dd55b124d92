/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "connection_private.h"
#include "domain_private.h"
#include "hypervisor/domain.h"

const char *dm_power_name(DmPower power) {
  static const char *const names[] = {
    [DM_POWER_START] = "start",
    [DM_POWER_STOP] = "stop",
    [DM_POWER_SHUTDOWN] = "shut down",
    [DM_POWER_REBOOT] = "reboot",
    [DM_POWER_COLD_REBOOT] = "reboot",
  };
  return names[power];
}

static int start(virDomainPtr domain) {
  int state = 0;
  if (virDomainGetState(domain, &state, NULL, 0) < 0)
    return -1;
  if (state == VIR_DOMAIN_PMSUSPENDED)
    return virDomainPMWakeup(domain, 0);
  return state == VIR_DOMAIN_PAUSED ? virDomainResume(domain) : virDomainCreate(domain);
}

/* A reboot by libvirt keeps the QEMU process, and with it the old values, unless the VM's reboot is a destroy. */
static int reboot_cold(virDomainPtr domain) {
  if (virDomainSetLifecycleAction(
        domain, VIR_DOMAIN_LIFECYCLE_REBOOT, VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY, VIR_DOMAIN_AFFECT_LIVE) < 0)
    return -1;
  return virDomainReboot(domain, 0);
}

gboolean dm_domain_power(DmConnection *connection, const char *uuid, DmPower power, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, error);
  int done = -1;
  if (domain == NULL)
    return FALSE;
  g_autofree char *name = g_strdup(virDomainGetName(domain)); /* later it would take libvirt's last error away */
  switch (power) {
    case DM_POWER_START:
      done = start(domain);
      break;
    case DM_POWER_STOP:
      done = virDomainDestroy(domain);
      break;
    case DM_POWER_SHUTDOWN:
      done = virDomainShutdown(domain);
      break;
    case DM_POWER_REBOOT:
      done = virDomainReboot(domain, 0);
      break;
    case DM_POWER_COLD_REBOOT:
      done = reboot_cold(domain);
      break;
  }
  if (done < 0)
    virt_error_set(error, "cannot %s %s", dm_power_name(power), name);
  return done >= 0;
}
