/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where g_log_structured() leads: a line on standard error, or an entry of the journal. Any thread may log.
 *
 * The fields VM (a UUID), VM_NAME, REQUEST, HOST and USER (text) that a caller gives are kept: as fields of the
 * journal, or at the end of the line as " vm=web1 request=ID host=... user=...".
 */
#pragma once

#include <glib.h>

/* Takes over GLib's log; once, before the first thread. */
void log_start(void);

/* @level and @target as the configuration has them. */
void log_set(const char *level, const char *target);

/* Whether the journal reads standard error: then a line may begin with its level, "<3>". */
gboolean log_stderr_is_journal(void);

/* The line that is written for these fields, with its newline. For log.c and its tests; the caller frees. */
char *log_format(GLogLevelFlags level, const GLogField *fields, gsize count, gboolean for_journal);
