/* SPDX-License-Identifier: Apache-2.0 */
/* Domain XML in and out, on strings: no libvirt call. Not for other layers. */
#pragma once

#include <glib.h>

#include "model/vm.h"
#include "xml.h"

/* One <memory> of <devices>. @vm_uuid makes the id of a device that has no user alias. */
DmMemoryDevice *device_xml_read(const xmlNode *node, const char *vm_uuid, guint index) G_GNUC_WARN_UNUSED_RESULT;

/* The XML that plugs the device of @step. The caller g_frees. */
char *device_xml_format(const DmStep *step) G_GNUC_WARN_UNUSED_RESULT;

/* Appends a new device to <devices> of a persistent definition. */
void device_xml_add(xmlNode *devices, const DmMemoryDevice *device);

/* The device of @alias in a live definition, asking for @requested bytes. NULL if there is none. The caller g_frees. */
char *device_xml_resized(
  const char *domain_xml, const char *alias, uint64_t requested, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The memory side of one definition, live or persistent. Fills uuid, name and arch of @vm if they are NULL; a request
 * in its metadata becomes @request (owned by the caller, NULL: none). @request may be NULL.
 */
DmConfig *domain_xml_read(const char *xml, DmVm *vm, DmRequest **request, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * A copy of @definition, under @name, that can be started beside the VM; see trial_xml.c. It is marked, so that it is
 * not taken for a VM. The caller g_frees.
 */
char *trial_xml_copy(const char *definition, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The running configuration @live as a definition to replace @definition; @run, libvirt's domain id, is its id
 * attribute. The caller g_frees.
 */
char *trial_xml_present(const char *live, const char *definition, guint run, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The machine it describes. */
DmMachine machine_xml_read(const xmlNode *domain);

/* It is an option of QEMU that says how the machine is made, with one dash or two. NULL: no. */
gboolean machine_xml_is_option(const char *argument);

/*
 * @xml, a persistent definition, with the memory side of @wanted, which was made from domain_xml_read() of the same
 * text: cells, devices (by index: dropped, resized; added), balloon options, maximum, slots, guaranteed, a NUMA cell if
 * has_numa is new. The rest stays. NULL, without an error, if nothing differs. The caller g_frees.
 */
char *domain_xml_edit(const char *xml, const DmConfig *wanted, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same with another @title and @description, "": none, NULL: unchanged. */
char *domain_xml_describe(
  const char *xml, const char *title, const char *description, GError **error) G_GNUC_WARN_UNUSED_RESULT;
