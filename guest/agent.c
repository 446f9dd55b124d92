/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include "online.h"
#include "uevent.h"

void agent_news(Agent *agent) {
  if (agent->job.kind != JOB_NONE || !agent->news)
    return;
  agent->news = false;
  if (agent->onlines)
    online_new(&agent->blocks);
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
      blocks_flag(&agent->blocks, event.block, event.block, BLOCK_SEEN, BLOCK_TOLD);
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
