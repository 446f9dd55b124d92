/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include "online.h"
#include "system.h"
#include "uevent.h"

/*
 * A busy kernel may refuse a block once, one before 4.13 permanently: milliseconds between retries. The memory may be
 * needed, and a retry is cheap.
 */
#define FIRST_PAUSE 250
#define LONGEST_PAUSE 8000

void agent_news(Agent *agent) {
  if (agent->job.kind != JOB_NONE || !agent->news)
    return;
  agent->news = false;
  if (agent->onlines)
    online_new(&agent->blocks);
}

void agent_retry(Agent *agent) {
  int64_t now = system_now();
  if (agent->again != 0 && agent->again <= now) {
    agent->again = 0;
    agent->news = true;
    agent_news(agent);
  }
  if (!agent->blocks.stuck || !agent->onlines) {
    agent->again = 0;
    agent->pause = 0;
  } else if (agent->again == 0) {
    agent->pause = agent->pause == 0 ? FIRST_PAUSE : agent->pause < LONGEST_PAUSE ? agent->pause * 2 : LONGEST_PAUSE;
    agent->again = now + agent->pause;
  }
}

/* The state may have changed again by the time of the event. */
static void block_went_offline(Agent *agent, uint32_t id) {
  const Block *block = blocks_find(&agent->blocks, id);
  if (block != NULL && (block->flags & (BLOCK_SEEN | BLOCK_OURS | BLOCK_KEPT)) == BLOCK_SEEN &&
    block_state(id) == BLOCK_OFFLINE)
    block_mark(id, true);
}

void agent_uevent(Agent *agent, const char *message, size_t length) {
  Uevent event = uevent_parse(message, length);
  switch (event.kind) {
    case UEVENT_BLOCK_ADDED:
      blocks_add(&agent->blocks, event.block);
      agent->news = true;
      break;
    case UEVENT_BLOCK_REMOVED:
      blocks_remove(&agent->blocks, event.block);
      holds_forget_gone(agent);
      break;
    case UEVENT_BLOCK_ONLINE:
      blocks_flag(&agent->blocks, event.block, event.block, BLOCK_SEEN, BLOCK_LOGGED);
      block_mark(event.block, false);
      break;
    case UEVENT_BLOCK_OFFLINE:
      block_went_offline(agent, event.block);
      break;
    case UEVENT_PORT:
    case UEVENT_OTHER:
      break;
  }
}

void agent_look_afresh(Agent *agent) {
  blocks_scan(&agent->blocks);
  holds_forget_gone(agent);
  agent->news = true;
}
