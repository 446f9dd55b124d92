/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <stdio.h>

#include "base/error.h"
#include "base/size.h"
#include "cli.h"
#include "engine/lock.h"
#include "plan/doctor.h"

static json_t *size(uint64_t bytes) {
  return json_integer((json_int_t)MIN(bytes, (uint64_t)G_MAXINT64));
}

/* The size, or null for 0: none. */
static json_t *size_or_null(uint64_t bytes) {
  return bytes != 0 ? size(bytes) : json_null();
}

static json_t *text_or_null(const char *text) {
  return text != NULL ? json_string(text) : json_null();
}

static const char *source_of(DmSource source) {
  return source != DM_SOURCE_NONE ? dm_source_name(source) : NULL;
}

/* @vm: of a running one; NULL: of its next run. */
static json_t *from_device(const DmMemoryDevice *device, const DmVm *vm) {
  const DmRequest *request = vm != NULL ? vm->request : NULL;
  const DmStep *step = request != NULL ? dm_request_find_step(request, device->alias) : NULL;
  json_t *object = json_object();
  json_object_set_new(object, "id", text_or_null(device->id));
  json_object_set_new(object, "alias", text_or_null(device->alias));
  json_object_set_new(object, "kind", json_string(dm_memory_device_kind_name(device)));
  json_object_set_new(object, "size", size(device->size));
  json_object_set_new(object, "memory", size(dm_memory_device_memory(device)));
  json_object_set_new(object, "node", json_integer(device->node));
  json_object_set_new(object, "slot", device->slot >= 0 ? json_integer(device->slot) : json_null());
  json_object_set_new(object, "address", size_or_null(device->address));
  json_object_set_new(object, "bus_address", text_or_null(device->bus_address));
  json_object_set_new(
    object, "state", json_string(step != NULL ? dm_step_state_name(step) : dm_memory_device_state_name(device)));
  if (device->kind == DM_DEVICE_VIRTIO_MEM) {
    json_object_set_new(object, "requested", size(device->requested));
    json_object_set_new(object, "current", size(device->current));
    json_object_set_new(object, "block", size(device->block));
  }
  json_object_set_new(object, "use", text_or_null(vm != NULL ? dm_use_name(dm_vm_device_use(vm, device)) : NULL));
  return object;
}

static json_t *from_config(const DmConfig *config, const DmVm *vm) {
  json_t *nodes = json_array(), *devices = json_array(), *object = json_object();
  for (guint i = 0; i < config->cells->len; i++)
    json_array_append_new(nodes, size(g_array_index(config->cells, uint64_t, i)));
  for (guint i = 0; i < config->devices->len; i++)
    json_array_append_new(devices, from_device(config->devices->pdata[i], vm));
  json_object_set_new(object, "memory", size(dm_config_memory(config)));
  json_object_set_new(object, "boot", size(dm_config_boot(config)));
  json_object_set_new(object, "boot_by_node", nodes);
  json_object_set_new(object, "guaranteed", size(dm_config_guaranteed(config)));
  json_object_set_new(object, "maximum", size(dm_config_maximum(config)));
  json_object_set_new(object, "floor", size_or_null(dm_config_floor(config)));
  json_object_set_new(object, "free_page_reporting", json_boolean(config->free_page_reporting));
  json_object_set_new(object, "autodeflate", json_boolean(config->autodeflate));
  json_object_set_new(object, "can_hot_plug", json_boolean(config->maximum != 0 && config->has_numa));
  json_object_set_new(object, "slots", json_integer(config->slots));
  json_object_set_new(object, "free_slots", json_integer(dm_config_free_slots(config)));
  json_object_set_new(object, "current_memory", size_or_null(config->balloon));
  json_object_set_new(object, "balloon", size_or_null(config->balloon)); /* deprecated: current_memory */
  json_object_set_new(object, "devices", devices);
  return object;
}

static json_t *from_step(const DmStep *step) {
  json_t *object = json_object();
  json_object_set_new(object, "op", json_string(dm_op_name(step->op)));
  json_object_set_new(object, "id", text_or_null(step->id));
  json_object_set_new(object, "alias", text_or_null(step->alias));
  json_object_set_new(object, "kind", json_string(dm_device_kind_name(step->kind)));
  json_object_set_new(object, "size", size(step->size));
  json_object_set_new(object, "node", json_integer(step->node));
  json_object_set_new(object, "from", size(step->from));
  json_object_set_new(object, "to", size(step->to));
  json_object_set_new(object, "state", json_string(dm_step_state_name(step)));
  return object;
}

/* The balloon's step; null: none. */
static json_t *from_balloon(const DmStep *step) {
  if (step == NULL)
    return json_null();
  json_t *object = json_object();
  json_object_set_new(object, "size", size(step->size));
  json_object_set_new(object, "from", size(step->run.size_before));
  json_object_set_new(object, "to", size(step->to));
  json_object_set_new(object, "state", json_string(dm_step_state_name(step)));
  return object;
}

static json_t *from_own_balloon(const DmStep *step) {
  json_t *object = from_balloon(step);
  if (step == NULL)
    return object;
  json_object_set_new(object, "reached", size(step->run.reached));
  json_object_set_new(object, "reason", text_or_null(dm_step_reason(step)));
  json_object_set_new(
    object, "reason_code", text_or_null(step->run.reason != NULL ? dm_note_name(step->run.reason) : NULL));
  json_object_set_new(object, "seconds", step->run.answer_s >= 0 ? json_real(step->run.answer_s) : json_null());
  return object;
}

/* A step of a change in this process has more data than one read from a VM. */
static json_t *from_own_step(const DmStep *step) {
  json_t *object = from_step(step);
  json_object_set_new(object, "from", size(step->run.size_before));
  json_object_set_new(object, "reached",
    size(step->state == DM_STEP_DONE ? step->to
        : step->op != DM_OP_UNPLUG   ? step->run.reached
                                     : step->run.size_before));
  json_object_set_new(object, "reason", text_or_null(dm_step_reason(step)));
  json_object_set_new(
    object, "reason_code", text_or_null(step->run.reason != NULL ? dm_note_name(step->run.reason) : NULL));
  const char *by = step->run.by_host ? "host" : "guest";
  json_object_set_new(object, "refused_by", text_or_null(step->state == DM_STEP_REFUSED ? by : NULL));
  json_object_set_new(object, "seconds", step->run.answer_s >= 0 ? json_real(step->run.answer_s) : json_null());
  json_object_set_new(object, "earlier", json_boolean(step->origin != NULL));
  json_object_set_new(object, "use", text_or_null(step->op == DM_OP_PLUG ? dm_use_name(step->run.use) : NULL));
  return object;
}

static json_t *from_steps(const GPtrArray *steps, json_t *(*from)(const DmStep *)) {
  json_t *array = json_array();
  for (guint i = 0; i < steps->len; i++)
    json_array_append_new(array, from(steps->pdata[i]));
  return array;
}

static json_t *process_or_null(pid_t process) {
  return process != 0 ? json_integer(process) : json_null();
}

static json_t *from_request(const DmVm *vm, pid_t owner) {
  const DmRequest *request = vm->request;
  if (request == NULL)
    return json_null();
  json_t *object = json_object();
  json_object_set_new(object, "id", text_or_null(request->id));
  json_object_set_new(object, "action", json_string(dm_action_name(request->action)));
  json_object_set_new(object, "memory", size_or_null(request->memory));
  json_object_set_new(object, "guaranteed", size_or_null(request->guaranteed));
  json_object_set_new(object, "started", json_integer(request->started_s));
  json_object_set_new(object, "host", text_or_null(request->pid != 0 ? request->host : NULL));
  json_object_set_new(object, "process", process_or_null(owner));
  json_object_set_new(object, "steps", from_steps(request->steps, from_step));
  json_object_set_new(object, "balloon_step", from_balloon(request->balloon));
  return object;
}

static json_t *named(const DmVm *vm) {
  return json_pack("{s:s, s:s}", "name", vm->name, "uuid", vm->uuid);
}

json_t *json_about_vm(const DmVm *vm) {
  json_t *object = named(vm);
  json_object_set_new(object, "vm", json_string(vm->name)); /* deprecated: name */
  return object;
}

/* What the balloon of a running VM holds, by what is more trustworthy than libvirt's own number. */
static void add_balloon(json_t *live, const DmVm *vm) {
  uint64_t held = 0;
  gboolean known = dm_vm_ballooned(vm, &held);
  json_object_set_new(live, "ballooned", known ? size(held) : json_null());
  json_object_set_new(live, "balloon_use", json_string(dm_balloon_use_name(vm->live->balloon_use)));
  if (vm->balloon_actual != 0)
    json_object_set_new(live, "current_memory", size(dm_size_minus(dm_config_memory(vm->live), held)));
}

json_t *json_from_vm(const DmVm *vm) {
  pid_t owner = dm_lock_owner(vm->uuid);
  json_t *object = named(vm);
  json_object_set_new(object, "state", json_string(dm_vm_state_name(vm->state)));
  json_object_set_new(object, "saved", json_boolean(vm->saved));
  json_t *live = vm->live != NULL ? from_config(vm->live, vm) : json_null();
  if (vm->live != NULL)
    add_balloon(live, vm);
  json_object_set_new(object, "live", live);
  json_t *next_run = vm->next_run != NULL ? from_config(vm->next_run, NULL) : json_null();
  if (vm->next_run != NULL)
    json_object_set_new(next_run, "balloon_use", json_string(dm_balloon_use_name(vm->next_run->balloon_use)));
  if (vm->next_run != NULL)
    json_object_set_new(next_run, "ballooned", size(vm->balloon ? dm_config_ballooned(vm->next_run) : 0));
  json_object_set_new(object, "next_run", next_run);
  json_object_set_new(object, "next_run_differs", json_boolean(dm_vm_has_next_run(vm)));
  json_object_set_new(object, "process", process_or_null(owner));
  json_object_set_new(object, "request", from_request(vm, owner));
  return object;
}

static json_t *ballooned_of(const DmVm *vm, const DmConfig *config) {
  uint64_t held = vm->balloon ? dm_config_ballooned(config) : 0;
  return config != vm->live || dm_vm_ballooned(vm, &held) ? size(held) : json_null();
}

static json_t *values(uint64_t memory, uint64_t guaranteed) {
  json_t *object = json_object();
  json_object_set_new(object, "memory", size(memory));
  json_object_set_new(object, "guaranteed", size(guaranteed));
  return object;
}

static json_t *values_of(const DmVm *vm, const DmConfig *config) {
  json_t *object = values(dm_config_memory(config), dm_config_guaranteed(config));
  json_object_set_new(object, "maximum", size(dm_config_maximum(config)));
  json_object_set_new(object, "ballooned", ballooned_of(vm, config));
  return object;
}

/* Seconds until the last answer: since the plan was made, and since the first device was asked. */
static json_t *timing_of(const DmChange *change) {
  double request, guest;
  if (!dm_change_timing(change, &request, &guest))
    return json_null();
  json_t *object = json_object();
  json_object_set_new(object, "request", json_real(request));
  json_object_set_new(object, "guest", json_real(guest));
  return object;
}

void json_add_notes(json_t *object, const char *name, const char *codes_name, const GPtrArray *notes) {
  json_t *sentences = json_array(), *codes = json_array();
  for (guint i = 0; i < notes->len; i++) {
    const DmNote *note = notes->pdata[i];
    json_array_append_new(sentences, json_string(note->text));
    json_array_append_new(codes, json_string(dm_note_name(note)));
  }
  json_object_set_new(object, name, sentences);
  json_object_set_new(object, codes_name, codes);
}

json_t *json_from_change(const DmChange *change, gboolean dry_run) {
  const DmPlan *plan = dm_change_plan(change);
  const DmVm *before = dm_change_vm_before(change), *vm = dm_change_vm(change);
  const DmRequest *request = dm_change_request(change);
  const DmConfig *next = dry_run && plan->next_run_config != NULL ? plan->next_run_config : vm->next_run;
  const char *outcome = dry_run ? "planned" : dm_outcome_name(dm_change_outcome(change));
  json_t *object = json_about_vm(vm);

  json_object_set_new(object, "action", json_string(dm_action_name(plan->action)));
  json_object_set_new(object, "outcome", json_string(outcome));
  json_object_set_new(object, "interrupted", json_boolean(dm_change_was_stopped(change)));
  json_object_set_new(object, "before", values_of(before, dm_vm_current(before)));
  json_t *planned = values(plan->memory_after, plan->guaranteed_after);
  json_object_set_new(planned, "ballooned", size(plan->ballooned_after));
  json_object_set_new(object, "planned", planned);
  json_object_set_new(object, "after", dry_run ? json_null() : values_of(vm, dm_vm_current(vm)));
  json_object_set_new(object, "next_run", next != NULL ? values_of(vm, next) : json_null());
  json_object_set_new(object, "steps",
    request != NULL ? from_steps(request->steps, from_own_step) : from_steps(plan->steps, from_own_step));
  const DmStep *balloon = request != NULL ? request->balloon : plan->balloon;
  json_object_set_new(
    object, "balloon_step", from_own_balloon(balloon == NULL || balloon->origin != NULL ? NULL : balloon));
  json_object_set_new(object, "timing", timing_of(change));
  json_add_notes(object, "notes", "note_codes", plan->notes);
  return object;
}

/* Of each NUMA node of the guest that has memory; null: not known. */
static json_t *from_nodes(const GArray *nodes) {
  json_t *array = nodes != NULL ? json_array() : json_null();
  for (guint i = 0; nodes != NULL && i < nodes->len; i++) {
    const DmGuestNode *node = &g_array_index(nodes, DmGuestNode, i);
    json_t *object = json_object();
    json_object_set_new(object, "node", json_integer((json_int_t)node->node));
    json_object_set_new(object, "total", size(node->total));
    json_object_set_new(object, "free", size(node->free));
    json_object_set_new(object, "available", size(node->available));
    json_array_append_new(array, object);
  }
  return array;
}

/* The guest's report and its source: null for what is not known. */
static json_t *from_guest(const DmGuest *guest) {
  json_t *object = json_object();
  json_object_set_new(object, "os", text_or_null(guest->os));
  json_object_set_new(object, "kernel", text_or_null(guest->kernel));
  json_object_set_new(object, "agent", text_or_null(guest->agent));
  json_object_set_new(object, "qemu_agent", json_boolean(guest->qemu_agent));
  json_object_set_new(object, "memory_block", size_or_null(guest->block));
  json_object_set_new(object, "memory_block_source", text_or_null(source_of(guest->block_source)));
  json_object_set_new(object, "auto_online_blocks", text_or_null(guest->policy));
  /* Deprecated: the three above. */
  json_object_set_new(object, "block", size_or_null(guest->block));
  json_object_set_new(object, "block_source", text_or_null(source_of(guest->block_source)));
  json_object_set_new(object, "policy", text_or_null(guest->policy));
  json_object_set_new(object, "total", size_or_null(guest->total));
  json_object_set_new(
    object, "available", guest->memory_source != DM_SOURCE_NONE ? size(guest->available) : json_null());
  json_object_set_new(object, "memory_source", text_or_null(source_of(guest->memory_source)));
  json_object_set_new(object, "nodes", from_nodes(guest->nodes));
  json_add_notes(object, "notes", "note_codes", guest->notes);
  return object;
}

json_t *json_from_findings(const DmVm *vm, const GPtrArray *findings) {
  json_t *array = json_array(), *object = json_about_vm(vm);
  for (guint i = 0; i < findings->len; i++) {
    const DmFinding *finding = findings->pdata[i];
    json_t *one = json_object();
    json_object_set_new(one, "check", json_string(dm_check_name(dm_finding_check(finding->code))));
    json_object_set_new(one, "code", json_string(dm_finding_name(finding->code)));
    json_object_set_new(one, "verdict", json_string(dm_verdict_name(finding->verdict)));
    json_object_set_new(one, "device", text_or_null(finding->alias));
    json_object_set_new(one, "evidence", json_string(finding->evidence));
    json_object_set_new(one, "source", text_or_null(finding->source));
    json_object_set_new(one, "remedy", text_or_null(finding->remedy));
    json_object_set_new(one, "command", text_or_null(finding->command));
    json_array_append_new(array, one);
  }
  json_object_set_new(object, "verdict", json_string(dm_verdict_name(dm_plan_worst(findings))));
  json_object_set_new(object, "guest", vm->guest != NULL ? from_guest(vm->guest) : json_null());
  json_object_set_new(object, "findings", array);
  return object;
}

json_t *json_inner_error(const GError *error, const char *message) {
  const DmErrorInfo *info = dm_error_info_of(error);
  int domain, code;
  json_t *inner = json_object();
  json_object_set_new(inner, "code", json_string(info->name));
  json_object_set_new(inner, "message", json_string(message));
  json_object_set_new(inner, "exit_status", json_integer(info->exit_status));
  if (dm_error_get_origin(error, &domain, &code)) {
    json_t *libvirt = json_object();
    json_object_set_new(libvirt, "domain", json_integer(domain));
    json_object_set_new(libvirt, "code", json_integer(code));
    json_object_set_new(inner, "libvirt", libvirt);
  }
  return inner;
}

json_t *json_from_error(const GError *error, const char *message, const GPtrArray *notes) {
  json_t *inner = json_inner_error(error, message), *object = json_object();
  if (notes != NULL && notes->len > 0)
    json_add_notes(inner, "notes", "note_codes", notes);
  json_object_set_new(object, "error", inner);
  return object;
}

void json_print(json_t *value) {
  json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
  putchar('\n');
  json_decref(value);
}
