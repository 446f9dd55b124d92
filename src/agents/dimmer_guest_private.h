/* SPDX-License-Identifier: Apache-2.0 */
/* Internals for the unit tests. */
#pragma once

#include "agents/dimmer_guest.h"

/*
 * Seconds: for an answer that needs no work, for a whole query, for the undo after a cancel, and for a ping during work
 * (0: no pings).
 */
typedef struct {
  double answer, look, put_back, alive;
} AgentPatience;

void agent_set_patience(DmAgent *agent, AgentPatience patience);
