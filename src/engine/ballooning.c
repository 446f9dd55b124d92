/* SPDX-License-Identifier: Apache-2.0 */
#include "ballooning.h"

#include "base/debug.h"
#include "hypervisor/balloon.h"

#define PAUSE_MS 200

struct Ballooning {
  DmConnection *connection;
  DmVm *vm;
  BallooningListener listener;
  gpointer data;
  DmBalloonWatch watch;
  DmBalloonMove move;   /* to be carried out by the work */
  DmBalloonStats stats; /* as the work read it */
  GError *error;
  uint64_t reported; /* the last number that the listener got */
  guint timer;
  gboolean working, periodic;
  gboolean pending; /* the last target could not be taken back */
};

Ballooning *ballooning_new(
  DmConnection *connection, const DmVm *vm, const BallooningListener *listener, gpointer data) {
  Ballooning *ballooning = g_new0(Ballooning, 1);
  ballooning->connection = dm_connection_ref(connection);
  ballooning->vm = dm_vm_copy(vm);
  ballooning->listener = *listener;
  ballooning->data = data;
  return ballooning;
}

void ballooning_free(Ballooning *ballooning) {
  if (ballooning == NULL)
    return;
  g_clear_handle_id(&ballooning->timer, g_source_remove);
  g_clear_error(&ballooning->error);
  dm_vm_free(ballooning->vm);
  dm_connection_close(ballooning->connection);
  g_free(ballooning);
}

static gboolean set_period(Ballooning *ballooning, guint period_s, GError **error) {
  if (ballooning->vm->balloon_period_s == BALLOONING_PERIOD_S)
    return TRUE;
  return dm_balloon_set_period(ballooning->connection, ballooning->vm, period_s, error);
}

/* In a worker thread. */
static void work(gpointer data) {
  Ballooning *ballooning = data;
  if (!ballooning->periodic && !set_period(ballooning, BALLOONING_PERIOD_S, &ballooning->error))
    return;
  ballooning->periodic = TRUE;
  if (ballooning->move.what == DM_BALLOON_SET &&
    !dm_balloon_set(ballooning->connection, ballooning->vm, ballooning->move.target, &ballooning->error))
    return;
  DmBalloonStats stats;
  if (dm_balloon_read(ballooning->connection, ballooning->vm, &stats, &ballooning->error))
    ballooning->stats = stats;
}

/* Once more, as the host may have been busy: no target is to stay behind. */
static gboolean retract(Ballooning *ballooning) {
  DmBalloonStats stats;
  if (!dm_balloon_read(ballooning->connection, ballooning->vm, &stats, NULL) ||
    !dm_balloon_set(ballooning->connection, ballooning->vm, stats.actual, NULL))
    return FALSE;
  ballooning->stats = stats;
  return TRUE;
}

/* As it was found. That the period stays does no harm: reports come more often. */
static void work_last(gpointer data) {
  Ballooning *ballooning = data;
  if (ballooning->error != NULL && ballooning->watch.target != 0)
    ballooning->pending = !retract(ballooning);
  if (ballooning->periodic)
    set_period(ballooning, ballooning->vm->balloon_period_s, NULL);
}

static void on_last(gpointer data) {
  Ballooning *ballooning = data;
  ballooning->working = FALSE;
  ballooning->listener.ended(
    ballooning->move.end, ballooning->stats.actual, ballooning->pending, ballooning->error, ballooning->data);
}

static void go_on(Ballooning *ballooning);

static gboolean on_timer(gpointer data) {
  Ballooning *ballooning = data;
  ballooning->timer = 0;
  go_on(ballooning);
  return G_SOURCE_REMOVE;
}

static void on_worked(gpointer data) {
  Ballooning *ballooning = data;
  const DmBalloonStats *stats = &ballooning->stats;
  ballooning->working = FALSE;
  if (ballooning->error == NULL && stats->actual != ballooning->reported) {
    ballooning->reported = stats->actual;
    ballooning->listener.moved(stats->actual, ballooning->data);
  }
  if (ballooning->error == NULL)
    ballooning->move = dm_balloon_next(&ballooning->watch, stats, g_get_monotonic_time());
  if (ballooning->error != NULL || ballooning->move.what == DM_BALLOON_END) {
    ballooning->working = TRUE;
    dm_connection_run(ballooning->connection, ballooning->vm->uuid, work_last, on_last, ballooning);
  } else if (ballooning->move.what == DM_BALLOON_SET) {
    dm_debug("change", "%s: balloon to %" G_GUINT64_FORMAT, ballooning->vm->name, ballooning->move.target);
    go_on(ballooning);
  } else {
    ballooning->timer = g_timeout_add(PAUSE_MS, on_timer, ballooning);
  }
}

static void go_on(Ballooning *ballooning) {
  ballooning->working = TRUE;
  dm_connection_run(ballooning->connection, ballooning->vm->uuid, work, on_worked, ballooning);
}

void ballooning_start(Ballooning *ballooning, uint64_t goal, gboolean stands, double timeout_s) {
  const DmConfig *live = ballooning->vm->live;
  ballooning->watch = (DmBalloonWatch){
    .goal = goal,
    .reserve = dm_balloon_reserve(dm_config_memory(live), live->autodeflate),
    .autodeflate = live->autodeflate,
    .stands = stands,
    .until_us = g_get_monotonic_time() + (gint64)(timeout_s * G_USEC_PER_SEC),
    .stop = ballooning->watch.stop,
  };
  ballooning->move = (DmBalloonMove){.what = DM_BALLOON_WAIT};
  ballooning->periodic = FALSE;
  go_on(ballooning);
}

void ballooning_stop(Ballooning *ballooning) {
  if (ballooning == NULL)
    return;
  ballooning->watch.stop = TRUE;
  ballooning_look(ballooning);
}

void ballooning_look(Ballooning *ballooning) {
  if (ballooning == NULL || ballooning->timer == 0) /* it is looking, or not under way */
    return;
  g_clear_handle_id(&ballooning->timer, g_source_remove);
  go_on(ballooning);
}
