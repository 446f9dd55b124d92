/* SPDX-License-Identifier: Apache-2.0 */
/* oVirt's search language, asked of a few VMs. */
#include "wire/search.h"

#include <string.h>

#include "base/error.h"

typedef struct {
  const char *what;
  const char *severity;
} Event;

typedef struct {
  const char *name, *cluster, *status, *description;
  gint64 memory;      /* < 0: not known */
  gint64 started, up; /* 0: not known */
  Event events[2];
} Vm;

enum {
  NAME,
  CLUSTER,
  STATUS,
  DESCRIPTION,
  MEMORY,
  STARTED,
  UP,
  WHAT,
  SEVERITY,
};

static const char *const ranks[] = {"down", "powering_up", "up", NULL};
static const char *const severities[] = {"normal", "error", NULL};

static gboolean get_event(gconstpointer object, int field, DmSearchValue *value, gpointer data) {
  const Event *event = object;
  value->text = field == WHAT ? event->what : event->severity;
  return TRUE;
}

static const DmSearchKind events = {
  .fields = (const DmSearchField[]){{"what", DM_FIELD_TEXT, WHAT, TRUE},
    {"severity", DM_FIELD_ENUM, SEVERITY, .ranks = severities}, {NULL}},
  .get = get_event,
};

static const DmSearchKind disks = {
  .fields = (const DmSearchField[]){{"name", DM_FIELD_TEXT, 0, TRUE}, {"size", DM_FIELD_NUMBER, 0}, {NULL}},
};

static const DmSearchField fields[] = {
  {"name", DM_FIELD_TEXT, NAME, TRUE},
  {"cluster", DM_FIELD_TEXT, CLUSTER, TRUE},
  {"cluster.name", DM_FIELD_TEXT, CLUSTER, FALSE},
  {"status", DM_FIELD_ENUM, STATUS, TRUE},
  {"description", DM_FIELD_TEXT, DESCRIPTION, .nullable = TRUE},
  {"memory", DM_FIELD_NUMBER, MEMORY, TRUE},
  {"progress", DM_FIELD_ENUM, STATUS, .ranks = ranks},
  {"load", DM_FIELD_DECIMAL, MEMORY},
  {"started", DM_FIELD_DATE, STARTED},
  {"uptime", DM_FIELD_SPAN, UP},
  {"event", DM_FIELD_TEXT, NAME, .sort_only = TRUE},
  {NULL},
};

/* Noon of 2026-11-29, and the night before, wherever the test runs. */
static gint64 noon, night;

static Vm vms[] = {
  {"web1", "Default", "up", "first server", 1024, .up = 3600 * 1000,
    .events = {{"began", "normal"}, {"broke", "error"}}},
  {"Web2", "Default", "powering_up", NULL, 2048, .up = 86400 * 1000, .events = {{"began", "error"}}},
  {"db", "other one", "down", "a*b (\"c\") \\d", -1},
  {"\xc3\x89t\xc3\xa9", "Default", "up", "", 512},
};

static gboolean get(gconstpointer object, int field, DmSearchValue *value, gpointer data) {
  const Vm *vm = object;
  switch (field) {
    case NAME:
      value->text = vm->name;
      value->other = vm->name != NULL && g_str_equal(vm->name, "db") ? "database" : NULL;
      return TRUE;
    case CLUSTER:
      value->text = vm->cluster;
      return TRUE;
    case STATUS:
      value->text = vm->status;
      return TRUE;
    case DESCRIPTION:
      value->text = vm->description;
      return TRUE;
    case STARTED:
      value->number = vm->started;
      return vm->started != 0;
    case UP:
      value->number = vm->up;
      return vm->up != 0;
    default:
      value->number = vm->memory;
      return vm->memory >= 0;
  }
}

static gboolean related(gconstpointer object, DmSearchGroup *group, gpointer data) {
  const Vm *vm = object;
  g_assert_true(data == vms);
  if (dm_search_group_reference(group)->kind != &events || vm->events[0].what == NULL)
    return dm_search_group_matches(group, NULL, data);
  return dm_search_group_matches(group, &vm->events[0], data) ||
    (vm->events[1].what != NULL && dm_search_group_matches(group, &vm->events[1], data));
}

static const DmSearchKind kind = {
  .fields = fields,
  .references = (const DmSearchReference[]){{"event", 0, &events}, {"disk", 1, &disks}, {NULL}},
  .get = get,
  .related = related,
};

/* The VMs that match, by number. */
static char *found(const char *text, gboolean case_sensitive) {
  g_autoptr(GError) error = NULL;
  g_autoptr(DmSearch) search = dm_search_parse(text, &kind, case_sensitive, &error);
  g_assert_no_error(error);
  if (search == NULL)
    return g_strdup("error");
  GString *numbers = g_string_new(NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(vms); i++) {
    if (dm_search_matches(search, &vms[i], vms))
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
    /* What nothing joins has to match too, and "or" binds tighter. */
    {"name=web1 cluster=\"Default\"", "0"},
    {"name=web* status=down", ""},
    {"status=up name=web1 or name=db", "0"},
    {"name=db (status=down)", "2"},
    {"web 1", "0"},
    {"\"web\" \"1\"", "0"},
    {"name=web1\tand\nstatus=up", "0"},
    {"name=\"web1\"status=up", "0"},
    /* A value goes on to the next blank, with what it has in it. */
    {"name=a=b", ""},
    {"name!=a<b", "0123"},
    {"name=web1)", ""},
    {"name=(x)", ""},
    {"description=\"a*\" or name!=f(x)", "0123"},
    {"(description!=a(b)c)", "0123"},
    {"(name=web1)", "0"},
    {"f(x)", ""},
    /* A second name. */
    {"name=database", "2"},
    {"name=*data*", "2"},
    {"name!=database", "013"},
    {"atabas", "2"},
    /* null, where it can be. */
    {"description=null", "13"},
    {"description!=NULL", "02"},
    {"description=\"null\"", ""},
    {"name=null", ""},
    /* Related objects, in the singular and the plural. */
    {"event.what=began", "01"},
    {"EVENTS.What=*roke", "0"},
    {"events.severity>normal", "01"},
    {"events.what!=began", "023"},
    {"events=egan", "01"},
    {"event!=egan", "023"},
    {"events.what=began and events.severity=error", "1"}, /* one event that is both */
    {"events.what=began events.severity=error", "1"},
    {"(events.what=began) and (events.severity=error or events.severity=down*)", "1"},
    {"events.what=began and name=web1 and events.severity=error", ""},
    {"events.what=broke or name=db", "02"},
    {"events.what=broke or events.severity=error", "01"},
    {"name=web* events.what=broke or events.severity=error", "01"},
    {"disks.name=x", ""},
    {"disk.name!=x", "0123"},
    {"disks.size>1", ""},
    {"disks=x or events.what=broke", "0"},
    /* Dates: = is that day. */
    {"started=2026-11-29", "0"},
    {"started=\"2026-11-29\"", "0"},
    {"started!=2026-11-29", "123"},
    {"started>2026-11-28", "01"},
    {"started>\"2026-11-29\"", "0"}, /* since it began */
    {"started<=\"2026-11-29\"", "01"},
    {"started<\"2026-11-29\"", "1"},
    {"started>=2026-11-29", "0"},
    {"started=\"2026-11-29 11:59\"", "0"}, /* the day from then on */
    {"started=\"2026-11-29 12:01\"", ""},
    {"started>\"2026-11-29 11:59\"", "0"},
    {"started>=\"2026-11-29 11:59\"", "0"},
    {"started<\"2026-11-29 12:00:01\"", "01"},
    {"started>=\"2026-11-29 12:00:01\"", ""},
    {"started>=2026-11-29T11:59:59", "0"},
    {"started=11/29/2026", "0"},
    {"started=11/29/26", "0"},
    {"started=\"Nov 29, 2026\"", "0"},
    {"started=\"November 29, 2026\"", "0"},
    {"started=\"Sunday, November 29, 2026\"", "0"},
    {"started<\"Nov 29, 2026 11:00:00 AM\"", "1"},
    {"started<=1970-01-02", ""},
    {"started>1", "01"},
    /* Spans. */
    {"uptime>0", "01"},
    {"uptime>=1", "1"},
    {"uptime>00:59", "01"},
    {"uptime>1:00:00", "1"},
    {"uptime=01:00", "0"},
    {"uptime<0.01:00:01", "0"},
    {"load>1.0235", "01"},
    {"load<=0.512", "3"},
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
    {"(name=x))", 9, "')' is not expected here"},
    {")", 1, "is missing before ')'"},
    {"(name=x sortby name)", 9, "is still open"},
    {"nam=x", 1, "there is no field 'nam'; there are name, cluster, cluster.name, status, description, memory"},
    {"name=x and host.name=y", 12, "there is no field 'host.name'"},
    {"\xc3\xa9\xc3\xa9 or nam=x", 7, "there is no field 'nam'"}, /* characters, not bytes */
    {"\"name\"=x", 1, "a field stands before an operator, without quotes"},
    {"=x", 1, "is missing before '='"},
    {"name=", 6, "a value is missing after 'name ='"},
    {"name= and status=up", 7, "a value is missing after 'name ='"},
    {"name= sortby name", 7, "a value is missing after 'name ='"},
    {"name==x", 6, "a value is missing after 'name ='"},
    {"name=web\"1\"", 9, "a quote stands before a value or not at all"},
    {"we\"b", 3, "a quote stands before a value or not at all"},
    {"event.size=1", 7, "there is no field 'size'; there are what, severity"},
    {"events.events.what=x", 8, "there is no field 'events.what'"},
    {"vm.name=x", 1, "there is no field 'vm.name'; there are name, cluster,"},
    {"vm.name=x", 1, "and of others: events.FIELD, disks.FIELD"},
    {"events>x", 7, "event is not a number, so '>' cannot compare it"},
    {"events.severity=odd", 17, "'odd' is no severity; it is one of normal, error"},
    {"disks.size=big", 12, "size is compared with a whole number"},
    {"sortby events.what", 8, "there is no field 'events.what'"},
    {"load>much", 6, "load is compared with a number, and 'much' is none; write digits"},
    {"load>1e99", 6, "and '1e99' is none"},
    {"started>soon", 9, "started is compared with a day, and 'soon' is none; write today"},
    {"started>2026-13-01", 9, "and '2026-13-01' is none"},
    {"started>2026-02-30", 9, "and '2026-02-30' is none"},
    {"started>\"2026-11-29 25:00\"", 9, "is none"},
    {"uptime>long", 8, "uptime is compared with a span of time, and 'long' is none; write days"},
    {"uptime>1:2", 8, "and '1:2' is none"},
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
    g_autoptr(DmSearch) search = dm_search_parse(cases[i].text, &kind, FALSE, &error);
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
    g_autoptr(DmSearch) search = dm_search_parse(text, &kind, FALSE, &error);
    g_assert_true((search != NULL) == (depth <= 32));
    if (search == NULL)
      g_assert_nonnull(strstr(error->message, "at character 33: parentheses are deeper than 32"));
  }
  for (gsize length = 4096; length <= 4097; length++) {
    g_autofree char *text = g_strnfill(length, 'x');
    g_autoptr(GError) error = NULL;
    g_autoptr(DmSearch) search = dm_search_parse(text, &kind, FALSE, &error);
    g_assert_true((search != NULL) == (length == 4096));
    if (search == NULL) {
      g_assert_error(error, DM_ERROR, DM_ERROR_BAD_SEARCH);
      g_assert_nonnull(strstr(error->message, "xxx...' is longer than 4096 bytes; shorten it"));
    }
  }
  g_autoptr(GError) error = NULL;
  g_assert_null(dm_search_parse("name=\xff", &kind, FALSE, &error));
  g_assert_error(error, DM_ERROR, DM_ERROR_BAD_SEARCH);
  dm_search_free(NULL);
}

/* today, yesterday, and the names of the days before. */
static void test_days(void) {
  static const char *const names[] = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};
  for (int before = 0; before <= 8; before++) {
    g_autoptr(GDateTime) now = g_date_time_new_now_local(), when = g_date_time_add_days(now, -before);
    const char *name = names[g_date_time_get_day_of_week(when) - 1];
    const Vm vm = {.name = "x", .started = g_date_time_to_unix(when) * 1000};
    g_autofree char *text = g_strdup_printf("started=%s", before == 0 ? "TODAY" : before == 1 ? "yesterday" : name);
    g_autofree char *named = g_strdup_printf("started=%s", name);
    g_autofree char *since = g_strdup_printf("started>=%s", name);
    g_test_message("%s, %s", text, named);
    g_autoptr(DmSearch) search = dm_search_parse(text, &kind, FALSE, NULL);
    g_autoptr(DmSearch) by_name = dm_search_parse(named, &kind, FALSE, NULL);
    g_autoptr(DmSearch) since_then = dm_search_parse(since, &kind, FALSE, NULL);
    g_assert_true(dm_search_matches(search, &vm, vms) == (before <= 7));
    g_assert_true(dm_search_matches(by_name, &vm, vms) == (before >= 1 && before <= 7));
    g_assert_true(dm_search_matches(since_then, &vm, vms) == (before <= 7));
  }
}

/* Many wildcards over a text that nearly fits must not explode. */
static void test_wildcards_bounded(void) {
  g_autofree char *name = g_strnfill(100000, 'a');
  g_autoptr(GString) text = g_string_new("name=");
  for (guint i = 0; i < 1000; i++)
    g_string_append(text, "a*");
  g_string_append(text, "b");
  const Vm vm = {.name = name};
  g_autoptr(DmSearch) search = dm_search_parse(text->str, &kind, FALSE, NULL);
  g_assert_false(dm_search_matches(search, &vm, vms));
}

/* Names that a hypervisor might hand over although they are not UTF-8. */
static void test_bad_text(void) {
  const Vm vm = {.name = "caf\xc3", .cluster = "\xff", .status = "\xc3"};
  g_autoptr(DmSearch) search = dm_search_parse("name=caf\xef\xbf\xbd and status!=up", &kind, FALSE, NULL);
  g_assert_true(dm_search_matches(search, &vm, vms));
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
    g_autoptr(DmSearch) search = dm_search_parse(cases[i].text, &kind, TRUE, NULL);
    g_autoptr(GPtrArray) objects = g_ptr_array_new();
    for (gsize k = 0; k < G_N_ELEMENTS(vms); k++)
      g_ptr_array_add(objects, (gpointer)&vms[k]);
    dm_search_sort(search, objects, vms);
    g_autoptr(GString) numbers = g_string_new(NULL);
    for (guint k = 0; k < objects->len; k++)
      g_string_append_printf(numbers, "%d", (int)((const Vm *)objects->pdata[k] - vms));
    g_test_message("%s", cases[i].text);
    g_assert_cmpstr(numbers->str, ==, cases[i].numbers);
    g_assert_cmpuint(dm_search_page(search), ==, cases[i].page);
    g_assert_cmpint(dm_search_order(search) >= 0, ==, strcasestr(cases[i].text, "sortby") != NULL);
  }
}

int main(int argc, char **argv) {
  g_autoptr(GDateTime) day = g_date_time_new_local(2026, 11, 29, 12, 0, 0);
  noon = g_date_time_to_unix(day) * 1000;
  night = noon - 13 * G_TIME_SPAN_HOUR / 1000;
  vms[0].started = noon;
  vms[1].started = night;
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/wire/search/matches", test_matches);
  g_test_add_func("/wire/search/case-sensitive", test_case_sensitive);
  g_test_add_func("/wire/search/refused", test_refused);
  g_test_add_func("/wire/search/bounds", test_bounds);
  g_test_add_func("/wire/search/days", test_days);
  g_test_add_func("/wire/search/wildcards-bounded", test_wildcards_bounded);
  g_test_add_func("/wire/search/bad-text", test_bad_text);
  g_test_add_func("/wire/search/sort", test_sort);
  return g_test_run();
}
