/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "connection_private.h"

/* The VM of that name or UUID; the caller unrefs. NULL with DM_ERROR_NO_SUCH_VM, whose message says what there is. */
virDomainPtr domain_look_up(DmConnection *connection, const char *name, GError **error);
