/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One VM as it was at one moment: state, live configuration, next-run configuration, the request in flight. Plain data,
 * nothing shared.
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
#define DM_VM_STATES (DM_VM_SUSPENDED + 1)
} DmVmState;

/* What else of a definition is shown to users. The texts are interned: never freed, few in number. */
typedef struct {
  guint sockets, cores, threads; /* topology of the virtual CPUs; the product is the maximum number */
  const char *machine;           /* QEMU's machine type, "pc-q35-7.2"; NULL: not written */
  const char *os;                /* libosinfo's URI, as virt-install and virt-manager write it; NULL: not known */
  const char *display;           /* "vnc", "spice", ...; NULL: none */
  const char *boot;              /* the first boot device: "hd", "cdrom", "network"; NULL: not written */
  gboolean uefi;
  gboolean console; /* it has a serial or virtio console */
} DmVmFacts;

/* Memory as the guest and the host see it, in bytes, by the balloon's statistics; 0: not known. */
typedef struct {
  uint64_t available; /* what the guest kernel manages */
  uint64_t unused;    /* free */
  uint64_t usable;    /* what the guest could release without swapping */
  uint64_t caches;    /* its disk caches */
  uint64_t rss;       /* resident size of the QEMU process on the host */
  guint run;          /* different for each start of the VM */
} DmMemoryStats;

/* What the balloon itself and its driver in the guest report, in bytes; 0: not reported. */
typedef struct {
  uint64_t actual;   /* what it leaves the guest of boot memory and DIMMs, by QEMU */
  uint64_t usable;   /* by the driver: what the guest could release without swapping */
  int64_t updated_s; /* when the driver last reported, since 1970 */
} DmBalloonStats;

/* A virtio-serial port of the VM for an agent inside. */
typedef enum {
  DM_PORT_NONE,   /* the VM has none */
  DM_PORT_CLOSED, /* not opened inside the guest */
  DM_PORT_OPEN,
} DmPort;

/* A device that its guest refused to release. */
typedef struct {
  char *alias;
  int64_t at_s; /* since 1970 */
  char *guest;  /* dm_guest_fingerprint() of it at that time; NULL: not known */
} DmRefusal;

DmRefusal *dm_refusal_copy(const DmRefusal *refusal) G_GNUC_WARN_UNUSED_RESULT;
void dm_refusal_free(DmRefusal *refusal);

typedef struct {
  char *uuid;
  char *name;
  char *title;       /* one line; NULL: none */
  char *description; /* NULL: none */
  DmVmFacts facts;
  char *arch; /* as libvirt spells it: "x86_64", "ppc64le", ... */
  DmVmState state;
  gboolean saved;         /* shut off with its memory saved: the next start restores it, whatever the configuration
                           * says */
  gboolean saved_request; /* the saved state contains an open request, which comes back with it */
  DmConfig *live;         /* NULL while shut off */
  DmConfig *next_run;     /* the persistent configuration; NULL for a transient VM */
  DmRequest *request;     /* as its metadata has it; NULL: none */
  GPtrArray *refusals;    /* DmRefusal, owned, as its metadata has them; never NULL */
  DmPort agent_port, qemu_agent_port; /* ports of the running VM: for dimmer-guest, for qemu-guest-agent */
  gboolean trial;                     /* not a VM but a trial start of a next run; hidden from users */
  gboolean vfio;                      /* it has host devices by VFIO, which pin its memory */
  gboolean locked;         /* its memory is locked on the host, or encrypted: QEMU then rejects virtio-mem devices */
  gboolean vhost_user;     /* other programs serve some of its devices (disks, network, virtiofs), and map its memory */
  gboolean vhost;          /* the host's kernel serves some of its devices (network, vsock) by vhost, */
  guint vhost_regions;     /* each of which can map that many memory regions; 0: not known */
  uint64_t hard_limit;     /* limits of what its QEMU may allocate and lock on the host; 0: none */
  gboolean balloon;        /* it has a memory balloon device, */
  guint balloon_period_s;  /* period of its statistics; 0: off */
  gboolean balloon_mute;   /* its driver is asked for statistics, and has never reported any; FALSE: also not known */
  uint64_t balloon_actual; /* DmBalloonStats.actual; 0: not asked for. Read by dm_vm_ballooned() */
  uint64_t host_memory;    /* of its host; 0: not known */
  int64_t started_ms;      /* since 1970; 0: not known, or not running */
  gboolean booted;         /* it runs since it was booted: it was not restored, moved here nor paused since */
  const char *job;         /* dm_domain_read_job(); NULL: none, or not read */
  DmGuest *guest;          /* its guest's report; NULL: not queried */
} DmVm;

DmVm *dm_vm_new(void) G_GNUC_WARN_UNUSED_RESULT;
DmVm *dm_vm_copy(const DmVm *vm) G_GNUC_WARN_UNUSED_RESULT;
void dm_vm_free(DmVm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmVm, dm_vm_free)

const char *dm_vm_state_name(DmVmState state);

/*
 * What identifies the VM in a dimmer command: its name, or its UUID if the name looks like a UUID, as UUIDs are tried
 * first. Owned by the VM or the caller.
 */
const char *dm_vm_handle(const DmVm *vm);
const char *dm_vm_handle_of(const char *name, const char *uuid);

/* The same for virsh, which reads a number as an id. */
const char *dm_vm_virsh_handle(const DmVm *vm);

/* The configuration in force: live, or the persistent one of a VM that is shut off. Never NULL. */
const DmConfig *dm_vm_current(const DmVm *vm);

/*
 * What the balloon of the running VM holds of its memory, in bytes; less than 1 MiB counts as 0. FALSE, with nothing
 * written: not known, as QEMU was not asked and libvirt's currentMemory cannot be trusted beside virtio-mem.
 */
gboolean dm_vm_ballooned(const DmVm *vm, uint64_t *ballooned);

/* Its balloon may hold something, so QEMU is to be asked: libvirt's numbers differ, or dimmer has used it. */
gboolean dm_vm_may_be_ballooned(const DmVm *vm);

/* There is a next-run configuration: the VM runs, is persistent, and will have other values after its next start. */
gboolean dm_vm_has_next_run(const DmVm *vm);

/*
 * The smallest step of hot plug, in bytes: 128 MiB on x86, 256 MiB on POWER (oVirt's ArchitectureType; other
 * architectures as x86).
 */
uint64_t dm_vm_factor(const DmVm *vm);

/*
 * The live device that @name means: its alias, its id, or a unique prefix of its id. Owned by the VM. NULL with
 * DM_ERROR_NO_SUCH_DEVICE, DM_ERROR_AMBIGUOUS or DM_ERROR_NOT_RUNNING.
 */
DmMemoryDevice *dm_vm_find_device(const DmVm *vm, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The size of its guest's memory blocks; 0: not known. */
uint64_t dm_vm_block(const DmVm *vm);

/*
 * The smallest useful DIMM: dm_vm_factor(), the guest's memory block if known to be larger (a smaller device could not
 * come online), or the huge page that backs NUMA node @node.
 */
uint64_t dm_vm_plug_step(const DmVm *vm, int node);

/*
 * Stores its guest's report (takes ownership; NULL: none): sets movable of each live device, and drops refusals of
 * devices that are gone or have changed in the guest since.
 */
void dm_vm_take_guest(DmVm *vm, DmGuest *guest);

/*
 * A live device's memory by state, from vm->guest. A virtio-mem device whose address libvirt does not report owns all
 * virtio-mem blocks if it is the only one. FALSE, with nothing written, if it is not known which blocks are the
 * device's.
 */
gboolean dm_vm_device_blocks(const DmVm *vm, const DmMemoryDevice *device, DmRangeState *state);
/* What of it holds no data of the guest, in bytes: offline, or never accepted; 0 also where nothing is known. */
uint64_t dm_vm_device_idle(const DmVm *vm, const DmMemoryDevice *device);

/*
 * How the guest uses what it holds of a live device, by vm->guest. A virtio-mem device is not taken if the guest was
 * requested to hold some of it and holds none, by any report. DM_USE_UNKNOWN also of one that is empty as requested,
 * and of other kinds.
 */
DmUse dm_vm_device_use(const DmVm *vm, const DmMemoryDevice *device);

/* Its guest is Windows, which accepts DIMMs and cannot release them: by its own report, else by the definition. */
gboolean dm_vm_is_windows(const DmVm *vm);

/* dm_guest_fingerprint() of a live device, for its DmRefusal. The caller g_frees. NULL: not known. */
char *dm_vm_fingerprint(const DmVm *vm, const DmMemoryDevice *device) G_GNUC_WARN_UNUSED_RESULT;

/* Its guest refused to release that device, and no change is known since. */
gboolean dm_vm_was_refused(const DmVm *vm, const DmMemoryDevice *device);

/* The newest such refusal, or NULL. Owned by the VM. */
const DmRefusal *dm_vm_find_refusal(const DmVm *vm, const DmMemoryDevice *device);

/* Length of id prefix that is unique among the live devices: at least 8. */
guint dm_vm_short_id_length(const DmVm *vm);
