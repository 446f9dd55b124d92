/* SPDX-License-Identifier: Apache-2.0 */
#include "old_kernel.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

static bool marked[OLD_KERNEL_BLOCKS];
static char kernel[OLD_KERNEL_BLOCKS + 1];
static unsigned tries, lines;
int64_t old_kernel_time;

/* What the linker puts in place of those of guest/blocks.c. */
BlockState __wrap_block_state(uint32_t id);
int __wrap_block_set(uint32_t id, const char *state);
void __wrap_block_mark(uint32_t id, bool wanted_offline);
int64_t __wrap_system_now(void);
void __wrap_say(const char *words, ...);

void __wrap_block_mark(uint32_t id, bool wanted_offline) {
  marked[id - FIRST] = wanted_offline;
}

bool old_kernel_marked(uint32_t index) {
  return marked[index];
}

int64_t __wrap_system_now(void) {
  return old_kernel_time;
}

void __wrap_say(const char *words, ...) {
  lines++;
}

void old_kernel_set(const char *text) {
  g_assert_cmpuint(strlen(text), <=, OLD_KERNEL_BLOCKS);
  strcpy(kernel, text);
  memset(marked, 0, sizeof marked);
  tries = lines = 0;
}

char *old_kernel_text(void) {
  return g_strdup(kernel);
}

unsigned old_kernel_tries(void) {
  return tries;
}

unsigned old_kernel_lines(void) {
  return lines;
}

void old_kernel_tell(Blocks *blocks, uint32_t index) {
  blocks_add(blocks, FIRST + index);
}

void old_kernel_tell_all(Blocks *blocks) {
  for (uint32_t i = 0; i < strlen(kernel); i++)
    old_kernel_tell(blocks, i);
}

static gboolean is_movable(char block) {
  return strchr("Mmy", block) != NULL;
}

/* The last one of the zone below, or -1. */
static int end_of_normal(void) {
  int at = (int)strlen(kernel) - 1;
  while (at >= 0 && is_movable(kernel[at]))
    at--;
  return at;
}

BlockState __wrap_block_state(uint32_t id) {
  if (id < FIRST || id - FIRST >= strlen(kernel))
    return BLOCK_GONE;
  return g_ascii_isupper(kernel[id - FIRST]) ? BLOCK_ONLINE : BLOCK_OFFLINE;
}

int __wrap_block_set(uint32_t id, const char *state) {
  g_assert_cmpstr(state, ==, "online_movable");
  g_assert_cmpint(__wrap_block_state(id), ==, BLOCK_OFFLINE);
  char *block = &kernel[id - FIRST];
  tries++;
  if (*block == 'x' || *block == 'y')
    return EBUSY;
  if (!is_movable(*block) && block - kernel != end_of_normal())
    return EINVAL;
  *block = 'M';
  return 0;
}
