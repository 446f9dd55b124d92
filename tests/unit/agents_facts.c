/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken over of what dimmer-guest says, and what is not. */
#include "facts.h"

#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "runs_text.h"

/* ' is for ", and 128M for that many bytes. */
static json_t *json_from(const char *text) {
  g_autoptr(GString) json = g_string_new(NULL);
  for (const char *at = text; *at != '\0';) {
    char *end;
    guint64 number = g_ascii_isdigit(*at) ? g_ascii_strtoull(at, &end, 10) : 0;
    if (g_ascii_isdigit(*at) && *end == 'M')
      g_string_append_printf(json, "%" G_GUINT64_FORMAT, number * DM_MIB);
    else if (g_ascii_isdigit(*at))
      g_string_append_len(json, at, end - at);
    else
      g_string_append_c(json, *at == '\'' ? '"' : *at);
    at = !g_ascii_isdigit(*at) ? at + 1 : *end == 'M' ? end + 1 : end;
  }
  json_error_t error;
  json_t *value = json_loads(json->str, JSON_DECODE_ANY, &error);
  if (value == NULL)
    g_error("%s: %s", json->str, error.text);
  return value;
}

/* ---- texts ---- */

static const struct {
  const char *name, *json;
  const char *text, *words; /* words: of the same as words of a person */
} texts[] = {
  {"plain", "'6.1.0-13-cloud-amd64'", "6.1.0-13-cloud-amd64", "6.1.0-13-cloud-amd64"},
  {"letters", "'D\xc3\xa9j\xc3\xa0 \xe4\xb8\xad'", "D\xc3\xa9j\xc3\xa0 \xe4\xb8\xad",
    "D\xc3\xa9j\xc3\xa0 \xe4\xb8\xad"},
  {"empty", "''", "", ""},
  {"escape", "'\\u001b[31mred'", NULL, "[31mred"},
  {"end-of-line", "'a\\nb'", NULL, "a b"},
  {"delete", "'a\\u007fb'", NULL, "a b"},
  {"c1", "'a\\u009bb'", NULL, "a b"},
  {"right-to-left", "'a\\u202eb'", NULL, "a b"},
  {"no-character", "'a\\uffffb'", NULL, "a b"},
  {"number", "5", NULL, NULL},
  {"null", "null", NULL, NULL},
  {"array", "['a']", NULL, NULL},
};

static void test_text(gconstpointer data) {
  const typeof(texts[0]) *c = data;
  json_t *value = json_from(c->json);
  g_autofree char *text = facts_text(value);
  g_assert_cmpstr(text, ==, c->text);
  g_autofree char *words = json_is_string(value) ? facts_words(json_string_value(value)) : NULL;
  g_assert_cmpstr(words, ==, c->words);
  g_autofree char *kept = g_strdup("before");
  if (json_is_string(value))
    facts_keep(&kept, json_string_value(value));
  g_assert_cmpstr(kept, ==, c->text != NULL && *c->text != '\0' ? c->text : "before");
  json_decref(value);
}

static void test_long_text(void) {
  g_autofree char *text = g_strnfill(257, 'x');
  json_t *more = json_string(text), *fits = json_stringn(text, 256);
  g_autofree char *none = facts_text(more), *whole = facts_text(fits), *words = facts_words(text);
  g_assert_null(none);
  g_assert_cmpuint(strlen(whole), ==, 256);
  g_assert_cmpstr(words, ==, whole);
  json_decref(more);
  json_decref(fits);
}

/* Cut in the middle of a character, or never UTF-8 at all. */
static void test_words_are_utf8(void) {
  g_autofree char *filler = g_strnfill(255, 'x');
  g_autofree char *cut = g_strconcat(filler, "\xc3\xa9", NULL);
  static const char *const bad[] = {"\xff\xfe", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80"};
  g_autofree char *words = facts_words(cut);
  g_assert_true(g_utf8_validate(words, -1, NULL));
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autofree char *more = facts_words(bad[i]), *kept = NULL;
    g_assert_true(g_utf8_validate(more, -1, NULL));
    facts_keep(&kept, bad[i]);
    g_assert_null(kept);
  }
}

/* ---- hello ---- */

#define HELLO(members) "{'ok':true" members "}"
#define WHO ",'agent':'dimmer-guest 0.1','kernel':'6.1','boot':'b'"

/* As "BLOCK POLICY MOVABLE-NODE HOT-REMOVE ONLINES"; or what is wrong. */
static const struct {
  const char *name, *json;
  const char *expected, *error;
} hellos[] = {
  {"whole",
    HELLO(WHO ",'version':1,'block':128M,'policy':'online_movable','movable_node':false,'hot_remove':true,"
              "'onlines':true"),
    "128 online_movable n y y", NULL},
  {"least", HELLO(WHO ",'version':1,'block':128M"), "128 - ? ? ?", NULL},
  {"no-hot-plug", HELLO(WHO ",'version':1,'block':0"), "0 - ? ? ?", NULL},
  {"smallest-block", HELLO(WHO ",'version':1,'block':1M"), "1 - ? ? ?", NULL},
  {"largest-block", HELLO(WHO ",'version':1,'block':65536M"), "65536 - ? ? ?", NULL},
  {"optional-ones-of-wrong-types",
    HELLO(WHO ",'version':1,'block':128M,'policy':7,'movable_node':'no','hot_remove':0,'onlines':null"), "128 - ? ? ?",
    NULL},
  {"hostile-policy", HELLO(WHO ",'version':1,'block':128M,'policy':'\\u001b[2J'"), "128 - ? ? ?", NULL},
  {"empty", "{}", NULL, "'version'"},
  {"no-version", HELLO(WHO ",'block':128M"), NULL, "'version'"},
  {"version-0", HELLO(WHO ",'version':0,'block':128M"), NULL, "'version'"},
  {"version-2", HELLO(WHO ",'version':2,'block':128M"), NULL, "'version'"},
  {"version-text", HELLO(WHO ",'version':'1','block':128M"), NULL, "'version'"},
  {"no-block", HELLO(WHO ",'version':1"), NULL, "'block'"},
  {"block-of-512K", HELLO(WHO ",'version':1,'block':524288"), NULL, "'block'"},
  {"block-of-3M", HELLO(WHO ",'version':1,'block':3M"), NULL, "'block'"},
  {"block-of-128G", HELLO(WHO ",'version':1,'block':131072M"), NULL, "'block'"},
  {"block-largest-number", HELLO(WHO ",'version':1,'block':9223372036854775807"), NULL, "'block'"},
  {"block-negative", HELLO(WHO ",'version':1,'block':-128M"), NULL, "'block'"},
  {"block-fraction", HELLO(WHO ",'version':1,'block':134217728.0"), NULL, "'block'"},
  {"block-text", HELLO(WHO ",'version':1,'block':'128M'"), NULL, "'block'"},
  {"no-agent", HELLO(",'version':1,'block':128M,'kernel':'6.1','boot':'b'"), NULL, "'agent'"},
  {"hostile-agent", HELLO(",'version':1,'block':128M,'agent':'a\\nb','kernel':'6.1','boot':'b'"), NULL, "'agent'"},
  {"kernel-number", HELLO(",'version':1,'block':128M,'agent':'a','kernel':6.1,'boot':'b'"), NULL, "'kernel'"},
  {"no-boot", HELLO(",'version':1,'block':128M,'agent':'a','kernel':'6.1'"), NULL, "'boot'"},
};

static char *hello_text(const DmGuest *guest) {
  return g_strdup_printf("%" G_GUINT64_FORMAT " %s %c %c %c", guest->block / DM_MIB,
    guest->policy != NULL ? guest->policy : "-", "?yn"[guest->movable_node], "?yn"[guest->hot_remove],
    "?yn"[guest->onlines]);
}

/* Twice, as a guest may be asked again: what it said first is neither kept nor leaked. */
static void test_hello(gconstpointer data) {
  const typeof(hellos[0]) *c = data;
  g_autoptr(DmGuest) guest = dm_guest_new();
  json_t *answer = json_from(c->json);
  for (guint i = 0; i < 2; i++) {
    g_autoptr(GError) error = NULL;
    gboolean taken = facts_take_hello(answer, guest, &error);
    g_assert_cmpint(taken, ==, c->expected != NULL);
    if (taken) {
      g_autofree char *expected = hello_text(guest);
      g_assert_cmpstr(expected, ==, c->expected);
      g_assert_cmpint(guest->system, ==, DM_SOURCE_AGENT);
      g_assert_cmpint(guest->windows, ==, DM_FACT_NO);
    } else {
      g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
      g_assert_nonnull(strstr(error->message, c->error));
      g_assert_cmpuint(guest->block, ==, 0);
      g_assert_cmpint(guest->block_source, ==, DM_SOURCE_NONE);
    }
  }
  json_decref(answer);
}

/* ---- memory ---- */

static const struct {
  const char *name, *json;
  uint64_t total, available; /* MiB; total 0: it is wrong */
  uint64_t kernel_total, kernel_available;
} memories[] = {
  {"whole", "{'total':1000M,'free':700M,'available':800M,'swap_free':0,'mlocked':0}", 1000, 800, 0, 0},
  {"kernel", "{'total':1000M,'available':800M,'kernel_total':500M,'kernel_available':100M}", 1000, 800, 500, 100},
  {"kernel-nothing-left", "{'total':1000M,'available':800M,'kernel_total':500M,'kernel_available':0}", 1000, 800, 500,
    0},
  {"kernel-in-part", "{'total':1000M,'available':800M,'kernel_total':500M}", 1000, 800, 0, 0},
  {"kernel-above-total", "{'total':1000M,'available':800M,'kernel_total':1001M,'kernel_available':1M}", 1000, 800, 0,
    0},
  {"kernel-more-than-it-has", "{'total':1000M,'available':800M,'kernel_total':10M,'kernel_available':11M}", 1000, 800,
    0, 0},
  {"nothing-to-spare", "{'total':1000M,'available':0}", 1000, 0, 0, 0},
  {"all-to-spare", "{'total':1000M,'available':1000M}", 1000, 1000, 0, 0},
  {"more-than-all", "{'total':1000M,'available':1001M}", 0, 0, 0, 0},
  {"nothing-at-all", "{'total':0,'available':0}", 0, 0, 0, 0},
  {"no-total", "{'available':800M}", 0, 0, 0, 0},
  {"no-available", "{'total':1000M}", 0, 0, 0, 0},
  {"negative", "{'total':1000M,'available':-1}", 0, 0, 0, 0},
  {"text", "{'total':'1000M','available':800M}", 0, 0, 0, 0},
  {"fraction", "{'total':1000.5,'available':800}", 0, 0, 0, 0},
};

static void test_memory(gconstpointer data) {
  const typeof(memories[0]) *c = data;
  g_autoptr(DmGuest) guest = dm_guest_new();
  g_autoptr(GError) error = NULL;
  json_t *answer = json_from(c->json);
  g_assert_cmpint(facts_take_memory(answer, guest, &error), ==, c->total != 0);
  g_assert_cmpint(error != NULL, ==, c->total == 0);
  g_assert_cmpuint(guest->total, ==, c->total * DM_MIB);
  g_assert_cmpuint(guest->available, ==, c->available * DM_MIB);
  g_assert_cmpuint(guest->kernel_total, ==, c->kernel_total * DM_MIB);
  g_assert_cmpuint(guest->kernel_available, ==, c->kernel_available * DM_MIB);
  g_assert_cmpint(guest->memory_source, ==, c->total != 0 ? DM_SOURCE_AGENT : DM_SOURCE_NONE);
  json_decref(answer);
}

static void test_nodes(void) {
  static const struct {
    const char *nodes, *expected;
  } rows[] = {
    {"[{'node':0,'total':500M,'free':100M,'available':200M}]", "0:500/100/200"},
    {"[{'node':2,'total':500M,'free':0,'available':0},{'node':1,'total':1M,'free':1M,'available':2M}]",
      "2:500/0/0 1:1/1/1"},
    {"[]", ""},
    {"{}", ""},
    {"[{'node':0,'total':500M,'free':501M,'available':200M}]", ""},
    {"[{'node':0,'total':0,'free':0,'available':0}]", ""},
    {"[{'node':1024,'total':500M,'free':0,'available':0}]", ""},
    {"[{'node':-1,'total':500M,'free':0,'available':0}]", ""},
    {"[{'node':0,'total':500M,'free':0}]", ""},
    {"[7]", ""},
    {"[{'node':0,'total':5M,'free':0,'available':0},{'node':0,'total':5M,'free':0,'available':0}]", ""},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(DmGuest) guest = dm_guest_new();
    g_autofree char *text = g_strconcat("{'total':1000M,'available':800M,'nodes':", rows[i].nodes, "}", NULL);
    json_t *answer = json_from(text);
    g_assert_true(facts_take_memory(answer, guest, NULL));
    g_autofree char *nodes = nodes_text(guest);
    g_assert_cmpstr(nodes, ==, rows[i].expected);
    json_decref(answer);
  }
}

/* ---- runs ---- */

#define RUN(start, size) "{'start':" start ",'size':" size ",'state':'online','zone':'movable'}"

/* Answers one after the other, | between them; what is known then, or which member is wrong. @next: of the last, MiB.
 */
static const struct {
  const char *name, *answers;
  const char *expected, *wrong;
  uint64_t next;
} runs[] = {
  {"one", "{'runs':[" RUN("4096M", "256M") "]}", "4096+256:om", NULL, 0},
  {"none", "{'runs':[]}", "", NULL, 0},
  {"zones",
    "{'runs':[{'start':0,'size':1024M,'state':'online','zone':'normal','node':0},"
    "{'start':4096M,'size':128M,'state':'online','zone':'mixed'},"
    "{'start':4224M,'size':128M,'state':'offline','may':'movable'},"
    "{'start':4352M,'size':128M,'state':'offline','may':'normal'},"
    "{'start':4480M,'size':128M,'state':'offline','zone':'movable'},"
    "{'start':4608M,'size':128M,'state':'going-offline','zone':'movable'},"
    "{'start':4736M,'size':128M,'state':'online','zone':'unknown'},"
    "{'start':4864M,'size':128M,'state':'online','zone':'movable','virtio':true}]}",
    "0+1024:ok 4096+128:ox 4224+128:fm 4352+128:fk 4480+128:f? 4608+128:gm 4736+128:o? 4864+128:omv", NULL, 0},
  {"unknown-words", "{'runs':[{'start':0,'size':128M,'state':'burnt','zone':7,'virtio':'yes'}]}", "0+128:??", NULL, 0},
  {"neighbours", "{'runs':[" RUN("0", "128M") "," RUN("128M", "128M") "]}", "0+128:om 128+128:om", NULL, 0},
  {"next", "{'runs':[" RUN("0", "128M") "],'next':128M}", "0+128:om", NULL, 128},
  {"next-further-on", "{'runs':[" RUN("0", "128M") "],'next':4096M}", "0+128:om", NULL, 4096},
  {"two-answers", "{'runs':[" RUN("0", "128M") "],'next':128M}|{'runs':[" RUN("128M", "128M") "]}",
    "0+128:om 128+128:om", NULL, 0},
  {"no-runs", "{}", NULL, "runs", 0},
  {"runs-an-object", "{'runs':{}}", NULL, "runs", 0},
  {"run-a-number", "{'runs':[7]}", NULL, "runs", 0},
  {"run-null", "{'runs':[null]}", NULL, "runs", 0},
  {"no-start", "{'runs':[{'size':128M}]}", NULL, "start", 0},
  {"start-text", "{'runs':[{'start':'0','size':128M}]}", NULL, "start", 0},
  {"start-negative", "{'runs':[{'start':-128M,'size':128M}]}", NULL, "start", 0},
  {"no-size", "{'runs':[{'start':0}]}", NULL, "size", 0},
  {"size-0", "{'runs':[" RUN("0", "0") "]}", NULL, "runs", 0},
  {"unaligned-start", "{'runs':[" RUN("64M", "128M") "]}", NULL, "runs", 0},
  {"unaligned-size", "{'runs':[" RUN("0", "129M") "]}", NULL, "runs", 0},
  {"largest-size", "{'runs':[" RUN("0", "9223372036854775807") "]}", NULL, "runs", 0},
  {"overlapping", "{'runs':[" RUN("0", "256M") "," RUN("128M", "256M") "]}", NULL, "runs", 0},
  {"descending", "{'runs':[" RUN("128M", "128M") "," RUN("0", "128M") "]}", NULL, "runs", 0},
  {"twice", "{'runs':[" RUN("0", "128M") "," RUN("0", "128M") "]}", NULL, "runs", 0},
  {"back-in-the-second", "{'runs':[" RUN("128M", "128M") "],'next':256M}|{'runs':[" RUN("0", "128M") "]}", NULL, "runs",
    0},
  {"next-0", "{'runs':[" RUN("0", "128M") "],'next':0}", NULL, "next", 0},
  {"next-within", "{'runs':[" RUN("0", "256M") "],'next':128M}", NULL, "next", 0},
  {"next-negative", "{'runs':[" RUN("0", "128M") "],'next':-1}", NULL, "next", 0},
  {"next-text", "{'runs':[" RUN("0", "128M") "],'next':'128M'}", NULL, "next", 0},
  {"next-null", "{'runs':[" RUN("0", "128M") "],'next':null}", NULL, "next", 0},
  {"next-after-nothing", "{'runs':[],'next':128M}", NULL, "next", 0},
  {"next-after-nothing-new", "{'runs':[" RUN("0", "128M") "],'next':128M}|{'runs':[],'next':256M}", NULL, "next", 0},
};

static void test_runs(gconstpointer data) {
  const typeof(runs[0]) *c = data;
  g_autoptr(DmGuest) guest = dm_guest_new();
  g_autoptr(GError) error = NULL;
  guest->block = 128 * DM_MIB;
  uint64_t next = 0;
  g_auto(GStrv) answers = g_strsplit(c->answers, "|", -1);
  for (char **one = answers; *one != NULL; one++) {
    json_t *answer = json_from(*one);
    g_assert_no_error(error);
    g_assert_true(facts_take_runs(answer, guest, &next, &error) || one[1] == NULL);
    json_decref(answer);
  }
  if (c->wrong == NULL) {
    g_autofree char *expected = runs_text(guest->runs);
    g_assert_no_error(error);
    g_assert_cmpstr(expected, ==, c->expected);
    g_assert_cmpuint(next, ==, c->next * DM_MIB);
    g_assert_cmpint(guest->run_source, ==, DM_SOURCE_AGENT);
    return;
  }
  g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
  g_autofree char *expected = g_strdup_printf("'%s' is missing or wrong", c->wrong);
  g_assert_cmpstr(error->message, ==, expected);
}

/* Without a block size nothing can be aligned to it. */
static void test_runs_without_block(void) {
  g_autoptr(DmGuest) guest = dm_guest_new();
  g_autoptr(GError) error = NULL;
  json_t *answer = json_from("{'runs':[" RUN("0", "128M") "]}");
  uint64_t next;
  g_assert_false(facts_take_runs(answer, guest, &next, &error));
  json_decref(answer);
}

static void test_too_many_runs(void) {
  g_autoptr(DmGuest) guest = dm_guest_new();
  g_autoptr(GError) error = NULL;
  guest->block = DM_MIB;
  for (uint64_t i = 0; i <= FACTS_MAX_RUNS; i++) {
    uint64_t next;
    json_t *answer = json_pack("{s:[{s:I, s:I, s:s}]}", "runs", "start", (json_int_t)(i * 2 * DM_MIB), "size",
      (json_int_t)DM_MIB, "state", "online");
    g_assert_cmpint(facts_take_runs(answer, guest, &next, &error), ==, i < FACTS_MAX_RUNS);
    json_decref(answer);
  }
  g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
}

#define ADD(table, topic, test)                                                             \
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {                                         \
    g_autofree char *path = g_strconcat("/agents-facts/" topic "/", (table)[i].name, NULL); \
    g_test_add_data_func(path, &(table)[i], test);                                          \
  }

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  ADD(texts, "text", test_text)
  ADD(hellos, "hello", test_hello)
  ADD(memories, "memory", test_memory)
  ADD(runs, "runs", test_runs)
  g_test_add_func("/agents-facts/nodes", test_nodes);
  g_test_add_func("/agents-facts/text/long", test_long_text);
  g_test_add_func("/agents-facts/text/words-are-utf8", test_words_are_utf8);
  g_test_add_func("/agents-facts/runs/without-block", test_runs_without_block);
  g_test_add_func("/agents-facts/runs/too-many", test_too_many_runs);
  return g_test_run();
}
