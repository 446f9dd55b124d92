/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory blocks, as /sys/devices/system/memory shows them (Documentation/admin-guide/mm/memory-hotplug.rst). Which
 * there are, and what the agent has to remember of each, is kept here; what state they are in is read when asked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCKS_MOVABLE "online_movable"

enum {
  BLOCK_SEEN = 1,     /* has been online: if it is offline now, somebody wanted it so */
  BLOCK_OURS = 2,     /* taken offline by us, to be put back unless it goes */
  BLOCK_KEPT = 4,     /* in a range that is being taken offline, or is held offline */
  BLOCK_TOLD = 8,     /* the log has that it would not come online */
  BLOCK_VIRTIO = 16,  /* of a virtio-mem device */
  BLOCK_PRESENT = 32, /* found by the last look */
};

typedef struct {
  uint32_t id; /* its address divided by the size of a block */
  uint8_t flags;
} Block;

typedef struct {
  uint64_t size; /* of each; 0: no memory hot plug */
  Block *list;   /* ascending */
  size_t count, room;
  bool stuck; /* some did not come online when they were last tried */
} Blocks;

typedef enum {
  BLOCK_GONE,
  BLOCK_OFFLINE,
  BLOCK_ONLINE,
  BLOCK_GOING_OFFLINE
} BlockState;
typedef enum {
  ZONE_UNKNOWN,
  ZONE_MOVABLE,
  ZONE_NORMAL,
  ZONE_MIXED
} BlockZone;

/* What can be said of a block, or of a run of neighbours that are alike. */
typedef struct {
  BlockState state;
  BlockZone zone; /* of an offline one: MOVABLE if it could come online so, NORMAL if not, or UNKNOWN */
  uint32_t node;
  bool virtio;
} BlockLook;

typedef struct {
  uint64_t start, size;
  BlockLook look;
} BlockRun;

void blocks_clear(Blocks *blocks);

/*
 * Looks which blocks there are. What is remembered of those that are still there stays; one that is new here and marked
 * counts as seen. False if they cannot be read.
 */
bool blocks_scan(Blocks *blocks);

/* Marks those of virtio-mem devices, by /proc/iomem. */
void blocks_mark_virtio(Blocks *blocks);

/* The index of the block, or of the next one behind it. */
size_t blocks_index(const Blocks *blocks, uint32_t id);
Block *blocks_find(const Blocks *blocks, uint32_t id);

/*
 * A new block, of which nothing is remembered. The kernel may tell of it after a look has found it, and after much has
 * been done with it; then it stays as it is.
 */
void blocks_add(Blocks *blocks, uint32_t id);
void blocks_remove(Blocks *blocks, uint32_t id);

/* Whether all blocks from @first to @last are there, and whether one of them has any of these flags. */
bool blocks_all_there(const Blocks *blocks, uint32_t first, uint32_t last);
bool blocks_any_flag(const Blocks *blocks, uint32_t first, uint32_t last, uint8_t flags);

/* Sets and clears flags of the blocks from @first to @last. */
void blocks_flag(Blocks *blocks, uint32_t first, uint32_t last, uint8_t set, uint8_t clear);

BlockState block_state(uint32_t id);
BlockZone block_zone(uint32_t id, BlockState state);

/* Looks at the likely one first: neighbours are mostly on the same. */
uint32_t block_node(uint32_t id, uint32_t likely);

/* Marks it as one that somebody wants to be offline, for the agent that comes after this one. */
void block_mark(uint32_t id, bool wanted_offline);

/* 0 or the error number; with "offline" it may take for ever, until a signal. */
int block_set(uint32_t id, const char *state);

/*
 * The run of alike neighbours that begins at *@index, which moves behind it. False at the end. Blocks that go away
 * meanwhile are left out.
 */
bool blocks_next_run(const Blocks *blocks, size_t *index, BlockRun *run);

/* Whether this kernel can take memory out. */
bool blocks_can_remove(const Blocks *blocks);
