/* SPDX-License-Identifier: Apache-2.0 */
/* Work in a guest, by a dimmer-guest that helps, errs, lies, stops to answer or goes. */
#include "agent_scene.h"

#include "base/size.h"

static void on_progress(uint64_t done, uint64_t of, gpointer data) {
  scene_called(data, 'p', g_strdup_printf("%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, done, of));
}

static void work(Scene *scene, DmAgentWork what, double timeout);

static void on_done(const DmAgentAnswer *answer, gpointer data) {
  Scene *scene = data;
  g_assert_true(answer->ok || answer->detail != NULL);
  g_assert_true(answer->ok + answer->silent + (answer->code != NULL) == 1);
  g_assert_cmpuint(answer->done, <=, answer->of);
  scene_called(scene, 'd',
    answer->silent ? g_strdup_printf("silent: %s", answer->detail)
                   : g_strdup_printf("%s: %s, %" G_GUINT64_FORMAT " %s %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT,
                       answer->why != NULL ? answer->why
                         : answer->ok      ? "ok"
                                           : answer->code,
                       answer->detail != NULL ? answer->detail : "-", answer->block,
                       answer->restored ? "restored" : "not", answer->done, answer->of));
  if (scene->work_on > 0 && scene->work_on-- > 0)
    work(scene, DM_AGENT_ONLINE, 60);
}

static void work(Scene *scene, DmAgentWork what, double timeout) {
  dm_agent_work(scene->agent, what, 4096 * DM_MIB, 256 * DM_MIB, 90, timeout, on_progress, on_done, scene);
}

/* What the guest says, | between the lines; the calls, and what the last one was about. */
static const struct {
  const char *name, *says, *heard, *last;
} works[] = {
  {"ok", "{'id':@,'ok':true}", "d", "ok: -, 0 restored 0/0"},
  {"progress", "{'id':@,'progress':true,'done':1,'of':2,'start':5}|{'id':@,'progress':true,'done':2,'of':2}", "pp",
    "2/2"},
  {"movable", "{'id':@,'ok':true,'done':1,'of':2}", "d", "ok: -, 0 restored 1/2"},
  {"movable-why", "{'id':@,'ok':true,'done':1,'of':2,'start':5,'why':'memory','detail':'x'}", "d",
    "memory: x, 0 restored 1/2"},
  {"movable-why-of-nothing", "{'id':@,'ok':true,'done':2,'of':2,'why':'memory','detail':'x'}", "d",
    "ok: -, 0 restored 2/2"},
  {"movable-why-without-words", "{'id':@,'ok':true,'done':1,'of':2,'why':'memory'}", "d", "ok: -, 0 restored 1/2"},
  {"movable-hostile-why", "{'id':@,'ok':true,'done':1,'of':2,'why':'a\\nb','detail':'x'}", "d",
    "ok: -, 0 restored 1/2"},
  {"more-than-all", "{'id':@,'ok':true,'done':7,'of':2}", "d", "ok: -, 0 restored 2/2"},
  {"negative", "{'id':@,'ok':true,'done':-7,'of':-2}", "d", "ok: -, 0 restored 0/0"},
  {"odd-progress",
    "{'id':@,'progress':true}|{'id':@,'progress':true,'done':'1','of':'2'}|{'id':@,'progress':true,'done':3,'of':-1}",
    "", NULL},
  {"too-much-progress", "{'id':@,'progress':true,'done':9223372036854775807,'of':2}", "p", "2/2"},
  {"stays", "{'id':@,'error':'stays','start':4294967296,'detail':'busy pages','restored':true}", "d",
    "stays: busy pages, 4294967296 restored 0/0"},
  {"not-restored", "{'id':@,'error':'stays','start':4294967296,'detail':'x','restored':false}", "d",
    "stays: x, 4294967296 not 0/0"},
  {"bare-error", "{'id':@,'error':'busy'}", "d", "busy: it gave no reason, 0 restored 0/0"},
  {"no-error-either", "{'id':@}", "d", "failed: it gave no reason, 0 restored 0/0"},
  {"error-of-wrong-types", "{'id':@,'error':7,'detail':[],'start':'0','restored':'yes'}", "d",
    "failed: it gave no reason, 0 not 0/0"},
  {"hostile-words", "{'id':@,'error':'\\u001b[2J','detail':'a\\nb'}", "d", "failed: it gave no reason, 0 restored 0/0"},
  {"unknown-code", "{'id':@,'error':'meltdown','detail':'x'}", "d", "meltdown: x, 0 restored 0/0"},
  {"doubled", "{'id':@,'ok':true}|{'id':@,'error':'stays'}|{'id':@,'progress':true,'done':1,'of':2}", "d",
    "ok: -, 0 restored 0/0"},
  {"another-id", "{'id':1,'ok':true}|{'id':0,'error':'bad-request'}", "", NULL},
  {"nonsense", "{'id':@,'progress':true,'done':1,'of':2}|oops", "pd", NULL},
};

static void test_work(gconstpointer data) {
  const typeof(works[0]) *c = data;
  Scene scene;
  scene_set_up(&scene);
  work(&scene, DM_AGENT_OFFLINE, 60);
  scene_say(&scene, c->says);
  scene_settle();
  g_assert_cmpstr(scene.heard->str, ==, c->heard);
  if (c->last != NULL)
    g_assert_cmpstr(scene.last, ==, c->last);
  scene_tear_down(&scene);
}

static void test_work_asks(void) {
  static const struct {
    DmAgentWork work;
    const char *request;
  } asks[] = {
    {DM_AGENT_OFFLINE, "{'do':'offline','start':4294967296,'size':268435456,'hold':90,"},
    {DM_AGENT_OFFLINE_ANY, "{'do':'offline','start':4294967296,'size':268435456,'hold':90,'kernel_too':true,"},
    {DM_AGENT_ONLINE, "{'do':'online','start':4294967296,'size':268435456,"},
    {DM_AGENT_MOVABLE, "{'do':'movable','start':4294967296,'size':268435456,"},
  };
  Scene scene;
  scene_set_up(&scene);
  g_free(fake_channel_hear(scene.channel)); /* the end of line for others */
  for (gsize i = 0; i < G_N_ELEMENTS(asks); i++) {
    work(&scene, asks[i].work, 60);
    g_autofree char *line = fake_channel_hear(scene.channel), *request = g_strdelimit(g_strdup(line), "\"", '\'');
    g_assert_true(g_str_has_prefix(request, asks[i].request));
    fake_channel_say(scene.channel, "{'id':@,'ok':true}");
  }
  g_assert_cmpstr(scene.heard->str, ==, "dddd");
  scene_tear_down(&scene);
}

/* Says @line in answer to the work, as its cancelling has an id of its own. */
static void say_to(Scene *scene, guint id, const char *text) {
  g_autofree char *line = g_strdup_printf("{'id':%u,%s}", id, text);
  fake_channel_say(scene->channel, line);
}

static guint heard_id(Scene *scene, const char *what) {
  for (char *line; (line = fake_channel_hear(scene->channel)) != NULL;)
    g_free(line);
  const json_t *request = fake_channel_request(scene->channel);
  g_assert_cmpstr(json_string_value(json_object_get(request, "do")), ==, what);
  return (guint)json_integer_value(json_object_get(request, "id"));
}

/* By hand, or because the time is over; once, however often. */
static void test_cancel(gconstpointer data) {
  gboolean by_time = GPOINTER_TO_INT(data);
  Scene scene;
  scene_set_up(&scene);
  work(&scene, DM_AGENT_OFFLINE, by_time ? 0.02 : 60);
  guint id = heard_id(&scene, "offline");
  if (!by_time)
    dm_agent_cancel(scene.agent);
  g_autofree char *line = NULL;
  while ((line = fake_channel_hear(scene.channel)) == NULL)
    g_main_context_iteration(NULL, TRUE);
  guint cancel = heard_id(&scene, "cancel");
  g_assert_cmpint(json_integer_value(json_object_get(fake_channel_request(scene.channel), "of")), ==, id);
  dm_agent_cancel(scene.agent);
  g_assert_null(fake_channel_hear(scene.channel));
  say_to(&scene, id, "'error':'cancelled','detail':'as asked','restored':true");
  say_to(&scene, cancel, "'ok':true");
  g_assert_cmpstr(scene.heard->str, ==, "d");
  g_assert_cmpstr(scene.last, ==, "cancelled: as asked, 0 restored 0/0");
  dm_agent_cancel(scene.agent); /* of nothing */
  g_assert_null(fake_channel_hear(scene.channel));
  g_assert_true(dm_agent_is_alive(scene.agent));
  scene_tear_down(&scene);
}

/* A guest that does not put back in time, or not answer the cancel, counts as gone. */
static void test_cancel_unanswered(gconstpointer data) {
  Scene scene;
  scene_set_up(&scene);
  agent_set_patience(scene.agent, (AgentPatience){.answer = 60, .look = 60, .put_back = 0.02});
  work(&scene, DM_AGENT_OFFLINE, 0.02);
  guint id = heard_id(&scene, "offline");
  if (GPOINTER_TO_INT(data)) {
    dm_agent_cancel(scene.agent);
    say_to(&scene, id, "'ok':true");
    while (dm_agent_is_alive(scene.agent))
      g_main_context_iteration(NULL, TRUE);
    g_assert_cmpstr(scene.last, ==, "ok: -, 0 restored 0/0");
  } else {
    scene_wait_for_calls(&scene, 1);
    g_assert_true(g_str_has_prefix(scene.last, "silent: dimmer-guest did not answer within 0.0"));
  }
  scene_settle();
  g_assert_cmpstr(scene.heard->str, ==, "d");
  scene_tear_down(&scene);
}

/* While it works it is asked for a sign of life. One that was started anew does not know the work; or it is let go. */
static void test_sign_of_life(gconstpointer restarted) {
  Scene scene;
  scene_set_up(&scene);
  agent_set_patience(scene.agent, (AgentPatience){.answer = 60, .look = 60, .put_back = 60, .alive = 60});
  work(&scene, DM_AGENT_OFFLINE, 60);
  heard_id(&scene, "offline");
  g_autofree char *line = NULL;
  while ((line = fake_channel_hear(scene.channel)) == NULL)
    g_main_context_iteration(NULL, TRUE);
  guint sign = heard_id(&scene, "memory");
  if (restarted != NULL) {
    say_to(&scene, sign, "'error':'bad-request','detail':'a conversation begins with hello'");
    scene_settle();
    g_assert_cmpstr(scene.heard->str, ==, "d");
    g_assert_cmpstr(scene.last, ==, "silent: dimmer-guest restarted during its work");
    g_assert_false(dm_agent_is_alive(scene.agent));
  }
  scene_tear_down(&scene);
}

static void test_gone_in_work(gconstpointer data) {
  int state = GPOINTER_TO_INT(data);
  Scene scene;
  scene_set_up(&scene);
  if (state == 0)
    fake_channel_end(scene.channel);
  work(&scene, DM_AGENT_OFFLINE, 60);
  if (state >= 2)
    fake_channel_say(scene.channel, "{'id':@,'progress':true,'done':1,'of':2}");
  if (state >= 3)
    dm_agent_cancel(scene.agent);
  fake_channel_end(scene.channel);
  scene_settle();
  g_assert_cmpstr(scene.heard->str, ==, state >= 2 ? "pd" : "d");
  g_assert_cmpstr(scene.last, ==, "silent: dimmer-guest has gone");
  dm_agent_cancel(scene.agent);
  scene_settle();
  scene_tear_down(&scene);
}

static void test_free_in_work(gconstpointer data) {
  Scene scene;
  scene_set_up(&scene);
  scene.free_on = TRUE;
  work(&scene, DM_AGENT_OFFLINE, 60);
  if (data != NULL)
    fake_channel_say(scene.channel, data);
  else
    fake_channel_end(scene.channel);
  scene_settle();
  g_assert_cmpuint(scene.heard->len, ==, 1);
  g_assert_null(scene.agent);
  scene_tear_down(&scene);
}

/* Freed while its timers run: they do not fire any more. */
static void test_free_with_timers(void) {
  Scene scene;
  scene_set_up(&scene);
  work(&scene, DM_AGENT_OFFLINE, 0.01);
  dm_agent_cancel(scene.agent);
  g_clear_pointer(&scene.agent, dm_agent_free);
  GMainLoop *loop = g_main_loop_new(NULL, FALSE);
  g_timeout_add(30, G_SOURCE_FUNC(g_main_loop_quit), loop);
  g_main_loop_run(loop);
  g_main_loop_unref(loop);
  g_assert_cmpstr(scene.heard->str, ==, "");
  scene_tear_down(&scene);
}

/* prepare.c begins the next from within the last one's answer. */
static void test_one_after_the_other(void) {
  Scene scene;
  scene_set_up(&scene);
  scene.work_on = 2;
  work(&scene, DM_AGENT_OFFLINE, 60);
  for (guint i = 0; i < 3; i++)
    fake_channel_say(scene.channel, "{'id':@,'ok':true}");
  g_assert_cmpstr(scene.heard->str, ==, "ddd");
  scene_tear_down(&scene);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(works); i++) {
    g_autofree char *path = g_strconcat("/agents-work/", works[i].name, NULL);
    g_test_add_data_func(path, &works[i], test_work);
  }
  g_test_add_func("/agents-work/asks", test_work_asks);
  g_test_add_data_func("/agents-work/cancel", GINT_TO_POINTER(FALSE), test_cancel);
  g_test_add_data_func("/agents-work/deadline", GINT_TO_POINTER(TRUE), test_cancel);
  g_test_add_data_func("/agents-work/never-ends", GINT_TO_POINTER(FALSE), test_cancel_unanswered);
  g_test_add_data_func("/agents-work/cancel-unanswered", GINT_TO_POINTER(TRUE), test_cancel_unanswered);
  for (int i = 0; i < 4; i++) {
    g_autofree char *path = g_strdup_printf("/agents-work/gone-in-state-%d", i);
    g_test_add_data_func(path, GINT_TO_POINTER(i), test_gone_in_work);
  }
  g_test_add_data_func("/agents-work/free-in-progress", "{'id':@,'progress':true,'done':1,'of':2}", test_free_in_work);
  g_test_add_data_func("/agents-work/free-in-ok", "{'id':@,'ok':true}", test_free_in_work);
  g_test_add_data_func("/agents-work/free-in-error", "{'id':@,'error':'stays','detail':'x'}", test_free_in_work);
  g_test_add_data_func("/agents-work/free-in-gone", NULL, test_free_in_work);
  g_test_add_func("/agents-work/free-with-timers", test_free_with_timers);
  g_test_add_func("/agents-work/one-after-the-other", test_one_after_the_other);
  g_test_add_data_func("/agents-work/sign-of-life/restarted", "", test_sign_of_life);
  g_test_add_data_func("/agents-work/sign-of-life/let-go", NULL, test_sign_of_life);
  return g_test_run();
}
