/* SPDX-License-Identifier: Apache-2.0 */
#include "model/vm.h"

#include <string.h>

#include "base/error.h"
#include "base/size.h"

#define SHORTEST_ID 8

void dm_refusal_free(DmRefusal *refusal) {
  if (refusal == NULL)
    return;
  g_free(refusal->alias);
  g_free(refusal->guest);
  g_free(refusal);
}

DmRefusal *dm_refusal_copy(const DmRefusal *refusal) {
  DmRefusal *copy = g_memdup2(refusal, sizeof *refusal);
  copy->alias = g_strdup(refusal->alias);
  copy->guest = g_strdup(refusal->guest);
  return copy;
}

static void free_refusal(gpointer refusal) {
  dm_refusal_free(refusal);
}

static gpointer copy_refusal(gconstpointer refusal, gpointer unused) {
  return dm_refusal_copy(refusal);
}

DmVm *dm_vm_new(void) {
  DmVm *vm = g_new0(DmVm, 1);
  vm->refusals = g_ptr_array_new_with_free_func(free_refusal);
  return vm;
}

DmVm *dm_vm_copy(const DmVm *vm) {
  DmVm *copy = g_memdup2(vm, sizeof *vm);
  copy->uuid = g_strdup(vm->uuid);
  copy->name = g_strdup(vm->name);
  copy->title = g_strdup(vm->title);
  copy->description = g_strdup(vm->description);
  copy->arch = g_strdup(vm->arch);
  copy->live = vm->live != NULL ? dm_config_copy(vm->live) : NULL;
  copy->next_run = vm->next_run != NULL ? dm_config_copy(vm->next_run) : NULL;
  copy->request = vm->request != NULL ? dm_request_copy(vm->request) : NULL;
  copy->refusals = g_ptr_array_copy(vm->refusals, copy_refusal, NULL);
  copy->guest = vm->guest != NULL ? dm_guest_copy(vm->guest) : NULL;
  return copy;
}

void dm_vm_free(DmVm *vm) {
  if (vm == NULL)
    return;
  g_free(vm->uuid);
  g_free(vm->name);
  g_free(vm->title);
  g_free(vm->description);
  g_free(vm->arch);
  dm_config_free(vm->live);
  dm_config_free(vm->next_run);
  dm_request_free(vm->request);
  g_ptr_array_unref(vm->refusals);
  dm_guest_free(vm->guest);
  g_free(vm);
}

const char *dm_vm_state_name(DmVmState state) {
  static const char *const names[] = {
    [DM_VM_SHUT_OFF] = "shut off",
    [DM_VM_RUNNING] = "running",
    [DM_VM_PAUSED] = "paused",
    [DM_VM_SHUTTING_DOWN] = "in shutdown",
    [DM_VM_CRASHED] = "crashed",
    [DM_VM_SUSPENDED] = "suspended",
  };
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_VM_STATES);
  return names[state];
}

#define UUID_LENGTH 36

/* libvirt and virsh accept hyphens anywhere. */
static gboolean looks_like_uuid(const char *name) {
  return strlen(name) == UUID_LENGTH && strspn(name, "0123456789abcdefABCDEF-") == UUID_LENGTH;
}

const char *dm_vm_handle_of(const char *name, const char *uuid) {
  return looks_like_uuid(name) ? uuid : name;
}

const char *dm_vm_handle(const DmVm *vm) {
  return dm_vm_handle_of(vm->name, vm->uuid);
}

const char *dm_vm_virsh_handle(const DmVm *vm) {
  char *end = NULL;
  g_ascii_strtoll(vm->name, &end, 10);
  return end != vm->name && *end == '\0' ? vm->uuid : dm_vm_handle(vm);
}

const DmConfig *dm_vm_current(const DmVm *vm) {
  return vm->live != NULL ? vm->live : vm->next_run;
}

static gboolean has_virtio_mem(const DmConfig *config) {
  for (guint i = 0; i < config->devices->len; i++) {
    if (((DmMemoryDevice *)config->devices->pdata[i])->kind == DM_DEVICE_VIRTIO_MEM)
      return TRUE;
  }
  return FALSE;
}

gboolean dm_vm_ballooned(const DmVm *vm, uint64_t *ballooned) {
  if (vm->live == NULL)
    return FALSE;
  uint64_t left = vm->balloon_actual != 0 ? vm->balloon_actual : vm->live->balloon;
  if (vm->balloon && vm->balloon_actual == 0 && dm_vm_may_be_ballooned(vm) && has_virtio_mem(vm->live))
    return FALSE;
  uint64_t held = dm_size_minus(dm_config_fixed(vm->live), left);
  *ballooned = !vm->balloon || left == 0 || held < DM_MIB ? 0 : held;
  return TRUE;
}

gboolean dm_vm_may_be_ballooned(const DmVm *vm) {
  if (!vm->balloon || vm->live == NULL)
    return FALSE;
  uint64_t memory = dm_config_memory(vm->live), current = vm->live->balloon;
  return (current != 0 && (memory > current ? memory - current : current - memory) >= DM_MIB) ||
    vm->live->balloon_held != 0 || vm->live->balloon_use == DM_BALLOON_USE_ALLOW ||
    (vm->request != NULL && vm->request->balloon != NULL);
}

gboolean dm_vm_has_next_run(const DmVm *vm) {
  return vm->live != NULL && vm->next_run != NULL && !dm_config_equal_values(vm->live, vm->next_run);
}

uint64_t dm_vm_factor(const DmVm *vm) {
  return vm->arch != NULL && g_str_has_prefix(vm->arch, "ppc") ? 256 * DM_MIB : 128 * DM_MIB;
}

DmMemoryDevice *dm_vm_find_device(const DmVm *vm, const char *name, GError **error) {
  if (vm->live == NULL) {
    g_set_error(error, DM_ERROR, DM_ERROR_NOT_RUNNING,
      "%s is %s: only a running VM has memory devices to unplug; set the memory of its next run", vm->name,
      dm_vm_state_name(vm->state));
    dm_error_add_command(error, "dimmer", "set", "--", dm_vm_handle(vm), "--memory", "SIZE", NULL);
    return NULL;
  }
  DmMemoryDevice *found = dm_config_find_alias(vm->live, name);
  if (found != NULL)
    return found;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->id == NULL || *name == '\0' || g_ascii_strncasecmp(device->id, name, strlen(name)) != 0)
      continue;
    if (found != NULL) {
      g_set_error(error, DM_ERROR, DM_ERROR_AMBIGUOUS,
        "'%s' is the beginning of more than one memory device of %s (%s, %s); write more of the id", name, vm->name,
        found->id, device->id);
      return NULL;
    }
    found = device;
  }
  if (found == NULL) {
    g_set_error(
      error, DM_ERROR, DM_ERROR_NO_SUCH_DEVICE, "%s has no memory device '%s'; see its devices", vm->name, name);
    dm_error_add_command(error, "dimmer", "show", "--", dm_vm_handle(vm), NULL);
  }
  return found;
}

guint dm_vm_short_id_length(const DmVm *vm) {
  guint length = SHORTEST_ID;
  const GPtrArray *devices = vm->live != NULL ? vm->live->devices : NULL;
  for (guint i = 0; devices != NULL && i < devices->len; i++) {
    for (guint k = 0; k < i; k++) {
      const char *a = ((DmMemoryDevice *)devices->pdata[i])->id, *b = ((DmMemoryDevice *)devices->pdata[k])->id;
      while (a != NULL && b != NULL && length < strlen(a) && g_ascii_strncasecmp(a, b, length) == 0)
        length++;
    }
  }
  return length;
}
