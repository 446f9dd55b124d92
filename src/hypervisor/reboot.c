/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/reboot.h"

#include "base/error.h"
#include "domain_private.h"
#include "domain_xml.h"

#define TRIAL_PREFIX "dimmer-trial-"

/* virDomainGetName() resets libvirt's last error: call it before calls that may fail. */
static char *read_definition(virDomainPtr domain, guint flags, GError **error) {
  g_autofree char *name = g_strdup(virDomainGetName(domain));
  char *xml = virDomainGetXMLDesc(domain, flags);
  if (xml == NULL) {
    virt_error_set(error, "cannot read the definition of %s", name);
    return NULL;
  }
  char *copy = g_strdup(xml);
  free(xml);
  return copy;
}

/* A missing permission or driver feature says nothing about the definition. */
static gboolean says_nothing(int code) {
  return code == VIR_ERR_NO_SUPPORT || code == VIR_ERR_OPERATION_DENIED || code == VIR_ERR_ACCESS_DENIED ||
    code == VIR_ERR_AUTH_FAILED || code == VIR_ERR_AUTH_CANCELLED || code == VIR_ERR_AUTH_UNAVAILABLE ||
    code == VIR_ERR_HOOK_SCRIPT_FAILED;
}

/* One left by a process that was killed during a trial. */
static void end_leftover(virConnectPtr virt, const char *name) {
  g_autoptr(virDomain) leftover = virDomainLookupByName(virt, name);
  if (leftover != NULL)
    virDomainDestroy(leftover);
}

static gboolean start_copy(
  virConnectPtr virt, const char *copy, const char *name, const char *vm_name, GError **error) {
  end_leftover(virt, name);
  g_autoptr(virDomain) trial = virDomainCreateXML(virt, copy, VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY);
  if (trial != NULL) {
    virDomainDestroy(trial);
    return TRUE;
  }
  if (says_nothing(virt_error_last()))
    return TRUE;
  GError *failed = NULL;
  virt_error_set(
    &failed, "%s could not start with its next-run configuration, so it was left running; fix that first", vm_name);
  if (failed->code == DM_ERROR_FAILED)
    failed->code = DM_ERROR_CANNOT_START;
  g_propagate_error(error, failed);
  return FALSE;
}

gboolean dm_reboot_try(DmConnection *connection, const char *uuid, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, error);
  g_autofree char *definition = domain != NULL ? read_definition(domain, VIR_DOMAIN_XML_INACTIVE, error) : NULL;
  if (definition == NULL)
    return FALSE;
  g_autoptr(DmVm) scratch = dm_vm_new();
  g_autoptr(DmConfig) config = domain_xml_read(definition, scratch, NULL, error);
  if (config == NULL)
    return FALSE;
  if (config->machine.arch == NULL) /* not QEMU's */
    return TRUE;
  g_autofree char *name = g_strconcat(TRIAL_PREFIX, uuid, NULL);
  g_autofree char *copy = trial_xml_copy(definition, name, error);
  virConnectPtr virt = copy != NULL ? connection_get_virt(connection, error) : NULL;
  return virt != NULL && start_copy(virt, copy, name, scratch->name, error);
}

char *dm_reboot_present(DmConnection *connection, const char *uuid, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, error);
  g_autofree char *live =
    domain != NULL ? read_definition(domain, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE, error) : NULL;
  g_autofree char *next =
    live != NULL ? read_definition(domain, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE, error) : NULL;
  return next != NULL ? trial_xml_present(live, next, virDomainGetID(domain), error) : NULL;
}

char *dm_reboot_definition(DmConnection *connection, const char *uuid, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, error);
  return domain != NULL ? read_definition(domain, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE, error) : NULL;
}

/* A reboot by libvirt keeps the QEMU process and thus the old values, unless on_reboot is destroy. */
gboolean dm_reboot_ask(DmConnection *connection, const char *uuid, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, error);
  if (domain == NULL)
    return FALSE;
  g_autofree char *name = g_strdup(virDomainGetName(domain));
  if (virDomainSetLifecycleAction(
        domain, VIR_DOMAIN_LIFECYCLE_REBOOT, VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY, VIR_DOMAIN_AFFECT_LIVE) == 0 &&
    virDomainReboot(domain, 0) == 0)
    return TRUE;
  virt_error_set(error, "cannot reboot %s", name);
  return FALSE;
}

static virDomainLifecycleAction action_of(const char *definition) {
  static const char *const names[] = {[VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY] = "destroy",
    [VIR_DOMAIN_LIFECYCLE_ACTION_RESTART] = "restart",
    [VIR_DOMAIN_LIFECYCLE_ACTION_RESTART_RENAME] = "rename-restart",
    [VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE] = "preserve"};
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE + 1);
  g_autoptr(xmlDoc) doc = xml_parse(definition, NULL);
  g_autofree char *action = doc != NULL ? xml_text(xml_child(xmlDocGetRootElement(doc), "on_reboot")) : NULL;
  for (gsize i = 0; action != NULL && i < G_N_ELEMENTS(names); i++) {
    if (g_str_equal(names[i], action))
      return (virDomainLifecycleAction)i;
  }
  return VIR_DOMAIN_LIFECYCLE_ACTION_RESTART;
}

gboolean dm_reboot_call_off(DmConnection *connection, const char *uuid, const char *present, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, error);
  if (domain == NULL)
    return FALSE;
  g_autofree char *name = g_strdup(virDomainGetName(domain));
  if (virDomainSetLifecycleAction(domain, VIR_DOMAIN_LIFECYCLE_REBOOT, action_of(present), VIR_DOMAIN_AFFECT_LIVE) == 0)
    return TRUE;
  virt_error_set(error, "cannot have a reset of %s be a reset again", name);
  return FALSE;
}

static unsigned int run_of(const char *present) {
  g_autoptr(xmlDoc) doc = xml_parse(present, NULL);
  return doc != NULL ? (unsigned int)xml_attribute_number(xmlDocGetRootElement(doc), "id", 0) : 0;
}

DmRebootStanding dm_reboot_look(DmConnection *connection, const char *uuid, const char *present) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, NULL);
  int state = 0, reason = 0;
  if (domain == NULL || virDomainGetState(domain, &state, &reason, 0) < 0)
    return DM_REBOOT_OVER;
  if (state != VIR_DOMAIN_SHUTOFF)
    return present == NULL || virDomainGetID(domain) == run_of(present) ? DM_REBOOT_WAITS : DM_REBOOT_OVER;
  /* unknown: libvirt was restarted meanwhile */
  return reason == VIR_DOMAIN_SHUTOFF_SHUTDOWN || reason == VIR_DOMAIN_SHUTOFF_UNKNOWN ||
      reason == VIR_DOMAIN_SHUTOFF_FAILED || reason == VIR_DOMAIN_SHUTOFF_DAEMON
    ? DM_REBOOT_WENT_DOWN
    : DM_REBOOT_OVER;
}

gboolean dm_reboot_start(DmConnection *connection, const char *uuid, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, error);
  if (domain == NULL)
    return FALSE;
  g_autofree char *name = g_strdup(virDomainGetName(domain));
  if (virDomainCreate(domain) == 0)
    return TRUE;
  virt_error_set(error, "cannot start %s", name);
  return FALSE;
}

gboolean dm_reboot_define(DmConnection *connection, const char *definition, GError **error) {
  virConnectPtr virt = connection_get_virt(connection, error);
  if (virt == NULL)
    return FALSE;
  g_autoptr(virDomain) domain = virDomainDefineXML(virt, definition);
  if (domain == NULL)
    virt_error_set(error, "cannot write a definition back");
  return domain != NULL;
}
