/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the guest of a running VM ready for hot unplug, from start to end: the VM's lock, the agents' ports, what
 * agents/prepare.h does inside, and a check of the result.
 */
#pragma once

#include <glib.h>

#include "agents/prepare.h"
#include "hypervisor/connection.h"

/* Valid until the callback returns. */
typedef struct {
  const DmVm *vm;             /* as last read; NULL: it could not be read */
  const DmPrepared *prepared; /* what was done, and what is left to do; also what preceded an error */
  gboolean ready;             /* new memory comes online as movable, as far as the guest reports */
  const GError *error;        /* NULL: none */
} DmPreparation;

typedef void (*DmPreparationFunc)(const DmPreparation *preparation, gpointer data);

/*
 * In the main loop's thread; does not block. @uri is for commands in sentences, as of dm_prepared_new(). @done is
 * called there, later than this returns.
 */
void dm_prepare_guest(
  DmConnection *connection, const char *vm_name, const char *uri, DmPreparationFunc done, gpointer data);
