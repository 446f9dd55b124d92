/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"
#include "online.h"
#include "system.h"

void holds_add(Agent *agent, const Job *job) {
  agent->holds[agent->hold_count++] = (Hold){
    .id = job->id,
    .first = job->first,
    .last = job->last,
    .deadline = system_now() + (int64_t)job->hold * 1000,
  };
}

const Hold *holds_find(const Agent *agent, uint64_t id) {
  for (size_t i = 0; i < agent->hold_count; i++) {
    if (agent->holds[i].id == id)
      return &agent->holds[i];
  }
  return NULL;
}

static void forget(Agent *agent, const Hold *hold) {
  blocks_flag(&agent->blocks, hold->first, hold->last, 0, BLOCK_KEPT);
  agent->holds[hold - agent->holds] = agent->holds[--agent->hold_count];
}

bool holds_release(Agent *agent, const Hold *hold, uint32_t *left) {
  bool all = online_put_back(&agent->blocks, hold->first, hold->last, left);
  forget(agent, hold);
  return all;
}

/* From the last one down, as the last one replaces a dropped one. */
void holds_release_range(Agent *agent, uint32_t first, uint32_t last) {
  uint32_t left;
  for (size_t i = agent->hold_count; i-- > 0;) {
    if (agent->holds[i].first <= last && agent->holds[i].last >= first)
      holds_release(agent, &agent->holds[i], &left);
  }
}

void holds_release_all(Agent *agent) {
  holds_release_range(agent, 0, UINT32_MAX);
}

void holds_expire(Agent *agent, int64_t now) {
  uint32_t left;
  for (size_t i = agent->hold_count; i-- > 0;) {
    if (agent->holds[i].deadline <= now) {
      say("the host did not take held memory away in time", NULL);
      holds_release(agent, &agent->holds[i], &left);
    }
  }
}

void holds_forget_gone(Agent *agent) {
  for (size_t i = agent->hold_count; i-- > 0;) {
    if (!blocks_any_flag(&agent->blocks, agent->holds[i].first, agent->holds[i].last, BLOCK_KEPT))
      forget(agent, &agent->holds[i]);
  }
}

int64_t holds_deadline(const Agent *agent) {
  int64_t next = 0;
  for (size_t i = 0; i < agent->hold_count; i++) {
    if (next == 0 || agent->holds[i].deadline < next)
      next = agent->holds[i].deadline;
  }
  return next;
}
