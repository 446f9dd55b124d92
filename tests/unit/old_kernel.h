/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of what speaks of blocks to the kernel (guest/blocks.c), and of the clock and the log: memory blocks under
 * the rule that Linux had before 4.13, as zone_can_shift() and move_pfn_range_right() of its mm/memory_hotplug.c have
 * it. A block belongs to a zone from the moment when it is added, online or not, and it can come online as movable if
 * it is in the movable zone, or if it is the last one of the zone below, which then ends before it.
 *
 * The kernel is written as a text, a letter for each block from FIRST on: N is in the zone below and online, n the same
 * and offline, M and m are in the movable zone. A block that is refused is x instead of n, y instead of m.
 */
#pragma once

#include "blocks.h"

#define FIRST 32
#define OLD_KERNEL_BLOCKS 64

void old_kernel_set(const char *text);

/* As it is now; the caller g_frees. */
char *old_kernel_text(void);

/* How often a block was to be brought online, and how many lines the log has. */
unsigned old_kernel_tries(void);
unsigned old_kernel_lines(void);

/* Whether that block bears the mark of one that somebody wants to be offline. */
bool old_kernel_marked(uint32_t index);

/* What the clock shows, in milliseconds. */
extern int64_t old_kernel_time;

/* Adds the block to what the agent knows. */
void old_kernel_tell(Blocks *blocks, uint32_t index);
void old_kernel_tell_all(Blocks *blocks);
