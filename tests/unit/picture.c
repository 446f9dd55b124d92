/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of a VM's memory in text: to scale, in few columns, with what the balloon holds. */
#include "picture.h"

#include "notation.h"

/* Of the running VM, or with @next of its next start; in ASCII. */
static const struct {
  const char *name, *vm;
  gboolean next;
  guint width;
  const char *expected;
} pictures[] = {
  {"plain", "running: 1024 max=4096/16 g=512 d256 d256 | 1536 max=4096/16", FALSE, 48,
    "boot 1024         room up to 4096 MiB\n"
    "############===+++..............................\n"
    "      ^ guaranteed 512 MiB"},
  {"ballooned", "running: ~1024 balloon=512 g=256 | ~1024", FALSE, 40,
    "boot 1024\n"
    "########################################\n"
    "  ballooned 512 MiB oooooooooooooooooooo\n"
    "          ^ guaranteed 256 MiB"},
  {"ballooned-beside-devices", "running: 1024 max=4096/16 balloon=1024 d512 | 1536 max=4096/16", FALSE, 48,
    "boot 1024   512   room up to 4096 MiB\n"
    "############======..............................\n"
    "            oooooo ballooned 512 MiB\n"
    "                  ^ guaranteed 1536 MiB"},
  {"ballooned-nearly-all", "running: ~1024 balloon=128 g=100 | ~1024", FALSE, 24,
    "boot 1024\n"
    "########################\n"
    "   ooooooooooooooooooooo\n"
    "   ballooned 896 MiB\n"
    "  ^ guaranteed 100 MiB"},
  {"ballooned-by-little", "running: 1024 max=65536/16 balloon=1000 | 1024 max=65536/16", FALSE, 40,
    " room up to 65536 MiB\n"
    "#.......................................\n"
    "o ballooned 24 MiB\n"
    " ^ guaranteed 1024 MiB"},
  {"next-start", "running: 1024 max=4096/16 x=d512 | 512 max=4096/16 floor=512/dimm x=d512 | unplug -x(512):asked",
    TRUE, 48,
    "      512   room up to 4096 MiB\n"
    "######======....................................\n"
    "            ^ guaranteed 1024 MiB"},
  {"next-start-ballooned", "running: ~1024 balloon=1024 g=1024 | ~1024 balloon=768", TRUE, 40,
    "boot 1024\n"
    "########################################\n"
    "            ballooned 256 MiB oooooooooo\n"
    "                   guaranteed 1024 MiB ^"},
};

static void test_picture(gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  g_autoptr(DmVm) vm = vm_from(pictures[i].vm);
  g_autofree char *drawn = picture_draw(vm, pictures[i].next ? vm->next_run : vm->live, pictures[i].width, FALSE);
  g_assert_cmpstr(drawn, ==, pictures[i].expected);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(pictures); i++) {
    g_autofree char *path = g_strconcat("/picture/", pictures[i].name, NULL);
    g_test_add_data_func(path, GUINT_TO_POINTER(i), test_picture);
  }
  return g_test_run();
}
