/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Only one dimmer process at a time changes a VM. The lock is a bound abstract unix socket named after the VM's UUID:
 * every user of the host sees it, it leaves no file behind, and it disappears with its process, however that ends.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct DmLock DmLock;

/*
 * In the thread of the default main loop, which answers queries for the owner. Never waits. NULL with DM_ERROR_BUSY,
 * naming @vm_name and the process that holds it.
 */
DmLock *dm_lock_take(const char *vm_uuid, const char *vm_name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void dm_lock_free(DmLock *lock);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmLock, dm_lock_free)

/* The process that is changing the VM now; 0: none on this host. */
pid_t dm_lock_owner(const char *vm_uuid);

typedef struct DmLockWatch DmLockWatch;

/*
 * @func is called once, in the main loop, when the present owner has released the lock or exited; the watch is freed by
 * then. NULL: the lock is free.
 */
DmLockWatch *dm_lock_watch(const char *vm_uuid, void (*func)(gpointer data), gpointer data) G_GNUC_WARN_UNUSED_RESULT;
/* Only before @func was called. NULL is allowed. */
void dm_lock_unwatch(DmLockWatch *watch);
