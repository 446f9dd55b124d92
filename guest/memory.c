/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <string.h>
#include <unistd.h>

#include "system.h"

#define RESERVE_MIN ((uint64_t)64 << 20)
#define RESERVE_MAX ((uint64_t)1 << 30)
#define RESERVE_PART 20

static const char *skip_blanks(const char *words) {
  return words + strspn(words, " ");
}

/* The number at the beginning. */
static bool leading_number(const char *words, uint64_t *number) {
  char digits[24] = "";
  strncpy(digits, words, sizeof(digits) - 1);
  digits[strspn(digits, "0123456789")] = '\0';
  return text_number(digits, 10, number);
}

bool memory_line(const char *line, const char *name, uint64_t *bytes) {
  size_t length = strlen(name);
  uint64_t kib;
  if (strncmp(line, name, length) != 0 || !leading_number(skip_blanks(line + length), &kib) || kib > INT64_MAX / 1024)
    return false;
  *bytes = kib * 1024;
  return true;
}

typedef struct {
  uint64_t total, spare;           /* bytes; spare is what is available, or, before 3.14, free */
  uint64_t movable, own;           /* free pages in movable zones, and in others of the own node */
  uint64_t node;                   /* the own one */
  bool in_movable, in_own, others; /* the zone of the lines; other nodes have memory */
} Room;

static void take_memory(const char *line, void *data) {
  Room *room = data;
  if (!memory_line(line, "MemTotal:", &room->total) && !memory_line(line, "MemFree:", &room->spare))
    memory_line(line, "MemAvailable:", &room->spare); /* which follows it */
}

static bool counts_pages(const char *line, const char *name, uint64_t *pages) {
  size_t length = strlen(name);
  return strncmp(line, name, length) == 0 && leading_number(skip_blanks(line + length), pages);
}

/* "Node 0, zone  Movable", and below "  pages free     65453" and "        present  98304" */
static void take_zone(const char *line, void *data) {
  Room *room = data;
  uint64_t number;
  if (counts_pages(line, "Node ", &number)) {
    room->in_own = number == room->node;
    room->in_movable = strstr(line, " Movable") != NULL;
  }
  line = skip_blanks(line);
  if (counts_pages(line, "pages free ", &number)) {
    if (room->in_movable)
      room->movable += number;
    else if (room->in_own)
      room->own += number;
  } else if (counts_pages(line, "present ", &number) && number > 0) {
    room->others |= !room->in_own;
  }
}

typedef struct {
  uint64_t managed, free, low, files; /* pages */
  bool own;                           /* the lines are of a kernel zone */
} Own;

static void take_own(const char *line, void *data) {
  Own *own = data;
  uint64_t number;
  if (counts_pages(line, "Node ", &number))
    own->own = strstr(line, " Movable") == NULL && strstr(line, " Device") == NULL;
  line = skip_blanks(line);
  if (!own->own)
    return;
  if (counts_pages(line, "managed ", &number))
    own->managed += number;
  else if (counts_pages(line, "pages free ", &number))
    own->free += number;
  else if (counts_pages(line, "low ", &number))
    own->low += number;
  else if (counts_pages(line, "nr_zone_inactive_file ", &number) || counts_pages(line, "nr_zone_active_file ", &number))
    own->files += number;
}

bool memory_of_kernel(uint64_t *total, uint64_t *available) {
  Own own = {0};
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  if (!system_lines("/proc/zoneinfo", take_own, &own) || own.managed == 0)
    return false;
  uint64_t room = own.free + own.files;
  *total = own.managed * page;
  *available = room > own.low ? (room - own.low) * page : 0;
  return true;
}

typedef struct {
  MemoryNode *nodes;
  size_t count;
  MemoryNode *at;            /* the node of the lines; NULL: none, or too many */
  uint64_t free, low, files; /* pages of the present zone */
  bool too_many;
} Nodes;

static void end_zone(Nodes *nodes) {
  uint64_t room = nodes->free + nodes->files;
  if (nodes->at != NULL) {
    nodes->at->free += nodes->free;
    nodes->at->available += room > nodes->low ? room - nodes->low : 0;
  }
  nodes->free = nodes->low = nodes->files = 0;
}

static void begin_zone(Nodes *nodes, uint64_t number) {
  end_zone(nodes);
  nodes->at = NULL;
  for (size_t i = 0; i < nodes->count && nodes->at == NULL; i++)
    nodes->at = nodes->nodes[i].node == number ? &nodes->nodes[i] : NULL;
  if (nodes->at == NULL && nodes->count < MEMORY_NODES) {
    nodes->at = &nodes->nodes[nodes->count++];
    *nodes->at = (MemoryNode){.node = number};
  }
  nodes->too_many |= nodes->at == NULL;
}

static void take_node_zone(const char *line, void *data) {
  Nodes *nodes = data;
  uint64_t number;
  if (counts_pages(line, "Node ", &number))
    begin_zone(nodes, number);
  line = skip_blanks(line);
  if (nodes->at == NULL)
    return;
  if (counts_pages(line, "managed ", &number))
    nodes->at->total += number;
  else if (counts_pages(line, "pages free ", &number))
    nodes->free = number;
  else if (counts_pages(line, "low ", &number))
    nodes->low = number;
  else if (counts_pages(line, "nr_zone_inactive_file ", &number) || counts_pages(line, "nr_zone_active_file ", &number))
    nodes->files += number;
}

size_t memory_of_nodes(MemoryNode nodes[MEMORY_NODES]) {
  Nodes reported = {.nodes = nodes};
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  if (!system_lines("/proc/zoneinfo", take_node_zone, &reported) || reported.too_many)
    return 0;
  end_zone(&reported);
  size_t count = 0;
  for (size_t i = 0; i < reported.count; i++) {
    MemoryNode node = nodes[i];
    if (node.total > 0)
      nodes[count++] = (MemoryNode){node.node, node.total * page, node.free * page, node.available * page};
  }
  return count;
}

bool memory_has_room(uint64_t bytes, uint32_t node) {
  Room room = {.node = node};
  system_lines("/proc/meminfo", take_memory, &room);
  system_lines("/proc/zoneinfo", take_zone, &room);
  if (room.total == 0)
    return true;
  uint64_t reserve = room.total / RESERVE_PART;
  if (reserve < RESERVE_MIN)
    reserve = RESERVE_MIN;
  if (reserve > RESERVE_MAX)
    reserve = RESERVE_MAX;
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), own = room.others ? room.own * page : 0;
  uint64_t taken = room.movable * page + (own > reserve ? own : reserve); /* what is free there must stay free as
                                                                           * well */
  return room.spare > taken && room.spare - taken >= bytes;
}
