/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's errors become ours, with libvirt's domain and code kept. Not for other layers. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virDomainFree)

/*
 * Sets @error from this thread's last libvirt error, with the context "FORMAT: " before libvirt's words. The code is
 * DM_ERROR_CONNECTION, _NO_SUCH_VM, _PERMISSION or _BUSY where libvirt says so, else DM_ERROR_FAILED.
 */
void virt_error_set(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The virErrorNumber of this thread's last error. */
int virt_error_last(void);
