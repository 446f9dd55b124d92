/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Default paths: root and the systemd service, which gets its folders in the environment, use the system's; other users
 * their own.
 */
#include <glib.h>
#include <unistd.h>

#include "hypervisor/connection.h"
#include "settings.h"

#define SYSTEM_CONFIGURATION "/etc/dimmer"
#define SYSTEM_STATE "/var/lib/dimmer"

/* @variable is set by systemd for a unit, with several folders separated by ':' if the unit has more.
 */
static char *folder_of(const char *variable, const char *system, const char *own) {
  const char *given = g_getenv(variable);
  if (given != NULL && *given == '/') {
    g_auto(GStrv) folders = g_strsplit(given, ":", 2);
    return g_strdup(folders[0]);
  }
  return geteuid() == 0 ? g_strdup(system) : g_build_filename(own, "dimmer", NULL);
}

static char *in_configuration(const char *name) {
  g_autofree char *folder = folder_of("CONFIGURATION_DIRECTORY", SYSTEM_CONFIGURATION, g_get_user_config_dir());
  return g_build_filename(folder, name, NULL);
}

char *place_configuration(void) {
  return in_configuration("dimmerd.conf");
}

char *place_users(void) {
  return in_configuration("users");
}

char *place_database(void) {
  g_autofree char *folder = folder_of("STATE_DIRECTORY", SYSTEM_STATE, g_get_user_state_dir());
  return g_build_filename(folder, "dimmer.db", NULL);
}

/* ./run sets it to the page in the build folder. */
char *place_web(void) {
  const char *given = g_getenv("DIMMER_WEB");
  return g_strdup(given != NULL && *given == '/' ? given : WEB_FOLDER);
}

/*
 * The socket may be writable by all, with polkit behind it: so other users than root and the system's service try it.
 * That service has a state folder below /var; it uses the system's libvirt even if that is not up yet.
 */
char *place_connection(void) {
  const char *state = g_getenv("STATE_DIRECTORY");
  gboolean written = access("/run/libvirt/libvirt-sock", W_OK) == 0 || access("/run/libvirt/virtqemud-sock", W_OK) == 0;
  gboolean system = geteuid() == 0 || (state != NULL && g_str_has_prefix(state, "/var/")) ||
    (written && dm_connection_can_open("qemu:///system"));
  return g_strdup(system ? "qemu:///system" : "qemu:///session");
}
