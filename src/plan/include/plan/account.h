/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has become of a request, read from the VM itself, and the values that follow from it. Pure functions, and
 * idempotent: accounting twice, or after a crash between any two steps, changes nothing more.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "model/vm.h"

typedef struct {
  gboolean follows; /* the next-run configuration is to follow the live memory: by the differences below, in order */
  GPtrArray *differences; /* DmStep: from and to are what a device counted for before, and counts for now */
  uint64_t guaranteed;    /* what the running VM is to store; 0: as it is */
} DmAccount;

void dm_account_free(DmAccount *account);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmAccount, dm_account_free)

/*
 * Compares the steps of @request with @vm as it is now. Steps whose end can be seen advance to done, and the from of
 * each becomes what its device counts for now. @request is of the same VM, and is changed.
 *
 * The next run follows a plug or an unplug of chosen devices where its memory equalled the live memory before (the
 * specification's rule); for a memory size it has the asked values already. guaranteed never stays above memory.
 */
DmAccount *dm_plan_account(const DmVm *vm, DmRequest *request);

/* The persistent configuration after @account: each difference on its own node. NULL if it cannot follow. */
DmConfig *dm_plan_follow(const DmConfig *persistent, const DmAccount *account, const char *vm_name, GError **error);
