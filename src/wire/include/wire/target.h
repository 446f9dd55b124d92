/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request is about: path, matrix parameters and query, as oVirt's engine reads them (ParametersHelper). No I/O.
 */
#pragma once

#include <glib.h>

typedef struct DmTarget DmTarget;

/*
 * Reads an undecoded URI ("/ovirt-engine/api//vms/1;next_run?max=5"): empty segments are dropped, segments and values
 * are percent-decoded, '+' in the query is a blank. NULL with DM_ERROR_BAD_REQUEST for a broken escape, a NUL, text
 * that is not UTF-8, or a segment "." or "..".
 */
DmTarget *dm_target_parse(const char *uri, GError **error);
void dm_target_free(DmTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmTarget, dm_target_free)

/* The path's segments without their matrix parameters, NULL-terminated; the target keeps them. */
const char *const *dm_target_segments(const DmTarget *target);

/* The parameter's first value, of the query or else of the last segment's matrix; NULL: not there. "" where it has
 * none. */
const char *dm_target_parameter(const DmTarget *target, const char *name);

/* f, false, n, no, 0 and t, true, y, yes, 1 in any case; present but empty is TRUE; else @otherwise. */
gboolean dm_target_boolean(const DmTarget *target, const char *name, gboolean otherwise);

/* A whole number; @otherwise where it is missing or unreadable. */
gint64 dm_target_number(const DmTarget *target, const char *name, gint64 otherwise);
