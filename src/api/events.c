/* SPDX-License-Identifier: Apache-2.0 */
/* The audit events, newest first. */
#include <stdlib.h>

#include "base/error.h"
#include "finding.h"
#include "handlers.h"
#include "views.h"

/* With an href whether it still exists or not, as in oVirt: forklift takes a 404 for "gone", and a missing href for the
 * root. */
static void add_named(DmNode *parent, const char *name, const char *collection, const char *id, const char *text) {
  if (id != NULL)
    dm_node_add_text(add_link(parent, name, collection, id), "name", text);
}

DmNode *event_node(const DmAuditEvent *event) {
  DmNode *node = dm_node_new("event");
  g_autofree char *id = g_strdup_printf("%" G_GINT64_FORMAT, event->id);
  g_autofree char *user = event->user != NULL ? uuid_of(USER_ID_SPACE, event->user) : NULL;
  if (event->id != 0) /* else it was not stored */
    set_link(node, "events", id);
  dm_node_add_text(node, "description", event->text);
  dm_node_add_number(node, "code", event->code);
  dm_node_add_text(node, "correlation_id", event->correlation_id);
  dm_node_add_number(node, "custom_id", -1);
  dm_node_add_number(node, "flood_rate", 0);
  if (event->id != 0)
    dm_node_add_number(node, "index", event->id);
  dm_node_add_text(node, "origin", EVENT_ORIGIN);
  dm_node_add_text(node, "severity", dm_severity_name(event->severity));
  dm_node_add_date(node, "time", event->time);
  add_named(node, "host", "hosts", event->host_id, event->host_name);
  add_named(node, "user", "users", user, event->user);
  add_named(node, "vm", "vms", event->vm_id, event->vm_name);
  return node;
}

static GBytes *text_of_event(Call *call, gpointer event, GError **error) {
  return text_of_node(call, event_node(event), error);
}

static void reply_events(Call *call, GPtrArray *found) {
  reply_list(call, "events", "event", g_ptr_array_ref(found), text_of_event);
}

void handle_events(Call *call) {
  find_objects(call, &search_events, NULL, reply_events);
}

static void answer_event(Call *call) {
  if (!were_events_read(call))
    return;
  const DmAuditEvent *event = call->events->len > 0 ? call->events->pdata[0] : NULL;
  if (event != NULL && event->id == strtoll(call->ids[0], NULL, 10))
    reply_node(call, 200, event_node(event));
  else
    reply_empty(call, 404);
}

void handle_event(Call *call) {
  gint64 id = strtoll(call->ids[0], NULL, 10);
  if (id <= 0) {
    reply_empty(call, 404);
    return;
  }
  const DmEventQuery query = {.from = id - 1, .oldest_first = TRUE, .most = 1};
  wait_for_store(call, dm_store_read_events(call->api->store, &query, take_events, call), answer_event);
}
