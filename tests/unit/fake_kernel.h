/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of guest/system.c: a kernel with memory blocks, a clock, and no log. It has the rule of Linux before 4.13,
 * as zone_can_shift() and move_pfn_range_right() of its mm/memory_hotplug.c had it: a block belongs to a zone from the
 * moment when it is added, online or not, and it can come online as movable if it is in the movable zone, or if it is
 * the last one of the zone below, which then ends before it.
 *
 * It is written as a text, a letter for each block from FAKE_FIRST on: N is in the zone below and online, n the same
 * and offline, M and m are in the movable zone, . is not there. One that is refused is x instead of n, y instead of m;
 * one that is going offline from the movable zone is G.
 */
#pragma once

#include "blocks.h"

#define FAKE_FIRST 32
#define FAKE_BLOCKS 64
#define FAKE_BLOCK_SIZE (1 << 27)

void fake_kernel_set(const char *text);

/* As it is now; it may be written to. */
char *fake_kernel_text(void);

/* How often a block was to be brought online, and how many lines the log has. */
unsigned fake_kernel_tries(void);
unsigned fake_kernel_lines(void);

/* Whether that block is marked as one to stay offline. */
bool fake_kernel_marked(uint32_t index);

/* What the clock shows, in milliseconds. */
extern int64_t fake_kernel_time;

/* Its blocks have no node yet: their zones must not be read. */
extern bool fake_kernel_unsettled;

/* Adds all its blocks to what the agent knows. */
void fake_kernel_tell(Blocks *blocks);
