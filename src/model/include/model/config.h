/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory side of one configuration of a VM: the live one, or the persistent one that its next run uses. Plain data
 * without I/O or locks: the holder owns it. All sizes are bytes.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef enum {
  DM_DEVICE_DIMM,
  DM_DEVICE_VIRTIO_MEM,
  DM_DEVICE_OTHER, /* NVDIMM, virtio-pmem, SGX EPC: shown, never changed, not counted as guest memory */
#define DM_DEVICE_KINDS (DM_DEVICE_OTHER + 1)
} DmDeviceKind;

/*
 * Whether a device can be unplugged: by the guest's report, all its memory blocks are online as movable, are offline,
 * or do not exist.
 */
typedef enum {
  DM_MOVABLE_UNKNOWN,
  DM_MOVABLE_YES,
  DM_MOVABLE_NO,
} DmMovable;

#define DM_DEVICE_NEW G_MAXUINT

typedef struct {
  /* A UUID, stable for the life of the device: the UUID of a user alias "ua-UUID", else derived from VM and alias. NULL
   * in a persistent configuration for a device without a user alias. */
  char *id;
  char *alias; /* libvirt's, NULL in a persistent configuration without a user alias */
  DmDeviceKind kind;
  char *model;               /* libvirt's name of the kind: "dimm", "virtio-mem", "nvdimm", ... */
  uint64_t size;             /* virtio-mem: the maximum it can hold */
  uint64_t requested;        /* virtio-mem only: what the guest is requested to hold */
  gboolean live;             /* virtio-mem only: in a running VM, so current is known */
  uint64_t current;          /* virtio-mem only: what the guest holds; 0 in a persistent configuration */
  uint64_t block;            /* virtio-mem only: granularity of requested */
  gboolean dynamic_memslots; /* of a new virtio-mem device: the host maps only the parts of it that hold memory */
  int node;                  /* the guest's NUMA node */
  int slot;                  /* -1: none */
  uint64_t address;          /* guest-physical, 0: not known */
  char *bus_address;         /* virtio-mem: its PCI address, else NULL */
  char *backing; /* the rest of its definition (access, pages, path, ...) as text; equal texts mean equal backing; NULL:
                  * not known */
  DmMovable movable;
  guint index; /* index among the <memory> elements of <devices>: identifies it in a persistent configuration;
                * DM_DEVICE_NEW: to be added there */
} DmMemoryDevice;

/* The machine that a definition describes, as far as it matters for memory. The texts are interned: never freed. */
typedef struct {
  const char *arch;        /* as libvirt spells it; NULL: not QEMU's, or not known; then the rest is unknown too */
  const char *type;        /* QEMU's machine type, "pc-q35-7.2"; NULL: not written */
  const char *emulator;    /* QEMU's binary; NULL: not written */
  gboolean emulated;       /* by TCG, where KVM could run it natively */
  gboolean acpi;           /* which on arm64 needs UEFI; libvirt checks that */
  const char *cpu_mode;    /* "custom", "host-model", "host-passthrough", "maximum"; NULL: not written */
  const char *cpu_model;   /* NULL: not written, QEMU's default */
  gboolean no_long_mode;   /* the processors are to have none, whatever the model has: then they are 32-bit */
  gboolean host_bits;      /* the host's address width is configured */
  guint address_bits;      /* as written; 0: not */
  uint64_t hole64;         /* of its PCI bus, as written; 0: not */
  gboolean has_other_args; /* extra QEMU arguments change machine or processors */
  gboolean pci_full;       /* no PCI Express port is free, of which each hot plugged virtio-mem device takes one */
} DmMachine;

/* Whether dimmer may let the balloon take what no memory device can give. */
typedef enum {
  DM_BALLOON_USE_ASK, /* only where a request says so */
  DM_BALLOON_USE_NEVER,
  DM_BALLOON_USE_ALLOW,
#define DM_BALLOON_USES (DM_BALLOON_USE_ALLOW + 1)
} DmBalloonUse;

/* "ask", "never", "allow": stable, in JSON, the API and metadata. */
const char *dm_balloon_use_name(DmBalloonUse use);
gboolean dm_balloon_use_from_name(const char *name, DmBalloonUse *use);

typedef struct {
  GArray *cells;     /* uint64_t: the boot memory of each NUMA cell; one element where there is no NUMA topology */
  gboolean has_numa; /* the configuration defines the cells */
  /*
   * The guest may number its NUMA nodes otherwise: Linux does so in the order of the SRAT, where QEMU has the nodes of
   * all virtual CPUs before those of memory.
   */
  gboolean renumbers;
  GPtrArray *devices;      /* DmMemoryDevice, owned */
  uint64_t maximum;        /* libvirt's maxMemory; 0: none, so no hot plug */
  uint64_t hidden_maximum; /* a maximum that dimmer saves in the metadata while boot memory equals it (QEMU would not
                            * start) */
  guint slots;
  gboolean slotless_virtio;  /* virtio-mem devices use none of them: not true in libvirt 9.0, true in 11.3 */
  gboolean keeps_addresses;  /* the live definition has the address of each virtio-mem device: not in libvirt 9.0 */
  gboolean dynamic_memslots; /* its host can divide a virtio-mem device into regions that come and go with its memory */
  guint hidden_slots;
  uint64_t step;       /* boot memory and maximum are rounded up to it by libvirt at start: 1 MiB, on POWER 256 MiB */
  uint64_t guaranteed; /* as stored; 0: not stored, all memory is guaranteed. Read it by dm_config_guaranteed() */
  uint64_t balloon;    /* libvirt's currentMemory */
  DmBalloonUse balloon_use;
  uint64_t
    balloon_held; /* what the balloon of the running VM holds since dimmer let it take some, as stored; 0: no such */
  uint64_t balloon_others; /* the part of it that other programs had it take before, as stored */
  GArray *floors; /* uint64_t, as cells: the boot memory of each cell at every start, all above being memory devices of
                   * the definition; empty: the VM is not set up to shrink, and starts with boot memory only */
  DmDeviceKind floor_kind;      /* of the devices above the floors */
  gboolean free_page_reporting; /* of its balloon: pages that the guest frees return to the host at once */
  gboolean autodeflate;         /* of its balloon: it returns memory before the guest kills processes */
  GArray
    *pages; /* uint64_t, as cells: the huge page size that backs a cell, 0: ordinary pages; read by dm_config_page() */
  DmMachine machine;
} DmConfig;

DmMemoryDevice *dm_memory_device_new(DmDeviceKind kind) G_GNUC_WARN_UNUSED_RESULT;
DmMemoryDevice *dm_memory_device_copy(const DmMemoryDevice *device) G_GNUC_WARN_UNUSED_RESULT;
void dm_memory_device_free(DmMemoryDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmMemoryDevice, dm_memory_device_free)

/*
 * What the device counts for in memory: a DIMM its size, once QEMU has it; a virtio-mem device what the guest holds of
 * it, whatever was requested, but in a persistent configuration or before the plug what will be requested; 0 for other
 * kinds.
 */
uint64_t dm_memory_device_memory(const DmMemoryDevice *device);

/*
 * The same, but for a live virtio-mem device the requested size if larger: what it will count for if the guest accepts.
 */
uint64_t dm_memory_device_promised(const DmMemoryDevice *device);

/* "present", or "resizing": of a live virtio-mem device that does not hold what is requested, for whatever reason. */
const char *dm_memory_device_state_name(const DmMemoryDevice *device);

/*
 * Where it is plugged in, as in its definition: "slot 0", or a PCI address. The caller g_frees. NULL: not known.
 */
char *dm_memory_device_place(const DmMemoryDevice *device) G_GNUC_WARN_UNUSED_RESULT;

/* "dimm", "virtio-mem", "other": stable, in JSON, the API and metadata. */
const char *dm_device_kind_name(DmDeviceKind kind);

/* "dimm 3f2a91c0 (256 MiB)", with that many characters of its id. The caller g_frees. */
char *dm_device_describe(const char *kind, const char *id, guint length, uint64_t size) G_GNUC_WARN_UNUSED_RESULT;

/* "dimm" or "virtio-mem"; for other kinds libvirt's model. */
const char *dm_memory_device_kind_name(const DmMemoryDevice *device);

DmConfig *dm_config_new(void) G_GNUC_WARN_UNUSED_RESULT;
DmConfig *dm_config_copy(const DmConfig *config) G_GNUC_WARN_UNUSED_RESULT;
void dm_config_free(DmConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmConfig, dm_config_free)

/* What the VM started, or will start, with: the sum of its cells. */
uint64_t dm_config_boot(const DmConfig *config);

/* Boot memory and what each device counts for. */
uint64_t dm_config_memory(const DmConfig *config);

/* Boot memory and DIMMs: what a balloon can take from. QEMU counts it without virtio-mem. */
uint64_t dm_config_fixed(const DmConfig *config);

/* Boot memory and what each device is requested to hold. */
uint64_t dm_config_promised(const DmConfig *config);

/* What a VM that is set up to shrink has as boot memory at every start; 0: not set up to shrink. */
uint64_t dm_config_floor(const DmConfig *config);

/* Memory never falls below this; never above memory. */
uint64_t dm_config_guaranteed(const DmConfig *config);

/* libvirt's maxMemory, the saved maximum, or memory itself if there is neither. */
uint64_t dm_config_maximum(const DmConfig *config);

/* Whether that device uses a slot (libvirt: "memory device count exceeds slots count"). */
gboolean dm_config_takes_slot(const DmConfig *config, const DmMemoryDevice *device);

/* Slots in use by no device. */
guint dm_config_free_slots(const DmConfig *config);

/* What can still be plugged below maximum: each virtio-mem device occupies its full size of address space. */
uint64_t dm_config_plug_room(const DmConfig *config);

/* The huge page size that backs memory of NUMA node @node, 0: ordinary pages. */
uint64_t dm_config_page(const DmConfig *config, int node);

/* The largest huge page of all nodes, 0: all use ordinary pages. */
uint64_t dm_config_largest_page(const DmConfig *config);

/*
 * What the balloon takes from the guest at a start with this definition: boot memory and DIMMs minus currentMemory,
 * which excludes virtio-mem. As little as what rounding up its sizes may have added counts as 0.
 */
uint64_t dm_config_ballooned(const DmConfig *config);

/* The device with that alias, or NULL. Owned by the configuration. */
DmMemoryDevice *dm_config_find_alias(const DmConfig *config, const char *alias);

/*
 * Same memory, guaranteed, maximum, slots and ability to hot plug: a configuration equal to the live one is not shown
 * as a next run.
 */
gboolean dm_config_equal_values(const DmConfig *a, const DmConfig *b);
