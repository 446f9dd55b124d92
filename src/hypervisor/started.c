/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start time of a VM. libvirt does not report it, but it has a pid file of each QEMU in its state folder, which is
 * readable by all (src/util/virpidfile.c, qemu_conf.c) and written once, when QEMU starts. So it is known for VMs on
 * this machine, for others only from the start event.
 */
#include <sys/stat.h>

#include "connection_private.h"
#include "hypervisor/domain.h"

int64_t dm_domain_started(DmConnection *connection, const char *name) {
  const char *folder = connection_state_folder(connection);
  g_autofree char *file = g_strconcat(name, ".pid", NULL);
  g_autofree char *path = folder != NULL ? g_build_filename(folder, file, NULL) : NULL;
  struct stat found;
  if (path == NULL || stat(path, &found) != 0 || !S_ISREG(found.st_mode))
    return 0;
  return (int64_t)found.st_mtim.tv_sec * 1000 + found.st_mtim.tv_nsec / 1000000;
}
