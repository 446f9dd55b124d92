/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One dimmer at a time changes a VM. The lock is a bound abstract unix socket named after the VM's UUID: every user of
 * the host sees it, it leaves no file behind, and it goes with its process, however that ends.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct DmLock DmLock;

/* In the thread of the default main loop, which answers who asks for the owner. Never waits. NULL with DM_ERROR_BUSY,
 * naming @vm_name and the process that holds it. */
DmLock *dm_lock_take(const char *vm_uuid, const char *vm_name, GError **error);
void dm_lock_free(DmLock *lock);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmLock, dm_lock_free)

/* The process that changes the VM at this moment, 0: none on this host. */
pid_t dm_lock_owner(const char *vm_uuid);

typedef struct DmLockWatch DmLockWatch;

/*
 * @func is called once, in the main loop, when whoever has the lock now has let go of it or has ended; by then the
 * watch is gone. NULL: nobody has it.
 */
DmLockWatch *dm_lock_watch(const char *vm_uuid, void (*func)(gpointer data), gpointer data);
/* Before it was called. NULL is allowed. */
void dm_lock_unwatch(DmLockWatch *watch);
