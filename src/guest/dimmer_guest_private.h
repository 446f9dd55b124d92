/* SPDX-License-Identifier: Apache-2.0 */
/* For the unit tests of its inside. */
#pragma once

#include "guest/dimmer_guest.h"

/*
 * Seconds: for an answer that needs no work, for a whole look, for the putting back after a cancel, and for a sign of
 * life during work (0: none is asked for).
 */
typedef struct {
  double answer, look, put_back, alive;
} AgentPatience;

void agent_set_patience(DmAgent *agent, AgentPatience patience);
