/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing memory blocks online as movable, so that they can go again. */
#pragma once

#include "blocks.h"

/*
 * Lets the kernel bring new blocks online as movable, where it can (Linux 5.7), or else leave them to us. Its log has
 * why not; kernels before 4.7 have no such policy.
 */
void online_set_policy(void);

/* The kernel's policy; false where it has none. */
bool online_policy(char *words, size_t size);

/*
 * Brings one block online as movable, or, if we took it offline and it cannot become movable where it is (before Linux
 * 4.13), as it was. 0 or the error number: EBUSY of one that is going offline.
 */
int online_one(Block *block);

/* Brings online what is offline, except what is kept, and what was seen online before. */
void online_new(Blocks *blocks);

/*
 * Brings online, as online_one(), what we took offline from @first to @last. False if a block stays offline: @left is
 * one of them.
 */
bool online_put_back(Blocks *blocks, uint32_t first, uint32_t last, uint32_t *left);

/* As before, whoever took it offline. */
bool online_range(Blocks *blocks, uint32_t first, uint32_t last, uint32_t *left);
