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
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_POWERS);
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

gboolean dm_domain_power(DmConnection *connection, const char *uuid, DmPower power, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, error);
  int done = -1;
  if (domain == NULL)
    return FALSE;
  g_autofree char *name = g_strdup(virDomainGetName(domain)); /* later it would reset libvirt's last error */
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
    case DM_POWER_COLD_REBOOT: /* dm_reboot_ask() */
      g_return_val_if_reached(FALSE);
  }
  if (done < 0)
    virt_error_set(error, "cannot %s %s", dm_power_name(power), name);
  return done >= 0;
}
