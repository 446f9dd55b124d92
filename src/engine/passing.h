/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of one VM's start, shutdown or reboot; see passing.c for how long. Not for other layers. */
#pragma once

#include "engine/inventory.h"
#include "hypervisor/domain.h"

typedef struct Passing Passing;

typedef struct {
  void (*changed)(DmPassing stage, gpointer data);
  void (*look)(gpointer data);                 /* its agent may be up: read the VM */
  void (*press)(DmPower power, gpointer data); /* its guest may not have heard it: ask again */
  void (*ignored)(gpointer data);              /* asked to shut down, it still runs when the stage ends */
} PassingListener;

/* @file: where the stage is saved until it ends (owned); NULL: nowhere. */
Passing *passing_new(char *file, const PassingListener *listener, gpointer data) G_GNUC_WARN_UNUSED_RESULT;
/* The file stays: the next process continues. */
void passing_free(Passing *passing);
/*
 * The VM is new here, and an earlier process may have saved a stage: the one to continue. @since_ms, since 1970: what
 * was started after that is starting up.
 */
DmPassing passing_resume(Passing *passing, const DmVm *vm, gboolean rebooting, gint64 since_ms);
/* Also for the next process. */
void passing_drop(const Passing *passing);

/*
 * The transition was requested; the request failed; an event came (@comes_back: the VM will be started again); the VM
 * was read.
 */
void passing_asked(Passing *passing, const DmVm *vm, DmPower power);
void passing_failed(Passing *passing);
void passing_event(Passing *passing, const DmEvent *event, gboolean comes_back);
void passing_seen(Passing *passing, const DmVm *vm);
