/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "hypervisor/connection.h"
#include "virt_error.h"

/*
 * The libvirt connection for calls of this thread; each thread has its own, and objects from it must not be shared.
 * Owned by the DmConnection. NULL with DM_ERROR_CONNECTION.
 */
virConnectPtr connection_get_virt(DmConnection *connection, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The folder of libvirt's VM state on this machine; NULL: remote, or not known. The caller g_frees. */
char *uri_state_folder(const char *uri_text) G_GNUC_WARN_UNUSED_RESULT;
const char *connection_state_folder(const DmConnection *connection);

/*
 * Another one, for a further thread; the caller closes it. NULL if none is available, or opening it might ask for a
 * password again.
 */
virConnectPtr connection_open_another(DmConnection *connection);

/* Transfers the one that connection_get_virt() returned before to the caller. */
virConnectPtr connection_take_virt(DmConnection *connection);

/* Returns it for other calls, or closes it; in a worker thread. */
void connection_give_virt(DmConnection *connection, virConnectPtr virt);

/* The memory of the host, in bytes, read once; 0: not reported. A call like all others. */
uint64_t connection_host_memory(DmConnection *connection);

/* It was not opened to look only. */
gboolean connection_may_change(const DmConnection *connection);

/* What abilities.c has found out, for each key of its own, and for so many seconds (0: for good). Any thread. */
gboolean connection_knows(DmConnection *connection, const char *key, guint *found);
void connection_learn(DmConnection *connection, const char *key, guint found, guint for_s);

/* The version of its libvirt: 9.0.0 is 9000000. 0: not known. */
gulong connection_version(const DmConnection *connection);
