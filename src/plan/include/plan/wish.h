/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A requested change of a VM, as data: an action and its values. It can be copied, compared, printed and queued, and
 * means the same from any source: the command line, the API, a queue. Plain functions; any thread.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/request.h"
#include "plan/plug.h"
#include "words/note.h"

/* Sizes in bytes. Values not given stay unchanged. */
typedef struct {
  gboolean has_memory, has_guaranteed, has_maximum;
  uint64_t memory, guaranteed, maximum; /* floored to MiB, as oVirt does */
  gboolean next_run_only;               /* the running VM is unchanged */
  gboolean live_only;                   /* the next run is unchanged */
  gboolean choose_kind;                 /* where memory grows by new devices: these, as for a plug */
  DmDeviceKind kind;
  DmPlugPolicy policy;
  guint one_node;            /* 1 + the NUMA node that alone gives or takes memory; 0: any, and a plug as below */
  char *title, *description; /* of the VM, running and defined; "": none; NULL: unchanged */
  char *left_out;            /* requested values that dimmer does not change, for display; NULL: none */
} DmSetWish;

typedef struct {
  gboolean choose_kind; /* virtio-mem where it suits the VM, else a DIMM: kind is not used */
  DmDeviceKind kind;
  uint64_t size;     /* virtio-mem: what the guest is requested to take at once */
  uint64_t max_size; /* virtio-mem: the maximum the device can hold; 0: size. Ignored where DIMMs are chosen */
  guint one_node;    /* 1 + the NUMA node it goes to; 0: node 0, or the first whose huge pages it fills */
  DmPlugPolicy policy;
} DmPlugWish;

#define DM_SLOTS_MAX 256 /* QEMU: ACPI_MAX_RAM_SLOTS */

/* What a NUMA node has at every start. */
typedef struct {
  guint node;
  uint64_t floor;
} DmNodeFloor;

/* Of all of them (DmNodeFloor); NULL: 0. */
uint64_t dm_node_floors_sum(const GArray *nodes);

typedef struct {
  uint64_t maximum;
  guint slots;        /* 0: unchanged, or 16 */
  gboolean has_floor; /* set the VM up to shrink, or, with a floor of 0, no longer */
  uint64_t floor;
  gboolean
    has_kind; /* kind of the devices above it; default virtio-mem, or DIMMs if the guest or machine has no virtio-mem */
  DmDeviceKind kind;
  GArray *nodes;                             /* DmNodeFloor; other nodes share the rest; NULL: all share */
  gboolean free_page_reporting, autodeflate; /* switch them on; implied by a floor */
  gboolean has_balloon;                      /* what the balloon may do, from now on; */
  DmBalloonUse balloon;                      /* alone, without a maximum, it changes nothing else */
} DmEnableWish;

typedef struct {
  DmAction action; /* says which member below is valid */
  DmPlanFlags flags;
  uint64_t seen; /* set, plug: expected present memory: planning fails if it differs; 0: any */
  union {
    DmSetWish set;
    struct {
      char **devices; /* as dm_vm_find_device() reads them, NULL-terminated */
    } unplug;
    DmPlugWish plug;
    DmEnableWish enable;
    struct {
      gboolean account_only; /* requests nothing again: only accounts for the recorded request */
      char *goes_on;         /* id: only that request, continued under its own id and devices; NULL: any */
    } settle;
  };
} DmWish;

/* The copy owns its texts and must be freed. All of these accept NULL for no wish. */
DmWish *dm_wish_copy(const DmWish *wish) G_GNUC_WARN_UNUSED_RESULT;
void dm_wish_free(DmWish *wish);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmWish, dm_wish_free)

/* Frees what it owns and clears it: for a wish that is not on the heap. */
void dm_wish_clear(DmWish *wish);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DmWish, dm_wish_clear)

gboolean dm_wish_equal(const DmWish *left, const DmWish *right);

/* "set memory=1073741824 next-run", in one line, for logs. The caller frees. */
char *dm_wish_format(const DmWish *wish) G_GNUC_WARN_UNUSED_RESULT;

/* What of it is ignored, as a note for users; NULL: nothing. The caller frees. */
DmNote *dm_wish_left_out(const DmWish *wish) G_GNUC_WARN_UNUSED_RESULT;

/* It names memory or devices, so the guest's report matters. */
gboolean dm_wish_concerns_guest(const DmWish *wish);
