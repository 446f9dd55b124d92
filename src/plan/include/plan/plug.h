/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kind of device a plug adds, and how it is split into DIMMs.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/config.h"

typedef enum {
  DM_POLICY_OVIRT, /* first a DIMM of the minimal size if there is none, then the rest as one */
  DM_POLICY_WHOLE, /* one DIMM */
  DM_POLICY_FINE,  /* powers of two of the minimal size, so that nearly any multiple of it can be unplugged again */
#define DM_POLICIES (DM_POLICY_FINE + 1)
} DmPlugPolicy;

/* How memory is plugged where a request does not say: the specification's DIMMs, unless configured otherwise. */
typedef struct {
  gboolean choose_kind; /* what suits the VM: kind is not used */
  DmDeviceKind kind;
  DmPlugPolicy policy;
} DmPlugDefaults;

/* "dimm", "virtio-mem", or "auto": *@choose. FALSE, with nothing written: another name. */
gboolean dm_plug_kind_from_name(const char *name, gboolean *choose, DmDeviceKind *kind);

/*
 * Reads words like "auto" (for each connection) or "qemu:///system=dimm" (for that one, which comes first), of which
 * either array may be NULL, for the connection @uri (NULL: the default one). @wrong becomes the first word that is
 * neither; NULL: none. Only with none is @defaults written.
 */
void dm_plug_defaults_read(
  const char *const *kinds, const char *const *policies, const char *uri, DmPlugDefaults *defaults, const char **wrong);

typedef enum {
  DM_PLUG_WELL,
  DM_PLUG_BAD_KIND,
  DM_PLUG_BAD_POLICY,
  DM_PLUG_NOT_SPLIT, /* a policy is for a virtio-mem device */
} DmPlugFault;

/*
 * Puts the @kind and @policy that a request names (NULL: not named) in the place of the defaults. A policy without a
 * kind asks for DIMMs, whatever is usual, unless the kind is chosen by the VM. Of a fault, nothing is written.
 */
DmPlugFault dm_plug_defaults_name(DmPlugDefaults *plugs, const char *kind, const char *policy);

gboolean dm_plug_policy_from_name(const char *name, DmPlugPolicy *policy);
const char *dm_plug_policy_name(DmPlugPolicy policy);

/*
 * The DIMM sizes that @size is split into, in plug order; @size is a multiple of @minimal. @config has the existing
 * DIMMs. A policy that wants more DIMMs than @free_slots uses larger ones; @free_slots is at least 1. Returns an array
 * of uint64_t; the caller unrefs.
 */
GArray *dm_plan_plug(DmPlugPolicy policy, uint64_t size, uint64_t minimal, const DmConfig *config,
  guint free_slots) G_GNUC_WARN_UNUSED_RESULT;
