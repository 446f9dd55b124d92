/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <string.h>

#include "json.h"

void wire_in_clear(WireIn *in) {
  in->start = in->used = 0;
  in->skipping = false;
}

char *wire_in_room(WireIn *in, size_t *room) {
  memmove(in->data, in->data + in->start, in->used - in->start);
  in->used -= in->start;
  in->start = 0;
  *room = sizeof(in->data) - in->used;
  return in->data + in->used;
}

void wire_in_filled(WireIn *in, size_t count) {
  in->used += count;
}

LineKind wire_in_line(WireIn *in, char **line, size_t *length) {
  char *start = in->data + in->start;
  size_t left = in->used - in->start;
  char *end = memchr(start, '\n', left);
  bool skipping = in->skipping;
  if (end == NULL) {
    if (!skipping && left < sizeof(in->data))
      return LINE_NONE;
    in->start = in->used = 0;
    in->skipping = true;
    return skipping ? LINE_NONE : LINE_TOO_LONG;
  }
  in->start += (size_t)(end - start) + 1;
  in->skipping = false;
  *line = start;
  *length = skipping ? 0 : (size_t)(end - start);
  return LINE_WHOLE;
}

Text wire_begin(WireOut *out, uint64_t id) {
  Text message = text_in(out->data + out->used, sizeof(out->data) - out->used);
  text_add(&message, "{\"id\":");
  text_add_number(&message, id);
  return message;
}

void wire_end(WireOut *out, Text *message) {
  text_add(message, "}\n");
  if (!message->full)
    out->used += message->used;
}

void wire_ok(WireOut *out, uint64_t id) {
  Text message = wire_begin(out, id);
  json_add_truth(&message, "ok", true);
  wire_end(out, &message);
}

void wire_error(WireOut *out, uint64_t id, const char *code, const char *detail) {
  Text message = wire_begin(out, id);
  json_add_string(&message, "error", code);
  json_add_string(&message, "detail", detail);
  wire_end(out, &message);
}

void wire_sent(WireOut *out, size_t count) {
  if (count > 0)
    out->torn = out->data[count - 1] != '\n';
  out->used -= count;
  memmove(out->data, out->data + count, out->used);
}

void wire_out_clear(WireOut *out) {
  out->used = 0;
  if (out->torn)
    out->data[out->used++] = '\n';
}
