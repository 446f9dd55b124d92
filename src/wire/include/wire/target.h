/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target of a request: path, matrix parameters and query, as oVirt's engine reads them (ParametersHelper). No I/O.
 */
#pragma once

#include <glib.h>

typedef struct DmTarget DmTarget;

/*
 * Reads an undecoded URI ("/ovirt-engine/api//vms/1;next_run?max=5"): empty segments are dropped, segments and values
 * are percent-decoded, '+' in the query becomes a blank. NULL with DM_ERROR_BAD_REQUEST for a broken escape, a NUL,
 * text that is not UTF-8, or a segment "." or "..".
 */
DmTarget *dm_target_parse(const char *uri, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void dm_target_free(DmTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmTarget, dm_target_free)

/* The path's segments without their matrix parameters, NULL-terminated; owned by the target. */
const char *const *dm_target_segments(const DmTarget *target);

/*
 * The parameter's first value, of the query or else of the last segment's matrix; NULL: not there. "" without a value.
 */
const char *dm_target_parameter(const DmTarget *target, const char *name);

/* f, false, n, no, 0 and t, true, y, yes, 1 in any case; TRUE if present but empty; else @otherwise. */
gboolean dm_target_boolean(const DmTarget *target, const char *name, gboolean otherwise);

/* A whole number; @otherwise if missing or invalid. */
gint64 dm_target_number(const DmTarget *target, const char *name, gint64 otherwise);
