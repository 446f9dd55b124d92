/* SPDX-License-Identifier: Apache-2.0 */
/* usage: replay-TARGET FOLDER...: gives each file of the folders to the target, without libFuzzer. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

static gboolean replay_file(const char *path) {
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  gsize size;
  if (!g_file_get_contents(path, &text, &size, &error)) {
    fprintf(stderr, "%s\n", error->message);
    return FALSE;
  }
  /* Of exactly its size, so that a sanitizer sees what reads beyond. libFuzzer never gives NULL. */
  g_autofree uint8_t *data = g_malloc(MAX(size, 1));
  memcpy(data, text, size);
  fprintf(stderr, "%s\n", path); /* the last one is that which crashed */
  LLVMFuzzerTestOneInput(data, size);
  return TRUE;
}

static guint replay_folder(const char *folder) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GDir) files = g_dir_open(folder, 0, &error);
  guint count = 0;
  if (files == NULL) {
    fprintf(stderr, "%s\n", error->message);
    return 0;
  }
  for (const char *name; (name = g_dir_read_name(files)) != NULL;) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    if (!replay_file(path))
      return 0;
    count++;
  }
  return count;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    guint count = replay_folder(argv[i]);
    if (count == 0)
      return 1;
    printf("%s: %u inputs\n", argv[i], count);
  }
  return argc > 1 ? 0 : 2;
}
