/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events: changes as they happen. Each event's data is the API's JSON of the object. Changes of VMs are
 * collected for a moment, so that ten changes in a row are sent once. A stream ends when its token does; listening does
 * not keep a token alive.
 */
#include <string.h>

#include "handlers.h"
#include "sign_on.h"
#include "views.h"
#include "watchers.h"

#define BACKLOG (4 << 20)
#define GATHER_MS 20
#define HEARTBEAT_SECONDS 15

struct Live {
  DmApi *api;
  GPtrArray *streams;  /* Stream */
  GHashTable *changed; /* UUIDs of VMs to report */
  guint gather_timer, heartbeat_timer;
  gboolean ended; /* the daemon stops: a client that reconnects over an open connection would delay it */
};

typedef struct {
  Live *live;
  DmHttpStream *stream;
  char *token; /* NULL: signed on by password */
  guint expiry_timer;
} Stream;

static void send_all(Live *live, const char *event, const char *id, const GString *data) {
  if (live->streams->len == 0)
    return;
  GString *text = g_string_new(NULL);
  if (id != NULL)
    g_string_append_printf(text, "id: %s\n", id);
  g_string_append_printf(text, "event: %s\ndata: %s\n\n", event, data->str);
  g_autoptr(GBytes) piece = g_string_free_to_bytes(text);
  for (guint i = 0; i < live->streams->len; i++)
    dm_http_stream_send(((Stream *)live->streams->pdata[i])->stream, piece);
}

static void send_node(Live *live, const char *event, const char *id, DmNode *node) {
  g_autoptr(GString) data = g_string_new(NULL);
  dm_node_write(node, DM_FORMAT_JSON, data);
  dm_node_free(node);
  send_all(live, event, id, data);
}

static gboolean tell_changed(gpointer data) {
  Live *live = data;
  GHashTableIter iter;
  gpointer uuid;
  live->gather_timer = 0;
  g_hash_table_iter_init(&iter, live->changed);
  while (g_hash_table_iter_next(&iter, &uuid, NULL)) {
    DmEntry *entry = dm_inventory_find(live->api->inventory, uuid);
    if (entry == NULL)
      continue;
    DmNode *node = vm_node(live->api, entry, FALSE);
    dm_node_adopt(node, devices_node(live->api, entry), FALSE);
    send_node(live, "vm", NULL, node);
  }
  g_hash_table_remove_all(live->changed);
  return G_SOURCE_REMOVE;
}

static void on_changed(DmEntry *entry, gpointer data) {
  Live *live = data;
  if (live->streams->len == 0)
    return;
  g_hash_table_add(live->changed, g_strdup(entry->vm->uuid));
  if (live->gather_timer == 0)
    live->gather_timer = g_timeout_add(GATHER_MS, tell_changed, live);
}

static void on_removed(DmEntry *entry, gpointer data) {
  Live *live = data;
  DmNode *node = dm_node_new("vm");
  g_hash_table_remove(live->changed, entry->vm->uuid);
  set_link(node, "vms", entry->vm->uuid);
  send_node(live, "vm_removed", NULL, node);
}

static void on_host(DmHost *host, gpointer data) {
  Live *live = data;
  send_node(live, "host", NULL, host_node(live->api, host));
}

static void on_job(DmJob *job, DmJobEvent event, const DmStep *step, gpointer data) {
  Live *live = data;
  if (live->streams->len == 0)
    return;
  DmNode *node = job_node(live->api, job);
  dm_node_adopt(node, steps_node(live->api, job), FALSE);
  send_node(live, "job", NULL, node);
  DmEntry *entry = dm_inventory_find(live->api->inventory, job->vm_id);
  if (entry != NULL) /* its devices' states come from the job */
    on_changed(entry, live);
}

void live_event(Live *live, const DmAuditEvent *event) {
  g_autofree char *id = event->id != 0 ? g_strdup_printf("%" G_GINT64_FORMAT, event->id) : NULL;
  if (live != NULL)
    send_node(live, "event", id, event_node(event));
}

static void on_closed(gpointer data) {
  Stream *stream = data;
  g_ptr_array_remove_fast(stream->live->streams, stream);
  if (stream->expiry_timer != 0)
    g_source_remove(stream->expiry_timer);
  g_free(stream->token);
  g_free(stream);
}

static gboolean on_expiry(gpointer data);

/* Other requests may have renewed the token since the timer was set. */
static void check_token(Stream *stream) {
  gint64 expires = dm_store_token_expires(stream->live->api->store, stream->token);
  gint64 left = expires - g_get_real_time() / 1000;
  if (stream->expiry_timer != 0)
    g_source_remove(stream->expiry_timer);
  stream->expiry_timer = 0;
  if (expires == 0)
    dm_http_stream_end(stream->stream);
  else
    stream->expiry_timer = g_timeout_add((guint)CLAMP(left + 1, 1, G_MAXINT), on_expiry, stream);
}

static gboolean on_expiry(gpointer data) {
  Stream *stream = data;
  stream->expiry_timer = 0;
  check_token(stream);
  return G_SOURCE_REMOVE;
}

void live_check(Live *live, gboolean users_changed) {
  for (guint i = 0; i < live->streams->len; i++) {
    Stream *stream = live->streams->pdata[i];
    if (stream->token != NULL)
      check_token(stream);
    else if (users_changed)
      dm_http_stream_end(stream->stream);
  }
}

void handle_live(Call *call) {
  Live *live = call->api->live;
  if (live->ended) {
    reply_empty(call, 503);
    return;
  }
  Stream *stream = g_new0(Stream, 1);
  stream->live = live;
  g_ptr_array_add(live->streams, stream);
  dm_http_reply_header(call->http, "Cache-Control", "no-store");
  call_answered(call, 200);
  stream->stream = dm_http_reply_stream(call->http, "text/event-stream", BACKLOG, on_closed, stream);
  stream->token = session_token(call);
  if (stream->token != NULL)
    check_token(stream);
  static const char hello[] = "retry: 1000\n: hello\n\n";
  g_autoptr(GBytes) piece = g_bytes_new_static(hello, strlen(hello));
  dm_http_stream_send(stream->stream, piece);
}

/* Writing detects a client that has disconnected. */
static gboolean on_heartbeat(gpointer data) {
  Live *live = data;
  static const char beat[] = ": beat\n\n";
  g_autoptr(GBytes) piece = g_bytes_new_static(beat, strlen(beat));
  for (guint i = 0; i < live->streams->len; i++)
    dm_http_stream_send(((Stream *)live->streams->pdata[i])->stream, piece);
  return G_SOURCE_CONTINUE;
}

Live *live_new(DmApi *api) {
  static const DmInventoryListener listener = {.changed = on_changed, .removed = on_removed, .host_changed = on_host};
  Live *live = g_new0(Live, 1);
  live->api = api;
  live->streams = g_ptr_array_new();
  live->changed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  live->heartbeat_timer = g_timeout_add_seconds(HEARTBEAT_SECONDS, on_heartbeat, live);
  dm_inventory_listen(api->inventory, &listener, live);
  dm_jobs_listen(api->jobs, on_job, live);
  return live;
}

void live_end_all(Live *live) {
  live->ended = TRUE;
  for (guint i = 0; i < live->streams->len; i++) /* each calls on_closed() when its client has read the rest */
    dm_http_stream_end(((Stream *)live->streams->pdata[i])->stream);
}

void live_free(Live *live) {
  if (live == NULL)
    return;
  if (live->gather_timer != 0)
    g_source_remove(live->gather_timer);
  g_source_remove(live->heartbeat_timer);
  g_hash_table_unref(live->changed);
  g_ptr_array_unref(live->streams);
  g_free(live);
}
