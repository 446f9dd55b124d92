/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dimmer-guest says, line by line: a look is made to its end, and then work is asked for again and again. The id
 * of the newest request stands for each @.
 */
#include <string.h>

#include "agents/dimmer_guest.h"
#include "fake_channel.h"
#include "fuzz.h"
#include "report.h"

typedef struct {
  DmAgent *agent;
  DmGuest *guest;
  gboolean looking, working;
} Scene;

static void on_done(const DmAgentAnswer *answer, gpointer data) {
  Scene *scene = data;
  g_assert(scene->working);
  g_assert(answer->ok + answer->silent + (answer->code != NULL) == 1);
  g_assert(answer->ok || g_utf8_validate(answer->detail, -1, NULL));
  g_assert(answer->done <= answer->of);
  scene->working = FALSE;
}

static void on_progress(uint64_t done, uint64_t of, gpointer data) {
  g_assert(((Scene *)data)->working && done <= of);
}

static void on_looked(GError *error, gpointer data) {
  Scene *scene = data;
  g_assert(scene->looking);
  scene->looking = FALSE;
  assert_report(scene->guest);
  g_assert(error != NULL || scene->guest->system == DM_SOURCE_AGENT);
  if (error != NULL)
    g_assert(g_utf8_validate(error->message, -1, NULL));
  g_clear_error(&error);
}

/* What dimmer does next: it asks for work, if it asks for nothing else. */
static void go_on(Scene *scene) {
  if (scene->looking || scene->working || !dm_agent_is_alive(scene->agent))
    return;
  scene->working = TRUE;
  dm_agent_work(scene->agent, DM_AGENT_OFFLINE, 1 << 30, 1 << 30, 60, 60, on_progress, on_done, scene);
}

static void say(DmChannel *channel, const char *line, gsize size) {
  for (char *heard; (heard = fake_channel_hear(channel)) != NULL;)
    g_free(heard);
  g_autofree char *id =
    g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(fake_channel_request(channel), "id")));
  g_autoptr(GString) text = g_string_new(NULL);
  for (gsize i = 0; i < size; i++) {
    if (line[i] == '@')
      g_string_append(text, id);
    else
      g_string_append_c(text, line[i]);
  }
  fake_channel_say_bytes(channel, text->str, text->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autoptr(DmChannel) channel = fake_channel_new();
  g_autoptr(DmGuest) guest = dm_guest_new();
  Scene scene = {.agent = dm_agent_new(channel), .guest = guest, .looking = TRUE};
  dm_agent_look(scene.agent, guest, on_looked, &scene);
  for (const char *at = (const char *)data, *end = at + size; at < end;) {
    const char *line_end = memchr(at, '\n', (gsize)(end - at));
    const char *next = line_end != NULL ? line_end + 1 : end;
    say(channel, at, (gsize)(next - at));
    at = next;
    go_on(&scene);
  }
  fake_channel_end(channel);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_assert(!scene.looking && !scene.working);
  dm_agent_free(scene.agent);
  g_assert(fake_channel_is_closed(channel));
  return 0;
}
