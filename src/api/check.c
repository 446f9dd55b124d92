/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a VM's memory can be unplugged, and why not: queries its guest without occupying a thread. */
#include "base/error.h"
#include "base/size.h"
#include "engine/checkup.h"
#include "handlers.h"
#include "parameters.h"
#include "plan/doctor.h"
#include "views.h"

/* One query of a guest, shared by all calls meanwhile, as an agent serves one client at a time. */
struct GuestCheck {
  DmApi *api;
  char *vm_id;
  char *uri;        /* libvirt connection to its host */
  GPtrArray *calls; /* Call that waits for it: borrowed; each leaves on timeout or when its client disconnects */
  DmVm *vm;
  GError *error;
};

static void check_free(gpointer data) {
  GuestCheck *check = data;
  g_ptr_array_unref(check->calls);
  dm_vm_free(check->vm);
  g_clear_error(&check->error);
  g_free(check->vm_id);
  g_free(check->uri);
  g_free(check);
}

void check_leave(Call *call) {
  if (call->check != NULL)
    g_ptr_array_remove(call->check->calls, call);
  call->check = NULL;
}

static void add_finding(DmNode *findings, const DmVm *vm, const DmFinding *finding) {
  DmNode *node = dm_node_add_item(findings, "finding");
  const DmMemoryDevice *device =
    finding->alias != NULL && vm->live != NULL ? dm_config_find_alias(vm->live, finding->alias) : NULL;
  dm_node_add_text(node, "check", dm_check_name(dm_finding_check(finding->code)));
  dm_node_add_text(node, "code", dm_finding_name(finding->code));
  dm_node_add_text(node, "verdict", dm_verdict_name(finding->verdict));
  dm_node_add_text(node, "evidence", finding->evidence);
  dm_node_add_text(node, "source", finding->source);
  dm_node_add_text(node, "remedy", finding->remedy);
  dm_node_add_text(node, "command", finding->command);
  if (device != NULL) {
    g_autofree char *path = g_strdup_printf("vms/%s/memorydevices", vm->uuid);
    add_link(node, "device", path, device->id);
  }
}

/* Only what is known. */
static void add_guest(DmNode *parent, const DmGuest *guest) {
  DmNode *node = dm_node_add_object(parent, "guest");
  dm_node_add_text(node, "os", guest->os);
  dm_node_add_text(node, "kernel", guest->kernel);
  dm_node_add_text(node, "agent", guest->agent);
  dm_node_add_boolean(node, "qemu_agent", guest->qemu_agent);
  dm_node_add_text(node, "auto_online_blocks", guest->policy);
  dm_node_add_text(node, "policy", guest->policy); /* deprecated: auto_online_blocks */
  if (guest->block != 0) {
    dm_node_add_number(node, "memory_block", (gint64)guest->block);
    dm_node_add_number(node, "block", (gint64)guest->block); /* deprecated: memory_block */
  }
  if (guest->memory_source != DM_SOURCE_NONE) {
    dm_node_add_number(node, "total", (gint64)guest->total);
    dm_node_add_number(node, "available", (gint64)guest->available);
    dm_node_add_text(node, "memory_source", dm_source_name(guest->memory_source));
  }
  add_notes(node, guest->notes);
}

static DmNode *check_node(const DmVm *vm, const char *uri, uint64_t memory) {
  g_autoptr(GPtrArray) list = dm_plan_doctor(vm, memory);
  DmNode *node = dm_node_new("memory_check");
  uint64_t spare, reserve;
  dm_findings_connect(list, uri);
  dm_node_add_text(node, "verdict", dm_verdict_name(dm_plan_worst(list)));
  if (dm_plan_spare(vm, &spare, &reserve))
    dm_node_add_number(node, "spare", (gint64)spare);
  if (vm->guest != NULL)
    add_guest(node, vm->guest);
  DmNode *findings = dm_node_add_object(node, "findings");
  for (guint i = 0; i < list->len; i++)
    add_finding(findings, vm, list->pdata[i]);
  add_link(node, "vm", "vms", vm->uuid);
  return node;
}

/* 0: not given in the call. */
static gboolean read_memory(Call *call, uint64_t *memory, GError **error) {
  gboolean present;
  return read_size_parameter(call, "memory", &present, memory, error) &&
    (!present || dm_rule_size("memory", *memory, memory, error));
}

static void reply_check(Call *call, const GuestCheck *check) {
  g_autoptr(GError) error = NULL;
  uint64_t memory = 0;
  if (read_memory(call, &memory, &error))
    reply_node(call, 200, check_node(check->vm, check->uri, memory));
  else
    reply_error(call, error);
}

static void answer_check(Call *call) {
  const GuestCheck *check = call->check;
  check_leave(call);
  if (check->vm != NULL) {
    reply_check(call, check);
  } else if (check->error != NULL) {
    reply_error(call, check->error);
  } else { /* timeout */
    const DmEntry *entry = dm_inventory_find(call->api->inventory, check->vm_id);
    g_autoptr(GError) error =
      g_error_new(DM_ERROR, DM_ERROR_BUSY, "the guest of %s, or its host, did not answer within %g s; ask again",
        entry != NULL ? entry->vm->name : check->vm_id, call->api->answer_seconds);
    reply_error(call, error);
  }
}

static void on_checkup(DmVm *vm, DmAgent *agent, GError *error, gpointer data) {
  GuestCheck *check = data;
  DmEntry *entry = dm_inventory_find(check->api->inventory, check->vm_id);
  dm_agent_free(agent);
  check->vm = vm;
  check->error = error;
  if (entry != NULL && vm != NULL && vm->guest != NULL)
    dm_inventory_put_guest(check->api->inventory, entry, vm);
  g_hash_table_steal(check->api->checks, check->vm_id);
  while (check->calls->len > 0)
    stop_waiting(check->calls->pdata[0]);
  check_free(check);
}

static GuestCheck *begin_check(DmApi *api, const DmEntry *entry) {
  GuestCheck *check = g_new0(GuestCheck, 1);
  check->api = api;
  check->vm_id = g_strdup(entry->vm->uuid);
  check->uri = dm_connection_local_uri(entry->host->uri);
  check->calls = g_ptr_array_new();
  g_hash_table_insert(api->checks, check->vm_id, check);
  dm_checkup(entry->host->connection, check->vm_id, DM_LOOK_REPORT, on_checkup, check);
  return check;
}

gboolean check_guest(Call *call, const DmEntry *entry, void (*waited)(Call *call)) {
  if (entry->host->status != DM_HOST_UP || entry->host->connection == NULL)
    return FALSE;
  GuestCheck *check = g_hash_table_lookup(call->api->checks, entry->vm->uuid);
  call->check = check != NULL ? check : begin_check(call->api, entry);
  g_ptr_array_add(call->check->calls, call);
  call_on_end(call, check_leave);
  wait_for(call, waited);
  return TRUE;
}

void handle_memory_check(Call *call) {
  g_autoptr(GError) error = NULL;
  uint64_t memory = 0;
  const DmEntry *entry = find_entry(call);
  if (entry == NULL)
    return;
  if (!read_memory(call, &memory, &error)) {
    reply_error(call, error);
    return;
  }
  if (check_guest(call, entry, answer_check))
    return;
  g_set_error(&error, DM_ERROR, DM_ERROR_CONNECTION, "%s cannot be checked: its host %s cannot be reached%s%s",
    entry->vm->name, entry->host->name, entry->host->problem != NULL ? ": " : "",
    entry->host->problem != NULL ? entry->host->problem : "");
  reply_error(call, error);
}
