/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of dimmerd from another project: libgovirt, as virt-viewer uses it. Prints a line for each thing that it
 * sees; test_govirt.py reads them. Verbs are done in their order, on one OvirtProxy.
 *
 * usage: govirt_client [OPTION...] HOST VERB [ARGUMENT] [VERB [ARGUMENT]]...
 *
 * HOST is a bare HOST:PORT, which libgovirt makes an https:// URI of, or an http:// URI (it warns of that).
 */
#include <govirt/govirt.h>
#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(OvirtProxy, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OvirtCollection, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OvirtResource, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OvirtCluster, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OvirtHost, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OvirtVmDisplay, g_object_unref)

typedef struct {
  OvirtProxy *proxy;
  OvirtApi *api; /* borrowed */
} Client;

typedef struct {
  const char *name;
  gboolean has_argument;
  gboolean (*run)(Client *client, const char *argument, GError **error);
} Verb;

static const char *state_name(OvirtResource *vm) {
  OvirtVmState state;
  g_object_get(vm, "state", &state, NULL);
  g_autoptr(GEnumClass) states = g_type_class_ref(OVIRT_TYPE_VM_STATE);
  return g_enum_get_value(states, (gint)state)->value_nick;
}

static void print_vm(const char *what, OvirtResource *vm) {
  g_autofree char *name = NULL, *guid = NULL, *description = NULL;
  g_autoptr(OvirtVmDisplay) display = NULL;
  g_object_get(vm, "name", &name, "guid", &guid, "description", &description, "display", &display, NULL);
  OvirtVmDisplayType kind = OVIRT_VM_DISPLAY_INVALID;
  if (display != NULL)
    g_object_get(display, "type", &kind, NULL);
  g_print("%s %s %s %s %s\n", what, name, guid, state_name(vm), kind == OVIRT_VM_DISPLAY_VNC ? "vnc" : "spice");
}

static int by_name(gconstpointer a, gconstpointer b) {
  return strcmp(a, b);
}

static void print_all(OvirtCollection *collection) {
  GHashTable *found = ovirt_collection_get_resources(collection);
  g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(found), by_name);
  g_print("%u\n", g_hash_table_size(found));
  for (GList *name = names; name != NULL; name = name->next)
    print_vm("vm", g_hash_table_lookup(found, name->data));
}

static gboolean verb_root(Client *client, const char *argument, GError **error) {
  client->api = ovirt_proxy_fetch_api(client->proxy, error);
  if (client->api != NULL)
    g_print("root\n");
  return client->api != NULL;
}

static gboolean verb_list(Client *client, const char *argument, GError **error) {
  OvirtCollection *vms = ovirt_api_get_vms(client->api);
  if (!ovirt_collection_fetch(vms, client->proxy, error))
    return FALSE;
  print_all(vms);
  return TRUE;
}

static gboolean verb_search(Client *client, const char *argument, GError **error) {
  g_autoptr(OvirtCollection) vms = ovirt_api_search_vms(client->api, argument);
  if (!ovirt_collection_fetch(vms, client->proxy, error))
    return FALSE;
  print_all(vms);
  return TRUE;
}

/* The VM of that name out of the last 'list', owned by the caller. */
static OvirtResource *find(Client *client, const char *name, GError **error) {
  OvirtResource *vm = ovirt_collection_lookup_resource(ovirt_api_get_vms(client->api), name);
  if (vm == NULL)
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no VM %s", name);
  return vm;
}

static gboolean verb_refresh(Client *client, const char *argument, GError **error) {
  g_autoptr(OvirtResource) vm = find(client, argument, error);
  if (vm == NULL || !ovirt_resource_refresh(vm, client->proxy, error))
    return FALSE;
  print_vm("refreshed", vm);
  return TRUE;
}

static gboolean verb_start(Client *client, const char *argument, GError **error) {
  g_autoptr(OvirtResource) vm = find(client, argument, error);
  if (vm == NULL || !ovirt_vm_start(OVIRT_VM(vm), client->proxy, error))
    return FALSE;
  g_print("started %s\n", argument);
  return TRUE;
}

static gboolean verb_stop(Client *client, const char *argument, GError **error) {
  g_autoptr(OvirtResource) vm = find(client, argument, error);
  if (vm == NULL || !ovirt_vm_stop(OVIRT_VM(vm), client->proxy, error))
    return FALSE;
  g_print("stopped %s\n", argument);
  return TRUE;
}

static gboolean print_resource(OvirtResource *resource, const char *what, OvirtProxy *proxy, GError **error) {
  if (!ovirt_resource_refresh(resource, proxy, error))
    return FALSE;
  g_autofree char *name = NULL;
  g_object_get(resource, "name", &name, NULL);
  g_print("%s %s\n", what, name);
  return TRUE;
}

static gboolean verb_cluster(Client *client, const char *argument, GError **error) {
  g_autoptr(OvirtResource) vm = find(client, argument, error);
  if (vm == NULL)
    return FALSE;
  g_autoptr(OvirtCluster) cluster = ovirt_vm_get_cluster(OVIRT_VM(vm));
  return print_resource(OVIRT_RESOURCE(cluster), "cluster", client->proxy, error);
}

static gboolean verb_host(Client *client, const char *argument, GError **error) {
  g_autoptr(OvirtResource) vm = find(client, argument, error);
  if (vm == NULL)
    return FALSE;
  g_autoptr(OvirtHost) host = ovirt_vm_get_host(OVIRT_VM(vm));
  return print_resource(OVIRT_RESOURCE(host), "host", client->proxy, error);
}

static const Verb verbs[] = {
  {"root", FALSE, verb_root},
  {"list", FALSE, verb_list},
  {"search", TRUE, verb_search},
  {"refresh", TRUE, verb_refresh},
  {"start", TRUE, verb_start},
  {"stop", TRUE, verb_stop},
  {"cluster", TRUE, verb_cluster},
  {"host", TRUE, verb_host},
};

static const Verb *find_verb(const char *name, GError **error) {
  for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
    if (strcmp(verbs[i].name, name) == 0)
      return &verbs[i];
  }
  g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "no verb '%s'", name);
  return NULL;
}

static gboolean run(Client *client, char **words, GError **error) {
  while (*words != NULL) {
    const Verb *verb = find_verb(*words++, error);
    if (verb == NULL)
      return FALSE;
    const char *argument = verb->has_argument ? *words++ : NULL;
    if (!verb->run(client, argument, error))
      return FALSE;
  }
  return TRUE;
}

int main(int argc, char **argv) {
  g_autofree char *user = NULL, *password = NULL, *token = NULL, *ca = NULL;
  gboolean admin = FALSE;
  const GOptionEntry options[] = {
    {"user", 0, 0, G_OPTION_ARG_STRING, &user, "HTTP Basic, once it is asked for", "USER"},
    {"password", 0, 0, G_OPTION_ARG_STRING, &password, "of that user", "PASSWORD"},
    {"token", 0, 0, G_OPTION_ARG_STRING, &token, "an SSO token instead", "TOKEN"},
    {"ca", 0, 0, G_OPTION_ARG_FILENAME, &ca, "the CA's certificate", "FILE"},
    {"admin", 0, 0, G_OPTION_ARG_NONE, &admin, "the administrator's view", NULL},
    {NULL},
  };
  g_autoptr(GError) error = NULL;
  g_autoptr(GOptionContext) context = g_option_context_new("HOST VERB [ARGUMENT]...");
  g_option_context_add_main_entries(context, options, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error) || argc < 3) {
    g_printerr("%s\n", error != NULL ? error->message : "HOST and a VERB are wanted");
    return 2;
  }
  g_autoptr(OvirtProxy) proxy = ovirt_proxy_new(argv[1]);
  g_object_set(proxy, "admin", admin, NULL);
  if (user != NULL)
    g_object_set(proxy, "username", user, "password", password, NULL);
  if (token != NULL)
    g_object_set(proxy, "sso-token", token, NULL);
  if (ca != NULL)
    g_object_set(proxy, "ssl-ca-file", ca, NULL);
  Client client = {proxy, NULL};
  if (run(&client, argv + 2, &error))
    return 0;
  g_print("error: %s\n", error != NULL ? error->message : "without a reason");
  return 1;
}
