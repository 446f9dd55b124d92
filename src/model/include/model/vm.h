/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One VM as it was at one moment: state, live configuration, next-run configuration, the request in flight.
 * Plain data; nothing in it is shared.
 */
#pragma once

#include <glib.h>

#include "model/config.h"
#include "model/guest.h"
#include "model/request.h"

typedef enum {
  DM_VM_SHUT_OFF,
  DM_VM_RUNNING,
  DM_VM_PAUSED,
  DM_VM_SHUTTING_DOWN,
  DM_VM_CRASHED,
  DM_VM_SUSPENDED, /* by the guest's own power management */
} DmVmState;

/* What else a definition says that people want to see. The texts are interned: never freed, few in number. */
typedef struct {
  guint sockets, cores, threads; /* of the virtual CPUs; their product is what the VM has at most */
  const char *machine;           /* QEMU's machine type, "pc-q35-7.2"; NULL: not written */
  const char *os;                /* libosinfo's URI, as virt-install and virt-manager write it; NULL: not known */
  const char *display;           /* "vnc", "spice", ...; NULL: none */
  const char *boot;              /* the first boot device: "hd", "cdrom", "network"; NULL: not written */
  gboolean uefi;
} DmVmFacts;

/* Memory as the guest and the host see it, in bytes, by the balloon's statistics; 0: not known. */
typedef struct {
  uint64_t available; /* what the guest's kernel manages */
  uint64_t unused;    /* free */
  uint64_t usable;    /* what the guest could give without swapping */
  uint64_t caches;    /* its disk caches */
  uint64_t rss;       /* what the QEMU process takes on the host */
} DmMemoryStats;

/* A virtio-serial port of the VM, by which an agent inside speaks. */
typedef enum {
  DM_PORT_NONE,   /* the VM has none */
  DM_PORT_CLOSED, /* nobody inside has opened it */
  DM_PORT_OPEN,
} DmPort;

/* A device that its guest refused to release. */
typedef struct {
  char *alias;
  int64_t at;  /* seconds since 1970 */
  char *guest; /* dm_guest_fingerprint() of it at that time; NULL: was not known */
} DmRefusal;

DmRefusal *dm_refusal_copy(const DmRefusal *refusal);
void dm_refusal_free(DmRefusal *refusal);

typedef struct {
  char *uuid;
  char *name;
  char *description; /* NULL: none */
  DmVmFacts facts;
  char *arch; /* as libvirt spells it: "x86_64", "ppc64le", ... */
  DmVmState state;
  gboolean saved;      /* shut off with its memory saved: the next start restores that, whatever is configured */
  DmConfig *live;      /* NULL while shut off */
  DmConfig *next_run;  /* the persistent configuration; NULL for a transient VM */
  DmRequest *request;  /* as its metadata has it; NULL: none */
  GPtrArray *refusals; /* DmRefusal, owned, as its metadata has them; never NULL */
  DmPort agent_port, qemu_agent_port; /* of the running VM: for dimmer-guest, for qemu-guest-agent */
  gboolean vfio;                      /* it has host devices by VFIO, which pin its memory */
  uint64_t hard_limit;                /* of what its QEMU may take and lock on the host; 0: none */
  gboolean balloon;                   /* it has a memory balloon device, */
  guint balloon_period;               /* which is asked for statistics every so many seconds; 0: it is not */
  const char *job;                    /* dm_domain_read_job(); NULL: nothing, or nobody looked */
  DmGuest *guest;                     /* what its guest told; NULL: it was not asked */
} DmVm;

DmVm *dm_vm_new(void);
DmVm *dm_vm_copy(const DmVm *vm);
void dm_vm_free(DmVm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmVm, dm_vm_free)

const char *dm_vm_state_name(DmVmState state);

/* The configuration in force: live, or the persistent one of a VM that is shut off. Never NULL. */
const DmConfig *dm_vm_current(const DmVm *vm);

/* There is a next-run configuration: the VM runs, is persistent, and its next start will bring other values. */
gboolean dm_vm_has_next_run(const DmVm *vm);

/*
 * The smallest step of hot plug, in bytes: 128 MiB on x86, 256 MiB on POWER (oVirt's ArchitectureType; other
 * architectures count as x86 does).
 */
uint64_t dm_vm_factor(const DmVm *vm);

/*
 * The live device that @name means: its alias, its id, or the beginning of its id that is no other's. The VM keeps it.
 * NULL with DM_ERROR_NO_SUCH_DEVICE, DM_ERROR_AMBIGUOUS or DM_ERROR_NOT_RUNNING.
 */
DmMemoryDevice *dm_vm_find_device(const DmVm *vm, const char *name, GError **error);

/* The size of its guest's memory blocks; 0: not known. */
uint64_t dm_vm_block(const DmVm *vm);

/*
 * The smallest DIMM that makes sense: dm_vm_factor(), or the guest's memory block where that is known to be larger (a
 * smaller device could not come online), or the huge page that backs the memory.
 */
uint64_t dm_vm_plug_step(const DmVm *vm);

/*
 * Takes over what its guest told (owned; NULL: nothing): sets movable of each live device, and drops refusals of
 * devices that are gone, or that the guest has changed since.
 */
void dm_vm_take_guest(DmVm *vm, DmGuest *guest);

/*
 * What of a live device is in which state, as vm->guest told. A virtio-mem device, whose place libvirt does not tell,
 * has all that virtio-mem gave where it is the only one. FALSE, and nothing written, where it is not known which blocks
 * are the device's.
 */
gboolean dm_vm_device_blocks(const DmVm *vm, const DmMemoryDevice *device, DmRangeState *state);

/* Its guest is Windows, which takes DIMMs and cannot release them: it told so, or, where nobody told, its definition.
 */
gboolean dm_vm_is_windows(const DmVm *vm);

/* dm_guest_fingerprint() of a live device, for its DmRefusal. The caller g_frees. NULL: not known. */
char *dm_vm_fingerprint(const DmVm *vm, const DmMemoryDevice *device);

/* Its guest refused to release that device, and nothing is known to have changed since. */
gboolean dm_vm_was_refused(const DmVm *vm, const DmMemoryDevice *device);

/* The newest such refusal, or NULL. The VM keeps it. */
const DmRefusal *dm_vm_find_refusal(const DmVm *vm, const DmMemoryDevice *device);

/* How many leading characters of its id name each live device: at least 8. */
guint dm_vm_short_id_length(const DmVm *vm);
