/* SPDX-License-Identifier: Apache-2.0 */
#include "later.h"

#include "engine/lock.h"

#define PAUSE_SECONDS 5

struct Later {
  LaterFunc func;
  gpointer data;
  GHashTable *due; /* UUID → Due */
};

typedef struct {
  Later *later;
  char *vm_uuid;
  DmLockWatch *watch; /* NULL: a timer */
  guint timer;
} Due;

static void due_free(gpointer data) {
  Due *due = data;
  dm_lock_unwatch(due->watch);
  if (due->timer != 0)
    g_source_remove(due->timer);
  g_free(due->vm_uuid);
  g_free(due);
}

static void tell(Due *due) {
  Later *later = due->later;
  g_autofree char *vm_uuid = g_strdup(due->vm_uuid);
  g_hash_table_remove(later->due, vm_uuid); /* frees it */
  later->func(vm_uuid, later->data);
}

static void on_released(gpointer data) {
  Due *due = data;
  due->watch = NULL;
  tell(due);
}

static gboolean on_pause_over(gpointer data) {
  Due *due = data;
  due->timer = 0;
  tell(due);
  return G_SOURCE_REMOVE;
}

Later *later_new(LaterFunc func, gpointer data) {
  Later *later = g_new0(Later, 1);
  later->func = func;
  later->data = data;
  later->due = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, due_free);
  return later;
}

void later_free(Later *later) {
  if (later == NULL)
    return;
  g_hash_table_unref(later->due);
  g_free(later);
}

void later_add(Later *later, const char *vm_uuid) {
  if (later_has(later, vm_uuid))
    return;
  Due *due = g_new0(Due, 1);
  due->later = later;
  due->vm_uuid = g_strdup(vm_uuid);
  due->watch = dm_lock_watch(vm_uuid, on_released, due);
  if (due->watch == NULL)
    due->timer = g_timeout_add_seconds(PAUSE_SECONDS, on_pause_over, due);
  g_hash_table_insert(later->due, due->vm_uuid, due);
}

gboolean later_has(const Later *later, const char *vm_uuid) {
  return g_hash_table_contains(later->due, vm_uuid);
}
