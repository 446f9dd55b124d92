/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "system.h"
#include "uevent.h"

#define FOLDER "/sys/devices/system/memory"
#define VIRTIO_RESOURCE "System RAM (virtio_mem)"

void blocks_clear(Blocks *blocks) {
  free(blocks->list);
  *blocks = (Blocks){0};
}

size_t blocks_index(const Blocks *blocks, uint32_t id) {
  size_t low = 0, high = blocks->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (blocks->list[middle].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

Block *blocks_find(const Blocks *blocks, uint32_t id) {
  size_t index = blocks_index(blocks, id);
  return index < blocks->count && blocks->list[index].id == id ? &blocks->list[index] : NULL;
}

/* Without memory for the list a block is unknown, and left alone. */
static bool append(Blocks *blocks, Block block) {
  if (blocks->count == blocks->room) {
    size_t room = blocks->room * 2 + 64;
    Block *list = reallocarray(blocks->list, room, sizeof(*list));
    if (list == NULL)
      return false;
    blocks->list = list;
    blocks->room = room;
  }
  blocks->list[blocks->count++] = block;
  return true;
}

void blocks_add(Blocks *blocks, uint32_t id) {
  size_t index = blocks_index(blocks, id);
  if (blocks_find(blocks, id) != NULL || !append(blocks, (Block){0}))
    return;
  memmove(&blocks->list[index + 1], &blocks->list[index], (blocks->count - 1 - index) * sizeof(Block));
  blocks->list[index] = (Block){.id = id};
}

void blocks_remove(Blocks *blocks, uint32_t id) {
  Block *known = blocks_find(blocks, id);
  if (known == NULL)
    return;
  blocks->count--;
  memmove(known, known + 1, (size_t)(&blocks->list[blocks->count] - known) * sizeof(Block));
}

bool blocks_all_there(const Blocks *blocks, uint32_t first, uint32_t last) {
  size_t index = blocks_index(blocks, first), count = (size_t)last - first + 1;
  return count <= blocks->count - index && blocks->list[index + count - 1].id == last;
}

bool blocks_any_flag(const Blocks *blocks, uint32_t first, uint32_t last, uint8_t flags) {
  for (size_t i = blocks_index(blocks, first); i < blocks->count && blocks->list[i].id <= last; i++) {
    if ((blocks->list[i].flags & flags) != 0)
      return true;
  }
  return false;
}

void blocks_flag(Blocks *blocks, uint32_t first, uint32_t last, uint8_t set, uint8_t clear) {
  for (size_t i = blocks_index(blocks, first); i < blocks->count && blocks->list[i].id <= last; i++)
    blocks->list[i].flags = (uint8_t)((blocks->list[i].flags & ~clear) | set);
}

static int compare_blocks(const void *a, const void *b) {
  const Block *left = a, *right = b;
  return (left->id > right->id) - (left->id < right->id);
}

static uint64_t read_size(void) {
  char words[24];
  uint64_t size;
  return system_read(FOLDER "/block_size_bytes", words, sizeof(words)) && text_number(words, 16, &size) ? size : 0;
}

static Text path_of(uint32_t id, char *space, size_t size) {
  Text path = text_in(space, size);
  text_add(&path, FOLDER "/memory");
  text_add_number(&path, id);
  return path;
}

/* New ones go behind the sorted ones, of which there are @sorted, to be sorted at the end. */
static void found(Blocks *blocks, size_t sorted, uint32_t id) {
  char space[96];
  const Blocks known = {.list = blocks->list, .count = sorted};
  Block *block = blocks_find(&known, id);
  if (block != NULL) {
    block->flags |= BLOCK_PRESENT;
  } else if (id < INT64_MAX / blocks->size) {
    path_of(id, space, sizeof(space));
    append(blocks, (Block){.id = id, .flags = BLOCK_PRESENT | (system_is_marked(space) ? BLOCK_SEEN : 0)});
  }
}

bool blocks_scan(Blocks *blocks) {
  const struct dirent *entry;
  size_t sorted = blocks->count, kept = 0;
  blocks->size = read_size();
  int folder = blocks->size > 0 ? system_open(FOLDER, O_RDONLY | O_DIRECTORY) : -1;
  DIR *open = folder >= 0 ? fdopendir(folder) : NULL;
  if (open == NULL)
    return false;
  for (size_t i = 0; i < blocks->count; i++)
    blocks->list[i].flags &= (uint8_t)~BLOCK_PRESENT;
  while ((entry = readdir(open)) != NULL) {
    uint32_t id;
    if (uevent_block(entry->d_name, &id))
      found(blocks, sorted, id);
  }
  closedir(open);
  for (size_t i = 0; i < blocks->count; i++) {
    if ((blocks->list[i].flags & BLOCK_PRESENT) != 0)
      blocks->list[kept++] = blocks->list[i];
  }
  blocks->count = kept;
  if (kept > 0)
    qsort(blocks->list, kept, sizeof(Block), compare_blocks);
  return true;
}

/* "  140000000-15fffffff : System RAM (virtio_mem)" */
static void mark_line(const char *words, void *data) {
  const Blocks *blocks = data;
  const char *name = strstr(words, " : ");
  char *end;
  if (name == NULL || strcmp(name + 3, VIRTIO_RESOURCE) != 0)
    return;
  uint64_t first = strtoull(words, &end, 16);
  uint64_t last = *end == '-' ? strtoull(end + 1, NULL, 16) : 0;
  if (last == 0 || first / blocks->size > UINT32_MAX)
    return; /* the kernel hides addresses from who lacks the right to see them */
  for (size_t i = blocks_index(blocks, (uint32_t)(first / blocks->size)); i < blocks->count; i++) {
    if (blocks->list[i].id > last / blocks->size)
      return;
    blocks->list[i].flags |= BLOCK_VIRTIO;
  }
}

void blocks_mark_virtio(Blocks *blocks) {
  for (size_t i = 0; i < blocks->count; i++)
    blocks->list[i].flags &= (uint8_t)~BLOCK_VIRTIO;
  if (blocks->size > 0)
    system_lines("/proc/iomem", mark_line, blocks);
}

static bool read_attribute(uint32_t id, const char *name, char *words, size_t size) {
  char space[96];
  Text path = path_of(id, space, sizeof(space));
  text_add(&path, name);
  return system_read(space, words, size);
}

BlockState block_state(uint32_t id) {
  char words[32];
  if (!read_attribute(id, "/state", words, sizeof(words)))
    return BLOCK_GONE;
  if (strcmp(words, "offline") == 0)
    return BLOCK_OFFLINE;
  return strcmp(words, "going-offline") == 0 ? BLOCK_GOING_OFFLINE : BLOCK_ONLINE;
}

/*
 * Of an online block, the file has its zone, or "none" if it spans several; kernels before 4.13 add the zone that it
 * could change to. Of an offline one, the zones that it could come into. Kernels without CONFIG_MEMORY_HOTREMOVE and
 * before 3.18 have no such file.
 */
BlockZone block_zone(uint32_t id, BlockState state) {
  char words[96];
  if (!read_attribute(id, "/valid_zones", words, sizeof(words)) || words[0] == '\0')
    return ZONE_UNKNOWN;
  if (state == BLOCK_OFFLINE)
    return strstr(words, "Movable") != NULL ? ZONE_MOVABLE : ZONE_NORMAL;
  words[strcspn(words, " \n")] = '\0';
  if (strcmp(words, "none") == 0)
    return ZONE_MIXED;
  return strcmp(words, "Movable") == 0 ? ZONE_MOVABLE : ZONE_NORMAL;
}

void block_mark(uint32_t id, bool wanted_offline) {
  char space[96];
  path_of(id, space, sizeof(space));
  system_mark(space, wanted_offline);
}

int block_set(uint32_t id, const char *state) {
  char space[96];
  Text path = path_of(id, space, sizeof(space));
  text_add(&path, "/state");
  return system_write(space, state);
}

static bool has_node(uint32_t id, uint32_t node) {
  char space[96];
  Text path = path_of(id, space, sizeof(space));
  text_add(&path, "/node");
  text_add_number(&path, node);
  return system_exists(space);
}

/* The link "nodeNUMBER" in the block's folder. */
uint32_t block_node(uint32_t id, uint32_t likely) {
  char space[96];
  uint64_t node = 0;
  const struct dirent *entry;
  if (has_node(id, likely))
    return likely;
  path_of(id, space, sizeof(space));
  int folder = system_open(space, O_RDONLY | O_DIRECTORY);
  DIR *open = folder >= 0 ? fdopendir(folder) : NULL;
  if (open == NULL)
    return 0;
  while ((entry = readdir(open)) != NULL) {
    if (strncmp(entry->d_name, "node", 4) == 0 && text_number(entry->d_name + 4, 10, &node))
      break;
  }
  closedir(open);
  return (uint32_t)node;
}

static BlockLook look_at(const Block *block, uint32_t likely_node) {
  BlockLook look = {.state = block_state(block->id), .virtio = (block->flags & BLOCK_VIRTIO) != 0};
  if (look.state != BLOCK_GONE) {
    look.zone = block_zone(block->id, look.state);
    look.node = block_node(block->id, likely_node);
  }
  return look;
}

static bool alike(const BlockLook *a, const BlockLook *b) {
  return a->state == b->state && a->zone == b->zone && a->node == b->node && a->virtio == b->virtio;
}

bool blocks_next_run(const Blocks *blocks, size_t *index, BlockRun *run) {
  bool begun = false;
  for (; *index < blocks->count; (*index)++) {
    const Block *block = &blocks->list[*index];
    uint64_t start = block->id * blocks->size;
    BlockLook look = look_at(block, begun ? run->look.node : 0);
    if (begun && (start != run->start + run->size || !alike(&look, &run->look)))
      return true;
    if (look.state == BLOCK_GONE)
      continue;
    if (!begun)
      *run = (BlockRun){.start = start, .look = look};
    begun = true;
    run->size += blocks->size;
  }
  return begun;
}

bool blocks_can_remove(const Blocks *blocks) {
  char words[96];
  if (blocks->count == 0)
    return false;
  uint32_t id = blocks->list[blocks->count - 1].id;
  if (read_attribute(id, "/valid_zones", words, sizeof(words)))
    return true;
  /* Before 5.9 this tells of one block; from then on, of the kernel. */
  return read_attribute(id, "/removable", words, sizeof(words)) && strcmp(words, "1") == 0;
}
