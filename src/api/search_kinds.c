/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search fields of each kind: all fields and references of oVirt (its engine's searchbackend,
 * *ConditionFieldAutoCompleter and *CrossRefAutoCompleter), and a few of our own. Fields without meaning here have no
 * value, so only a search for their absence matches. References that oVirt has for one kind only exist for all.
 */
#include <string.h>

#include "base/size.h"
#include "finding.h"
#include "views.h"

#define NOTHING (-1) /* the number of a field without values here */

enum {
  FIELD_NAME,
  FIELD_ID,
  FIELD_STATUS,
  FIELD_MEMORY,
  FIELD_GUARANTEED,
  FIELD_CLUSTER,
  FIELD_DATACENTER,
  FIELD_HOST,
  FIELD_DESCRIPTION,
  FIELD_COMMENT,
  FIELD_OS,
  FIELD_ARCHITECTURE,
  FIELD_NEXT_RUN,
  FIELD_TEMPLATE,
  FIELD_VCPUS,
  FIELD_DEVICES,
  FIELD_TYPE,
  FIELD_BIOS,
  FIELD_CREATED,
  FIELD_UPTIME,
  FIELD_MEM_USAGE,
  FIELD_NO,
  FIELD_VERSION,
  FIELD_ACTIVE,
  FIELD_CHILDREN,
  FIELD_SEVERITY,
  FIELD_MESSAGE,
  FIELD_TIME,
  FIELD_USER,
  FIELD_USER_ID,
  FIELD_VM,
  FIELD_VM_ID,
  FIELD_HOST_ID,
  FIELD_CORRELATION,
  FIELD_ORIGIN,
  FIELD_CUSTOM,
  FIELD_LOGIN,
  FIELD_DIRECTORY,
  FIELD_ROLE,
};

static const char *const booleans[] = {"true", "false", NULL};

static gboolean is_text(DmSearchValue *value, const char *text) {
  value->text = text;
  return text != NULL;
}

static gboolean is_number(DmSearchValue *value, gint64 number) {
  value->number = number;
  return TRUE;
}

/* ---- the fields ---- */

/* All of oVirt's, as clients search for them, whether objects here can have them or not. */
static const char *const vm_statuses[] = {"up", "down", "paused", "suspended", "unknown", "wait_for_launch",
  "powering_up", "powering_down", "reboot_in_progress", "not_responding", "image_locked", "image_illegal",
  "saving_state", "restoring_state", "migrating", "migrating_from", "migrating_to", "unassigned", NULL};
static const char *const host_statuses[] = {"up", "down", "maintenance", "unassigned", "non_responsive", "error",
  "installing", "install_failed", "reboot", "preparing_for_maintenance", "non_operational", "pending_approval",
  "initializing", "connecting", "installing_os", "kdumping", NULL};
static const char *const datacenter_statuses[] = {
  "up", "uninitialized", "maintenance", "not_operational", "non_responsive", "contend", NULL};
static const char *const template_statuses[] = {"ok", "locked", "illegal", NULL};
static const char *const external_statuses[] = {"ok", "info", "warning", "error", "failure", NULL};
static const char *const vm_types[] = {"desktop", "server", "high_performance", NULL};
static const char *const host_types[] = {"rhel", "rhevh", NULL};
static const char *const user_types[] = {"user", "group", NULL};
static const char *const bios_types[] = {
  "cluster_default", "i440fx_sea_bios", "q35_sea_bios", "q35_ovmf", "q35_secure_boot", NULL};
static const char *const severities[] = {"normal", "warning", "error", "alert", NULL};

/* oVirt's, as far as libvirt knows; memorydevices is dimmer's. */
static const DmSearchField vm_fields[] = {
  {"name", DM_FIELD_TEXT, FIELD_NAME, TRUE},
  {"id", DM_FIELD_TEXT, FIELD_ID},
  {"status", DM_FIELD_ENUM, FIELD_STATUS, TRUE, .values = vm_statuses},
  {"memory", DM_FIELD_NUMBER, FIELD_MEMORY},
  {"guaranteed_memory", DM_FIELD_NUMBER, FIELD_GUARANTEED},
  {"cluster", DM_FIELD_TEXT, FIELD_CLUSTER},
  {"cluster.name", DM_FIELD_TEXT, FIELD_CLUSTER},
  {"datacenter", DM_FIELD_TEXT, FIELD_DATACENTER},
  {"on_host", DM_FIELD_TEXT, FIELD_HOST, TRUE},
  {"host", DM_FIELD_TEXT, FIELD_HOST, .sort_only = TRUE},
  {"host.name", DM_FIELD_TEXT, FIELD_HOST, .sort_only = TRUE},
  {"description", DM_FIELD_TEXT, FIELD_DESCRIPTION, TRUE},
  {"comment", DM_FIELD_TEXT, FIELD_COMMENT, TRUE},
  {"os", DM_FIELD_TEXT, FIELD_OS},
  {"architecture", DM_FIELD_TEXT, FIELD_ARCHITECTURE},
  {"vcpus", DM_FIELD_NUMBER, FIELD_VCPUS},
  {"next_run_config_exists", DM_FIELD_ENUM, FIELD_NEXT_RUN, .values = booleans},
  {"memorydevices", DM_FIELD_NUMBER, FIELD_DEVICES},
  {"template", DM_FIELD_TEXT, FIELD_TEMPLATE, .sort_only = TRUE},
  {"template.name", DM_FIELD_TEXT, FIELD_TEMPLATE, .sort_only = TRUE},
  {"type", DM_FIELD_ENUM, FIELD_TYPE, .values = vm_types},
  {"bios_type", DM_FIELD_ENUM, FIELD_BIOS, .values = bios_types},
  {"creationdate", DM_FIELD_DATE, FIELD_CREATED},
  {"uptime", DM_FIELD_SPAN, FIELD_UPTIME},
  {"mem_usage", DM_FIELD_NUMBER, FIELD_MEM_USAGE},
  {"compatibility_level", DM_FIELD_TEXT, FIELD_VERSION},
  {"has_illegal_images", DM_FIELD_ENUM, FIELD_NO, .values = booleans},
  {"cpu_usage", DM_FIELD_NUMBER, NOTHING},
  {"network_usage", DM_FIELD_NUMBER, NOTHING},
  {"migration_progress_percent", DM_FIELD_NUMBER, NOTHING},
  {"ip", DM_FIELD_TEXT, NOTHING},
  {"address", DM_FIELD_TEXT, NOTHING},
  {"fqdn", DM_FIELD_TEXT, NOTHING},
  {"apps", DM_FIELD_TEXT, NOTHING},
  {"pool", DM_FIELD_TEXT, NOTHING},
  {"loggedinuser", DM_FIELD_TEXT, NOTHING},
  {"tag", DM_FIELD_TEXT, NOTHING},
  {"quota", DM_FIELD_TEXT, NOTHING, .nullable = TRUE},
  {"custom_emulated_machine", DM_FIELD_TEXT, NOTHING},
  {"custom_cpu_type", DM_FIELD_TEXT, NOTHING},
  {"custom_compatibility_level", DM_FIELD_TEXT, NOTHING},
  {"created_by_user_id", DM_FIELD_TEXT, NOTHING},
  {"k8s_namespace", DM_FIELD_TEXT, NOTHING},
  {NULL},
};

static const DmSearchField host_fields[] = {
  {"name", DM_FIELD_TEXT, FIELD_NAME, TRUE},
  {"id", DM_FIELD_TEXT, FIELD_ID},
  {"status", DM_FIELD_ENUM, FIELD_STATUS, TRUE, .values = host_statuses},
  {"external_status", DM_FIELD_ENUM, NOTHING, .values = external_statuses},
  {"comment", DM_FIELD_TEXT, FIELD_COMMENT, TRUE},
  {"address", DM_FIELD_TEXT, FIELD_NAME, TRUE},
  {"cluster", DM_FIELD_TEXT, FIELD_CLUSTER},
  {"datacenter", DM_FIELD_TEXT, FIELD_DATACENTER},
  {"memory", DM_FIELD_NUMBER, FIELD_MEMORY},
  {"cpus", DM_FIELD_NUMBER, FIELD_VCPUS},
  {"active_vms", DM_FIELD_NUMBER, FIELD_ACTIVE},
  {"type", DM_FIELD_ENUM, FIELD_TYPE, .values = host_types},
  {"architecture", DM_FIELD_TEXT, NOTHING},
  {"version", DM_FIELD_TEXT, NOTHING},
  {"cpu_usage", DM_FIELD_NUMBER, NOTHING},
  {"mem_usage", DM_FIELD_NUMBER, NOTHING},
  {"network_usage", DM_FIELD_NUMBER, NOTHING},
  {"load", DM_FIELD_DECIMAL, NOTHING},
  {"cpu_speed", DM_FIELD_DECIMAL, NOTHING},
  {"cpu_model", DM_FIELD_TEXT, NOTHING},
  {"migrating_vms", DM_FIELD_NUMBER, NOTHING},
  {"committed_mem", DM_FIELD_NUMBER, NOTHING},
  {"tag", DM_FIELD_TEXT, NOTHING},
  {"update_available", DM_FIELD_ENUM, FIELD_NO, .values = booleans},
  {"ha_score", DM_FIELD_NUMBER, NOTHING},
  {"spm_id", DM_FIELD_NUMBER, NOTHING},
  {"hw_id", DM_FIELD_TEXT, NOTHING},
  {NULL},
};

static const DmSearchField cluster_fields[] = {
  {"name", DM_FIELD_TEXT, FIELD_NAME, TRUE},
  {"id", DM_FIELD_TEXT, FIELD_ID},
  {"description", DM_FIELD_TEXT, FIELD_DESCRIPTION, TRUE},
  {"comment", DM_FIELD_TEXT, NOTHING},
  {"architecture", DM_FIELD_TEXT, FIELD_ARCHITECTURE},
  {"compatibility_level", DM_FIELD_TEXT, FIELD_VERSION},
  {"cpu_type", DM_FIELD_TEXT, NOTHING},
  {NULL},
};

static const DmSearchField datacenter_fields[] = {
  {"name", DM_FIELD_TEXT, FIELD_NAME, TRUE},
  {"id", DM_FIELD_TEXT, FIELD_ID},
  {"description", DM_FIELD_TEXT, FIELD_DESCRIPTION, TRUE},
  {"comment", DM_FIELD_TEXT, NOTHING},
  {"local", DM_FIELD_ENUM, FIELD_NO, .values = booleans},
  {"status", DM_FIELD_ENUM, FIELD_STATUS, .values = datacenter_statuses},
  {"compatibility_version", DM_FIELD_TEXT, FIELD_VERSION},
  {NULL},
};

static const DmSearchField template_fields[] = {
  {"name", DM_FIELD_TEXT, FIELD_NAME, TRUE},
  {"id", DM_FIELD_TEXT, FIELD_ID},
  {"_vmt_id", DM_FIELD_TEXT, FIELD_ID},
  {"description", DM_FIELD_TEXT, FIELD_DESCRIPTION, TRUE},
  {"comment", DM_FIELD_TEXT, NOTHING},
  {"os", DM_FIELD_TEXT, FIELD_OS},
  {"creationdate", DM_FIELD_DATE, NOTHING},
  {"childcount", DM_FIELD_NUMBER, FIELD_CHILDREN},
  {"mem", DM_FIELD_NUMBER, NOTHING},
  {"status", DM_FIELD_ENUM, FIELD_STATUS, .values = template_statuses},
  {"sealed", DM_FIELD_ENUM, FIELD_NO, .values = booleans},
  {"cluster", DM_FIELD_TEXT, NOTHING},
  {"datacenter", DM_FIELD_TEXT, NOTHING},
  {"quota", DM_FIELD_TEXT, NOTHING, .nullable = TRUE},
  {"architecture", DM_FIELD_TEXT, NOTHING},
  {"version_name", DM_FIELD_TEXT, NOTHING},
  {"tag", DM_FIELD_TEXT, NOTHING},
  {NULL},
};

static const DmSearchField event_fields[] = {
  {"type", DM_FIELD_NUMBER, FIELD_TYPE},
  {"severity", DM_FIELD_ENUM, FIELD_SEVERITY, .ranks = severities},
  {"message", DM_FIELD_TEXT, FIELD_MESSAGE, TRUE},
  {"time", DM_FIELD_DATE, FIELD_TIME},
  {"usrname", DM_FIELD_TEXT, FIELD_USER},
  {"usrid", DM_FIELD_TEXT, FIELD_USER_ID},
  {"event_vm", DM_FIELD_TEXT, FIELD_VM, TRUE},
  {"_event_vm_id", DM_FIELD_TEXT, FIELD_VM_ID},
  {"event_host", DM_FIELD_TEXT, FIELD_HOST},
  {"_event_host_id", DM_FIELD_TEXT, FIELD_HOST_ID},
  {"event_datacenter", DM_FIELD_TEXT, FIELD_DATACENTER},
  {"_event_datacenter_id", DM_FIELD_TEXT, NOTHING},
  {"event_template", DM_FIELD_TEXT, NOTHING},
  {"_event_template_id", DM_FIELD_TEXT, NOTHING},
  {"event_storage", DM_FIELD_TEXT, NOTHING},
  {"_event_storage_id", DM_FIELD_TEXT, NOTHING},
  {"event_volume", DM_FIELD_TEXT, NOTHING},
  {"_event_quota_id", DM_FIELD_TEXT, NOTHING},
  {"correlation_id", DM_FIELD_TEXT, FIELD_CORRELATION},
  {"origin", DM_FIELD_TEXT, FIELD_ORIGIN},
  {"custom_event_id", DM_FIELD_NUMBER, FIELD_CUSTOM},
  {"deleted", DM_FIELD_ENUM, FIELD_NO, .values = booleans},
  {NULL},
};

static const DmSearchField user_fields[] = {
  {"name", DM_FIELD_TEXT, FIELD_LOGIN, TRUE},
  {"lastname", DM_FIELD_TEXT, NOTHING},
  {"usrname", DM_FIELD_TEXT, FIELD_LOGIN, TRUE},
  {"user_and_domain", DM_FIELD_TEXT, FIELD_USER},
  {"login", DM_FIELD_TEXT, FIELD_LOGIN, TRUE},
  {"directory", DM_FIELD_TEXT, FIELD_DIRECTORY},
  {"id", DM_FIELD_TEXT, FIELD_USER_ID},
  {"department", DM_FIELD_TEXT, NOTHING},
  {"tag", DM_FIELD_TEXT, NOTHING},
  {"pool", DM_FIELD_TEXT, NOTHING},
  {"role", DM_FIELD_TEXT, FIELD_ROLE},
  {"group", DM_FIELD_TEXT, NOTHING},
  {"title", DM_FIELD_TEXT, NOTHING},
  {"email", DM_FIELD_TEXT, NOTHING},
  {"type", DM_FIELD_ENUM, FIELD_TYPE, .values = user_types},
  {NULL},
};

/* ---- empty kinds ---- */

static const DmSearchField storage_fields[] = {
  {"name", DM_FIELD_TEXT, NOTHING, TRUE},
  {"status", DM_FIELD_ENUM, NOTHING},
  {"shared_status", DM_FIELD_ENUM, NOTHING},
  {"external_status", DM_FIELD_ENUM, NOTHING, .values = external_statuses},
  {"datacenter", DM_FIELD_TEXT, NOTHING},
  {"type", DM_FIELD_ENUM, NOTHING},
  {"free_size", DM_FIELD_NUMBER, NOTHING},
  {"used_size", DM_FIELD_NUMBER, NOTHING},
  {"total_size", DM_FIELD_NUMBER, NOTHING},
  {"committed", DM_FIELD_NUMBER, NOTHING},
  {"comment", DM_FIELD_TEXT, NOTHING},
  {"description", DM_FIELD_TEXT, NOTHING, TRUE},
  {"wipe_after_delete", DM_FIELD_ENUM, NOTHING, .values = booleans},
  {"discard_after_delete", DM_FIELD_ENUM, NOTHING, .values = booleans},
  {"low_space_threshold", DM_FIELD_NUMBER, NOTHING},
  {"critical_space_threshold", DM_FIELD_NUMBER, NOTHING},
  {"backup", DM_FIELD_ENUM, NOTHING, .values = booleans},
  {NULL},
};

static const DmSearchKind search_storages = {.fields = storage_fields};

static const DmSearchField vnic_fields[] = {
  {"network_name", DM_FIELD_TEXT, NOTHING, TRUE},
  {"mac", DM_FIELD_TEXT, NOTHING, TRUE},
  {NULL},
};

static const DmSearchKind search_vnics = {.fields = vnic_fields};

static const DmSearchField cluster_network_fields[] = {
  {"network_name", DM_FIELD_TEXT, NOTHING, TRUE},
  {"cluster_name", DM_FIELD_TEXT, NOTHING, TRUE},
  {NULL},
};

static const DmSearchKind search_cluster_networks = {.fields = cluster_network_fields};

static const DmSearchField network_fields[] = {
  {"name", DM_FIELD_TEXT, NOTHING, TRUE},
  {"description", DM_FIELD_TEXT, NOTHING, TRUE},
  {"comment", DM_FIELD_TEXT, NOTHING},
  {"vlanid", DM_FIELD_NUMBER, NOTHING},
  {"stp", DM_FIELD_ENUM, NOTHING, .values = booleans},
  {"mtu", DM_FIELD_NUMBER, NOTHING},
  {"vmnetwork", DM_FIELD_ENUM, NOTHING, .values = booleans},
  {"datacenter", DM_FIELD_TEXT, NOTHING},
  {"label", DM_FIELD_TEXT, NOTHING},
  {"provider_name", DM_FIELD_TEXT, NOTHING},
  {"qos_name", DM_FIELD_TEXT, NOTHING},
  {NULL},
};

static const DmSearchKind search_networks = {.fields = network_fields};

static const DmSearchField quota_fields[] = {
  {"name", DM_FIELD_TEXT, NOTHING, TRUE},
  {"storagepoolname", DM_FIELD_TEXT, NOTHING},
  {"description", DM_FIELD_TEXT, NOTHING, TRUE},
  {"thresholdstoragepercentage", DM_FIELD_NUMBER, NOTHING},
  {"thresholdclusterpercentage", DM_FIELD_NUMBER, NOTHING},
  {"gracestoragepercentage", DM_FIELD_NUMBER, NOTHING},
  {"graceclusterpercentage", DM_FIELD_NUMBER, NOTHING},
  {"enforcementtype", DM_FIELD_ENUM, NOTHING},
  {NULL},
};

static const DmSearchKind search_quotas = {.fields = quota_fields};

static const DmSearchField volume_fields[] = {
  {"name", DM_FIELD_TEXT, NOTHING, TRUE},
  {"type", DM_FIELD_ENUM, NOTHING},
  {"transport_type", DM_FIELD_ENUM, NOTHING},
  {"replica_count", DM_FIELD_NUMBER, NOTHING},
  {"stripe_count", DM_FIELD_NUMBER, NOTHING},
  {"status", DM_FIELD_ENUM, NOTHING},
  {NULL},
};

static const DmSearchKind search_volumes = {.fields = volume_fields};

/* ---- the values ---- */

static gboolean get_vm(gconstpointer object, int field, DmSearchValue *value, gpointer finding) {
  const DmEntry *entry = object;
  const DmVm *vm = entry->vm;
  const DmConfig *config = dm_vm_current(vm);
  uint64_t used;
  switch (field) {
    case FIELD_NAME:
      return is_text(value, vm->name);
    case FIELD_ID:
      return is_text(value, vm->uuid);
    case FIELD_STATUS:
      return is_text(value, vm_status(entry));
    case FIELD_MEMORY:
      return is_number(value, (gint64)(dm_config_memory(config) / DM_MIB));
    case FIELD_GUARANTEED:
      return is_number(value, (gint64)(dm_config_guaranteed(config) / DM_MIB));
    case FIELD_CLUSTER:
      return is_text(value, place_cluster.name);
    case FIELD_DATACENTER:
      return is_text(value, place_datacenter.name);
    case FIELD_HOST:
      return is_text(value, vm->live != NULL ? entry->host->name : NULL);
    case FIELD_DESCRIPTION:
      return is_text(value, vm->description);
    case FIELD_COMMENT:
      return is_text(value, vm->title);
    case FIELD_OS:
      value->other = vm->facts.os;
      return is_text(value, vm_os_type(vm));
    case FIELD_ARCHITECTURE:
      return is_text(value, vm->arch);
    case FIELD_NEXT_RUN:
      return is_text(value, dm_vm_has_next_run(vm) ? "true" : "false");
    case FIELD_TEMPLATE:
      return is_text(value, place_template.name);
    case FIELD_VCPUS:
      return is_number(value, (gint64)vm->facts.sockets * vm->facts.cores * vm->facts.threads);
    case FIELD_DEVICES:
      return is_number(value, config->devices->len);
    case FIELD_TYPE:
      return is_text(value, VM_TYPE);
    case FIELD_BIOS:
      return is_text(value, vm_bios_type(vm));
    case FIELD_CREATED:
      return is_number(value, dm_store_first_seen(finding_api(finding)->store, vm->uuid));
    case FIELD_UPTIME:
      return entry->started_ms != 0 && is_number(value, g_get_real_time() / 1000 - entry->started_ms);
    case FIELD_MEM_USAGE:
      used = vm_memory_used(entry);
      return used != 0 && is_number(value, (gint64)(100 * used / MAX(dm_config_memory(config), 1)));
    case FIELD_VERSION:
      return is_text(value, CLUSTER_VERSION);
    case FIELD_NO:
      return is_text(value, "false");
    default:
      return FALSE;
  }
}

static guint running_on(const DmApi *api, const DmHost *host) {
  const GPtrArray *entries = dm_inventory_entries(api->inventory);
  guint running = 0;
  for (guint i = 0; i < entries->len; i++) {
    const DmEntry *entry = entries->pdata[i];
    running += entry->host == host && entry->vm->live != NULL;
  }
  return running;
}

static gboolean get_host(gconstpointer object, int field, DmSearchValue *value, gpointer finding) {
  const DmHost *host = object;
  switch (field) {
    case FIELD_NAME:
      return is_text(value, host->name);
    case FIELD_ID:
      return is_text(value, host->id);
    case FIELD_STATUS:
      return is_text(value, host_status(host));
    case FIELD_COMMENT:
      return is_text(value, host->uri);
    case FIELD_CLUSTER:
      return is_text(value, place_cluster.name);
    case FIELD_DATACENTER:
      return is_text(value, place_datacenter.name);
    case FIELD_MEMORY:
      return host->memory != 0 && is_number(value, (gint64)(host->memory / DM_MIB));
    case FIELD_VCPUS:
      return host->cpus != 0 && is_number(value, host->cpus);
    case FIELD_ACTIVE:
      return is_number(value, running_on(finding_api(finding), host));
    case FIELD_TYPE:
      return is_text(value, HOST_TYPE);
    case FIELD_NO:
      return is_text(value, "false");
    default:
      return FALSE;
  }
}

static gboolean get_place(gconstpointer object, int field, DmSearchValue *value, gpointer finding) {
  const FixedPlace *place = object;
  switch (field) {
    case FIELD_NAME:
      return is_text(value, place->name);
    case FIELD_ID:
      return is_text(value, place->id);
    case FIELD_ARCHITECTURE:
      return is_text(value, CLUSTER_ARCHITECTURE);
    case FIELD_VERSION:
      return is_text(value, CLUSTER_VERSION);
    case FIELD_STATUS:
      return is_text(value, place->status);
    case FIELD_OS:
      return is_text(value, "other");
    case FIELD_CHILDREN:
      return is_number(value, 0);
    case FIELD_NO:
      return is_text(value, "false");
    default:
      return FALSE;
  }
}

static gboolean is_user_id(DmSearchValue *value, const char *user) {
  if (user == NULL)
    return FALSE;
  g_autofree char *id = uuid_of(USER_ID_SPACE, user);
  g_strlcpy(value->made, id, sizeof value->made);
  return is_text(value, value->made);
}

static gboolean get_event(gconstpointer object, int field, DmSearchValue *value, gpointer finding) {
  const DmAuditEvent *event = object;
  switch (field) {
    case FIELD_TYPE:
      return is_number(value, event->code);
    case FIELD_SEVERITY:
      return is_text(value, dm_severity_name(event->severity));
    case FIELD_MESSAGE:
      return is_text(value, event->text);
    case FIELD_TIME:
      return is_number(value, event->time);
    case FIELD_USER:
      return is_text(value, event->user);
    case FIELD_USER_ID:
      return is_user_id(value, event->user);
    case FIELD_VM:
      return is_text(value, event->vm_name);
    case FIELD_VM_ID:
      return is_text(value, event->vm_id);
    case FIELD_HOST:
      return is_text(value, event->host_name);
    case FIELD_HOST_ID:
      return is_text(value, event->host_id);
    case FIELD_DATACENTER:
      return is_text(value, event->vm_id != NULL || event->host_id != NULL ? place_datacenter.name : NULL);
    case FIELD_CORRELATION:
      return is_text(value, event->correlation_id);
    case FIELD_ORIGIN:
      return is_text(value, EVENT_ORIGIN);
    case FIELD_CUSTOM:
      return is_number(value, -1);
    case FIELD_NO:
      return is_text(value, "false");
    default:
      return FALSE;
  }
}

/* A user is represented by its name: "admin@internal". */
static gboolean get_user(gconstpointer object, int field, DmSearchValue *value, gpointer finding) {
  const char *user = object, *at = strrchr(user, '@');
  switch (field) {
    case FIELD_USER:
      return is_text(value, user);
    case FIELD_LOGIN:
      g_strlcpy(value->made, user, at != NULL ? MIN(sizeof value->made, (gsize)(at - user) + 1) : sizeof value->made);
      value->other = user;
      return is_text(value, value->made);
    case FIELD_DIRECTORY:
      return is_text(value, at != NULL ? at + 1 : NULL);
    case FIELD_USER_ID:
      return is_user_id(value, user);
    case FIELD_ROLE:
      return is_text(value, user_role(finding_api(finding), user));
    case FIELD_TYPE:
      return is_text(value, "user");
    default:
      return FALSE;
  }
}

/* ---- the references ---- */

/* An event's own data about its VM or host holds even if that is gone. */
static gboolean get_vm_of_event(gconstpointer object, int field, DmSearchValue *value, gpointer finding) {
  const EventSubject *subject = object;
  if (subject->entry != NULL)
    return get_vm(subject->entry, field, value, finding);
  return is_text(value,
    field == FIELD_NAME   ? subject->event->vm_name
      : field == FIELD_ID ? subject->event->vm_id
                          : NULL);
}

static gboolean get_host_of_event(gconstpointer object, int field, DmSearchValue *value, gpointer finding) {
  const EventSubject *subject = object;
  if (subject->host != NULL)
    return get_host(subject->host, field, value, finding);
  return is_text(value,
    field == FIELD_NAME   ? subject->event->host_name
      : field == FIELD_ID ? subject->event->host_id
                          : NULL);
}

/* In the store's thread, which must not read the users file. */
static gboolean get_user_of_event(gconstpointer object, int field, DmSearchValue *value, gpointer finding) {
  return field != FIELD_ROLE && get_user(object, field, value, finding);
}

static const DmSearchKind users_of_events = {.fields = user_fields, .get = get_user_of_event};
static const DmSearchKind vms_of_events = {.fields = vm_fields, .get = get_vm_of_event};
static const DmSearchKind hosts_of_events = {.fields = host_fields, .get = get_host_of_event};

static const DmSearchReference references[] = {
  {"vm", REFERENCE_VM, &search_vms},
  {"host", REFERENCE_HOST, &search_hosts},
  {"template", REFERENCE_TEMPLATE, &search_templates},
  {"cluster", REFERENCE_CLUSTER, &search_clusters},
  {"datacenter", REFERENCE_DATACENTER, &search_datacenters},
  {"event", REFERENCE_EVENT, &search_events},
  {"user", REFERENCE_NONE, &search_users},
  {"storage", REFERENCE_NONE, &search_storages},
  {"vnic", REFERENCE_NONE, &search_vnics},
  {"nic", REFERENCE_NONE, &search_vnics},
  {"cluster_network", REFERENCE_NONE, &search_cluster_networks},
  {"network", REFERENCE_NONE, &search_networks},
  {"quota", REFERENCE_NONE, &search_quotas},
  {"volume", REFERENCE_NONE, &search_volumes},
  {NULL},
};

static const DmSearchReference references_of_events[] = {
  {"vm", REFERENCE_VM, &vms_of_events},
  {"host", REFERENCE_HOST, &hosts_of_events},
  {"user", REFERENCE_USER, &users_of_events},
  {"template", REFERENCE_NONE, &search_templates},
  {"cluster", REFERENCE_CLUSTER, &search_clusters},
  {"datacenter", REFERENCE_DATACENTER, &search_datacenters},
  {"storage", REFERENCE_NONE, &search_storages},
  {"volume", REFERENCE_NONE, &search_volumes},
  {"quota", REFERENCE_NONE, &search_quotas},
  {NULL},
};

static gboolean related_to_vm(gconstpointer object, DmSearchGroup *group, gpointer finding) {
  const DmEntry *entry = object;
  switch (dm_search_group_reference(group)->number) {
    case REFERENCE_VM:
      return dm_search_group_matches(group, entry, finding);
    case REFERENCE_HOST:
      return dm_search_group_matches(group, entry->vm->live != NULL ? entry->host : NULL, finding);
    case REFERENCE_TEMPLATE:
      return dm_search_group_matches(group, &place_template, finding);
    case REFERENCE_CLUSTER:
      return dm_search_group_matches(group, &place_cluster, finding);
    case REFERENCE_DATACENTER:
      return dm_search_group_matches(group, &place_datacenter, finding);
    case REFERENCE_EVENT:
      return finding_has_related(finding, group, entry->vm->uuid);
    default:
      return dm_search_group_matches(group, NULL, finding);
  }
}

static gboolean related_to_host(gconstpointer object, DmSearchGroup *group, gpointer finding) {
  const DmHost *host = object;
  switch (dm_search_group_reference(group)->number) {
    case REFERENCE_HOST:
      return dm_search_group_matches(group, host, finding);
    case REFERENCE_CLUSTER:
      return dm_search_group_matches(group, &place_cluster, finding);
    case REFERENCE_DATACENTER:
      return dm_search_group_matches(group, &place_datacenter, finding);
    case REFERENCE_VM:
    case REFERENCE_EVENT:
      return finding_has_related(finding, group, host->id);
    default:
      return dm_search_group_matches(group, NULL, finding);
  }
}

/* All VMs and hosts, and their events, belong to the one cluster and data center. */
static gboolean related_to_place(gconstpointer object, DmSearchGroup *group, gpointer finding) {
  const GPtrArray *hosts = dm_inventory_hosts(finding_api(finding)->inventory);
  gboolean found = FALSE;
  switch (dm_search_group_reference(group)->number) {
    case REFERENCE_CLUSTER:
      return dm_search_group_matches(group, &place_cluster, finding);
    case REFERENCE_DATACENTER:
      return dm_search_group_matches(group, &place_datacenter, finding);
    case REFERENCE_HOST:
      for (guint i = 0; i < hosts->len && !found; i++)
        found = dm_search_group_matches(group, hosts->pdata[i], finding);
      return found || (hosts->len == 0 && dm_search_group_matches(group, NULL, finding));
    case REFERENCE_VM:
    case REFERENCE_EVENT:
      return finding_has_related(finding, group, "");
    default:
      return dm_search_group_matches(group, NULL, finding);
  }
}

/* No VM here was created from a template: a search by template finds none, and Ansible's PUT names none. */
static gboolean related_to_template(gconstpointer object, DmSearchGroup *group, gpointer finding) {
  return dm_search_group_matches(group, NULL, finding);
}

static gboolean related_to_user(gconstpointer object, DmSearchGroup *group, gpointer finding) {
  if (dm_search_group_reference(group)->number == REFERENCE_EVENT)
    return finding_has_related(finding, group, object);
  return dm_search_group_matches(group, NULL, finding);
}

/* In the store's thread, which owns the search meanwhile. */
static gboolean related_to_event(gconstpointer object, DmSearchGroup *group, gpointer finding) {
  const DmAuditEvent *event = object;
  const EventSubject subject = {.event = event};
  gboolean placed = event->vm_id != NULL || event->host_id != NULL;
  switch (dm_search_group_reference(group)->number) {
    case REFERENCE_VM:
      return finding_knows_related(finding, group, event->vm_id, event->vm_id != NULL ? &subject : NULL);
    case REFERENCE_HOST:
      return finding_knows_related(finding, group, event->host_id, event->host_id != NULL ? &subject : NULL);
    case REFERENCE_USER:
      return dm_search_group_matches(group, event->user, finding);
    case REFERENCE_CLUSTER:
      return dm_search_group_matches(group, placed ? &place_cluster : NULL, finding);
    case REFERENCE_DATACENTER:
      return dm_search_group_matches(group, placed ? &place_datacenter : NULL, finding);
    default:
      return dm_search_group_matches(group, NULL, finding);
  }
}

const DmSearchKind search_vms = {vm_fields, references, get_vm, related_to_vm};
const DmSearchKind search_hosts = {host_fields, references, get_host, related_to_host};
const DmSearchKind search_clusters = {cluster_fields, references, get_place, related_to_place};
const DmSearchKind search_datacenters = {datacenter_fields, references, get_place, related_to_place};
const DmSearchKind search_templates = {template_fields, references, get_place, related_to_template};
const DmSearchKind search_users = {user_fields, references, get_user, related_to_user};
const DmSearchKind search_events = {event_fields, references_of_events, get_event, related_to_event};

const int search_field_time = FIELD_TIME;
