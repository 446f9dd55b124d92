/* SPDX-License-Identifier: Apache-2.0 */
/* The audit events, newest first. */
#include <stdlib.h>

#include "api_private.h"

enum {
  FIELD_TYPE,
  FIELD_SEVERITY,
  FIELD_MESSAGE,
  FIELD_TIME,
  FIELD_USER,
  FIELD_VM,
  FIELD_VM_ID,
  FIELD_HOST,
  FIELD_HOST_ID,
  FIELD_CORRELATION,
};

static const char *const severities[] = {"normal", "warning", "error", "alert", NULL};

static const DmSearchField fields[] = {
  {"type", DM_FIELD_NUMBER, FIELD_TYPE},
  {"severity", DM_FIELD_ENUM, FIELD_SEVERITY, FALSE, severities},
  {"message", DM_FIELD_TEXT, FIELD_MESSAGE, TRUE},
  {"time", DM_FIELD_NUMBER, FIELD_TIME},
  {"usrname", DM_FIELD_TEXT, FIELD_USER},
  {"event_vm", DM_FIELD_TEXT, FIELD_VM, TRUE},
  {"vm.name", DM_FIELD_TEXT, FIELD_VM},
  {"vms.name", DM_FIELD_TEXT, FIELD_VM},
  {"_event_vm_id", DM_FIELD_TEXT, FIELD_VM_ID},
  {"event_host", DM_FIELD_TEXT, FIELD_HOST},
  {"_event_host_id", DM_FIELD_TEXT, FIELD_HOST_ID},
  {"correlation_id", DM_FIELD_TEXT, FIELD_CORRELATION},
  {NULL},
};

static const char *get_field(gconstpointer object, int field, gint64 *number) {
  const DmAuditEvent *event = object;
  switch (field) {
    case FIELD_TYPE:
      *number = event->code;
      return "";
    case FIELD_SEVERITY:
      return dm_severity_name(event->severity);
    case FIELD_MESSAGE:
      return event->text;
    case FIELD_TIME:
      *number = event->time;
      return "";
    case FIELD_USER:
      return event->user;
    case FIELD_VM:
      return event->vm_name;
    case FIELD_VM_ID:
      return event->vm_id;
    case FIELD_HOST:
      return event->host_name;
    case FIELD_HOST_ID:
      return event->host_id;
    default:
      return event->correlation_id;
  }
}

static void add_named(DmNode *parent, const char *name, const char *collection, const char *id, const char *text) {
  if (id != NULL)
    dm_node_add_text(add_link(parent, name, collection, id), "name", text);
}

DmNode *event_node(const DmAuditEvent *event) {
  DmNode *node = dm_node_new("event");
  g_autofree char *id = g_strdup_printf("%" G_GINT64_FORMAT, event->id);
  g_autofree char *user = event->user != NULL ? uuid_of(USER_ID_SPACE, event->user) : NULL;
  if (event->id != 0) /* else it could not be kept */
    set_link(node, "events", id);
  dm_node_add_text(node, "description", event->text);
  dm_node_add_number(node, "code", event->code);
  dm_node_add_text(node, "correlation_id", event->correlation_id);
  dm_node_add_number(node, "custom_id", -1);
  dm_node_add_number(node, "flood_rate", 0);
  if (event->id != 0)
    dm_node_add_number(node, "index", event->id);
  dm_node_add_text(node, "origin", "dimmer");
  dm_node_add_text(node, "severity", dm_severity_name(event->severity));
  dm_node_add_date(node, "time", event->time);
  add_named(node, "host", "hosts", event->host_id, event->host_name);
  add_named(node, "user", "users", user, event->user);
  add_named(node, "vm", "vms", event->vm_id, event->vm_name);
  return node;
}

typedef struct {
  DmNode *nodes;
  DmSearch *search;
  gint64 skip, left;
} List;

static gboolean add_event(const DmAuditEvent *event, gpointer data) {
  List *list = data;
  if (list->left == 0)
    return FALSE;
  if (!dm_search_matches(list->search, get_field, event))
    return TRUE;
  if (list->skip > 0) {
    list->skip--;
    return TRUE;
  }
  dm_node_adopt(list->nodes, event_node(event), TRUE);
  list->left--;
  return list->left > 0;
}

/* Only the time can be sorted by, which is the order of the ids. */
static gboolean is_oldest_first(Call *call) {
  const char *text = dm_target_parameter(call->target, "search");
  g_autofree char *lower = g_ascii_strdown(text != NULL ? text : "", -1);
  return g_strrstr(lower, "sortby time asc") != NULL;
}

void handle_events(Call *call) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmSearch) search = dm_search_parse(dm_target_parameter(call->target, "search"), fields,
    dm_target_boolean(call->target, "case_sensitive", FALSE), &error);
  if (search == NULL) {
    reply_error(call, error);
    return;
  }
  gint64 max = dm_target_number(call->target, "max", -1);
  List list = {.nodes = dm_node_new("events"),
    .search = search,
    .left = max < 0 ? G_MAXINT64 : max,
    .skip = max > 0 ? max * (dm_search_page(search) - 1) : 0};
  if (dm_store_each_event(
        call->api->store, dm_target_number(call->target, "from", 0), is_oldest_first(call), add_event, &list, &error)) {
    reply_node(call, 200, list.nodes);
  } else {
    dm_node_free(list.nodes);
    reply_error(call, error);
  }
}

void handle_event(Call *call) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmAuditEvent) event = dm_store_find_event(call->api->store, strtoll(call->ids[0], NULL, 10), &error);
  if (error != NULL)
    reply_error(call, error);
  else if (event == NULL)
    reply_empty(call, 404);
  else
    reply_node(call, 200, event_node(event));
}
