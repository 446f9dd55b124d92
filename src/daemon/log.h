/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The destination of g_log_structured(): a line on standard error, or a journal entry. Any thread may log.
 *
 * The fields VM (a UUID), VM_NAME, REQUEST, HOST and USER (text) of a caller are kept: as journal fields, or at the end
 * of the line as " vm=web1 request=ID host=... user=...".
 */
#pragma once

#include <glib.h>

/* Installs the log writer in GLib; once, before the first thread. */
void log_start(void);

/* @level and @target as in the configuration. */
void log_set(const char *level, const char *target);

/* Whether standard error goes to the journal: then a line may begin with its level, "<3>". */
gboolean log_stderr_is_journal(void);

/* The line that is written for these fields, with its newline. For log.c and its tests; the caller frees. */
char *log_format(
  GLogLevelFlags level, const GLogField *fields, gsize count, gboolean for_journal) G_GNUC_WARN_UNUSED_RESULT;
