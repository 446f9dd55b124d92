/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's end of docs/guest-protocol.md. Any line from the host gets one answer, and nothing else happens. */
#include <assert.h>
#include <string.h>
#include <sys/utsname.h>

#include "agent.h"
#include "config.h"
#include "json.h"
#include "memory.h"
#include "online.h"
#include "system.h"

#define VERSION 1
#define RUNS 256

typedef struct {
  uint64_t id;
  Json json;
} Request;

static void bad_request(Agent *agent, const Request *request, const char *detail) {
  wire_error(&agent->out, request->id, "bad-request", detail);
}

static void add_policy(Text *message) {
  char words[32];
  if (online_policy(words, sizeof(words)))
    json_add_string(message, "policy", words);
}

static bool has_word(const char *words, const char *wanted) {
  size_t length = strlen(wanted);
  for (const char *at = words; (at = strstr(at, wanted)) != NULL; at += length) {
    if ((at == words || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
      return true;
  }
  return false;
}

/*
 * The driver is there, or udev loads it once there is a device: a module of the running kernel, as the kernel's own
 * build installs it, maybe compressed.
 */
static bool drives_virtio_mem(const char *release) {
  static const char *const ends[] = {"", ".xz", ".zst", ".gz"};
  if (system_exists("/sys/bus/virtio/drivers/virtio_mem"))
    return true;
  for (size_t i = 0; system_exists("/run/udev/control") && i < sizeof(ends) / sizeof(ends[0]); i++) {
    char path[256];
    Text text = TEXT_IN(path);
    text_add(&text, "/lib/modules/");
    text_add(&text, release);
    text_add(&text, "/kernel/drivers/virtio/virtio_mem.ko");
    text_add(&text, ends[i]);
    if (!text.full && system_exists(path))
      return true;
  }
  return false;
}

/* A host that says hello is another one, or starts over: earlier work ends. */
static void do_hello(Agent *agent, const Request *request) {
  struct utsname system;
  char boot[64], words[4096];
  uint64_t version;
  if (!json_number(&request->json, "version", &version) || version == 0) {
    bad_request(agent, request, "hello needs the host's version");
    return;
  }
  serve_end(agent);
  agent->greeted = true;
  blocks_scan(&agent->blocks);
  uname(&system);
  system_read("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
  system_read("/proc/cmdline", words, sizeof(words));
  Text message = wire_begin(&agent->out, request->id);
  json_add_truth(&message, "ok", true);
  json_add_number(&message, "version", VERSION);
  json_add_string(&message, "agent", "dimmer-guest " DM_VERSION);
  json_add_string(&message, "kernel", system.release);
  json_add_string(&message, "arch", system.machine);
  json_add_string(&message, "boot", boot);
  json_add_number(&message, "block", agent->blocks.size);
  add_policy(&message);
  json_add_truth(&message, "movable_node", has_word(words, "movable_node"));
  json_add_truth(&message, "hot_remove", blocks_can_remove(&agent->blocks));
  json_add_truth(&message, "onlines", agent->onlines);
  json_add_truth(&message, "virtio_mem", drives_virtio_mem(system.release));
  wire_end(&agent->out, &message);
}

/* The member for each reported line of /proc/meminfo. */
static const struct {
  const char *line, *member;
} memory_lines[] = {
  {"MemTotal:", "total"},
  {"MemFree:", "free"},
  {"MemAvailable:", "available"},
  {"SwapFree:", "swap_free"},
  {"Mlocked:", "mlocked"},
};

static void add_memory_line(const char *words, void *data) {
  uint64_t bytes;
  for (size_t i = 0; i < sizeof(memory_lines) / sizeof(memory_lines[0]); i++) {
    if (memory_line(words, memory_lines[i].line, &bytes)) {
      json_add_number(data, memory_lines[i].member, bytes);
      return;
    }
  }
}

static void add_nodes(Text *message) {
  MemoryNode nodes[MEMORY_NODES];
  size_t count = memory_of_nodes(nodes);
  text_add(message, count > 0 ? ",\"nodes\":[" : "");
  for (size_t i = 0; i < count; i++) {
    text_add(message, i > 0 ? ",{\"node\":" : "{\"node\":");
    text_add_number(message, nodes[i].node);
    json_add_number(message, "total", nodes[i].total);
    json_add_number(message, "free", nodes[i].free);
    json_add_number(message, "available", nodes[i].available);
    text_add(message, "}");
  }
  text_add(message, count > 0 ? "]" : "");
}

static void do_memory(Agent *agent, const Request *request) {
  uint64_t total, available;
  Text message = wire_begin(&agent->out, request->id);
  json_add_truth(&message, "ok", true);
  system_lines("/proc/meminfo", add_memory_line, &message);
  if (memory_of_kernel(&total, &available)) {
    json_add_number(&message, "kernel_total", total);
    json_add_number(&message, "kernel_available", available);
  }
  add_nodes(&message);
  wire_end(&agent->out, &message);
}

static void add_run(Text *message, const BlockRun *run) {
  static const char *const zones[] = {"unknown", "movable", "normal", "mixed"};
  static const char *const states[] = {"", "offline", "online", "going-offline"};
  static_assert(sizeof zones / sizeof zones[0] == ZONE_MIXED + 1, "a zone lacks its word");
  static_assert(sizeof states / sizeof states[0] == BLOCK_GOING_OFFLINE + 1, "a state lacks its word");
  const BlockLook *look = &run->look;
  text_add(message, "{\"start\":");
  text_add_number(message, run->start);
  json_add_number(message, "size", run->size);
  json_add_string(message, "state", states[look->state]);
  if (look->state != BLOCK_OFFLINE)
    json_add_string(message, "zone", zones[look->zone]);
  else if (look->zone != ZONE_UNKNOWN)
    json_add_string(message, "may", zones[look->zone]);
  json_add_number(message, "node", look->node);
  if (look->virtio)
    json_add_truth(message, "virtio", true);
  text_add(message, "}");
}

static void do_blocks(Agent *agent, const Request *request) {
  Blocks *blocks = &agent->blocks;
  uint64_t from;
  BlockRun run;
  if (!json_number(&request->json, "from", &from)) {
    bad_request(agent, request, "blocks needs the address 'from'");
    return;
  }
  if (!blocks_scan(blocks))
    from = INT64_MAX;
  blocks_mark_virtio(blocks);
  uint64_t first = blocks->size > 0 ? from / blocks->size + (from % blocks->size != 0) : 0;
  size_t index = first > UINT32_MAX ? blocks->count : blocks_index(blocks, (uint32_t)first);
  Text message = wire_begin(&agent->out, request->id);
  json_add_truth(&message, "ok", true);
  text_add(&message, ",\"runs\":[");
  for (int written = 0; written < RUNS && blocks_next_run(blocks, &index, &run); written++) {
    if (written > 0)
      text_add(&message, ",");
    add_run(&message, &run);
  }
  text_add(&message, "]");
  if (index < blocks->count)
    json_add_number(&message, "next", blocks->list[index].id * blocks->size);
  wire_end(&agent->out, &message);
}

/* The range as numbers of blocks. False, and answered, if invalid; its blocks need not all exist. */
static bool take_range(Agent *agent, const Request *request, Job *job) {
  uint64_t start, size, block;
  if (!json_number(&request->json, "start", &start) || !json_number(&request->json, "size", &size) || size == 0 ||
    start > INT64_MAX - size) {
    bad_request(agent, request, "a range needs its start and its size");
    return false;
  }
  blocks_scan(&agent->blocks);
  block = agent->blocks.size;
  if (block == 0 || start % block != 0 || size % block != 0 || (start + size) / block > UINT32_MAX) {
    wire_error(&agent->out, request->id, "no-such-range", "the range is not a whole number of memory blocks");
    return false;
  }
  job->id = request->id;
  job->first = (uint32_t)(start / block);
  job->last = (uint32_t)((start + size) / block - 1);
  return true;
}

/* As take_range(), for what takes blocks offline. */
static bool take_whole_range(Agent *agent, const Request *request, Job *job) {
  if (!take_range(agent, request, job))
    return false;
  if (!blocks_all_there(&agent->blocks, job->first, job->last))
    wire_error(&agent->out, job->id, "no-such-range", "some of these memory blocks do not exist");
  else if (!blocks_can_remove(&agent->blocks))
    wire_error(&agent->out, job->id, "no-hot-remove", "this kernel is built without CONFIG_MEMORY_HOTREMOVE");
  else if (blocks_any_flag(&agent->blocks, job->first, job->last, BLOCK_KEPT))
    wire_error(&agent->out, job->id, "busy", "an earlier request holds some of it offline");
  else if (agent->hold_count == HOLDS)
    wire_error(&agent->out, job->id, "busy", "too many ranges are held offline");
  else
    return true;
  return false;
}

/* Whether all of it is online as movable, or offline; answers otherwise. */
static bool check_movable(Agent *agent, const Job *job) {
  for (uint32_t block = job->first; block <= job->last; block++) {
    BlockLook look = block_look(block, 0);
    if (look.state == BLOCK_OFFLINE || look.zone == ZONE_MOVABLE)
      continue;
    Text message = wire_begin(&agent->out, job->id);
    json_add_string(&message, "error", "not-movable");
    json_add_number(&message, "start", block * agent->blocks.size);
    json_add_string(&message, "detail", "this block is not online as movable");
    wire_end(&agent->out, &message);
    return false;
  }
  return true;
}

static void do_offline(Agent *agent, const Request *request) {
  Job job = {.kind = JOB_OFFLINE};
  const JsonMember *kernel_too = json_member(&request->json, "kernel_too");
  uint64_t hold;
  if (!json_number(&request->json, "hold", &hold) || hold == 0 || hold > HOLD_SECONDS ||
    (kernel_too != NULL && kernel_too->type != JSON_TRUTH)) {
    bad_request(agent, request, "offline needs 'hold', 1 to 3600 seconds");
    return;
  }
  if (!take_whole_range(agent, request, &job))
    return;
  if ((kernel_too == NULL || kernel_too->number == 0) && !check_movable(agent, &job))
    return;
  job.hold = (uint32_t)hold;
  job_start(agent, &job);
}

static void do_movable(Agent *agent, const Request *request) {
  Job job = {.kind = JOB_MOVABLE};
  if (take_whole_range(agent, request, &job))
    job_start(agent, &job);
}

static void answer_restored(Agent *agent, uint64_t id, bool restored, uint32_t left) {
  char space[128];
  Text detail = TEXT_IN(space);
  Text message = wire_begin(&agent->out, id);
  json_add_truth(&message, "ok", true);
  json_add_truth(&message, "restored", restored);
  if (!restored) {
    text_add(&detail, "memory");
    text_add_number(&detail, left);
    text_add(&detail, " does not come online as movable");
    json_add_string(&message, "detail", space);
  }
  wire_end(&agent->out, &message);
}

static void do_online(Agent *agent, const Request *request) {
  Job job;
  uint32_t left = 0;
  if (!take_range(agent, request, &job))
    return;
  holds_release_range(agent, job.first, job.last);
  bool restored = online_range(&agent->blocks, job.first, job.last, &left);
  answer_restored(agent, request->id, restored, left);
}

static void do_cancel(Agent *agent, const Request *request) {
  uint64_t of;
  uint32_t left = 0;
  if (!json_number(&request->json, "of", &of)) {
    bad_request(agent, request, "cancel needs 'of', the id of a request");
    return;
  }
  if (agent->job.kind != JOB_NONE && agent->job.id == of) {
    bool restored = job_stop(agent, &left);
    Text message = wire_begin(&agent->out, of);
    json_add_string(&message, "error", "cancelled");
    json_add_string(&message, "detail", "by the host");
    json_add_truth(&message, "restored", restored);
    wire_end(&agent->out, &message);
    answer_restored(agent, request->id, restored, left);
    return;
  }
  const Hold *hold = holds_find(agent, of);
  answer_restored(agent, request->id, hold == NULL || holds_release(agent, hold, &left), left);
}

static void do_policy(Agent *agent, const Request *request) {
  if (!agent->onlines) {
    wire_error(&agent->out, request->id, "failed", "this agent was started with --no-online");
    return;
  }
  online_set_policy();
  Text message = wire_begin(&agent->out, request->id);
  json_add_truth(&message, "ok", true);
  add_policy(&message);
  wire_end(&agent->out, &message);
}

static const struct {
  const char *name;
  void (*serve)(Agent *agent, const Request *request);
  bool alone; /* not while a job runs: it would block in the kernel */
} requests[] = {
  {"hello", do_hello},
  {"memory", do_memory},
  {"blocks", do_blocks},
  {"offline", do_offline, .alone = true},
  {"cancel", do_cancel},
  {"online", do_online, .alone = true},
  {"movable", do_movable, .alone = true},
  {"policy", do_policy},
};

static void dispatch(Agent *agent, const Request *request, const char *what) {
  for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
    if (strcmp(requests[i].name, what) != 0)
      continue;
    if (!agent->greeted && requests[i].serve != do_hello)
      bad_request(agent, request, "a conversation begins with hello");
    else if (requests[i].alone && agent->job.kind != JOB_NONE)
      wire_error(&agent->out, request->id, "busy", "another request is taking memory offline");
    else
      requests[i].serve(agent, request);
    return;
  }
  wire_error(&agent->out, request->id, "unknown", "this agent does not know that request");
}

void serve_line(Agent *agent, char *line, size_t length) {
  Request request;
  const char *what;
  agent->heard = system_now();
  if (length == 0)
    return;
  if (!json_parse(line, length, &request.json)) {
    wire_error(&agent->out, 0, "bad-request", "the line is not a flat JSON object");
    return;
  }
  if (!json_number(&request.json, "id", &request.id)) {
    wire_error(&agent->out, 0, "bad-request", "a request needs a number as its id");
    return;
  }
  if (!json_string(&request.json, "do", &what)) {
    bad_request(agent, &request, "a request needs 'do'");
    return;
  }
  dispatch(agent, &request, what);
}

void serve_too_long(Agent *agent) {
  wire_error(&agent->out, 0, "bad-request", "the line is too long");
}

void serve_end(Agent *agent) {
  uint32_t left;
  job_stop(agent, &left);
  holds_release_all(agent);
  wire_out_clear(&agent->out);
  agent->greeted = false;
}

int64_t serve_deadline(const Agent *agent) {
  bool waits = agent->job.kind != JOB_NONE || agent->hold_count > 0;
  return waits ? agent->heard + (int64_t)LEASE_SECONDS * 1000 : 0;
}

void serve_expire(Agent *agent, int64_t now) {
  int64_t deadline = serve_deadline(agent);
  if (deadline == 0 || deadline > now)
    return;
  say("the host is gone: memory that was offline for it is brought online again", NULL);
  serve_end(agent);
}
