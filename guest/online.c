/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before Linux 4.13, a block could become movable only if it was the last one of the zone below the movable zone, or in
 * the movable zone already. New memory is at the end of that zone, so all of it can become movable from the highest
 * block down, and in no other order; agent_retry() handles blocks held up by one that is refused for a while.
 */
#include "online.h"

#include <errno.h>
#include <string.h>

#include "system.h"

#define POLICY "/sys/devices/system/memory/auto_online_blocks"

typedef bool (*Choice)(const Block *block);

void online_set_policy(void) {
  char words[32];
  if (!online_policy(words, sizeof(words)) || strcmp(words, BLOCKS_MOVABLE) == 0)
    return;
  int error = system_write(POLICY, BLOCKS_MOVABLE);
  if (error == EINVAL) /* before 5.7 it knows only "online", which is not movable, and "offline" */
    error = system_write(POLICY, "offline");
  if (error != 0)
    say("cannot write to ", POLICY, ": ", strerror(error), NULL);
}

bool online_policy(char *words, size_t size) {
  return system_read(POLICY, words, size);
}

static void tell_failure(Block *block, int error) {
  char space[24];
  Text number = TEXT_IN(space);
  if ((block->flags & BLOCK_LOGGED) != 0)
    return;
  block->flags |= BLOCK_LOGGED;
  text_add_number(&number, block->id);
  say("memory", space, " does not come online as movable: ", strerror(error), NULL);
}

static bool is_ours(const Block *block) {
  return (block->flags & BLOCK_OURS) != 0;
}

/* The kernel, udev or a user may online it at the same time. */
int online_one(Block *block) {
  BlockState state = block_state(block->id);
  bool tried = state == BLOCK_OFFLINE;
  int error = tried ? block_set(block->id, BLOCKS_MOVABLE) : state == BLOCK_GOING_OFFLINE ? EBUSY : 0;
  if ((error == EINVAL || error == EPERM) && is_ours(block)) /* its position forbids it; EPERM before 3.14 */
    error = block_set(block->id, "online");
  if (error != 0 && block_state(block->id) == BLOCK_ONLINE)
    error = 0;
  if (state == BLOCK_ONLINE || (tried && error == 0))
    block->flags = (uint8_t)((block->flags & ~(BLOCK_OURS | BLOCK_LOGGED)) | BLOCK_SEEN);
  return error;
}

/*
 * Memory is being taken offline by another, such as the kernel for an unplug requested without us. That can last
 * forever, and blocks uninterruptibly any program that onlines a block meanwhile.
 */
static bool is_locked(const Blocks *blocks) {
  for (size_t i = blocks->count; i-- > 0;) {
    if (block_state(blocks->list[i].id) == BLOCK_GOING_OFFLINE)
      return true;
  }
  return false;
}

/* Onlines the chosen blocks of the list from index @from up to @to. False if one stays offline. */
static bool bring_all(Blocks *blocks, size_t from, size_t to, Choice chosen, uint32_t *left) {
  bool all = true, asked = false;
  for (size_t i = to; i-- > from;) {
    Block *block = &blocks->list[i];
    if (!chosen(block))
      continue;
    if (!asked && is_locked(blocks)) {
      *left = block->id;
      return false;
    }
    asked = true;
    int error = online_one(block);
    if (error == 0 || error == ENOENT)
      continue;
    tell_failure(block, error);
    all = false;
    *left = block->id;
  }
  return all;
}

static bool is_new(const Block *block) {
  return (block->flags & (BLOCK_SEEN | BLOCK_OURS | BLOCK_KEPT)) == 0;
}

static bool is_any(const Block *block) {
  return true;
}

void online_new(Blocks *blocks) {
  uint32_t left;
  blocks->stuck = !bring_all(blocks, 0, blocks->count, is_new, &left);
}

static bool range(Blocks *blocks, uint32_t first, uint32_t last, Choice chosen, uint32_t *left) {
  size_t from = blocks_index(blocks, first), to = from;
  while (to < blocks->count && blocks->list[to].id <= last)
    to++;
  bool all = bring_all(blocks, from, to, chosen, left);
  blocks->stuck |= !all; /* what did not come back is retried later */
  for (size_t i = from; i < to; i++) {
    if (is_ours(&blocks->list[i]))
      blocks->list[i].flags &= (uint8_t) ~(BLOCK_OURS | BLOCK_SEEN);
  }
  return all;
}

bool online_put_back(Blocks *blocks, uint32_t first, uint32_t last, uint32_t *left) {
  return range(blocks, first, last, is_ours, left);
}

bool online_range(Blocks *blocks, uint32_t first, uint32_t last, uint32_t *left) {
  return range(blocks, first, last, is_any, left);
}
