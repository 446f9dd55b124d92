/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dimmer keeps in a VM's own metadata, in the namespace urn:dimmer:memory:1:
 *
 *   <memory guaranteed="943718400" maximum="…" slots="…">
 *     <request id="UUID" action="set" state="asked" host="h" pid="1" started="…" deadline="…" memory="…" …>
 *       <step op="unplug" alias="ua-…" id="…" kind="dimm" node="0" size="…" from="…" to="…" state="asked"/>
 *     </request>
 *     <refusal alias="ua-…" at="…" guest="…"/>
 *   </memory>
 *
 * Sizes are bytes, times seconds since 1970. docs/metadata.md describes it for other tools. Not for other layers.
 */
#pragma once

#include <glib.h>

#include "model/vm.h"
#include "xml.h"

#define METADATA_NAMESPACE "urn:dimmer:memory:1"
#define METADATA_PREFIX "dimmer"

/*
 * Reads dimmer's element of <metadata> into guaranteed and the maximum kept aside of @config; where there is no
 * guaranteed, oVirt's minGuaranteedMemoryMb counts. Returns the request in flight, or NULL. @metadata may be NULL.
 */
DmRequest *metadata_read(const xmlNode *metadata, DmConfig *config);

/* Appends the refusals (DmRefusal) that dimmer's element of <metadata> has. @metadata may be NULL. */
void metadata_read_refusals(const xmlNode *metadata, GPtrArray *refusals);

/*
 * The element as virDomainSetMetadata() wants it: without prefix and namespace, which libvirt adds. NULL where there is
 * nothing to keep. @refusals (DmRefusal) may be NULL. The caller g_frees.
 */
char *metadata_format(uint64_t guaranteed, const DmConfig *config, const DmRequest *request, const GPtrArray *refusals);

/* Puts guaranteed and the maximum kept aside into a whole domain's <metadata>; the request stays as it is. */
void metadata_edit(xmlNode *domain, const DmConfig *config);
