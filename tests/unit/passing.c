/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of a start, a shutdown and a reboot, without a VM; tests/daemon/test_actions.py has real ones. */
#include "passing.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <unistd.h>

#include "notation.h"

/* ---- what a stage tells, in words ---- */

static const char *const stages[] = {
  [DM_PASSING_NOTHING] = "nothing", [DM_PASSING_DOWN] = "down", [DM_PASSING_REBOOT] = "reboot", [DM_PASSING_UP] = "up"};

typedef struct {
  Passing *passing;
  char *file;
  DmVm *vm;
  GString *told;
} Scene;

static void told(gpointer data, const char *word) {
  Scene *scene = data;
  g_string_append_printf(scene->told, "%s%s", scene->told->len > 0 ? " " : "", word);
}

static void on_changed(DmPassing stage, gpointer data) {
  told(data, stages[stage]);
}

static void on_look(gpointer data) {
  told(data, "look");
}

static void on_press(DmPower power, gpointer data) {
  told(data, power == DM_POWER_SHUTDOWN ? "press-shutdown" : power == DM_POWER_REBOOT ? "press-reboot" : "press-cold");
}

static void on_ignored(gpointer data) {
  told(data, "ignored");
}

static void scene_open(Scene *scene, const char *vm) {
  static const PassingListener listener = {on_changed, on_look, on_press, on_ignored};
  g_autofree char *uuid = g_uuid_string_random();
  scene->file = g_build_filename(g_get_tmp_dir(), uuid, NULL);
  scene->passing = passing_new(g_strdup(scene->file), &listener, scene);
  scene->vm = vm_from(vm);
  scene->told = g_string_new(NULL);
}

static void scene_close(Scene *scene) {
  passing_free(scene->passing);
  g_unlink(scene->file);
  g_free(scene->file);
  dm_vm_free(scene->vm);
  g_string_free(scene->told, TRUE);
}

/* What was told since the last look. */
static void expect_told(Scene *scene, const char *expected) {
  g_assert_cmpstr(scene->told->str, ==, expected);
  g_string_truncate(scene->told, 0);
}

/* "STAGE SECONDS ASKED presses": what the next process would go on with; "": nothing. */
static char *kept(const Scene *scene) {
  g_autofree char *text = NULL;
  gint64 began;
  int stage = 0, closed = 0, asked = 0, presses = 0;
  guint lasts = 0;
  if (!g_file_get_contents(scene->file, &text, NULL, NULL))
    return g_strdup("");
  g_assert_cmpint(
    sscanf(text, "%d %" G_GINT64_FORMAT " %d %u %d %d", &stage, &began, &closed, &lasts, &asked, &presses), ==, 6);
  return g_strdup_printf(
    "%s %u%s%s", stages[stage], lasts, closed != 0 ? " closed" : "", presses != 0 ? " presses" : "");
}

static void expect_kept(const Scene *scene, const char *expected) {
  g_autofree char *text = kept(scene);
  g_assert_cmpstr(text, ==, expected);
}

static void happen(Scene *scene, DmEventKind kind, gboolean boots, gboolean comes_back) {
  const DmEvent event = {.kind = kind, .boots = boots};
  passing_event(scene->passing, &event, comes_back);
}

static void see_port(Scene *scene, DmPort port) {
  scene->vm->agent_port = port;
  passing_seen(scene->passing, scene->vm);
}

#define OFF "shut-off: - | 1024"
#define RUNS "running: 1024 | 1024"

static void become(Scene *scene, const char *vm) {
  dm_vm_free(scene->vm);
  scene->vm = vm_from(vm);
}

/* ---- the tests ---- */

static void test_start(void) {
  Scene scene;
  scene_open(&scene, OFF);
  passing_asked(scene.passing, scene.vm, DM_POWER_START);
  expect_told(&scene, "up");
  expect_kept(&scene, "up 60");
  happen(&scene, DM_EVENT_VM_STARTED, TRUE, FALSE);
  expect_told(&scene, "up");
  become(&scene, RUNS);
  see_port(&scene, DM_PORT_CLOSED);
  expect_told(&scene, "");
  see_port(&scene, DM_PORT_OPEN);
  expect_told(&scene, "nothing");
  expect_kept(&scene, "");
  scene_close(&scene);
}

/* Its event alone, as of a start by others; no agent can have been there before it, so an open port counts at once. */
static void test_start_by_others(void) {
  Scene scene;
  scene_open(&scene, RUNS);
  happen(&scene, DM_EVENT_VM_STARTED, TRUE, FALSE);
  expect_told(&scene, "up");
  expect_kept(&scene, "up 60 closed");
  see_port(&scene, DM_PORT_OPEN);
  expect_told(&scene, "nothing");
  scene_close(&scene);
}

/* Without any port no agent can tell, so it takes half as long. */
static void test_no_agent(void) {
  Scene scene;
  scene_open(&scene, RUNS);
  happen(&scene, DM_EVENT_VM_STARTED, TRUE, FALSE);
  see_port(&scene, DM_PORT_CLOSED);
  expect_kept(&scene, "up 60 closed");
  see_port(&scene, DM_PORT_NONE);
  expect_kept(&scene, "up 30 closed");
  expect_told(&scene, "up");
  scene_close(&scene);
}

/* Restored, resumed or moved here: its guest does not boot. */
static void test_no_boot(void) {
  Scene scene;
  scene_open(&scene, RUNS);
  happen(&scene, DM_EVENT_VM_STARTED, FALSE, FALSE);
  passing_asked(scene.passing, scene.vm, DM_POWER_START);
  expect_told(&scene, "");
  become(&scene, OFF);
  scene.vm->saved = TRUE;
  passing_asked(scene.passing, scene.vm, DM_POWER_START);
  passing_asked(scene.passing, scene.vm, DM_POWER_SHUTDOWN);
  expect_told(&scene, "");
  expect_kept(&scene, "");
  scene_close(&scene);
}

/* A port that was open all the time is not the new guest's; it closes with the reset. */
static void test_reboot(void) {
  Scene scene;
  scene_open(&scene, RUNS);
  passing_asked(scene.passing, scene.vm, DM_POWER_REBOOT);
  expect_kept(&scene, "reboot 30");
  happen(&scene, DM_EVENT_VM_REBOOTED, FALSE, FALSE);
  expect_kept(&scene, "up 30");
  see_port(&scene, DM_PORT_OPEN);
  expect_told(&scene, "reboot up");
  see_port(&scene, DM_PORT_CLOSED);
  expect_kept(&scene, "up 30 closed");
  see_port(&scene, DM_PORT_OPEN);
  expect_told(&scene, "nothing");
  scene_close(&scene);
}

static void test_cold_reboot(void) {
  Scene scene;
  scene_open(&scene, RUNS);
  passing_asked(scene.passing, scene.vm, DM_POWER_COLD_REBOOT);
  happen(&scene, DM_EVENT_VM_STOPPED, FALSE, TRUE);
  expect_told(&scene, "reboot");
  happen(&scene, DM_EVENT_VM_STARTED, TRUE, FALSE);
  expect_told(&scene, "up");
  expect_kept(&scene, "up 30 closed");
  passing_asked(scene.passing, scene.vm, DM_POWER_COLD_REBOOT);
  happen(&scene, DM_EVENT_VM_STOPPED, FALSE, FALSE);
  expect_told(&scene, "reboot nothing");
  scene_close(&scene);
}

static void test_ends(void) {
  static const DmEventKind ends[] = {DM_EVENT_VM_STOPPED, DM_EVENT_VM_CRASHED, DM_EVENT_VM_MOVED};
  Scene scene;
  scene_open(&scene, RUNS);
  for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
    passing_asked(scene.passing, scene.vm, DM_POWER_SHUTDOWN);
    expect_kept(&scene, "down 30");
    happen(&scene, DM_EVENT_VM_PAUSED, FALSE, FALSE);
    happen(&scene, DM_EVENT_VM_RESUMED, FALSE, FALSE);
    happen(&scene, ends[i], FALSE, FALSE);
    expect_told(&scene, "down nothing");
    expect_kept(&scene, "");
  }
  passing_asked(scene.passing, scene.vm, DM_POWER_SHUTDOWN);
  passing_failed(scene.passing);
  expect_told(&scene, "down nothing");
  passing_failed(scene.passing);
  expect_told(&scene, "");
  scene_close(&scene);
}

/* What its guest may not hear yet is pressed again, and so is what is asked instead. */
static void test_asked_while_it_boots(void) {
  Scene scene;
  scene_open(&scene, RUNS);
  happen(&scene, DM_EVENT_VM_STARTED, TRUE, FALSE);
  passing_asked(scene.passing, scene.vm, DM_POWER_SHUTDOWN);
  expect_kept(&scene, "down 60 presses");
  passing_asked(scene.passing, scene.vm, DM_POWER_REBOOT);
  expect_kept(&scene, "reboot 60 presses");
  happen(&scene, DM_EVENT_VM_REBOOTED, FALSE, FALSE);
  expect_kept(&scene, "up 30");
  passing_asked(scene.passing, scene.vm, DM_POWER_STOP);
  expect_kept(&scene, "down 30");
  scene_close(&scene);
}

/* ---- the next process ---- */

static void test_resume(void) {
  static const struct {
    const char *vm;
    int stage, began_s, started_s; /* ago; -1: not known */
    const char *rest;
    gboolean rebooting, booted;
    DmPassing expected;
    const char *kept;
  } table[] = {
    {RUNS, DM_PASSING_DOWN, 5, 100, " 0 30 2 0", FALSE, FALSE, DM_PASSING_DOWN, "down 30"},
    {RUNS, DM_PASSING_DOWN, 31, 100, " 0 30 2 0", FALSE, FALSE, DM_PASSING_NOTHING, ""},
    {RUNS, DM_PASSING_DOWN, 31, 100, " 0 60 2 1", FALSE, FALSE, DM_PASSING_DOWN, "down 60 presses"},
    {RUNS, DM_PASSING_REBOOT, 5, 100, " 1", FALSE, FALSE, DM_PASSING_REBOOT, "reboot 30 closed"},
    {RUNS, DM_PASSING_DOWN, -500, 1000, " 0 30 2 0", FALSE, FALSE, DM_PASSING_NOTHING, ""},
    {RUNS, DM_PASSING_UP, 5, 5, " 0 60 0 0", FALSE, FALSE, DM_PASSING_UP, "up 60"},
    /* It was started anew since, which is what a reboot ends with. */
    {RUNS, DM_PASSING_REBOOT, 20, 5, " 0 30 3 0", FALSE, FALSE, DM_PASSING_UP, "up 30 closed"},
    {RUNS, DM_PASSING_DOWN, 20, 5, " 0 30 2 0", FALSE, FALSE, DM_PASSING_NOTHING, ""},
    {RUNS, DM_PASSING_DOWN, 20, 5, " 0 30 2 0", FALSE, TRUE, DM_PASSING_UP, "up 60 closed"},
    /* Nothing was kept. */
    {RUNS, -1, 0, 5, NULL, FALSE, TRUE, DM_PASSING_UP, "up 60 closed"},
    {RUNS, -1, 0, 5, NULL, FALSE, FALSE, DM_PASSING_NOTHING, ""},
    {RUNS, -1, 0, 15, NULL, FALSE, TRUE, DM_PASSING_NOTHING, ""},
    /* It is down, for a reboot or not. */
    {OFF, DM_PASSING_REBOOT, 5, -1, " 0 30 4 0", TRUE, FALSE, DM_PASSING_REBOOT, "reboot 30"},
    {OFF, DM_PASSING_REBOOT, 5, -1, " 0 30 4 0", FALSE, FALSE, DM_PASSING_NOTHING, ""},
    /* What cannot be. */
    {RUNS, 9, 5, 100, " 0 30 2 0", FALSE, FALSE, DM_PASSING_NOTHING, ""},
    {RUNS, DM_PASSING_DOWN, 5, 100, " 0 4711 2 0", FALSE, FALSE, DM_PASSING_NOTHING, ""},
    {RUNS, DM_PASSING_DOWN, 5, 100, " 0 30 77 0", FALSE, FALSE, DM_PASSING_NOTHING, ""},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
    Scene scene;
    gint64 now = g_get_real_time() / 1000;
    scene_open(&scene, table[i].vm);
    g_autofree char *text =
      g_strdup_printf("%d %" G_GINT64_FORMAT "%s\n", table[i].stage, now - table[i].began_s * 1000, table[i].rest);
    if (table[i].rest != NULL)
      g_assert_true(g_file_set_contents(scene.file, text, -1, NULL));
    scene.vm->started_ms = table[i].started_s < 0 ? 0 : now - table[i].started_s * 1000;
    scene.vm->booted = table[i].booted;
    g_assert_cmpint(passing_resume(scene.passing, scene.vm, table[i].rebooting, now - 10000), ==, table[i].expected);
    expect_kept(&scene, table[i].kept);
    scene_close(&scene);
  }
}

/* ---- in time ---- */

/* A stage of the file that has a second left, or 50. */
static void scene_go_on(Scene *scene, DmPassing stage, DmPower asked, gboolean presses, gboolean ends) {
  gint64 now = g_get_real_time() / 1000;
  scene_open(scene, RUNS);
  g_autofree char *text = g_strdup_printf(
    "%d %" G_GINT64_FORMAT " 0 60 %d %d\n", (int)stage, now - (ends ? 59 : 10) * 1000, (int)asked, presses ? 1 : 0);
  g_assert_true(g_file_set_contents(scene->file, text, -1, NULL));
  scene->vm->started_ms = now - 100000;
  g_assert_cmpint(passing_resume(scene->passing, scene->vm, FALSE, now), ==, stage);
}

/* Every two seconds a look at what comes up, every four a press; and only an ignored shutdown is one. */
static void test_in_time(void) {
  Scene ignored, reboot, stop, up, presses, heard;
  scene_go_on(&ignored, DM_PASSING_DOWN, DM_POWER_SHUTDOWN, FALSE, TRUE);
  scene_go_on(&reboot, DM_PASSING_REBOOT, DM_POWER_REBOOT, FALSE, TRUE);
  scene_go_on(&stop, DM_PASSING_DOWN, DM_POWER_STOP, FALSE, TRUE);
  scene_go_on(&up, DM_PASSING_UP, DM_POWER_START, FALSE, FALSE);
  scene_go_on(&presses, DM_PASSING_DOWN, DM_POWER_SHUTDOWN, TRUE, FALSE);
  scene_go_on(&heard, DM_PASSING_REBOOT, DM_POWER_REBOOT, FALSE, FALSE);
  while (presses.told->len == 0)
    g_main_context_iteration(NULL, TRUE);
  expect_told(&presses, "press-shutdown");
  expect_told(&ignored, "nothing ignored");
  expect_told(&reboot, "nothing");
  expect_told(&stop, "nothing");
  g_assert_true(g_str_has_prefix(up.told->str, "look"));
  expect_told(&heard, "");
  expect_kept(&ignored, "");
  expect_kept(&up, "up 60");
  scene_close(&ignored);
  scene_close(&reboot);
  scene_close(&stop);
  scene_close(&up);
  scene_close(&presses);
  scene_close(&heard);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/passing/start", test_start);
  g_test_add_func("/passing/start-by-others", test_start_by_others);
  g_test_add_func("/passing/no-agent", test_no_agent);
  g_test_add_func("/passing/no-boot", test_no_boot);
  g_test_add_func("/passing/reboot", test_reboot);
  g_test_add_func("/passing/cold-reboot", test_cold_reboot);
  g_test_add_func("/passing/ends", test_ends);
  g_test_add_func("/passing/asked-while-it-boots", test_asked_while_it_boots);
  g_test_add_func("/passing/resume", test_resume);
  g_test_add_func("/passing/in-time", test_in_time);
  return g_test_run();
}
