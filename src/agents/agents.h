/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sources of a VM's inside, or workers in it: each is a row of the table in agents.c, in the order they are tried.
 * Not for other layers.
 */
#pragma once

#include "agents/look.h"
#include "agents/prepare.h"

/* A query under way: data shared by the rows. */
typedef struct {
  DmConnection *connection;
  DmVm *vm;
  DmLookDepth depth;
  DmGuest *guest;                  /* the report so far */
  DmChannel *channel;              /* channel to dimmer-guest, between work and ask */
  DmAgent *agent;                  /* the conversation with it; NULL: none */
  void (*answered)(gpointer look); /* ask calls it once, in the main loop: continues with the next row */
} Look;

/* A preparation under way. */
typedef struct {
  DmConnection *connection;
  DmVm *vm;
  DmAgent *agent;
  DmPrepared *prepared;
  GError *error;
  void (*made)(gpointer preparing); /* as in a query */
} Preparing;

typedef struct {
  const char *name;
  const char *port;                  /* its virtio-serial port; NULL: needs none */
  DmPort (*port_of)(const DmVm *vm); /* NULL: the same */

  gboolean (*can_tell)(const Look *look); /* it is present, and can report more than is known */
  void (*look)(Look *look);               /* in a worker thread; may block */
  void (*ask)(Look *look);                /* after that, in the main loop, does not block; NULL: complete */

  gboolean (*can_prepare)(const Preparing *preparing); /* NULL: never */
  void (*work)(Preparing *preparing);                  /* as look; or */
  void (*make)(Preparing *preparing);                  /* as ask */
} AgentRow;

/* ---- look.c ---- */

gboolean look_needs_dimmer_guest(const Look *look);
void look_open_dimmer_guest(Look *look);
void look_ask_dimmer_guest(Look *look);
gboolean look_needs_qemu_agent(const Look *look);
void look_at_qemu_agent(Look *look);
gboolean look_needs_balloon(const Look *look);
void look_at_balloon(Look *look);

/* ---- prepare.c ---- */

gboolean prepare_has_dimmer_guest(const Preparing *preparing);
void prepare_by_dimmer_guest(Preparing *preparing);
gboolean prepare_has_qemu_agent(const Preparing *preparing);
void prepare_by_qemu_agent(Preparing *preparing);
/*
 * What the script printed, whose lines are cut apart in place. It prints a handful of sentences: more than that are not
 * from it, nor lines that do not begin as its own do.
 */
void prepare_take_output(char *output, DmPrepared *prepared);
