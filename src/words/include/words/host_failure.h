/* SPDX-License-Identifier: Apache-2.0 */
/* What a failure of the host means, by its message in English: that of QEMU as libvirt hands it on, or libvirt's own.
 */
#pragma once

#include <glib.h>

/* What the host lacks. */
typedef enum {
  DM_LACKS_UNKNOWN, /* the message is not known */
  DM_LACKS_MEMORY,  /* memory, or huge pages */
  DM_LACKS_OTHER,
} DmHostLack;

/* The meaning and the remedy, as part of a sentence; NULL where the message is not known. *@lack is always set. */
const char *dm_host_failure(const char *message, DmHostLack *lack);
