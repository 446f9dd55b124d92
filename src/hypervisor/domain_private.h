/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "connection_private.h"
#include "model/vm.h"

/* State of a VM beside its definitions. */
typedef struct {
  int state;  /* virDomainState */
  int reason; /* of that state's own enum */
  gboolean persistent;
  gboolean saved; /* has a managed save image */
} Standing;

/* The VM of that name or UUID; the caller unrefs. NULL with DM_ERROR_NO_SUCH_VM, whose message says which exist. */
virDomainPtr domain_look_up(DmConnection *connection, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DmVm *domain_read(DmConnection *connection, virDomainPtr domain, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same if the standing is known already. */
DmVm *domain_read_standing(
  DmConnection *connection, virDomainPtr domain, const Standing *standing, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* As dm_domain_read_job(); NULL: none. */
const char *domain_job(virDomainPtr domain);
