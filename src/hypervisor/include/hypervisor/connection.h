/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a hypervisor, and its events. Only this layer knows libvirt.
 *
 * Threads: dm_hypervisor_start() and everything about watching belong to the thread that runs the default GLib main
 * loop, and events arrive there. The calls of domain.h may block and may be made from any thread.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct DmConnection DmConnection;

typedef enum {
  DM_EVENT_DEVICE_REMOVED,
  DM_EVENT_DEVICE_REFUSED, /* the guest refused to release the device */
  DM_EVENT_DEVICE_ADDED,
  DM_EVENT_DEVICE_RESIZED, /* a virtio-mem device: size has what the guest holds now */
  DM_EVENT_VM_STARTED,
  DM_EVENT_VM_STOPPED,
  DM_EVENT_VM_CRASHED,
  DM_EVENT_VM_MOVED, /* it runs on another host now */
  DM_EVENT_VM_PAUSED,
  DM_EVENT_VM_RESUMED,
  DM_EVENT_VM_REBOOTED,     /* by its guest, or from outside: warm */
  DM_EVENT_VM_CHANGED,      /* in some other way: definition, metadata, balloon, state, agent */
  DM_EVENT_VM_UNDEFINED,    /* its definition is gone; a running VM runs on as a transient one */
  DM_EVENT_CONNECTION_LOST, /* of every watch of the connection; no event comes after it */
} DmEventKind;

typedef struct {
  DmEventKind kind;
  const char *uuid;  /* of the VM; NULL: the connection's */
  const char *alias; /* of the device; NULL for others */
  uint64_t size;     /* bytes */
  gboolean by_guest; /* VM_STOPPED: its guest went down, nobody pulled the plug */
} DmEvent;

typedef void (*DmEventFunc)(const DmEvent *event, gpointer data);

/* Hooks libvirt into the default main loop, and ignores SIGPIPE. Once, before the first connection is opened. */
void dm_hypervisor_start(void);

/*
 * At the process's end, once all connections are closed: lets calls that are still under way end, as those that end
 * channels, and libvirt let go of callbacks, which it does from the main loop. Takes seconds where a host hangs.
 */
void dm_hypervisor_end(void);

/* Whether @uri can be one of libvirt's at all, without connecting. FALSE with DM_ERROR_BAD_VALUE. */
gboolean dm_connection_check_uri(const char *uri, GError **error);

typedef enum {
  DM_CONNECTION_LOOKS,   /* needs no rights on qemu:///system; can neither change anything nor hear of devices */
  DM_CONNECTION_CHANGES, /* and hears of what happens; for one call at a time */
  DM_CONNECTION_SERVES,  /* the same for many at a time: a host that hangs is found out beside them. It asks twice for
                            whatever a connection needs, such as a password */
} DmConnectionUse;

/*
 * Opens @uri (NULL: libvirt's own default, which honours LIBVIRT_DEFAULT_URI). Blocks. NULL with DM_ERROR_CONNECTION.
 */
DmConnection *dm_connection_open(const char *uri, DmConnectionUse use, GError **error);

/* For whoever makes calls in worker threads: the connection stays open until as many dm_connection_close(). */
DmConnection *dm_connection_ref(DmConnection *connection);

/* The last one stops the events and frees. May block on a host that hangs, but not on one that is lost. */
void dm_connection_close(DmConnection *connection);

/* As dm_connection_close(), but the last one, be it this or a later dm_connection_close(), does it in a thread of its
 * own: for a host that may hang, in the main loop. */
void dm_connection_abandon(DmConnection *connection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmConnection, dm_connection_close)

/* As libvirt spells it; the connection keeps it. */
const char *dm_connection_uri(const DmConnection *connection);

/* Whether it still stands. Any thread; does not block. */
gboolean dm_connection_is_alive(DmConnection *connection);

/*
 * @work in a worker thread of the connection's own, then @done in the main loop, both with @data. A host that hangs
 * keeps its own threads only. Calls beyond the number of threads wait for their turn.
 */
void dm_connection_run(
  DmConnection *connection, void (*work)(gpointer data), void (*done)(gpointer data), gpointer data);

/*
 * From now on each event of the VM of that UUID (NULL: of every VM, and of the connection) goes to @func, in the main
 * loop's thread. Returns a number for dm_connection_unwatch().
 */
guint dm_connection_watch(DmConnection *connection, const char *uuid, DmEventFunc func, gpointer data);
void dm_connection_unwatch(DmConnection *connection, guint watch);

/* Of all connections of this process: what was handed to dm_connection_run(), what came back, and how long that took.
 */
typedef struct {
  guint64 started, done;
  double seconds;
} DmCallCounts;

/* In the main loop's thread. */
DmCallCounts dm_connection_counts(void);
