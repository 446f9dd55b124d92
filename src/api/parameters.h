/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a request, read and checked. FALSE with an error that names the parameter. */
#pragma once

#include "call.h"

/* A size in a parameter; *size is unchanged if not *present. */
gboolean read_size_parameter(
  Call *call, const char *name, gboolean *present, uint64_t *size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The parameter node: *one_node is 1 + that node, unchanged if not given. */
gboolean read_one_node(Call *call, guint *one_node, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The parameter if_memory: the memory size the client expects; *seen is 0 if not given. */
gboolean read_seen(Call *call, uint64_t *seen, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The parameters try_unmovable and force. */
DmPlanFlags read_plan_flags(Call *call);

/* The same for a change to a memory size, which the balloon can help with: also balloon and live. */
gboolean read_set_flags(Call *call, DmWish *wish, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* How memory is plugged on the connection of that VM where a request does not say. */
DmPlugDefaults plug_defaults(const Call *call, const DmEntry *entry);
/* The parameters kind and policy, over those. */
gboolean read_plug(Call *call, const DmEntry *entry, DmPlugDefaults *plugs, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same for texts from elsewhere; NULL: not given. */
gboolean parameter_plug(
  const char *kind, const char *policy, DmPlugDefaults *plugs, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The max_size of a new device, if it is named, suits its kind. */
gboolean check_max_size(const DmPlugWish *wish, gboolean named, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A kind of memory device; **kind is unchanged if @text is NULL. */
gboolean parameter_kind(const char *text, DmDeviceKind *kind, GError **error) G_GNUC_WARN_UNUSED_RESULT;
