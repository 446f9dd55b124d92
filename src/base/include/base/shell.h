/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as text, for people to paste into a shell. dimmer itself never runs one. */
#pragma once

#include <glib.h>
#include <stdarg.h>

/*
 * The words up to NULL as one line for a shell: "dimmer show web1". What a shell would take apart, as a name with
 * blanks or quotes, is quoted; nothing else is. The caller frees.
 */
char *dm_shell_command(const char *first, ...) G_GNUC_NULL_TERMINATED;

/* The same, of what follows @first in @words. */
char *dm_shell_command_va(const char *first, va_list words);
