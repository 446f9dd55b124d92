/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/domain.h"

#include <string.h>

#include "abilities.h"
#include "base/error.h"
#include "base/size.h"
#include "domain_private.h"
#include "domain_xml.h"
#include "metadata.h"
#include "words/finding.h"
#include "words/host_failure.h"

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

/* A request open when the VM was saved is open again once it is restored. */
static gboolean read_saved_request(virDomainPtr domain) {
  g_autoptr(DmVm) scratch = dm_vm_new();
  DmRequest *request = NULL;
  char *xml = virDomainManagedSaveGetXMLDesc(domain, 0);
  DmConfig *config = xml != NULL ? domain_xml_read(xml, scratch, &request, NULL) : NULL;
  gboolean open = request != NULL;
  dm_request_free(request);
  dm_config_free(config);
  free(xml);
  return open;
}

DmVm *domain_read_standing(DmConnection *connection, virDomainPtr domain, const Standing *standing, GError **error) {
  g_autoptr(DmVm) vm = dm_vm_new();
  vm->name = g_strdup(virDomainGetName(domain));
  vm->state = state_of(standing->state);
  vm->booted = standing->state == VIR_DOMAIN_RUNNING && standing->reason == VIR_DOMAIN_RUNNING_BOOTED;
  vm->saved = vm->state == DM_VM_SHUT_OFF && standing->saved;
  vm->saved_request = vm->saved && read_saved_request(domain);
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
  abilities_tell(connection, vm->live);
  abilities_tell(connection, vm->next_run);
  return g_steal_pointer(&vm);
}

DmVm *domain_read(DmConnection *connection, virDomainPtr domain, GError **error) {
  Standing standing = {0};
  const char *name = virDomainGetName(domain); /* later it would reset libvirt's last error */
  if (virDomainGetState(domain, &standing.state, &standing.reason, 0) < 0) {
    virt_error_set(error, "cannot read the state of %s", name);
    return NULL;
  }
  standing.persistent = virDomainIsPersistent(domain) == 1;
  standing.saved = state_of(standing.state) == DM_VM_SHUT_OFF && virDomainHasManagedSaveImage(domain, 0) == 1;
  return domain_read_standing(connection, domain, &standing, error);
}

virDomainPtr domain_look_up(DmConnection *connection, const char *name, GError **error) {
  virConnectPtr virt = connection_get_virt(connection, error);
  virDomainPtr domain = NULL;
  if (virt == NULL)
    return NULL;
  if (g_uuid_string_is_valid(name)) /* tried first, as in virsh */
    domain = virDomainLookupByUUIDString(virt, name);
  if (domain == NULL)
    domain = virDomainLookupByName(virt, name);
  if (domain != NULL)
    return domain;
  if (virt_error_last() != VIR_ERR_NO_DOMAIN) {
    virt_error_set(error, "cannot look up %s", name);
    return NULL;
  }
  GError *missing = g_error_new(
    DM_ERROR, DM_ERROR_NO_SUCH_VM, "there is no VM '%s' on %s; list the VMs", name, dm_connection_uri(connection));
  dm_error_add_command(&missing, "dimmer", "list", NULL);
  dm_error_set_origin(missing, virGetLastErrorDomain(), virGetLastErrorCode());
  g_propagate_error(error, missing);
  return NULL;
}

DmVm *dm_domain_read(DmConnection *connection, const char *name, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, name, error);
  DmVm *vm = domain != NULL ? domain_read(connection, domain, error) : NULL;
  if (vm == NULL)
    return NULL;
  if (vm->trial) {
    g_set_error(error, DM_ERROR, DM_ERROR_NO_SUCH_VM, "%s is not a VM, but a trial start of one", name);
    dm_vm_free(vm);
    return NULL;
  }
  vm->host_memory = connection_host_memory(connection);
  if (vm->live != NULL)
    vm->started_ms = dm_domain_started(connection, vm->name);
  return vm;
}

/* A backup is none of them: libvirt allows changes meanwhile. */
static const char *const job_words[] = {
  [VIR_DOMAIN_JOB_OPERATION_SAVE] = DM_PHRASE_JOB_SAVE,
  [VIR_DOMAIN_JOB_OPERATION_RESTORE] = DM_PHRASE_JOB_RESTORE,
  [VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN] = DM_PHRASE_JOB_MIGRATION,
  [VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT] = DM_PHRASE_JOB_MIGRATION,
  [VIR_DOMAIN_JOB_OPERATION_SNAPSHOT] = DM_PHRASE_JOB_SNAPSHOT,
  [VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT] = DM_PHRASE_JOB_SNAPSHOT_REVERT,
  [VIR_DOMAIN_JOB_OPERATION_DUMP] = DM_PHRASE_JOB_DUMP,
};

/* The target host of a migration has no job statistics, but its VM is paused meanwhile. */
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

#define VHOST_REGIONS "/sys/module/vhost/parameters/max_mem_regions"

/* Only on this machine: a URI without a host. */
static guint read_vhost_regions(const DmConnection *connection) {
  g_autoptr(GUri) uri = g_uri_parse(dm_connection_uri(connection), G_URI_FLAGS_ENCODED, NULL);
  g_autofree char *text = NULL;
  gboolean local = uri != NULL && (g_uri_get_host(uri) == NULL || *g_uri_get_host(uri) == '\0');
  if (!local || !g_file_get_contents(VHOST_REGIONS, &text, NULL, NULL))
    return 0;
  return (guint)g_ascii_strtoull(text, NULL, 10);
}

void dm_domain_read_job(DmConnection *connection, DmVm *vm) {
  g_autoptr(virDomain) domain = vm->live != NULL ? domain_look_up(connection, vm->uuid, NULL) : NULL;
  vm->job = domain != NULL ? domain_job(domain) : NULL;
  vm->vhost_regions = vm->vhost ? read_vhost_regions(connection) : 0;
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

static gboolean set_words(virDomainPtr domain, const DmVm *vm, int which, const char *text, GError **error) {
  if (text == NULL ||
    virDomainSetMetadata(domain, which, *text != '\0' ? text : NULL, NULL, NULL, VIR_DOMAIN_AFFECT_LIVE) == 0)
    return TRUE;
  virt_error_set(
    error, "cannot write the %s of %s", which == VIR_DOMAIN_METADATA_TITLE ? "title" : "description", vm->name);
  return FALSE;
}

/* SECURE: otherwise libvirt omits passwords, and defining that text would lose them. */
#define WHOLE_DEFINITION (VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE)

/* NULL without an error: unchanged. */
typedef char *(*EditFunc)(const char *xml, gpointer data, GError **error);

static char *read_definition(virDomainPtr domain, const DmVm *vm, GError **error) {
  char *xml = virDomainGetXMLDesc(domain, WHOLE_DEFINITION);
  if (xml == NULL) {
    virt_error_set(error, "cannot read the persistent definition of %s", vm->name);
    return NULL;
  }
  char *text = g_strdup(xml);
  free(xml);
  return text;
}

static gboolean define(virDomainPtr domain, const DmVm *vm, const char *xml, GError **error) {
  g_autoptr(virDomain) defined = virDomainDefineXML(virDomainGetConnect(domain), xml);
  if (defined == NULL)
    virt_error_set(error, "cannot write the next-run configuration of %s", vm->name);
  return defined != NULL;
}

/* Defines the persistent definition as edited by @edit, in one write. @rewrite may be NULL. */
static gboolean redefine(
  DmConnection *connection, const DmVm *vm, EditFunc edit, gpointer data, DmRewrite *rewrite, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, error);
  if (domain == NULL)
    return FALSE;
  if (virDomainIsPersistent(domain) != 1) { /* defining a transient VM would make it persistent */
    g_set_error(error, DM_ERROR, DM_ERROR_NO_NEXT_RUN, "%s is a transient VM now: it has no next run", vm->name);
    return FALSE;
  }
  g_autoptr(GError) failed = NULL;
  g_autofree char *text = read_definition(domain, vm, error);
  g_autofree char *edited = text != NULL ? edit(text, data, &failed) : NULL;
  if (text == NULL || failed != NULL) {
    if (failed != NULL)
      g_propagate_error(error, g_steal_pointer(&failed));
    return FALSE;
  }
  if (edited == NULL)
    return TRUE;
  if (!define(domain, vm, edited, error))
    return FALSE;
  if (rewrite != NULL) {
    dm_rewrite_clear(rewrite);
    rewrite->before = g_steal_pointer(&text);
    rewrite->after = read_definition(domain, vm, NULL); /* as libvirt writes it */
  }
  return TRUE;
}

typedef struct {
  DmConnection *connection;
  DmConfigFunc func;
  gpointer data;
} ConfigEdit;

static char *edit_config(const char *xml, gpointer data, GError **error) {
  const ConfigEdit *edit = data;
  g_autoptr(DmVm) scratch = dm_vm_new();
  g_autoptr(DmConfig) persistent = domain_xml_read(xml, scratch, NULL, error);
  abilities_tell(edit->connection, persistent);
  g_autoptr(DmConfig) wanted = persistent != NULL ? edit->func(persistent, edit->data, error) : NULL;
  return wanted != NULL ? domain_xml_edit(xml, wanted, error) : NULL;
}

gboolean dm_domain_change_next_run(
  DmConnection *connection, const DmVm *vm, DmConfigFunc change, gpointer data, GError **error) {
  return dm_domain_rewrite_next_run(connection, vm, change, data, NULL, error);
}

gboolean dm_domain_rewrite_next_run(
  DmConnection *connection, const DmVm *vm, DmConfigFunc change, gpointer data, DmRewrite *rewrite, GError **error) {
  ConfigEdit edit = {connection, change, data};
  return redefine(connection, vm, edit_config, &edit, rewrite, error);
}

void dm_rewrite_clear(DmRewrite *rewrite) {
  g_clear_pointer(&rewrite->before, g_free);
  g_clear_pointer(&rewrite->after, g_free);
}

gboolean dm_domain_rewrite_again(DmConnection *connection, const DmVm *vm, const DmRewrite *rewrite,
  DmConfigFunc change, gpointer data, GError **error) {
  ConfigEdit edit = {connection, change, data};
  if (rewrite->before == NULL || rewrite->after == NULL)
    return TRUE;
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, error);
  g_autofree char *now = domain != NULL ? read_definition(domain, vm, error) : NULL;
  if (now == NULL || strcmp(now, rewrite->after) != 0)
    return now != NULL;
  g_autoptr(GError) failed = NULL;
  g_autofree char *edited = edit_config(rewrite->before, &edit, &failed);
  if (failed != NULL) {
    g_propagate_error(error, g_steal_pointer(&failed));
    return FALSE;
  }
  return define(domain, vm, edited != NULL ? edited : rewrite->before, error);
}

/* New title and description; NULL: unchanged. */
typedef struct {
  const char *title, *description;
} Words;

static char *edit_words(const char *xml, gpointer data, GError **error) {
  const Words *words = data;
  return domain_xml_describe(xml, words->title, words->description, error);
}

/* The definition in one write, so that a crash leaves both or neither there; those of the running VM end with it. */
gboolean dm_domain_describe(
  DmConnection *connection, const DmVm *vm, const char *title, const char *description, GError **error) {
  Words words = {title, description};
  if (vm->next_run != NULL && !redefine(connection, vm, edit_words, &words, NULL, error))
    return FALSE;
  g_autoptr(virDomain) domain = vm->live != NULL ? domain_look_up(connection, vm->uuid, error) : NULL;
  if (vm->live == NULL)
    return TRUE;
  return domain != NULL && set_words(domain, vm, VIR_DOMAIN_METADATA_TITLE, title, error) &&
    set_words(domain, vm, VIR_DOMAIN_METADATA_DESCRIPTION, description, error);
}

/* Prefixes the message of QEMU or libvirt with its meaning, if known. Returns what the host lacks. */
static DmHostLack explain(GError **error) {
  DmHostLack lack = DM_LACKS_UNKNOWN;
  const char *means = error != NULL ? dm_host_failure((*error)->message, &lack) : NULL;
  if (means != NULL)
    g_prefix_error(error, "%s: ", means);
  return lack;
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

void dm_domain_remove_empty(DmConnection *connection, const DmVm *vm, const char *alias) {
  g_autoptr(virDomain) domain = domain_look_up(connection, vm->uuid, NULL);
  if (domain != NULL)
    virDomainDetachDeviceAlias(domain, alias, VIR_DOMAIN_AFFECT_LIVE);
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
  explain(error);
  return FALSE;
}

/* If a host is out of huge pages, QEMU only says that it cannot allocate, each version in its own words. */
static gboolean ask_plug(virDomainPtr domain, const DmVm *vm, const DmStep *step, GError **error) {
  g_autofree char *device = device_xml_format(step);
  uint64_t size = dm_config_page(vm->live, step->node);
  g_autofree char *page = dm_size_format(size);
  if (virDomainAttachDeviceFlags(domain, device, VIR_DOMAIN_AFFECT_LIVE) == 0)
    return TRUE;
  virt_error_set(error, "cannot hot plug %s", step->alias);
  if (explain(error) != DM_LACKS_OTHER && size != 0)
    g_prefix_error(
      error, "%s is backed by huge pages of %s, of which its host may have too few free: ", vm->name, page);
  return FALSE;
}

static gboolean ask(virDomainPtr domain, const DmVm *vm, const DmStep *step, gboolean *look, GError **error) {
  if (step->op == DM_OP_UNPLUG)
    return ask_unplug(domain, step, look, error);
  *look = TRUE;
  gboolean there = step->op == DM_OP_RESIZE || step->run.reached > 0; /* a device plugged before takes what it has */
  return there ? ask_resize(domain, step, error) : ask_plug(domain, vm, step, error);
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
    step->run.asked_at_us = g_get_monotonic_time();
    if (plug_failed) {
      dm_step_take_reason(step, dm_note_new(DM_NOTE_NOT_TRIED));
      step->run.by_host = TRUE;
    } else if (!ask(domain, vm, step, look, &failed)) {
      if (!dm_connection_is_alive(connection)) { /* it is not known whether QEMU got it: not a refusal */
        g_propagate_error(error, g_steal_pointer(&failed));
        return FALSE;
      }
      plug_failed = step->op == DM_OP_PLUG;
      dm_step_take_reason(step, dm_note_new(DM_NOTE_HOST_REFUSED, failed->message));
      step->run.by_host = TRUE;
    }
  }
  return TRUE;
}
