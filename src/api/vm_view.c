/* SPDX-License-Identifier: Apache-2.0 */
/* A VM as oVirt's clients see it; see ovirt-wire.md, 4, for mandatory elements. */
#include <malloc.h>
#include <string.h>

#include "base/size.h"
#include "views.h"

/* Clients follow each, and do not try unlisted ones: so list those that answer, and no others.
 */
static const char *const links[] = {"affinitylabels", "applications", "cdroms", "diskattachments", "graphicsconsoles",
  "hostdevices", "memorydevices", "nics", "numanodes", "permissions", "reporteddevices", "sessions", "snapshots",
  "statistics", "tags", "watchdogs"};
static const char *const actions[] = {"start", "stop", "shutdown", "reboot", "enablehotplug", "prepareguest"};

DmNode *vm_action_node(const Call *call, gboolean complete) {
  DmNode *node = dm_node_new("action");
  dm_node_add_text(node, "status", complete ? "complete" : "pending");
  add_link(node, "vm", "vms", call->ids[0]);
  return node;
}

const char *vm_status(const DmEntry *entry) {
  if (entry->host->status != DM_HOST_UP)
    return "unknown";
  gboolean halted = !entry->starting && (entry->vm->state == DM_VM_PAUSED || entry->vm->state == DM_VM_SUSPENDED);
  if (entry->passing == DM_PASSING_REBOOT && !halted) /* also while down in between */
    return "reboot_in_progress";
  if (entry->starting)
    return "wait_for_launch";
  switch (entry->vm->state) {
    case DM_VM_RUNNING:
      return entry->passing == DM_PASSING_DOWN ? "powering_down"
        : entry->passing == DM_PASSING_UP      ? "powering_up"
                                               : "up";
    case DM_VM_PAUSED:
      return "paused";
    case DM_VM_SHUTTING_DOWN:
      return "powering_down";
    case DM_VM_SUSPENDED:
      return "suspended";
    case DM_VM_SHUT_OFF:
    case DM_VM_CRASHED:
      break;
  }
  return entry->vm->saved ? "suspended" : "down";
}

static void add_vm_links(DmNode *node, const char *id) {
  DmNode *parent = dm_node_add_object(node, "actions");
  for (gsize i = 0; i < G_N_ELEMENTS(actions); i++) {
    g_autofree char *href = api_href("vms/%s/%s", id, actions[i]);
    DmNode *link = dm_node_add_item(parent, "link");
    dm_node_set_attribute(link, "href", href);
    dm_node_set_attribute(link, "rel", actions[i]);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(links); i++) {
    g_autofree char *href = api_href("vms/%s/%s", id, links[i]);
    DmNode *link = dm_node_add_item(node, "link");
    dm_node_set_attribute(link, "href", href);
    dm_node_set_attribute(link, "rel", links[i]);
  }
}

static void add_cpu(DmNode *node, const DmVm *vm) {
  DmNode *cpu = dm_node_add_object(node, "cpu");
  dm_node_add_text(cpu, "architecture", vm->arch);
  DmNode *topology = dm_node_add_object(cpu, "topology");
  dm_node_add_number(topology, "cores", vm->facts.cores);
  dm_node_add_number(topology, "sockets", vm->facts.sockets);
  dm_node_add_number(topology, "threads", vm->facts.threads);
}

/* oVirt's names, as far as derivable from libosinfo's. */
const char *vm_os_type(const DmVm *vm) {
  const char *os = vm->facts.os;
  if (os == NULL)
    return "other";
  return strstr(os, "microsoft.com") != NULL ? "windows_2019x64" : "other_linux";
}

const char *vm_bios_type(const DmVm *vm) {
  if (vm->facts.uefi)
    return "q35_ovmf";
  return vm->facts.machine != NULL && strstr(vm->facts.machine, "q35") != NULL ? "q35_sea_bios" : "i440fx_sea_bios";
}

static void add_machine(DmNode *node, const DmVm *vm) {
  DmNode *bios = dm_node_add_object(node, "bios");
  dm_node_add_boolean(dm_node_add_object(bios, "boot_menu"), "enabled", FALSE);
  dm_node_add_text(bios, "type", vm_bios_type(vm));
  dm_node_add_boolean(dm_node_add_object(node, "console"), "enabled", vm->facts.console);
  add_cpu(node, vm);
  DmNode *display = dm_node_add_object(node, "display"); /* without one libgovirt drops the VM */
  dm_node_add_number(display, "monitors", 1);
  dm_node_add_boolean(display, "smartcard_enabled", FALSE);
  dm_node_add_text(display, "type", g_strcmp0(vm->facts.display, "spice") == 0 ? "spice" : "vnc");
  DmNode *os = dm_node_add_object(node, "os");
  DmNode *devices = dm_node_add_object(dm_node_add_object(os, "boot"), "devices");
  dm_node_add_item_text(devices, "device", vm->facts.boot != NULL ? vm->facts.boot : "hd");
  dm_node_add_text(os, "type", vm_os_type(vm));
}

/* What the balloon holds of memory, live or from the next start on; left out where that is not known. */
static void add_ballooned(DmNode *node, const DmVm *vm, const DmConfig *config) {
  uint64_t held = vm->balloon ? dm_config_ballooned(config) : 0;
  if (config != vm->live || dm_vm_ballooned(vm, &held))
    dm_node_add_number(node, "ballooned", (gint64)held);
}

static void add_memory(DmNode *node, const DmVm *vm, const DmConfig *config) {
  add_ballooned(node, vm, config);
  if (vm->balloon)
    dm_node_add_text(node, "balloon_use", dm_balloon_use_name(config->balloon_use));
  dm_node_add_number(node, "boot", (gint64)dm_config_boot(config));
  dm_node_add_number(node, "memory", (gint64)dm_config_memory(config));
  DmNode *policy = dm_node_add_object(node, "memory_policy");
  dm_node_add_boolean(policy, "ballooning", vm->balloon);
  dm_node_add_number(policy, "guaranteed", (gint64)dm_config_guaranteed(config));
  dm_node_add_number(policy, "max", (gint64)dm_config_maximum(config));
}

/* Fields that clients expect and libvirt does not have. */
static void add_constants(DmNode *node) {
  DmNode *availability = dm_node_add_object(node, "high_availability");
  dm_node_add_boolean(availability, "enabled", FALSE);
  dm_node_add_number(availability, "priority", 1);
  dm_node_add_text(node, "origin", "kvm");
  dm_node_add_text(dm_node_add_object(node, "placement_policy"), "affinity", "migratable"); /* Ansible reads into it */
  dm_node_add_object(dm_node_add_object(node, "sso"), "methods");
  dm_node_add_boolean(node, "start_paused", FALSE);
  dm_node_add_boolean(node, "stateless", FALSE);
  dm_node_add_boolean(node, "delete_protected", FALSE);
  dm_node_add_text(node, "type", VM_TYPE);
  dm_node_add_boolean(dm_node_add_object(node, "usb"), "enabled", FALSE);
}

DmNode *vm_node(DmApi *api, DmEntry *entry, gboolean next_run) {
  const DmVm *vm = entry->vm;
  const DmConfig *config = next_run && vm->next_run != NULL ? vm->next_run : dm_vm_current(vm);
  DmNode *node = dm_node_new("vm");
  set_link(node, "vms", vm->uuid);
  dm_node_add_text(node, "name", vm->name);
  dm_node_add_text(
    node, "comment", vm->title != NULL ? vm->title : ""); /* empty, as in oVirt: go-ovirt-client needs them */
  dm_node_add_text(node, "description", vm->description != NULL ? vm->description : "");
  add_vm_links(node, vm->uuid);
  add_machine(node, vm);
  dm_node_add_date(node, "creation_time", dm_store_first_seen(api->store, vm->uuid));
  add_memory(node, vm, config);
  add_constants(node);
  add_link(node, "cluster", "clusters", CLUSTER_ID);
  dm_node_add_boolean(node, "next_run_configuration_exists", dm_vm_has_next_run(vm));
  dm_node_add_boolean(node, "run_once", FALSE);
  if (entry->started_ms != 0)
    dm_node_add_date(node, "start_time", entry->started_ms);
  dm_node_add_text(node, "status", vm_status(entry));
  if (entry->stopped_ms != 0)
    dm_node_add_date(node, "stop_time", entry->stopped_ms);
  if (vm->live != NULL)
    add_link(node, "host", "hosts", entry->host->id);
  add_link(node, "template", "templates", TEMPLATE_ID);
  add_link(node, "original_template", "templates", TEMPLATE_ID);
  return node;
}

/* ---- as text, cached until the entry changes or it is no longer requested ---- */

/* Both formats of many VMs take the largest part of dimmerd's memory. */
#define KEEP_MINUTES 5

typedef struct {
  GBytes *text[2]; /* by DmFormat */
  guint asked[2];  /* the minute of the last request */
} Texts;

GBytes *vm_text(DmApi *api, DmEntry *entry, DmFormat format) {
  Texts *texts = entry->cached;
  if (texts == NULL)
    entry->cached = texts = g_new0(Texts, 1);
  if (texts->text[format] == NULL) {
    g_autoptr(DmNode) node = vm_node(api, entry, FALSE);
    GString *text = g_string_sized_new(4096);
    dm_node_write(node, format, text);
    texts->text[format] = g_bytes_new(text->str, text->len); /* of just that length */
    g_string_free(text, TRUE);
  }
  texts->asked[format] = api->minute;
  return texts->text[format];
}

void drop_old_vm_texts(DmApi *api) {
  const GPtrArray *entries = dm_inventory_entries(api->inventory);
  gboolean dropped = FALSE;
  for (guint i = 0; i < entries->len; i++) {
    Texts *texts = ((const DmEntry *)entries->pdata[i])->cached;
    for (guint format = 0; texts != NULL && format < G_N_ELEMENTS(texts->text); format++) {
      if (texts->text[format] == NULL || api->minute - texts->asked[format] < KEEP_MINUTES)
        continue;
      g_clear_pointer(&texts->text[format], g_bytes_unref);
      dropped = TRUE;
    }
  }
#ifdef __GLIBC__
  if (dropped || api->minute == 1) /* after the first minute: frees what the initial listing left */
    malloc_trim(0);                /* they are small and many, and free() alone returns none of that to the system */
#endif
}

void drop_vm_text(gpointer cached) {
  Texts *texts = cached;
  g_clear_pointer(&texts->text[DM_FORMAT_XML], g_bytes_unref);
  g_clear_pointer(&texts->text[DM_FORMAT_JSON], g_bytes_unref);
  g_free(texts);
}
