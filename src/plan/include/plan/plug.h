/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a plug is split into DIMMs.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/config.h"

typedef enum {
  DM_POLICY_OVIRT, /* a DIMM of the minimal size first while there is none, then the rest as one */
  DM_POLICY_WHOLE, /* one DIMM */
  DM_POLICY_FINE,  /* powers of two of the minimal size, so that nearly any multiple of it can go again */
} DmPlugPolicy;

gboolean dm_plug_policy_from_name(const char *name, DmPlugPolicy *policy);
const char *dm_plug_policy_name(DmPlugPolicy policy);

/*
 * The sizes of the DIMMs that @size becomes, in the order to plug them; @size is a multiple of @minimal. @config has
 * the DIMMs that are there. A policy that wants more DIMMs than @free_slots makes do with larger ones; @free_slots is
 * at least 1. Returns an array of uint64_t; the caller unrefs.
 */
GArray *dm_plan_plug(DmPlugPolicy policy, uint64_t size, uint64_t minimal, const DmConfig *config, guint free_slots);
