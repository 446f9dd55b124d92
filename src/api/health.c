/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /health. Needs no authentication, so the database is written to at most once a second, for all calls meanwhile, and
 * its path and error go to the log.
 */
#include "handlers.h"
#include "watchers.h"

#define SLOW_MS 1000 /* a database that has not answered by then is reported down */

struct Health {
  DmApi *api;
  gboolean database_up;
  gint64 asked;      /* monotonic microseconds; 0: not yet */
  DmStoreTask *task; /* under way; NULL: none */
  guint slow_timer;  /* timeout for waiting calls */
  GPtrArray *calls;  /* Call that waits: borrowed */
};

static void let_go(Call *call) {
  g_ptr_array_remove(call->api->health->calls, call);
}

/*
 * 200 while it serves; 503 if no host can be reached, or events and tokens are not stored. oVirt's text begins with the
 * same words.
 */
static void answer(Call *call) {
  const GPtrArray *hosts = dm_inventory_hosts(call->api->inventory);
  gboolean database = call->api->health->database_up;
  guint up = 0;
  let_go(call);
  for (guint i = 0; i < hosts->len; i++)
    up += ((const DmHost *)hosts->pdata[i])->status == DM_HOST_UP;
  gboolean well = database && up > 0;
  const char *state = well ? "DB Up!Welcome to Health Status!"
    : database             ? "Down:"
                           : "DB Down! Events and logins are not kept, see dimmerd's log;";
  g_autofree char *text = g_strdup_printf("%s %u of %u hosts connected\n", state, up, hosts->len);
  reply_text(call, well ? 200 : 503, "text/plain; charset=utf-8", text);
}

static void take_state(Health *health, gboolean up, const char *problem) {
  if (!up && health->database_up)
    g_log_structured("dimmer", G_LOG_LEVEL_WARNING, "MESSAGE", "not healthy: %s", problem);
  health->database_up = up;
  if (health->slow_timer != 0)
    g_source_remove(health->slow_timer);
  health->slow_timer = 0;
  while (health->calls->len > 0)
    stop_waiting(health->calls->pdata[0]);
}

static void on_checked(const GError *error, gpointer data) {
  Health *health = data;
  health->task = NULL;
  take_state(health, error == NULL, error != NULL ? error->message : NULL);
}

static gboolean on_slow(gpointer data) {
  Health *health = data;
  health->slow_timer = 0;
  take_state(health, FALSE, "the database does not answer");
  return G_SOURCE_REMOVE;
}

void handle_health(Call *call) {
  Health *health = call->api->health;
  gint64 now = g_get_monotonic_time();
  gboolean known = health->asked != 0 && now - health->asked < G_USEC_PER_SEC;
  if (health->task == NULL && !known) {
    health->asked = now;
    health->task = dm_store_check(health->api->store, on_checked, health);
    health->slow_timer = g_timeout_add(SLOW_MS, on_slow, health);
  }
  if (health->slow_timer == 0) {
    answer(call);
    return;
  }
  g_ptr_array_add(health->calls, call);
  call_on_end(call, let_go);
  wait_for(call, answer);
}

Health *health_new(DmApi *api) {
  Health *health = g_new0(Health, 1);
  health->api = api;
  health->database_up = TRUE;
  health->calls = g_ptr_array_new();
  return health;
}

void health_free(Health *health) {
  if (health == NULL)
    return;
  if (health->task != NULL)
    dm_store_cancel(health->task);
  if (health->slow_timer != 0)
    g_source_remove(health->slow_timer);
  g_ptr_array_unref(health->calls);
  g_free(health);
}
