/* SPDX-License-Identifier: Apache-2.0 */
/* What dimmer-guest and qemu-guest-agent say, checked and taken over. Pure. Not for other layers. */
#pragma once

#include <jansson.h>

#include "model/guest.h"

/* More runs than these are not believed. */
#define FACTS_MAX_RUNS 65536

/* A text of at most 256 bytes, printable, else NULL. The caller g_frees. */
char *facts_text(const json_t *value);

/* Replaces *@text with such a text; anything else, and an empty one, changes nothing. */
void facts_keep(char **text, const char *value);

/* Words of somebody inside, made fit to print and cut to 256 bytes: for messages. The caller g_frees. */
char *facts_words(const char *text);

/* dimmer-guest's answers. FALSE with what is wrong with them. */
gboolean facts_take_hello(const json_t *answer, DmGuest *guest, GError **error);
gboolean facts_take_memory(const json_t *answer, DmGuest *guest, GError **error);
/* @next: the address to go on from; 0: that was all. */
gboolean facts_take_runs(const json_t *answer, DmGuest *guest, uint64_t *next, GError **error);

/*
 * Whether the udev rules of a file bring any new memory block online as movable: YES only if the first line that may
 * set a block's state does, whatever the machine. NO: they cannot. UNKNOWN: it depends on what we do not look at.
 */
DmFact facts_rules(const char *text);

/*
 * What the script of qemu_agent.c prints, line by line: "KEY VALUE", or "block INDEX STATE ZONE..." with the block's
 * index in hexadecimal; "rules NAME", then "rule LINE" for lines of that file of udev's. Lines that are anything else
 * are passed over; blocks go into runs.
 */
void facts_take_script(const char *output, DmGuest *guest);

/* One block of a list in any order; facts_end_blocks() makes runs of them. */
typedef struct {
  uint64_t index;
  DmBlockState state;
  DmZone zone;
} FactsBlock;

void facts_end_blocks(GArray *blocks, DmGuest *guest);

DmBlockState facts_block_state(const char *name);
/* As valid_zones has it: the zone of an online block; of an offline one whether it could be movable. */
DmZone facts_zone(const char *valid_zones, DmBlockState state);
