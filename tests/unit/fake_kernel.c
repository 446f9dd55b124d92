/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>

#define FOLDER "/sys/devices/system/memory/"

static char kernel[FAKE_BLOCKS + 1];
static bool marked[FAKE_BLOCKS];
static unsigned tries, lines;
static guint folders[1024]; /* the block that each is of */
int64_t fake_kernel_time;
bool fake_kernel_unsettled;

void fake_kernel_set(const char *text) {
  g_assert_cmpuint(strlen(text), <=, FAKE_BLOCKS);
  strcpy(kernel, text);
  memset(marked, 0, sizeof marked);
  tries = lines = 0;
}

char *fake_kernel_text(void) {
  return kernel;
}

unsigned fake_kernel_tries(void) {
  return tries;
}

unsigned fake_kernel_lines(void) {
  return lines;
}

bool fake_kernel_marked(uint32_t index) {
  return marked[index];
}

void fake_kernel_tell(Blocks *blocks) {
  for (uint32_t i = 0; i < strlen(kernel); i++) {
    if (kernel[i] != '.' && blocks_find(blocks, FAKE_FIRST + i) == NULL)
      blocks_add(blocks, FAKE_FIRST + i);
  }
}

static gboolean is_movable(char block) {
  return strchr("MmyG", block) != NULL;
}

static gboolean is_last_below(const char *block) {
  while (*++block != '\0') {
    if (*block != '.' && !is_movable(*block))
      return FALSE;
  }
  return TRUE;
}

/* The block that "memoryNUMBER/FILE" is about, or NULL. */
static char *block_of(const char *path, const char *file) {
  char *end;
  if (!g_str_has_prefix(path, FOLDER "memory"))
    return NULL;
  guint64 number = g_ascii_strtoull(path + strlen(FOLDER "memory"), &end, 10);
  if (strcmp(end, file) != 0 || number < FAKE_FIRST || number - FAKE_FIRST >= strlen(kernel))
    return NULL;
  char *block = &kernel[number - FAKE_FIRST];
  return *block != '.' ? block : NULL;
}

static const char *state_of(char block) {
  if (block == 'G')
    return "going-offline";
  return g_ascii_isupper(block) ? "online" : "offline";
}

static const char *zones_of(const char *block) {
  if (is_movable(*block))
    return "Movable";
  return is_last_below(block) ? "Normal Movable" : "Normal";
}

static int set_state(char *block, const char *state) {
  if (strcmp(state, "offline") == 0) {
    *block = g_ascii_tolower(*block);
    return 0;
  }
  tries++;
  if (*block == 'x' || *block == 'y')
    return EBUSY;
  if (strcmp(state, "online_movable") == 0 && !is_movable(*block)) {
    if (!is_last_below(block))
      return EINVAL;
    *block = 'M';
  }
  *block = g_ascii_toupper(*block);
  return 0;
}

/* What the linker puts in place of those of the program. */
int __wrap_system_open_folder(const char *path);
bool __wrap_system_exists_in(int folder, const char *name);
bool __wrap_system_read_in(int folder, const char *name, char *space, size_t size);
bool __wrap_system_read(const char *path, char *space, size_t size);
int __wrap_system_write(const char *path, const char *words);
bool __wrap_system_exists(const char *path);
bool __wrap_system_lines(const char *path, void (*line)(const char *words, void *data), void *data);
void __wrap_system_mark(const char *path, bool mark);
int64_t __wrap_system_now(void);
void __wrap_say(const char *words, ...);
bool __wrap_blocks_scan(Blocks *blocks);

/* A file that is really open, so that it can be closed. */
int __wrap_system_open_folder(const char *path) {
  const char *block = block_of(path, "");
  int folder = block != NULL ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
  g_assert_cmpint(folder, <, (int)G_N_ELEMENTS(folders));
  if (folder >= 0)
    folders[folder] = (guint)(block - kernel);
  return folder;
}

bool __wrap_system_exists_in(int folder, const char *name) {
  return g_str_equal(name, "node0") && !fake_kernel_unsettled;
}

bool __wrap_system_read_in(int folder, const char *name, char *space, size_t size) {
  const char *block = &kernel[folders[folder]], *words = "";
  if (g_str_equal(name, "state"))
    words = state_of(*block);
  else if (g_str_equal(name, "valid_zones"))
    words = zones_of(block);
  g_assert_false(fake_kernel_unsettled && g_str_equal(name, "valid_zones")); /* the real one would crash */
  g_strlcpy(space, words, size);
  return *words != '\0';
}

bool __wrap_system_read(const char *path, char *space, size_t size) {
  g_strlcpy(space, strcmp(path, FOLDER "auto_online_blocks") == 0 ? "offline" : "", size);
  return *space != '\0';
}

int __wrap_system_write(const char *path, const char *words) {
  char *block = block_of(path, "/state");
  return block != NULL ? set_state(block, words) : ENOENT;
}

bool __wrap_system_exists(const char *path) {
  return g_str_equal(path, "/sys/devices/system/node");
}

bool __wrap_system_lines(const char *path, void (*line)(const char *words, void *data), void *data) {
  if (strcmp(path, "/proc/meminfo") == 0) {
    line("MemTotal:        1014520 kB", data);
    line("MemFree:          914520 kB", data);
  } else
    line("  110000000-117ffffff : System RAM (virtio_mem)", data);
  return true;
}

void __wrap_system_mark(const char *path, bool mark) {
  const char *block = block_of(path, "");
  if (block != NULL)
    marked[block - kernel] = mark;
}

int64_t __wrap_system_now(void) {
  return fake_kernel_time;
}

void __wrap_say(const char *words, ...) {
  lines++;
}

/* As the program's own, which looks through a folder. */
bool __wrap_blocks_scan(Blocks *blocks) {
  blocks->size = FAKE_BLOCK_SIZE;
  for (uint32_t i = 0; i < FAKE_BLOCKS; i++) {
    if (i >= strlen(kernel) || kernel[i] == '.')
      blocks_remove(blocks, FAKE_FIRST + i);
  }
  fake_kernel_tell(blocks);
  return true;
}
