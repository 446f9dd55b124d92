/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Most routes are described by their kind: a GET of a collection or of one of its objects, by the last name in their
 * path (`kinds`); a collection that is always empty; one that only explains why it is not served. The rest has rows in
 * `operations`. A route with neither has no summary, and a unit test fails.
 */
#include "openapi.h"

#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "config.h"
#include "handlers.h"
#include "openapi_base.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_t, json_decref)

/* ---- descriptions of routes ---- */

static const struct {
  const char *segment; /* of the path */
  const char *schema;
  const char *collection, *item; /* as in XML; the JSON of a collection is an array named item */
  const char *parameters;        /* of the collection */
} kinds[] = {
  {"cdroms", "Cdrom", "cdroms", "cdrom", ""},
  {"clusters", "Cluster", "clusters", "cluster", "search max page case_sensitive"},
  {"datacenters", "DataCenter", "data_centers", "data_center", "search max page case_sensitive"},
  {"events", "Event", "events", "event", "from search max page case_sensitive"},
  {"graphicsconsoles", "GraphicsConsole", "graphics_consoles", "graphics_console", ""},
  {"hosts", "Host", "hosts", "host", "search max page case_sensitive"},
  {"jobs", "Job", "jobs", "job", "vm max"},
  {"memorydevices", "MemoryDevice", "memory_devices", "memory_device", ""},
  {"numanodes", "VmNumaNode", "vm_numa_nodes", "vm_numa_node", ""},
  {"operatingsystems", "OperatingSystem", "operation_systems", "operating_system", ""},
  {"snapshots", "Snapshot", "snapshots", "snapshot", ""},
  {"statistics", "Statistic", "statistics", "statistic", ""},
  {"steps", "Step", "steps", "step", ""},
  {"tags", "Tag", "tags", "tag", ""},
  {"templates", "Template", "templates", "template", "search max page case_sensitive"},
  {"users", "User", "users", "user", "search max page case_sensitive"},
  {"vms", "Vm", "vms", "vm", "search max page case_sensitive"},
};

#define TOKEN "/ovirt-engine/sso/oauth/"
#define SERVICES "/ovirt-engine/services/"

/*
 * @body: a schema; one that ends with "Form" is sent as a form. @answers: pairs STATUS=WHAT, where WHAT is a schema,
 * one of a collection ("MemoryDevice*"), a media type, or nothing. @faults: statuses. The words are separated by
 * blanks.
 */
static const struct {
  const char *method, *path, *summary, *parameters, *body, *answers, *faults;
} operations[] = {
  {"GET", "", "Links, product and summary", "", NULL, "200=Api", ""},
  {"GET", "openapi.json", "This document", "", NULL, "200=application/json", ""},
  {"GET", "vms/{}", "One VM", "next_run", NULL, "200=Vm", "404"},
  {"PUT", "vms/{}", "Change a VM's memory, comment or description",
    "async next_run live if_memory node kind policy try_unmovable force balloon", "VmChange", "200=Vm",
    "400 404 409 500 503"},
  {"POST", "vms/{}/start", "Start a VM, or let a paused one run on", "", "NewAction", "200=Action",
    "400 404 409 500 503"},
  {"POST", "vms/{}/stop", "Stop a VM at once", "", "NewAction", "200=Action", "400 404 409 500 503"},
  {"POST", "vms/{}/shutdown", "Ask the guest to shut down", "", "NewAction", "200=Action", "400 404 409 500 503"},
  {"POST", "vms/{}/reboot", "Ask the guest to reboot, into its next run where there is one", "", "NewAction",
    "200=Action", "400 404 409 500 503"},
  {"POST", "vms/{}/enablehotplug", "Write what hot plug needs into a VM's next run", "force", "EnableAction",
    "200=EnabledAction", "400 404 409 500 503"},
  {"POST", "vms/{}/prepareguest", "Make a running guest ready for hot unplug", "", "NewAction", "200=PreparedAction",
    "400 404 409 500 503"},
  {"POST", "vms/{}/memorydevices", "Plug memory", "force", "NewMemoryDevice", "201=MemoryDevice* 202=MemoryDevice*",
    "400 404 409 500 503"},
  {"DELETE", "vms/{}/memorydevices/{}", "Hot unplug a memory device", "try_unmovable force", NULL,
    "200=Action 202=Action 409=Action 503=Action", "404"},
  {"GET", "vms/{}/memoryplan", "What a change of memory would do",
    "memory guaranteed maximum plan_max next_run live node kind policy try_unmovable force balloon device plug max_size",
    NULL, "200=MemoryPlan", "400 404 409"},
  {"GET", "vms/{}/memorycheck", "Ask the guest what of its memory can go", "memory", NULL, "200=MemoryCheck",
    "400 404 409 503"},
  {"GET", "live", "What happens, as server-sent events", "", NULL, "200=text/event-stream", ""},
  {"POST", TOKEN "token", "Log in", "", "TokenForm", "200=Token", "400=TokenError"},
  {"GET", TOKEN "token-http-auth", "Log in by HTTP's Basic", "", NULL, "200=Token", "400=TokenError"},
  {"POST", TOKEN "token-http-auth", "Log in by HTTP's Basic", "", NULL, "200=Token", "400=TokenError"},
  {"POST", TOKEN "token-info", "Whose token it is", "", "OneTokenForm", "200=TokenInfo", "400=TokenError"},
  {"POST", TOKEN "revoke", "Log out", "", "OneTokenForm", "200=Empty", ""},
  {"POST", SERVICES "sso-logout", "Log out", "", "OneTokenForm", "200=Empty", ""},
  {"GET", SERVICES "pki-resource", "The CA's certificate", "", NULL, "200=application/x-x509-ca-cert", "404"},
  {"GET", "/ca.crt", "The CA's certificate", "", NULL, "200=application/x-x509-ca-cert", "404"},
  {"GET", "/", "To the WebAdmin page", "", NULL, "302=", ""},
  {"GET", "/favicon.ico", "The WebAdmin page's icon", "", NULL, "200=image/svg+xml", "404"},
  {"GET", WEB_BASE "/", "The WebAdmin page", "", NULL, "200=text/html", "404"},
  {"GET", WEB_BASE "/index.html", "To the WebAdmin page", "", NULL, "302=", ""},
  {"GET", WEB_BASE "/session", "The session of WebAdmin in this browser", "", NULL, "200=TokenSession 204=", ""},
  {"POST", WEB_BASE "/session", "Begin a session of WebAdmin", "", "SessionForm", "200=TokenSession", "400 403 429"},
  {"DELETE", WEB_BASE "/session", "End the session of WebAdmin", "", NULL, "204=", "403"},
  {"GET", WEB_BASE "/{}/{}", "A file of the WebAdmin page", "", NULL, "200=*/*", "404"},
  {"GET", "/health", "Whether a host is connected and the database can be written to", "", NULL,
    "200=text/plain 503=text/plain", ""},
  {"GET", SERVICES "health", "The same", "", NULL, "200=text/plain 503=text/plain", ""},
  {"GET", "/metrics", "Metrics for Prometheus", "", NULL, "200=text/plain", ""},
};

/* ---- parts of an operation ---- */

static json_t *reference(const char *kind, const char *name) {
  g_autofree char *path = g_strdup_printf("#/components/%s/%s", kind, name);
  return json_pack("{s:s}", "$ref", path);
}

static void set_media(json_t *content, const char *type, json_t *schema) {
  json_object_set_new(content, type, json_pack("{s:o}", "schema", schema));
}

/* In both formats. */
static json_t *content_of(json_t *schema) {
  json_t *content = json_object();
  set_media(content, "application/xml", json_incref(schema));
  set_media(content, "application/json", schema);
  return content;
}

static json_t *collection_of(const char *schema) {
  gsize i = 0;
  while (!g_str_equal(kinds[i].schema, schema))
    i++;
  return json_pack("{s:s,s:{s:s},s:{s:{s:s,s:o}}}", "type", "object", "xml", "name", kinds[i].collection, "properties",
    kinds[i].item, "type", "array", "items", reference("schemas", schema));
}

/* See operations. */
static json_t *content_named(const char *what) {
  gsize length = strlen(what);
  if (length == 0)
    return NULL;
  if (strchr(what, '/') != NULL) {
    json_t *content = json_object();
    json_object_set_new(content, what, json_object());
    return content;
  }
  if (g_str_has_suffix(what, "*")) {
    g_autofree char *schema = g_strndup(what, length - 1);
    return content_of(collection_of(schema));
  }
  if (g_str_has_prefix(what, "Token")) { /* as in oVirt, never XML */
    json_t *content = json_object();
    set_media(content, "application/json", reference("schemas", what));
    return content;
  }
  return content_of(reference("schemas", what));
}

static void add_response(json_t *responses, const char *status, const char *what) {
  static const struct {
    const char *status, *description;
  } meanings[] = {
    {"200", "Done"},
    {"201", "Made"},
    {"202", "Under way"},
    {"204", "There is none"},
    {"302", "It is elsewhere"},
    {"400", "Not understood"},
    {"409", "A rule, or the guest refused"},
    {"503", "Not reached, or not healthy"},
  };
  gsize i = 0;
  while (!g_str_equal(meanings[i].status, status))
    i++;
  json_t *response = json_pack("{s:s}", "description", meanings[i].description), *content = content_named(what);
  if (content != NULL)
    json_object_set_new(response, "content", content);
  json_object_set_new(responses, status, response);
}

/* Words: STATUS, which has its own response in the components, or STATUS=WHAT. */
static void add_responses(json_t *responses, const char *words) {
  g_auto(GStrv) list = g_strsplit(words, " ", -1);
  for (char **word = list; *word != NULL; word++) {
    char *what = strchr(*word, '=');
    if (what != NULL) {
      *what = '\0';
      add_response(responses, *word, what + 1);
    } else if (**word != '\0') {
      json_object_set_new(responses, *word, reference("responses", *word));
    }
  }
}

static void add_parameters(json_t *parameters, const char *words) {
  g_auto(GStrv) list = g_strsplit(words, " ", -1);
  for (char **word = list; *word != NULL; word++) {
    if (**word != '\0')
      json_array_append_new(parameters, reference("parameters", *word));
  }
}

static void add_body(json_t *operation, const char *schema) {
  json_t *content;
  if (g_str_has_suffix(schema, "Form")) {
    content = json_object();
    set_media(content, "application/x-www-form-urlencoded", reference("schemas", schema));
  } else {
    content = content_of(reference("schemas", schema));
  }
  json_object_set_new(operation, "requestBody", json_pack("{s:b,s:o}", "required", TRUE, "content", content));
}

/* ---- a route ---- */

/* "vms/{}/memorydevices/{}" → "/ovirt-engine/api/vms/{vm_id}/memorydevices/{memorydevice_id}" */
static char *path_of(const Route *route, json_t *parameters) {
  GString *path = g_string_new(route->path[0] == '/' ? "" : API_BASE);
  g_auto(GStrv) segments = g_strsplit(route->path[0] == '/' ? route->path + 1 : route->path, "/", -1);
  for (gsize i = 0; segments[i] != NULL; i++) {
    if (i == 0 && *segments[i] == '\0' && route->path[0] != '/')
      break; /* the base itself */
    if (!g_str_equal(segments[i], "{}")) {
      g_string_append_printf(path, "/%s", segments[i]);
      continue;
    }
    gboolean item = g_str_has_suffix(segments[i - 1], "s");
    g_autofree char *name = item ? g_strdup_printf("%.*s_id", (int)strlen(segments[i - 1]) - 1, segments[i - 1])
                                 : g_strdup(g_str_equal(segments[i - 1], "{}") ? "file" : "version");
    g_string_append_printf(path, "/{%s}", name);
    json_array_append_new(parameters,
      json_pack("{s:s,s:s,s:b,s:{s:s}}", "name", name, "in", "path", "required", TRUE, "schema", "type", "string"));
  }
  if (path->len == 0)
    g_string_append_c(path, '/');
  return g_string_free(path, FALSE);
}

/* For a GET described by `kinds`. FALSE: it is not. */
static gboolean describe_by_kind(const Route *route, json_t *operation, json_t *parameters, json_t *responses) {
  gboolean one = g_str_has_suffix(route->path, "/{}");
  g_autofree char *path = g_strndup(route->path, strlen(route->path) - (one ? strlen("/{}") : 0));
  const char *slash = strrchr(path, '/'), *segment = slash != NULL ? slash + 1 : path;
  for (gsize i = 0; i < G_N_ELEMENTS(kinds) && g_str_equal(route->method, "GET"); i++) {
    if (!g_str_equal(kinds[i].segment, segment))
      continue;
    g_autofree char *summary = g_strdup_printf(one ? "One of %s" : "All %s", kinds[i].collection);
    g_autofree char *answer = g_strdup_printf(one ? "200=%s" : "200=%s*", kinds[i].schema);
    g_strdelimit(summary, "_", ' ');
    json_object_set_new(operation, "summary", json_string(summary));
    add_parameters(parameters, one ? "" : kinds[i].parameters);
    add_responses(responses, answer);
    add_responses(responses, one || slash != NULL ? "404" : *kinds[i].parameters != '\0' ? "400" : "");
    return TRUE;
  }
  return FALSE;
}

static void describe(const Route *route, json_t *operation, json_t *parameters, json_t *responses) {
  for (gsize i = 0; i < G_N_ELEMENTS(operations); i++) {
    if (!g_str_equal(operations[i].method, route->method) || !g_str_equal(operations[i].path, route->path))
      continue;
    json_object_set_new(operation, "summary", json_string(operations[i].summary));
    add_parameters(parameters, operations[i].parameters);
    if (operations[i].body != NULL)
      add_body(operation, operations[i].body);
    add_responses(responses, operations[i].answers);
    add_responses(responses, operations[i].faults);
    return;
  }
  if (route->hidden) {
    json_object_set_new(operation, "summary", json_string("Not served: the answer says why"));
    add_responses(responses, route->open ? "400=TokenError" : route->action ? "400=Action 404" : "405 404");
  } else if (route->element != NULL) {
    json_object_set_new(operation, "summary", json_string("Empty here"));
    add_responses(responses, strchr(route->path, '{') != NULL ? "200=Empty 404" : "200=Empty");
  } else {
    describe_by_kind(route, operation, parameters, responses);
  }
}

/* Common to all routes of a kind. */
static void describe_sort(const Route *route, json_t *operation, json_t *parameters, json_t *responses) {
  gboolean get = g_str_equal(route->method, "GET");
  if (route->open) {
    json_object_set_new(operation, "security", json_array());
    return;
  }
  add_responses(responses, "401");
  if (route->changes)
    add_responses(responses, "403");
  if (route->changes && !g_str_equal(route->method, "DELETE"))
    add_responses(responses, "413 415");
  if (route->path[0] == '/' || route->stream)
    return;
  add_responses(responses, "406");
  add_parameters(parameters, "accept correlation_id");
  if (get) {
    add_parameters(parameters, "follow");
    add_responses(responses, json_object_get(responses, "400") != NULL ? "" : "400");
  }
}

/* The faults of an action are wrapped in an <action>. */
static void wrap_faults(json_t *responses, json_t *components) {
  const char *status;
  json_t *response;
  void *next;
  json_object_foreach_safe(responses, next, status, response) {
    const json_t *shared = json_object_get(json_object_get(components, "responses"), status);
    if (json_object_get(response, "$ref") == NULL || json_object_get(shared, "content") == NULL)
      continue;
    json_object_set_new(responses, status,
      json_pack("{s:O,s:o}", "description", json_object_get(shared, "description"), "content",
        content_of(reference("schemas", "Action"))));
  }
}

static void add_route(json_t *paths, const Route *route, json_t *components) {
  json_t *operation = json_object(), *parameters = json_array(), *responses = json_object();
  g_autofree char *path = path_of(route, parameters), *method = g_ascii_strdown(route->method, -1);
  describe(route, operation, parameters, responses);
  describe_sort(route, operation, parameters, responses);
  if (route->action)
    wrap_faults(responses, components);
  json_object_set_new(operation, "parameters", parameters);
  json_object_set_new(operation, "responses", responses);
  json_t *item = json_object_get(paths, path);
  if (item == NULL) {
    item = json_object();
    json_object_set_new(paths, path, item);
  }
  json_object_set_new(item, method, operation);
}

/* All codes of faults. */
static json_t *list_codes(void) {
  static const char *const own[] = {FAULT_FORBIDDEN, FAULT_LOGIN, FAULT_MEDIA_TYPE, FAULT_METHOD, FAULT_NOT_CHANGED,
    FAULT_NOT_SUPPORTED, FAULT_TOO_LARGE};
  json_t *codes = json_array();
  for (int code = 0; dm_error_info(code)->code == (DmError)code; code++)
    json_array_append_new(codes, json_string(dm_error_info(code)->name));
  for (gsize i = 0; i < G_N_ELEMENTS(own); i++)
    json_array_append_new(codes, json_string(own[i]));
  return codes;
}

char *openapi_text(const Route *routes) {
  g_autoptr(json_t) document = json_loads(openapi_base, 0, NULL);
  json_t *paths = json_object(), *components = json_object_get(document, "components");
  json_object_set_new(json_object_get(json_object_get(components, "schemas"), "Code"), "enum", list_codes());
  json_object_set_new(json_object_get(document, "info"), "version", json_string(DM_VERSION));
  json_object_set_new(document, "paths", paths);
  for (const Route *route = routes; route->path != NULL; route++)
    add_route(paths, route, components);
  char *text = json_dumps(document, JSON_COMPACT | JSON_PRESERVE_ORDER), *copy = g_strdup(text);
  free(text);
  return copy;
}

void handle_openapi(Call *call) {
  g_autofree char *text = openapi_text(call->api->routes);
  reply_text(call, 200, "application/json", text);
}
