/* SPDX-License-Identifier: Apache-2.0 */
#include "agents/qemu_agent.h"

#include <jansson.h>
#include <string.h>

#include "base/debug.h"
#include "base/error.h"
#include "facts.h"

/* Seconds for a command that the agent answers by itself. One that is not running answers nothing at all. */
#define ANSWER_SECONDS 3
#define SCRIPT_SECONDS 8 /* that of a query, in an emulated guest on a busy host */

/* Seconds for all commands of a query: an agent that answers in time, but slowly, gets no further ones. */
#define LOOK_SECONDS 12
#define MAX_FILE 65536

/* Maximum of blocks read one by one, with three commands each. */
#define MAX_BLOCK_FILES 64

/* guest-exec has no completion event, so poll: after 5 ms, then at increasing intervals. */
#define FIRST_PAUSE_US 5000
#define LONGEST_PAUSE_US 200000

typedef struct {
  DmConnection *connection;
  const DmVm *vm;
  gint64 deadline; /* monotonic, 0: none */
} Guest;

/* One command; takes ownership of the arguments; the caller owns the result. NULL with an error. */
static json_t *call(const Guest *guest, const char *command, json_t *arguments, GError **error) {
  if (guest->deadline != 0 && g_get_monotonic_time() > guest->deadline) {
    json_decref(arguments);
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "qemu-guest-agent answers too slowly: some of it was not asked");
    return NULL;
  }
  json_t *request = json_pack("{s:s}", "execute", command);
  if (arguments != NULL)
    json_object_set_new(request, "arguments", arguments);
  char *text = json_dumps(request, JSON_COMPACT);
  json_decref(request);
  GError *failed = NULL;
  dm_debug("agent", "to qemu-guest-agent of %s: %s", guest->vm->name, text);
  g_autofree char *answer = dm_domain_qemu_agent(guest->connection, guest->vm->uuid, text, ANSWER_SECONDS, &failed);
  dm_debug("agent", "qemu-guest-agent says %s", answer != NULL ? answer : failed->message);
  free(text);
  if (answer == NULL) { /* libvirt passes on the agent's message */
    char *words = facts_words(failed->message);
    g_free(failed->message);
    failed->message = words;
    g_propagate_error(error, failed);
    return NULL;
  }
  json_t *parsed = json_loads(answer, 0, NULL), *value = json_object_get(parsed, "return");
  json_incref(value);
  json_decref(parsed);
  if (value == NULL)
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "qemu-guest-agent's answer to %s cannot be understood", command);
  return value;
}

/* ---- files ---- */

/* The text of a member in base64; the caller g_frees. */
static char *decode(const json_t *object, const char *name) {
  const char *encoded = json_string_value(json_object_get(object, name));
  gsize size = 0;
  g_autofree guchar *bytes = encoded != NULL ? g_base64_decode(encoded, &size) : NULL;
  return g_strndup(bytes != NULL ? (const char *)bytes : "", size);
}

static gboolean open_file(const Guest *guest, const char *path, const char *mode, json_int_t *handle, GError **error) {
  json_t *opened = call(guest, "guest-file-open", json_pack("{s:s, s:s}", "path", path, "mode", mode), error);
  if (opened == NULL)
    return FALSE;
  *handle = json_integer_value(opened);
  json_decref(opened);
  return TRUE;
}

static gboolean close_file(const Guest *guest, json_int_t handle, GError **error) {
  json_t *closed = call(guest, "guest-file-close", json_pack("{s:I}", "handle", handle), error);
  json_decref(closed);
  return closed != NULL;
}

static char *read_file(const Guest *guest, const char *path, GError **error) {
  json_int_t handle;
  if (!open_file(guest, path, "r", &handle, error))
    return NULL;
  json_t *read = call(guest, "guest-file-read", json_pack("{s:I, s:i}", "handle", handle, "count", MAX_FILE), error);
  close_file(&(Guest){guest->connection, guest->vm}, handle, NULL); /* regardless of the deadline */
  char *content = read != NULL ? decode(read, "buf-b64") : NULL;
  json_decref(read);
  return content;
}

char *dm_qemu_agent_read_file(DmConnection *connection, const DmVm *vm, const char *path, GError **error) {
  const Guest guest = {connection, vm};
  return read_file(&guest, path, error);
}

gboolean dm_qemu_agent_write_file(
  DmConnection *connection, const DmVm *vm, const char *path, const char *content, GError **error) {
  const Guest guest = {connection, vm};
  json_int_t handle;
  if (!open_file(&guest, path, "w", &handle, error))
    return FALSE;
  g_autofree char *encoded = g_base64_encode((const guchar *)content, strlen(content));
  json_t *written =
    call(&guest, "guest-file-write", json_pack("{s:I, s:s}", "handle", handle, "buf-b64", encoded), error);
  gboolean whole = (gsize)json_integer_value(json_object_get(written, "count")) == strlen(content);
  if (written != NULL && !whole)
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "%s was written in part only", path);
  json_decref(written);
  /* The buffer is flushed on close: a failure may only show there (the kernel rejects an invalid sysfs write). */
  return close_file(&guest, handle, whole ? error : NULL) && whole;
}

/* ---- programs ---- */

static json_t *wait_for_end(const Guest *guest, json_int_t pid, int timeout, GError **error) {
  gint64 deadline = g_get_monotonic_time() + timeout * G_TIME_SPAN_SECOND;
  for (gulong pause = FIRST_PAUSE_US;; pause = MIN(pause * 2, LONGEST_PAUSE_US)) {
    json_t *status = call(guest, "guest-exec-status", json_pack("{s:I}", "pid", pid), error);
    if (status == NULL || json_is_true(json_object_get(status, "exited")))
      return status;
    json_decref(status);
    if (g_get_monotonic_time() > deadline) {
      g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "a program inside the guest did not end within %d s", timeout);
      return NULL;
    }
    g_usleep(pause);
  }
}

char *dm_qemu_agent_run(
  DmConnection *connection, const DmVm *vm, const char *script, int timeout, gboolean *started, GError **error) {
  const Guest guest = {connection, vm};
  json_t *arguments = json_pack("{s:s, s:[s, s], s:b}", "path", "/bin/sh", "arg", "-c", script, "capture-output", 1);
  json_t *program = call(&guest, "guest-exec", arguments, error);
  *started = program != NULL;
  if (program == NULL)
    return NULL;
  json_int_t pid = json_integer_value(json_object_get(program, "pid"));
  json_decref(program);
  json_t *status = wait_for_end(&guest, pid, timeout, error);
  if (status == NULL)
    return NULL;
  char *output = decode(status, "out-data");
  if (json_integer_value(json_object_get(status, "exitcode")) != 0) {
    g_autofree char *said = decode(status, "err-data");
    g_autofree char *words = facts_words(said);
    g_set_error(error, DM_ERROR, DM_ERROR_FAILED, "%s", *words != '\0' ? words : "the script failed");
    g_clear_pointer(&output, g_free);
  }
  json_decref(status);
  return output;
}

/* ---- query ---- */

/*
 * Prints lines for facts_take_script(). Uses only what any shell and sysfs has; missing items print nothing. Of the
 * udev rules, those that affect a block's state, in udev's order; a file in an earlier folder hides later ones of the
 * same name.
 *
 * Reading valid_zones of a block that has no link to its node yet crashes the guest kernel: see guest/blocks.c. From
 * inside its folder both refer to the same block, whatever is plugged or unplugged meanwhile.
 */
static const char look_script[] =
  "memory=/sys/devices/system/memory\n"
  "cd $memory 2>/dev/null || exit 0\n"
  "echo kernel $(uname -r)\n"
  "echo boot $(cat /proc/sys/kernel/random/boot_id)\n"
  "echo size $(cat block_size_bytes)\n"
  "echo policy $(cat auto_online_blocks 2>/dev/null)\n"
  "case \" $(cat /proc/cmdline) \" in *' movable_node '*) echo movable-node yes;; *) echo movable-node no;; esac\n"
  "echo rules none\n"
  "folders='/etc/udev/rules.d /run/udev/rules.d /usr/local/lib/udev/rules.d /usr/lib/udev/rules.d /lib/udev/rules.d'\n"
  "names=$(for folder in $folders; do grep -ls 'ATTR{state}' $folder/*.rules; done | sed 's|.*/||' | LC_ALL=C sort -u)\n"
  "for name in $names; do for folder in $folders; do [ -e $folder/$name ] || continue\n"
  "  echo rules $name\n"
  "  sed -e :a -e '/\\\\$/{N;s/\\\\\\n//;ba' -e '}' $folder/$name | grep -v '^ *#' |\n"
  "    grep -e GOTO -e 'ATTR{state}' | sed 's/^/rule /'; break; done; done\n"
  "while read -r name value unit; do case $name in\n"
  "  MemTotal:) echo total $value;; MemAvailable:) echo available $value;; esac; done </proc/meminfo\n"
  "own=0 room=0 mine=no node=\n"
  "tell() { [ -z \"$node\" ] || echo zone $node $managed $free $low $files; managed=0 free=0 low=0 files=0; }\n"
  "while read -r one two three four; do case $one:$two in\n"
  "  Node:*) tell; node=${two%,};; managed:*) managed=$two;; low:*) low=$two;; pages:free) free=$three;;\n"
  "  nr_zone_inactive_file:* | nr_zone_active_file:*) files=$((files + two));; esac\n"
  "  case $mine:$one:$two in\n"
  "  *:Node:*) mine=yes; case $four in Movable | Device) mine=no;; esac;;\n"
  "  yes:managed:*) own=$((own + two));; yes:low:*) room=$((room - two));;\n"
  "  yes:pages:free) room=$((room + three));;\n"
  "  yes:nr_zone_inactive_file:* | yes:nr_zone_active_file:*) room=$((room + two));; esac; done </proc/zoneinfo\n"
  "tell\n"
  "[ $room -ge 0 ] || room=0\n"
  "echo zones $own $room $(sed -n 's/^KernelPageSize: *\\([0-9]*\\) kB$/\\1/p' /proc/self/smaps | head -n 1)\n"
  "file=/lib/modules/$(uname -r)/kernel/drivers/virtio/virtio_mem.ko driver=no\n"
  "[ -e /run/udev/control ] && for file in $file $file.xz $file.zst $file.gz; do [ -e $file ] && driver=yes; done\n"
  "[ -e /sys/bus/virtio/drivers/virtio_mem ] && driver=yes\n"
  "echo virtio-mem $driver\n"
  "hot=no\n"
  "for block in $memory/memory[0-9]*; do cd $block 2>/dev/null || continue\n"
  "  { read -r index <phys_index && read -r state <state; } 2>/dev/null || continue\n"
  "  zones=; [ -e /sys/devices/system/node ] && set -- node[0-9]* || set -- state\n"
  "  if [ -e valid_zones ]; then hot=yes; [ -e $1 ] && read -r zones 2>/dev/null <valid_zones; fi\n"
  "  echo block $index $state $zones; done\n"
  "echo hot-remove $hot\n";

static gboolean is_enabled(const json_t *info, const char *command) {
  const json_t *commands = json_object_get(info, "supported_commands");
  for (size_t i = 0; i < json_array_size(commands); i++) {
    const json_t *row = json_array_get(commands, i);
    if (g_strcmp0(json_string_value(json_object_get(row, "name")), command) == 0)
      return json_is_true(json_object_get(row, "enabled"));
  }
  return FALSE;
}

static void look_system(const Guest *from, DmGuest *guest) {
  json_t *os = call(from, "guest-get-osinfo", NULL, NULL);
  if (os == NULL)
    return;
  g_autofree char *id = facts_text(json_object_get(os, "id"));
  guest->os = facts_text(json_object_get(os, "pretty-name"));
  if (guest->kernel == NULL)
    guest->kernel = facts_text(json_object_get(os, "kernel-release"));
  guest->windows = id == NULL ? DM_FACT_UNKNOWN : g_str_equal(id, "mswindows") ? DM_FACT_YES : DM_FACT_NO;
  if (guest->system == DM_SOURCE_NONE)
    guest->system = DM_SOURCE_QEMU_AGENT;
  json_decref(os);
}

static void look_block_size(const Guest *from, DmGuest *guest) {
  json_t *info = call(from, "guest-get-memory-block-info", NULL, NULL);
  json_int_t size = json_integer_value(json_object_get(info, "size"));
  if (size > 0 && (size & (size - 1)) == 0) {
    guest->block = (uint64_t)size;
    guest->block_source = DM_SOURCE_QEMU_AGENT;
  }
  json_decref(info);
}

static const DmMemoryDevice *device_at(const DmVm *vm, uint64_t address) {
  for (guint i = 0; i < vm->live->devices->len; i++) {
    const DmMemoryDevice *device = vm->live->devices->pdata[i];
    if (device->address != 0 && address >= device->address && address - device->address < device->size)
      return device;
  }
  return NULL;
}

/* Whether its kernel has nodes; TRUE if not known. */
static gboolean has_nodes(const Guest *from) {
  g_autofree char *counts = read_file(from, "/proc/vmstat", NULL);
  return counts == NULL || strstr(counts, "numa_hit") != NULL;
}

/*
 * Through the node's folder, which links the block once its node is set: reading the file before that crashes the guest
 * kernel (see guest/blocks.c).
 */
static DmZone zone_by_file(const Guest *from, const FactsBlock *block, int node, gboolean nodes) {
  g_autofree char *folder = nodes ? g_strdup_printf("node/node%d", node) : g_strdup("memory");
  g_autofree char *path =
    g_strdup_printf("/sys/devices/system/%s/memory%" G_GUINT64_FORMAT "/valid_zones", folder, block->index);
  g_autofree char *zones = read_file(from, path, NULL);
  return zones != NULL ? facts_zone(g_strstrip(zones), block->state) : DM_ZONE_UNKNOWN;
}

/* Lists the blocks and, if files can be read, the zones of those of memory devices. */
static void look_blocks(const Guest *from, DmGuest *guest) {
  g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(FactsBlock));
  gboolean nodes = guest->can_file && from->vm->live->devices->len > 0 && has_nodes(from);
  json_t *list = call(from, "guest-get-memory-blocks", NULL, NULL);
  guint files = 0;
  for (size_t i = 0; i < json_array_size(list) && i < FACTS_MAX_RUNS; i++) {
    const json_t *row = json_array_get(list, i);
    json_int_t index = json_integer_value(json_object_get(row, "phys-index"));
    if (index < 0 || (uint64_t)index >= G_MAXINT64 / guest->block)
      continue;
    FactsBlock block = {.index = (uint64_t)index};
    block.state = json_is_true(json_object_get(row, "online")) ? DM_BLOCK_ONLINE : DM_BLOCK_OFFLINE;
    const DmMemoryDevice *device = device_at(from->vm, block.index * guest->block);
    if (guest->can_file && files < MAX_BLOCK_FILES && device != NULL) {
      files++;
      block.zone = zone_by_file(from, &block, device->node, nodes);
    }
    g_array_append_val(blocks, block);
  }
  json_decref(list);
  facts_end_blocks(blocks, guest);
  if (guest->runs != NULL)
    guest->run_source = DM_SOURCE_QEMU_AGENT;
}

/* By files only: what the script would have reported at once. */
static void look_files(const Guest *from, DmGuest *guest) {
  g_autofree char *policy = read_file(from, "/sys/devices/system/memory/auto_online_blocks", NULL);
  g_autofree char *cmdline = read_file(from, "/proc/cmdline", NULL);
  g_autofree char *boot = read_file(from, "/proc/sys/kernel/random/boot_id", NULL);
  g_autofree char *rule = read_file(from, "/etc/udev/rules.d/39-dimmer-memory.rules", NULL);
  guest->udev_rule = rule != NULL && facts_rules(rule) == DM_FACT_YES ? DM_FACT_YES : DM_FACT_UNKNOWN; /* or another */
  if (boot != NULL)
    facts_keep(&guest->boot, g_strstrip(boot));
  if (policy != NULL)
    facts_keep(&guest->policy, g_strstrip(policy));
  if (cmdline == NULL)
    return;
  g_auto(GStrv) words = g_strsplit_set(cmdline, " \n", -1);
  guest->movable_node = g_strv_contains((const char *const *)words, "movable_node") ? DM_FACT_YES : DM_FACT_NO;
}

gboolean dm_qemu_agent_look(DmConnection *connection, const DmVm *vm, DmGuest *guest, GError **error) {
  const Guest from = {connection, vm, g_get_monotonic_time() + LOOK_SECONDS * G_TIME_SPAN_SECOND};
  json_t *info = call(&from, "guest-info", NULL, error);
  if (info == NULL)
    return FALSE;
  guest->qemu_agent = TRUE;
  guest->can_exec = is_enabled(info, "guest-exec") && is_enabled(info, "guest-exec-status");
  guest->can_file = is_enabled(info, "guest-file-open") && is_enabled(info, "guest-file-read");
  guest->can_write = guest->can_file && is_enabled(info, "guest-file-write");
  json_decref(info);

  look_system(&from, guest);
  if (guest->windows == DM_FACT_YES || guest->agent != NULL) /* it has none of the following, or dimmer-guest reported
                                                              * it */
    return TRUE;
  g_autoptr(GError) failed = NULL;
  gboolean started;
  g_autofree char *output =
    guest->can_exec ? dm_qemu_agent_run(connection, vm, look_script, SCRIPT_SECONDS, &started, &failed) : NULL;
  if (output != NULL) {
    facts_take_script(output, guest);
    return TRUE;
  }
  if (failed != NULL)
    dm_notes_add(guest->notes, DM_NOTE_QEMU_AGENT_FAILED, failed->message);
  look_block_size(&from, guest);
  if (guest->can_file)
    look_files(&from, guest);
  else
    dm_notes_add(guest->notes, DM_NOTE_QEMU_AGENT_BARRED);
  if (guest->block != 0)
    look_blocks(&from, guest);
  if (g_get_monotonic_time() > from.deadline)
    dm_notes_add(guest->notes, DM_NOTE_QEMU_AGENT_SLOW);
  return TRUE;
}
