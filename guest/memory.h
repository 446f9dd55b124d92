/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's memory as a whole. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a line of /proc/meminfo, such as "MemTotal:  1014520 kB", has that name; its number in bytes. */
bool memory_line(const char *line, const char *name, uint64_t *bytes);

/*
 * Memory in zones that the kernel can use for itself, and how much of it is available at once: free above the
 * watermarks, and file caches. False if not known.
 */
bool memory_of_kernel(uint64_t *total, uint64_t *available);

#define MEMORY_NODES 64

/* Bytes in all zones of a NUMA node: what its kernel manages, what is free, and what is available at once. */
typedef struct {
  uint64_t node, total, free, available;
} MemoryNode;

/* The nodes that have memory, and how many. 0: not known, or more than MEMORY_NODES. */
size_t memory_of_nodes(MemoryNode nodes[MEMORY_NODES]);

/*
 * Whether the content of that much of a kernel zone on that node fits elsewhere. It does not move to movable zones,
 * nor, if other nodes have memory, within its node: do_migrate_range() in Linux' mm/memory_hotplug.c. The reserve that
 * dimmer never plans to take must stay free: a 20th of all, from 64 MiB to 1 GiB. True if not known.
 */
bool memory_has_room(uint64_t bytes, uint32_t node);
