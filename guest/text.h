/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text in a buffer of fixed size, always ended by NUL. What does not fit is left out whole and remembered in `full`, so
 * that many additions need one check. It stands in for stdio, which would be the larger part of the agent's memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  char *data;
  size_t size; /* of data, with the NUL */
  size_t used;
  bool full;
} Text;

/* Empty text in an array. */
#define TEXT_IN(array) text_in(array, sizeof(array))

Text text_in(char *data, size_t size);
void text_add(Text *text, const char *words);
void text_add_bytes(Text *text, const char *bytes, size_t count);
void text_add_number(Text *text, uint64_t number);

/* The whole of @words as a number, in base 10 or 16; false, and @number untouched, if it is none or above INT64_MAX. */
bool text_number(const char *words, unsigned base, uint64_t *number);
