/* SPDX-License-Identifier: Apache-2.0 */
/* The notes about a guest whose dimmer-guest made its memory movable, or did not; and what its script printed. */
#include "agent_scene.h"

#include <string.h>

#include "agents.h"
#include "guest_notation.h"
#include "notation.h"

#define STAYS "(256 MiB) stays as it is"
#define BY_ONE "(256 MiB): 1 of 2 memory blocks stay as they are: "
#define ANSWER "{'id':@,'ok':true,'done':1,'of':2,'start':4294967296,"
/* What the guest answers, the code and a part of the note that it makes, and the word of a reboot in it. */
static const struct {
  const char *name, *says, *code, *did, *left, *reboot, *kernel;
} answers[] = {
  {"all", "{'id':@,'ok':true,'done':2,'of':2}", "made-movable", "(256 MiB) movable", NULL},
  {"kernel", ANSWER "'why':'kernel','detail':'memory32: kernel pages'}", "partly-made-kernel", NULL,
    BY_ONE "memory32: kernel pages; reboot", "memhp_default_state=online_movable "},
  {"kernel-5.6", ANSWER "'why':'kernel','detail':'memory32: kernel pages'}", "partly-made-kernel", NULL,
    BY_ONE "memory32: kernel pages; reboot", "movable_node ", "5.6.19"},
  {"kernel-4.12", ANSWER "'why':'kernel','detail':'memory32: kernel pages'}", "partly-made-kernel", NULL,
    BY_ONE "memory32: kernel pages; reboot", "memhp_default_state=offline ", "4.12.14"},
  {"memory", ANSWER "'why':'memory','detail':'memory32: no room'}", "partly-made-memory", NULL,
    BY_ONE "memory32: no room; stop programs in the guest that use memory"},
  {"in-use", ANSWER "'why':'in-use','detail':'memory32: in use'}", "partly-made-in-use", NULL,
    BY_ONE "memory32: in use; prepare it again when"},
  {"other", ANSWER "'why':'other','detail':'memory32: it is so'}", "partly-made", NULL, BY_ONE "memory32: it is so"},
  {"not-explained", "{'id':@,'ok':true,'done':1,'of':2}", "partly-made-unexplained", NULL,
    BY_ONE "the guest gave no reason"},
  {"time-is-over", "{'id':@,'error':'cancelled','detail':'as the host wished'}", "not-made-in-time", NULL,
    "(256 MiB) is not movable throughout: within 60 seconds the guest could not move what is in it; stop"},
  {"busy", "{'id':@,'error':'busy','detail':'another request'}", "not-made", NULL, STAYS ": another request"},
};

typedef struct {
  Preparing preparing; /* first */
  Scene *scene;
} Task;

static void on_made(gpointer preparing) {
  scene_called(((Task *)preparing)->scene, 'd', NULL);
}

/* After @index others there is one with that code and part in its text, or none for NULL. */
static void assert_note(const GPtrArray *notes, guint index, const char *code, const char *part) {
  g_assert_cmpuint(notes->len, ==, index + (part != NULL));
  const DmNote *note = part != NULL ? notes->pdata[index] : NULL;
  g_assert_cmpstr(note != NULL ? dm_note_name(note) : NULL, ==, code);
  if (note != NULL && strstr(note->text, part) == NULL)
    g_assert_cmpstr(note->text, ==, part);
}

static void test_answer(gconstpointer data) {
  const typeof(answers[0]) *c = data;
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 d256 | -");
  g_autoptr(DmPrepared) prepared = dm_prepared_new(NULL);
  Scene scene;
  vm->guest = guest_from("agent block=128 4096+256:k");
  vm->guest->kernel = g_strdup(c->kernel);
  scene_set_up(&scene);
  Task task = {{.vm = vm, .agent = scene.agent, .prepared = prepared, .made = on_made}, &scene};
  prepare_by_dimmer_guest(&task.preparing);
  scene_say(&scene, "{'id':@,'ok':true,'policy':'online_movable'}");
  scene_settle();
  scene_say(&scene, c->says);
  scene_wait_for_calls(&scene, 1);
  assert_note(prepared->did, 1, c->did != NULL ? c->code : NULL, c->did);
  assert_note(prepared->left, 0, c->left != NULL ? c->code : NULL, c->left);
  const char *left = c->left != NULL ? ((const DmNote *)prepared->left->pdata[0])->text : "";
  g_assert_nonnull(strstr(left, c->reboot != NULL ? c->reboot : ""));
  g_assert_true(c->reboot != NULL || strstr(left, "reboot") == NULL);
  scene_tear_down(&scene);
}

/* The one that comes first in the definition lies lowest. */
static void test_highest_first(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 d256 d256 d256 | -");
  g_autoptr(DmPrepared) prepared = dm_prepared_new(NULL);
  Scene scene;
  vm->guest = guest_from("agent block=128 4096+768:k");
  scene_set_up(&scene);
  Task task = {{.vm = vm, .agent = scene.agent, .prepared = prepared, .made = on_made}, &scene};
  prepare_by_dimmer_guest(&task.preparing);
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

/* ---- the script's output ---- */

static void test_script_lines(void) {
  static const struct {
    const char *line, *did, *left;
  } lines[] = {
    {"done file-written: wrote /etc/x", "file-written", NULL},
    {"left policy-reset-to: it is reset, to online", NULL, "policy-reset-to"},
    {"left policy-reset: it is reset", NULL, "policy-reset"},
    {"done: wrote /etc/x", NULL, NULL},
    {"done called-off: not one of its codes", NULL, NULL},
    {"left file-written: of the other kind", NULL, NULL},
    {"sh: 1: oops", NULL, NULL},
    {"", NULL, NULL},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
    g_autoptr(DmPrepared) prepared = dm_prepared_new(NULL);
    g_autofree char *output = g_strconcat(lines[i].line, "\n", NULL);
    prepare_take_output(output, prepared);
    assert_note(prepared->did, 0, lines[i].did, lines[i].did != NULL ? "wrote /etc/x" : NULL);
    assert_note(prepared->left, 0, lines[i].left, lines[i].left != NULL ? "it is reset" : NULL);
  }
}

static void test_script_of_too_many(void) {
  g_autoptr(DmPrepared) prepared = dm_prepared_new(NULL);
  g_autoptr(GString) output = g_string_new(NULL);
  for (guint i = 0; i < 1000; i++)
    g_string_append_printf(output, "%s: x\n", i % 2 == 0 ? "done policy-set" : "left blocks-offline");
  prepare_take_output(output->str, prepared);
  g_assert_cmpuint(prepared->did->len + prepared->left->len, ==, 64);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
    g_autofree char *path = g_strdup_printf("/agents-prepare/movable/%s", answers[i].name);
    g_test_add_data_func(path, &answers[i], test_answer);
  }
  g_test_add_func("/agents-prepare/movable/highest-first", test_highest_first);
  g_test_add_func("/agents-prepare/script/lines", test_script_lines);
  g_test_add_func("/agents-prepare/script/too-many", test_script_of_too_many);
  return g_test_run();
}
