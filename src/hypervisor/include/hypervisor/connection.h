/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a hypervisor, and its events. Only this layer uses libvirt.
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
  DM_EVENT_DEVICE_RESIZED, /* a virtio-mem device: size is what the guest holds now */
  DM_EVENT_VM_STARTED,
  DM_EVENT_VM_STOPPED,
  DM_EVENT_VM_CRASHED,
  DM_EVENT_VM_MOVED, /* it runs on another host now */
  DM_EVENT_VM_PAUSED,
  DM_EVENT_VM_RESUMED,
  DM_EVENT_VM_REBOOTED,     /* by its guest, or from outside: warm */
  DM_EVENT_VM_BALLOONED,    /* size is what its balloon leaves of boot memory and DIMMs; told once a second at most */
  DM_EVENT_VM_CHANGED,      /* in some other way: definition, metadata, state, agent */
  DM_EVENT_VM_UNDEFINED,    /* its definition is gone; a running VM continues as a transient one */
  DM_EVENT_CONNECTION_LOST, /* for every watch of the connection; the last event */
} DmEventKind;

typedef struct {
  DmEventKind kind;
  const char *uuid;  /* of the VM; NULL: the connection's */
  const char *alias; /* of the device; NULL for others */
  uint64_t size;     /* bytes */
  gboolean by_guest; /* VM_STOPPED: its guest shut down; it was not destroyed */
  gboolean boots;    /* VM_STARTED: its guest boots; it was not restored, nor did it come from another host */
} DmEvent;

typedef void (*DmEventFunc)(const DmEvent *event, gpointer data);

/* Hooks libvirt into the default main loop, and ignores SIGPIPE. Call once, before the first connection is opened. */
void dm_hypervisor_start(void);

/*
 * At the process's end, once all connections are closed: lets calls under way finish, such as closing channels, and
 * lets libvirt free callbacks, which it does from the main loop. Takes seconds if a host hangs. FALSE: threads still
 * inside libvirt cannot be joined; exit by _exit(), as exit handlers would unload libvirt under them.
 */
gboolean dm_hypervisor_end(void) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Runs @work in a thread of its own, as it may open a connection, then @done in the main loop, both with @data.
 * dm_hypervisor_end() waits for it too.
 */
void dm_hypervisor_run(void (*work)(gpointer data), void (*done)(gpointer data), gpointer data);

/* Whether @uri can be a libvirt URI at all, without connecting. FALSE with DM_ERROR_BAD_VALUE. */
gboolean dm_connection_check_uri(const char *uri, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * How @uri, as configured, is spelled on the host it leads to: "qemu:///system" for "qemu+ssh://root@kvm2/system". The
 * caller frees.
 */
char *dm_connection_local_uri(const char *uri) G_GNUC_WARN_UNUSED_RESULT;

typedef enum {
  DM_CONNECTION_LOOKS,   /* needs no rights on qemu:///system; cannot make changes and gets no device events */
  DM_CONNECTION_CHANGES, /* reads, changes and gets events */
  DM_CONNECTION_SERVES,  /* the same, with many calls at a time to other machines too: each on a libvirt connection of
                          * its own, which asks for credentials, such as a password */
} DmConnectionUse;

/*
 * Opens @uri (NULL: libvirt's own default, which honours LIBVIRT_DEFAULT_URI). Blocks. NULL with DM_ERROR_CONNECTION.
 */
DmConnection *dm_connection_open(const char *uri, DmConnectionUse use, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether @uri allows changes, by trying. Blocks; needs no dm_hypervisor_start(). */
gboolean dm_connection_can_open(const char *uri);

/* Takes a reference, for callers in worker threads: the connection stays open until as many dm_connection_close(). */
DmConnection *dm_connection_ref(DmConnection *connection) G_GNUC_WARN_UNUSED_RESULT;

/* The last one stops events and frees. May block on a host that hangs, but not on a lost one. */
void dm_connection_close(DmConnection *connection);

/*
 * As dm_connection_close(), but the last close, whether this or a later dm_connection_close(), runs in a thread of its
 * own: for a host that may hang, called in the main loop.
 */
void dm_connection_abandon(DmConnection *connection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmConnection, dm_connection_close)

/* As libvirt spells it; owned by the connection. */
const char *dm_connection_uri(const DmConnection *connection);

/* Whether it is still up; in a worker, for the calls made there. Does not block. */
gboolean dm_connection_is_alive(DmConnection *connection);

/* Why it was lost, to follow "was lost: "; static. After DM_EVENT_CONNECTION_LOST, from any thread. */
const char *dm_connection_loss(DmConnection *connection);

/*
 * Runs @work in a worker thread, then @done in the main loop, both with @data; call it in the main loop. The thread and
 * the libvirt connection are for that call alone, so a hanging call blocks no other. There are 16 of them per
 * connection, at most three per VM (@vm: its UUID, or its name until that is known; NULL: none): further calls are
 * queued. To another machine there is only one, but for DM_CONNECTION_SERVES.
 */
void dm_connection_run(
  DmConnection *connection, const char *vm, void (*work)(gpointer data), void (*done)(gpointer data), gpointer data);

/*
 * From now on @func gets each event of the VM of that UUID (NULL: of every VM and of the connection), in the main
 * loop's thread. Returns an id for dm_connection_unwatch().
 */
guint dm_connection_watch(DmConnection *connection, const char *uuid, DmEventFunc func, gpointer data);
void dm_connection_unwatch(DmConnection *connection, guint watch);

/* Of all connections of this process: calls given to dm_connection_run(), calls returned, and the time they took. */
typedef struct {
  guint64 started, done;
  double seconds;
} DmCallCounts;

/* In the main loop's thread. */
DmCallCounts dm_connection_counts(void);
