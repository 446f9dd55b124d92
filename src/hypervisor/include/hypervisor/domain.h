/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be read from a VM and asked of it. Each call blocks on the hypervisor, up to 30 s behind another job of the
 * same VM, and may be made from any thread. VMs are named by UUID.
 */
#pragma once

#include <glib.h>

#include "hypervisor/connection.h"
#include "model/vm.h"

/* Every VM of the connection (DmVm, owned), sorted by name. */
GPtrArray *dm_domain_list(DmConnection *connection, GError **error);

/* The VM of that name or UUID. NULL with DM_ERROR_NO_SUCH_VM. */
DmVm *dm_domain_read(DmConnection *connection, const char *name, GError **error);

/*
 * Sets vm->job: what libvirt does with that running VM as a whole, in words that follow "is being", such as "migrated".
 * Until that is over its guest runs on, and whatever would change the VM waits for 30 s and fails.
 */
void dm_domain_read_job(DmConnection *connection, DmVm *vm);

/*
 * Replaces what the running VM stores: guaranteed (0: nothing), the request in flight (NULL: none), and the refusals
 * that @vm has.
 * The rest of its metadata stays.
 */
gboolean dm_domain_store(
  DmConnection *connection, const DmVm *vm, uint64_t guaranteed, const DmRequest *request, GError **error);

/* From the persistent configuration as it is at that moment to the one wanted; NULL with an error. */
typedef DmConfig *(*DmConfigFunc)(const DmConfig *persistent, gpointer data, GError **error);

/*
 * Reads the persistent definition, lets @change make what is wanted of it, and defines the difference; everything else
 * in it stays. Nothing is defined where nothing differs. Another tool that redefines the VM in the few milliseconds in
 * between is overwritten: libvirt has no compare-and-set.
 */
gboolean dm_domain_change_next_run(
  DmConnection *connection, const DmVm *vm, DmConfigFunc change, gpointer data, GError **error);

/*
 * Asks for each of @steps (DmStep) in order, one right after the other, and notes in asked_at when: hot unplug of a
 * DIMM or a new size of a virtio-mem device, whose outcome comes as an event; or the plug of a new device, which is
 * there on return. What the host cannot do has its words as the step's reason; of several new devices none is tried
 * after one failed. *@look becomes TRUE where no event may be coming, as the device was gone already, or is new: then
 * the VM itself tells. FALSE with an error: nothing was asked.
 */
gboolean dm_domain_ask(
  DmConnection *connection, const DmVm *vm, const GPtrArray *steps, gboolean *look, GError **error);

typedef enum {
  DM_POWER_START,       /* of a paused VM: lets it run on; of a saved one: restores it */
  DM_POWER_STOP,        /* at once, as by pulling the plug */
  DM_POWER_SHUTDOWN,    /* asks the guest, which may ignore it */
  DM_POWER_REBOOT,      /* asks the guest */
  DM_POWER_COLD_REBOOT, /* asks the guest to go down; whoever hears that it has stopped starts it with its next run */
} DmPower;

/* "start", "stop", "shut down", "reboot" */
const char *dm_power_name(DmPower power);

/* Asks for it; that it has happened comes as an event, a start or stop has happened on return. @uuid: of the VM. */
gboolean dm_domain_power(DmConnection *connection, const char *uuid, DmPower power, GError **error);

/*
 * Memory statistics of all running VMs in one call: UUID (owned text) → DmMemoryStats (owned). VMs that cannot answer
 * at once are left out. The balloon of a VM that has none to tell is asked to count from now on; @counting, a set of
 * texts that the caller keeps from one call to the next, remembers which were asked. The caller unrefs.
 */
GHashTable *dm_domain_memory_stats(DmConnection *connection, GHashTable *counting, GError **error);
