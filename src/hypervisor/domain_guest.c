/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt knows of a VM's inside, and the agents' ports. */
#include <libvirt/libvirt-qemu.h>

#include "base/error.h"
#include "base/size.h"
#include "domain_private.h"
#include "hypervisor/channel.h"
#include "xml.h"

/*
 * Statistics older than this many periods are stale: the guest has stopped updating them. So are those older than a
 * minute, whatever the period.
 */
#define FRESH_PERIODS 4
#define FRESH_S 60

char *dm_domain_qemu_agent(
  DmConnection *connection, const char *uuid, const char *command, int timeout, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, error);
  if (domain == NULL)
    return NULL;
  char *answer = virDomainQemuAgentCommand(domain, command, timeout, 0);
  if (answer == NULL) {
    virt_error_set(error, "qemu-guest-agent");
    return NULL;
  }
  char *text = g_strdup(answer);
  free(answer);
  return text;
}

/*
 * A guest's balloon driver reports once when it starts, and later plugs are not included, so only periodic statistics
 * are used.
 */
static void read_statistics(virDomainPtr domain, guint period, DmDomainLook *look) {
  virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
  int count = virDomainMemoryStats(domain, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);
  int64_t updated = 0;
  for (int i = 0; i < count; i++) {
    if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_AVAILABLE)
      look->total = stats[i].val * DM_KIB;
    else if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_USABLE)
      look->usable = stats[i].val * DM_KIB;
    else if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE)
      updated = (int64_t)stats[i].val;
  }
  if (g_get_real_time() / G_USEC_PER_SEC - updated > MIN((int64_t)period * FRESH_PERIODS, FRESH_S))
    look->total = look->usable = 0;
}

gboolean dm_domain_look(DmConnection *connection, const DmVm *vm, DmDomainLook *look, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, error);
  if (domain == NULL)
    return FALSE;
  *look = (DmDomainLook){0};
  if (vm->balloon && vm->balloon_period_s != 0)
    read_statistics(domain, vm->balloon_period_s, look);
  return TRUE;
}

/* The XML of a port whose socket libvirt creates. The caller g_frees. */
static char *format_port(const char *port) {
  g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
  xmlNode *channel = xmlNewNode(NULL, (const xmlChar *)"channel");
  xmlDocSetRootElement(doc, channel);
  xmlSetProp(channel, (const xmlChar *)"type", (const xmlChar *)"unix");
  xmlNode *target = xmlNewChild(channel, NULL, (const xmlChar *)"target", NULL);
  xmlSetProp(target, (const xmlChar *)"type", (const xmlChar *)"virtio");
  xmlSetProp(target, (const xmlChar *)"name", (const xmlChar *)port);
  return xml_format_node(channel);
}

/* Whether a definition, live or persistent, has that port; TRUE also if it cannot be read. */
static gboolean has_port(virDomainPtr domain, guint flags, const char *port) {
  char *text = virDomainGetXMLDesc(domain, flags);
  g_autoptr(xmlDoc) doc = text != NULL ? xml_parse(text, NULL) : NULL;
  free(text);
  if (doc == NULL)
    return TRUE;
  const xmlNode *devices = xml_child(xmlDocGetRootElement(doc), "devices");
  for (const xmlNode *channel = xml_child(devices, "channel"); channel != NULL; channel = xml_next(channel)) {
    g_autofree char *name = xml_attribute(xml_child(channel, "target"), "name");
    if (g_strcmp0(name, port) == 0)
      return TRUE;
  }
  return FALSE;
}

static gboolean has_serial(virDomainPtr domain) {
  char *text = virDomainGetXMLDesc(domain, 0);
  g_autoptr(xmlDoc) doc = text != NULL ? xml_parse(text, NULL) : NULL;
  free(text);
  const xmlNode *devices = doc != NULL ? xml_child(xmlDocGetRootElement(doc), "devices") : NULL;
  for (const xmlNode *node = xml_child(devices, "controller"); node != NULL; node = xml_next(node)) {
    g_autofree char *type = xml_attribute(node, "type");
    if (g_strcmp0(type, "virtio-serial") == 0)
      return TRUE;
  }
  return FALSE;
}

gboolean dm_domain_add_port(DmConnection *connection, const DmVm *vm, const char *port, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, error);
  if (domain == NULL)
    return FALSE;
  g_autofree char *xml = format_port(port);
  const struct {
    gboolean there;
    guint xml_flags, affect;
  } definitions[] = {
    {vm->live != NULL, 0, VIR_DOMAIN_AFFECT_LIVE},
    {vm->next_run != NULL, VIR_DOMAIN_XML_INACTIVE, VIR_DOMAIN_AFFECT_CONFIG},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(definitions); i++) {
    if (!definitions[i].there || has_port(domain, definitions[i].xml_flags, port))
      continue;
    if (virDomainAttachDeviceFlags(domain, xml, definitions[i].affect) < 0) {
      if (definitions[i].affect == VIR_DOMAIN_AFFECT_LIVE && !has_serial(domain))
        g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
          "cannot give %s the port %s: it has no virtio-serial controller, which cannot be hot plugged; write "
          "<controller type='virtio-serial'/> into <devices> of its definition, and start it anew",
          vm->name, port);
      else
        virt_error_set(error, "cannot give %s the port %s", vm->name, port);
      return FALSE;
    }
  }
  return TRUE;
}
