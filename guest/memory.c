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
  uint64_t total, spare; /* bytes; spare is what is available, or, before 3.14, free */
  uint64_t movable;      /* pages that are free in movable zones */
  bool in_movable;       /* the lines are of such a zone */
} Room;

static void take_memory(const char *line, void *data) {
  Room *room = data;
  if (!memory_line(line, "MemTotal:", &room->total) && !memory_line(line, "MemFree:", &room->spare))
    memory_line(line, "MemAvailable:", &room->spare); /* which comes after it */
}

/* "Node 0, zone  Movable", and below "  pages free     65453" */
static void take_zone(const char *line, void *data) {
  static const char free_pages[] = "pages free ";
  Room *room = data;
  uint64_t pages;
  if (strncmp(line, "Node ", 5) == 0)
    room->in_movable = strstr(line, " Movable") != NULL;
  line = skip_blanks(line);
  if (room->in_movable && strncmp(line, free_pages, strlen(free_pages)) == 0 &&
    leading_number(skip_blanks(line + strlen(free_pages)), &pages))
    room->movable += pages;
}

bool memory_has_room(uint64_t bytes) {
  Room room = {0};
  system_lines("/proc/meminfo", take_memory, &room);
  system_lines("/proc/zoneinfo", take_zone, &room);
  if (room.total == 0)
    return true;
  uint64_t reserve = room.total / RESERVE_PART;
  if (reserve < RESERVE_MIN)
    reserve = RESERVE_MIN;
  if (reserve > RESERVE_MAX)
    reserve = RESERVE_MAX;
  uint64_t taken = reserve + room.movable * (uint64_t)sysconf(_SC_PAGESIZE);
  return room.spare > taken && room.spare - taken >= bytes;
}
