/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request in the VM's record: written before anything is requested, accounted for and cleared at the end, or by the
 * next process after a crash. All calls block. Not for other layers.
 */
#pragma once

#include "hypervisor/domain.h"
#include "model/vm.h"
#include "plan/change.h"

/*
 * The request that carries out @plan on @vm, to be owned by this process; @id NULL: a new one. Outstanding steps of the
 * request recorded in @vm are carried over, so that they are not lost; a request for a memory size that does not need
 * them withdraws them. @timeout_s: seconds until an answer is expected.
 */
DmRequest *record_new(const DmVm *vm, const DmPlan *plan, const char *id, double timeout_s) G_GNUC_WARN_UNUSED_RESULT;

/* The owner of @request works on it for another @timeout_s. */
void record_extend(DmRequest *request, double timeout_s);

/*
 * Accounts for @request on @vm, both current: updates its steps, and makes the next run follow if needed. If a rule
 * forbids that, it stays unchanged, and @notes (or NULL) says why. The VM still carries the request.
 */
gboolean record_account(DmConnection *connection, const DmVm *vm, DmRequest *request, GPtrArray *notes,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * After that: sets guaranteed, and reduces the VM's record to outstanding steps, or removes it if there are none.
 * @request keeps its steps, for the report. A stopped VM carries nothing.
 */
gboolean record_clear(
  DmConnection *connection, const DmVm *vm, DmRequest *request, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * As record_account(), for what an earlier dimmer left in @vm, whose request is @request: also writes its next run if
 * it got only that far. Adds a sentence with the outcome of each step to @notes.
 */
gboolean record_recover(DmConnection *connection, const DmVm *vm, DmRequest *request, GPtrArray *notes,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * As record_recover(), but only in the copy @vm, without changing anything: its request and next run become what they
 * would be.
 */
void record_preview(DmVm *vm, GPtrArray *notes);

/* Whether @request has values for the next run. */
gboolean record_changes_next_run(const DmRequest *request);

/* Writes the next-run values of @request, if any. @rewrite, if not NULL, records the change of the definition. */
gboolean record_configure(DmConnection *connection, const DmVm *vm, const DmRequest *request, DmRewrite *rewrite,
  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * If other devices than those of @plan were removed, as the guest refused these: drops the twins of the removed ones
 * from the definition, and restores the others. @vm and @request are current.
 */
gboolean record_configure_again(DmConnection *connection, const DmVm *vm, const DmRequest *request, const DmPlan *plan,
  const DmRewrite *rewrite, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Adds the refusal of the device to @refusals (DmRefusal), with the present fingerprint of its guest. */
void record_remember(GPtrArray *refusals, const DmVm *vm, const char *alias);

/* Adds @refusals to @vm, which is about to be stored, and drops those of devices that are gone. */
void record_merge_refusals(DmVm *vm, const GPtrArray *refusals);
