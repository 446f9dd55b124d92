/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's life: start, reload, end. See service.c. */
#pragma once

#include "settings.h"

/*
 * Serves until a signal ends it. Takes @settings, which were read from @config, as the command line has it (NULL: the
 * default place); SIGHUP reads them again from there. FALSE with an error: it cannot serve. Once only.
 */
gboolean service_run(Settings *settings, const char *config, GError **error);

/* Whether all that can be tried without serving is well: users file, certificate and key. */
gboolean service_check(const Settings *settings, GError **error);
