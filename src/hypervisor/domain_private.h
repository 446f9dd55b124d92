/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "connection_private.h"
#include "model/vm.h"

/* What libvirt says of a VM beside its definitions. */
typedef struct {
  int state; /* virDomainState */
  gboolean persistent;
  gboolean saved; /* has a managed save image */
} Standing;

/* The VM of that name or UUID; the caller unrefs. NULL with DM_ERROR_NO_SUCH_VM, whose message says what there is. */
virDomainPtr domain_look_up(DmConnection *connection, const char *name, GError **error);

DmVm *domain_read(virDomainPtr domain, GError **error);

/* The same where the standing is known already. */
DmVm *domain_read_standing(virDomainPtr domain, const Standing *standing, GError **error);

/* As dm_domain_read_job(); NULL: nothing. */
const char *domain_job(virDomainPtr domain);
