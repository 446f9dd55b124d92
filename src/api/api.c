/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a request is answered
 * =========================
 *
 * dm_api_handle() makes a Call: the target is parsed, the route found, who asks is found out (sign_on.c: that can take
 * a worker thread and time), and the route's handler answers, at once or later. Reads are answered from the inventory
 * in memory. A change is handed to the jobs, and the Call waits for its job, holding no thread. The Call is freed with
 * its HTTP request.
 */
#include <string.h>

#include "api_private.h"
#include "base/error.h"

static void free_call(gpointer data) {
  Call *call = data;
  if (call->timer != 0)
    g_source_remove(call->timer);
  check_abandon(call);
  action_abandon(call);
  if (call->waited != NULL && call->job != NULL)
    dm_jobs_forget(call->api->jobs, call->job);
  g_ptr_array_remove_fast(call->api->waiting, call);
  dm_target_free(call->target);
  dm_body_free(call->body);
  g_free(call->user);
  g_free(call->allow);
  g_free(call->correlation_id);
  g_free(call);
}

/* As the engine cuts it: CurrentFilter. */
static char *correlation_id_of(const char *sent) {
  GString *kept = g_string_new(NULL);
  for (const char *p = sent; p != NULL && *p != '\0' && kept->len < 36; p++) {
    if (g_ascii_isalnum(*p) || *p == '_' || *p == '-')
      g_string_append_c(kept, *p);
  }
  if (kept->len > 0)
    return g_string_free(kept, FALSE);
  g_string_free(kept, TRUE);
  return g_uuid_string_random();
}

/* Of the parameter, which is never refused, or else of the header. FALSE: the client takes neither XML nor JSON. */
static gboolean read_format(Call *call) {
  const char *parameter = call->target != NULL ? dm_target_parameter(call->target, "accept") : NULL;
  const char *accept = parameter != NULL ? parameter : dm_http_request_header(call->http, "Accept");
  call->format = DM_FORMAT_XML;
  return accept == NULL || dm_format_negotiate(accept, &call->format) || parameter != NULL;
}

static gboolean has_known_version(const Call *call) {
  const char *version = dm_http_request_header(call->http, "Version");
  return version == NULL || g_str_equal(version, "4") || g_str_equal(version, "3");
}

static void run(Call *call) {
  if (call->route == NULL && call->allow != NULL)
    dm_http_reply_header(call->http, "Allow", call->allow);
  if (call->route == NULL) {
    reply_empty(call, call->allow != NULL ? 405 : 404);
  } else if (call->not_acceptable && !call->route->open && !call->route->stream) {
    reply_empty(call, 406);
  } else if (!has_known_version(call)) {
    reply_fault(call, 400, "Invalid value", "the header Version must be 4");
  } else if (dm_http_request_body_too_large(call->http)) {
    reply_fault(
      call, 413, "Operation Failed", "[The body is larger than this server takes; see max-body in dimmerd.conf.]");
  } else if (call->route->changes && call->role != DM_ROLE_ADMIN) {
    g_autofree char *detail = g_strdup_printf(
      "[%s may read but not change anything; 'dimmerd user role %s admin' on dimmerd's host, and a reload of dimmerd, "
      "change that.]",
      call->user, call->user);
    reply_fault(call, 403, "Operation Failed", detail);
  } else {
    call->route->handle(call);
  }
}

/* Who is not signed on is not told which paths of the API there are. */
static void dispatch(Call *call) {
  const char *method = dm_http_request_method(call->http);
  const char *const *segments = dm_target_segments(call->target);
  call->route = routes_find(g_str_equal(method, "HEAD") ? "GET" : method, segments, call->ids, &call->allow);
  gboolean open = call->route != NULL ? call->route->open : !routes_is_api(segments);
  if (open)
    run(call);
  else
    sign_on_check(call, run);
}

void dm_api_handle(DmHttpRequest *request, gpointer data) {
  g_autoptr(GError) error = NULL;
  Call *call = g_new0(Call, 1);
  call->api = data;
  call->http = request;
  dm_http_request_set_data(request, call, free_call);
  call->target = dm_target_parse(dm_http_request_uri(request), &error);
  call->not_acceptable = !read_format(call);
  const char *sent = dm_http_request_header(request, "Correlation-Id");
  if (sent == NULL && call->target != NULL)
    sent = dm_target_parameter(call->target, "correlation_id");
  call->correlation_id = correlation_id_of(sent);
  if (error != NULL)
    reply_error(call, error);
  else
    dispatch(call);
}

/* ---- waiting for a job, or a guest ---- */

void stop_waiting(Call *call) {
  void (*waited)(Call *) = g_steal_pointer(&call->waited);
  if (call->timer != 0)
    g_source_remove(call->timer);
  call->timer = 0;
  g_ptr_array_remove_fast(call->api->waiting, call);
  if (call->job != NULL)
    dm_jobs_forget(call->api->jobs, call->job);
  waited(call); /* answers; from here on neither the job nor the call needs to live */
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

void wait_for_job(Call *call, DmJob *job, void (*waited)(Call *call)) {
  call->job = job;
  wait_for(call, waited);
}

/* ---- life ---- */

/* From now on the VM has been seen; the daemon writes it down. */
static void on_changed(DmEntry *entry, gpointer data) {
  const DmApi *api = data;
  dm_store_first_seen(api->store, entry->vm->uuid);
}

static gboolean on_minute(gpointer data) {
  DmApi *api = data;
  api->minute++;
  drop_old_vm_texts(api);
  return G_SOURCE_CONTINUE;
}

DmApi *dm_api_new(const DmApiOptions *options, GError **error) {
  DmApi *api = g_new0(DmApi, 1);
  api->inventory = options->inventory;
  api->jobs = options->jobs;
  api->store = options->store;
  api->ca = g_strdup(options->ca);
  api->answer_seconds = options->answer_seconds;
  api->waiting = g_ptr_array_new();
  api->checks = g_hash_table_new(g_str_hash, g_str_equal);
  api->sign_on = sign_on_new(options->store, options->users_file, options->token_idle_seconds, error);
  if (api->sign_on == NULL) {
    dm_api_free(api);
    return NULL;
  }
  api->page = page_new(options->web_folder, error);
  if (api->page == NULL) {
    dm_api_free(api);
    return NULL;
  }
  static const DmInventoryListener listener = {.changed = on_changed, .drop_cached = drop_vm_text};
  dm_inventory_listen(api->inventory, &listener, api);
  api->minute_timer = g_timeout_add_seconds(60, on_minute, api);
  api->live = live_new(api);
  api->metrics = metrics_new(api);
  audit_start(api);
  return api;
}

void dm_api_free(DmApi *api) {
  if (api == NULL)
    return;
  if (api->minute_timer != 0)
    g_source_remove(api->minute_timer);
  live_free(api->live);
  metrics_free(api->metrics);
  sign_on_free(api->sign_on);
  page_free(api->page);
  g_ptr_array_unref(api->waiting);
  g_hash_table_unref(api->checks);
  g_free(api->ca);
  g_free(api);
}

gboolean dm_api_reload(DmApi *api, GError **error) {
  if (!sign_on_reload(api->sign_on, error))
    return FALSE;
  live_check(api->live, TRUE);
  return TRUE;
}

void dm_api_set_answer_seconds(DmApi *api, double seconds) {
  api->answer_seconds = seconds;
}

guint dm_api_busy(const DmApi *api) {
  return g_hash_table_size(api->checks) + api->acting;
}

void dm_api_drain(DmApi *api) {
  while (api->waiting->len > 0)
    stop_waiting(api->waiting->pdata[0]);
  live_end_all(api->live);
}
