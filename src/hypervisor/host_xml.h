/* SPDX-License-Identifier: Apache-2.0 */
/* Not for other layers. */
#pragma once

#include "hypervisor/host.h"
#include "xml.h"

/*
 * The NUMA cells of libvirt's capabilities (DmHostCell), of which free is not known yet; none for a host that tells of
 * none. The caller unrefs. NULL with an error.
 */
GArray *host_cells_from_xml(const char *xml, GError **error) G_GNUC_WARN_UNUSED_RESULT;
