/* SPDX-License-Identifier: Apache-2.0 */
/* `offline` and `movable`: block by block, from the highest down, as that leaves the movable zone in one piece. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "json.h"
#include "memory.h"
#include "online.h"
#include "system.h"

static uint32_t block_count(const Job *job) {
  return job->last - job->first + 1;
}

/* OOM score: the process that takes memory away is killed first. */
#define END_ME_FIRST "1000"

/* The child that takes the block offline, and exits with the error number. */
static pid_t take_offline(uint32_t block) {
  pid_t agent = getpid(), child = fork();
  if (child != 0)
    return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != agent)
    _exit(EINTR);
  system_write("/proc/self/oom_score_adj", END_ME_FIRST);
  _exit(block_set(block, "offline"));
}

static const char *reason(int error) {
  switch (error) {
    case EBUSY:
      return "the kernel keeps something in it that it cannot move";
    case EAGAIN:
      return "pages of it were in use whenever the kernel tried to move them";
    case EINTR:
      return "it was interrupted";
    case ENOMEM:
      return "the guest has no memory left to move its pages to";
    case ENOSPC: /* by our own calculation */
      return "the guest would have too little memory left beside what it keeps free";
    default:
      return strerror(error);
  }
}

/* The protocol's word for why a block did not go offline. */
static const char *why(int error) {
  switch (error) {
    case EBUSY:
      return "kernel";
    case EAGAIN:
      return "in-use";
    case ENOMEM:
    case ENOSPC:
      return "memory";
    default:
      return "other";
  }
}

static void tell_progress(Agent *agent, uint32_t block) {
  const Job *job = &agent->job;
  if (agent->out.used > WIRE_PROGRESS)
    return;
  Text message = wire_begin(&agent->out, job->id);
  json_add_truth(&message, "progress", true);
  json_add_number(&message, "done", job->done);
  json_add_number(&message, "of", block_count(job));
  json_add_number(&message, "start", block * agent->blocks.size);
  wire_end(&agent->out, &message);
}

/* The job is over, and its range released; what it has taken offline comes back. */
static bool give_up(Agent *agent, uint32_t *left) {
  Job job = agent->job;
  agent->job = (Job){0};
  bool restored = online_put_back(&agent->blocks, job.first, job.last, left);
  blocks_flag(&agent->blocks, job.first, job.last, 0, BLOCK_KEPT);
  return restored;
}

static void fail(Agent *agent, uint32_t block, int error) {
  char space[256];
  Text detail = TEXT_IN(space);
  uint64_t id = agent->job.id;
  uint32_t left;
  bool restored = give_up(agent, &left);
  text_add(&detail, "memory");
  text_add_number(&detail, block);
  text_add(&detail, " stays online: ");
  text_add(&detail, reason(error));
  if (!restored) {
    text_add(&detail, "; and memory");
    text_add_number(&detail, left);
    text_add(&detail, " did not come online again");
  }
  Text message = wire_begin(&agent->out, id);
  json_add_string(&message, "error", "stays");
  json_add_number(&message, "start", block * agent->blocks.size);
  json_add_string(&message, "detail", space);
  json_add_truth(&message, "restored", restored);
  wire_end(&agent->out, &message);
}

/* Of the first block that is not movable at the end. */
static void tell_why(Text *message, const Job *job) {
  char space[256];
  Text detail = TEXT_IN(space);
  text_add(&detail, "memory");
  text_add_number(&detail, job->stays);
  text_add(&detail, ": ");
  if (!job->went)
    text_add(&detail, reason(job->error));
  else if (job->error == 0)
    text_add(&detail, "where it is, it can come online for the kernel's own use only");
  else {
    text_add(&detail, "it does not come online as movable: ");
    text_add(&detail, strerror(job->error));
  }
  json_add_string(message, "why", job->went ? "other" : why(job->error));
  json_add_string(message, "detail", space);
}

static void finish(Agent *agent) {
  Job job = agent->job;
  uint32_t left;
  if (job.kind == JOB_OFFLINE) {
    agent->job = (Job){0};
    holds_add(agent, &job);
    wire_ok(&agent->out, job.id);
    return;
  }
  give_up(agent, &left);
  Text message = wire_begin(&agent->out, job.id);
  json_add_truth(&message, "ok", true);
  json_add_number(&message, "done", job.movable);
  json_add_number(&message, "of", block_count(&job));
  if (job.movable < block_count(&job)) {
    json_add_number(&message, "start", job.stays * agent->blocks.size);
    tell_why(&message, &job);
  }
  wire_end(&agent->out, &message);
}

/* @error: why it did not go offline; 0 if it did, or already was. */
static void make_movable(Agent *agent, uint32_t id, int error) {
  Job *job = &agent->job;
  Block *block = blocks_find(&agent->blocks, id);
  int back = block != NULL ? online_one(block) : ENOENT;
  BlockLook look = block_look(id, 0);
  if (look.state == BLOCK_ONLINE && look.zone == ZONE_MOVABLE) {
    job->movable++;
  } else if (job->done == job->movable) {
    job->stays = id;
    job->went = error == 0;
    job->error = error != 0 ? error : back;
  }
}

/* One block is done, whatever the result. */
static void step_done(Agent *agent, uint32_t block, int error) {
  Job *job = &agent->job;
  if (job->kind == JOB_MOVABLE)
    make_movable(agent, block, error);
  job->done++;
  tell_progress(agent, block);
}

/* A block already being taken offline may still stay. */
static bool is_in(BlockState state) {
  return state == BLOCK_ONLINE || state == BLOCK_GOING_OFFLINE;
}

/* Whether the block must be taken offline for the job; the kernel makes the child wait for others working on it. */
static bool has_to_go(const Job *job, uint32_t block) {
  BlockLook look = block_look(block, 0);
  if (look.state != BLOCK_ONLINE || job->kind == JOB_OFFLINE)
    return is_in(look.state);
  return look.zone != ZONE_MOVABLE;
}

static void go_on(Agent *agent) {
  Job *job = &agent->job;
  while (job->done < block_count(job)) {
    uint32_t block = job->last - job->done;
    bool goes = has_to_go(job, block);
    if (goes && job->kind == JOB_MOVABLE && !memory_has_room(agent->blocks.size, block_look(block, 0).node)) {
      step_done(agent, block, ENOSPC); /* dimmer calculates that for an unplug, but not for this */
    } else if (goes) {
      /* Set before: if we are stopped meanwhile, it may or may not be offline. */
      blocks_flag(&agent->blocks, block, block, BLOCK_OURS | BLOCK_SEEN, 0);
      job->child = take_offline(block);
      if (job->child < 0)
        fail(agent, block, errno);
      return;
    } else {
      step_done(agent, block, 0);
    }
  }
  finish(agent);
}

void job_start(Agent *agent, const Job *job) {
  agent->job = *job;
  blocks_flag(&agent->blocks, job->first, job->last, BLOCK_KEPT, 0);
  go_on(agent);
}

void job_child_ended(Agent *agent) {
  Job *job = &agent->job;
  int status;
  if (job->child <= 0 || waitpid(job->child, &status, WNOHANG) != job->child)
    return;
  job->child = 0;
  uint32_t block = job->last - job->done;
  int error = WIFEXITED(status) ? WEXITSTATUS(status) : ENOMEM; /* killed: by the OOM killer */
  if (error != 0 && job->kind == JOB_OFFLINE && is_in(block_state(block))) {
    fail(agent, block, error);
    return;
  }
  step_done(agent, block, error);
  go_on(agent);
}

bool job_stop(Agent *agent, uint32_t *left) {
  const Job *job = &agent->job;
  if (job->kind == JOB_NONE)
    return true;
  if (job->child > 0) {
    kill(job->child, SIGKILL);
    waitpid(job->child, NULL, 0);
  }
  return give_up(agent, left);
}
