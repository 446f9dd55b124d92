/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as the VM carries it: written before anything is asked, accounted for and cleared at the end, or by whoever
 * looks next after a crash. All calls block. Not for other layers.
 */
#pragma once

#include "hypervisor/domain.h"
#include "model/vm.h"
#include "plan/change.h"

/*
 * The request that carries out @plan on @vm, to be owned by this process; @id NULL: a new one. Steps of the request
 * recorded in @vm whose answers are still out are carried over, so that they are not forgotten; a request
 * for a memory size that does without them withdraws them. @timeout: seconds until something is heard of it.
 */
DmRequest *record_new(const DmVm *vm, const DmPlan *plan, const char *id, double timeout);

/* Whoever owns @request is at it for another @timeout seconds. */
void record_extend(DmRequest *request, double timeout);

/*
 * Accounts for @request on @vm, both as they are now: the next run follows where it has to, guaranteed is set, and the
 * VM keeps of the request what is still out, and nothing if nothing is. @request keeps its steps, for the report.
 * A VM that has stopped carries nothing; only its next run is seen to. Where a rule forbids the next run to follow, it
 * stays, and @notes (or NULL) tells why.
 */
gboolean record_settle(DmConnection *connection, const DmVm *vm, DmRequest *request, GPtrArray *notes, GError **error);

/*
 * Finishes what an earlier dimmer left in @vm, whose request is @request (changed: its steps become what they are):
 * also writes its next run if it came only that far. A sentence for each step, saying what became of it, is added to
 * @notes.
 */
gboolean record_recover(DmConnection *connection, const DmVm *vm, DmRequest *request, GPtrArray *notes, GError **error);

/*
 * As record_recover(), but only in @vm itself, where nothing is to be touched: its request and its next run become what
 * they would be.
 */
void record_preview(DmVm *vm, GPtrArray *notes);

/* Whether @request names values for the next run. */
gboolean record_changes_next_run(const DmRequest *request);

/* Writes the next-run values of @request, if it names any. */
gboolean record_configure(DmConnection *connection, const DmVm *vm, const DmRequest *request, GError **error);
