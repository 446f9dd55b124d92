/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/error.h"
#include "connection_private.h"

/*
 * libvirt has no call that lists its drivers: this is the list of https://libvirt.org/drivers.html, and its transports
 * (https://libvirt.org/uri.html).
 */
static const char *const drivers[] = {"qemu", "test", "ch", "xen", "lxc", "vbox", "bhyve", "openvz", "vz", "parallels",
  "esx", "gsx", "vpx", "vmwareplayer", "vmwarews", "vmwarefusion", "hyperv", NULL};
static const char *const transports[] = {"unix", "ssh", "tls", "tcp", "ext", "libssh", "libssh2", NULL};

static const char *const qemu_paths[] = {"/system", "/session", "/embed", NULL};

static gboolean fail(const char *uri, const char *why, GError **error) {
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
    "'%s' is not a libvirt connection: %s; write it like qemu:///system or qemu+tls://kvm2.example.org/system", uri,
    why);
  return FALSE;
}

gboolean dm_connection_check_uri(const char *uri, GError **error) {
  g_autoptr(GUri) parsed = g_uri_parse(uri, G_URI_FLAGS_ENCODED, NULL);
  if (parsed == NULL)
    return fail(uri, "it is no URI", error);
  g_auto(GStrv) scheme = g_strsplit(g_uri_get_scheme(parsed), "+", 2);
  if (!g_strv_contains(drivers, scheme[0])) {
    g_autofree char *known = g_strjoinv(", ", (char **)drivers);
    g_autofree char *text = g_strdup_printf("it has no driver '%s', but %s", scheme[0], known);
    return fail(uri, text, error);
  }
  if (scheme[1] != NULL && !g_strv_contains(transports, scheme[1])) {
    g_autofree char *known = g_strjoinv(", ", (char **)transports);
    g_autofree char *text = g_strdup_printf("it has no transport '%s', but %s", scheme[1], known);
    return fail(uri, text, error);
  }
  if (strcmp(scheme[0], "qemu") == 0 && !g_strv_contains(qemu_paths, g_uri_get_path(parsed)))
    return fail(uri, "for qemu its path is /system or /session", error);
  return TRUE;
}

/* A socket parameter is a path on the remote host, for virt-ssh-helper or nc. */
char *dm_connection_local_uri(const char *uri) {
  g_autoptr(GUri) parsed = g_uri_parse(uri, G_URI_FLAGS_ENCODED, NULL);
  if (parsed == NULL || g_uri_get_host(parsed) == NULL || *g_uri_get_host(parsed) == '\0')
    return g_strdup(uri);
  g_auto(GStrv) scheme = g_strsplit(g_uri_get_scheme(parsed), "+", 2);
  const char *query = g_uri_get_query(parsed);
  g_autoptr(GHashTable) options = query != NULL ? g_uri_parse_params(query, -1, "&", G_URI_PARAMS_NONE, NULL) : NULL;
  const char *socket = options != NULL ? g_hash_table_lookup(options, "socket") : NULL;
  return socket != NULL ? g_strdup_printf("%s+unix://%s?socket=%s", scheme[0], g_uri_get_path(parsed), socket)
                        : g_strdup_printf("%s://%s", scheme[0], g_uri_get_path(parsed));
}

/* src/util/virpidfile.c and qemu_conf.c of libvirt. */
char *uri_state_folder(const char *uri_text) {
  g_autoptr(GUri) uri = uri_text != NULL ? g_uri_parse(uri_text, G_URI_FLAGS_NONE, NULL) : NULL;
  if (uri == NULL || (g_uri_get_host(uri) != NULL && *g_uri_get_host(uri) != '\0'))
    return NULL;
  if (strcmp(g_uri_get_scheme(uri), "qemu") != 0 && strcmp(g_uri_get_scheme(uri), "qemu+unix") != 0)
    return NULL;
  const char *query = g_uri_get_query(uri);
  g_autoptr(GHashTable) parameters = g_uri_parse_params(query != NULL ? query : "", -1, "&", G_URI_PARAMS_NONE, NULL);
  const char *socket = parameters != NULL ? g_hash_table_lookup(parameters, "socket") : NULL;
  g_autofree char *beside = socket != NULL ? g_path_get_dirname(socket) : NULL;
  if (strcmp(g_uri_get_path(uri), "/system") == 0)
    return g_build_filename(beside != NULL ? beside : "/run/libvirt", "qemu", NULL);
  if (strcmp(g_uri_get_path(uri), "/session") != 0)
    return NULL;
  return beside != NULL ? g_build_filename(beside, "qemu", "run", NULL)
                        : g_build_filename(g_get_user_runtime_dir(), "libvirt", "qemu", "run", NULL);
}
