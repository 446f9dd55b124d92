/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outcome of a request, read from the VM itself, and the values that follow. Pure functions, and idempotent:
 * accounting again, also after a crash between any two steps, changes nothing.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/vm.h"

typedef struct {
  gboolean follows; /* the next-run configuration is to follow the live memory: by the differences below, in order */
  GPtrArray *differences; /* DmStep: from and to: what a device counted for before and counts for now */
  const DmConfig *live;   /* the VM's, as it is now: borrowed */
  uint64_t guaranteed;    /* what the running VM is to store; 0: unchanged */
} DmAccount;

void dm_account_free(DmAccount *account);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmAccount, dm_account_free)

/*
 * Compares the steps of @request with @vm as it is now. Steps seen to be complete advance to done, and each step's from
 * becomes what its device counts for now. @request is of the same VM, and is changed.
 *
 * The next run follows a plug or an unplug of chosen devices where its memory equalled the live memory before (the
 * specification's rule); for a memory size it has the requested values already. guaranteed never stays above memory,
 * but is kept while a virtio-mem device is short of memory temporarily, as while its guest reboots.
 */
DmAccount *dm_plan_account(const DmVm *vm, DmRequest *request) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The persistent configuration after @account: each difference in the same device, else on the same node. NULL if it
 * cannot follow. @notes (DmNote, or NULL) collects notes about it.
 */
DmConfig *dm_plan_follow(const DmConfig *persistent, const DmAccount *account, const char *vm_name, GPtrArray *notes,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;
