/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent knows and does, without the sockets. There is one thread and one loop (main.c). Only taking a block
 * offline can take long: while its pages do not move, the kernel tries for ever, until a signal. So a child process
 * does that, block by block, and killing it is what stops it; while it is at work, the kernel lets nobody else bring a
 * block online, so new blocks wait for its end.
 */
#pragma once

#include <sys/types.h>

#include "blocks.h"
#include "wire.h"

#define HOLDS 64
#define HOLD_SECONDS 3600
#define LEASE_SECONDS 60

/* A range that was taken offline for the host, until the deadline. */
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

/* The request that is under way. */
typedef struct {
  JobKind kind;
  uint64_t id;
  uint32_t first, last;
  uint32_t done;    /* blocks, from the last one down */
  uint32_t movable; /* of them, for JOB_MOVABLE; below `done`, the next three are of the first that is not: */
  uint32_t stays;
  bool went;     /* it was offline, and came back otherwise or not at all */
  int error;     /* why */
  uint32_t hold; /* seconds, for JOB_OFFLINE */
  pid_t child;
} Job;

typedef struct {
  Blocks blocks;
  int64_t again;  /* when to try once more what did not come online, 0: not */
  uint32_t pause; /* before that, milliseconds */
  bool onlines;   /* new blocks, as movable */
  bool news;      /* there may be new blocks */
  bool greeted;   /* the host has said hello */
  int64_t heard;  /* when it last said anything */
  Job job;
  Hold holds[HOLDS];
  size_t hold_count;
  WireIn in;
  WireOut out;
} Agent;

/* online what is new, now or when the job is done */
void agent_news(Agent *agent);

/* Tries once more what did not come online, when it is time; sets that time. */
void agent_retry(Agent *agent);

/* What the kernel told: a message of its, or that some were lost. */
void agent_uevent(Agent *agent, const char *message, size_t length);
void agent_look_afresh(Agent *agent);

/* job.c: begins a request whose range was checked. */
void job_start(Agent *agent, const Job *job);
/* A child has ended, perhaps ours. */
void job_child_ended(Agent *agent);
/* Stops it wherever it is, and puts back what it took offline; its request is not answered. False if a block stays so.
 */
bool job_stop(Agent *agent, uint32_t *left);

/* holds.c */
void holds_add(Agent *agent, const Job *job);
const Hold *holds_find(const Agent *agent, uint64_t id);
/* Brings the blocks of a hold online, and forgets it. False if one stays offline. */
bool holds_release(Agent *agent, const Hold *hold, uint32_t *left);
void holds_release_range(Agent *agent, uint32_t first, uint32_t last);
void holds_release_all(Agent *agent);
/* Those whose time is over, and those whose blocks are gone. */
void holds_expire(Agent *agent, int64_t now);
void holds_forget_gone(Agent *agent);
/* The next deadline; 0: none. */
int64_t holds_deadline(const Agent *agent);

/* serve.c: a line of the host's; and the end of the conversation, which stops and puts back all. */
void serve_line(Agent *agent, char *line, size_t length);
void serve_too_long(Agent *agent);
void serve_end(Agent *agent);
/* The same, if memory is offline for a host that has said nothing for LEASE_SECONDS; and when that will be, 0: never.
 */
void serve_expire(Agent *agent, int64_t now);
int64_t serve_deadline(const Agent *agent);
