/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of docs/guest-protocol.md, in and out. */
#pragma once

#include "text.h"

#define WIRE_LINE 65536 /* the longest line, with its end */

/*
 * The host may read slowly or not at all. Requests are accepted only while less than WIRE_CALM is unsent, progress is
 * sent only below WIRE_PROGRESS, and no answer is longer than the remaining space: so only progress is ever lost.
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
  bool torn; /* sending stopped within a line */
} WireOut;

void wire_in_clear(WireIn *in);

/* The buffer for more input and its size; never 0 after wire_in_line() returned LINE_NONE. */
char *wire_in_room(WireIn *in, size_t *room);
void wire_in_filled(WireIn *in, size_t count);

/* The next line, without its newline; valid until more is read. */
LineKind wire_in_line(WireIn *in, char **line, size_t *length);

/* `{"id":ID`, to be continued and closed. */
Text wire_begin(WireOut *out, uint64_t id);
void wire_end(WireOut *out, Text *message);
void wire_ok(WireOut *out, uint64_t id);
void wire_error(WireOut *out, uint64_t id, const char *code, const char *detail);

/* @count bytes were sent. */
void wire_sent(WireOut *out, size_t count);

/* Drops unsent data, for another host. */
void wire_out_clear(WireOut *out);
