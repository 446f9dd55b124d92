/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "fuzz.h"
#include "wire/search.h"

typedef struct {
  const char *texts[4]; /* by field; that of memory: whether it is known */
  gint64 memory;
} Object;

static const Object objects[] = {
  {{"web1", "up", "", "host1"}, 1024},
  {{"\xc3\x89t\xc3\xa9 *", "powering_up", "", NULL}, G_MAXINT64},
  {{"", "Not Responding", NULL, "bad\xc3"}, 0},
};

static gboolean get(gconstpointer object, int field, DmSearchValue *value, gpointer data) {
  value->number = ((const Object *)object)->memory;
  value->text = ((const Object *)object)->texts[field];
  return value->text != NULL;
}

static gboolean related(gconstpointer object, DmSearchGroup *group, gpointer data) {
  return dm_search_group_matches(group, ((const Object *)object)->texts[2] != NULL ? object : NULL, data);
}

static const DmSearchField fields[] = {
  {"name", DM_FIELD_TEXT, 0, TRUE},
  {"status", DM_FIELD_ENUM, 1, TRUE},
  {"memory", DM_FIELD_NUMBER, 2, TRUE},
  {"load", DM_FIELD_DECIMAL, 2},
  {"time", DM_FIELD_DATE, 2},
  {"uptime", DM_FIELD_SPAN, 2},
  {"pool", DM_FIELD_TEXT, 3, .nullable = TRUE},
  {NULL},
};
static const DmSearchKind other = {.fields = fields, .get = get};
static const DmSearchReference references[] = {{"host", 0, &other}, {NULL}};
static const DmSearchKind kind = {.fields = fields, .references = references, .get = get, .related = related};

static void use(DmSearch *search) {
  g_autoptr(GPtrArray) sorted = g_ptr_array_new();
  for (gsize i = 0; i < G_N_ELEMENTS(objects); i++) {
    gboolean matches = dm_search_matches(search, &objects[i], NULL);
    g_assert(matches == TRUE || matches == FALSE);
    g_ptr_array_add(sorted, (gpointer)&objects[i]);
  }
  dm_search_sort(search, sorted, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(objects); i++)
    g_assert(g_ptr_array_find(sorted, &objects[i], NULL));
  g_assert(dm_search_order(search) >= 0 || sorted->pdata[0] == &objects[0]);
  g_assert(dm_search_page(search) >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *text = g_strndup((const char *)data, size);
  for (gboolean case_sensitive = FALSE; case_sensitive <= TRUE; case_sensitive++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(DmSearch) search = dm_search_parse(text, &kind, case_sensitive, &error);
    if (search != NULL) {
      use(search);
      continue;
    }
    g_assert_error(error, DM_ERROR, DM_ERROR_BAD_SEARCH);
    g_assert(g_utf8_validate(error->message, -1, NULL));
  }
  return 0;
}
