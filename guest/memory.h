/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel tells of its memory as a whole. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether a line of /proc/meminfo, as "MemTotal:  1014520 kB", has that name, and a number: that many bytes. */
bool memory_line(const char *line, const char *name, uint64_t *bytes);

/*
 * Whether what is in so much of a zone of the kernel's own, on that node, finds room. It does not move to movable
 * zones, nor, where other nodes have memory, within its node: do_migrate_range() in Linux' mm/memory_hotplug.c. And
 * what dimmer never plans to take has to stay free: a 20th of all, from 64 MiB to 1 GiB. True where the kernel does not
 * tell.
 */
bool memory_has_room(uint64_t bytes, uint32_t node);
