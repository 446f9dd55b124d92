/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error domain of dimmer and its one table: code, stable name, HTTP status, exit status.
 *
 * Every failure inside dimmer is a GError of the domain DM_ERROR. Its message names the object and the remedy, in words
 * that hold for whoever reads them: a program, the page, the command line. A command that is the remedy travels beside
 * the message, for the command line to show. Where libvirt was the origin, libvirt's own domain and code travel with
 * the error as well.
 */
#pragma once

#include <glib.h>

#define DM_ERROR (dm_error_quark())

typedef enum {
  DM_ERROR_FAILED,   /* libvirt, QEMU or the operating system failed in a way nobody foresaw */
  DM_ERROR_USAGE,    /* the command line does not make sense */
  DM_ERROR_BAD_SIZE, /* not a size at all */
  DM_ERROR_SIZE_NEGATIVE,
  DM_ERROR_SIZE_ZERO,     /* zero, or less than the smallest size that means something */
  DM_ERROR_SIZE_OVERFLOW, /* does not fit into 64 bits of bytes */
  DM_ERROR_CONNECTION,    /* no connection to the hypervisor, or it was lost */
  DM_ERROR_NO_SUCH_VM,
  DM_ERROR_NO_SUCH_DEVICE,
  DM_ERROR_AMBIGUOUS,      /* a shortened id fits more than one object */
  DM_ERROR_NOT_A_MULTIPLE, /* of the hot plug factor, the block size or the page size */
  DM_ERROR_GUARANTEED_ABOVE_MEMORY,
  DM_ERROR_MEMORY_ABOVE_MAXIMUM,
  DM_ERROR_ABOVE_PLATFORM, /* a maximum that no machine of the kind can have */
  DM_ERROR_NO_FREE_SLOT,
  DM_ERROR_NOT_ENABLED, /* the VM lacks what hot plug needs: maxMemory, slots, a NUMA cell */
  DM_ERROR_NO_SUCH_NODE,
  DM_ERROR_NOT_RUNNING,        /* shut off, paused, ...: nothing can be changed hot */
  DM_ERROR_NO_NEXT_RUN,        /* a transient VM has no next-run configuration */
  DM_ERROR_NOT_REMOVABLE,      /* a memory device of a kind that cannot be hot unplugged */
  DM_ERROR_NOT_MOVABLE,        /* a memory device that the guest has in a kernel zone */
  DM_ERROR_GUEST_NEEDS_MEMORY, /* more is to be released than the guest can spare */
  DM_ERROR_BUSY,               /* another request for the same VM is in flight, or a job of libvirt's */
  DM_ERROR_VM_STOPPED,         /* the VM stopped, or went away, in the middle of the request */
  DM_ERROR_VM_MOVED,           /* the VM went to another host in the middle of the request, and took it along */
  DM_ERROR_PERMISSION,         /* the connection does not allow the change */
  DM_ERROR_INTERRUPTED,        /* by a signal, before anything was touched */
  DM_ERROR_BAD_REQUEST,        /* the daemon's, as the next ones: a request that is not well formed */
  DM_ERROR_BAD_VALUE,          /* a value in it makes no sense */
  DM_ERROR_BAD_SEARCH,         /* a search that does not make sense */
  DM_ERROR_IMMUTABLE,          /* a value that cannot be changed was given another one */
  DM_ERROR_CHANGED,            /* the VM is not what the request was made for any more */
} DmError;

typedef struct {
  DmError code;
  const char *name; /* stable: programs may compare it */
  int http_status;
  int exit_status;
} DmErrorInfo;

/* Of an error that the daemon alone gives. */
#define DM_EXIT_NONE (-1)

/* Exit statuses of the command line: part of its interface, described in dimmer(1). */
enum {
  DM_EXIT_DONE = 0,
  DM_EXIT_FAILED = 1,
  DM_EXIT_USAGE = 2,
  DM_EXIT_RULE = 3,
  DM_EXIT_PARTLY = 4,
  DM_EXIT_REFUSED = 5,
  DM_EXIT_OVERDUE = 6,
  DM_EXIT_CONNECTION = 7,
  DM_EXIT_NOT_FOUND = 8,
  /* As shells have it: 128 + SIGINT. */
  DM_EXIT_INTERRUPTED = 130,
};

GQuark dm_error_quark(void);

/* The table row of @code; never NULL: an unknown code is DM_ERROR_FAILED. */
const DmErrorInfo *dm_error_info(int code);

/* As dm_error_info(), for any GError: errors of foreign domains count as DM_ERROR_FAILED. */
const DmErrorInfo *dm_error_info_of(const GError *error);

/*
 * The command that is the remedy, in words as for dm_shell_command(): "dimmer", "show", name, NULL. Words in capitals
 * are for people to fill in, as SIZE. Nothing where @error or *@error is NULL.
 */
void dm_error_add_command(GError **error, const char *first, ...) G_GNUC_NULL_TERMINATED;

/* "dimmer show web1", for a shell on the VM's host; NULL: there is none. */
const char *dm_error_get_command(const GError *error);

/* Remembers libvirt's @origin_domain (virErrorDomain) and @origin_code (virErrorNumber) in @error, of DM_ERROR. */
void dm_error_set_origin(GError *error, int origin_domain, int origin_code);

/* Reads them back. FALSE, and nothing written, where libvirt was not the origin. */
gboolean dm_error_get_origin(const GError *error, int *origin_domain, int *origin_code);
