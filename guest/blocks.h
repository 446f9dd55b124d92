/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory blocks, as in /sys/devices/system/memory (Documentation/admin-guide/mm/memory-hotplug.rst). The list of blocks
 * and the agent's flags of each are kept here; their state is read on demand.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCKS_MOVABLE "online_movable"

enum {
  BLOCK_SEEN = 1,     /* has been online: if it is offline now, that is intended */
  BLOCK_OURS = 2,     /* taken offline by us, to be brought back unless it is removed */
  BLOCK_KEPT = 4,     /* in a range being taken offline, or held offline */
  BLOCK_LOGGED = 8,   /* logged that it would not come online */
  BLOCK_VIRTIO = 16,  /* of a virtio-mem device */
  BLOCK_PRESENT = 32, /* found by the last scan */
};

typedef struct {
  uint32_t id; /* its address divided by the size of a block */
  uint8_t flags;
} Block;

typedef struct {
  uint64_t size; /* of each; 0: no memory hot plug */
  Block *list;   /* ascending */
  size_t count, room;
  bool stuck; /* some did not come online at the last attempt */
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

/* Properties of a block, or of a run of equal adjacent blocks. */
typedef struct {
  BlockState state;
  BlockZone zone; /* of an offline one: MOVABLE if it could come online as movable, NORMAL if not, or UNKNOWN */
  uint32_t node;
  bool virtio;
} BlockLook;

typedef struct {
  uint64_t start, size;
  BlockLook look;
} BlockRun;

void blocks_clear(Blocks *blocks);

/*
 * Scans the blocks. Flags of existing ones stay; a new one with the mark counts as seen. False if they cannot be read.
 */
bool blocks_scan(Blocks *blocks);

/* Marks those of virtio-mem devices, by /proc/iomem. */
void blocks_mark_virtio(Blocks *blocks);

/* The index of the block, or of the next one after it. */
size_t blocks_index(const Blocks *blocks, uint32_t id);
Block *blocks_find(const Blocks *blocks, uint32_t id);

/*
 * Adds a new block without flags. The kernel's event may come after a scan has found it, and it was already processed;
 * then it stays unchanged.
 */
void blocks_add(Blocks *blocks, uint32_t id);
void blocks_remove(Blocks *blocks, uint32_t id);

/* Whether all blocks from @first to @last exist, and whether one of them has any of these flags. */
bool blocks_all_there(const Blocks *blocks, uint32_t first, uint32_t last);
bool blocks_any_flag(const Blocks *blocks, uint32_t first, uint32_t last, uint8_t flags);

/* Sets and clears flags of the blocks from @first to @last. */
void blocks_flag(Blocks *blocks, uint32_t first, uint32_t last, uint8_t set, uint8_t clear);

BlockState block_state(uint32_t id);

/*
 * Does not determine whether it is virtio-mem's. The zone of a block that is being added or removed may be unknown.
 * @likely_node: tried first, as neighbours are mostly on the same node.
 */
BlockLook block_look(uint32_t id, uint32_t likely_node);

/* Marks it as intentionally offline, for the next run of the agent. */
void block_mark(uint32_t id, bool wanted_offline);

/* 0 or the error number; "offline" may block forever, until a signal. */
int block_set(uint32_t id, const char *state);

/*
 * The run of equal adjacent blocks that begins at *@index, which moves past it. False at the end. Blocks removed
 * meanwhile are skipped.
 */
bool blocks_next_run(const Blocks *blocks, size_t *index, BlockRun *run);

/* Whether this kernel supports memory hot remove. */
bool blocks_can_remove(const Blocks *blocks);
