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

/* The size, or null for 0: there is none. */
static json_t *size_or_null(uint64_t bytes) {
  return bytes != 0 ? size(bytes) : json_null();
}

static json_t *text_or_null(const char *text) {
  return text != NULL ? json_string(text) : json_null();
}

static const char *source_of(DmSource source) {
  return source != DM_SOURCE_NONE ? dm_source_name(source) : NULL;
}

static json_t *from_device(const DmMemoryDevice *device, const DmRequest *request) {
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
  json_object_set_new(object, "state", json_string(step != NULL ? dm_step_state_name(step) : "present"));
  if (device->kind == DM_DEVICE_VIRTIO_MEM) {
    json_object_set_new(object, "requested", size(device->requested));
    json_object_set_new(object, "current", size(device->current));
    json_object_set_new(object, "block", size(device->block));
  }
  return object;
}

static json_t *from_config(const DmConfig *config, const DmRequest *request) {
  json_t *nodes = json_array(), *devices = json_array(), *object = json_object();
  for (guint i = 0; i < config->cells->len; i++)
    json_array_append_new(nodes, size(g_array_index(config->cells, uint64_t, i)));
  for (guint i = 0; i < config->devices->len; i++)
    json_array_append_new(devices, from_device(config->devices->pdata[i], request));
  json_object_set_new(object, "memory", size(dm_config_memory(config)));
  json_object_set_new(object, "boot", size(dm_config_boot(config)));
  json_object_set_new(object, "boot_by_node", nodes);
  json_object_set_new(object, "guaranteed", size(dm_config_guaranteed(config)));
  json_object_set_new(object, "maximum", size(dm_config_maximum(config)));
  json_object_set_new(object, "can_hot_plug", json_boolean(config->maximum != 0 && config->has_numa));
  json_object_set_new(object, "slots", json_integer(config->slots));
  json_object_set_new(object, "free_slots", json_integer(dm_config_free_slots(config)));
  json_object_set_new(object, "balloon", size_or_null(config->balloon));
  json_object_set_new(object, "devices", devices);
  return object;
}

static json_t *from_step(const DmStep *step) {
  json_t *object = json_object();
  json_object_set_new(object, "op", json_string(dm_op_name(step->op)));
  json_object_set_new(object, "id", text_or_null(step->id));
  json_object_set_new(object, "alias", text_or_null(step->alias));
  json_object_set_new(object, "kind", json_string(step->kind == DM_DEVICE_VIRTIO_MEM ? "virtio-mem" : "dimm"));
  json_object_set_new(object, "size", size(step->size));
  json_object_set_new(object, "node", json_integer(step->node));
  json_object_set_new(object, "from", size(step->from));
  json_object_set_new(object, "to", size(step->to));
  json_object_set_new(object, "state", json_string(dm_step_state_name(step)));
  return object;
}

/* A step of a change in this process has more to tell than one read from a VM. */
static json_t *from_own_step(const DmStep *step) {
  json_t *object = from_step(step);
  json_object_set_new(object, "from", size(step->size_before));
  json_object_set_new(object, "reached",
    size(step->state == DM_STEP_DONE ? step->to
        : step->op == DM_OP_RESIZE   ? step->reached
                                     : step->size_before));
  json_object_set_new(object, "reason", text_or_null(step->reason));
  json_object_set_new(object, "seconds", step->seconds >= 0 ? json_real(step->seconds) : json_null());
  json_object_set_new(object, "earlier", json_boolean(step->origin != NULL));
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
  json_object_set_new(object, "started", json_integer(request->started));
  json_object_set_new(object, "host", text_or_null(request->pid != 0 ? request->host : NULL));
  json_object_set_new(object, "process", process_or_null(owner));
  json_object_set_new(object, "steps", from_steps(request->steps, from_step));
  return object;
}

json_t *json_from_vm(const DmVm *vm) {
  pid_t owner = dm_lock_owner(vm->uuid);
  json_t *object = json_object();
  json_object_set_new(object, "name", json_string(vm->name));
  json_object_set_new(object, "uuid", json_string(vm->uuid));
  json_object_set_new(object, "state", json_string(dm_vm_state_name(vm->state)));
  json_object_set_new(object, "live", vm->live != NULL ? from_config(vm->live, vm->request) : json_null());
  json_object_set_new(object, "next_run", vm->next_run != NULL ? from_config(vm->next_run, NULL) : json_null());
  json_object_set_new(object, "next_run_differs", json_boolean(dm_vm_has_next_run(vm)));
  json_object_set_new(object, "process", process_or_null(owner));
  json_object_set_new(object, "request", from_request(vm, owner));
  return object;
}

static json_t *values(uint64_t memory, uint64_t guaranteed) {
  json_t *object = json_object();
  json_object_set_new(object, "memory", size(memory));
  json_object_set_new(object, "guaranteed", size(guaranteed));
  return object;
}

static json_t *values_of(const DmConfig *config) {
  json_t *object = values(dm_config_memory(config), dm_config_guaranteed(config));
  json_object_set_new(object, "maximum", size(dm_config_maximum(config)));
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

json_t *json_from_change(const DmChange *change, gboolean dry_run) {
  const DmPlan *plan = dm_change_plan(change);
  const DmVm *before = dm_change_vm_before(change), *vm = dm_change_vm(change);
  const DmRequest *request = dm_change_request(change);
  const DmConfig *next = dry_run && plan->next_run_config != NULL ? plan->next_run_config : vm->next_run;
  const char *outcome = dry_run ? "planned" : dm_outcome_name(dm_change_outcome(change));
  json_t *notes = json_array(), *object = json_object();
  for (guint i = 0; i < plan->notes->len; i++)
    json_array_append_new(notes, json_string(plan->notes->pdata[i]));

  json_object_set_new(object, "vm", json_string(vm->name));
  json_object_set_new(object, "uuid", json_string(vm->uuid));
  json_object_set_new(object, "action", json_string(dm_action_name(plan->action)));
  json_object_set_new(object, "outcome", json_string(outcome));
  json_object_set_new(object, "interrupted", json_boolean(dm_change_was_stopped(change)));
  json_object_set_new(object, "before", values_of(dm_vm_current(before)));
  json_object_set_new(object, "planned", values(plan->memory_after, plan->guaranteed_after));
  json_object_set_new(object, "after", dry_run ? json_null() : values_of(dm_vm_current(vm)));
  json_object_set_new(object, "next_run", next != NULL ? values_of(next) : json_null());
  json_object_set_new(object, "steps",
    request != NULL ? from_steps(request->steps, from_own_step) : from_steps(plan->steps, from_own_step));
  json_object_set_new(object, "timing", timing_of(change));
  json_object_set_new(object, "notes", notes);
  return object;
}

/* What the guest told of itself, and who told: null for what is not known. */
static json_t *from_guest(const DmGuest *guest) {
  json_t *notes = json_array(), *object = json_object();
  for (guint i = 0; i < guest->notes->len; i++)
    json_array_append_new(notes, json_string(guest->notes->pdata[i]));
  json_object_set_new(object, "os", text_or_null(guest->os));
  json_object_set_new(object, "kernel", text_or_null(guest->kernel));
  json_object_set_new(object, "agent", text_or_null(guest->agent));
  json_object_set_new(object, "qemu_agent", json_boolean(guest->qemu_agent));
  json_object_set_new(object, "block", size_or_null(guest->block));
  json_object_set_new(object, "block_source", text_or_null(source_of(guest->block_source)));
  json_object_set_new(object, "policy", text_or_null(guest->policy));
  json_object_set_new(object, "total", size_or_null(guest->total));
  json_object_set_new(
    object, "available", guest->memory_source != DM_SOURCE_NONE ? size(guest->available) : json_null());
  json_object_set_new(object, "memory_source", text_or_null(source_of(guest->memory_source)));
  json_object_set_new(object, "notes", notes);
  return object;
}

json_t *json_from_findings(const DmVm *vm, const GPtrArray *findings) {
  json_t *array = json_array(), *object = json_object();
  for (guint i = 0; i < findings->len; i++) {
    const DmFinding *finding = findings->pdata[i];
    json_t *one = json_object();
    json_object_set_new(one, "check", json_string(finding->check));
    json_object_set_new(one, "verdict", json_string(dm_verdict_name(finding->verdict)));
    json_object_set_new(one, "device", text_or_null(finding->alias));
    json_object_set_new(one, "evidence", json_string(finding->evidence));
    json_object_set_new(one, "source", text_or_null(finding->source));
    json_object_set_new(one, "remedy", text_or_null(finding->remedy));
    json_object_set_new(one, "command", text_or_null(finding->command));
    json_array_append_new(array, one);
  }
  json_object_set_new(object, "vm", json_string(vm->name));
  json_object_set_new(object, "uuid", json_string(vm->uuid));
  json_object_set_new(object, "verdict", json_string(dm_verdict_name(dm_plan_worst(findings))));
  json_object_set_new(object, "guest", vm->guest != NULL ? from_guest(vm->guest) : json_null());
  json_object_set_new(object, "findings", array);
  return object;
}

json_t *json_from_error(const GError *error) {
  const DmErrorInfo *info = dm_error_info_of(error);
  int domain, code;
  json_t *inner = json_object(), *object = json_object();
  json_object_set_new(inner, "code", json_string(info->name));
  g_autofree char *message = options_message(error);
  json_object_set_new(inner, "message", json_string(message));
  json_object_set_new(inner, "exit_status", json_integer(info->exit_status));
  if (dm_error_get_origin(error, &domain, &code)) {
    json_t *libvirt = json_object();
    json_object_set_new(libvirt, "domain", json_integer(domain));
    json_object_set_new(libvirt, "code", json_integer(code));
    json_object_set_new(inner, "libvirt", libvirt);
  }
  json_object_set_new(object, "error", inner);
  return object;
}

void json_print(json_t *value) {
  json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
  putchar('\n');
  json_decref(value);
}
