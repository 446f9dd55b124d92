/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter follow: links of an answer, filled in. */
#pragma once

#include "call.h"

/* ---- follow.c ---- */

/*
 * Checks that the parameter follow names only links that objects of that type can have. FALSE with DM_ERROR_BAD_VALUE:
 * a name is no link.
 */
gboolean follow_check(const Call *call, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/*
 * Adds what follow_check() allowed: to @node, an object, or else to each of its items. FALSE with DM_ERROR_BAD_VALUE:
 * too many objects.
 */
gboolean follow(Call *call, DmNode *node, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- follow_links.c ---- */

/*
 * The type of the target of @link of a @type, "/" being the base with its collections: "" for one without links; NULL:
 * no such link. Both without '_', in lower case. The caller frees.
 */
char *follow_target(const char *type, const char *link) G_GNUC_WARN_UNUSED_RESULT;
