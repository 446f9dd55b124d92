/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of docs/guest-protocol.md, in and out. */
#pragma once

#include "text.h"

#define WIRE_LINE 65536 /* the longest line, with its end */

/*
 * The host may read slowly or not at all. Requests are taken only while less than WIRE_CALM waits to be read, progress
 * is told only below WIRE_PROGRESS, and no answer is longer than what then is left: so nothing is ever lost but
 * progress.
 */
#define WIRE_OUT (128 << 10)
#define WIRE_CALM (16 << 10)
#define WIRE_PROGRESS (32 << 10)

typedef enum {
  LINE_NONE,
  LINE_WHOLE,
  LINE_TOO_LONG
} LineKind;

typedef struct {
  char data[WIRE_LINE];
  size_t start, used;
  bool skipping; /* the rest of a line that is too long */
} WireIn;

typedef struct {
  char data[WIRE_OUT];
  size_t used;
  bool torn; /* what was sent ended inside a line */
} WireOut;

void wire_in_clear(WireIn *in);

/* Where to read more to, and how much; never 0 after wire_in_line() said LINE_NONE. */
char *wire_in_room(WireIn *in, size_t *room);
void wire_in_filled(WireIn *in, size_t count);

/* Takes the next line, without its end; it stays valid until more is read. */
LineKind wire_in_line(WireIn *in, char **line, size_t *length);

/* `{"id":ID`, to be added to and ended. */
Text wire_begin(WireOut *out, uint64_t id);
void wire_end(WireOut *out, Text *message);
void wire_ok(WireOut *out, uint64_t id);
void wire_error(WireOut *out, uint64_t id, const char *code, const char *detail);

/* @count bytes were sent. */
void wire_sent(WireOut *out, size_t count);

/* Forgets what was not sent, for another host. */
void wire_out_clear(WireOut *out);
