/* SPDX-License-Identifier: Apache-2.0 */
/* A form sent by a browser: application/x-www-form-urlencoded. No I/O. */
#pragma once

#include <glib.h>

/*
 * The value of @name, decoded, in UTF-8; the last one if there are several. NULL: not there, or the body is no such
 * form. The caller frees.
 */
char *dm_form_value(GBytes *body, const char *name) G_GNUC_WARN_UNUSED_RESULT;
