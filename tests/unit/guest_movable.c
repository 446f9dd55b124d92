/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a guest whose dimmer-guest made its memory movable, or did not. */
#include "agent_scene.h"

#include <string.h>

#include "guest/prepare.h"
#include "guest_notation.h"
#include "notation.h"

#define STAYS "(256 MiB) stays as it is"
#define BY_ONE STAYS " by 1 of 2 memory blocks: "
#define ANSWER "{'id':@,'ok':true,'done':1,'of':2,'start':4294967296,"
/* What the guest answers, a part of the sentence that it makes, and the word of a reboot in it. */
static const struct {
  const char *name, *says, *did, *left, *reboot, *kernel;
} answers[] = {
  {"all", "{'id':@,'ok':true,'done':2,'of':2}", "(256 MiB) movable", NULL},
  {"kernel", ANSWER "'why':'kernel','detail':'memory32: kernel pages'}", NULL,
    BY_ONE "memory32: kernel pages; a reboot", "memhp_default_state=online_movable "},
  {"kernel-5.6", ANSWER "'why':'kernel','detail':'memory32: kernel pages'}", NULL,
    BY_ONE "memory32: kernel pages; a reboot", "movable_node ", "5.6.19"},
  {"kernel-4.12", ANSWER "'why':'kernel','detail':'memory32: kernel pages'}", NULL,
    BY_ONE "memory32: kernel pages; a reboot", "memhp_default_state=offline ", "4.12.14"},
  {"memory", ANSWER "'why':'memory','detail':'memory32: no room'}", NULL,
    BY_ONE "memory32: no room; end programs in the guest that use memory"},
  {"in-use", ANSWER "'why':'in-use','detail':'memory32: in use'}", NULL,
    BY_ONE "memory32: in use; prepare it again when"},
  {"other", ANSWER "'why':'other','detail':'memory32: it is so'}", NULL, BY_ONE "memory32: it is so"},
  {"not-told", "{'id':@,'ok':true,'done':1,'of':2}", NULL, BY_ONE "the guest did not tell why"},
  {"time-is-over", "{'id':@,'error':'cancelled','detail':'as the host wished'}", NULL,
    "(256 MiB) is not movable throughout: within 60 seconds the guest could not move what is in it; end"},
  {"busy", "{'id':@,'error':'busy','detail':'another request'}", NULL, STAYS ": another request"},
};

static void on_prepared(gpointer data) {
  scene_called(data, 'd', NULL);
}

static void assert_sentence(const GPtrArray *sentences, guint index, const char *part) {
  g_assert_cmpuint(sentences->len, ==, index + (part != NULL));
  if (part != NULL && strstr(sentences->pdata[index], part) == NULL)
    g_assert_cmpstr(sentences->pdata[index], ==, part);
}

static void test_answer(gconstpointer data) {
  const typeof(answers[0]) *c = data;
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 d256 | -");
  g_autoptr(DmPrepared) prepared = dm_prepared_new();
  Scene scene;
  vm->guest = guest_from("agent block=128 4096+256:k");
  vm->guest->kernel = g_strdup(c->kernel);
  scene_set_up(&scene);
  dm_prepare_by_agent(scene.agent, vm, prepared, on_prepared, &scene);
  scene_say(&scene, "{'id':@,'ok':true,'policy':'online_movable'}");
  scene_settle();
  scene_say(&scene, c->says);
  scene_wait_for_calls(&scene, 1);
  assert_sentence(prepared->did, 1, c->did);
  assert_sentence(prepared->left, 0, c->left);
  if (c->left != NULL)
    g_assert_nonnull(strstr(prepared->left->pdata[0], c->reboot != NULL ? c->reboot : ""));
  if (c->left != NULL && c->reboot == NULL)
    g_assert_null(strstr(prepared->left->pdata[0], "reboot"));
  scene_tear_down(&scene);
}

/* The one that comes first in the definition lies lowest. */
static void test_highest_first(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 d256 d256 d256 | -");
  g_autoptr(DmPrepared) prepared = dm_prepared_new();
  Scene scene;
  vm->guest = guest_from("agent block=128 4096+768:k");
  scene_set_up(&scene);
  dm_prepare_by_agent(scene.agent, vm, prepared, on_prepared, &scene);
  scene_say(&scene, "{'id':@,'ok':true,'policy':'online_movable'}");
  for (json_int_t address = 4096 + 512; address >= 4096; address -= 256) {
    scene_settle();
    scene_say(&scene, "{'id':@,'ok':true,'done':2,'of':2}");
    const json_t *request = fake_channel_request(scene.channel);
    g_assert_cmpint(json_integer_value(json_object_get(request, "start")), ==, address << 20);
  }
  scene_wait_for_calls(&scene, 1);
  g_assert_cmpuint(prepared->did->len, ==, 4);
  scene_tear_down(&scene);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
    g_autofree char *path = g_strdup_printf("/guest/movable/%s", answers[i].name);
    g_test_add_data_func(path, &answers[i], test_answer);
  }
  g_test_add_func("/guest/movable/highest-first", test_highest_first);
  return g_test_run();
}
