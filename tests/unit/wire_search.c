/* SPDX-License-Identifier: Apache-2.0 */
/* oVirt's search language, asked of a few VMs. */
#include "wire/search.h"

#include <string.h>

#include "base/error.h"

typedef struct {
  const char *name, *cluster, *status, *description;
  gint64 memory; /* < 0: not known */
} Vm;

enum {
  NAME,
  CLUSTER,
  STATUS,
  DESCRIPTION,
  MEMORY,
};

static const char *const ranks[] = {"down", "powering_up", "up", NULL};

static const DmSearchField fields[] = {
  {"name", DM_FIELD_TEXT, NAME, TRUE},
  {"cluster", DM_FIELD_TEXT, CLUSTER, TRUE},
  {"cluster.name", DM_FIELD_TEXT, CLUSTER, FALSE},
  {"status", DM_FIELD_ENUM, STATUS, TRUE},
  {"description", DM_FIELD_TEXT, DESCRIPTION, FALSE},
  {"memory", DM_FIELD_NUMBER, MEMORY, TRUE},
  {"progress", DM_FIELD_ENUM, STATUS, FALSE, ranks},
  {NULL},
};

static const Vm vms[] = {
  {"web1", "Default", "up", "first server", 1024},
  {"Web2", "Default", "powering_up", NULL, 2048},
  {"db", "other one", "down", "a*b (\"c\") \\d", -1},
  {"\xc3\x89t\xc3\xa9", "Default", "up", "", 512},
};

static const char *get(gconstpointer object, int field, gint64 *number) {
  const Vm *vm = object;
  switch (field) {
    case NAME:
      return vm->name;
    case CLUSTER:
      return vm->cluster;
    case STATUS:
      return vm->status;
    case DESCRIPTION:
      return vm->description;
    default:
      *number = vm->memory;
      return vm->memory < 0 ? NULL : "";
  }
}

/* The VMs that match, by number. */
static char *found(const char *text, gboolean case_sensitive) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmSearch) search = dm_search_parse(text, fields, case_sensitive, &error);
  g_assert_no_error(error);
  if (search == NULL)
    return g_strdup("error");
  GString *numbers = g_string_new(NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(vms); i++) {
    if (dm_search_matches(search, get, &vms[i]))
      g_string_append_printf(numbers, "%" G_GSIZE_FORMAT, i);
  }
  return g_string_free(numbers, FALSE);
}

static void test_matches(void) {
  static const struct {
    const char *text, *numbers;
  } cases[] = {
    {NULL, "0123"},
    {"", "0123"},
    {"  ", "0123"},
    {"name=web1", "0"},
    {"name=\"web1\"", "0"},
    {"NAME = WEB1", "0"},
    {" name= \"web1\" ", "0"},
    {"name!=web1", "123"},
    {"name=web*", "01"},
    {"name=\"web*\"", "01"},
    {"name=w*b*", "01"},
    {"name=*b", "2"},
    {"name=*", "0123"},
    {"name=**1", "0"},
    {"name=*e*b*2*", "1"},
    {"name=web", ""},
    {"name=we*eb1", ""}, /* pieces do not overlap */
    {"name!=*b*", "3"},
    {"name=\xc3\xa9T\xc3\x89", "3"},
    {"name=\xc3\xa9*", "3"},
    {"cluster=default", "013"},
    {"cluster.name=Default", "013"},
    {"cluster=\"other one\"", "2"},
    {"cluster=other*one", "2"},
    /* Quotes inside quotes, stars and backslashes. */
    {"description=\"a\\*b*\"", "2"},
    {"description=\"first\\*\"", ""},
    {"description=\"*(\\\"c\\\")*\"", "2"},
    {"description=\"*\\\\d\"", "2"},
    {"description=\"*\\d\"", "2"},
    {"description=\"\\\\\"", ""}, /* one backslash, and the quote ends */
    /* No value is as an empty one, but no wildcard fits it. */
    {"description=\"\"", "13"},
    {"description!=\"\"", "02"},
    {"description=*", "023"},
    {"description!=first*", "123"},
    /* Enumerations. */
    {"status=up", "03"},
    {"status=powering_up", "1"},
    {"status=PoweringUp", "1"},
    {"status=\"powering up\"", "1"},
    {"status=*up", "013"},
    {"status!=up", "12"},
    {"progress>down", "013"},
    {"progress >= PoweringUp", "013"},
    {"progress < up", "12"},
    {"progress<=down", "2"},
    {"progress=up", "03"},
    /* Numbers; one that is not known is only unequal. */
    {"memory=1024", "0"},
    {"memory = \"1024\"", "0"},
    {"memory!=1024", "123"},
    {"memory<1024", "3"},
    {"memory <= 1024", "03"},
    {"memory>1024", "1"},
    {"memory>=1024", "01"},
    {"memory>-1", "013"},
    {"memory<9223372036854775807", "013"},
    /* Free text: anywhere in the fields for it. */
    {"web", "01"},
    {"WEB1", "0"},
    {"\"other one\"", "2"},
    {"ther*ne", "2"},
    {"powering_up", "1"},
    {"PoweringUp", "1"},
    {"server", ""}, /* description is not one of them */
    {"2048", "1"},
    {"04", "1"},
    {"*", "0123"},
    {"\"and\"", ""},
    {"\xc3\xa9t\xc3\xa9", "3"},
    /* and binds tighter than or. */
    {"name=web1 and status=up", "0"},
    {"name=web1 AND status=down", ""},
    {"name=web1 or name=db", "02"},
    {"name=db Or name=web* and status=up", "02"},
    {"name=web* and status=up or name=db", "02"},
    {"(name=db or name=web*) and status=up", "0"},
    {"( ( name=db ) )", "2"},
    {"(name=db)or(name=web1)", "02"},
    {"web and not", ""},
    {"name=web1 and cluster=Default and status=up and memory=1024", "0"},
    {"name=a or name=b or name=c or name=db", "2"},
    {"name=\"db\"or name=\"web1\"", "02"},
    /* A keyword right behind an operator is a value: clients write names so. */
    {"name=and", ""},
    {"name!=or or name=db", "0123"},
    {"name=web1 sortby name", "0"},
    {"sortby memory desc page 2", "0123"},
    {"page 3", "0123"},
    {"name=sortby sortby name", ""},
    {"ascending or pages or sort or organ", ""},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_test_message("%s", cases[i].text);
    g_autofree char *numbers = found(cases[i].text, FALSE);
    g_assert_cmpstr(numbers, ==, cases[i].numbers);
  }
}

static void test_case_sensitive(void) {
  static const struct {
    const char *text, *numbers;
  } cases[] = {
    {"name=web*", "0"},
    {"NAME=Web*", "1"},
    {"web", "0"},
    {"status=UP", "03"},
    {"cluster=default OR name=db", "2"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *numbers = found(cases[i].text, TRUE);
    g_assert_cmpstr(numbers, ==, cases[i].numbers);
  }
}

static void test_refused(void) {
  static const struct {
    const char *text;
    int character;
    const char *words;
  } cases[] = {
    {"name=web* and", 14, "a condition like name=web* is missing before 'the end'"},
    {"name=web* and ", 15, "is missing before 'the end'"},
    {"and name=x", 1, "is missing before 'and'"},
    {"name=x or and name=y", 11, "is missing before 'and'"},
    {"(", 2, "is missing before 'the end'"},
    {"()", 2, "is missing before ')'"},
    {"(name=x", 8, "the '(' at character 1 is still open"},
    {"name=x)", 7, "')' is not expected here"},
    {"(name=x sortby name)", 9, "is still open"},
    {"name=x name=y", 8, "'name' is not expected here; join conditions by and, or"},
    {"web db", 5, "'db' is not expected here"},
    {"name=my vm", 9, "'vm' is not expected here; join conditions by and, or, put quotes around text with blanks"},
    {"nam=x", 1, "there is no field 'nam'; there are name, cluster, cluster.name, status, description, memory"},
    {"name=x and host.name=y", 12, "there is no field 'host.name'"},
    {"\xc3\xa9\xc3\xa9 or nam=x", 7, "there is no field 'nam'"}, /* characters, not bytes */
    {"\"name\"=x", 1, "a field stands before an operator, without quotes"},
    {"=x", 1, "is missing before '='"},
    {"name=", 6, "a value is missing after 'name ='"},
    {"name= and status=up", 7, "a value is missing after 'name ='"},
    {"name= sortby name", 7, "a value is missing after 'name ='"},
    {"name==x", 6, "a value is missing after 'name ='"},
    {"name=(x)", 6, "a value is missing after 'name ='"},
    {"name=\"x", 6, "the quote that begins here has no end"},
    {"name=\"x\\\"", 6, "the quote that begins here has no end"},
    {"\"", 1, "the quote that begins here has no end"},
    {"name=x \"", 8, "the quote that begins here has no end"},
    {"name<x", 5, "name is not a number, so '<' cannot compare it; use = or !="},
    {"status >= up", 8, "status is not a number, so '>=' cannot compare it"},
    {"memory=1GiB", 8, "memory is compared with a whole number, and '1GiB' is none; write digits alone"},
    {"memory>1.5", 8, "and '1.5' is none"},
    {"memory=*", 8, "and '*' is none"},
    {"memory=\"\"", 8, "and '\"\"' is none"},
    {"memory>9223372036854775808", 8, "and 9223372036854775808 does not fit 64 bits"},
    {"sortby", 7, "a field is missing after 'sortby'; write it like sortby name"},
    {"sortby \"name\"", 8, "a field is missing after 'sortby'"},
    {"sortby size", 8, "there is no field 'size'; there are name,"},
    {"sortby name up", 13, "'up' is not expected here"},
    {"sortby name asc desc", 17, "'desc' is not expected here"},
    {"progress > sideways", 12, "'sideways' is no progress; it is one of down, powering_up, up"},
    {"page 0", 6, "after 'page' stands a number from 1"},
    {"page -1", 6, "after 'page' stands a number from 1"},
    {"page x", 6, "after 'page' stands a number from 1"},
    {"page 99999999999", 6, "after 'page' stands a number from 1 to 2147483647"},
    {"page 1 sortby name", 8, "'sortby' is not expected here"},
    {"page 1 2", 8, "'2' is not expected here"},
    {"page=1", 5, "after 'page' stands a number from 1"},
    {"name=x and page=1", 12, "is missing before 'page'"},
    {"sortby name and name=x", 13, "'and' is not expected here"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmSearch) search = dm_search_parse(cases[i].text, fields, FALSE, &error);
    g_assert_null(search);
    g_assert_error(error, DM_ERROR, DM_ERROR_BAD_SEARCH);
    g_autofree char *start =
      g_strdup_printf("the search '%s' cannot be read at character %d: ", cases[i].text, cases[i].character);
    if (error != NULL && (!g_str_has_prefix(error->message, start) || strstr(error->message, cases[i].words) == NULL))
      g_test_fail_printf("\"%s\" is not \"%s... %s\"", error->message, start, cases[i].words);
  }
}

static void test_bounds(void) {
  for (gsize depth = 31; depth <= 34; depth++) {
    g_autofree char *open = g_strnfill(depth, '('), *close = g_strnfill(depth, ')');
    g_autofree char *text = g_strconcat(open, "name=x", close, " and ", open, "name=x", close, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(DmSearch) search = dm_search_parse(text, fields, FALSE, &error);
    g_assert_true((search != NULL) == (depth <= 32));
    if (search == NULL)
      g_assert_nonnull(strstr(error->message, "at character 33: parentheses are deeper than 32"));
  }
  for (gsize length = 4096; length <= 4097; length++) {
    g_autofree char *text = g_strnfill(length, 'x');
    g_autoptr(GError) error = NULL;
    g_autoptr(DmSearch) search = dm_search_parse(text, fields, FALSE, &error);
    g_assert_true((search != NULL) == (length == 4096));
    if (search == NULL) {
      g_assert_error(error, DM_ERROR, DM_ERROR_BAD_SEARCH);
      g_assert_nonnull(strstr(error->message, "xxx...' is longer than 4096 bytes; shorten it"));
    }
  }
  g_autoptr(GError) error = NULL;
  g_assert_null(dm_search_parse("name=\xff", fields, FALSE, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_BAD_SEARCH);
  dm_search_free(NULL);
}

/* Many wildcards over a text that nearly fits must not explode. */
static void test_wildcards_bounded(void) {
  g_autofree char *name = g_strnfill(100000, 'a');
  g_autoptr(GString) text = g_string_new("name=");
  for (guint i = 0; i < 1000; i++)
    g_string_append(text, "a*");
  g_string_append(text, "b");
  const Vm vm = {.name = name};
  g_autoptr(DmSearch) search = dm_search_parse(text->str, fields, FALSE, NULL);
  g_assert_false(dm_search_matches(search, get, &vm));
}

/* Names that a hypervisor might hand over although they are not UTF-8. */
static void test_bad_text(void) {
  const Vm vm = {.name = "caf\xc3", .cluster = "\xff", .status = "\xc3"};
  g_autoptr(DmSearch) search = dm_search_parse("name=caf\xef\xbf\xbd and status!=up", fields, FALSE, NULL);
  g_assert_true(dm_search_matches(search, get, &vm));
}

static void test_sort(void) {
  static const struct {
    const char *text, *numbers;
    guint page;
  } cases[] = {
    {"", "0123", 1},
    {"page", "0123", 1},
    {"page 7", "0123", 7},
    {"sortby name", "2013", 1},
    {"sortby name asc page 2", "2013", 2},
    {"SORTBY NAME DESC", "3102", 1},
    {"sortby memory", "3012", 1},
    {"sortby memory desc", "2103", 1},
    {"sortby cluster", "0132", 1},      /* stable, */
    {"sortby cluster desc", "2013", 1}, /* this way too */
    {"sortby status", "2103", 1},
    {"sortby description", "3201", 1},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(DmSearch) search = dm_search_parse(cases[i].text, fields, TRUE, NULL);
    g_autoptr(GPtrArray) objects = g_ptr_array_new();
    for (gsize k = 0; k < G_N_ELEMENTS(vms); k++)
      g_ptr_array_add(objects, (gpointer)&vms[k]);
    dm_search_sort(search, get, objects);
    g_autoptr(GString) numbers = g_string_new(NULL);
    for (guint k = 0; k < objects->len; k++)
      g_string_append_printf(numbers, "%d", (int)((const Vm *)objects->pdata[k] - vms));
    g_test_message("%s", cases[i].text);
    g_assert_cmpstr(numbers->str, ==, cases[i].numbers);
    g_assert_cmpuint(dm_search_page(search), ==, cases[i].page);
    g_assert_cmpint(dm_search_has_order(search), ==, strcasestr(cases[i].text, "sortby") != NULL);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/wire/search/matches", test_matches);
  g_test_add_func("/wire/search/case-sensitive", test_case_sensitive);
  g_test_add_func("/wire/search/refused", test_refused);
  g_test_add_func("/wire/search/bounds", test_bounds);
  g_test_add_func("/wire/search/wildcards-bounded", test_wildcards_bounded);
  g_test_add_func("/wire/search/bad-text", test_bad_text);
  g_test_add_func("/wire/search/sort", test_sort);
  return g_test_run();
}
