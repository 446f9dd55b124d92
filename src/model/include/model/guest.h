/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of the inside of a VM, as its guest reported it at one moment: plain data, each fact with its source.
 * It is untrusted: it may influence only which devices of the same VM are requested, and in which order.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "words/note.h"

typedef enum {
  DM_SOURCE_NONE,       /* not reported */
  DM_SOURCE_AGENT,      /* dimmer-guest */
  DM_SOURCE_QEMU_AGENT, /* qemu-guest-agent */
  DM_SOURCE_BALLOON,    /* the balloon's statistics */
  DM_SOURCE_HYPERVISOR, /* not reported: an upper bound, as the balloon leaves the guest no more */
#define DM_SOURCES (DM_SOURCE_HYPERVISOR + 1)
} DmSource;

typedef enum {
  DM_FACT_UNKNOWN,
  DM_FACT_YES,
  DM_FACT_NO,
} DmFact;

typedef enum {
  DM_BLOCK_UNKNOWN,
  DM_BLOCK_ONLINE,
  DM_BLOCK_OFFLINE,
  DM_BLOCK_GOING_OFFLINE,
} DmBlockState;

typedef enum {
  DM_ZONE_UNKNOWN,
  DM_ZONE_MOVABLE,
  DM_ZONE_KERNEL, /* a kernel zone: its pages often cannot be moved */
  DM_ZONE_MIXED,  /* the block spans several zones and can never go offline (kernel: test_pages_in_a_zone) */
} DmZone;

/* Adjacent memory blocks with the same properties. */
typedef struct {
  uint64_t start, size; /* guest-physical, bytes */
  DmBlockState state;
  DmZone zone;     /* of online blocks; for offline ones the zone they could come online in */
  gboolean virtio; /* provided by a virtio-mem device */
} DmBlockRun;

/* Bytes of one NUMA node: what its kernel manages, what is free, and what it could have at once. */
typedef struct {
  uint64_t node, total, free, available;
} DmGuestNode;

typedef struct {
  int64_t at_s;    /* time of the query, since 1970 */
  DmSource system; /* source of os, kernel, boot, policy, movable_node, hot_remove */
  char *os;        /* "Debian GNU/Linux 12 (bookworm)", NULL: not known */
  DmFact windows;  /* the guest is Windows */
  char *kernel;    /* "6.1.0-13-cloud-amd64", NULL */
  char *boot;      /* the kernel's boot id, NULL */
  char *policy;    /* auto_online_blocks: "offline", "online", "online_kernel", "online_movable"; NULL */
  DmFact movable_node;
  DmFact hot_remove;
  DmFact udev_rule;            /* dimmer's or another udev rule onlines offline blocks as movable */
  DmFact onlines;              /* dimmer-guest runs, and onlines new blocks as movable */
  DmFact virtio_mem;           /* the virtio-mem driver is loaded, or udev will load it */
  char *agent;                 /* dimmer-guest's name and version; NULL: it does not answer */
  gboolean busy;               /* dimmer-guest's port is in use by another program of a host */
  gboolean qemu_agent;         /* qemu-guest-agent answers */
  gboolean can_exec, can_file; /* it lets us run programs, and read files */
  gboolean can_write;          /* and write them */
  DmSource block_source;
  uint64_t block; /* the size of a memory block, 0: not known */
  DmSource run_source;
  GArray *runs; /* DmBlockRun, ascending; NULL: not known */
  DmSource memory_source;
  uint64_t total;            /* what the guest kernel manages; 0: not known */
  uint64_t available;        /* what it could release without swapping; 0 with memory_source NONE: not known */
  uint64_t kernel_total;     /* of total, in zones that the kernel can use for itself; 0: not known */
  uint64_t kernel_available; /* what of that the kernel can allocate at once */
  GArray *nodes;             /* DmGuestNode, those with memory; NULL: not known */
  GPtrArray *notes;          /* DmNote: why something is not known; never NULL */
} DmGuest;

DmGuest *dm_guest_new(void) G_GNUC_WARN_UNUSED_RESULT;
DmGuest *dm_guest_copy(const DmGuest *guest) G_GNUC_WARN_UNUSED_RESULT;
void dm_guest_free(DmGuest *guest);

/* @bytes are gone since it reported. How much each of its nodes has is no longer known: what was in use moved. */
void dm_guest_lose(DmGuest *guest, uint64_t bytes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmGuest, dm_guest_free)

/* Its report says whether devices can be unplugged: by memory blocks, or because it is Windows. */
gboolean dm_guest_tells_movable(const DmGuest *guest);

/* Its kernel is older than Linux @major.@minor; FALSE also if not known. */
gboolean dm_guest_is_before(const DmGuest *guest, guint major, guint minor);

/*
 * The kernel command line that makes memory movable which is present at boot or plugged before user space acts. Before
 * Linux 5.7 no policy does, and before 4.13 no other parameter: there dimmer-guest onlines what is left offline.
 */
const char *dm_guest_boot_word(const DmGuest *guest);

/* "dimmer-guest", "qemu-guest-agent", "balloon statistics", "libvirt"; "" of DM_SOURCE_NONE. */
const char *dm_source_name(DmSource source);

/* A range of guest-physical memory by state; sizes in bytes. What no run covers is unknown. */
typedef struct {
  uint64_t movable; /* online as movable, or going offline from there */
  uint64_t kernel;  /* online in a kernel zone, or mixed */
  uint64_t offline;
  uint64_t unknown;
  uint64_t absent; /* of unknown: no run covers it */
  uint64_t going;  /* of movable and kernel: going offline, outcome not known */
} DmRangeState;

/* How a guest uses the memory of a device. */
typedef enum {
  DM_USE_UNKNOWN,
  DM_USE_MOVABLE, /* all of it is online as movable */
  DM_USE_KERNEL,  /* all of it is online, some in a kernel zone */
  DM_USE_PARTLY,  /* some of it is not online */
  DM_USE_OFFLINE, /* none of it is online */
  DM_USE_NONE,    /* it has taken none of it */
#define DM_USES (DM_USE_NONE + 1)
} DmUse;

/* "unknown", "online-movable", "online-kernel", "partly", "offline", "not-taken": stable, in JSON and the API. */
const char *dm_use_name(DmUse use);

/* The same in words, after "in use:". */
const char *dm_use_text(DmUse use);

/* By the state of all its memory. */
DmUse dm_range_use(const DmRangeState *state);

DmRangeState dm_guest_range(const DmGuest *guest, uint64_t start, uint64_t size);

/* Adds @size bytes of the kind of @run. */
void dm_range_add(DmRangeState *state, const DmBlockRun *run, uint64_t size);

/*
 * A short text that changes only when unplugging that range may have become easier: another boot, no memory of it in a
 * kernel zone any more, or none online. A failed attempt leaves it unchanged, even if some blocks come back in another
 * zone. The caller g_frees. NULL if the state of any block is not known.
 */
char *dm_guest_fingerprint(const DmGuest *guest, uint64_t start, uint64_t size) G_GNUC_WARN_UNUSED_RESULT;
