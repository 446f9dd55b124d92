/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's life cycle: start, reload, end. See service.c. */
#pragma once

#include "settings.h"

/*
 * Serves until a signal ends it. Takes ownership of @settings, read from @config as given on the command line (NULL:
 * the default path); SIGHUP reads them again from there. FALSE with an error: it cannot serve. Call it once.
 */
gboolean service_run(Settings *settings, const char *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Tests what can be tested without serving: users file, certificate and key. */
gboolean service_check(const Settings *settings, GError **error) G_GNUC_WARN_UNUSED_RESULT;
