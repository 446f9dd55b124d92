/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "hypervisor/connection.h"
#include "virt_error.h"

/* libvirt's own connection for calls; the DmConnection keeps it. */
virConnectPtr connection_get_virt(DmConnection *connection);
