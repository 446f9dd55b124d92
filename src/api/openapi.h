/* SPDX-License-Identifier: Apache-2.0 */
/* The API as an OpenAPI 3.1 document: representations from openapi.json, paths generated from the routes. */
#pragma once

#include "call.h"

/* The document as text, for these routes, terminated by one without a path. The caller g_frees. */
char *openapi_text(const Route *routes) G_GNUC_WARN_UNUSED_RESULT;
