/* SPDX-License-Identifier: Apache-2.0 */
/* A look into a guest, at a dimmer-guest that helps, errs, lies, stops to answer or goes. */
#include "agent_scene.h"

#include <string.h>

#include "base/error.h"

#define HELLO                                                                                             \
  "{'id':@,'ok':true,'version':1,'agent':'dimmer-guest 0.1','kernel':'6.1','boot':'b','block':134217728," \
  "'onlines':true}"
#define MEMORY "{'id':@,'ok':true,'total':1000000000,'available':800000000}"
#define RUN(start) "{'start':" start ",'size':134217728,'state':'online','zone':'movable'}"
#define BLOCKS "{'id':@,'ok':true,'runs':[" RUN("4294967296") "]}"

static void on_looked(GError *error, gpointer data) {
  char *message = error != NULL ? g_strdup(error->message) : NULL;
  gboolean failed = error != NULL;
  if (failed)
    g_assert_error(error, DM_ERROR, DM_ERROR_FAILED);
  g_clear_error(&error);
  scene_called(data, failed ? 'e' : 'l', message);
}

static void look(Scene *scene) {
  dm_agent_look(scene->agent, scene->guest, on_looked, scene);
}

/* What the guest says, | between the lines; the calls, and of the last one the error. */
static const struct {
  const char *name, *says, *heard, *error;
} looks[] = {
  {"whole", HELLO "|" MEMORY "|" BLOCKS, "l", NULL},
  {"two-answers", HELLO "|" MEMORY "|{'id':@,'ok':true,'runs':[" RUN("0") "],'next':4294967296}|" BLOCKS, "l", NULL},
  {"no-hot-plug", "{'id':@,'ok':true,'version':1,'agent':'a','kernel':'k','boot':'b','block':0}|" MEMORY, "l", NULL},
  {"goes-on-talking", HELLO "|" MEMORY "|" BLOCKS "|" BLOCKS "|{'id':@,'error':'stays'}", "l", NULL},
  {"error", "{'id':@,'error':'failed'}", "e", "could not answer"},
  {"neither-ok-nor-error", "{'id':@}", "e", "could not answer"},
  {"ok-that-is-not-true", "{'id':@,'ok':1}", "e", "could not answer"},
  {"error-of-memory", HELLO "|{'id':@,'error':'failed'}", "e", "could not answer"},
  {"error-of-blocks", HELLO "|" MEMORY "|{'id':@,'error':'failed'}", "e", "could not answer"},
  {"wrong-hello", "{'id':@,'ok':true,'version':7}", "e", "'version' is missing or wrong"},
  {"wrong-memory", HELLO "|{'id':@,'ok':true,'total':0,'available':0}", "e", "'available' is missing or wrong"},
  {"wrong-blocks", HELLO "|" MEMORY "|{'id':@,'ok':true,'runs':7}", "e", "'runs' is missing or wrong"},
  {"wrong-then-more", "{'id':@,'ok':true,'version':7}|" HELLO "|" MEMORY "|" BLOCKS, "e", "'version'"},
  {"block-size-anew", HELLO "|" MEMORY "|" HELLO, "e", "'runs' is missing or wrong"},
  /* Progress of what makes none is no answer, and no second one either. */
  {"progress", "{'id':@,'progress':true}|" HELLO "|" MEMORY "|" BLOCKS, "l", NULL},
  {"progress-with-all-of-it",
    "{'id':@,'progress':true,'ok':true,'version':1,'agent':'a','kernel':'k','boot':'b','block':0}|" HELLO "|" MEMORY
    "|" BLOCKS,
    "l", NULL},
  {"progress-with-an-error", "{'id':@,'progress':true,'error':'x'}|{'id':@,'progress':true,'error':'x'}|oops", "e",
    "not a JSON object"},
};

static void test_look(gconstpointer data) {
  const typeof(looks[0]) *c = data;
  Scene scene;
  scene_set_up(&scene);
  look(&scene);
  g_assert_cmpstr(scene.heard->str, ==, "");
  scene_say(&scene, c->says);
  scene_settle();
  g_assert_cmpstr(scene.heard->str, ==, c->heard);
  if (c->error != NULL)
    g_assert_nonnull(strstr(scene.last, c->error));
  else
    g_assert_cmpint(scene.guest->memory_source, ==, DM_SOURCE_AGENT);
  scene_tear_down(&scene);
}

/* What was asked for, and in which order. */
static void test_look_asks(void) {
  static const char *const expected[] = {"hello", "memory", "blocks"}, *const says[] = {HELLO, MEMORY, BLOCKS};
  Scene scene;
  scene_set_up(&scene);
  look(&scene);
  for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
    fake_channel_say(scene.channel, says[i]);
    g_assert_cmpstr(json_string_value(json_object_get(fake_channel_request(scene.channel), "do")), ==, expected[i]);
  }
  g_assert_cmpstr(scene.heard->str, ==, "l");
  g_assert_true(dm_agent_is_alive(scene.agent));
  g_assert_cmpuint(scene.guest->runs->len, ==, 1);
  scene_tear_down(&scene);
}

/* Silent from the start, or after so many answers. */
static void test_silent(gconstpointer data) {
  static const char *const says[] = {HELLO, MEMORY};
  Scene scene;
  scene_set_up(&scene);
  agent_set_patience(scene.agent, (AgentPatience){.answer = 0.02, .look = 60, .put_back = 0.02});
  look(&scene);
  for (int i = 0; i < GPOINTER_TO_INT(data); i++)
    fake_channel_say(scene.channel, says[i]);
  scene_wait_for_calls(&scene, 1);
  g_assert_cmpstr(scene.heard->str, ==, "e");
  g_assert_nonnull(strstr(scene.last, "did not answer within 0.02 s"));
  g_assert_false(dm_agent_is_alive(scene.agent));
  scene_tear_down(&scene);
}

/* One block at a time, for ever: each answer in time, all of them are not. */
static void test_slow(void) {
  Scene scene;
  scene_set_up(&scene);
  agent_set_patience(scene.agent, (AgentPatience){.answer = 60, .look = 0.05, .put_back = 60});
  look(&scene);
  fake_channel_say(scene.channel, HELLO);
  fake_channel_say(scene.channel, MEMORY);
  for (guint64 i = 0; !fake_channel_is_closed(scene.channel); i++) {
    g_autofree char *runs = g_strdup_printf("{'id':@,'ok':true,'runs':[{'start':%" G_GUINT64_FORMAT
                                            ",'size':134217728}],'next':%" G_GUINT64_FORMAT "}",
      i << 27, (i + 1) << 27);
    fake_channel_say(scene.channel, runs);
    scene_settle();
  }
  scene_settle();
  g_assert_cmpstr(scene.heard->str, ==, "e");
  g_assert_nonnull(strstr(scene.last, "did not report everything within 0.05 s"));
  scene_tear_down(&scene);
}

/* The channel ends before anything was said, and after each answer. */
static void test_gone_in_a_look(gconstpointer data) {
  static const char *const says[] = {HELLO, MEMORY, BLOCKS};
  int count = GPOINTER_TO_INT(data);
  Scene scene;
  scene_set_up(&scene);
  look(&scene);
  for (int i = 0; i < count; i++)
    fake_channel_say(scene.channel, says[i]);
  fake_channel_end(scene.channel);
  scene_settle();
  g_assert_cmpstr(scene.heard->str, ==, count == 3 ? "l" : "e");
  g_assert_false(dm_agent_is_alive(scene.agent));
  scene_tear_down(&scene);
}

static void test_look_after_the_end(void) {
  Scene scene;
  scene_set_up(&scene);
  fake_channel_end(scene.channel);
  look(&scene);
  scene_settle();
  g_assert_cmpstr(scene.heard->str, ==, "e");
  g_assert_cmpstr(scene.last, ==, "dimmer-guest has gone");
  scene_tear_down(&scene);
}

/* look.c frees it in the call, whatever the outcome. */
static void test_free_in_looked(gconstpointer data) {
  Scene scene;
  scene_set_up(&scene);
  scene.free_on = TRUE;
  look(&scene);
  scene_say(&scene, data);
  fake_channel_end(scene.channel);
  scene_settle();
  g_assert_cmpuint(scene.heard->len, ==, 1);
  g_assert_null(scene.agent);
  scene_tear_down(&scene);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(looks); i++) {
    g_autofree char *path = g_strconcat("/agents-look/", looks[i].name, NULL);
    g_test_add_data_func(path, &looks[i], test_look);
  }
  g_test_add_func("/agents-look/asks", test_look_asks);
  g_test_add_func("/agents-look/slow", test_slow);
  g_test_add_func("/agents-look/after-the-end", test_look_after_the_end);
  for (int i = 0; i < 3; i++) {
    g_autofree char *path = g_strdup_printf("/agents-look/silent-after-%d", i);
    g_test_add_data_func(path, GINT_TO_POINTER(i), test_silent);
  }
  for (int i = 0; i < 4; i++) {
    g_autofree char *path = g_strdup_printf("/agents-look/gone-after-%d", i);
    g_test_add_data_func(path, GINT_TO_POINTER(i), test_gone_in_a_look);
  }
  g_test_add_data_func("/agents-look/free-in-good", HELLO "|" MEMORY "|" BLOCKS, test_free_in_looked);
  g_test_add_data_func("/agents-look/free-in-wrong", "{'id':@,'ok':true}", test_free_in_looked);
  g_test_add_data_func("/agents-look/free-in-error", "{'id':@,'error':'x'}", test_free_in_looked);
  g_test_add_data_func("/agents-look/free-in-gone", "", test_free_in_looked);
  return g_test_run();
}
