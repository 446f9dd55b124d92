/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/prepare.h"

#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "facts.h"
#include "guest/qemu_agent.h"
#include "prepare_script.h"
#include "udev_rule.h"

#define SCRIPT_SECONDS 120
#define AGENT_SECONDS 60
#define MAX_SENTENCES 64
#define RULE_FILE "/etc/udev/rules.d/39-dimmer-memory.rules"
#define POLICY_FILE "/sys/devices/system/memory/auto_online_blocks"

DmPrepared *dm_prepared_new(void) {
  DmPrepared *prepared = g_new0(DmPrepared, 1);
  prepared->did = g_ptr_array_new_with_free_func(g_free);
  prepared->left = g_ptr_array_new_with_free_func(g_free);
  return prepared;
}

void dm_prepared_free(DmPrepared *prepared) {
  if (prepared == NULL)
    return;
  g_ptr_array_unref(prepared->did);
  g_ptr_array_unref(prepared->left);
  g_free(prepared);
}

static void add(GPtrArray *sentences, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void add(GPtrArray *sentences, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_ptr_array_add(sentences, g_strdup_vprintf(format, arguments));
  va_end(arguments);
}

/* Runs of @device that lie in a state that is worth a try: in a kernel zone. Calls @each for every block of them. */
static void each_kernel_block(const DmVm *vm, void (*each)(uint64_t number, gpointer data), gpointer data) {
  const DmGuest *guest = vm->guest;
  for (guint d = 0; guest != NULL && guest->runs != NULL && vm->live != NULL && d < vm->live->devices->len; d++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[d];
    if (device->kind != DM_DEVICE_DIMM || device->address == 0)
      continue;
    for (guint i = 0; i < guest->runs->len; i++) {
      const DmBlockRun *run = &g_array_index(guest->runs, DmBlockRun, i);
      if (run->state != DM_BLOCK_ONLINE || run->zone != DM_ZONE_KERNEL)
        continue;
      uint64_t from = MAX(run->start, device->address);
      uint64_t to = MIN(run->start + run->size, device->address + device->size);
      for (uint64_t at = from; at < to; at += guest->block)
        each(at / guest->block, data);
    }
  }
}

static gboolean is_placed_dimm(const DmMemoryDevice *device) {
  return device->kind == DM_DEVICE_DIMM && device->address != 0;
}

char *dm_prepare_script(const DmVm *vm) {
  g_autoptr(GString) places = g_string_new(NULL);
  for (guint i = 0; vm->live != NULL && i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (is_placed_dimm(device))
      g_string_append_printf(
        places, " %#" G_GINT64_MODIFIER "x+%#" G_GINT64_MODIFIER "x", device->address, device->size);
  }
  if (places->len == 0)
    return g_strdup(prepare_script);
  const char *body = strchr(prepare_script, '\n') + 1;
  return g_strdup_printf("#!/bin/sh\nset --%s\n%s", places->str, body);
}

/* ---- by programs ---- */

/* The script has a handful of sentences. A guest that has more makes them up. */
static void take_output(char *output, DmPrepared *prepared) {
  for (char *rest = output, *line; (line = strsep(&rest, "\n")) != NULL;) {
    if (prepared->did->len + prepared->left->len >= MAX_SENTENCES)
      return;
    g_autofree char *words = facts_words(line);
    if (g_str_has_prefix(words, "done: "))
      add(prepared->did, "%s", words + 6);
    else if (g_str_has_prefix(words, "left: "))
      add(prepared->left, "%s", words + 6);
  }
}

/* Where dimmer-guest answers, what is plugged is its work: the script is told of no device then. */
static gboolean run_script(DmConnection *connection, const DmVm *vm, DmPrepared *prepared, GError **error) {
  g_autofree char *script = vm->guest->agent != NULL ? g_strdup(prepare_script) : dm_prepare_script(vm);
  g_autofree char *output = dm_qemu_agent_run(connection, vm, script, SCRIPT_SECONDS, error);
  if (output == NULL)
    return FALSE;
  take_output(output, prepared);
  return TRUE;
}

/* ---- by files ---- */

static gboolean write_rule(DmConnection *connection, const DmVm *vm, DmPrepared *prepared) {
  g_autoptr(GError) failed = NULL;
  if (dm_qemu_agent_write_file(
        connection, vm, RULE_FILE, udev_rule, &failed)) { /* udevd sees by itself that it is new */
    add(prepared->did, "wrote " RULE_FILE);
    return TRUE;
  }
  add(prepared->left, "the udev rule could not be written: %s", failed->message);
  return FALSE;
}

static gboolean write_policy(DmConnection *connection, const DmVm *vm, gboolean has_rule, DmPrepared *prepared) {
  const char *policy = "online_movable";
  gboolean set = dm_qemu_agent_write_file(connection, vm, POLICY_FILE, policy, NULL);
  if (!set && has_rule) {
    policy = "offline"; /* before 5.7: leaves it to the rule */
    set = dm_qemu_agent_write_file(connection, vm, POLICY_FILE, policy, NULL);
  }
  if (set)
    add(prepared->did, "set auto_online_blocks to %s", policy);
  add(prepared->left, "%s: add memhp_default_state=online_movable to the kernel's command line",
    set ? "auto_online_blocks goes back with a reboot" : "auto_online_blocks cannot be set from outside");
  return set;
}

/* From the highest down: a kernel of before 4.13 makes only the last block of its own zone movable. */
static guint online_offline_blocks(DmConnection *connection, const DmVm *vm) {
  const DmGuest *guest = vm->guest;
  gint64 deadline = g_get_monotonic_time() + SCRIPT_SECONDS * G_USEC_PER_SEC; /* the agent may stop to answer */
  guint count = 0;
  for (guint i = guest->runs != NULL ? guest->runs->len : 0; i > 0; i--) {
    const DmBlockRun *run = &g_array_index(guest->runs, DmBlockRun, i - 1);
    for (uint64_t left = run->state == DM_BLOCK_OFFLINE ? run->size : 0; left > 0; left -= guest->block) {
      if (g_get_monotonic_time() > deadline)
        return count;
      g_autofree char *path = g_strdup_printf(
        "/sys/devices/system/memory/memory%" G_GUINT64_FORMAT "/state", (run->start + left) / guest->block - 1);
      count += dm_qemu_agent_write_file(connection, vm, path, "online_movable", NULL);
    }
  }
  return count;
}

static void count_block(uint64_t number, gpointer data) {
  (*(guint *)data)++;
}

static gboolean write_files(DmConnection *connection, const DmVm *vm, DmPrepared *prepared, GError **error) {
  guint kernel = 0;
  gboolean rule = write_rule(connection, vm, prepared);
  gboolean policy = write_policy(connection, vm, rule, prepared);
  if (!rule && !policy) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "qemu-guest-agent in %s lets nothing be written; do it by hand: 'dimmer guest prepare %s --print' shows how",
      vm->name, vm->name);
    return FALSE;
  }
  each_kernel_block(vm, count_block, &kernel);
  if (kernel > 0)
    add(prepared->left,
      "%u memory block%s in use by the kernel, which files alone cannot change: 'dimmer guest prepare %s --print' does it "
      "by hand",
      kernel, kernel == 1 ? " is" : "s are", vm->name);
  guint count = online_offline_blocks(connection, vm);
  if (count > 0)
    add(prepared->did,
      count == 1 ? "brought %u memory block online as movable" : "brought %u memory blocks online as movable", count);
  return TRUE;
}

gboolean dm_prepare_by_qemu_agent(DmConnection *connection, const DmVm *vm, DmPrepared *prepared, GError **error) {
  if (vm->guest->can_exec)
    return run_script(connection, vm, prepared, error);
  if (vm->guest->can_file)
    return write_files(connection, vm, prepared, error);
  if (!vm->guest->qemu_agent) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "qemu-guest-agent in %s has opened its port, but does not answer; restart it", vm->name);
    return FALSE;
  }
  g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
    "qemu-guest-agent in %s may neither run programs nor write files; do it by hand: 'dimmer guest prepare %s --print' "
    "shows how",
    vm->name, vm->name);
  return FALSE;
}

/* ---- by dimmer-guest ---- */

typedef struct {
  DmAgent *agent;
  DmVm *vm;
  DmPrepared *prepared;
  void (*done)(gpointer data);
  gpointer data;
  guint next; /* index of the device that is next */
} Making;

static void make_next(Making *making);

/* What mends it; "" where nothing is known to. */
static const char *remedy_of(const DmAgentAnswer *answer) {
  static const struct {
    const char *why, *remedy;
  } remedies[] = {
    {"kernel",
      "; a reboot of the guest with memhp_default_state=online_movable on its kernel's command line mends that"},
    {"memory", "; end programs in the guest that use memory, or give it more, and prepare it again"},
    {"in-use", "; prepare it again when the guest has less to do"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(remedies); i++) {
    if (g_strcmp0(remedies[i].why, answer->why) == 0)
      return remedies[i].remedy;
  }
  return "";
}

static void on_made(const DmAgentAnswer *answer, gpointer data) {
  Making *making = data;
  const DmMemoryDevice *device = making->vm->live->devices->pdata[making->next++];
  g_autofree char *size = dm_size_format(device->size);
  g_autofree char *name = g_strdup_printf("%s %.8s", dm_memory_device_kind_name(device), device->id);
  if (answer->ok && answer->done == answer->of)
    add(making->prepared->did, "made %s (%s) movable", name, size);
  else if (answer->ok)
    add(making->prepared->left,
      "%s (%s) stays as it is by %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " memory blocks: %s%s", name, size,
      answer->of - answer->done, answer->of, answer->why != NULL ? answer->detail : "the guest did not tell why",
      remedy_of(answer));
  else if (g_strcmp0(answer->code, "cancelled") == 0) /* by us, when the time was over */
    add(making->prepared->left,
      "%s (%s) is not movable throughout: within %d seconds the guest could not move what is in it; end programs there "
      "that keep memory in its place, as those with direct access of devices do, and prepare it again",
      name, size, AGENT_SECONDS);
  else
    add(making->prepared->left, "%s (%s) stays as it is: %s", name, size, answer->detail);
  make_next(making);
}

/* All of it is movable, or brought online so by itself. */
static gboolean is_made(const Making *making, const DmMemoryDevice *device) {
  if (device->kind != DM_DEVICE_DIMM || device->address == 0)
    return TRUE;
  DmRangeState state = dm_guest_range(making->vm->guest, device->address, device->size);
  return state.kernel == 0 && state.offline == 0;
}

static void make_next(Making *making) {
  const GPtrArray *devices = making->vm->live->devices;
  while (making->next < devices->len && is_made(making, devices->pdata[making->next]))
    making->next++;
  if (making->next < devices->len && dm_agent_is_alive(making->agent)) {
    const DmMemoryDevice *device = devices->pdata[making->next];
    dm_agent_work(
      making->agent, DM_AGENT_MOVABLE, device->address, device->size, 0, AGENT_SECONDS, NULL, on_made, making);
    return;
  }
  making->done(making->data);
  dm_vm_free(making->vm);
  g_free(making);
}

static void on_policy(const DmAgentAnswer *answer, gpointer data) {
  Making *making = data;
  if (answer->ok)
    add(making->prepared->did, "had %s bring new memory online as movable", making->vm->guest->agent);
  else
    add(making->prepared->left, "%s does not bring new memory online: %s", making->vm->guest->agent, answer->detail);
  make_next(making);
}

void dm_prepare_by_agent(
  DmAgent *agent, const DmVm *vm, DmPrepared *prepared, void (*done)(gpointer data), gpointer data) {
  Making *making = g_new0(Making, 1);
  making->agent = agent;
  making->vm = dm_vm_copy(vm);
  making->prepared = prepared;
  making->done = done;
  making->data = data;
  dm_agent_work(agent, DM_AGENT_POLICY, 0, 0, 0, AGENT_SECONDS, NULL, on_policy, making);
}
