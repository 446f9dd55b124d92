/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agents.h"
#include "agents/qemu_agent.h"
#include "base/debug.h"
#include "base/error.h"
#include "base/shell.h"
#include "base/size.h"
#include "facts.h"
#include "prepare_script.h"
#include "udev_rule.h"

#define SCRIPT_SECONDS 120
#define AGENT_SECONDS 60
#define MAX_SENTENCES 64
#define RULE_FILE "/etc/udev/rules.d/39-dimmer-memory.rules"
#define POLICY_FILE "/sys/devices/system/memory/auto_online_blocks"

DmPrepared *dm_prepared_new(const char *uri) {
  DmPrepared *prepared = g_new0(DmPrepared, 1);
  prepared->did = dm_notes_new();
  prepared->left = dm_notes_new();
  prepared->uri = g_strdup(uri);
  return prepared;
}

void dm_prepared_free(DmPrepared *prepared) {
  if (prepared == NULL)
    return;
  g_ptr_array_unref(prepared->did);
  g_ptr_array_unref(prepared->left);
  g_free(prepared->uri);
  g_free(prepared);
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

/* The lines of the script that count are "done NAME: words" and "left NAME: words". */
static const struct {
  const char *start;
  DmNoteCode code;
  gboolean left;
} script_lines[] = {
  {"done file-written: ", DM_NOTE_FILE_WRITTEN, FALSE},
  {"done policy-set: ", DM_NOTE_POLICY_SET, FALSE},
  {"done blocks-onlined: ", DM_NOTE_BLOCKS_ONLINED, FALSE},
  {"left file-not-written: ", DM_NOTE_FILE_NOT_WRITTEN, TRUE},
  {"left policy-not-set: ", DM_NOTE_POLICY_NOT_SET, TRUE},
  {"left policy-reset: ", DM_NOTE_POLICY_RESET, TRUE},
  {"left policy-reset-to: ", DM_NOTE_POLICY_RESET_TO, TRUE},
  {"left policy-may-be-reset: ", DM_NOTE_POLICY_MAY_BE_RESET, TRUE},
  {"left highest-first: ", DM_NOTE_HIGHEST_FIRST, TRUE},
  {"left blocks-not-movable: ", DM_NOTE_BLOCKS_NOT_MOVABLE, TRUE},
  {"left blocks-offline: ", DM_NOTE_BLOCKS_OFFLINE, TRUE},
};

static void take_line(const char *line, DmPrepared *prepared) {
  g_autofree char *words = facts_words(line);
  for (gsize i = 0; i < G_N_ELEMENTS(script_lines); i++) {
    if (g_str_has_prefix(words, script_lines[i].start))
      g_ptr_array_add(script_lines[i].left ? prepared->left : prepared->did,
        dm_note_format(script_lines[i].code, "%s", words + strlen(script_lines[i].start)));
  }
}

void prepare_take_output(char *output, DmPrepared *prepared) {
  for (char *rest = output, *line; (line = strsep(&rest, "\n")) != NULL;) {
    if (prepared->did->len + prepared->left->len >= MAX_SENTENCES)
      return;
    take_line(line, prepared);
  }
}

/* If dimmer-guest answers, it onlines plugged memory: the script gets no devices then. */
static gboolean run_script(
  DmConnection *connection, const DmVm *vm, DmPrepared *prepared, gboolean *started, GError **error) {
  g_autofree char *script = vm->guest->agent != NULL ? g_strdup(prepare_script) : dm_prepare_script(vm);
  g_autofree char *output = dm_qemu_agent_run(connection, vm, script, SCRIPT_SECONDS, started, error);
  if (output == NULL)
    return FALSE;
  prepare_take_output(output, prepared);
  return TRUE;
}

/* ---- by files ---- */

/* Writes a file. The agent cannot rename files, so the old content is restored on failure. */
static gboolean put_file(
  DmConnection *connection, const DmVm *vm, const char *path, const char *content, gboolean *changed, GError **error) {
  g_autofree char *before = dm_qemu_agent_read_file(connection, vm, path, NULL);
  *changed = g_strcmp0(before, content) != 0;
  if (!*changed || dm_qemu_agent_write_file(connection, vm, path, content, error))
    return TRUE;
  g_autoptr(GError) lost = NULL;
  if (before != NULL && !dm_qemu_agent_write_file(connection, vm, path, before, &lost))
    dm_debug("agent", "%s of VM %s is not as it was: %s", path, vm->name, lost->message);
  return FALSE;
}

static gboolean write_rule(DmConnection *connection, const DmVm *vm, DmPrepared *prepared) {
  g_autoptr(GError) failed = NULL;
  gboolean changed;
  if (!put_file(connection, vm, RULE_FILE, udev_rule, &changed, &failed)) {
    dm_notes_add(prepared->left, DM_NOTE_FILE_NOT_WRITTEN, RULE_FILE, failed->message);
    return FALSE;
  }
  if (changed)
    dm_notes_add(prepared->did, DM_NOTE_FILE_WRITTEN, RULE_FILE); /* udevd notices a new file by itself */
  return TRUE;
}

/*
 * The policy at boot from the kernel command line, movable_node as its equivalent policy; "" if none. The caller
 * g_frees.
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

/* What to do as the next boot resets the policy. */
static void advise_start(DmConnection *connection, const DmVm *vm, gboolean has_rule, DmPrepared *prepared) {
  g_autofree char *policy = policy_at_start(connection, vm);
  const char *word = dm_guest_boot_word(vm->guest);
  if (g_str_equal(policy, "online_movable") || (has_rule && g_str_equal(policy, "offline")))
    return;
  if (*policy != '\0')
    dm_notes_add(prepared->left, DM_NOTE_POLICY_RESET_TO, policy, word);
  else if (has_rule)
    dm_notes_add(prepared->left, DM_NOTE_POLICY_MAY_BE_RESET, word);
  else
    dm_notes_add(prepared->left, DM_NOTE_POLICY_RESET, word);
}

/* Before 5.7 the kernel can only leave it to the rule. */
static gboolean write_policy(DmConnection *connection, const DmVm *vm, gboolean has_rule, DmPrepared *prepared) {
  const char *const policies[] = {"online_movable", has_rule ? "offline" : NULL, NULL};
  for (const char *const *policy = policies; *policy != NULL; policy++) {
    gboolean is_set = g_strcmp0(vm->guest->policy, *policy) == 0;
    if (!is_set && !dm_qemu_agent_write_file(connection, vm, POLICY_FILE, *policy, NULL))
      continue;
    if (!is_set)
      dm_notes_add(prepared->did, DM_NOTE_POLICY_SET, *policy);
    advise_start(connection, vm, has_rule, prepared);
    return TRUE;
  }
  dm_notes_add(prepared->left, DM_NOTE_POLICY_NOT_SET, dm_guest_boot_word(vm->guest));
  return FALSE;
}

/* From the highest down: a kernel before 4.13 makes only the last block of its own zone movable. */
static void online_offline_blocks(DmConnection *connection, const DmVm *vm, DmPrepared *prepared) {
  const DmGuest *guest = vm->guest;
  gint64 deadline = g_get_monotonic_time() + SCRIPT_SECONDS * G_TIME_SPAN_SECOND; /* the agent may stop answering */
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
    dm_notes_add(prepared->did, DM_NOTE_BLOCKS_ONLINED, count);
  if (stay > 0)
    dm_notes_add(prepared->left, DM_NOTE_BLOCKS_OFFLINE, stay);
}

static void advise_print(const DmVm *vm, GError **error) {
  dm_error_add_command(error, "dimmer", "guest", "prepare", "--", dm_vm_handle(vm), "--print", NULL);
}

static void tell_kernel_blocks(const DmVm *vm, DmPrepared *prepared) {
  uint64_t kernel = 0;
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (is_placed_dimm(device))
      kernel += dm_guest_range(vm->guest, device->address, device->size).kernel;
  }
  g_autofree char *size = dm_size_format(kernel);
  g_autofree char *command = dm_shell_command("dimmer", "guest", "prepare", "--", dm_vm_handle(vm), "--print", NULL);
  g_autofree char *print = dm_shell_connected(command, prepared->uri);
  if (kernel > 0)
    dm_notes_add(prepared->left, DM_NOTE_BLOCKS_NOT_MOVABLE, size, print);
}

static gboolean write_files(DmConnection *connection, const DmVm *vm, DmPrepared *prepared, GError **error) {
  gboolean rule = write_rule(connection, vm, prepared);
  gboolean policy = write_policy(connection, vm, rule, prepared);
  if (!rule && !policy) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "qemu-guest-agent in %s may not write files; do it by hand with the script", vm->name);
    advise_print(vm, error);
    return FALSE;
  }
  if (dm_guest_is_before(vm->guest, 4, 13) && vm->guest->agent == NULL)
    dm_notes_add(prepared->left, DM_NOTE_HIGHEST_FIRST);
  tell_kernel_blocks(vm, prepared);
  online_offline_blocks(connection, vm, prepared);
  return TRUE;
}

gboolean prepare_has_qemu_agent(const Preparing *preparing) {
  const DmVm *vm = preparing->vm;
  return vm->guest->qemu_agent || (preparing->agent == NULL && vm->qemu_agent_port == DM_PORT_OPEN);
}

/* By the script if it may run programs, else file by file. */
static gboolean by_qemu_agent(DmConnection *connection, const DmVm *vm, DmPrepared *prepared, GError **error) {
  g_autoptr(GError) failed = NULL;
  gboolean started = FALSE;
  if (vm->guest->can_exec && run_script(connection, vm, prepared, &started, &failed))
    return TRUE;
  if (vm->guest->can_write && !started) /* a guest's own rules may forbid what the agent would do */
    return write_files(connection, vm, prepared, error);
  if (failed != NULL) {
    g_propagate_error(error, g_steal_pointer(&failed));
  } else if (!vm->guest->qemu_agent) {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "qemu-guest-agent in %s has opened its port, but does not answer; restart it", vm->name);
  } else {
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED,
      "qemu-guest-agent in %s may neither run programs nor write files; do it by hand with the script", vm->name);
    advise_print(vm, error);
  }
  return FALSE;
}

void prepare_by_qemu_agent(Preparing *preparing) {
  by_qemu_agent(preparing->connection, preparing->vm, preparing->prepared, &preparing->error);
}

/* ---- by dimmer-guest ---- */

/* dimmer-guest onlines new memory as movable by itself; this makes present memory movable. */
typedef struct {
  Preparing *preparing;
  GPtrArray *devices; /* DmMemoryDevice of the VM, borrowed, in their order */
  guint next;         /* index of the next device */
} Making;

static void make_next(Making *making);

/* Some blocks of it stay, for the reason in @answer. */
static void tell_partly(
  const DmGuest *guest, DmPrepared *prepared, const char *name, const char *size, const DmAgentAnswer *answer) {
  uint64_t stay = answer->of - answer->done;
  if (answer->why == NULL)
    dm_notes_add(prepared->left, DM_NOTE_PARTLY_MADE_UNEXPLAINED, name, size, stay, answer->of);
  else if (g_str_equal(answer->why, "kernel"))
    dm_notes_add(prepared->left, DM_NOTE_PARTLY_MADE_KERNEL, name, size, stay, answer->of, answer->detail,
      dm_guest_boot_word(guest));
  else if (g_str_equal(answer->why, "memory"))
    dm_notes_add(prepared->left, DM_NOTE_PARTLY_MADE_MEMORY, name, size, stay, answer->of, answer->detail);
  else if (g_str_equal(answer->why, "in-use"))
    dm_notes_add(prepared->left, DM_NOTE_PARTLY_MADE_IN_USE, name, size, stay, answer->of, answer->detail);
  else
    dm_notes_add(prepared->left, DM_NOTE_PARTLY_MADE, name, size, stay, answer->of, answer->detail);
}

static void on_made(const DmAgentAnswer *answer, gpointer data) {
  Making *making = data;
  DmPrepared *prepared = making->preparing->prepared;
  const DmMemoryDevice *device = making->devices->pdata[making->next++];
  g_autofree char *size = dm_size_format(device->size);
  g_autofree char *name = g_strdup_printf("%s %.8s", dm_memory_device_kind_name(device), device->id);
  if (answer->ok && answer->done == answer->of)
    dm_notes_add(prepared->did, DM_NOTE_MADE_MOVABLE, name, size);
  else if (answer->ok)
    tell_partly(making->preparing->vm->guest, prepared, name, size, answer);
  else if (g_strcmp0(answer->code, "cancelled") == 0) /* by us, on timeout */
    dm_notes_add(prepared->left, DM_NOTE_NOT_MADE_IN_TIME, name, size, AGENT_SECONDS);
  else
    dm_notes_add(prepared->left, DM_NOTE_NOT_MADE, name, size, answer->detail);
  make_next(making);
}

/* All of it is movable, or will be onlined as movable automatically. */
static gboolean is_made(const Making *making, const DmMemoryDevice *device) {
  if (device->kind != DM_DEVICE_DIMM || device->address == 0)
    return TRUE;
  DmRangeState state = dm_guest_range(making->preparing->vm->guest, device->address, device->size);
  return state.kernel == 0 && state.offline == 0;
}

/* We do not remove that memory: the virtio-mem driver does, and adds it again as new memory. */
static void tell_virtio(const DmGuest *guest, DmPrepared *prepared) {
  uint64_t kernel = 0;
  for (guint i = 0; guest->runs != NULL && i < guest->runs->len; i++) {
    const DmBlockRun *run = &g_array_index(guest->runs, DmBlockRun, i);
    if (run->virtio && run->state == DM_BLOCK_ONLINE && run->zone != DM_ZONE_MOVABLE && run->zone != DM_ZONE_UNKNOWN)
      kernel += run->size;
  }
  g_autofree char *size = dm_size_format(kernel);
  if (kernel > 0)
    dm_notes_add(prepared->left, DM_NOTE_VIRTIO_MEM_NOT_MOVABLE, size, dm_guest_boot_word(guest));
}

static void make_next(Making *making) {
  Preparing *preparing = making->preparing;
  const GPtrArray *devices = making->devices;
  while (making->next < devices->len && is_made(making, devices->pdata[making->next]))
    making->next++;
  if (making->next < devices->len && dm_agent_is_alive(preparing->agent)) {
    const DmMemoryDevice *device = devices->pdata[making->next];
    dm_agent_work(
      preparing->agent, DM_AGENT_MOVABLE, device->address, device->size, 0, AGENT_SECONDS, NULL, on_made, making);
    return;
  }
  g_ptr_array_unref(making->devices);
  g_free(making);
  tell_virtio(preparing->vm->guest, preparing->prepared);
  preparing->made(preparing);
}

static void on_policy(const DmAgentAnswer *answer, gpointer data) {
  Making *making = data;
  const Preparing *preparing = making->preparing;
  if (answer->ok)
    dm_notes_add(preparing->prepared->did, DM_NOTE_AGENT_ONLINES, preparing->vm->guest->agent);
  else
    dm_notes_add(preparing->prepared->left, DM_NOTE_AGENT_DOES_NOT_ONLINE, preparing->vm->guest->agent, answer->detail);
  make_next(making);
}

/* Before Linux 4.13 only this order makes all of them movable: see guest/online.c. */
static int by_address_highest_first(gconstpointer a, gconstpointer b) {
  const DmMemoryDevice *left = *(const DmMemoryDevice *const *)a, *right = *(const DmMemoryDevice *const *)b;
  return (left->address < right->address) - (left->address > right->address);
}

gboolean prepare_has_dimmer_guest(const Preparing *preparing) {
  return preparing->agent != NULL;
}

void prepare_by_dimmer_guest(Preparing *preparing) {
  Making *making = g_new0(Making, 1);
  making->preparing = preparing;
  making->devices = g_ptr_array_new();
  g_ptr_array_extend(making->devices, preparing->vm->live->devices, NULL, NULL);
  g_ptr_array_sort(making->devices, by_address_highest_first);
  dm_agent_work(preparing->agent, DM_AGENT_POLICY, 0, 0, 0, AGENT_SECONDS, NULL, on_policy, making);
}
