/* SPDX-License-Identifier: Apache-2.0 */
/* Quotes client input in our messages. Not for other layers. */
#pragma once

#include <glib.h>

/* @text made fit for a message: valid UTF-8 without line breaks, truncated. The caller frees. */
char *cite(const char *text) G_GNUC_WARN_UNUSED_RESULT;
char *cite_length(const char *text, gsize length) G_GNUC_WARN_UNUSED_RESULT;
