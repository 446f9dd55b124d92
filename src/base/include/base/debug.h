/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug messages: each libvirt call, each event, each phase of a change, each line exchanged with an agent. They go to
 * GLib's log at level debug, under the domain "dimmer". Disabled, each costs one comparison. Any thread.
 *
 * A message begins with its subject: "libvirt", "event", "change" or "agent". It must not contain passwords, tokens or
 * XML.
 */
#pragma once

#include <glib.h>

void dm_debug_set(gboolean on);
gboolean dm_debug_is_on(void);

/* One line, truncated to a maximum; control characters are replaced. */
void dm_debug_write(const char *topic, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The arguments are evaluated only if debugging is on. */
#define dm_debug(...)              \
  do {                             \
    if (dm_debug_is_on())          \
      dm_debug_write(__VA_ARGS__); \
  } while (0)

/* Milliseconds since @since, a g_get_monotonic_time(). */
double dm_debug_since(gint64 since);
