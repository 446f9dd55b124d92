/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and changes VMs. Each call blocks on the hypervisor, up to 30 s behind another job of the same VM, and may be
 * made from any thread. VMs are named by UUID.
 */
#pragma once

#include <glib.h>

#include "hypervisor/connection.h"
#include "model/vm.h"

/* Every VM of the connection (DmVm, owned), sorted by name. */
GPtrArray *dm_domain_list(DmConnection *connection, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The VM of that name or UUID. NULL with DM_ERROR_NO_SUCH_VM. */
DmVm *dm_domain_read(DmConnection *connection, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * When the running VM of that name was started: milliseconds since 1970; 0: not known. Does not call the hypervisor and
 * does not block.
 */
int64_t dm_domain_started(DmConnection *connection, const char *name);

/*
 * Sets vm->job: what libvirt is doing to that running VM as a whole, in words that follow "is being", such as
 * "migrated". Also vm->vhost_regions, if the host is this machine. During the job the guest keeps running, and calls
 * that change the VM wait for 30 s and fail.
 */
void dm_domain_read_job(DmConnection *connection, DmVm *vm);

/*
 * Replaces what the running VM's metadata stores: guaranteed (0: nothing), the request in flight (NULL: none), and the
 * refusals that @vm has. The rest of its metadata stays.
 */
gboolean dm_domain_store(DmConnection *connection, const DmVm *vm, uint64_t guaranteed, const DmRequest *request,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Sets the title and description of the running VM and of its definition, whichever exist. "": none; NULL: unchanged.
 */
gboolean dm_domain_describe(DmConnection *connection, const DmVm *vm, const char *title, const char *description,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Turns the present persistent configuration into the wanted one; NULL with an error. */
typedef DmConfig *(*DmConfigFunc)(const DmConfig *persistent, gpointer data, GError **error);

/*
 * Reads the persistent definition, lets @change derive the wanted one, and defines the difference; everything else in
 * it stays. Nothing is defined if nothing differs. If another tool redefines the VM in the few milliseconds in between,
 * its change is overwritten: libvirt has no compare-and-set.
 */
gboolean dm_domain_change_next_run(DmConnection *connection, const DmVm *vm, DmConfigFunc change, gpointer data,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The definition before a change and after it: libvirt's own XML, with secrets. */
typedef struct {
  char *before, *after; /* NULL: nothing was defined */
} DmRewrite;

void dm_rewrite_clear(DmRewrite *rewrite);

/* As dm_domain_change_next_run(), and records the change in @rewrite. */
gboolean dm_domain_rewrite_next_run(DmConnection *connection, const DmVm *vm, DmConfigFunc change, gpointer data,
  DmRewrite *rewrite, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Replaces the change of @rewrite by another one, starting from the definition before it. Does nothing if the
 * definition was changed since.
 */
gboolean dm_domain_rewrite_again(DmConnection *connection, const DmVm *vm, const DmRewrite *rewrite,
  DmConfigFunc change, gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Requests each of @steps (DmStep) in order, back to back, with the time in asked_at: hot unplug of a DIMM or a new
 * size of a virtio-mem device, whose outcome comes as an event; or the plug of a new device, which is complete on
 * return. If the host refuses one, its message is the step's reason; after a failed plug no other is tried. *@look
 * becomes TRUE if there may be no event, as the device was already gone, or is new: read the VM then. FALSE with an
 * error: the VM does not exist, so nothing was requested; or the connection was lost, and it is not known which were
 * requested.
 */
gboolean dm_domain_ask(DmConnection *connection, const DmVm *vm, const GPtrArray *steps, gboolean *look,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Requests the removal of an empty virtio-mem device, which frees its slot and address space. If QEMU refuses (before
 * 8.2: "virtio based memory devices cannot be unplugged"), it stays, which is no error.
 */
void dm_domain_remove_empty(DmConnection *connection, const DmVm *vm, const char *alias);

typedef enum {
  DM_POWER_START,       /* resumes a paused VM, restores a saved one */
  DM_POWER_STOP,        /* at once, like pulling the power cord */
  DM_POWER_SHUTDOWN,    /* asks the guest, which may ignore it */
  DM_POWER_REBOOT,      /* asks the guest */
  DM_POWER_COLD_REBOOT, /* asks the guest to shut down; the handler of its stop event then starts it with its next
                         * run */
#define DM_POWERS (DM_POWER_COLD_REBOOT + 1)
} DmPower;

/* "start", "stop", "shut down", "reboot" */
const char *dm_power_name(DmPower power);

/* Requests it; completion comes as an event, but start and stop are complete on return. @uuid: of the VM. */
gboolean dm_domain_power(
  DmConnection *connection, const char *uuid, DmPower power, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Memory statistics of all running VMs in one call: UUID (owned text) → DmMemoryStats (owned). VMs with a libvirt job
 * are left out; one without, whose QEMU hangs, blocks the call. The caller unrefs.
 */
GHashTable *dm_domain_memory_stats(DmConnection *connection, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Sets the period of that VM's balloon statistics to @period_s. FALSE: the VM has a libvirt job, retry later. */
gboolean dm_domain_count_memory(DmConnection *connection, const char *uuid, guint period_s);
