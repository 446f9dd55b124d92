/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error domain of dimmer and its one table: code, stable name, HTTP status, exit status.
 *
 * Every failure inside dimmer is a GError of the domain DM_ERROR. Its message names the object and the remedy, in words
 * that fit every reader: a program, the page, the command line. A command that is the remedy is attached to the error,
 * for the command line to show; so are libvirt's own domain and code if libvirt was the origin.
 */
#pragma once

#include <glib.h>

#define DM_ERROR (dm_error_quark())

typedef enum {
  DM_ERROR_FAILED,   /* libvirt, QEMU or the operating system failed unexpectedly */
  DM_ERROR_USAGE,    /* invalid command line */
  DM_ERROR_BAD_SIZE, /* not a size at all */
  DM_ERROR_SIZE_NEGATIVE,
  DM_ERROR_SIZE_ZERO,     /* zero, or below the smallest meaningful size */
  DM_ERROR_SIZE_OVERFLOW, /* does not fit into 64 bits of bytes */
  DM_ERROR_CONNECTION,    /* no connection to the hypervisor, or it was lost */
  DM_ERROR_NO_SUCH_VM,
  DM_ERROR_NO_SUCH_DEVICE,
  DM_ERROR_AMBIGUOUS,      /* a shortened id fits more than one object */
  DM_ERROR_NOT_A_MULTIPLE, /* not a multiple of the hot plug factor, block size or page size */
  DM_ERROR_GUARANTEED_ABOVE_MEMORY,
  DM_ERROR_MEMORY_ABOVE_MAXIMUM,
  DM_ERROR_ABOVE_PLATFORM, /* a maximum above what the platform supports */
  DM_ERROR_NO_FREE_SLOT,
  DM_ERROR_BAD_FLOOR,   /* floor: too low to boot, above memory, or for a node that does not exist */
  DM_ERROR_NO_BALLOON,  /* the balloon cannot take memory: there is none, or it would give the host nothing */
  DM_ERROR_NOT_ENABLED, /* the VM lacks what hot plug needs: maxMemory, slots, a NUMA cell */
  DM_ERROR_NO_SUCH_NODE,
  DM_ERROR_NOT_RUNNING,        /* shut off, paused, ...: no hot change possible */
  DM_ERROR_NO_NEXT_RUN,        /* a transient VM has no next-run configuration */
  DM_ERROR_NOT_REMOVABLE,      /* a kind of memory device that cannot be hot unplugged */
  DM_ERROR_NOT_MOVABLE,        /* a memory device that the guest has onlined in a kernel zone */
  DM_ERROR_GUEST_NEEDS_MEMORY, /* more than the guest can spare */
  DM_ERROR_BUSY,               /* another request for the same VM is in flight, or a libvirt job */
  DM_ERROR_VM_STOPPED,         /* the VM stopped or disappeared during the request */
  DM_ERROR_VM_MOVED,           /* the VM migrated during the request, and took it along */
  DM_ERROR_PERMISSION,         /* the connection does not allow the change */
  DM_ERROR_INTERRUPTED,        /* by a signal, before anything was changed */
  DM_ERROR_BAD_REQUEST,        /* this and the next ones come from the daemon only: malformed request */
  DM_ERROR_BAD_VALUE,          /* invalid value */
  DM_ERROR_BAD_SEARCH,         /* invalid search */
  DM_ERROR_IMMUTABLE,          /* attempt to change a fixed value */
  DM_ERROR_CANNOT_START,       /* next run cannot start, so the VM was not stopped for it */
  DM_ERROR_CHANGED,            /* the VM has changed since the request was made */
  DM_ERROR_HOST_REFUSED,       /* the VM's host could not do it */
  DM_ERROR_CODES               /* how many there are */
} DmError;

typedef struct {
  DmError code;
  const char *name; /* stable: programs may compare it */
  int http_status;
  int exit_status;
} DmErrorInfo;

/* Of an error that only the daemon returns. */
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
  DM_EXIT_KEPT = 9,
  /* As in shells: 128 + SIGINT. */
  DM_EXIT_INTERRUPTED = 130,
};

GQuark dm_error_quark(void);

/* The table row of @code, never NULL: unknown codes map to DM_ERROR_FAILED. */
const DmErrorInfo *dm_error_info(int code);

/* As dm_error_info(), for any GError: errors of foreign domains count as DM_ERROR_FAILED. */
const DmErrorInfo *dm_error_info_of(const GError *error);

/*
 * The command that is the remedy, as words for dm_shell_command(): "dimmer", "show", name, NULL. Words in capitals are
 * placeholders, such as SIZE. Does nothing if @error or *@error is NULL.
 */
void dm_error_add_command(GError **error, const char *first, ...) G_GNUC_NULL_TERMINATED;

/* The same, of @words up to NULL. */
void dm_error_add_command_strv(GError **error, const char *const *words);

/* "dimmer show web1", for a shell on the VM's host; NULL: there is none. */
const char *dm_error_get_command(const GError *error);

/* Remembers libvirt's @origin_domain (virErrorDomain) and @origin_code (virErrorNumber) in @error, of DM_ERROR. */
void dm_error_set_origin(GError *error, int origin_domain, int origin_code);

/* Reads them back. FALSE, with nothing written, if libvirt was not the origin. */
gboolean dm_error_get_origin(const GError *error, int *origin_domain, int *origin_code);
