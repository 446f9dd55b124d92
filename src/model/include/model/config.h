/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory side of one configuration of a VM: the live one, or the persistent one that its next run takes.
 * Plain data without I/O or locks: whoever holds it owns it. All sizes are bytes.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef enum {
  DM_DEVICE_DIMM,
  DM_DEVICE_VIRTIO_MEM,
  DM_DEVICE_OTHER, /* NVDIMM, virtio-pmem, SGX EPC: shown, never touched, no memory of the guest's in our sense */
} DmDeviceKind;

/* Whether a device can go: all of its memory blocks are online as movable, or offline, as far as the guest told. */
typedef enum {
  DM_MOVABLE_UNKNOWN,
  DM_MOVABLE_YES,
  DM_MOVABLE_NO,
} DmMovable;

typedef struct {
  /* A UUID that stays while the device does: of a user alias "ua-UUID" that UUID, else made of VM and alias. NULL in a
   * persistent configuration for a device without a user alias. */
  char *id;
  char *alias; /* libvirt's, NULL in a persistent configuration where there is no user alias */
  DmDeviceKind kind;
  char *model;        /* libvirt's name of the kind: "dimm", "virtio-mem", "nvdimm", ... */
  uint64_t size;      /* of a virtio-mem device: the most it can hold */
  uint64_t requested; /* virtio-mem only: what the guest is asked to take */
  uint64_t current;   /* virtio-mem only: what the guest has taken; 0 in a persistent configuration */
  uint64_t block;     /* virtio-mem only: the step of requested */
  int node;           /* the guest's NUMA node */
  int slot;           /* -1: none */
  uint64_t address;   /* guest-physical, 0: not known */
  char *bus_address;  /* virtio-mem: its PCI address, else NULL */
  DmMovable movable;
  guint index; /* the how-manieth <memory> of <devices> it is: names it in a persistent configuration */
} DmMemoryDevice;

typedef struct {
  GArray *cells;      /* uint64_t: the boot memory of each NUMA cell; one element where there is no NUMA topology */
  gboolean has_numa;  /* the cells are written in the configuration */
  GPtrArray *devices; /* DmMemoryDevice, owned */
  uint64_t maximum;   /* libvirt's maxMemory; 0: none, so nothing can be hot plugged */
  uint64_t hidden_maximum; /* a maximum that dimmer keeps aside while boot memory equals it (QEMU would not start) */
  guint slots;
  guint hidden_slots;
  uint64_t guaranteed; /* as stored; 0: nowhere, then all memory is guaranteed. Read it by dm_config_guaranteed() */
  uint64_t balloon;    /* libvirt's currentMemory */
  uint64_t page;       /* the huge page size that backs the memory, 0: ordinary pages */
} DmConfig;

DmMemoryDevice *dm_memory_device_new(DmDeviceKind kind);
DmMemoryDevice *dm_memory_device_copy(const DmMemoryDevice *device);
void dm_memory_device_free(DmMemoryDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmMemoryDevice, dm_memory_device_free)

/*
 * What the device counts for in memory: a DIMM its size; a virtio-mem device what the guest holds or was promised,
 * whichever is more, so that memory never falls before the guest gave it back; 0 for other kinds.
 */
uint64_t dm_memory_device_memory(const DmMemoryDevice *device);

/* "dimm" or "virtio-mem"; of other kinds libvirt's own model. */
const char *dm_memory_device_kind_name(const DmMemoryDevice *device);

DmConfig *dm_config_new(void);
DmConfig *dm_config_copy(const DmConfig *config);
void dm_config_free(DmConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmConfig, dm_config_free)

/* What the VM started, or will start, with: the sum of its cells. */
uint64_t dm_config_boot(const DmConfig *config);

/* Boot memory and what each device counts for. */
uint64_t dm_config_memory(const DmConfig *config);

/* The floor that is never above memory. */
uint64_t dm_config_guaranteed(const DmConfig *config);

/* libvirt's maxMemory, the maximum kept aside, or memory itself where there is neither. */
uint64_t dm_config_maximum(const DmConfig *config);

/* Each memory device takes one, of whatever kind (libvirt: "memory device count exceeds slots count"). */
guint dm_config_free_slots(const DmConfig *config);

/* What can be plugged below maximum: each virtio-mem device takes its full size of the address space. */
uint64_t dm_config_plug_room(const DmConfig *config);

/* The device with that alias, or NULL. The configuration keeps it. */
DmMemoryDevice *dm_config_find_alias(const DmConfig *config, const char *alias);

/* Same memory, guaranteed, maximum, slots and ability to hot plug: a next run that equals the live configuration is no
 * next run of its own. */
gboolean dm_config_equal_values(const DmConfig *a, const DmConfig *b);
