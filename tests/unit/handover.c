/* SPDX-License-Identifier: Apache-2.0 */
/* What the main loop sees of a change's request while a worker thread has it. */
#include "base/size.h"
#include "change_private.h"

typedef struct {
  DmChange *change;
  GMainLoop *loop;
  GMutex mutex;
  GCond cond;
  gboolean wrote, looked; /* by the worker thread; by the main loop */
} Scene;

static void reach(Scene *scene, gboolean *point) {
  g_mutex_lock(&scene->mutex);
  *point = TRUE;
  g_cond_broadcast(&scene->cond);
  g_mutex_unlock(&scene->mutex);
}

static void await(Scene *scene, const gboolean *point) {
  g_mutex_lock(&scene->mutex);
  while (!*point)
    g_cond_wait(&scene->cond, &scene->mutex);
  g_mutex_unlock(&scene->mutex);
}

static void work(gpointer data) {
  Scene *scene = data;
  DmRequest *request = scene->change->request;
  ((DmStep *)request->steps->pdata[0])->state = DM_STEP_ASKED;
  request->balloon = dm_step_new_balloon(DM_GIB, DM_GIB, DM_GIB / 2);
  reach(scene, &scene->wrote);
  await(scene, &scene->looked);
}

static Scene *running;

static void run_work(gpointer change) {
  work(running);
}

static void on_worked(gpointer data) {
  DmChange *change = data;
  change->working = FALSE;
  g_main_loop_quit(running->loop);
}

static void test_handover(void) {
  const DmWish wish = {.action = DM_ACTION_SETTLE};
  const DmChangeOptions options = {0};
  const DmChangeListener listener = {0};
  g_autoptr(GError) error = NULL;
  DmConnection *connection = dm_connection_open("test:///default", DM_CONNECTION_CHANGES, &error);
  g_assert_no_error(error);
  Scene scene = {.loop = g_main_loop_new(NULL, FALSE)};
  running = &scene;
  DmChange *change = scene.change = dm_change_new(connection, "test", &wish, &options, &listener, NULL);
  change->request = dm_request_new(DM_ACTION_UNPLUG);
  const DmMemoryDevice device = {.kind = DM_DEVICE_DIMM, .alias = (char *)"dimm0", .size = 128 * DM_MIB};
  g_ptr_array_add(change->request->steps, dm_step_new(DM_OP_UNPLUG, &device));

  change_run(change, run_work, on_worked);
  await(&scene, &scene.wrote);
  const DmRequest *shown = dm_change_request(change);
  g_assert_null(shown->balloon);
  g_assert_cmpint(((const DmStep *)shown->steps->pdata[0])->state, ==, DM_STEP_PLANNED);
  reach(&scene, &scene.looked);
  g_main_loop_run(scene.loop);
  g_assert_nonnull(dm_change_request(change)->balloon);
  g_assert_cmpint(((const DmStep *)dm_change_request(change)->steps->pdata[0])->state, ==, DM_STEP_ASKED);

  dm_change_free(change);
  dm_connection_close(connection);
  g_main_loop_unref(scene.loop);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  dm_hypervisor_start();
  g_test_add_func("/handover", test_handover);
  int status = g_test_run();
  return dm_hypervisor_end() ? status : 1;
}
