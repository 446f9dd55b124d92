/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves the balloon of a running VM to a goal, step by step as plan/balloon.h says. Calls to the hypervisor run in
 * worker threads; everything else, and each callback, in the main loop's thread. Not for other layers.
 *
 * While it is under way, the driver in the guest reports every second.
 */
#pragma once

#include "hypervisor/connection.h"
#include "plan/balloon.h"

/* QEMU asks the driver at most once a second, and tells of a balloon that moves as often. */
#define BALLOONING_PERIOD_S 1

typedef struct Ballooning Ballooning;

typedef struct {
  /* It leaves the guest @actual now, which changed. */
  void (*moved)(uint64_t actual, gpointer data);
  /*
   * It is over: @error is why the host could not do it, or NULL. Nothing is under way any more, unless @pending: QEMU
   * may still pursue the last target, as the host did not take it back either.
   */
  void (*ended)(DmBalloonEnd end, uint64_t actual, gboolean pending, const GError *error, gpointer data);
} BallooningListener;

Ballooning *ballooning_new(DmConnection *connection, const DmVm *vm, const BallooningListener *listener,
  gpointer data) G_GNUC_WARN_UNUSED_RESULT;
/* Only before the start or after the end. */
void ballooning_free(Ballooning *ballooning);

/* @stands: see DmBalloonWatch. */
void ballooning_start(Ballooning *ballooning, uint64_t goal, gboolean stands, double timeout_s);

/* Stops where it is, as soon as that is known; ended() follows. NULL is allowed. */
void ballooning_stop(Ballooning *ballooning);

/* Something happened to the VM: looks at once. NULL is allowed. */
void ballooning_look(Ballooning *ballooning);
