/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <string.h>

/* One VM fits into the first three blocks; a long list does not take more than a few hundred. */
#define FIRST_BLOCK 2000
#define LARGEST_BLOCK 64000
#define ALIGNMENT 8

typedef struct Block Block;

struct Block {
  Block *next;
  char data[];
};

struct Arena {
  Block *blocks;
  char *unused;
  gsize left;
  gsize next_size;
  Arena *adopted;
  Arena *sibling; /* of the same adopter */
};

Arena *arena_new(void) {
  Arena *arena = g_new0(Arena, 1);
  arena->next_size = FIRST_BLOCK;
  return arena;
}

void arena_free(Arena *arena) {
  if (arena == NULL)
    return;
  for (Arena *other = arena->adopted; other != NULL;) {
    Arena *next = other->sibling;
    arena_free(other);
    other = next;
  }
  for (Block *block = arena->blocks; block != NULL;) {
    Block *next = block->next;
    g_free(block);
    block = next;
  }
  g_free(arena);
}

static char *take(Arena *arena, gsize size) {
  size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (size > arena->left) {
    gsize room = MAX(size, arena->next_size);
    Block *block = g_malloc(sizeof *block + room);
    block->next = arena->blocks;
    arena->blocks = block;
    arena->unused = block->data;
    arena->left = room;
    arena->next_size = MIN(arena->next_size * 2, LARGEST_BLOCK);
  }
  char *taken = arena->unused;
  arena->unused += size;
  arena->left -= size;
  return taken;
}

gpointer arena_alloc(Arena *arena, gsize size) {
  return memset(take(arena, size), 0, size);
}

char *arena_copy(Arena *arena, const char *text, gsize length) {
  char *copy = take(arena, length + 1);
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

void arena_adopt(Arena *arena, Arena *other) {
  other->sibling = arena->adopted;
  arena->adopted = other;
}
