/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text in a fixed-size buffer, always terminated by NUL. An addition that does not fit is dropped whole and sets
 * `full`, so that many additions need one check. Replaces stdio, which would take most of the agent's memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  char *data;
  size_t size; /* of data, including the NUL */
  size_t used;
  bool full;
} Text;

/* Empty text in an array. */
#define TEXT_IN(array) text_in(array, sizeof(array))

Text text_in(char *data, size_t size);
void text_add(Text *text, const char *words);
void text_add_bytes(Text *text, const char *bytes, size_t count);
void text_add_number(Text *text, uint64_t number);

/* All of @words as a number, in base 10 or 16; false, with @number unchanged, if invalid or above INT64_MAX. */
bool text_number(const char *words, unsigned base, uint64_t *number);
