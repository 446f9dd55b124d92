/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/balloon.h"

#include "base/size.h"
#include "domain_private.h"

gboolean dm_balloon_read(DmConnection *connection, const DmVm *vm, DmBalloonStats *stats, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, error);
  virDomainMemoryStatStruct list[VIR_DOMAIN_MEMORY_STAT_NR];
  DmBalloonStats found = {0};
  if (domain == NULL)
    return FALSE;
  int count = virDomainMemoryStats(domain, list, VIR_DOMAIN_MEMORY_STAT_NR, 0);
  if (count < 0) {
    virt_error_set(error, "cannot read the balloon of %s", vm->name);
    return FALSE;
  }
  uint64_t unused = 0;
  for (int i = 0; i < count; i++) {
    if (list[i].tag == VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON)
      found.actual = list[i].val * DM_KIB;
    else if (list[i].tag == VIR_DOMAIN_MEMORY_STAT_USABLE)
      found.usable = list[i].val * DM_KIB;
    else if (list[i].tag == VIR_DOMAIN_MEMORY_STAT_UNUSED)
      unused = list[i].val * DM_KIB;
    else if (list[i].tag == VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE)
      found.updated_s = (int64_t)list[i].val;
  }
  if (found.usable == 0) /* a driver before Linux 4.6 */
    found.usable = unused;
  *stats = found;
  return TRUE;
}

void dm_balloon_find_out(DmConnection *connection, DmVm *vm) {
  uint64_t held;
  DmBalloonStats stats;
  if (vm->live == NULL || vm->state != DM_VM_RUNNING || dm_vm_ballooned(vm, &held))
    return;
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, NULL);
  if (domain != NULL && domain_job(domain) == NULL && dm_balloon_read(connection, vm, &stats, NULL))
    vm->balloon_actual = stats.actual;
}

void dm_balloon_find_driver(DmConnection *connection, DmVm *vm) {
  DmBalloonStats stats;
  if (vm->live == NULL || vm->state != DM_VM_RUNNING || !vm->balloon || vm->balloon_period_s == 0 || vm->job != NULL)
    return;
  vm->balloon_mute = dm_balloon_read(connection, vm, &stats, NULL) && stats.updated_s == 0;
}

gboolean dm_balloon_set(DmConnection *connection, const DmVm *vm, uint64_t actual, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, error);
  if (domain == NULL)
    return FALSE;
  if (virDomainSetMemoryFlags(domain, (unsigned long)(actual / DM_KIB), VIR_DOMAIN_AFFECT_LIVE) == 0)
    return TRUE;
  virt_error_set(error, "cannot move the balloon of %s", vm->name);
  return FALSE;
}

gboolean dm_balloon_set_period(DmConnection *connection, const DmVm *vm, guint period_s, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, error);
  if (domain == NULL)
    return FALSE;
  if (virDomainSetMemoryStatsPeriod(domain, (int)period_s, VIR_DOMAIN_AFFECT_LIVE) == 0)
    return TRUE;
  virt_error_set(error, "cannot turn on statistics of the balloon of %s", vm->name);
  return FALSE;
}
