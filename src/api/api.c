/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a request is answered
 * =========================
 *
 * dm_api_handle() creates a Call: the target is parsed, the route found, the user authenticated (sign_on.c: may take a
 * worker thread and time), and the route's handler answers, at once or later. Reads are answered from the inventory in
 * memory. A change becomes a job, and the Call waits for it without occupying a thread (call.c). The Call is freed with
 * its HTTP request.
 */
#include <string.h>

#include "base/error.h"
#include "follow.h"
#include "handlers.h"
#include "sign_on.h"
#include "views.h"
#include "watchers.h"

/* Truncated as in the engine: CurrentFilter. */
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

/* From the parameter, which is never refused, or else the header. FALSE: the client accepts neither XML nor JSON. */
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

static void reply_no_route(Call *call) {
  if (call->allow == NULL || call->user == NULL) { /* no authentication: the rest is not part of the API */
    reply_empty(call, call->allow != NULL ? 405 : 404);
    return;
  }
  g_autofree char *detail = g_strdup_printf(
    "[%s is not served for this, but %s; what dimmer does not change is changed with libvirt's tools on the host.]",
    dm_http_request_method(call->http), call->allow);
  reply_fault(call, 405, FAULT_METHOD, "Operation Failed", detail);
}

/* A read, with the parameter follow. FALSE: it was answered. */
static gboolean check_follow(Call *call) {
  g_autoptr(GError) error = NULL;
  if (call->route->open || !g_str_equal(call->route->method, "GET") || follow_check(call, &error))
    return TRUE;
  reply_error(call, error);
  return FALSE;
}

static void run(Call *call) {
  if (call->route == NULL && call->allow != NULL)
    dm_http_reply_header(call->http, "Allow", call->allow);
  if (call->route == NULL) {
    reply_no_route(call);
  } else if (call->not_acceptable && !call->route->open && !call->route->stream) {
    reply_empty(call, 406);
  } else if (!has_known_version(call)) {
    reply_fault(call, 400, FAULT_BAD_VALUE, "Invalid value", "the header Version must be 4");
  } else if (dm_http_request_body_too_large(call->http)) {
    reply_fault(call, 413, FAULT_TOO_LARGE, "Operation Failed",
      "[The body is larger than this server takes; see max-body in dimmerd.conf.]");
  } else if (call->route->changes && call->role != DM_ROLE_ADMIN) {
    g_autofree char *detail = g_strdup_printf(
      "[%s may read but not change anything; 'dimmerd user role %s admin' on dimmerd's host, a reload of dimmerd and a new "
      "login change that.]",
      call->user, call->user);
    reply_fault(call, 403, FAULT_FORBIDDEN, "Operation Failed", detail);
  } else if (check_follow(call)) {
    call->route->handle(call);
  }
}

/* Unauthenticated clients must not learn which paths exist. */
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
  Call *call = call_new(data, request);
  call->target = dm_target_parse(dm_http_request_uri(request), &error);
  call->not_acceptable = !read_format(call);
  const char *sent = dm_http_request_header(request, "Correlation-Id");
  if (sent == NULL && call->target != NULL)
    sent = dm_target_parameter(call->target, "correlation_id");
  call->correlation_id = correlation_id_of(sent);
  if (error != NULL)
    reply_error(call, error);
  else if (is_from_other_site(call))
    reply_fault(call, 403, FAULT_FORBIDDEN, "Operation Failed",
      "[A page of another site may change nothing here; if it was WebAdmin, have its proxy pass on the header Host.]");
  else
    dispatch(call);
}

/* ---- life cycle ---- */

/* Records when the VM was first seen. */
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
  api->vm_metrics = options->vm_metrics;
  api->plug_kinds = g_strdupv((char **)options->plug_kinds);
  api->plug_policies = g_strdupv((char **)options->plug_policies);
  api->routes = routes_all();
  api->follow = follow;
  api->answered = metrics_answered;
  api->waiting = g_ptr_array_new();
  api->checks = g_hash_table_new(g_str_hash, g_str_equal);
  api->preparations = g_hash_table_new(g_str_hash, g_str_equal);
  api->sign_on = sign_on_new(options, error);
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
  api->health = health_new(api);
  api->repeats = repeats_new(audit_tell, api);
  audit_start(api);
  return api;
}

void dm_api_free(DmApi *api) {
  if (api == NULL)
    return;
  if (api->minute_timer != 0)
    g_source_remove(api->minute_timer);
  if (api->finding_source != 0)
    g_source_remove(api->finding_source);
  repeats_free(api->repeats);
  live_free(api->live);
  metrics_free(api->metrics);
  health_free(api->health);
  sign_on_free(api->sign_on);
  page_free(api->page);
  g_ptr_array_unref(api->waiting);
  g_hash_table_unref(api->checks);
  g_hash_table_unref(api->preparations);
  g_free(api->ca);
  g_strfreev(api->plug_kinds);
  g_strfreev(api->plug_policies);
  g_free(api);
}

gboolean dm_api_reload(DmApi *api, GError **error) {
  if (!sign_on_reload(api->sign_on, error))
    return FALSE;
  live_check(api->live, TRUE);
  return TRUE;
}

guint dm_api_busy(const DmApi *api) {
  return g_hash_table_size(api->checks) + g_hash_table_size(api->preparations) + api->acting;
}

void dm_api_drain(DmApi *api) {
  while (api->waiting->len > 0)
    stop_waiting(api->waiting->pdata[0]);
  sign_on_drain(api->sign_on);
  repeats_tell(api->repeats);
  live_end_all(api->live);
}
