/* SPDX-License-Identifier: Apache-2.0 */
/* Whether dimmer-guest finds room for what it would move, by what a kernel tells of its memory. */
#include "memory.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "system.h"

#define MIB ((uint64_t)1 << 20)

/* What a kernel says, in MiB; @movable of two nodes each, a negative number where it does not say it. */
static const struct {
  const char *name;
  int total, free, available, movable, bytes;
  bool room;
} rooms[] = {
  {"plenty", 1024, 100, 600, 0, 128, true},
  {"just-enough", 1024, 100, 192, 0, 128, true},
  {"one-less", 1024, 100, 191, 0, 128, false},
  {"free-in-movable-zones", 1024, 600, 600, 250, 128, false},
  {"beside-movable-zones", 1024, 600, 600, 200, 128, true},
  {"more-movable-than-spare", 1024, 600, 300, 300, 128, false},
  {"a-20th-stays", 20480, 2048, 1151, 0, 128, false},
  {"a-20th-only", 20480, 2048, 1152, 0, 128, true},
  {"at-most-1-gib", 409600, 2048, 1152, 0, 128, true},
  {"nothing-available", 1024, 600, 0, 0, 128, false},
  {"before-3.14", 1024, 192, -1, 0, 128, true},
  {"before-3.14-short", 1024, 191, -1, 0, 128, false},
  {"no-zones", 1024, 100, 192, -1, 128, true},
  {"not-reported", -1, -1, -1, -1, 128, true},
};

static void add(GString *text, const char *name, int mib) {
  if (mib >= 0)
    g_string_append_printf(text, "%-15s %d kB\n", name, mib * 1024);
}

static void write_below(const char *root, const char *name, const char *text) {
  g_autofree char *path = g_build_filename(root, "proc", name, NULL);
  g_autoptr(GError) error = NULL;
  g_file_set_contents(path, text, -1, &error);
  g_assert_no_error(error);
}

static void remove_below(const char *root, const char *name) {
  g_autofree char *path = g_build_filename(root, "proc", name, NULL);
  g_remove(path);
}

/* 384 MiB are available, @own of them on node 1, where that is to go; the other node's zones have @present MiB. */
static const struct {
  const char *name;
  int own, present;
  bool room;
} nodes[] = {
  {"alone", 384, 0, true},
  {"all-on-its-node", 384, 512, false},
  {"too-much-on-its-node", 257, 512, false},
  {"enough-elsewhere", 256, 512, true},
};

static void test_node(gconstpointer data) {
  const typeof(nodes[0]) *c = data;
  g_autofree char *root = g_dir_make_tmp("memory-XXXXXX", NULL);
  g_autofree char *proc = g_build_filename(root, "proc", NULL);
  long mib = (long)MIB / sysconf(_SC_PAGESIZE);
  g_autofree char *zones = g_strdup_printf(
    "Node 0, zone   Normal\n  pages free     77777\n        present  %ld\n"
    "Node 1, zone    DMA32\n  pages free     0\n        present  131072\n"
    "Node 1, zone   Normal\n  pages free     %ld\n        present  131072\n",
    c->present * mib, c->own * mib);
  g_mkdir(proc, 0700);
  write_below(root, "meminfo", "MemTotal: 1048576 kB\nMemFree: 409600 kB\nMemAvailable: 393216 kB\n");
  write_below(root, "zoneinfo", zones);
  g_assert_true(system_set_root(root));
  g_assert_cmpint(memory_has_room(128 * MIB, 1), ==, c->room);
  remove_below(root, "meminfo");
  remove_below(root, "zoneinfo");
  g_rmdir(proc);
  g_rmdir(root);
}

static void test_room(gconstpointer data) {
  const typeof(rooms[0]) *c = data;
  g_autofree char *root = g_dir_make_tmp("memory-XXXXXX", NULL);
  g_autofree char *proc = g_build_filename(root, "proc", NULL);
  g_autoptr(GString) memory = g_string_new(NULL), zones = g_string_new(NULL);
  g_mkdir(proc, 0700);
  add(memory, "MemTotal:", c->total);
  add(memory, "MemFree:", c->free);
  add(memory, "MemAvailable:", c->available);
  write_below(root, "meminfo", memory->str);
  for (int node = 0; node < 2 && c->movable >= 0; node++) {
    long pages = c->movable * (long)MIB / sysconf(_SC_PAGESIZE);
    g_string_append_printf(zones,
      "Node %d, zone   Normal\n  per-node stats\n      nr_inactive_anon 1\n  pages free     77777\n        min      1\n"
      "Node %d, zone  Movable\n  pages free     %ld\n        min      32\n        nr_free_pages 99999\n",
      node, node, pages);
  }
  if (zones->len > 0)
    write_below(root, "zoneinfo", zones->str);
  g_assert_true(system_set_root(root));
  g_assert_cmpint(memory_has_room((uint64_t)c->bytes * MIB, 1), ==, c->room);
  remove_below(root, "meminfo");
  remove_below(root, "zoneinfo");
  g_rmdir(proc);
  g_rmdir(root);
}

static void test_of_kernel(void) {
  g_autofree char *root = g_dir_make_tmp("memory-XXXXXX", NULL);
  g_autofree char *proc = g_build_filename(root, "proc", NULL);
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), total = 1, available = 1;
  g_mkdir(proc, 0700);
  g_assert_true(system_set_root(root));
  g_assert_false(memory_of_kernel(&total, &available));
  write_below(root, "zoneinfo",
    "Node 0, zone    DMA32\n  per-node stats\n      nr_inactive_file 99999\n  pages free     1000\n        min      50\n"
    "        low      100\n        high     150\n        managed  20000\n      nr_zone_inactive_file 30\n"
    "      nr_zone_active_file 4\n  pagesets\n    cpu: 0\n              high:  186\n"
    "Node 0, zone  Movable\n  pages free     777\n        low      7\n        managed  7777\n"
    "Node 1, zone   Normal\n  pages free     5\n        low      10\n        managed  3000\n");
  g_assert_true(memory_of_kernel(&total, &available));
  g_assert_cmpuint(total, ==, 23000 * page);
  g_assert_cmpuint(available, ==, (1000 + 5 + 34 - 110) * page);
  write_below(
    root, "zoneinfo", "Node 0, zone   Normal\n  pages free     5\n        low      10\n        managed  3000\n");
  g_assert_true(memory_of_kernel(&total, &available));
  g_assert_cmpuint(available, ==, 0);
  remove_below(root, "zoneinfo");
  g_rmdir(proc);
  g_rmdir(root);
}

static void test_of_nodes(void) {
  g_autofree char *root = g_dir_make_tmp("memory-XXXXXX", NULL);
  g_autofree char *proc = g_build_filename(root, "proc", NULL);
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  MemoryNode found[MEMORY_NODES];
  g_autoptr(GString) many = g_string_new(NULL);
  g_mkdir(proc, 0700);
  g_assert_true(system_set_root(root));
  g_assert_cmpuint(memory_of_nodes(found), ==, 0);
  write_below(root, "zoneinfo",
    "Node 0, zone    DMA32\n  per-node stats\n      nr_inactive_file 99999\n  pages free     1000\n        min      50\n"
    "        low      100\n        high     150\n        managed  20000\n      nr_zone_inactive_file 30\n"
    "      nr_zone_active_file 4\n  pagesets\n    cpu: 0\n              high:  186\n"
    "Node 0, zone  Movable\n  pages free     777\n        low      7\n        managed  7777\n"
    "Node 2, zone   Normal\n  pages free     5\n        low      10\n        managed  3000\n"
    "Node 3, zone   Normal\n  pages free     0\n        low      0\n        managed  0\n");
  g_assert_cmpuint(memory_of_nodes(found), ==, 2);
  g_assert_true(found[0].node == 0 && found[0].total == 27777 * page && found[0].free == 1777 * page);
  g_assert_cmpuint(found[0].available, ==, (1000 + 34 - 100 + 777 - 7) * page);
  g_assert_true(found[1].node == 2 && found[1].total == 3000 * page && found[1].free == 5 * page);
  g_assert_cmpuint(found[1].available, ==, 0);
  for (int i = 0; i <= MEMORY_NODES; i++)
    g_string_append_printf(many, "Node %d, zone   Normal\n  pages free     5\n        managed  3000\n", i);
  write_below(root, "zoneinfo", many->str);
  g_assert_cmpuint(memory_of_nodes(found), ==, 0);
  remove_below(root, "zoneinfo");
  g_rmdir(proc);
  g_rmdir(root);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(rooms); i++) {
    g_autofree char *path = g_strconcat("/guest-memory/", rooms[i].name, NULL);
    g_test_add_data_func(path, &rooms[i], test_room);
  }
  g_test_add_func("/guest-memory/of-kernel", test_of_kernel);
  g_test_add_func("/guest-memory/of-nodes", test_of_nodes);
  for (gsize i = 0; i < G_N_ELEMENTS(nodes); i++) {
    g_autofree char *path = g_strconcat("/guest-memory/node/", nodes[i].name, NULL);
    g_test_add_data_func(path, &nodes[i], test_node);
  }
  return g_test_run();
}
