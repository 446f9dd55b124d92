/* SPDX-License-Identifier: Apache-2.0 */
/* SIGINT, SIGTERM and SIGHUP as events of the main loop. */
#pragma once

#include <glib.h>

/*
 * Calls @func in the main loop for each SIGHUP, and for the first SIGINT or SIGTERM. A second one of these ends the
 * process at once with 128 + its number, whatever the main loop is doing. Call it once.
 */
gboolean signals_start(
  void (*func)(int number, gpointer data), gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @func is not called any more. */
void signals_end(void);
