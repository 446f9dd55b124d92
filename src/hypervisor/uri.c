/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/error.h"
#include "hypervisor/connection.h"

/* libvirt has no list of its drivers to be asked for: this is that of https://libvirt.org/drivers.html, and its ways to
 * reach a host (https://libvirt.org/uri.html). */
static const char *const drivers[] = {"qemu", "test", "ch", "xen", "lxc", "vbox", "bhyve", "openvz", "vz", "parallels",
  "esx", "gsx", "vpx", "vmwareplayer", "vmwarews", "vmwarefusion", "hyperv", NULL};
static const char *const transports[] = {"unix", "ssh", "tls", "tcp", "ext", "libssh", "libssh2", NULL};

static const char *const qemu_paths[] = {"/system", "/session", "/embed", NULL};

static gboolean fail(const char *uri, const char *why, GError **error) {
  g_set_error(error, DM_ERROR, DM_ERROR_BAD_VALUE,
    "'%s' is no connection of libvirt: %s; write it like qemu:///system or qemu+tls://kvm2.example.org/system", uri,
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
