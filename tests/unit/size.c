/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"

#include <string.h>

#include "base/error.h"

#define UNTOUCHED 0xdeadbeef

typedef struct {
  const char *text;
  uint64_t bytes; /* 0: @error */
  DmError error;
} Case;

static const Case well[] = {
  {"1", 1},
  {"1468006400", 1468006400},
  {"007", 7},
  {"18446744073709551615", UINT64_MAX},
  {"000000000000000000000018446744073709551615", UINT64_MAX},
  {"5B", 5},
  {"5 b", 5},
  {"+5M", 5 * DM_MIB},
  {"  5M", 5 * DM_MIB},
  {"\t5M", 5 * DM_MIB},
  {"5 \t M", 5 * DM_MIB},
  {"5 ", 5},
  {"1K", DM_KIB},
  {"1k", DM_KIB},
  {"1Ki", DM_KIB},
  {"1KiB", DM_KIB},
  {"1400MiB", 1400 * DM_MIB},
  {"1400mib", 1400 * DM_MIB},
  {"1400MIB", 1400 * DM_MIB},
  {"1400 miB", 1400 * DM_MIB},
  {"256M", 256 * DM_MIB},
  {"256m", 256 * DM_MIB},
  {"1.5G", 1536 * DM_MIB},
  {"1.5GiB", 1536 * DM_MIB},
  {"1.5 gib", 1536 * DM_MIB},
  {"2T", 2048 * DM_GIB},
  {"3P", (uint64_t)3 << 50},
  {"8E", (uint64_t)8 << 60},
  {"15E", (uint64_t)15 << 60},
  {"15EiB", (uint64_t)15 << 60},
  {"1e", (uint64_t)1 << 60},
  {"16777215T", (uint64_t)16777215 << 40},
  {"17179869183.5G", UINT64_MAX - DM_GIB / 2 + 1},
  {"0.5K", 512},
  {"0.001K", 1},
  {"0.0009765625K", 1},
  {"1.0009765624K", 1024},
  {"1.0009765625K", 1025},
  {"1.0G", DM_GIB},
  {"1.99999999999999999999999999999999999999999999999999K", 2047},
  {"0.1M", 104857},
  {"0.3333333333333333333333333333333333333333333G", 357913941},
};

/* What only the digits behind the eighteenth decide. */
static const Case well_to_the_last_digit[] = {
  {"0.0000000000000000009E", 1},                                /* 1.04 bytes */
  {"1.0000000000000000009E", ((uint64_t)1 << 60) + 1},          /* as above */
  {"0.00000000000000088817841970012523233890533447265625P", 1}, /* exactly 2^-50 */
  {"0.999999999999999999999999999999E", ((uint64_t)1 << 60) - 1},
};

static const Case wrong[] = {
  {"", 0, DM_ERROR_BAD_SIZE},
  {" ", 0, DM_ERROR_BAD_SIZE},
  {"M", 0, DM_ERROR_BAD_SIZE},
  {"abc", 0, DM_ERROR_BAD_SIZE},
  {"1.5", 0, DM_ERROR_BAD_SIZE},
  {"1.0", 0, DM_ERROR_BAD_SIZE},
  {"1.5B", 0, DM_ERROR_BAD_SIZE},
  {"1.", 0, DM_ERROR_BAD_SIZE},
  {"1.G", 0, DM_ERROR_BAD_SIZE},
  {"1. 5G", 0, DM_ERROR_BAD_SIZE},
  {".5G", 0, DM_ERROR_BAD_SIZE},
  {"1.5.5G", 0, DM_ERROR_BAD_SIZE},
  {"1,5G", 0, DM_ERROR_BAD_SIZE},
  {"0x10", 0, DM_ERROR_BAD_SIZE},
  {"1e3", 0, DM_ERROR_BAD_SIZE},
  {"1e+3", 0, DM_ERROR_BAD_SIZE},
  {"1_000", 0, DM_ERROR_BAD_SIZE},
  {"1 000", 0, DM_ERROR_BAD_SIZE},
  {"1400MB", 0, DM_ERROR_BAD_SIZE},
  {"1400mb", 0, DM_ERROR_BAD_SIZE},
  {"1KB", 0, DM_ERROR_BAD_SIZE},
  {"1 GB", 0, DM_ERROR_BAD_SIZE},
  {"1Mi B", 0, DM_ERROR_BAD_SIZE},
  {"1MiBs", 0, DM_ERROR_BAD_SIZE},
  {"1Mx", 0, DM_ERROR_BAD_SIZE},
  {"1MM", 0, DM_ERROR_BAD_SIZE},
  {"1i", 0, DM_ERROR_BAD_SIZE},
  {"1iB", 0, DM_ERROR_BAD_SIZE},
  {"1BB", 0, DM_ERROR_BAD_SIZE},
  {"1Z", 0, DM_ERROR_BAD_SIZE},
  {"1%", 0, DM_ERROR_BAD_SIZE},
  {"1M;", 0, DM_ERROR_BAD_SIZE},
  {"1M 1M", 0, DM_ERROR_BAD_SIZE},
  {"++5M", 0, DM_ERROR_BAD_SIZE},
  {"--5", 0, DM_ERROR_BAD_SIZE},
  {"-+5", 0, DM_ERROR_BAD_SIZE},
  {"+ 5", 0, DM_ERROR_BAD_SIZE},
  {"-", 0, DM_ERROR_BAD_SIZE},
  {"-M", 0, DM_ERROR_BAD_SIZE},
  {"inf", 0, DM_ERROR_BAD_SIZE},
  {"nan", 0, DM_ERROR_BAD_SIZE},
  {"\xc3\xa9", 0, DM_ERROR_BAD_SIZE},
  {"\xef\xbc\x91M", 0, DM_ERROR_BAD_SIZE}, /* a full-width 1 */
  {"5\xc2\xa0M", 0, DM_ERROR_BAD_SIZE},    /* a no-break space */
  {"-5", 0, DM_ERROR_SIZE_NEGATIVE},
  {"-5M", 0, DM_ERROR_SIZE_NEGATIVE},
  {"-0", 0, DM_ERROR_SIZE_NEGATIVE},
  {"-0.5G", 0, DM_ERROR_SIZE_NEGATIVE},
  {"-18446744073709551616", 0, DM_ERROR_SIZE_NEGATIVE},
  {"0", 0, DM_ERROR_SIZE_ZERO},
  {"+0", 0, DM_ERROR_SIZE_ZERO},
  {"000", 0, DM_ERROR_SIZE_ZERO},
  {"0M", 0, DM_ERROR_SIZE_ZERO},
  {"0.0G", 0, DM_ERROR_SIZE_ZERO},
  {"0.0001K", 0, DM_ERROR_SIZE_ZERO},
  {"0.0000000000000000000000000000000000000000000001E", 0, DM_ERROR_SIZE_ZERO},
  {"18446744073709551616", 0, DM_ERROR_SIZE_OVERFLOW},
  {"18446744073709551617", 0, DM_ERROR_SIZE_OVERFLOW},
  {"184467440737095516160", 0, DM_ERROR_SIZE_OVERFLOW},
  {"99999999999999999999999999999999999999999", 0, DM_ERROR_SIZE_OVERFLOW},
  {"36893488147419103232", 0, DM_ERROR_SIZE_OVERFLOW}, /* 2^65, 0 in 64 bits */
  {"16E", 0, DM_ERROR_SIZE_OVERFLOW},
  {"16.0E", 0, DM_ERROR_SIZE_OVERFLOW},
  {"32E", 0, DM_ERROR_SIZE_OVERFLOW},
  {"16777216T", 0, DM_ERROR_SIZE_OVERFLOW},
  {"17179869184G", 0, DM_ERROR_SIZE_OVERFLOW},
  {"18446744073709551615K", 0, DM_ERROR_SIZE_OVERFLOW},
  {"99999999999999999999999999.5M", 0, DM_ERROR_SIZE_OVERFLOW},
};

static void check_well(const Case *cases, gsize count) {
  for (gsize i = 0; i < count; i++) {
    g_autoptr(GError) error = NULL;
    uint64_t bytes = UNTOUCHED;
    g_test_message("'%s'", cases[i].text);
    g_assert_true(dm_size_parse(cases[i].text, &bytes, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(bytes, ==, cases[i].bytes);
  }
}

static void test_well(void) {
  check_well(well, G_N_ELEMENTS(well));
}

static void test_last_digit(void) {
  check_well(well_to_the_last_digit, G_N_ELEMENTS(well_to_the_last_digit));
}

static void test_wrong(void) {
  for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
    g_autoptr(GError) error = NULL;
    uint64_t bytes = UNTOUCHED;
    g_autofree char *printable = g_strescape(wrong[i].text, NULL);
    g_test_message("'%s'", printable);
    g_assert_false(dm_size_parse(wrong[i].text, &bytes, &error));
    g_assert_error(error, DM_ERROR, (int)wrong[i].error);
    if (error != NULL)
      g_assert_nonnull(strstr(error->message, wrong[i].text));
    g_assert_cmpuint(bytes, ==, UNTOUCHED);
    g_assert_false(dm_size_parse(wrong[i].text, &bytes, NULL));
  }
}

/* "MB" is refused with its own message. */
static void test_decimal_unit(void) {
  g_autoptr(GError) error = NULL;
  uint64_t bytes = 0;
  g_assert_false(dm_size_parse("1400MB", &bytes, &error));
  g_assert_nonnull(strstr(error->message, "MiB"));
  g_assert_nonnull(strstr(error->message, "10^"));
}

static void test_format(void) {
  static const struct {
    uint64_t bytes;
    const char *text;
  } cases[] = {
    {0, "0 MiB"},
    {1, "1 B"},
    {17, "17 B"},
    {1023, "1023 B"},
    {1024, "1 KiB"},
    {1025, "1025 B"},
    {300 * DM_KIB, "300 KiB"},
    {DM_MIB, "1 MiB"},
    {DM_MIB + DM_KIB, "1025 KiB"},
    {DM_MIB + 1, "1048577 B"},
    {1408 * DM_MIB, "1408 MiB"},
    {4 * DM_GIB, "4096 MiB"},
    {UINT64_MAX, "18446744073709551615 B"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = dm_size_format(cases[i].bytes);
    g_assert_cmpstr(text, ==, cases[i].text);
  }
}

/* What is printed can be read again, and is the same. */
static void test_format_and_parse(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(20250301);
  for (guint i = 0; i < 20000; i++) {
    uint64_t bytes = ((uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand)) >> g_rand_int_range(rand, 0, 63);
    uint64_t again = 0;
    bytes = MAX(bytes, 1);
    g_autofree char *text = dm_size_format(bytes);
    g_assert_true(dm_size_parse(text, &again, NULL));
    g_assert_cmpuint(again, ==, bytes);
  }
}

static void test_floor(void) {
  g_assert_cmpuint(dm_size_floor_mib(0), ==, 0);
  g_assert_cmpuint(dm_size_floor_mib(DM_MIB - 1), ==, 0);
  g_assert_cmpuint(dm_size_floor_mib(DM_MIB), ==, DM_MIB);
  /* oVirt: 1073741825..1074790399 all mean 1024 MiB. */
  g_assert_cmpuint(dm_size_floor_mib(1073741825), ==, 1024 * DM_MIB);
  g_assert_cmpuint(dm_size_floor_mib(1074790399), ==, 1024 * DM_MIB);
  g_assert_cmpuint(dm_size_floor_mib(1074790400), ==, 1025 * DM_MIB);
  g_assert_cmpuint(dm_size_floor_mib(UINT64_MAX), ==, UINT64_MAX - DM_MIB + 1);
}

static void test_saturating(void) {
  g_assert_cmpuint(dm_size_minus(5, 3), ==, 2);
  g_assert_cmpuint(dm_size_minus(3, 5), ==, 0);
  g_assert_cmpuint(dm_size_minus(0, UINT64_MAX), ==, 0);
  g_assert_cmpuint(dm_size_plus(3, 5), ==, 8);
  g_assert_cmpuint(dm_size_plus(UINT64_MAX, 0), ==, UINT64_MAX);
  g_assert_cmpuint(dm_size_plus(UINT64_MAX, 1), ==, UINT64_MAX);
  g_assert_cmpuint(dm_size_plus(UINT64_MAX, UINT64_MAX), ==, UINT64_MAX);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/size/parse/well", test_well);
  g_test_add_func("/size/parse/last-digit", test_last_digit);
  g_test_add_func("/size/parse/wrong", test_wrong);
  g_test_add_func("/size/parse/decimal-unit", test_decimal_unit);
  g_test_add_func("/size/format", test_format);
  g_test_add_func("/size/format-and-parse", test_format_and_parse);
  g_test_add_func("/size/floor", test_floor);
  g_test_add_func("/size/saturating", test_saturating);
  return g_test_run();
}
