/* SPDX-License-Identifier: Apache-2.0 */
/* Domain XML in and out, on strings: no libvirt call. Not for other layers. */
#pragma once

#include <glib.h>

#include "model/vm.h"
#include "xml.h"

/* One <memory> of <devices>. @vm_uuid makes the id of a device that has no user alias. */
DmMemoryDevice *device_xml_read(const xmlNode *node, const char *vm_uuid, guint index);

/* The XML that plugs what @step wants. The caller g_frees. */
char *device_xml_format(const DmStep *step);

/* The device of @alias in a live definition, asking for @requested bytes. NULL if there is none. The caller g_frees. */
char *device_xml_resized(const char *domain_xml, const char *alias, uint64_t requested, GError **error);

/*
 * The memory side of one definition, live or persistent. Fills uuid, name and arch of @vm where they are NULL; a
 * request in its metadata becomes @request (owned by the caller, NULL: none). @request may be NULL.
 */
DmConfig *domain_xml_read(const char *xml, DmVm *vm, DmRequest **request, GError **error);

/*
 * @xml, a persistent definition, with the memory side of @wanted, which was made from domain_xml_read() of the same
 * text: cells, devices (by index: dropped, or of another requested size), maximum, slots, guaranteed, a NUMA cell where
 * has_numa is new. The rest stays. NULL, without an error, where nothing differs. The caller g_frees.
 */
char *domain_xml_edit(const char *xml, const DmConfig *wanted, GError **error);
