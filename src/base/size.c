/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"

#include <string.h>

#include "base/error.h"

static gboolean fail(GError **error, DmError code, const char *text, const char *why) {
  g_set_error(error, DM_ERROR, code, "'%s' %s", text, why);
  return FALSE;
}

/* Reads the unit at @p: its factor in @factor. NULL on success, else what is wrong with it. */
static const char *read_unit(const char *p, uint64_t *factor) {
  static const char letters[] = "KMGTPE";

  if (*p == '\0' || g_ascii_strcasecmp(p, "B") == 0) {
    *factor = 1;
    return NULL;
  }
  const char *letter = strchr(letters, g_ascii_toupper(*p));
  if (letter == NULL)
    return "is not a size; write it like 1400MiB, 1.5GiB, 256M or in bytes";
  const char *rest = p + 1;
  if (g_ascii_strcasecmp(rest, "B") == 0)
    return "has a unit that is read as 10^n by some and 2^n by others; write MiB, GiB or just M, G";
  if (*rest != '\0' && g_ascii_strcasecmp(rest, "i") != 0 && g_ascii_strcasecmp(rest, "iB") != 0)
    return "is not a size; write it like 1400MiB, 1.5GiB, 256M or in bytes";
  *factor = (uint64_t)1 << (10 * (letter - letters + 1));
  return NULL;
}

/*
 * The whole bytes in 0.DIGITS of @factor, a power of two: exact for any number of digits, as each doubling carries one
 * bit of the result out of the decimal digits.
 */
static uint64_t fraction_of(uint64_t factor, const char *digits, gsize count) {
  g_autofree char *decimal = g_strndup(digits, count);
  uint64_t result = 0;
  for (; factor > 1; factor /= 2) {
    int carry = 0;
    for (gsize i = count; i-- > 0;) {
      int doubled = (decimal[i] - '0') * 2 + carry;
      decimal[i] = (char)('0' + doubled % 10);
      carry = doubled / 10;
    }
    result = result * 2 + (uint64_t)carry;
  }
  return result;
}

gboolean dm_size_parse(const char *text, uint64_t *bytes, GError **error) {
  const char *p = text;
  while (g_ascii_isspace(*p))
    p++;
  gboolean negative = *p == '-';
  if (negative || *p == '+')
    p++;
  if (!g_ascii_isdigit(*p))
    return fail(error, DM_ERROR_BAD_SIZE, text, "is not a size; write it like 1400MiB, 1.5GiB, 256M or in bytes");

  uint64_t whole = 0;
  gboolean overflow = FALSE;
  for (; g_ascii_isdigit(*p); p++) {
    overflow |= __builtin_mul_overflow(whole, (uint64_t)10, &whole);
    overflow |= __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole);
  }

  const char *fraction = p;
  gboolean point = *p == '.';
  if (point) {
    fraction = ++p;
    if (!g_ascii_isdigit(*p))
      return fail(error, DM_ERROR_BAD_SIZE, text, "has no digit behind the point");
    while (g_ascii_isdigit(*p))
      p++;
  }
  gsize digits = (gsize)(p - fraction);

  while (g_ascii_isspace(*p))
    p++;
  uint64_t factor = 1;
  const char *wrong = read_unit(p, &factor);
  if (wrong != NULL)
    return fail(error, DM_ERROR_BAD_SIZE, text, wrong);
  if (point && factor == 1)
    return fail(error, DM_ERROR_BAD_SIZE, text, "has a fraction but no unit; write it like 1.5GiB");
  if (negative)
    return fail(error, DM_ERROR_SIZE_NEGATIVE, text, "is negative; a size is above zero");

  uint64_t result = 0;
  overflow |= __builtin_mul_overflow(whole, factor, &result);
  overflow |= __builtin_add_overflow(result, fraction_of(factor, fraction, digits), &result);
  if (overflow)
    return fail(error, DM_ERROR_SIZE_OVERFLOW, text, "is 16 EiB or more, which 64 bits cannot count");
  if (result == 0)
    return fail(error, DM_ERROR_SIZE_ZERO, text, "is zero; a size is above zero");
  *bytes = result;
  return TRUE;
}

char *dm_size_format(uint64_t bytes) {
  if (bytes % DM_MIB == 0)
    return g_strdup_printf("%" G_GUINT64_FORMAT " MiB", bytes / DM_MIB);
  if (bytes % DM_KIB == 0)
    return g_strdup_printf("%" G_GUINT64_FORMAT " KiB", bytes / DM_KIB);
  return g_strdup_printf("%" G_GUINT64_FORMAT " B", bytes);
}

uint64_t dm_size_floor_mib(uint64_t bytes) {
  return bytes - bytes % DM_MIB;
}
