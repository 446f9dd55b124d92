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
  uint64_t movable, own;           /* pages that are free in movable zones, and in others of the own node */
  uint64_t node;                   /* the own one */
  bool in_movable, in_own, others; /* what zone the lines are of; there are other nodes that have memory */
} Room;

static void take_memory(const char *line, void *data) {
  Room *room = data;
  if (!memory_line(line, "MemTotal:", &room->total) && !memory_line(line, "MemFree:", &room->spare))
    memory_line(line, "MemAvailable:", &room->spare); /* which comes after it */
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
  uint64_t taken = room.movable * page + (own > reserve ? own : reserve); /* what is free there stays so as well */
  return room.spare > taken && room.spare - taken >= bytes;
}
