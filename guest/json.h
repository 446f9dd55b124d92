/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON of docs/guest-protocol.md. Reads only flat objects of strings, whole numbers and booleans; writes members
 * and texts. Does not allocate.
 */
#pragma once

#include "text.h"

#define JSON_MEMBERS 32

typedef enum {
  JSON_STRING,
  JSON_NUMBER,
  JSON_TRUTH
} JsonType;

typedef struct {
  const char *name;
  JsonType type;
  const char *string;
  uint64_t number; /* 0 or 1 for a boolean */
} JsonMember;

typedef struct {
  JsonMember members[JSON_MEMBERS];
  size_t count;
} Json;

/*
 * Reads one object from @line, @length bytes. The members' texts point into @line, which is overwritten. False if it is
 * anything else: other values, a name twice, invalid UTF-8, control characters, more than JSON_MEMBERS members.
 */
bool json_parse(char *line, size_t length, Json *json);

/* False, with the value unchanged, if there is no such member of that type. */
bool json_number(const Json *json, const char *name, uint64_t *number);
bool json_string(const Json *json, const char *name, const char **string);

/* Whether the member exists at all. */
const JsonMember *json_member(const Json *json, const char *name);

/* `,"NAME":VALUE`; non-printable and non-ASCII bytes of a string become "?". */
void json_add_number(Text *text, const char *name, uint64_t number);
void json_add_string(Text *text, const char *name, const char *string);
void json_add_truth(Text *text, const char *name, bool truth);
