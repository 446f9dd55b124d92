/* SPDX-License-Identifier: Apache-2.0 */
/* The machine behind a connection. */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "hypervisor/connection.h"

typedef struct {
  char *name;      /* its host name */
  uint64_t memory; /* bytes */
  guint cpus;
} DmHostFacts;

/* Blocks; any thread. The caller frees with dm_host_facts_clear(). */
gboolean dm_host_read(DmConnection *connection, DmHostFacts *facts, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void dm_host_facts_clear(DmHostFacts *facts);
