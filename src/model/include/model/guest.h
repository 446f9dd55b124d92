/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of the inside of a VM, as its guest told it at one moment: plain data, each fact with its source. A
 * guest tells what it likes: nothing here may lead to more than asking other devices of the same VM, or in other order.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef enum {
  DM_SOURCE_NONE,       /* nobody told */
  DM_SOURCE_AGENT,      /* dimmer-guest */
  DM_SOURCE_QEMU_AGENT, /* qemu-guest-agent */
  DM_SOURCE_BALLOON,    /* the balloon's statistics */
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
  DM_ZONE_KERNEL, /* one of the kernel's own: what is there can often not be moved */
  DM_ZONE_MIXED,  /* the block spans several, and can never go (kernel: test_pages_in_a_zone) */
} DmZone;

/* Neighbouring memory blocks that are alike. */
typedef struct {
  uint64_t start, size; /* guest-physical, bytes */
  DmBlockState state;
  DmZone zone;     /* of online blocks; of offline ones the one that they could come online in */
  gboolean virtio; /* given by a virtio-mem device */
} DmBlockRun;

typedef struct {
  int64_t at;      /* when it was asked, seconds since 1970 */
  DmSource system; /* who told os, kernel, boot, policy, movable_node, hot_remove */
  char *os;        /* "Debian GNU/Linux 12 (bookworm)", NULL: not known */
  DmFact windows;  /* the guest is one */
  char *kernel;    /* "6.1.0-13-cloud-amd64", NULL */
  char *boot;      /* the kernel's boot id, NULL */
  char *policy;    /* auto_online_blocks: "offline", "online", "online_kernel", "online_movable"; NULL */
  DmFact movable_node;
  DmFact hot_remove;
  DmFact udev_rule;            /* dimmer's rule, or another, brings what stays offline online as movable */
  DmFact onlines;              /* dimmer-guest runs, and onlines new blocks as movable */
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
  uint64_t total;     /* what its kernel manages, 0: not known */
  uint64_t available; /* what it could do without, without swapping; 0 with memory_source NONE: not known */
  GPtrArray *notes;   /* char: why something is not known, a sentence each; never NULL */
} DmGuest;

DmGuest *dm_guest_new(void);
DmGuest *dm_guest_copy(const DmGuest *guest);
void dm_guest_free(DmGuest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmGuest, dm_guest_free)

/* It tells whether the memory of devices can go: by its memory blocks, or as it is Windows. */
gboolean dm_guest_tells_movable(const DmGuest *guest);

/* Its kernel is older than Linux @major.@minor; FALSE too where it is not known. */
gboolean dm_guest_is_before(const DmGuest *guest, guint major, guint minor);

/*
 * How its kernel's command line makes memory movable that is there when it starts, or comes before anybody else is at
 * it. Before Linux 5.7 no policy does, and before 4.13 no other word: what it leaves offline is dimmer-guest's there.
 */
const char *dm_guest_boot_word(const DmGuest *guest);

/* "dimmer-guest", "qemu-guest-agent", "balloon statistics"; "" of DM_SOURCE_NONE. */
const char *dm_source_name(DmSource source);

/* What of a range of guest-physical memory is in which state; sizes in bytes. What no run covers is unknown. */
typedef struct {
  uint64_t movable; /* online as movable, or going offline from there */
  uint64_t kernel;  /* online in a kernel zone, or mixed */
  uint64_t offline;
  uint64_t unknown;
  uint64_t absent; /* of unknown: no run covers it */
  uint64_t going;  /* of movable and kernel: going offline, and not known whether it will go */
} DmRangeState;

DmRangeState dm_guest_range(const DmGuest *guest, uint64_t start, uint64_t size);

/* Counts @size more bytes that are as those of @run. */
void dm_range_add(DmRangeState *state, const DmBlockRun *run, uint64_t size);

/*
 * A short text that is the same until that range may have become easier to take out: another boot, no memory of it in a
 * kernel zone any more, none online. An attempt that failed leaves it the same, though some blocks come back in another
 * zone. The caller g_frees. NULL where it is not known of all blocks.
 */
char *dm_guest_fingerprint(const DmGuest *guest, uint64_t start, uint64_t size);
