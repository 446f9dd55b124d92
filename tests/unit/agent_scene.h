/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with a dimmer-guest that the test plays, and what became of it. */
#pragma once

#include "dimmer_guest_private.h"
#include "fake_channel.h"

typedef struct {
  DmChannel *channel;
  DmAgent *agent;
  DmGuest *guest;
  GString *heard; /* a letter for each call: l looked, e looked with an error, p progress, d done */
  char *last;     /* of the last call: the error, "DONE/OF", or the answer */
  gboolean free_on;
  guint work_on; /* so many calls of done begin anew */
} Scene;

void scene_set_up(Scene *scene);

/* Runs what is due, frees the agent, and sees that it let go of everything. */
void scene_tear_down(Scene *scene);

/* Runs what is due in the main loop. */
void scene_settle(void);

void scene_wait_for_calls(Scene *scene, guint count);

/* Notes a call, with @what it was about (taken over). */
void scene_called(Scene *scene, char letter, char *what);

/* What the guest says, | between the lines. */
void scene_say(Scene *scene, const char *lines);
