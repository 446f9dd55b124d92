/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as text, to paste into a shell. dimmer itself never runs one. */
#pragma once

#include <glib.h>
#include <stdarg.h>

/*
 * The words up to NULL as one line for a shell: "dimmer show web1". Words that a shell would split or expand are
 * quoted, nothing else. A "--" marks the next word as an operand; it is only written if an operand begins with a dash,
 * and then once, before all operands. The caller frees.
 */
char *dm_shell_command(const char *first, ...) G_GNUC_NULL_TERMINATED G_GNUC_WARN_UNUSED_RESULT;

/*
 * @command, of dimmer or virsh, for the libvirt connection @uri: "dimmer -c qemu:///system show web1". A plain copy if
 * @uri is NULL or empty (libvirt's default), or for a command of another program. NULL for NULL. The caller frees.
 */
char *dm_shell_connected(const char *command, const char *uri) G_GNUC_WARN_UNUSED_RESULT;

/* As dm_shell_command(), of what follows @first in @words. */
char *dm_shell_command_va(const char *first, va_list words) G_GNUC_WARN_UNUSED_RESULT;

/* The same, of @words up to NULL. */
char *dm_shell_command_strv(const char *const *words) G_GNUC_WARN_UNUSED_RESULT;
