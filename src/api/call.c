/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "base/error.h"

typedef void (*EndFunc)(Call *call);

static void free_call(gpointer data) {
  Call *call = data;
  if (call->timer != 0)
    g_source_remove(call->timer);
  for (guint i = 0; i < call->on_end->len; i++)
    g_array_index(call->on_end, EndFunc, i)(call);
  g_array_unref(call->on_end);
  if (call->task != NULL)
    dm_store_cancel(call->task);
  if (call->waited != NULL && call->job != NULL)
    dm_jobs_forget(call->api->jobs, call->job);
  g_ptr_array_remove_fast(call->api->waiting, call);
  dm_target_free(call->target);
  dm_body_free(call->body);
  g_free(call->user);
  g_free(call->allow);
  g_free(call->correlation_id);
  dm_note_free(call->note);
  g_free(call);
}

Call *call_new(DmApi *api, DmHttpRequest *http) {
  Call *call = g_new0(Call, 1);
  call->api = api;
  call->http = http;
  call->on_end = g_array_new(FALSE, FALSE, sizeof(EndFunc));
  dm_http_request_set_data(http, call, free_call);
  return call;
}

void call_on_end(Call *call, void (*func)(Call *call)) {
  g_array_append_val(call->on_end, func);
}

/* ---- waiting ---- */

void stop_waiting(Call *call) {
  void (*waited)(Call *) = g_steal_pointer(&call->waited);
  if (call->timer != 0)
    g_source_remove(call->timer);
  call->timer = 0;
  g_ptr_array_remove_fast(call->api->waiting, call);
  if (call->job != NULL)
    dm_jobs_forget(call->api->jobs, call->job);
  waited(call); /* answers; from here on neither job nor call may be valid */
}

static gboolean on_time_up(gpointer data) {
  Call *call = data;
  call->timer = 0;
  stop_waiting(call);
  return G_SOURCE_REMOVE;
}

void job_moved(DmJob *job, DmJobEvent event, const DmStep *step, gpointer data) {
  if (event == DM_JOB_EVENT_SETTLED)
    stop_waiting(data);
}

void wait_for(Call *call, void (*waited)(Call *call)) {
  call->waited = waited;
  call->timer = g_timeout_add((guint)(call->api->answer_seconds * 1000), on_time_up, call);
  g_ptr_array_add(call->api->waiting, call);
}

void wait_for_store(Call *call, DmStoreTask *task, void (*waited)(Call *call)) {
  call->task = task;
  wait_for(call, waited);
}

void wait_for_job(Call *call, DmJob *job, void (*waited)(Call *call)) {
  call->job = job;
  wait_for(call, waited);
}

void take_events(GPtrArray *events, const GError *error, gpointer data) {
  Call *call = data;
  call->task = NULL;
  call->events = events;
  call->failed = error;
  stop_waiting(call);
}

gboolean were_events_read(Call *call) {
  g_autoptr(GError) late = NULL;
  if (call->events != NULL)
    return TRUE;
  if (call->task != NULL) {
    dm_store_cancel(g_steal_pointer(&call->task));
    late = g_error_new(DM_ERROR, DM_ERROR_BUSY, "the database did not answer in time; ask again");
  }
  reply_error(call, late != NULL ? late : call->failed);
  return FALSE;
}
