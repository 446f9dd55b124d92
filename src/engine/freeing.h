/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dimmer-guest's help with unplug: it takes the devices' memory offline, one device after the other, before they are
 * requested, and keeps it offline. Main loop only; nothing blocks. Not for other layers.
 */
#pragma once

#include "agents/dimmer_guest.h"
#include "model/vm.h"

typedef struct Freeing Freeing;

typedef struct {
  enum {
    FREEING_GOES_ON, /* @done of @of blocks of @step's device are offline */
    FREEING_LEAVES,  /* @step's device must not be requested, for @reason */
    FREEING_ENDED,   /* all that is possible was tried */
  } kind;
  DmStep *step;
  uint64_t done, of;
  const DmNote *reason;
  gboolean verdict; /* @reason is about the device itself, not only this attempt */
} FreeingEvent;

typedef void (*FreeingFunc)(const FreeingEvent *event, gpointer data);

/* Takes ownership of @agent. @timeout_s: per device, but many stuck ones share twice that; 0: does not help. */
Freeing *freeing_new(DmAgent *agent, double timeout_s, FreeingFunc func, gpointer data) G_GNUC_WARN_UNUSED_RESULT;

/* Memory of remaining devices comes back online. No function is called any more. NULL is allowed. */
void freeing_free(Freeing *freeing);

/* One of the planned devices is left that it can help with. FALSE for NULL. */
gboolean freeing_can(const Freeing *freeing, const DmRequest *request, const DmVm *vm);

/* Both must stay until FREEING_ENDED; handled steps are marked prepared. */
void freeing_start(Freeing *freeing, const DmRequest *request, const DmVm *vm);

/* Stops waiting: what is being taken offline comes back. NULL is allowed. */
void freeing_stop(Freeing *freeing);

/* An event reported that the VM or the connection to it is gone: nothing to wait for. */
void freeing_vm_gone(Freeing *freeing);

/* After the end: leaves the steps that are still planned, as it was stopped or dimmer-guest stopped answering. */
void freeing_leave_planned(Freeing *freeing, gboolean vm_paused);

/* dimmer-guest stopped answering during its work. FALSE for NULL. */
gboolean freeing_is_lost(const Freeing *freeing);
