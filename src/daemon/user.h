/* SPDX-License-Identifier: Apache-2.0 */
/* 'dimmerd user ...': the users file by hand. */
#pragma once

#include <glib.h>

/* Prints the verbs for the help. */
void user_print_verbs(void);

/*
 * @words: the words after "user", NULL-terminated. @role NULL: viewer. @file: of the users. FALSE with DM_ERROR_USAGE
 * or another error.
 */
gboolean user_run(char **words, const char *role, const char *file, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- password.c ---- */

/*
 * From the terminal, prompted twice without echo, or else one line of standard input. NULL with an error. Free it with
 * password_free().
 */
char *password_read(const char *user, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void password_free(char *password);
