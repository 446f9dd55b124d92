/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <string.h>

Text text_in(char *data, size_t size) {
  data[0] = '\0';
  return (Text){.data = data, .size = size};
}

void text_add_bytes(Text *text, const char *bytes, size_t count) {
  if (text->full || count >= text->size - text->used) {
    text->full = true;
    return;
  }
  memcpy(text->data + text->used, bytes, count);
  text->used += count;
  text->data[text->used] = '\0';
}

void text_add(Text *text, const char *words) {
  text_add_bytes(text, words, strlen(words));
}

void text_add_number(Text *text, uint64_t number) {
  char digits[20];
  size_t at = sizeof(digits);
  do {
    digits[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  text_add_bytes(text, digits + at, sizeof(digits) - at);
}

static unsigned digit_value(char digit) {
  if (digit >= '0' && digit <= '9')
    return (unsigned)(digit - '0');
  digit |= 0x20;
  return digit >= 'a' && digit <= 'f' ? (unsigned)(digit - 'a') + 10 : 16;
}

bool text_number(const char *words, unsigned base, uint64_t *number) {
  uint64_t value = 0;
  if (*words == '\0')
    return false;
  for (; *words != '\0'; words++) {
    unsigned digit = digit_value(*words);
    if (digit >= base || value > ((uint64_t)INT64_MAX - digit) / base)
      return false;
    value = value * base + digit;
  }
  *number = value;
  return true;
}
