/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/prepare.h"

#include <string.h>

#include "base/error.h"
#include "base/shell.h"
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
static gboolean run_script(
  DmConnection *connection, const DmVm *vm, DmPrepared *prepared, gboolean *started, GError **error) {
  g_autofree char *script = vm->guest->agent != NULL ? g_strdup(prepare_script) : dm_prepare_script(vm);
  g_autofree char *output = dm_qemu_agent_run(connection, vm, script, SCRIPT_SECONDS, started, error);
  if (output == NULL)
    return FALSE;
  take_output(output, prepared);
  return TRUE;
}

/* ---- by files ---- */

/* Gives a file that content. The agent can put no file in another's place: what was there comes back on a failure. */
static gboolean put_file(
  DmConnection *connection, const DmVm *vm, const char *path, const char *content, gboolean *changed, GError **error) {
  g_autofree char *before = dm_qemu_agent_read_file(connection, vm, path, NULL);
  *changed = g_strcmp0(before, content) != 0;
  if (!*changed || dm_qemu_agent_write_file(connection, vm, path, content, error))
    return TRUE;
  if (before != NULL)
    dm_qemu_agent_write_file(connection, vm, path, before, NULL);
  return FALSE;
}

static gboolean write_rule(DmConnection *connection, const DmVm *vm, DmPrepared *prepared) {
  g_autoptr(GError) failed = NULL;
  gboolean changed;
  if (!put_file(connection, vm, RULE_FILE, udev_rule, &changed, &failed)) {
    add(prepared->left, RULE_FILE " could not be written: %s", failed->message);
    return FALSE;
  }
  if (changed)
    add(prepared->did, "wrote " RULE_FILE); /* udevd sees by itself that it is new */
  return TRUE;
}

/*
 * What the kernel's command line says of the policy at the start, movable_node as the policy that it comes to; "" where
 * it says nothing. The caller g_frees.
 */
static char *policy_at_start(DmConnection *connection, const DmVm *vm) {
  static const char key[] = "memhp_default_state=";
  g_autofree char *cmdline = dm_qemu_agent_read_file(connection, vm, "/proc/cmdline", NULL);
  g_auto(GStrv) words = g_strsplit_set(cmdline != NULL ? cmdline : "", " \n", -1);
  const char *policy = "";
  for (char **word = words; *word != NULL; word++) { /* the last one counts */
    if (g_str_has_prefix(*word, key))
      policy = *word + strlen(key);
  }
  gboolean node = g_strv_contains((const char *const *)words, "movable_node") && !dm_guest_is_before(vm->guest, 4, 13);
  if (node && (*policy == '\0' || g_str_equal(policy, "online")))
    return g_strdup("online_movable");
  return facts_words(policy);
}

/* What to do about the next start, which takes the policy back; NULL: nothing. The caller g_frees. */
static char *advise_start(DmConnection *connection, const DmVm *vm, gboolean has_rule) {
  g_autofree char *policy = policy_at_start(connection, vm);
  if (g_str_equal(policy, "online_movable") || (has_rule && g_str_equal(policy, "offline")))
    return NULL;
  return g_strdup_printf("auto_online_blocks goes back with a reboot%s%s: %sadd %s to the kernel's command line",
    *policy != '\0' ? ", to " : "", policy, *policy == '\0' && has_rule ? "if it is not offline then, " : "",
    dm_guest_boot_word(vm->guest));
}

/* Before 5.7 the kernel can only be told to leave it to the rule. */
static gboolean write_policy(DmConnection *connection, const DmVm *vm, gboolean has_rule, DmPrepared *prepared) {
  const char *const policies[] = {"online_movable", has_rule ? "offline" : NULL, NULL};
  for (const char *const *policy = policies; *policy != NULL; policy++) {
    gboolean is_set = g_strcmp0(vm->guest->policy, *policy) == 0;
    if (!is_set && !dm_qemu_agent_write_file(connection, vm, POLICY_FILE, *policy, NULL))
      continue;
    if (!is_set)
      add(prepared->did, "set auto_online_blocks to %s", *policy);
    char *advice = advise_start(connection, vm, has_rule);
    if (advice != NULL)
      g_ptr_array_add(prepared->left, advice);
    return TRUE;
  }
  add(prepared->left, "auto_online_blocks cannot be set from outside: add %s to the kernel's command line",
    dm_guest_boot_word(vm->guest));
  return FALSE;
}

/* From the highest down: a kernel of before 4.13 makes only the last block of its own zone movable. */
static void online_offline_blocks(DmConnection *connection, const DmVm *vm, DmPrepared *prepared) {
  const DmGuest *guest = vm->guest;
  gint64 deadline = g_get_monotonic_time() + SCRIPT_SECONDS * G_USEC_PER_SEC; /* the agent may stop to answer */
  guint count = 0, stay = 0;
  for (guint i = guest->runs != NULL ? guest->runs->len : 0; i > 0; i--) {
    const DmBlockRun *run = &g_array_index(guest->runs, DmBlockRun, i - 1);
    for (uint64_t left = run->state == DM_BLOCK_OFFLINE ? run->size : 0; left > 0; left -= guest->block) {
      g_autofree char *path = g_strdup_printf(
        "/sys/devices/system/memory/memory%" G_GUINT64_FORMAT "/state", (run->start + left) / guest->block - 1);
      gboolean in_time = g_get_monotonic_time() <= deadline;
      gboolean online = in_time && dm_qemu_agent_write_file(connection, vm, path, "online_movable", NULL);
      count += online;
      stay += !online;
    }
  }
  if (count > 0)
    add(prepared->did,
      count == 1 ? "brought %u memory block online as movable" : "brought %u memory blocks online as movable", count);
  if (stay > 0)
    add(prepared->left, stay == 1 ? "%u memory block stays offline" : "%u memory blocks stay offline", stay);
}

static char *print_command(const DmVm *vm) {
  return dm_shell_command("dimmer", "guest", "prepare", vm->name, "--print", NULL);
}

static void tell_kernel_blocks(const DmVm *vm, DmPrepared *prepared) {
  uint64_t kernel = 0;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (is_placed_dimm(device))
      kernel += dm_guest_range(vm->guest, device->address, device->size).kernel;
  }
  g_autofree char *size = dm_size_format(kernel);
  g_autofree char *print = print_command(vm);
  if (kernel > 0)
    add(prepared->left,
      "%s of memory devices is in use by the kernel, which files alone cannot change: '%s' does it by hand", size,
      print);
}

static gboolean write_files(DmConnection *connection, const DmVm *vm, DmPrepared *prepared, GError **error) {
  gboolean rule = write_rule(connection, vm, prepared);
  gboolean policy = write_policy(connection, vm, rule, prepared);
  if (!rule && !policy) {
    g_autofree char *print = print_command(vm);
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "qemu-guest-agent in %s lets nothing be written; do it by hand: '%s' shows how", vm->name, print);
    return FALSE;
  }
  if (dm_guest_is_before(vm->guest, 4, 13) && vm->guest->agent == NULL)
    add(prepared->left,
      "this kernel makes plugged memory movable from its highest block down only, which no udev does: run dimmer-guest in "
      "the guest, or prepare it again after each plug");
  tell_kernel_blocks(vm, prepared);
  online_offline_blocks(connection, vm, prepared);
  return TRUE;
}

gboolean dm_prepare_by_qemu_agent(DmConnection *connection, const DmVm *vm, DmPrepared *prepared, GError **error) {
  g_autoptr(GError) failed = NULL;
  g_autofree char *print = print_command(vm);
  gboolean started = FALSE;
  if (vm->guest->can_exec && run_script(connection, vm, prepared, &started, &failed))
    return TRUE;
  if (vm->guest->can_write && !started) /* a guest's own rules may forbid what the agent would do */
    return write_files(connection, vm, prepared, error);
  if (failed != NULL)
    g_propagate_error(error, g_steal_pointer(&failed));
  else if (!vm->guest->qemu_agent)
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "qemu-guest-agent in %s has opened its port, but does not answer; restart it", vm->name);
  else
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "qemu-guest-agent in %s may neither run programs nor write files; do it by hand: '%s' shows how", vm->name,
      print);
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

/* What mends it; "" where nothing is known to. The caller g_frees. */
static char *remedy_of(const DmGuest *guest, const DmAgentAnswer *answer) {
  if (g_strcmp0(answer->why, "kernel") == 0)
    return g_strdup_printf(
      "; a reboot of the guest with %s on its kernel's command line mends that", dm_guest_boot_word(guest));
  if (g_strcmp0(answer->why, "memory") == 0)
    return g_strdup("; end programs in the guest that use memory, or give it more, and prepare it again");
  return g_strdup(g_strcmp0(answer->why, "in-use") == 0 ? "; prepare it again when the guest has less to do" : "");
}

static void on_made(const DmAgentAnswer *answer, gpointer data) {
  Making *making = data;
  const DmMemoryDevice *device = making->vm->live->devices->pdata[making->next++];
  g_autofree char *size = dm_size_format(device->size);
  g_autofree char *name = g_strdup_printf("%s %.8s", dm_memory_device_kind_name(device), device->id);
  g_autofree char *remedy = remedy_of(making->vm->guest, answer);
  if (answer->ok && answer->done == answer->of)
    add(making->prepared->did, "made %s (%s) movable", name, size);
  else if (answer->ok)
    add(making->prepared->left,
      "%s (%s) stays as it is by %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " memory blocks: %s%s", name, size,
      answer->of - answer->done, answer->of, answer->why != NULL ? answer->detail : "the guest did not tell why",
      remedy);
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

/* No work of ours takes that out: who does is the virtio-mem driver, which brings back what is wanted again as new. */
static void tell_virtio(const DmGuest *guest, DmPrepared *prepared) {
  uint64_t kernel = 0;
  for (guint i = 0; guest->runs != NULL && i < guest->runs->len; i++) {
    const DmBlockRun *run = &g_array_index(guest->runs, DmBlockRun, i);
    if (run->virtio && run->state == DM_BLOCK_ONLINE && run->zone != DM_ZONE_MOVABLE && run->zone != DM_ZONE_UNKNOWN)
      kernel += run->size;
  }
  g_autofree char *size = dm_size_format(kernel);
  if (kernel > 0)
    add(prepared->left,
      "%s of virtio-mem stays in a kernel zone: what is taken away and given again by a lower and a higher size comes "
      "as movable; else reboot the guest with %s on its kernel's command line",
      size, dm_guest_boot_word(guest));
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
  tell_virtio(making->vm->guest, making->prepared);
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

/* Before Linux 4.13 no other order makes all of them movable: see guest/online.c. */
static int by_address_highest_first(gconstpointer a, gconstpointer b) {
  const DmMemoryDevice *left = *(const DmMemoryDevice *const *)a, *right = *(const DmMemoryDevice *const *)b;
  return (left->address < right->address) - (left->address > right->address);
}

void dm_prepare_by_agent(
  DmAgent *agent, const DmVm *vm, DmPrepared *prepared, void (*done)(gpointer data), gpointer data) {
  Making *making = g_new0(Making, 1);
  making->agent = agent;
  making->vm = dm_vm_copy(vm);
  g_ptr_array_sort(making->vm->live->devices, by_address_highest_first);
  making->prepared = prepared;
  making->done = done;
  making->data = data;
  dm_agent_work(agent, DM_AGENT_POLICY, 0, 0, 0, AGENT_SECONDS, NULL, on_policy, making);
}
