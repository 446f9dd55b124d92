/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are for whom: root and the service of systemd, which tells its folders in the environment, have the
 * system's; everybody else has his own.
 */
#include <glib.h>
#include <unistd.h>

#include "settings.h"

#define SYSTEM_CONFIGURATION "/etc/dimmer"
#define SYSTEM_STATE "/var/lib/dimmer"

/* @variable is set by systemd for a unit, and has several folders with ':' between them where the unit asks for more.
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

/* ./run names the page of the build folder. */
char *place_web(void) {
  const char *given = g_getenv("DIMMER_WEB");
  return g_strdup(given != NULL && *given == '/' ? given : WEB_FOLDER);
}

/*
 * Who may write to the socket may ask; whether polkit then lets him in cannot be told without asking. The system's
 * service has a state folder below /var; it means the system's libvirt even where that is not up yet.
 */
char *place_connection(void) {
  const char *state = g_getenv("STATE_DIRECTORY");
  gboolean system = geteuid() == 0 || (state != NULL && g_str_has_prefix(state, "/var/")) ||
    access("/run/libvirt/libvirt-sock", W_OK) == 0 || access("/run/libvirt/virtqemud-sock", W_OK) == 0;
  return g_strdup(system ? "qemu:///system" : "qemu:///session");
}
