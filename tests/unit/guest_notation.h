/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's report, in one line of text. Sizes are MiB.
 *
 *   WHO [KEY=VALUE...] [WORD...] [RUN...]   "agent block=128 total=2048 avail=900 4096+256:m 4352+128:k"
 * WHO: agent, qga, both, balloon (that alone answers), no-agent
 *
 * KEYS: nodeN=TOTAL/FREE/AVAILABLE, block, total, avail, kernel-total, kernel-avail, boot, kernel, os, policy ("_" in a
 * value is a blank, but for policy)
 *
 * WORDS: onlines, udev-rule, movable-node, windows, hot-remove, each also with "no-" before it; exec, file, busy; runs
 * (none)
 *
 * RUN: START+SIZE:STATE[v], of which STATE is m online movable, k kernel, x mixed, u online of unknown zone, o offline,
 * g going offline from movable; v: virtio-mem's
 */
#pragma once

#include "model/guest.h"

DmGuest *guest_from(const char *text);
