/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi.h"

#include <jansson.h>
#include <string.h>

#include "handlers.h"

static json_t *document;

/* "vms/{}" fits "/ovirt-engine/api/vms/{vm_id}". */
static gboolean fits(const char *route, const char *path) {
  g_autofree char *full = route[0] == '/' ? g_strdup(route)
    : *route != '\0'                      ? g_strconcat(API_BASE "/", route, NULL)
                                          : g_strdup(API_BASE);
  g_auto(GStrv) wanted = g_strsplit(full, "/", -1), found = g_strsplit(path, "/", -1);
  if (g_strv_length(wanted) != g_strv_length(found))
    return FALSE;
  for (gsize i = 0; wanted[i] != NULL; i++) {
    gboolean id = g_str_equal(wanted[i], "{}") && found[i][0] == '{';
    if (!id && !g_str_equal(wanted[i], found[i]))
      return FALSE;
  }
  return TRUE;
}

static json_t *find(const Route *route) {
  const char *path;
  json_t *item;
  g_autofree char *method = g_ascii_strdown(route->method, -1);
  json_object_foreach(json_object_get(document, "paths"), path, item) {
    if (fits(route->path, path))
      return json_object_get(item, method);
  }
  return NULL;
}

static void test_each_route_is_described(void) {
  for (const Route *route = routes_all(); route->path != NULL; route++) {
    const json_t *operation = find(route);
    g_test_message("%s %s", route->method, route->path);
    g_assert_nonnull(operation);
    g_assert_nonnull(json_object_get(operation, "summary"));
    g_assert_cmpuint(json_object_size(json_object_get(operation, "responses")), >, 0);
  }
}

static void test_nothing_else_is_described(void) {
  const char *path;
  json_t *item;
  guint operations = 0, routes = 0;
  json_object_foreach(json_object_get(document, "paths"), path, item) {
    operations += (guint)json_object_size(item);
  }
  for (const Route *route = routes_all(); route->path != NULL; route++)
    routes++;
  g_assert_cmpuint(operations, ==, routes);
}

/* Each "$ref" is of something that is there. */
static void check_references(const json_t *value) {
  const char *key;
  json_t *member;
  gsize i;
  if (json_is_array(value))
    json_array_foreach(value, i, member) check_references(member);
  if (!json_is_object(value))
    return;
  const char *reference = json_string_value(json_object_get(value, "$ref"));
  if (reference != NULL) {
    g_auto(GStrv) steps = g_strsplit(reference, "/", -1);
    const json_t *at = document;
    for (char **step = steps + 1; *step != NULL; step++)
      at = json_object_get(at, *step);
    g_test_message("%s", reference);
    g_assert_nonnull(at);
  }
  json_object_foreach((json_t *)value, key, member) check_references(member);
}

static void test_references(void) {
  check_references(document);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_autofree char *text = openapi_text(routes_all());
  document = json_loads(text, 0, NULL);
  g_assert_nonnull(document);
  g_test_add_func("/openapi/each-route-is-described", test_each_route_is_described);
  g_test_add_func("/openapi/nothing-else-is-described", test_nothing_else_is_described);
  g_test_add_func("/openapi/references", test_references);
  int status = g_test_run();
  json_decref(document);
  return status;
}
