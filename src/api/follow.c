/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameter follow: includes the targets of an object's links in the answer, in place or beside the link.
 *
 * A link is a child with an href, such as <cluster>, or one of the object's collections, as its <link rel="..."> names
 * them. Each is a path: "host.cluster,disk_attachments.disk". It is checked against the types (follow_links.c) before
 * anything is looked up, so that the result does not depend on present objects. A link that an object could have, but
 * does not, is omitted. Any other name is an error, never ignored.
 */
#include <string.h>

#include "base/error.h"
#include "follow.h"
#include "views.h"

/* A client needs a handful; each is work for each object of a list. */
#define MOST_PATHS 32
#define MOST_LEVELS 6
#define MOST_FOLLOWED 1000 /* objects and collections in one: statistics.vm.statistics.vm multiplies */

/* The type of an object, as a path of routes.c ("vms/{}"), and its ids. */
typedef struct {
  char *kind;
  char *ids[2];
  guint depth; /* segments */
} Place;

static void clear_place(Place *place) {
  g_free(place->kind);
  g_free(place->ids[0]);
  g_free(place->ids[1]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Place, clear_place)

/* From an href of ours; its kind is "" if that is not in the API. */
static void read_place(const char *href, Place *place) {
  const char *rest = href != NULL && g_str_has_prefix(href, API_BASE "/") ? href + strlen(API_BASE "/") : "";
  g_auto(GStrv) segments = g_strsplit(rest, "/", 5);
  g_autoptr(GString) kind = g_string_new(NULL);
  place->depth = g_strv_length(segments);
  for (guint i = 0; i < MIN(place->depth, 4); i++) {
    if (i % 2 == 1)
      place->ids[i / 2] = g_strdup(segments[i]);
    g_string_append_printf(kind, "%s%s", i > 0 ? "/" : "", i % 2 == 1 ? "{}" : segments[i]);
  }
  place->kind = g_string_free(g_steal_pointer(&kind), FALSE);
}

/* Case and '_' make no difference. */
static char *normalized(const char *name) {
  GString *text = g_string_new(NULL);
  for (; *name != '\0'; name++) {
    if (*name != '_')
      g_string_append_c(text, g_ascii_tolower(*name));
  }
  return g_string_free(text, FALSE);
}

static DmNode *find_child(const DmNode *node, const char *name) {
  g_autofree char *wanted = normalized(name);
  for (DmNode *child = dm_node_next(node, NULL); child != NULL; child = dm_node_next(node, child)) {
    g_autofree char *is = normalized(dm_node_name(child));
    if (g_str_equal(is, wanted))
      return child;
  }
  return NULL;
}

/* The object; NULL: it is gone, or that kind cannot be looked up. */
static DmNode *find_object(Call *call, const Place *place) {
  DmApi *api = call->api;
  if (place->depth != 2)
    return NULL;
  if (g_str_equal(place->kind, "vms/{}")) {
    DmEntry *entry = dm_inventory_find(api->inventory, place->ids[0]);
    return entry != NULL ? vm_node(api, entry, FALSE) : NULL;
  }
  if (g_str_equal(place->kind, "hosts/{}")) {
    const DmHost *host = dm_inventory_find_host(api->inventory, place->ids[0]);
    return host != NULL ? host_node(api, host) : NULL;
  }
  if (g_str_equal(place->kind, "jobs/{}")) {
    const DmJob *job = dm_jobs_find(api->jobs, place->ids[0]);
    return job != NULL ? job_node(api, job) : NULL;
  }
  if (g_str_equal(place->kind, "users/{}"))
    return user_node_of(api, place->ids[0]);
  return fixed_node(api, place->kind, place->ids[0]);
}

/* A non-empty child of that name; NULL: none. */
static DmNode *find_own_collection(Call *call, const Place *place, const char *link) {
  DmApi *api = call->api;
  if (g_str_equal(place->kind, "vms/{}")) {
    const DmEntry *entry = dm_inventory_find(api->inventory, place->ids[0]);
    return entry == NULL                      ? NULL
      : g_str_equal(link, "statistics")       ? statistics_node(entry)
      : g_str_equal(link, "memorydevices")    ? devices_node(api, entry)
      : g_str_equal(link, "numanodes")        ? numa_nodes_node(entry)
      : g_str_equal(link, "cdroms")           ? cdroms_node(entry)
      : g_str_equal(link, "snapshots")        ? snapshots_node(api, entry)
      : g_str_equal(link, "graphicsconsoles") ? consoles_node(entry)
                                              : NULL;
  }
  if (g_str_equal(place->kind, "hosts/{}") && g_str_equal(link, "statistics")) {
    const DmHost *host = dm_inventory_find_host(api->inventory, place->ids[0]);
    return host != NULL ? host_statistics_node(host) : NULL;
  }
  if (g_str_equal(place->kind, "datacenters/{}") && g_str_equal(link, "clusters"))
    return clusters_node(api);
  if (g_str_equal(place->kind, "jobs/{}") && g_str_equal(link, "steps")) {
    const DmJob *job = dm_jobs_find(api->jobs, place->ids[0]);
    return job != NULL ? steps_node(api, job) : NULL;
  }
  return NULL;
}

/* The element of the empty collection at that route path; NULL: none. */
static const char *find_empty(const DmApi *api, const char *path) {
  for (const Route *route = api->routes; route->path != NULL; route++) {
    if (route->element != NULL && g_str_equal(route->path, path))
      return route->element;
  }
  return NULL;
}

/* The collection of that name of the object at @place; NULL: it has none. */
static DmNode *find_collection(Call *call, const Place *place, const char *link) {
  DmNode *node = find_own_collection(call, place, link);
  if (node != NULL)
    return node;
  g_autofree char *path = g_strdup_printf("%s/%s", place->kind, link);
  const char *element = find_empty(call->api, path);
  return element != NULL ? dm_node_new(element) : NULL;
}

static gboolean follow_path(Call *call, DmNode *node, char **names, GError **error);

static gboolean follow_items(Call *call, DmNode *collection, char **names, GError **error) {
  for (DmNode *item = dm_node_next(collection, NULL); item != NULL; item = dm_node_next(collection, item)) {
    if (dm_node_is_item(item) && !g_str_equal(dm_node_name(item), "link") && !follow_path(call, item, names, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean count(Call *call, GError **error) {
  if (++call->followed <= MOST_FOLLOWED)
    return TRUE;
  g_set_error(
    error, DM_ERROR, DM_ERROR_BAD_VALUE, "follow leads to more than %d objects; ask for less at once", MOST_FOLLOWED);
  return FALSE;
}

/* @names: the rest of a path. */
static gboolean follow_path(Call *call, DmNode *node, char **names, GError **error) {
  if (*names == NULL)
    return TRUE;
  if (!count(call, error))
    return FALSE;
  g_auto(Place) place = {0};
  g_autofree char *link = normalized(*names);
  read_place(dm_node_attribute(node, "href"), &place);
  DmNode *child = find_child(node, link);
  if (child != NULL && dm_node_attribute(child, "href") != NULL && !dm_node_is_item(child)) {
    g_auto(Place) target = {0};
    read_place(dm_node_attribute(child, "href"), &target);
    DmNode *object = find_object(call, &target);
    if (object == NULL)
      return TRUE;
    dm_node_fill(child, object);
    return follow_path(call, child, names + 1, error);
  }
  DmNode *collection = find_collection(call, &place, link);
  if (collection == NULL)
    return TRUE;
  DmNode *there = find_child(node, dm_node_name(collection)); /* it is named twice */
  if (there != NULL)
    dm_node_free(collection);
  else
    dm_node_adopt(node, there = collection, FALSE);
  return follow_items(call, there, names + 1, error);
}

/* The paths in @wanted, without duplicates. */
static char **each_once(const char *wanted) {
  g_auto(GStrv) named = g_strsplit(wanted, ",", -1);
  g_autoptr(GPtrArray) paths = g_ptr_array_new();
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (char **path = named; *path != NULL; path++) {
    if (g_hash_table_add(seen, normalized(g_strstrip(*path))))
      g_ptr_array_add(paths, g_strdup(*path));
  }
  g_ptr_array_add(paths, NULL);
  return (char **)g_ptr_array_steal(paths, NULL);
}

/* The type of the request's answer, or of its items; "": no links. The caller frees. */
static char *type_of_answer(const Call *call) {
  g_auto(GStrv) segments = g_strsplit(call->route->path, "/", -1);
  char *type = g_strdup(*call->route->path == '\0' ? "api" : "/");
  for (char **segment = segments; *segment != NULL && **segment != '\0'; segment++) {
    if (g_str_equal(*segment, "{}"))
      continue;
    char *target = follow_target(type, *segment);
    g_free(type);
    type = target != NULL ? target : g_strdup("");
  }
  return type;
}

static gboolean check_path(const char *path, const char *from, GError **error) {
  g_auto(GStrv) names = g_strsplit(path, ".", -1);
  g_autofree char *type = g_strdup(from);
  if (g_strv_length(names) > MOST_LEVELS) {
    g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE, "follow goes through more than %d links; ask for less at once",
      MOST_LEVELS - 1);
    return FALSE;
  }
  for (char **name = names; *name != NULL; name++) {
    g_autofree char *link = normalized(*name);
    char *target = follow_target(type, link);
    if (target == NULL) {
      g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
        "follow: '%.64s' is no link of %s%s; leave it out, or name one of the links that it has", *name,
        name == names ? "what is asked for" : "what comes before it, ", name == names ? "" : name[-1]);
      return FALSE;
    }
    g_free(type);
    type = target;
  }
  return TRUE;
}

gboolean follow_check(const Call *call, GError **error) {
  const char *wanted = dm_target_parameter(call->target, "follow");
  if (wanted == NULL || *wanted == '\0')
    return TRUE;
  g_auto(GStrv) paths = each_once(wanted);
  g_autofree char *type = type_of_answer(call);
  if (g_strv_length(paths) > MOST_PATHS) {
    g_set_error(
      error, DM_ERROR, DM_ERROR_BAD_VALUE, "follow names more than %d links; ask for less at once", MOST_PATHS);
    return FALSE;
  }
  for (char **path = paths; *path != NULL; path++) {
    if (!check_path(*path, type, error))
      return FALSE;
  }
  return TRUE;
}

gboolean follow(Call *call, DmNode *node, GError **error) {
  const char *wanted = dm_target_parameter(call->target, "follow");
  if (wanted == NULL || *wanted == '\0')
    return TRUE;
  g_auto(GStrv) paths = each_once(wanted);
  call->followed = 0;
  for (char **path = paths; *path != NULL; path++) {
    g_auto(GStrv) names = g_strsplit(*path, ".", -1);
    gboolean one = dm_node_attribute(node, "href") != NULL || g_str_equal(dm_node_name(node), "api");
    if (one ? !follow_path(call, node, names, error) : !follow_items(call, node, names, error))
      return FALSE;
  }
  return TRUE;
}
