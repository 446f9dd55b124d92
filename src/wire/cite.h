/* SPDX-License-Identifier: Apache-2.0 */
/* What a client sent, in our messages. Not for other layers. */
#pragma once

#include <glib.h>

/* @text as it can stand in a message: valid UTF-8 without line breaks, cut after some characters. The caller frees. */
char *cite(const char *text);
char *cite_length(const char *text, gsize length);
