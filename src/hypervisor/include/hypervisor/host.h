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

/* Huge pages of one size that are set aside on a NUMA cell. */
typedef struct {
  uint64_t size; /* bytes */
  uint64_t count, free;
} DmHostPages;

/* In bytes; of what is free without huge pages. */
typedef struct {
  guint id;
  uint64_t memory, free;
  GArray *pages; /* DmHostPages, those of which there are any */
} DmHostCell;

typedef struct {
  uint64_t total, free;
  uint64_t cached; /* disk caches and buffers; memory of VMs that is shared (memfd) counts as that too */
  GArray *cells;   /* DmHostCell, owned */
} DmHostMemory;

/* By libvirt's node statistics, which ask no QEMU. Blocks; any thread. The caller frees. NULL with an error. */
DmHostMemory *dm_host_read_memory(DmConnection *connection, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void dm_host_memory_free(DmHostMemory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmHostMemory, dm_host_memory_free)
