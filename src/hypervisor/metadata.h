/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dimmer stores in a VM's own metadata, in the namespace urn:dimmer:memory:1:
 *
 *   <memory guaranteed="943718400" maximum="…" slots="…" floor="536870912" floor-kind="virtio-mem">
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
 * Reads dimmer's element of <metadata> into guaranteed and the saved maximum of @config; without guaranteed, oVirt's
 * minGuaranteedMemoryMb is used. Returns the request in flight, or NULL. @metadata may be NULL.
 */
DmRequest *metadata_read(const xmlNode *metadata, DmConfig *config) G_GNUC_WARN_UNUSED_RESULT;

/* Appends the refusals (DmRefusal) that dimmer's element of <metadata> has. @metadata may be NULL. */
void metadata_read_refusals(const xmlNode *metadata, GPtrArray *refusals);

/*
 * The element as virDomainSetMetadata() wants it: without prefix and namespace, which libvirt adds. NULL if there is
 * nothing to store. @refusals (DmRefusal) may be NULL. The caller g_frees.
 */
char *metadata_format(uint64_t guaranteed, const DmConfig *config, const DmRequest *request,
  const GPtrArray *refusals) G_GNUC_WARN_UNUSED_RESULT;

/* Marks a domain as a trial of a VM's definition, not a VM; and checks for the mark. */
void metadata_mark_trial(xmlNode *domain);
gboolean metadata_is_trial(const xmlNode *domain);

/* Removes the request and the refusals: they belong to one run. */
void metadata_drop_request(xmlNode *domain);

/* Writes guaranteed and the saved maximum into a whole domain's <metadata>; the request stays unchanged. */
void metadata_edit(xmlNode *domain, const DmConfig *config);
