/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <string.h>

/* The rest of the line, terminated by NUL. Strings are decoded in place, which never makes them longer.
 */
typedef struct {
  char *at;
  char *end;
} Input;

static void skip_blanks(Input *in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\r' || *in->at == '\n'))
    in->at++;
}

static bool take(Input *in, char wanted) {
  skip_blanks(in);
  if (in->at == in->end || *in->at != wanted)
    return false;
  in->at++;
  return true;
}

static bool take_word(Input *in, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0)
    return false;
  in->at += length;
  return true;
}

/* The four digits of an escape. */
static bool take_unit(Input *in, uint32_t *unit) {
  char digits[5] = {0};
  uint64_t value;
  if (in->end - in->at < 4)
    return false;
  memcpy(digits, in->at, 4);
  if (!text_number(digits, 16, &value) || strlen(digits) != 4)
    return false;
  in->at += 4;
  *unit = (uint32_t)value;
  return true;
}

static char *put_character(char *to, uint32_t c) {
  if (c < 0x80) {
    *to++ = (char)c;
    return to;
  }
  if (c < 0x800) {
    *to++ = (char)(0xc0 | c >> 6);
  } else {
    if (c < 0x10000) {
      *to++ = (char)(0xe0 | c >> 12);
    } else {
      *to++ = (char)(0xf0 | c >> 18);
      *to++ = (char)(0x80 | (c >> 12 & 0x3f));
    }
    *to++ = (char)(0x80 | (c >> 6 & 0x3f));
  }
  *to++ = (char)(0x80 | (c & 0x3f));
  return to;
}

static bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* After the backslash. Escapes of control characters are refused like the characters. */
static bool take_escape(Input *in, char **to) {
  if (in->at == in->end)
    return false;
  char kind = *in->at++;
  if (kind == '"' || kind == '\\' || kind == '/') {
    *(*to)++ = kind;
    return true;
  }
  uint32_t c, low;
  if (kind != 'u' || !take_unit(in, &c) || is_control(c) || (c >= 0xdc00 && c < 0xe000))
    return false;
  if (c >= 0xd800 && c < 0xdc00) {
    if (!take_word(in, "\\u") || !take_unit(in, &low) || low < 0xdc00 || low >= 0xe000)
      return false;
    c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
  }
  *to = put_character(*to, c);
  return true;
}

/* One unescaped UTF-8 character: well formed, shortest, no surrogate, no control character. */
static bool take_character(Input *in, char **to) {
  const unsigned char *bytes = (const unsigned char *)in->at;
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t length = bytes[0] < 0x80 ? 1 : bytes[0] >> 5 == 6 ? 2 : bytes[0] >> 4 == 14 ? 3 : bytes[0] >> 3 == 30 ? 4 : 0;
  if (length == 0 || (size_t)(in->end - in->at) < length)
    return false;
  uint32_t c = length == 1 ? bytes[0] : bytes[0] & (0x7fU >> length);
  for (size_t i = 1; i < length; i++) {
    if (bytes[i] >> 6 != 2)
      return false;
    c = c << 6 | (bytes[i] & 0x3f);
  }
  if (c < smallest[length] || is_control(c) || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
    return false;
  memmove(*to, in->at, length);
  *to += length;
  in->at += length;
  return true;
}

static bool take_string(Input *in, const char **string) {
  if (!take(in, '"'))
    return false;
  char *start = in->at, *to = in->at;
  while (in->at < in->end && *in->at != '"') {
    if (*in->at == '\\') {
      in->at++;
      if (!take_escape(in, &to))
        return false;
    } else if (!take_character(in, &to)) {
      return false;
    }
  }
  if (in->at == in->end)
    return false;
  in->at++;
  *to = '\0'; /* at the closing quote or before it */
  *string = start;
  return true;
}

/* No sign, no fraction, no exponent, no leading zero; the caller checks what follows the digits. */
static bool take_number(Input *in, uint64_t *number) {
  uint64_t value = 0;
  char *start = in->at;
  for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++) {
    unsigned digit = (unsigned)(*in->at - '0');
    if (value > ((uint64_t)INT64_MAX - digit) / 10)
      return false;
    value = value * 10 + digit;
  }
  if (in->at == start || (*start == '0' && in->at - start > 1))
    return false;
  *number = value;
  return true;
}

static bool take_value(Input *in, JsonMember *member) {
  skip_blanks(in);
  if (in->at == in->end)
    return false;
  if (*in->at == '"') {
    member->type = JSON_STRING;
    return take_string(in, &member->string);
  }
  member->type = JSON_TRUTH;
  if (take_word(in, "true")) {
    member->number = 1;
    return true;
  }
  if (take_word(in, "false"))
    return true;
  member->type = JSON_NUMBER;
  return take_number(in, &member->number);
}

bool json_parse(char *line, size_t length, Json *json) {
  Input in = {line, line + length};
  json->count = 0;
  if (!take(&in, '{'))
    return false;
  bool closed = take(&in, '}');
  while (!closed) {
    JsonMember member = {0};
    if (json->count == JSON_MEMBERS || !take_string(&in, &member.name) || json_member(json, member.name) != NULL)
      return false;
    if (!take(&in, ':') || !take_value(&in, &member))
      return false;
    json->members[json->count++] = member;
    closed = take(&in, '}');
    if (!closed && !take(&in, ','))
      return false;
  }
  skip_blanks(&in);
  return in.at == in.end;
}

const JsonMember *json_member(const Json *json, const char *name) {
  for (size_t i = 0; i < json->count; i++) {
    if (strcmp(json->members[i].name, name) == 0)
      return &json->members[i];
  }
  return NULL;
}

bool json_number(const Json *json, const char *name, uint64_t *number) {
  const JsonMember *member = json_member(json, name);
  if (member == NULL || member->type != JSON_NUMBER)
    return false;
  *number = member->number;
  return true;
}

bool json_string(const Json *json, const char *name, const char **string) {
  const JsonMember *member = json_member(json, name);
  if (member == NULL || member->type != JSON_STRING)
    return false;
  *string = member->string;
  return true;
}

static void add_name(Text *text, const char *name) {
  text_add(text, ",\"");
  text_add(text, name);
  text_add(text, "\":");
}

void json_add_number(Text *text, const char *name, uint64_t number) {
  add_name(text, name);
  text_add_number(text, number);
}

void json_add_string(Text *text, const char *name, const char *string) {
  add_name(text, name);
  text_add(text, "\"");
  for (; *string != '\0'; string++) {
    if (*string == '"' || *string == '\\')
      text_add(text, "\\");
    text_add_bytes(text, *string >= ' ' && *string < 0x7f ? string : "?", 1);
  }
  text_add(text, "\"");
}

void json_add_truth(Text *text, const char *name, bool truth) {
  add_name(text, name);
  text_add(text, truth ? "true" : "false");
}
