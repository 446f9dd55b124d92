/* SPDX-License-Identifier: Apache-2.0 */
/* Converts libvirt's errors to ours, keeping libvirt's domain and code. Not for other layers. */
#pragma once

#include <glib.h>

#include "virt_calls.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virDomainFree)

/*
 * Sets @error from this thread's last libvirt error, with the context "FORMAT: " before libvirt's message. The code is
 * DM_ERROR_CONNECTION, _NO_SUCH_VM, _PERMISSION or _BUSY by libvirt's code, else DM_ERROR_FAILED.
 */
void virt_error_set(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The virErrorNumber of this thread's last error. */
int virt_error_last(void);
