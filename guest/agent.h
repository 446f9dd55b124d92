/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's state and actions, without the sockets. There is one thread and one loop (main.c). Only taking a block
 * offline can take long: while its pages do not move, the kernel retries forever, until a signal. So a child process
 * does that, block by block, and is killed to stop it; while it runs, the kernel blocks all onlining, so new blocks
 * wait for its end.
 */
#pragma once

#include <sys/types.h>

#include "blocks.h"
#include "wire.h"

#define HOLDS 64
#define HOLD_SECONDS 3600
#define LEASE_SECONDS 60

/* A range taken offline for the host, until the deadline. */
typedef struct {
  uint64_t id; /* of the request */
  uint32_t first, last;
  int64_t deadline;
} Hold;

typedef enum {
  JOB_NONE,
  JOB_OFFLINE,
  JOB_MOVABLE
} JobKind;

/* The request under way. */
typedef struct {
  JobKind kind;
  uint64_t id;
  uint32_t first, last;
  uint32_t done;    /* blocks, processed from the last one down */
  uint32_t movable; /* count of movable ones, for JOB_MOVABLE; below `done`, the next three are about the first that is
                     * not: */
  uint32_t stays;
  bool went;     /* it was offline, and came back differently or not at all */
  int error;     /* why */
  uint32_t hold; /* seconds, for JOB_OFFLINE */
  pid_t child;
} Job;

typedef struct {
  Blocks blocks;
  int64_t again;  /* when to retry blocks that did not come online; 0: never */
  uint32_t pause; /* delay before that, milliseconds */
  bool onlines;   /* online new blocks as movable */
  bool news;      /* there may be new blocks */
  bool greeted;   /* the host has said hello */
  int64_t heard;  /* time of its last message */
  Job job;
  Hold holds[HOLDS];
  size_t hold_count;
  WireIn in;
  WireOut out;
} Agent;

/* onlines new blocks, now or when the job is done */
void agent_news(Agent *agent);

/* Retries blocks that did not come online, when due; sets the next time. */
void agent_retry(Agent *agent);

/* A kernel event, or the loss of some. */
void agent_uevent(Agent *agent, const char *message, size_t length);
void agent_look_afresh(Agent *agent);

/* job.c: starts a request with a checked range. */
void job_start(Agent *agent, const Job *job);
/* A child has exited, perhaps ours. */
void job_child_ended(Agent *agent);
/* Stops it at any point, and brings back what it took offline; its request is not answered. False if a block stays
   offline.
 */
bool job_stop(Agent *agent, uint32_t *left);

/* holds.c */
void holds_add(Agent *agent, const Job *job);
const Hold *holds_find(const Agent *agent, uint64_t id);
/* Brings the blocks of a hold online, and drops it. False if one stays offline. */
bool holds_release(Agent *agent, const Hold *hold, uint32_t *left);
void holds_release_range(Agent *agent, uint32_t first, uint32_t last);
void holds_release_all(Agent *agent);
/* Ends those that have expired, and those whose blocks are gone. */
void holds_expire(Agent *agent, int64_t now);
void holds_forget_gone(Agent *agent);
/* The next deadline; 0: none. */
int64_t holds_deadline(const Agent *agent);

/* serve.c: a line from the host; and the end of the conversation, which stops the job and brings everything back
 * online. */
void serve_line(Agent *agent, char *line, size_t length);
void serve_too_long(Agent *agent);
void serve_end(Agent *agent);
/* The same, if memory is offline for a host that was silent for LEASE_SECONDS; and when that will be; 0: never.
 */
void serve_expire(Agent *agent, int64_t now);
int64_t serve_deadline(const Agent *agent);
