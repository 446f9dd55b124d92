/* SPDX-License-Identifier: Apache-2.0 */
/* The lines to and from dimmer-guest, against one that keeps to the protocol and against one that does not. */
#include "conversation.h"

#include <string.h>

#include "fake_channel.h"

typedef struct {
  DmChannel *channel;
  Conversation *conversation;
  GString *heard;   /* a letter for each call: p progress, a answer, t trouble */
  char *trouble;    /* the last one */
  gboolean free_on; /* a call frees the conversation */
  guint ask_on;     /* so many calls ask once more */
} Scene;

static json_t *request(void) {
  return json_pack("{s:s}", "do", "hello");
}

static void on_answer(const json_t *answer, gboolean last, const char *trouble, gpointer data) {
  Scene *scene = data;
  g_assert_true((answer == NULL) == (trouble != NULL));
  g_assert_true(answer != NULL || last);
  g_string_append_c(scene->heard, answer == NULL ? 't' : last ? 'a' : 'p');
  if (trouble != NULL) {
    g_free(scene->trouble);
    scene->trouble = g_strdup(trouble);
  }
  if (scene->free_on)
    g_clear_pointer(&scene->conversation, conversation_free);
  else if (scene->ask_on > 0 && scene->ask_on-- > 0)
    conversation_ask(scene->conversation, request(), 60, on_answer, scene);
}

static void set_up(Scene *scene) {
  *scene = (Scene){.channel = fake_channel_new(), .heard = g_string_new(NULL)};
  scene->conversation = conversation_new(scene->channel);
}

static void settle(void) {
  while (g_main_context_iteration(NULL, FALSE))
    ;
}

static void tear_down(Scene *scene) {
  settle();
  conversation_free(scene->conversation);
  settle();
  g_assert_true(fake_channel_is_closed(scene->channel));
  fake_channel_free(scene->channel);
  g_string_free(scene->heard, TRUE);
  g_free(scene->trouble);
}

static guint ask(Scene *scene) {
  return conversation_ask(scene->conversation, request(), 60, on_answer, scene);
}

/*
 * Two questions are open; then the guest says these lines, | between them. @heard: the calls, those after a settled
 * main loop included. @trouble: NULL, the conversation stands.
 */
static const struct {
  const char *name, *says, *heard, *trouble;
} lines[] = {
  {"answer", "{'id':@,'ok':true}", "a", NULL},
  {"error", "{'id':@,'error':'busy'}", "a", NULL},
  {"progress", "{'id':@,'progress':true}|{'id':@,'progress':true}|{'id':@,'ok':true}", "ppa", NULL},
  {"progress-that-is-not-true", "{'id':@,'progress':1}", "a", NULL},
  {"doubled", "{'id':@,'ok':true}|{'id':@,'ok':true}", "a", NULL},
  {"progress-after-the-end", "{'id':@,'ok':true}|{'id':@,'progress':true}", "a", NULL},
  {"another-id", "{'id':0,'ok':true}|{'id':9223372036854775807}|{'id':-1}|{'id':4294967295}", "", NULL},
  {"empty-lines", "||{'id':@}", "a", NULL},
  {"unknown-members", "{'id':@,'x':{'y':[1,2.5,null]}}", "a", NULL},
  {"no-id", "{'id':@}|{'ok':true}", "at", "an answer has no id"},
  {"id-of-a-wrong-type", "{'id':@}|{'id':'@','ok':true}", "at", "an answer has no id"},
  {"id-with-a-fraction", "{'id':@}|{'id':1.0}", "at", "an answer has no id"},
  {"id-above-64-bits", "{'id':@}|{'id':9223372036854775808}", "at", "not a JSON object"},
  {"twice-the-same-member", "{'id':@}|{'id':@,'id':@}", "at", "not a JSON object"},
  {"an-array", "{'id':@}|[]", "at", "not a JSON object"},
  {"no-json", "{'id':@}|oops", "at", "not a JSON object"},
  {"two-in-a-line", "{'id':@}|{}{}", "at", "not a JSON object"},
  {"not-utf8", "{'id':@}|{'id':'\xff'}", "at", "not a JSON object"},
  {"nothing-after-the-end", "{'id':@}|oops|{'id':@}|{'id':@}", "at", "not a JSON object"},
  /* Meant for another host: the rest of a line, and answers. */
  {"left-over", "':1}]}|{'ok':true}|{'id':@,'ok':true}", "a", NULL},
};

static void test_lines(gconstpointer data) {
  const typeof(lines[0]) *c = data;
  Scene scene;
  set_up(&scene);
  ask(&scene);
  ask(&scene);
  g_auto(GStrv) says = g_strsplit(c->says, "|", -1);
  for (char **line = says; *line != NULL; line++)
    fake_channel_say(scene.channel, *line);
  settle();
  g_assert_cmpstr(scene.heard->str, ==, c->heard);
  g_assert_cmpint(fake_channel_is_closed(scene.channel), ==, c->trouble != NULL);
  if (c->trouble == NULL)
    g_assert_null(conversation_trouble(scene.conversation));
  else
    g_assert_nonnull(strstr(scene.trouble, c->trouble));
  tear_down(&scene);
}

/* What is sent: an end of line for what another host left, then a line for each request. */
static void test_sends(void) {
  Scene scene;
  set_up(&scene);
  guint first = ask(&scene), second = ask(&scene);
  g_assert_cmpuint(first, >, 0);
  g_assert_cmpuint(second, ==, first + 1);
  g_autofree char *blank = fake_channel_hear(scene.channel), *line = fake_channel_hear(scene.channel);
  g_assert_cmpstr(blank, ==, "");
  g_autofree char *expected = g_strdup_printf("{\"do\":\"hello\",\"id\":%u}", first);
  g_assert_cmpstr(line, ==, expected);
  tear_down(&scene);
}

/* However it is cut: byte by byte, and two lines in one piece. */
static void test_pieces(void) {
  Scene scene;
  set_up(&scene);
  guint id = ask(&scene);
  g_autofree char *line = g_strdup_printf("{\"id\":%u,\"progress\":true}\n{\"id\":%u,\"ok\":true}\n", id, id);
  for (const char *at = line; *at != '\0'; at++)
    fake_channel_say_bytes(scene.channel, at, 1);
  g_assert_cmpstr(scene.heard->str, ==, "pa");
  id = ask(&scene);
  g_autofree char *again = g_strdup_printf("{\"id\":%u,\"progress\":true}\n{\"id\":%u,\"ok\":true}\n{", id, id);
  fake_channel_say_bytes(scene.channel, again, strlen(again));
  g_assert_cmpstr(scene.heard->str, ==, "papa");
  tear_down(&scene);
}

/* A line of @length bytes, its end included, that answers. */
static char *long_line(guint id, gsize length) {
  g_autofree char *start = g_strdup_printf("{\"id\":%u,\"x\":\"", id);
  GString *line = g_string_new(start);
  while (line->len < length - 3)
    g_string_append_c(line, 'x');
  g_string_append(line, "\"}\n");
  return g_string_free(line, FALSE);
}

static void test_longest_line(void) {
  Scene scene;
  set_up(&scene);
  g_autofree char *fits = long_line(ask(&scene), 65536);
  g_assert_true(fake_channel_say_bytes(scene.channel, fits, 65536));
  g_assert_cmpstr(scene.heard->str, ==, "a");
  g_autofree char *more = long_line(ask(&scene), 65537);
  g_assert_true(fake_channel_say_bytes(scene.channel, more, 65537));
  settle();
  g_assert_cmpstr(scene.heard->str, ==, "at");
  g_assert_nonnull(strstr(scene.trouble, "65536"));
  tear_down(&scene);
}

/* A line that never ends does not gather here. */
static void test_endless_line(void) {
  Scene scene;
  set_up(&scene);
  ask(&scene);
  static const char piece[1000] = {' '};
  guint pieces = 0;
  while (fake_channel_say_bytes(scene.channel, piece, sizeof piece))
    pieces++;
  g_assert_cmpuint(pieces, ==, 66);
  settle();
  g_assert_cmpstr(scene.heard->str, ==, "t");
  tear_down(&scene);
}

/* Whatever it floods with: progress, answers to unknown requests, empty lines. At most 1 MiB, and then it is over. */
static void test_flood(gconstpointer data) {
  const char *line = data;
  Scene scene;
  set_up(&scene);
  ask(&scene);
  gsize said = 0;
  while (fake_channel_say(scene.channel, line)) {
    said += strlen(line);
    g_assert_cmpuint(said, <=, 1024 * 1024);
  }
  g_assert_cmpuint(scene.heard->len, <, 1024 * 1024 / 20);
  settle();
  g_assert_true(g_str_has_suffix(scene.heard->str, "t"));
  g_assert_nonnull(strstr(scene.trouble, "more than 1 MiB"));
  tear_down(&scene);
}

/* But each request may have as much. */
static void test_much(void) {
  Scene scene;
  set_up(&scene);
  for (guint i = 0; i < 40; i++) {
    g_autofree char *line = long_line(ask(&scene), 60000);
    g_assert_true(fake_channel_say_bytes(scene.channel, line, 60000));
  }
  g_assert_cmpuint(scene.heard->len, ==, 40);
  g_assert_null(conversation_trouble(scene.conversation));
  tear_down(&scene);
}

/* Silence ends it for everybody who waits; progress is no answer. */
static void test_deadline(void) {
  Scene scene;
  set_up(&scene);
  ask(&scene);
  conversation_ask(scene.conversation, request(), 0.02, on_answer, &scene);
  fake_channel_say(scene.channel, "{'id':@,'progress':true}");
  while (scene.heard->len < 3)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpstr(scene.heard->str, ==, "ptt");
  g_assert_cmpstr(scene.trouble, ==, "dimmer-guest did not answer within 0.02 s");
  g_assert_true(fake_channel_is_closed(scene.channel));
  tear_down(&scene);
}

static void test_longest_deadline(void) {
  g_assert_cmpuint(conversation_milliseconds(3), ==, 3000);
  g_assert_cmpuint(conversation_milliseconds(0), ==, 0);
  g_assert_cmpuint(conversation_milliseconds(-1), ==, 0);
  g_assert_cmpuint(conversation_milliseconds(1e300), ==, G_MAXUINT);
}

/* A question after the end gets the reason too, and not from within the call that asks. */
static void test_ask_after_the_end(void) {
  Scene scene;
  set_up(&scene);
  fake_channel_end(scene.channel);
  g_assert_cmpstr(conversation_trouble(scene.conversation), ==, "dimmer-guest has gone");
  ask(&scene);
  g_assert_cmpstr(scene.heard->str, ==, "");
  settle();
  g_assert_cmpstr(scene.heard->str, ==, "t");
  g_assert_cmpstr(scene.trouble, ==, "dimmer-guest has gone");
  tear_down(&scene);
}

/* The channel ends while it is started, or in the middle of a sending. */
static void test_fails(gconstpointer data) {
  gboolean at_once = GPOINTER_TO_INT(data);
  Scene scene = {.channel = fake_channel_new(), .heard = g_string_new(NULL)};
  if (at_once)
    fake_channel_fail_next(scene.channel);
  scene.conversation = conversation_new(scene.channel);
  if (!at_once)
    fake_channel_fail_next(scene.channel);
  ask(&scene);
  g_assert_cmpstr(scene.heard->str, ==, "");
  settle();
  g_assert_cmpstr(scene.heard->str, ==, "t");
  tear_down(&scene);
}

/* Who breaks it off in the middle of an answer hears no more of it, and the first reason stays. */
static void test_break(void) {
  Scene scene;
  set_up(&scene);
  ask(&scene);
  conversation_break(scene.conversation, "first %d", 1);
  conversation_break(scene.conversation, "second");
  g_assert_false(fake_channel_say(scene.channel, "{'id':@}"));
  g_assert_cmpstr(scene.heard->str, ==, "");
  settle();
  g_assert_cmpstr(scene.heard->str, ==, "t");
  g_assert_cmpstr(scene.trouble, ==, "first 1");
  tear_down(&scene);
}

/* In each kind of call: nothing is called after it, not even for a second question or a second line. */
static void test_free_in_a_call(gconstpointer data) {
  const char *says = data;
  Scene scene;
  set_up(&scene);
  scene.free_on = TRUE;
  ask(&scene);
  guint id = ask(&scene);
  if (says == NULL) {
    fake_channel_end(scene.channel);
  } else {
    g_autofree char *line = g_strdup_printf("{\"id\":%u,%s}\n{\"id\":%u}\n", id, says, id - 1);
    fake_channel_say_bytes(scene.channel, line, strlen(line));
  }
  settle();
  g_assert_cmpuint(scene.heard->len, ==, 1);
  g_assert_null(scene.conversation);
  tear_down(&scene);
}

/* Freed with questions open, or just before their trouble would be reported: no callback runs. */
static void test_free(gconstpointer data) {
  Scene scene;
  set_up(&scene);
  ask(&scene);
  if (GPOINTER_TO_INT(data))
    fake_channel_end(scene.channel);
  g_clear_pointer(&scene.conversation, conversation_free);
  settle();
  g_assert_cmpstr(scene.heard->str, ==, "");
  tear_down(&scene);
}

/* A call asks again: after an answer, and while trouble is reported. */
static void test_ask_in_a_call(gconstpointer data) {
  gboolean trouble = GPOINTER_TO_INT(data);
  Scene scene;
  set_up(&scene);
  scene.ask_on = 2;
  ask(&scene);
  for (guint i = 0; i < 3; i++) {
    if (trouble)
      fake_channel_end(scene.channel);
    else
      fake_channel_say(scene.channel, "{'id':@}");
  }
  settle();
  g_assert_cmpstr(scene.heard->str, ==, trouble ? "ttt" : "aaa");
  tear_down(&scene);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
    g_autofree char *path = g_strconcat("/agents-conversation/lines/", lines[i].name, NULL);
    g_test_add_data_func(path, &lines[i], test_lines);
  }
  g_test_add_func("/agents-conversation/sends", test_sends);
  g_test_add_func("/agents-conversation/pieces", test_pieces);
  g_test_add_func("/agents-conversation/longest-line", test_longest_line);
  g_test_add_func("/agents-conversation/endless-line", test_endless_line);
  g_test_add_data_func("/agents-conversation/flood/progress", "{'id':@,'progress':true}", test_flood);
  g_test_add_data_func("/agents-conversation/flood/no-request", "{'id':0,'ok':true}", test_flood);
  g_test_add_data_func("/agents-conversation/flood/empty", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", test_flood);
  g_test_add_data_func("/agents-conversation/flood/nonsense", "oops", test_flood);
  g_test_add_func("/agents-conversation/much", test_much);
  g_test_add_func("/agents-conversation/deadline", test_deadline);
  g_test_add_func("/agents-conversation/longest-deadline", test_longest_deadline);
  g_test_add_func("/agents-conversation/ask-after-the-end", test_ask_after_the_end);
  g_test_add_data_func("/agents-conversation/fails/at-once", GINT_TO_POINTER(TRUE), test_fails);
  g_test_add_data_func("/agents-conversation/fails/later", GINT_TO_POINTER(FALSE), test_fails);
  g_test_add_func("/agents-conversation/break", test_break);
  g_test_add_data_func("/agents-conversation/free-in/progress", "\"progress\":true", test_free_in_a_call);
  g_test_add_data_func("/agents-conversation/free-in/answer", "\"ok\":true", test_free_in_a_call);
  g_test_add_data_func("/agents-conversation/free-in/trouble", NULL, test_free_in_a_call);
  g_test_add_data_func("/agents-conversation/free/open", GINT_TO_POINTER(FALSE), test_free);
  g_test_add_data_func("/agents-conversation/free/in-trouble", GINT_TO_POINTER(TRUE), test_free);
  g_test_add_data_func("/agents-conversation/ask-in/answer", GINT_TO_POINTER(FALSE), test_ask_in_a_call);
  g_test_add_data_func("/agents-conversation/ask-in/trouble", GINT_TO_POINTER(TRUE), test_ask_in_a_call);
  return g_test_run();
}
