/* SPDX-License-Identifier: Apache-2.0 */
/* Brings memory blocks online as movable, so that they can be unplugged again. */
#pragma once

#include "blocks.h"

/*
 * Sets the kernel's policy to online new blocks as movable, if supported (Linux 5.7), or else to leave them to us. Logs
 * a failure; kernels before 4.7 have no such policy.
 */
void online_set_policy(void);

/* The kernel's policy; false if it has none. */
bool online_policy(char *words, size_t size);

/*
 * Brings one block online as movable, or as before, if we took it offline and it cannot become movable at its position
 * (before Linux 4.13). 0 or the error number: EBUSY if it is going offline.
 */
int online_one(Block *block);

/* Brings offline blocks online, except kept ones and those seen online before. */
void online_new(Blocks *blocks);

/*
 * Brings online, as online_one(), what we took offline from @first to @last. False if a block stays offline: @left is
 * one of them.
 */
bool online_put_back(Blocks *blocks, uint32_t first, uint32_t last, uint32_t *left);

/* As above, also of blocks that another program took offline. */
bool online_range(Blocks *blocks, uint32_t first, uint32_t last, uint32_t *left);
