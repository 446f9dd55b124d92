/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/domain.h"

#include "base/error.h"
#include "base/size.h"
#include "domain_private.h"
#include "domain_xml.h"
#include "metadata.h"

static DmVmState state_of(int state) {
  switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
    case VIR_DOMAIN_NOSTATE:
      return DM_VM_RUNNING;
    case VIR_DOMAIN_PAUSED:
      return DM_VM_PAUSED;
    case VIR_DOMAIN_SHUTDOWN:
      return DM_VM_SHUTTING_DOWN;
    case VIR_DOMAIN_CRASHED:
      return DM_VM_CRASHED;
    case VIR_DOMAIN_PMSUSPENDED:
      return DM_VM_SUSPENDED;
    default:
      return DM_VM_SHUT_OFF;
  }
}

static DmConfig *read_config(virDomainPtr domain, guint flags, DmVm *vm, DmRequest **request, GError **error) {
  char *xml = virDomainGetXMLDesc(domain, flags);
  if (xml == NULL) {
    virt_error_set(error, "cannot read the definition of %s", vm->name);
    return NULL;
  }
  DmConfig *config = domain_xml_read(xml, vm, request, error);
  free(xml);
  return config;
}

DmVm *domain_read_standing(virDomainPtr domain, const Standing *standing, GError **error) {
  g_autoptr(DmVm) vm = dm_vm_new();
  vm->name = g_strdup(virDomainGetName(domain));
  vm->state = state_of(standing->state);
  vm->saved = vm->state == DM_VM_SHUT_OFF && standing->saved;
  if (vm->state != DM_VM_SHUT_OFF) {
    vm->live = read_config(domain, 0, vm, &vm->request, error);
    if (vm->live == NULL)
      return NULL;
  }
  if (standing->persistent) {
    vm->next_run = read_config(domain, VIR_DOMAIN_XML_INACTIVE, vm, NULL, error);
    if (vm->next_run == NULL)
      return NULL;
  }
  if (dm_vm_current(vm) == NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_NO_SUCH_VM, "%s is gone: it was transient, and has stopped", vm->name);
    return NULL;
  }
  return g_steal_pointer(&vm);
}

DmVm *domain_read(virDomainPtr domain, GError **error) {
  Standing standing = {0};
  const char *name = virDomainGetName(domain); /* later it would take libvirt's last error away */
  if (virDomainGetState(domain, &standing.state, NULL, 0) < 0) {
    virt_error_set(error, "cannot read the state of %s", name);
    return NULL;
  }
  standing.persistent = virDomainIsPersistent(domain) == 1;
  standing.saved = state_of(standing.state) == DM_VM_SHUT_OFF && virDomainHasManagedSaveImage(domain, 0) == 1;
  return domain_read_standing(domain, &standing, error);
}

virDomainPtr domain_look_up(DmConnection *connection, const char *name, GError **error) {
  virConnectPtr virt = connection_get_virt(connection);
  virDomainPtr domain = NULL;
  if (g_uuid_string_is_valid(name)) /* first, as in virsh */
    domain = virDomainLookupByUUIDString(virt, name);
  if (domain == NULL)
    domain = virDomainLookupByName(virt, name);
  if (domain != NULL)
    return domain;
  if (virt_error_last() != VIR_ERR_NO_DOMAIN) {
    virt_error_set(error, "cannot look up %s", name);
    return NULL;
  }
  GError *missing = g_error_new(DM_ERROR, DM_ERROR_NO_SUCH_VM, "there is no VM '%s' on %s; look which there are", name,
    dm_connection_uri(connection));
  dm_error_add_command(&missing, "dimmer", "list", NULL);
  dm_error_set_origin(missing, virGetLastErrorDomain(), virGetLastErrorCode());
  g_propagate_error(error, missing);
  return NULL;
}

DmVm *dm_domain_read(DmConnection *connection, const char *name, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, name, error);
  return domain != NULL ? domain_read(domain, error) : NULL;
}

/* A backup is none of them: libvirt lets a VM change meanwhile. */
static const char *const job_words[] = {
  [VIR_DOMAIN_JOB_OPERATION_SAVE] = "saved to a file",
  [VIR_DOMAIN_JOB_OPERATION_RESTORE] = "restored from a file",
  [VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN] = "migrated",
  [VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT] = "migrated",
  [VIR_DOMAIN_JOB_OPERATION_SNAPSHOT] = "captured in a snapshot",
  [VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT] = "reverted to a snapshot",
  [VIR_DOMAIN_JOB_OPERATION_DUMP] = "dumped to a file",
};

/* The host that a VM comes to has no statistics of that, but waits for it with the VM paused. */
const char *domain_job(virDomainPtr domain) {
  virTypedParameterPtr stats = NULL;
  int count = 0, type = VIR_DOMAIN_JOB_NONE, operation = 0, state = 0, reason = 0;
  if (virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED &&
    reason == VIR_DOMAIN_PAUSED_MIGRATION)
    return job_words[VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN];
  if (virDomainGetJobStats(domain, &type, &stats, &count, 0) < 0)
    return NULL;
  if (type != VIR_DOMAIN_JOB_NONE)
    virTypedParamsGetInt(stats, count, VIR_DOMAIN_JOB_OPERATION, &operation);
  virTypedParamsFree(stats, count);
  return operation >= 0 && operation < (int)G_N_ELEMENTS(job_words) ? job_words[operation] : NULL;
}

void dm_domain_read_job(DmConnection *connection, DmVm *vm) {
  g_autoptr(virDomain) domain = vm->live != NULL ? domain_look_up(connection, vm->uuid, NULL) : NULL;
  vm->job = domain != NULL ? domain_job(domain) : NULL;
}

gboolean dm_domain_store(
  DmConnection *connection, const DmVm *vm, uint64_t guaranteed, const DmRequest *request, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, error);
  if (domain == NULL)
    return FALSE;
  g_autofree char *element = metadata_format(guaranteed, vm->live, request, vm->refusals);
  if (virDomainSetMetadata(
        domain, VIR_DOMAIN_METADATA_ELEMENT, element, METADATA_PREFIX, METADATA_NAMESPACE, VIR_DOMAIN_AFFECT_LIVE) == 0)
    return TRUE;
  if (element == NULL && virt_error_last() == VIR_ERR_NO_DOMAIN_METADATA)
    return TRUE;
  virt_error_set(error, "cannot write to the metadata of %s", vm->name);
  return FALSE;
}

/* SECURE: without it libvirt leaves passwords out, and defining that text would lose them. */
#define WHOLE_DEFINITION (VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE)

gboolean dm_domain_change_next_run(
  DmConnection *connection, const DmVm *vm, DmConfigFunc change, gpointer data, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, error);
  if (domain == NULL)
    return FALSE;
  if (virDomainIsPersistent(domain) != 1) { /* defining a transient VM would make it persistent */
    g_set_error(error, DM_ERROR, DM_ERROR_NO_NEXT_RUN, "%s is a transient VM now: it has no next run", vm->name);
    return FALSE;
  }
  char *xml = virDomainGetXMLDesc(domain, WHOLE_DEFINITION);
  if (xml == NULL) {
    virt_error_set(error, "cannot read the persistent definition of %s", vm->name);
    return FALSE;
  }
  g_autofree char *text = g_strdup(xml);
  free(xml);

  g_autoptr(DmVm) scratch = dm_vm_new();
  g_autoptr(DmConfig) persistent = domain_xml_read(text, scratch, NULL, error);
  g_autoptr(DmConfig) wanted = persistent != NULL ? change(persistent, data, error) : NULL;
  if (wanted == NULL)
    return FALSE;
  g_autoptr(GError) failed = NULL;
  g_autofree char *edited = domain_xml_edit(text, wanted, &failed);
  if (failed != NULL) {
    g_propagate_error(error, g_steal_pointer(&failed));
    return FALSE;
  }
  if (edited == NULL)
    return TRUE;
  g_autoptr(virDomain) defined = virDomainDefineXML(connection_get_virt(connection), edited);
  if (defined == NULL)
    virt_error_set(error, "cannot write the next-run configuration of %s", vm->name);
  return defined != NULL;
}

static gboolean ask_unplug(virDomainPtr domain, const DmStep *step, gboolean *look, GError **error) {
  if (virDomainDetachDeviceAlias(domain, step->alias, VIR_DOMAIN_AFFECT_LIVE) == 0)
    return TRUE;
  if (virt_error_last() == VIR_ERR_DEVICE_MISSING) {
    *look = TRUE;
    return TRUE;
  }
  virt_error_set(error, "cannot hot unplug %s", step->alias);
  return FALSE;
}

static gboolean ask_resize(virDomainPtr domain, const DmStep *step, GError **error) {
  char *xml = virDomainGetXMLDesc(domain, 0);
  if (xml == NULL) {
    virt_error_set(error, "cannot read %s", step->alias);
    return FALSE;
  }
  g_autofree char *device = device_xml_resized(xml, step->alias, step->to, error);
  free(xml);
  if (device == NULL)
    return FALSE;
  if (virDomainUpdateDeviceFlags(domain, device, VIR_DOMAIN_AFFECT_LIVE) == 0)
    return TRUE;
  virt_error_set(error, "cannot resize %s", step->alias);
  return FALSE;
}

/* QEMU's words for a host that is out of huge pages are only that it cannot allocate. */
static gboolean ask_plug(virDomainPtr domain, const DmVm *vm, const DmStep *step, GError **error) {
  g_autofree char *device = device_xml_format(step);
  g_autofree char *page = dm_size_format(vm->live->page);
  if (virDomainAttachDeviceFlags(domain, device, VIR_DOMAIN_AFFECT_LIVE) == 0)
    return TRUE;
  virt_error_set(error, "cannot hot plug %s", step->alias);
  if (vm->live->page != 0)
    g_prefix_error(
      error, "%s is backed by huge pages of %s, of which its host may have too few free: ", vm->name, page);
  return FALSE;
}

static gboolean ask(virDomainPtr domain, const DmVm *vm, const DmStep *step, gboolean *look, GError **error) {
  if (step->op == DM_OP_UNPLUG)
    return ask_unplug(domain, step, look, error);
  *look = TRUE;
  return step->op == DM_OP_RESIZE ? ask_resize(domain, step, error) : ask_plug(domain, vm, step, error);
}

gboolean dm_domain_ask(
  DmConnection *connection, const DmVm *vm, const GPtrArray *steps, gboolean *look, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, error);
  gboolean plug_failed = FALSE;
  if (domain == NULL)
    return FALSE;
  for (guint i = 0; i < steps->len; i++) {
    DmStep *step = steps->pdata[i];
    g_autoptr(GError) failed = NULL;
    step->asked_at = g_get_monotonic_time();
    if (plug_failed)
      g_set_error(&failed, DM_ERROR, DM_ERROR_FAILED, "not tried, as the device before it failed");
    if (failed != NULL || !ask(domain, vm, step, look, &failed)) {
      plug_failed = step->op == DM_OP_PLUG;
      g_free(step->reason);
      step->reason = g_strdup(failed->message);
    }
  }
  return TRUE;
}
