/* SPDX-License-Identifier: Apache-2.0 */
/* Parses and validates the output of dimmer-guest and qemu-guest-agent. Pure. Not for other layers. */
#pragma once

#include <jansson.h>

#include "model/guest.h"

/* More runs than these are rejected. */
#define FACTS_MAX_RUNS 65536

/* A text of at most 256 bytes, printable, else NULL. The caller g_frees. */
char *facts_text(const json_t *value) G_GNUC_WARN_UNUSED_RESULT;

/* Replaces *@text with such a text; anything else, and an empty one, changes nothing. */
void facts_keep(char **text, const char *value);

/* Text from inside the guest, made printable and truncated to 256 bytes: for messages. The caller g_frees. */
char *facts_words(const char *text) G_GNUC_WARN_UNUSED_RESULT;

/* dimmer-guest's answers. FALSE with what is wrong. */
gboolean facts_take_hello(const json_t *answer, DmGuest *guest, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean facts_take_memory(const json_t *answer, DmGuest *guest, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* @next: the address to continue from; 0: complete. */
gboolean facts_take_runs(
  const json_t *answer, DmGuest *guest, uint64_t *next, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Whether the udev rules of a file bring any new memory block online as movable: YES only if the first line that may
 * set a block's state does so on any machine. NO: they cannot. UNKNOWN: depends on conditions not evaluated here.
 */
DmFact facts_rules(const char *text);

/*
 * What the script of qemu_agent.c prints, line by line: "KEY VALUE", or "block INDEX STATE ZONE..." with the block's
 * index in hexadecimal; "rules NAME", then "rule LINE" for lines of that udev file. Other lines are ignored; blocks are
 * merged into runs.
 */
void facts_take_script(const char *output, DmGuest *guest);

/* Adds a block, in any order; facts_end_blocks() merges them into runs. */
typedef struct {
  uint64_t index;
  DmBlockState state;
  DmZone zone;
} FactsBlock;

void facts_end_blocks(GArray *blocks, DmGuest *guest);

DmBlockState facts_block_state(const char *name);
/* From valid_zones: the zone of an online block; for an offline one whether it could be movable. */
DmZone facts_zone(const char *valid_zones, DmBlockState state);
