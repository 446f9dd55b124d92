/* SPDX-License-Identifier: Apache-2.0 */
/* What an event, or the VM itself, makes of the steps of a request. */
#include "answers.h"

#include "base/size.h"
#include "notation.h"

static char *states_of(const DmRequest *request) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < request->steps->len; i++)
    g_string_append_printf(text, "%s%s", i > 0 ? " " : "", dm_step_state_name(request->steps->pdata[i]));
  return g_string_free(text, FALSE);
}

static void assert_states(const DmRequest *request, const char *expected) {
  g_autofree char *states = states_of(request);
  g_assert_cmpstr(states, ==, expected);
}

/* ---- events ---- */

static const struct {
  const char *name, *steps;
  DmEventKind kind;
  const char *alias;
  guint size; /* MiB */
  gboolean moved;
  const char *states;
} events[] = {
  {"removed", "unplug -a(256):asked -b(128):asked", DM_EVENT_DEVICE_REMOVED, "b", 0, TRUE, "asked removed"},
  {"removed-late", "unplug -a(256):overdue", DM_EVENT_DEVICE_REMOVED, "a", 0, TRUE, "removed"},
  {"removed-after-a-refusal", "unplug -a(256):refused", DM_EVENT_DEVICE_REMOVED, "a", 0, TRUE, "removed"},
  {"removed-twice", "unplug -a(256):removed", DM_EVENT_DEVICE_REMOVED, "a", 0, FALSE, "removed"},
  {"removed-unasked", "unplug -a(256):planned", DM_EVENT_DEVICE_REMOVED, "a", 0, FALSE, "planned"},
  {"refused", "unplug -a(256):asked", DM_EVENT_DEVICE_REFUSED, "a", 0, TRUE, "refused"},
  {"refused-after-all", "unplug -a(256):removed", DM_EVENT_DEVICE_REFUSED, "a", 0, FALSE, "removed"},
  {"refused-a-plug", "plug +a(256):asked", DM_EVENT_DEVICE_REFUSED, "a", 0, FALSE, "asked"},
  {"shrunk", "set=1024 a(512>256):asked", DM_EVENT_DEVICE_RESIZED, "a", 256, TRUE, "resized"},
  {"shrunk-some-way", "set=1024 a(512>256):asked", DM_EVENT_DEVICE_RESIZED, "a", 400, TRUE, "asked"},
  {"somebody-else's", "unplug -a(256):asked", DM_EVENT_DEVICE_REMOVED, "other", 0, FALSE, "asked"},
  {"of-no-device", "unplug -a(256):asked", DM_EVENT_VM_STOPPED, NULL, 0, FALSE, "asked"},
};

static void test_event(gconstpointer data) {
  const typeof(events[0]) *c = data;
  g_autofree char *text = g_strdup_printf("running: 1024 | - | %s", c->steps);
  g_autoptr(DmVm) vm = vm_from(text);
  Answer *answer = answer_new(&(DmEvent){.kind = c->kind, .alias = c->alias, .size = c->size * DM_MIB});
  DmStep *step = c->alias != NULL ? dm_request_find_step(vm->request, c->alias) : NULL;
  if (step != NULL)
    step->run.asked_at_us = answer->at_us - 3 * G_USEC_PER_SEC;
  const DmStep *moved = answer_take(answer, vm->request);
  g_assert_true(c->moved ? moved == step : moved == NULL);
  assert_states(vm->request, c->states);
  if (moved != NULL && moved->state != DM_STEP_ASKED)
    g_assert_cmpfloat_with_epsilon(moved->run.answer_s, 3, 0.001);
  if (moved != NULL && moved->state == DM_STEP_REFUSED)
    g_assert_cmpint(moved->run.reason->code, ==, DM_NOTE_GUEST_REFUSED);
  if (moved != NULL && c->size != 0)
    g_assert_cmpuint(moved->run.reached, ==, c->size * DM_MIB);
  answer_free(answer);
}

static void test_no_request(void) {
  Answer *answer = answer_new(&(DmEvent){.kind = DM_EVENT_DEVICE_REMOVED, .alias = "a"});
  g_assert_null(answer_take(answer, NULL));
  g_assert_cmpuint(answers_count_pending(NULL), ==, 0);
  answer_free(answer);
}

/* ---- the VM itself ---- */

static const struct {
  const char *name, *vm, *states;
  guint moved;
} looks[] = {
  {"gone", "1024 a=d256 | - | unplug -a(256):asked -b(128):asked", "asked removed", 1},
  {"come", "1024 a=d256 | - | plug +a(256):asked +b(128):asked", "added asked", 1},
  {"shrunk", "1024 a=v1024:256/256:2 | - | set=1280 a(512>256):asked", "resized", 1},
  {"some-way", "1024 a=v1024:256/384:2 | - | set=1280 a(512>256):asked", "asked", 0},
  {"never-asked", "1024 | - | unplug -a(256):planned", "planned", 0},
};

static void test_look(gconstpointer data) {
  const typeof(looks[0]) *c = data;
  g_autofree char *text = g_strconcat("running: ", c->vm, NULL);
  g_autoptr(DmVm) vm = vm_from(text);
  g_autoptr(GPtrArray) moved = answers_look(vm->request, vm->live, 1);
  g_assert_cmpuint(moved->len, ==, c->moved);
  assert_states(vm->request, c->states);
}

/* ---- what is not waited for ---- */

static void test_expire(void) {
  g_autoptr(DmVm) vm =
    vm_from("running: 1024 | - | unplug -a(256):asked -b(128):refused -c(128):planned -d(128):overdue");
  g_assert_true(answers_missing(vm->request));
  g_assert_true(answers_has_planned(vm->request));
  g_assert_cmpuint(answers_count_refused(vm->request), ==, 1);
  g_assert_cmpuint(answers_count_pending(vm->request), ==, 2);
  g_autoptr(GPtrArray) moved = answers_expire(vm->request);
  g_assert_cmpuint(moved->len, ==, 1);
  assert_states(vm->request, "overdue refused planned overdue");
  g_assert_false(answers_missing(vm->request));
  g_assert_cmpuint(answers_count_pending(vm->request), ==, 2);
}

/* One that an earlier request asks for can still go, whatever is said of it. */
static void test_leave(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 | - | unplug -a(256):planned -b(128):planned");
  g_autoptr(DmVm) before = vm_from("running: 1024 | - | unplug -b(128):overdue -a(256):refused");
  g_autoptr(DmNote) reason = dm_note_new(DM_NOTE_NOT_ASKED);
  for (guint i = 0; i < 2; i++)
    g_assert_true(answers_leave(vm->request->steps->pdata[i], before->request, reason, 1));
  assert_states(vm->request, "refused overdue");
  g_assert_cmpint(((DmStep *)vm->request->steps->pdata[0])->run.reason->code, ==, DM_NOTE_NOT_ASKED);
  g_assert_cmpint(((DmStep *)vm->request->steps->pdata[1])->run.reason->code, ==, DM_NOTE_ASKED_EARLIER);
  g_assert_false(answers_asked_before(NULL, "a"));
}

/* ---- pieces of 4 MiB ---- */

/* Where a guest stops that has virtio-mem in such pieces, and nothing else is missing. MiB. */
static void test_pieces(void) {
  static const struct {
    const char *steps;
    guint reached; /* by the first */
    gboolean between;
  } cases[] = {
    {"set=1024 a(128>106):asked", 108, TRUE},
    {"set=1024 a(128>106):asked", 110, FALSE}, /* on its way */
    {"set=1024 a(128>106):asked", 112, FALSE},
    {"set=1024 a(64>106):asked", 104, TRUE},
    {"set=1024 a(128>126):asked", 128, TRUE},
    {"set=1024 a(128>106):overdue", 108, FALSE},
    {"set=1024 a(128>106):asked -b(128):asked", 108, FALSE},
    {"set=1024 a(128>106):asked -b(128):removed", 108, TRUE},
    {"plug +a(106):asked", 104, FALSE}, /* a DIMM is whole */
    {"unplug -a(128):asked", 0, FALSE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = g_strdup_printf("running: 1024 | - | %s", cases[i].steps);
    g_autoptr(DmVm) vm = vm_from(text);
    DmStep *step = vm->request->steps->pdata[0];
    step->run.reached = cases[i].reached * DM_MIB;
    g_assert_cmpint(answers_between_pieces(vm->request), ==, cases[i].between);
    if (!cases[i].between)
      continue;
    answers_take_pieces(vm->request);
    g_assert_cmpuint(step->to, ==, cases[i].reached * DM_MIB);
    g_assert_cmpint(step->state, ==, DM_STEP_PLANNED); /* to be asked for just that */
  }
}

static void test_pieces_of_a_plug(void) {
  g_autoptr(DmVm) vm = vm_from("running: 1024 | - | plug +a(106):asked");
  DmStep *step = vm->request->steps->pdata[0];
  step->kind = DM_DEVICE_VIRTIO_MEM;
  g_assert_false(answers_between_pieces(vm->request)); /* nothing taken: it may have no driver */
  step->run.reached = 104 * DM_MIB;
  g_assert_true(answers_between_pieces(vm->request));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(events); i++) {
    g_autofree char *path = g_strconcat("/answers/event/", events[i].name, NULL);
    g_test_add_data_func(path, &events[i], test_event);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(looks); i++) {
    g_autofree char *path = g_strconcat("/answers/look/", looks[i].name, NULL);
    g_test_add_data_func(path, &looks[i], test_look);
  }
  g_test_add_func("/answers/no-request", test_no_request);
  g_test_add_func("/answers/expire", test_expire);
  g_test_add_func("/answers/pieces", test_pieces);
  g_test_add_func("/answers/pieces-of-a-plug", test_pieces_of_a_plug);
  g_test_add_func("/answers/leave", test_leave);
  return g_test_run();
}
