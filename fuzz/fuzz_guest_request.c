/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host says to dimmer-guest, line by line, and what happens there meanwhile. Lines that begin with one of these
 * are not from a host: +D and -D, block D of the kernel comes and goes; oD, another program takes it offline or brings
 * it online; ^D, the child has ended, with that error number; tD, so many seconds pass; ~, the host goes; r, it stops
 * or begins to read; u, what the kernel tells, with | for NUL.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/types.h>

#include "agent.h"
#include "fake_kernel.h"
#include "fuzz.h"

#define KERNEL "NNMMMMmn"

static Agent agent;
static unsigned children, answers;
static int child_status; /* of a child that has ended; -1: it has not */
static gboolean reading;
static char untouched[sizeof(KERNEL)]; /* the letters of KERNEL; a blank where another program changed it */

/* What the linker puts in place of libc's. Every seventh child cannot be made. */
pid_t __wrap_fork(void);
pid_t __wrap_waitpid(pid_t child, int *status, int options);
int __wrap_kill(pid_t child, int number);

pid_t __wrap_fork(void) {
  g_assert(agent.job.child == 0);
  child_status = -1;
  if (++children % 7 == 0) {
    errno = EAGAIN;
    return -1;
  }
  return (pid_t)children;
}

pid_t __wrap_waitpid(pid_t child, int *status, int options) {
  g_assert(child == (pid_t)children);
  if (child_status < 0)
    return 0;
  if (status != NULL)
    *status = child_status << 8;
  return child;
}

static void end_child(int error) {
  uint32_t block = agent.job.last - agent.job.done - FAKE_FIRST;
  g_assert(agent.job.child == (pid_t)children && block < strlen(KERNEL));
  if (error == 0)
    fake_kernel_text()[block] = g_ascii_tolower(fake_kernel_text()[block]);
  child_status = error;
}

/* Every other child is killed too late. */
int __wrap_kill(pid_t child, int number) {
  end_child(child % 2 == 0 ? 0 : EINTR);
  return 0;
}

static void check_line(const char *line, size_t length) {
  json_t *answer = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
  g_assert(json_is_object(answer) && json_is_integer(json_object_get(answer, "id")));
  int kinds = json_is_true(json_object_get(answer, "ok")) + json_is_true(json_object_get(answer, "progress")) +
    json_is_string(json_object_get(answer, "error"));
  g_assert(kinds == 1);
  answers += !json_is_true(json_object_get(answer, "progress"));
  json_decref(answer);
}

/* The host reads all that there is. */
static void read_out(void) {
  const char *at = agent.out.data, *end = at + agent.out.used;
  g_assert(agent.out.used <= sizeof(agent.out.data));
  if (!reading)
    return;
  while (at < end) {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    g_assert(line_end != NULL);
    check_line(at, (size_t)(line_end - at));
    at = line_end + 1;
  }
  wire_sent(&agent.out, agent.out.used);
}

/* As port_serve() does; each line that is one has its answer, or is the job that runs. */
static void serve(void) {
  char *line;
  size_t length;
  LineKind kind;
  while (agent.out.used <= WIRE_CALM && (kind = wire_in_line(&agent.in, &line, &length)) != LINE_NONE) {
    unsigned before = answers;
    uint64_t job = agent.job.kind != JOB_NONE ? agent.job.id : UINT64_MAX;
    if (kind == LINE_TOO_LONG)
      serve_too_long(&agent);
    else
      serve_line(&agent, line, length);
    read_out();
    g_assert(!reading || length == 0 || answers > before || (agent.job.kind != JOB_NONE && agent.job.id != job));
  }
}

static void say(const char *line, size_t length) {
  while (length > 0 && agent.out.used <= WIRE_CALM) {
    size_t room;
    char *to = wire_in_room(&agent.in, &room);
    room = MIN(room, length);
    memcpy(to, line, room);
    wire_in_filled(&agent.in, room);
    line += room;
    length -= room;
    serve();
  }
}

static void tell(const char *action, unsigned block) {
  g_autofree char *message =
    g_strdup_printf("ACTION=%s|SUBSYSTEM=memory|DEVPATH=/memory%u|", action, FAKE_FIRST + block);
  size_t length = strlen(message);
  agent_uevent(&agent, g_strdelimit(message, "|", '\0'), length);
}

static void change_block(char how, unsigned block) {
  char *letter = &fake_kernel_text()[block];
  untouched[block] = ' ';
  if (how == '+' && *letter == '.') {
    *letter = strpbrk(fake_kernel_text(), "Mm") != NULL ? 'm' : 'n';
    tell("add", block);
  } else if (how == '-' && *letter != '.') {
    *letter = '.';
    tell("remove", block);
  } else if (how == 'o' && *letter != '.') {
    *letter ^= 'n' ^ 'N';
    tell(g_ascii_isupper(*letter) ? "online" : "offline", block);
  }
}

static void take_line(const char *line, size_t length) {
  int digit = length > 1 ? g_ascii_digit_value(line[1]) : -1;
  if (length > 1 && strchr("+-o", *line) != NULL && digit >= 0 && digit < (int)strlen(KERNEL)) {
    change_block(*line, (unsigned)digit);
  } else if (*line == '^' && digit >= 0 && agent.job.child > 0) {
    end_child(digit);
    job_child_ended(&agent);
  } else if (*line == 't' && digit >= 0) {
    fake_kernel_time += digit * 1000;
  } else if (*line == '~') {
    serve_end(&agent);
    read_out();
  } else if (*line == 'r') {
    reading = !reading;
    read_out();
    serve();
  } else if (*line == 'u') {
    g_autofree char *message = g_strndup(line + 1, length - 1);
    agent_uevent(&agent, g_strdelimit(message, "|", '\0'), length);
  } else {
    say(line, length);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  agent = (Agent){.onlines = true, .news = true};
  children = answers = 0;
  reading = TRUE;
  strcpy(untouched, KERNEL);
  fake_kernel_set(KERNEL);
  fake_kernel_time = 1000;
  agent_look_afresh(&agent);
  for (const char *at = (const char *)data, *end = at + size; at < end;) {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    const char *next = line_end != NULL ? line_end + 1 : end;
    take_line(at, (size_t)(next - at));
    agent_news(&agent);
    holds_expire(&agent, fake_kernel_time);
    agent_retry(&agent);
    read_out();
    at = next;
  }
  serve_end(&agent);
  g_assert(agent.job.kind == JOB_NONE && agent.hold_count == 0);
  g_assert(!blocks_any_flag(&agent.blocks, 0, UINT32_MAX, BLOCK_KEPT | BLOCK_OURS));
  for (size_t i = 0; i < strlen(KERNEL); i++)
    g_assert(!g_ascii_isupper(untouched[i]) || g_ascii_isupper(fake_kernel_text()[i]));
  blocks_clear(&agent.blocks);
  return 0;
}
