/* SPDX-License-Identifier: Apache-2.0 */
#include "model/request.h"

#define P DM_STEP_PLANNED
#define A DM_STEP_ASKED
#define D DM_STEP_DONE
#define R DM_STEP_REFUSED
#define O DM_STEP_OVERDUE

/*
 * Where a step may go: planned → asked → { done | refused | overdue }, or refused before it was asked, by dimmer-guest,
 * or overdue, as an earlier request has asked it; an overdue device can still go, or be refused; both can be asked
 * again; a refused one can be removed behind our back. Nothing else, and nothing after done.
 */
static const DmStepState allowed[][2] = {
  {P, A}, {P, R}, {P, O}, {A, D}, {A, R}, {A, O}, {O, A}, {O, D}, {O, R}, {R, A}, {R, D}};

static gboolean is_allowed(DmStepState from, DmStepState to) {
  for (gsize i = 0; i < G_N_ELEMENTS(allowed); i++) {
    if (allowed[i][0] == from && allowed[i][1] == to)
      return TRUE;
  }
  return FALSE;
}

static DmStep *make_step(DmOp op) {
  DmMemoryDevice device = {
    .alias = (char *)"ua-1", .id = (char *)"1", .kind = DM_DEVICE_DIMM, .size = 256, .node = 1, .block = 2};
  return dm_step_new(op, &device);
}

static void test_all_transitions(void) {
  guint walked = 0, went = 0;
  for (DmStepState from = 0; from < DM_STEP_STATES; from++) {
    for (DmStepState to = 0; to < DM_STEP_STATES; to++) {
      g_autoptr(DmStep) step = make_step(DM_OP_UNPLUG);
      step->state = from;
      gboolean goes = dm_step_advance(step, to);
      g_test_message("%d to %d: %d", from, to, goes);
      g_assert_cmpint(goes, ==, is_allowed(from, to));
      g_assert_cmpint(step->state, ==, goes ? to : from);
      walked++;
      went += (guint)goes;
    }
  }
  g_assert_cmpuint(walked, ==, 25);
  g_assert_cmpuint(went, ==, G_N_ELEMENTS(allowed));
}

static void test_pending(void) {
  g_autoptr(DmStep) step = make_step(DM_OP_UNPLUG);
  for (step->state = 0; step->state < DM_STEP_STATES; step->state++)
    g_assert_cmpint(dm_step_is_pending(step), ==, step->state == A || step->state == O);
}

static void test_state_names(void) {
  static const char *const names[DM_STEP_STATES] = {"planned", "asked", NULL, "refused", "overdue"};
  static const char *const done[] = {[DM_OP_UNPLUG] = "removed", [DM_OP_RESIZE] = "resized", [DM_OP_PLUG] = "added"};
  for (DmOp op = DM_OP_UNPLUG; op <= DM_OP_PLUG; op++) {
    g_autoptr(DmStep) step = make_step(op);
    for (step->state = 0; step->state < DM_STEP_STATES; step->state++) {
      DmStepState read = DM_STEP_STATES;
      g_assert_cmpstr(dm_step_state_name(step), ==, step->state == D ? done[op] : names[step->state]);
      g_assert_true(dm_step_state_from_name(dm_step_state_name(step), &read));
      g_assert_cmpint(read, ==, step->state);
    }
  }
}

static void test_other_names(void) {
  for (DmOp op = DM_OP_UNPLUG; op <= DM_OP_PLUG; op++) {
    DmOp read = 99;
    g_assert_true(dm_op_from_name(dm_op_name(op), &read));
    g_assert_cmpint(read, ==, op);
  }
  for (DmAction action = DM_ACTION_SET; action <= DM_ACTION_SETTLE; action++) {
    DmAction read = 99;
    g_assert_true(dm_action_from_name(dm_action_name(action), &read));
    g_assert_cmpint(read, ==, action);
  }
}

static void test_unknown_names(void) {
  static const char *const unknown[] = {NULL, "", "Set", "set ", "no such", "99"};
  for (gsize i = 0; i < G_N_ELEMENTS(unknown); i++) {
    DmOp op = 99;
    DmAction action = 99;
    DmStepState state = 99;
    g_assert_false(dm_op_from_name(unknown[i], &op));
    g_assert_false(dm_action_from_name(unknown[i], &action));
    g_assert_false(dm_step_state_from_name(unknown[i], &state));
    g_assert_cmpint(op, ==, 99);
    g_assert_cmpint(action, ==, 99);
    g_assert_cmpint(state, ==, 99);
  }
}

static void test_new_step(void) {
  g_autoptr(DmStep) unplug = make_step(DM_OP_UNPLUG);
  g_assert_cmpint(unplug->state, ==, P);
  g_assert_cmpstr(unplug->alias, ==, "ua-1");
  g_assert_cmpstr(unplug->id, ==, "1");
  g_assert_cmpuint(unplug->size, ==, 256);
  g_assert_cmpuint(unplug->from, ==, 256);
  g_assert_cmpuint(unplug->to, ==, 0);
  g_assert_cmpuint(unplug->run.size_before, ==, 256);
  g_assert_cmpint(unplug->node, ==, 1);
  g_assert_true(unplug->run.answer_s < 0);

  g_autoptr(DmStep) plug = make_step(DM_OP_PLUG);
  g_assert_cmpuint(plug->from, ==, 0);
  g_assert_cmpuint(plug->to, ==, 256);
  g_assert_cmpuint(plug->run.size_before, ==, 0);
}

/* A copy shares nothing, and the newest step of a device is the one that counts. */
static void test_copy_and_find(void) {
  g_autoptr(DmRequest) request = dm_request_new(DM_ACTION_SET);
  g_assert_true(g_uuid_string_is_valid(request->id));
  g_assert_null(dm_request_find_step(request, "ua-1"));
  g_ptr_array_add(request->steps, make_step(DM_OP_UNPLUG));
  g_ptr_array_add(request->steps, make_step(DM_OP_RESIZE));
  ((DmStep *)request->steps->pdata[1])->run.reason = dm_note_new(DM_NOTE_NOT_FREED, "why");
  request->host = g_strdup("h");

  g_autoptr(DmRequest) copy = dm_request_copy(request);
  const DmStep *found = dm_request_find_step(copy, "ua-1");
  g_assert_true(found == copy->steps->pdata[1]);
  g_assert_true(found != request->steps->pdata[1]);
  g_assert_cmpstr(dm_step_reason(found), ==, "the guest cannot free it: why");
  g_assert_true(found->run.reason != ((DmStep *)request->steps->pdata[1])->run.reason);
  g_assert_cmpstr(copy->id, ==, request->id);
  g_assert_cmpstr(copy->host, ==, "h");
  g_assert_null(dm_request_find_step(copy, "ua-2"));

  dm_step_free(NULL);
  dm_request_free(NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  g_test_add_func("/request/all-transitions", test_all_transitions);
  g_test_add_func("/request/pending", test_pending);
  g_test_add_func("/request/names/states", test_state_names);
  g_test_add_func("/request/names/others", test_other_names);
  g_test_add_func("/request/names/unknown", test_unknown_names);
  g_test_add_func("/request/new-step", test_new_step);
  g_test_add_func("/request/copy-and-find", test_copy_and_find);
  return g_test_run();
}
