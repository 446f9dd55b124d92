/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_scene.h"

void scene_set_up(Scene *scene) {
  *scene = (Scene){.channel = fake_channel_new(), .guest = dm_guest_new(), .heard = g_string_new(NULL)};
  scene->agent = dm_agent_new(scene->channel);
}

void scene_settle(void) {
  while (g_main_context_iteration(NULL, FALSE))
    ;
}

void scene_tear_down(Scene *scene) {
  scene_settle();
  dm_agent_free(scene->agent);
  scene_settle();
  g_assert_true(fake_channel_is_closed(scene->channel));
  fake_channel_free(scene->channel);
  dm_guest_free(scene->guest);
  g_string_free(scene->heard, TRUE);
  g_free(scene->last);
}

void scene_wait_for_calls(Scene *scene, guint count) {
  while (scene->heard->len < count)
    g_main_context_iteration(NULL, TRUE);
}

void scene_called(Scene *scene, char letter, char *what) {
  g_string_append_c(scene->heard, letter);
  g_free(scene->last);
  scene->last = what;
  if (scene->free_on)
    g_clear_pointer(&scene->agent, dm_agent_free);
}

void scene_say(Scene *scene, const char *lines) {
  g_auto(GStrv) says = g_strsplit(lines, "|", -1);
  for (char **line = says; *line != NULL; line++)
    fake_channel_say(scene->channel, *line);
}
