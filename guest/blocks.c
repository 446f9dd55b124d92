/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system.h"
#include "uevent.h"

#define FOLDER "/sys/devices/system/memory"
#define NODES "/sys/devices/system/node"
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

/* If the list cannot grow, the block stays unknown and is left alone. */
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

/* New ones are appended to the @sorted sorted ones, and sorted at the end. */
static void mark_present(Blocks *blocks, size_t sorted, uint32_t id) {
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
  DIR *open = blocks->size > 0 ? system_list(system_open(FOLDER, O_RDONLY | O_DIRECTORY)) : NULL;
  if (open == NULL)
    return false;
  for (size_t i = 0; i < blocks->count; i++)
    blocks->list[i].flags &= (uint8_t)~BLOCK_PRESENT;
  while ((entry = readdir(open)) != NULL) {
    uint32_t id;
    if (uevent_block(entry->d_name, &id))
      mark_present(blocks, sorted, id);
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
    return; /* the kernel hides addresses from unprivileged readers */
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

static int open_block(uint32_t id) {
  char space[96];
  path_of(id, space, sizeof(space));
  return system_open_folder(space);
}

static BlockState state_in(int folder) {
  char words[32];
  if (!system_read_in(folder, "state", words, sizeof(words)))
    return BLOCK_GONE;
  if (strcmp(words, "offline") == 0)
    return BLOCK_OFFLINE;
  return strcmp(words, "going-offline") == 0 ? BLOCK_GOING_OFFLINE : BLOCK_ONLINE;
}

static bool has_node(int folder, uint32_t node) {
  char space[32];
  Text name = TEXT_IN(space);
  text_add(&name, "node");
  text_add_number(&name, node);
  return system_exists_in(folder, space);
}

/* The link "nodeNUMBER" in the block's folder, the likely one first. False, and 0, if none. */
static bool node_in(int folder, uint32_t likely, uint32_t *node) {
  const struct dirent *entry;
  uint64_t number = 0;
  bool found = has_node(folder, likely);
  *node = found ? likely : 0;
  DIR *open = found ? NULL : system_list(fcntl(folder, F_DUPFD_CLOEXEC, 0));
  if (open == NULL)
    return found;
  while (!found && (entry = readdir(open)) != NULL)
    found = strncmp(entry->d_name, "node", 4) == 0 && text_number(entry->d_name + 4, 10, &number);
  closedir(open);
  *node = (uint32_t)number;
  return found;
}

/*
 * For an online block, the file has its zone, or "none" if it spans several; kernels before 4.13 add the zone it could
 * change to. For an offline one, the zones it could come into. Kernels without CONFIG_MEMORY_HOTREMOVE and before 3.18
 * have no such file.
 *
 * A new block appears before it has a node, and reading the file then crashes the kernel, after which no plug works any
 * more (seen up to 6.12: valid_zones_show() in drivers/base/memory.c looks up the zones of node -1). The link to the
 * node appears once it is set, and stays as long as it matters. Kernels without NUMA have neither.
 */
static BlockZone zone_in(int folder, BlockState state, bool has_node) {
  char words[96];
  if ((!has_node && system_exists(NODES)) || !system_read_in(folder, "valid_zones", words, sizeof(words)) ||
    words[0] == '\0')
    return ZONE_UNKNOWN;
  if (state == BLOCK_OFFLINE)
    return strstr(words, "Movable") != NULL ? ZONE_MOVABLE : ZONE_NORMAL;
  words[strcspn(words, " \n")] = '\0';
  if (strcmp(words, "none") == 0)
    return ZONE_MIXED;
  return strcmp(words, "Movable") == 0 ? ZONE_MOVABLE : ZONE_NORMAL;
}

BlockLook block_look(uint32_t id, uint32_t likely_node) {
  BlockLook look = {.state = BLOCK_GONE};
  int folder = open_block(id);
  if (folder < 0)
    return look;
  look.state = state_in(folder);
  bool linked = node_in(folder, likely_node, &look.node);
  if (look.state != BLOCK_GONE)
    look.zone = zone_in(folder, look.state, linked);
  close(folder);
  return look;
}

BlockState block_state(uint32_t id) {
  int folder = open_block(id);
  BlockState state = folder >= 0 ? state_in(folder) : BLOCK_GONE;
  if (folder >= 0)
    close(folder);
  return state;
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

static bool alike(const BlockLook *a, const BlockLook *b) {
  return a->state == b->state && a->zone == b->zone && a->node == b->node && a->virtio == b->virtio;
}

bool blocks_next_run(const Blocks *blocks, size_t *index, BlockRun *run) {
  bool begun = false;
  for (; *index < blocks->count; (*index)++) {
    const Block *block = &blocks->list[*index];
    uint64_t start = block->id * blocks->size;
    BlockLook look = block_look(block->id, begun ? run->look.node : 0);
    look.virtio = (block->flags & BLOCK_VIRTIO) != 0;
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

/* Only checks that the first file exists: see zone_in() about reading it. */
bool blocks_can_remove(const Blocks *blocks) {
  char words[96];
  int folder = blocks->count > 0 ? open_block(blocks->list[blocks->count - 1].id) : -1;
  if (folder < 0)
    return false;
  /* Before 5.9 the second one is about one block; from then on, about the kernel. */
  bool can = system_exists_in(folder, "valid_zones") ||
    (system_read_in(folder, "removable", words, sizeof(words)) && strcmp(words, "1") == 0);
  close(folder);
  return can;
}
